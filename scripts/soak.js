// npm run soak -- --minutes 60: contended transfers over two coordinators, all of them processes; every victim is judged.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '60' } } })
if (!(Number(values.minutes) > 0)) {
  console.error('soak: --minutes takes a number above 0')
  process.exit(1)
}
const vitest = join(root, 'node_modules', '.bin', 'vitest')
const { status } = spawnSync(vitest, ['run', 'test/soak'], {
  cwd: root,
  env: { ...process.env, WEFT_SOAK_MINUTES: values.minutes },
  stdio: 'inherit',
})
process.exitCode = status ?? 1
