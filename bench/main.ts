/**
 * npm run bench: pgbench through Weft, beside one plain Postgres and PgBouncer, on this machine and in turns.
 * docs/benchmarks.md says how to read it.
 */
import { statfsSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'
import { version } from '../cluster/version.ts'
import { Cleanup } from '../embedded/cleanup.ts'
import { SetupError } from '../errors/setup-error.ts'
import { type CutLoadResult, formatCutLoadsOf, takeCutLoads } from './cut-load.ts'
import {
  formatProfile,
  formatStepsResult,
  type ProfileResult,
  type StepsResult,
  takeProfiles,
  takeSteps,
  topSelfTimes,
} from './extras.ts'
import { type Flags, parseFlags } from './flags.ts'
import { type Case, selectCases } from './lines.ts'
import { formatCommits, formatLatencies, formatTable, type Summary, summarize } from './report.ts'
import { type Bench, measurementsIn, type Plan, runPlan, secondsFor } from './run.ts'
import { type Environment, loadData, startSystems } from './setup.ts'
import { providePgbench } from './tools.ts'

interface Report {
  readonly machine: Record<string, string | number>
  readonly systems: readonly string[]
  readonly flags: Flags
  readonly interrupted: boolean
  readonly rows: readonly Summary[]
  readonly profiles: readonly ProfileResult[]
  readonly durableSteps: readonly StepsResult[]
  readonly cutLoads: readonly CutLoadResult[]
}

const say = (text: string): void => console.error(text)
const inMemoryFileSystem = 0x01021994

async function main(): Promise<void> {
  const flags = parseFlags(process.argv)
  const cases = selectCases(flags.only, flags.clients)
  if (cases.length === 0) throw new SetupError('no row matches --only', 'Leave it out to see all rows.')
  const interrupt = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => interrupt.abort())
  const cleanup = new Cleanup()
  try {
    const report = await run(flags, cases, cleanup, interrupt.signal)
    if (report.rows.some(({ cells }) => Object.values(cells).some(({ kind }) => kind === 'failed'))) {
      process.exitCode = 1
    }
  } catch (error) {
    if (!interrupt.signal.aborted) throw error
  } finally {
    say('stopping the servers')
    await cleanup.run()
  }
  if (interrupt.signal.aborted) process.exitCode = 130
}

async function run(
  flags: Flags,
  cases: readonly Case[],
  cleanup: Cleanup,
  signal: AbortSignal,
): Promise<Report> {
  const pgbench = providePgbench(say)
  const setup = { flags, cleanup, signal, say }
  const environment = await startSystems(setup)
  const { systems, dir } = environment
  const plan: Plan = { cases, systems, rounds: flags.rounds, length: flags.length }
  announce(plan, environment)
  const keys = await loadData(environment, new Set(cases.map(({ line }) => line.data)), setup)
  const bench: Bench = { pgbench, dir, keys, signal, say }
  const rows = (await runPlan(plan, bench)).map(summarize)
  if (signal.aborted) say('interrupted: this is what was measured so far')
  if (!flags.json) {
    console.log(`\n${header(environment)}\n\n${formatTable(rows, systems)}`)
    for (const text of [formatLatencies(rows, systems), formatCommits(rows)])
      if (text !== undefined) console.log(`\n${text}`)
  }
  const extras = await lookInside(flags, cases, bench, environment)
  const report = {
    machine: machine(dir),
    systems: systems.map(({ title }) => title),
    flags,
    interrupted: signal.aborted,
    rows,
    ...extras,
  }
  if (flags.json) console.log(JSON.stringify(report, regexesAsText, 2))
  return report
}

async function lookInside(
  flags: Flags,
  cases: readonly Case[],
  bench: Bench,
  environment: Environment,
): Promise<Pick<Report, 'profiles' | 'durableSteps' | 'cutLoads'>> {
  const { weft } = environment
  if (weft === undefined || bench.signal.aborted) return { profiles: [], durableSteps: [], cutLoads: [] }
  const matching = (pattern: RegExp | undefined): Case[] =>
    cases.filter(({ label }) => pattern?.test(label) ?? false)
  const work = { flags, bench, environment }
  const cutLoads = await takeCutLoads(work, weft, matching(flags.cuts))
  const durableSteps = await takeSteps(work, weft, matching(flags.durableSteps))
  const profiles = await takeProfiles(work, weft, matching(flags.profile))
  const texts = [
    ...formatCutLoadsOf(cutLoads),
    ...durableSteps.map(formatStepsResult),
    ...profiles.map(formatProfile),
  ]
  if (!flags.json) for (const text of texts) console.log(`\n${text}`)
  return { profiles: profiles.map(topSelfTimes), durableSteps, cutLoads }
}

function announce(plan: Plan, { dir }: Environment): void {
  const seconds = secondsFor(plan)
  const time =
    seconds === undefined ? 'a few seconds' : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
  say(`${measurementsIn(plan)} measurements, ${time} in all after the tables are loaded`)
  if (statfsSync(dir).type === inMemoryFileSystem) {
    say(`${dir} is in memory: syncs cost nothing there, so writes look too fast. Set TMPDIR to a disk.`)
  }
}

function header({ dir, systems }: Environment): string {
  const { cpu, cores, load } = machine(dir)
  const titles = systems.map(({ title }) => title).join('; ')
  return [
    `${titles}; ${cores} cores (${cpu}), load ${load} at the end`,
    'Rates per second and ratios to plain Postgres: medians of the rounds, with the lowest and highest round.',
  ].join('\n')
}

function machine(dir: string): Record<string, string | number> {
  return {
    weft: version,
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryMb: Math.round(totalmem() / 2 ** 20),
    load: loadavg()[0]!.toFixed(1),
    dataOnDisk: statfsSync(dir).type === inMemoryFileSystem ? 'no' : 'yes',
  }
}

function regexesAsText(_name: string, value: unknown): unknown {
  return value instanceof RegExp ? value.source : value
}

try {
  await main()
} catch (error) {
  if (error instanceof SetupError)
    say(`weft-bench: ${error.message}${error.hint === undefined ? '' : `. ${error.hint}`}`)
  else say(error instanceof Error ? (error.stack ?? error.message) : String(error))
  process.exitCode = 1
}
// What a failed start left behind must not keep us.
process.exit()
