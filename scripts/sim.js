// npm run sim -- --seeds 1000: the simulations of commits and recovery, and of cuts, over that many seeds.
// npm run sim -- --seed 17: one of them, with its trace when it fails.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '1000' }, seed: { type: 'string' } },
})
const env = { ...process.env, WEFT_SIM_SEEDS: values.seeds }
if (values.seed !== undefined) env.WEFT_SIM_SEED = values.seed
const vitest = join(root, 'node_modules', '.bin', 'vitest')
const { status } = spawnSync(vitest, ['run', 'test/sim', '--testTimeout=3600000'], {
  cwd: root,
  env,
  stdio: 'inherit',
})
process.exitCode = status ?? 1
