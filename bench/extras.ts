/** What is looked at after the table: measurements of their own, because looking costs time. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Flags } from './flags.ts'
import type { Case } from './lines.ts'
import type { RunOptions, RunResult } from './pgbench.ts'
import { busyShare, type CpuProfile, formatSelfTimes, type SelfTime, selfTimes } from './profile.ts'
import { type Bench, measure } from './run.ts'
import type { Environment } from './setup.ts'
import { formatSteps, readMetrics, readWal, type Step, stepsBetween } from './steps.ts'
import type { System } from './system.ts'
import type { WeftSystem } from './weft.ts'

export interface ProfileResult {
  readonly label: string
  readonly file: string
  readonly busyShare: number
  readonly selfTimes: readonly SelfTime[]
}

export interface StepsResult {
  readonly label: string
  readonly perSecond: number
  readonly latencyMs: number
  readonly steps: readonly Step[]
  readonly wal: readonly { readonly system: string; readonly fsyncs: number; readonly bytes: number }[]
}

type Measured = Extract<RunResult, { kind: 'measured' }>

interface Work {
  readonly flags: Flags
  readonly bench: Bench
  readonly environment: Environment
}

const root = fileURLToPath(new URL('../', import.meta.url))
const selfTimesInJson = 100

/** Long enough to see something, also where the table is made of a few transactions. */
const quickLength = { warmupSeconds: 0, seconds: 2 } as const

function lengthOf({ length }: Flags): RunOptions['length'] {
  return 'each' in length ? quickLength : length
}

/** Profiles Weft in the rows asked for; the profiles stay beside the bundle. */
export async function takeProfiles(
  { flags, bench }: Work,
  weft: WeftSystem,
  cases: readonly Case[],
): Promise<ProfileResult[]> {
  const results: ProfileResult[] = []
  for (const row of cases) {
    const file = join(root, 'dist', `weft-bench-${row.label.replace(/\W+/g, '-')}.cpuprofile`)
    bench.say(`profiling ${row.label}`)
    const run = await weft.profile(file, () => measure(bench, row, weft, lengthOf(flags)))
    if (run.kind === 'failed') bench.say(`  FAILED: ${run.why}`)
    const profile = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
    const times = selfTimes(profile, weft.locate)
    results.push({ label: row.label, file, busyShare: busyShare(profile), selfTimes: times })
  }
  return results
}

export function formatProfile({ label, file, busyShare: busy, selfTimes: times }: ProfileResult): string {
  const share = `${(100 * busy).toFixed(0)}% busy`
  return [
    `Weft's process, ${label}: ${share}; share of the busy time by module and function`,
    formatSelfTimes(times),
    `The whole profile (open it in Chrome's or VS Code's viewer): ${file}`,
  ].join('\n')
}

/** For JSON: the file has the rest. */
export function topSelfTimes(result: ProfileResult): ProfileResult {
  return { ...result, selfTimes: result.selfTimes.slice(0, selfTimesInJson) }
}

export async function takeSteps(
  work: Work,
  weft: WeftSystem,
  cases: readonly Case[],
): Promise<StepsResult[]> {
  const { bench, environment } = work
  const { plain } = environment
  const results: StepsResult[] = []
  for (const row of cases) {
    bench.say(`looking into the commits of ${row.label} (half a minute more for each system)`)
    const before = await readMetrics(weft.adminUrls)
    const mine = await withWal(work, row, weft, weft.shardUrls)
    const steps = stepsBetween(before, await readMetrics(weft.adminUrls))
    if (mine === undefined) continue
    const beside = plain === undefined ? undefined : await withWal(work, row, plain, [plain.server.url])
    results.push({
      label: row.label,
      perSecond: mine.run.perSecond,
      latencyMs: mine.run.latencyMs,
      steps: steps.map((step) => ({ ...step, count: step.count / mine.run.transactions })),
      wal: [beside?.wal, mine.wal].filter((wal) => wal !== undefined),
    })
  }
  return results
}

/** One measurement with what it wrote to the servers' logs, for each transaction. */
async function withWal(
  { flags, bench }: Work,
  row: Case,
  system: System,
  serverUrls: readonly string[],
): Promise<{ run: Measured; wal: StepsResult['wal'][number] } | undefined> {
  const before = await readWal(serverUrls, bench.signal)
  const run = await measure(bench, row, system, lengthOf(flags))
  if (run.kind === 'failed') {
    bench.say(`  FAILED: ${run.why}`)
    return undefined
  }
  const after = await readWal(serverUrls, bench.signal)
  const each = (moved: number): number => moved / run.transactions
  const wal = { fsyncs: each(after.fsyncs - before.fsyncs), bytes: each(after.bytes - before.bytes) }
  return { run, wal: { system: system.title, ...wal } }
}

export function formatStepsResult({ label, perSecond, latencyMs, steps, wal }: StepsResult): string {
  const logs = wal.map(
    ({ system, fsyncs, bytes }) =>
      `  ${system}: ${fsyncs.toFixed(2)} syncs and ${bytes.toFixed(0)} bytes of write-ahead log per transaction`,
  )
  return [
    `Commits of ${label}: ${perSecond.toFixed(0)}/s, ${latencyMs.toFixed(2)} ms each`,
    ...logs,
    formatSteps(steps),
  ].join('\n')
}
