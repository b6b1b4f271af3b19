// npm run pgsuite: Postgres' own regression suite, first on a plain Postgres 15, then on a Weft over Postgres 15.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { compare, type Folders, type Verdict } from './compare.ts'
import { runFile, type Target } from './run-file.ts'
import { only, readSchedule } from './schedule.ts'
import { database, startPlain, startWeft } from './servers.ts'
import { type Counts, QUERY_FILES, runSharded, type ShardedReport } from './sharded.ts'
import { prepareSources, type SuiteSources } from './sources.ts'

const usage = `usage: npm run pgsuite -- [options]
  --only a,b       these files, after test_setup
  --jobs N         files of one group of the schedule at a time (default 1)
  --shards N       shards of Weft (default 2)
  --timeout S      seconds for one file (default 300)
  --dir DIR        sources, outputs and diffs (default: weft-pgsuite in the temporary directory)
  --keep-plain     compare with what plain Postgres gave in an earlier run
  --serve PORT     when done leave Weft there until it is interrupted
  --sharded        instead: queries of the suite, with its standard tables sharded
  --json           print the verdicts as JSON`

interface Options {
  readonly names: readonly string[]
  readonly jobs: number
  readonly shards: number
  readonly timeoutMs: number
  readonly dir: string
  readonly keepPlain: boolean
  readonly servePort: number
  readonly sharded: boolean
  readonly json: boolean
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      jobs: { type: 'string', default: '1' },
      shards: { type: 'string', default: '2' },
      timeout: { type: 'string', default: '300' },
      dir: { type: 'string', default: join(tmpdir(), 'weft-pgsuite') },
      'keep-plain': { type: 'boolean', default: false },
      serve: { type: 'string', default: '0' },
      sharded: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const count = (text: string): number => {
    if (!/^\d+$/.test(text)) throw new Error(`not a number: ${text}\n${usage}`)
    return Number(text)
  }
  return {
    names: values.only.split(',').filter((name) => name !== ''),
    jobs: Math.max(1, count(values.jobs)),
    shards: Math.max(1, count(values.shards)),
    timeoutMs: 1000 * count(values.timeout),
    dir: resolve(values.dir),
    keepPlain: values['keep-plain'],
    servePort: count(values.serve),
    sharded: values.sharded,
    json: values.json,
  }
}

const print = (line: string): void => void process.stdout.write(`${line}\n`)

/** The work area: what the tests write is the same path for both servers, as some of them show it. */
function makeFolders(dir: string, sources: SuiteSources): Folders & { readonly build: string } {
  const folders = {
    expected: join(sources.regress, 'expected'),
    plain: join(dir, 'plain'),
    weft: join(dir, 'weft'),
    diffs: join(dir, 'diffs'),
    build: join(dir, 'build'),
  }
  for (const path of [folders.plain, folders.weft, folders.diffs, join(folders.build, 'results')]) {
    mkdirSync(path, { recursive: true })
  }
  chmodSync(join(folders.build, 'results'), 0o777)
  return folders
}

/** Runs all groups in order; `each` hears of every file as it ends. */
async function runAll(
  groups: readonly string[][],
  options: Options,
  one: (name: string) => Promise<void>,
): Promise<void> {
  for (const group of groups) {
    const left = [...group]
    const worker = async (): Promise<void> => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) await one(name)
    }
    await Promise.all(Array.from({ length: Math.min(options.jobs, group.length) }, worker))
  }
}

async function runPlain(
  groups: readonly string[][],
  options: Options,
  sources: SuiteSources,
  folders: Folders & { readonly build: string },
): Promise<void> {
  const kept = groups.flat().every((name) => existsSync(join(folders.plain, `${name}.out`)))
  if (options.keepPlain && kept) return
  const plain = await startPlain(join(options.dir, 'servers'))
  try {
    const target: Target = { port: plain.port, database, build: folders.build, results: folders.plain }
    await runAll(groups, options, async (name) => {
      await runFile(name, sources, target, options.timeoutMs)
    })
  } finally {
    await plain.stop()
  }
}

async function runWeft(
  groups: readonly string[][],
  options: Options,
  sources: SuiteSources,
  folders: Folders & { readonly build: string },
): Promise<Verdict[]> {
  const weft = await startWeft(join(options.dir, 'servers'), options.shards, options.servePort)
  const verdicts: Verdict[] = []
  try {
    const target: Target = { port: weft.port, database, build: folders.build, results: folders.weft }
    await runAll(groups, options, async (name) => {
      const startedMs = performance.now()
      const inTime = await runFile(name, sources, target, options.timeoutMs)
      const verdict = compare(name, folders, !inTime)
      verdicts.push(verdict)
      if (!options.json) print(lineOf(verdict, performance.now() - startedMs))
    })
    if (options.servePort !== 0) await served(weft.port)
  } finally {
    await weft.stop()
  }
  return verdicts
}

function served(port: number): Promise<void> {
  print(`psql -h 127.0.0.1 -p ${port} -U postgres ${database}    (Ctrl-C ends it)`)
  return new Promise((done) => {
    // Signal handlers alone do not keep a process; the servers' sockets do.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => done())
  })
}

function lineOf({ name, differing, timedOut, plainAsExpected }: Verdict, ms: number): string {
  const verdict = timedOut ? 'timeout' : differing === 0 ? 'ok' : 'differs'
  const lines = differing === 0 ? '' : `${differing} lines`
  const note = plainAsExpected ? '' : '  (plain differs from expected/ too)'
  const seconds = `${(ms / 1000).toFixed(1)} s`
  return `${verdict.padEnd(8)}${name.padEnd(24)}${lines.padStart(12)}${seconds.padStart(10)}${note}`
}

async function shardedQueries(options: Options, sources: SuiteSources): Promise<void> {
  const dir = join(options.dir, 'servers')
  rmSync(dir, { recursive: true, force: true })
  const weft = await startWeft(dir, options.shards, 0)
  const [plain, mixed, remixed] = await Promise.all(
    ['plain', 'mixed', 'remixed'].map((name) => startPlain(dir, name)),
  )
  const names = options.names.length === 0 ? QUERY_FILES : options.names
  try {
    const servers = { weft, plain: plain!, mixed: mixed!, remixed: remixed! }
    const report = await runSharded(sources, servers, database, names, (name, counts) => {
      if (!options.json) print(countsLine(name, counts))
    })
    writeFileSync(join(options.dir, 'sharded.json'), `${JSON.stringify(report, null, 2)}\n`)
    print(options.json ? JSON.stringify(report) : shardedSummary(report, options.dir))
  } finally {
    await Promise.all([weft, plain!, mixed!, remixed!].map((server) => server.stop()))
  }
}

function countsLine(name: string, { same, refused, different, undetermined }: Counts): string {
  return `${name.padEnd(24)}${same} equal, ${refused} refused, ${undetermined} not determined, ${different} different`
}

function shardedSummary({ files, differences }: ShardedReport, dir: string): string {
  const total = { same: 0, refused: 0, different: 0, undetermined: 0 }
  for (const counts of Object.values(files)) {
    for (const key of Object.keys(total) as (keyof Counts)[]) total[key] += counts[key]
  }
  return [...differences, countsLine('all', total), `why refused: ${join(dir, 'sharded.json')}`].join('\n')
}

async function main(): Promise<void> {
  const options = readOptions()
  const sources = prepareSources(options.dir)
  if (options.sharded) return shardedQueries(options, sources)
  const folders = makeFolders(options.dir, sources)
  rmSync(join(options.dir, 'servers'), { recursive: true, force: true })
  const schedule = readFileSync(join(sources.regress, 'parallel_schedule'), 'utf8')
  const groups = only(readSchedule(schedule), options.names)
  await runPlain(groups, options, sources, folders)
  const verdicts = await runWeft(groups, options, sources, folders)
  const passed = verdicts.filter(({ differing }) => differing === 0).length
  const report = { postgres: '15', passed, total: verdicts.length, files: verdicts }
  writeFileSync(join(options.dir, 'report.json'), `${JSON.stringify(report, null, 2)}\n`)
  print(options.json ? JSON.stringify(report) : `${passed} of ${verdicts.length} files as on plain`)
  if (!options.json) print(`diffs: ${folders.diffs}`)
}

await main()
