// npm run sim -- --seeds 1000: the simulations of commits and recovery, of cuts, and of SERIALIZABLE, over that many seeds.
// npm run sim -- --from 1001 --seeds 1000: over the next ones.
// npm run sim -- --seed 17: one of them, with its trace when it fails.
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const processesMax = 4
const failuresMax = 3

const { first, last } = seedsAsked()
const dir = mkdtempSync(join(tmpdir(), 'weft-sim-'))
const startedMs = performance.now()
const totals = { commits: {}, cuts: {}, serializable: {} }
const failures = []
let done = 0
try {
  const file = await bundle()
  const count = Math.min(processesMax, availableParallelism(), last - first + 1)
  await Promise.all(Array.from({ length: count }, (_, i) => run(file, first + i, count)))
} finally {
  rmSync(dir, { recursive: true, force: true })
}
summary()

function seedsAsked() {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '1000' },
      from: { type: 'string', default: '1' },
      seed: { type: 'string' },
    },
  })
  const first = Number(values.seed ?? values.from)
  const count = values.seed === undefined ? Number(values.seeds) : 1
  if (Number.isSafeInteger(first) && Number.isSafeInteger(count) && count > 0)
    return { first, last: first + count - 1 }
  console.error('usage: npm run sim -- [--seeds COUNT] [--from SEED] | --seed SEED')
  process.exit(2)
}

async function bundle() {
  const root = dirname(dirname(fileURLToPath(import.meta.url)))
  const outfile = join(dir, 'run-seeds.mjs')
  await build({
    entryPoints: [join(root, 'test', 'sim', 'run-seeds.ts')],
    ...{ bundle: true, platform: 'node', format: 'esm', sourcemap: 'inline', outfile },
  })
  return outfile
}

function run(file, start, step) {
  const child = fork(file, [start, step, last].map(String), { execArgv: ['--enable-source-maps'] })
  child.on('message', (report) => {
    done++
    add(totals.commits, report.commits)
    add(totals.cuts, report.cuts)
    add(totals.serializable, report.serializable)
    failures.push(...report.failures)
    progress()
    if (failures.length >= failuresMax) child.kill()
  })
  return new Promise((ended, failed) => {
    child.on('exit', (code, signal) => {
      if (code === 0 || (signal === 'SIGTERM' && failures.length > 0)) ended()
      else failed(new Error(`a process of the simulation ended with ${signal ?? code}`))
    })
  })
}

function add(sums, more) {
  for (const [name, value] of Object.entries(more)) sums[name] = (sums[name] ?? 0) + value
}

function progress() {
  const all = last - first + 1
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0)
  const line = `${done} of ${all} seeds, ${failures.length} failed, ${seconds} s`
  if (process.stdout.isTTY) process.stdout.write(`\r${line}${done === all ? '\n' : ''}`)
  else if (done % Math.ceil(all / 10) === 0 || done === all) console.log(line)
}

function summary() {
  for (const [name, sums] of Object.entries(totals)) {
    const shown = Object.entries(sums).map(([what, value]) => `${what} ${value.toLocaleString('en')}`)
    console.log(`${name}: ${shown.join(', ')}`)
  }
  for (const failure of failures.slice(0, failuresMax)) console.log(`\n${failure}`)
  if (failures.length > 0) console.log('\nnpm run sim -- --seed SEED runs one of them again.')
  else console.log('No invariant was violated.')
  process.exitCode = failures.length > 0 ? 1 : 0
}
