// npm run test:nightly: what `npm test` runs a little of, at length: simulations, random statements, soak, the
// consistency suite, Postgres' own regression and isolation files. One after the other, with one seed that is printed.
// npm run test:nightly -- --only sim,random --seed 7   some of them; --list: which there are; --short: minutes, not hours.
// Goes on after a failure; exits with 1 when anything has failed. What each printed is in --dir (default: a temporary one).
import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const options = {
  only: { type: 'string' },
  seed: { type: 'string' },
  dir: { type: 'string' },
  short: { type: 'boolean' },
  list: { type: 'boolean' },
}
const asked = parse()
const isShort = asked.short === true
const seed = Number(asked.seed ?? 1 + Math.floor(Math.random() * 1_000_000))
const npm = (...args) => ['npm', 'run', '--silent', ...args]
const vitest = (...args) => [join('node_modules', '.bin', 'vitest'), 'run', ...args]

const steps = [
  {
    name: 'sim',
    what: 'simulations of commits, recovery, cuts and SERIALIZABLE',
    command: npm('sim', '--', '--from', String(seed), '--seeds', isShort ? '50' : '5000'),
  },
  {
    name: 'random',
    what: 'random statements on Weft and on one Postgres',
    command: vitest('test/integration/sql-random.test.ts'),
    env: { SQL_STATEMENTS: isShort ? '2000' : '40000', SQL_SEED: String(seed) },
  },
  {
    name: 'ddl',
    what: 'definitions beside statements',
    command: vitest('test/integration/sql-ddl-beside-life.test.ts'),
    env: { WEFT_DDL_COUNT: isShort ? '6' : '60' },
  },
  { name: 'faults', what: 'the crash matrix', command: vitest('--project', 'faults') },
  {
    name: 'soak',
    what: 'contended transfers',
    command: npm('soak', '--', '--minutes', isShort ? '1' : '30'),
  },
  {
    name: 'jepsen',
    what: 'the consistency suite, all workloads and faults',
    command: npm('jepsen', '--', '--all', '--time', isShort ? '5' : '60', '--seed', String(seed)),
  },
  { name: 'clients', what: 'clients of all kinds', command: npm('test:clients') },
  { name: 'isosuite', what: "Postgres' isolation specs", command: npm('isosuite') },
  { name: 'pgsuite', what: "Postgres' regression files", command: npm('pgsuite') },
  { name: 'sharded', what: 'their queries over sharded tables', command: npm('pgsuite', '--', '--sharded') },
]

function parse() {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return usage(error.message)
  }
}

function usage(why) {
  console.error(
    `${why}\nusage: npm run test:nightly -- [--only NAMES] [--seed N] [--dir DIR] [--short] [--list]`,
  )
  process.exit(2)
}

function chosen() {
  if (asked.only === undefined) return steps
  const names = asked.only.split(',')
  const unknown = names.filter((name) => !steps.some((step) => step.name === name))
  if (unknown.length > 0)
    usage(`no such step: ${unknown.join(', ')} (there are ${steps.map((s) => s.name).join(', ')})`)
  return steps.filter(({ name }) => names.includes(name))
}

let running
/** Ends with the code, or the signal, with which the step's process ended. */
function run({ name, command: [program, ...args], env = {} }, dir) {
  const output = createWriteStream(join(dir, `${name}.log`))
  running = spawn(program, args, { cwd: root, env: { ...process.env, NO_COLOR: '1', ...env } })
  for (const stream of [running.stdout, running.stderr]) stream.pipe(output, { end: false })
  return new Promise((ended) => {
    running.on('error', (error) => ended(error.message))
    running.on('close', (code, signal) => {
      output.end()
      ended(signal ?? code)
    })
  })
}

const minutes = (ms) => `${(ms / 60_000).toFixed(1)} min`

async function main() {
  if (asked.list) return console.log(steps.map(({ name, what }) => `${name.padEnd(10)} ${what}`).join('\n'))
  const todo = chosen()
  const dir = asked.dir ?? mkdtempSync(join(tmpdir(), 'weft-nightly-'))
  mkdirSync(dir, { recursive: true })
  console.log(`${todo.length} steps, seed ${seed}; what they print: ${dir}`)
  let failed = 0
  for (const step of todo) {
    const startedMs = performance.now()
    process.stdout.write(`${step.name.padEnd(10)} ${step.what} … `)
    const end = await run(step, dir)
    if (end !== 0) failed++
    const said = end === 0 ? 'passed' : `FAILED (${end}), see ${join(dir, `${step.name}.log`)}`
    console.log(`${said}, ${minutes(performance.now() - startedMs)}`)
    if (stopped) break
  }
  console.log(`${todo.length - failed} passed, ${failed} failed`)
  process.exitCode = stopped ? 130 : failed === 0 ? 0 : 1
}

let stopped = false
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    stopped = true
    running?.kill(signal)
  })
}
await main()
