import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCopyIn } from './copy-in.ts'
import { exactQuantiles, takeLatencies } from './latency.ts'
import type { Case, Keys } from './lines.ts'
import { type RunOptions, type RunResult, runPgbench } from './pgbench.ts'
import { commitPhases, readMetrics } from './steps.ts'
import type { System, SystemName } from './system.ts'

export interface Plan {
  readonly cases: readonly Case[]
  readonly systems: readonly System[]
  readonly rounds: number
  readonly length: RunOptions['length']
}

/** What a row of the table is made of: one result for each round, in order. */
export interface Row {
  readonly case: Case
  readonly results: ReadonlyMap<SystemName, readonly RunResult[]>
}

export interface Bench {
  readonly pgbench: string
  readonly dir: string
  readonly keys: Keys
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/** Between two measurements: pgbench's start, its connections, its end. */
const overheadSeconds = 0.4

export function measurementsIn({
  cases,
  systems,
  rounds,
}: Pick<Plan, 'cases' | 'systems' | 'rounds'>): number {
  return (
    cases.map(({ mode }) => systems.filter((s) => s.modes.includes(mode)).length).reduce((a, b) => a + b, 0) *
    rounds
  )
}

/** Undefined where a number of transactions is given, not a time. */
export function secondsFor(plan: Plan): number | undefined {
  if ('each' in plan.length) return undefined
  return measurementsIn(plan) * (plan.length.warmupSeconds + plan.length.seconds + overheadSeconds)
}

/**
 * Measures every case on every system, once in every round, the systems right after each other: a noisy minute of the
 * machine meets all of them. Interrupted, it returns what it has.
 */
export async function runPlan(plan: Plan, bench: Bench): Promise<Row[]> {
  const results = plan.cases.map((row) => ({
    case: row,
    results: new Map<SystemName, RunResult[]>(systemsFor(plan, row).map(({ name }) => [name, []])),
  }))
  const total = measurementsIn(plan)
  let done = 0
  for (let round = 0; round < plan.rounds; round++) {
    for (const row of results) {
      const systems = rotate(systemsFor(plan, row.case), round)
      for (const system of systems) {
        if (bench.signal.aborted) return results
        const result = await measure(bench, row.case, system, plan.length).catch((error: unknown) => {
          if (bench.signal.aborted) return undefined
          throw error
        })
        if (result === undefined) return results
        row.results.get(system.name)!.push(result)
        done++
        const left = String(done).padStart(String(total).length)
        bench.say(`${left}/${total}  ${row.case.label}, ${system.name}: ${describe(result)}`)
      }
    }
  }
  return results
}

function systemsFor({ systems }: Plan, { mode }: Case): System[] {
  return systems.filter((system) => system.modes.includes(mode))
}

/** Every round another one goes first: none is always the one that runs on warm caches, or after a checkpoint. */
function rotate<T>(list: readonly T[], by: number): T[] {
  const at = list.length === 0 ? 0 : by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}

export async function measure(
  bench: Bench,
  row: Case,
  system: System,
  length: RunOptions['length'],
): Promise<RunResult> {
  const { copyIn } = row.line
  if (copyIn !== undefined) {
    const { pgbench, dir, signal, keys } = bench
    const { target, pids } = system
    return runCopyIn({ pgbench, dir, signal, target, pids, length, copyIn, rows: keys.accounts })
  }
  const scriptFile = join(bench.dir, `${row.line.name.replace(/\W+/g, '-')}.sql`)
  writeFileSync(scriptFile, row.line.script(bench.keys))
  const { pgbench, signal } = bench
  const { target, pids, adminUrls } = system
  const { mode, clients } = row
  const options = { pgbench, target, scriptFile, mode, clients, length, pids, signal }
  const run = clients === 1 ? () => runLogged(options, bench.dir) : () => runPgbench(options)
  if (adminUrls === undefined) return run()
  const before = await readMetrics(adminUrls)
  const result = await run()
  if (result.kind === 'failed') return result
  const phases = commitPhases(before, await readMetrics(adminUrls), result.transactions)
  return phases.length === 0 ? result : { ...result, commitPhases: phases }
}

/** What one client waits is seen apart from what its transactions wait for each other. */
async function runLogged(options: RunOptions, dir: string): Promise<RunResult> {
  const logPrefix = join(dir, `latency-${process.hrtime.bigint()}`)
  const result = await runPgbench({ ...options, logPrefix })
  const warmupSeconds = 'each' in options.length ? 0 : options.length.warmupSeconds
  const quantilesMs = exactQuantiles(takeLatencies(logPrefix, warmupSeconds))
  return result.kind === 'failed' || quantilesMs === undefined ? result : { ...result, quantilesMs }
}

function describe(result: RunResult): string {
  return result.kind === 'measured' ? `${Math.round(result.perSecond)}/s` : `FAILED: ${result.why}`
}
