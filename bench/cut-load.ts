/** What consistent reads over all shards cost cross-shard commits: transfers with so many reads per second beside them. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { formatCutLoads } from './cut-report.ts'
import type { Flags } from './flags.ts'
import { exactQuantiles, takeLatencies } from './latency.ts'
import type { Case, Keys } from './lines.ts'
import { type RunOptions, type RunResult, runPgbench } from './pgbench.ts'
import { type Range, rangeOf } from './report.ts'
import { type Bench, measure } from './run.ts'
import { type Metrics, type Quantiles, quantilesOf, readMetrics, sumOf } from './steps.ts'
import type { WeftSystem } from './weft.ts'

export interface CutLoad {
  readonly readsPerSecond: number
  /** False: `weft.consistent_reads = off`. */
  readonly consistent: boolean
}

/** Without reads; with them; and the same reads where they may be torn, which is what a cut is compared with. */
export const cutLoads: readonly CutLoad[] = [
  { readsPerSecond: 0, consistent: true },
  { readsPerSecond: 1, consistent: true },
  { readsPerSecond: 10, consistent: true },
  { readsPerSecond: 100, consistent: true },
  { readsPerSecond: 10, consistent: false },
  { readsPerSecond: 100, consistent: false },
]

export interface CutLoadResult extends CutLoad {
  readonly label: string
  /** Transfers. */
  readonly perSecond: Range
  /** To those without reads, in the same round. */
  readonly ratio: Range
  /** Of all commits on shards, those that found the gate held. */
  readonly heldShare: number
  /** How long these were. */
  readonly heldMs: Quantiles | undefined
  /** What a read waited for its cut. */
  readonly cutMs: Quantiles | undefined
  readonly readMs: Quantiles | undefined
  readonly cuts: { readonly taken: number; readonly failed: number }
}

/** One load in one round. */
export interface CutLoadRun {
  readonly load: CutLoad
  readonly transfers: Extract<RunResult, { kind: 'measured' }>
  readonly readsMs: readonly number[]
  readonly before: Metrics
  readonly after: Metrics
}

const readClients = 8
/** Rows in the range of a read: some on every shard. */
const rowsRead = 60
const quickLength = { warmupSeconds: 0, seconds: 1 } as const
const participants = 2

/**
 * A range of the shard key, by its index: it goes to all shards and reads a few rows on each, of the table that the
 * transfers write. Any cheaper and it would not be a read, any dearer and its own CPU would be what is measured.
 */
function readScript({ accounts }: Keys): string {
  return `\\set aid random(1, ${accounts - rowsRead})
SELECT count(*), sum(abalance) FROM pgbench_accounts WHERE aid BETWEEN :aid AND :aid + ${rowsRead - 1};
`
}

/** Does everything run? */
const quickLoads = cutLoads.filter(({ readsPerSecond }) => readsPerSecond === 0 || readsPerSecond === 100)

/** Each round runs all loads, beginning with another one each time. */
export async function takeCutLoads(
  { flags, bench }: { readonly flags: Flags; readonly bench: Bench },
  weft: WeftSystem,
  cases: readonly Case[],
): Promise<CutLoadResult[]> {
  const results: CutLoadResult[] = []
  const loads = 'each' in flags.length ? quickLoads : cutLoads
  for (const row of cases) {
    const runs: CutLoadRun[][] = []
    for (let round = 0; round < flags.rounds; round++) {
      const order = loads.map((_, i) => loads[(i + round) % loads.length]!)
      const runsOfRound: CutLoadRun[] = []
      for (const load of order) {
        const run = await runOne(load, row, weft, flags, bench)
        if (run === undefined) return results
        runsOfRound.push(run)
      }
      runs.push(runsOfRound)
    }
    results.push(...summarizeCutLoads(row.label, loads, runs))
  }
  return results
}

async function runOne(
  load: CutLoad,
  row: Case,
  weft: WeftSystem,
  flags: Flags,
  bench: Bench,
): Promise<CutLoadRun | undefined> {
  const { readsPerSecond, consistent } = load
  const what = readsPerSecond === 0 ? 'no reads' : `${readsPerSecond} reads/s${consistent ? '' : ', torn'}`
  const length = 'each' in flags.length ? quickLength : flags.length
  const before = await readMetrics(weft.adminUrls)
  const [transfers, reads] = await Promise.all([
    measure(bench, row, weft, length),
    readsPerSecond === 0 ? [] : readBeside(load, weft, length, bench),
  ])
  const after = await readMetrics(weft.adminUrls)
  const failed = [transfers, reads].find((result) => 'kind' in result && result.kind === 'failed')
  if (transfers.kind === 'failed' || !Array.isArray(reads)) {
    bench.say(`${row.label}, ${what}: FAILED: ${failed !== undefined && 'why' in failed ? failed.why : ''}`)
    return undefined
  }
  bench.say(`${row.label}, ${what}: ${Math.round(transfers.perSecond)}/s`)
  return { load, transfers, readsMs: reads, before, after }
}

/** How long each read took, in milliseconds. */
async function readBeside(
  { readsPerSecond, consistent }: CutLoad,
  { target }: WeftSystem,
  length: RunOptions['length'],
  { pgbench, dir, keys, signal }: Bench,
): Promise<readonly number[] | Extract<RunResult, { kind: 'failed' }>> {
  const scriptFile = join(dir, 'scatter-read.sql')
  writeFileSync(scriptFile, readScript(keys))
  const logPrefix = join(dir, `scatter-read-${process.hrtime.bigint()}`)
  const run = await runPgbench({
    ...{ pgbench, target, scriptFile, mode: 'simple', clients: readClients, length, signal },
    pids: [],
    perSecond: readsPerSecond,
    logPrefix,
    ...(consistent ? {} : { settings: '-c weft.consistent_reads=off' }),
  })
  // A rate of one per second may come to nothing in a short time.
  if (run.kind === 'failed' && run.why !== 'no transaction was finished') return run
  return takeLatencies(logPrefix)
}

export function summarizeCutLoads(
  label: string,
  loads: readonly CutLoad[],
  rounds: readonly (readonly CutLoadRun[])[],
): CutLoadResult[] {
  return loads.map((load) => {
    const pairs = rounds.map((runs) => ({
      run: runs.find((run) => run.load === load)!,
      alone: runs.find((run) => run.load.readsPerSecond === 0)!,
    }))
    const moved = sumOf(pairs.map(({ run }) => [run.before, run.after]))
    const commits = pairs.reduce((sum, { run }) => sum + participants * run.transfers.transactions, 0)
    const heldMs = quantilesOf(moved, 'weft_commit_held_seconds')
    const reads = pairs.flatMap(({ run }) => run.readsMs)
    return {
      ...load,
      label,
      perSecond: rangeOf(pairs.map(({ run }) => run.transfers.perSecond)),
      ratio: rangeOf(pairs.map(({ run, alone }) => run.transfers.perSecond / alone.transfers.perSecond)),
      heldShare: (heldMs?.count ?? 0) / commits,
      heldMs,
      cutMs: quantilesOf(moved, 'weft_cut_wait_seconds'),
      readMs: exactQuantiles(reads),
      cuts: {
        taken: moved.get('weft_cuts_total{result="taken"}') ?? 0,
        failed: moved.get('weft_cuts_total{result="failed"}') ?? 0,
      },
    }
  })
}

export function formatCutLoadsOf(results: readonly CutLoadResult[]): string[] {
  const labels = [...new Set(results.map(({ label }) => label))]
  return labels.map((label) =>
    formatCutLoads(
      label,
      results.filter((result) => result.label === label),
    ),
  )
}
