import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'

/** From the bundle, which is in `dist`. */
const program = new URL('../bin/weft-bench.js', import.meta.url)

/** The benchmarks are programs of a checkout; what they take, they say themselves. */
export function benchCommand(): Command {
  return new Command('bench')
    .description(
      'measure Weft beside one plain Postgres and PgBouncer, in turns; weft bench --help has its flags',
    )
    .helpOption(false)
    .allowUnknownOption()
    .argument('[flags...]')
    .action(async (flags: string[]) => {
      if (!existsSync(program)) throw new Error('weft bench runs in a checkout: git clone it, and npm ci')
      process.exitCode = await run(flags)
    })
}

function run(flags: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [fileURLToPath(program), ...flags], { stdio: 'inherit' })
  // Ctrl-C reaches both: the benchmarks print what they have, and end.
  process.on('SIGINT', () => {})
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? (signal === 'SIGINT' ? 130 : 1)))
  })
}
