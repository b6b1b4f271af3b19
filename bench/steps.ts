/** Where the time of a commit goes: what Weft's own metrics and the servers' write-ahead logs say of one measurement. */
import { setTimeout as sleep } from 'node:timers/promises'
import { align } from './report.ts'
import { withClient } from './system.ts'

export type Metrics = ReadonlyMap<string, number>

/** Every series of a page in Prometheus' text format. */
export function parseMetrics(text: string): Metrics {
  const series = text
    .split('\n')
    .map((line) => /^([^#\s][^\s{]*(?:\{[^}]*\})?)\s+(\S+)$/.exec(line))
    .filter((found) => found !== null)
    .map((found) => [found[1]!, Number(found[2])] as const)
  return new Map(series)
}

/** Of several processes together. */
export async function readMetrics(adminUrls: readonly string[]): Promise<Metrics> {
  const pages = await Promise.all(adminUrls.map(readPage))
  const sum = new Map<string, number>()
  for (const page of pages) {
    for (const [series, value] of page) sum.set(series, (sum.get(series) ?? 0) + value)
  }
  return sum
}

async function readPage(adminUrl: string): Promise<Metrics> {
  const response = await fetch(`${adminUrl}/metrics`)
  return parseMetrics(await response.text())
}

export interface Step {
  readonly name: string
  readonly count: number
  /** Of a histogram in seconds. */
  readonly meanMs: number | undefined
}

/** Histograms of seconds and counters that moved. A new one in Weft is shown here without a change. */
export function stepsBetween(before: Metrics, after: Metrics): Step[] {
  const moved = (name: string): number => (after.get(name) ?? 0) - (before.get(name) ?? 0)
  return [...after.keys()].flatMap((series) => {
    const [, base = '', suffix = '', labels = ''] = /^(.*?)_(count|total)(\{.*\})?$/.exec(series) ?? []
    const count = moved(series)
    if (base === '' || count === 0) return []
    if (suffix === 'total') return [{ name: series, count, meanMs: undefined }]
    const seconds = base.endsWith('_seconds')
    return [
      {
        name: base + labels,
        count,
        meanMs: seconds ? (1000 * moved(`${base}_sum${labels}`)) / count : undefined,
      },
    ]
  })
}

/** Of a histogram of seconds, in milliseconds; as exact as its buckets. */
export interface Quantiles {
  readonly count: number
  readonly p50: number
  readonly p99: number
}

/** What every series moved by, over several runs together. */
export function sumOf(runs: readonly (readonly [before: Metrics, after: Metrics])[]): Metrics {
  const sum = new Map<string, number>()
  for (const [before, after] of runs) {
    for (const [series, value] of after) {
      sum.set(series, (sum.get(series) ?? 0) + value - (before.get(series) ?? 0))
    }
  }
  return sum
}

/** All series of one histogram of seconds together; undefined when nothing was observed. */
export function quantilesOf(moved: Metrics, histogram: string): Quantiles | undefined {
  const upTo = new Map<number, number>()
  for (const [series, count] of moved) {
    const bound = series.startsWith(`${histogram}_bucket{`) ? /le="([^"]*)"/.exec(series)?.[1] : undefined
    if (bound === undefined) continue
    const seconds = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound)
    upTo.set(seconds, (upTo.get(seconds) ?? 0) + count)
  }
  const buckets = [...upTo].sort(([a], [b]) => a - b)
  const count = buckets.at(-1)?.[1] ?? 0
  if (count === 0) return undefined
  return { count, p50: quantile(buckets, 0.5 * count), p99: quantile(buckets, 0.99 * count) }
}

/** Evenly spread inside its bucket. */
function quantile(buckets: readonly (readonly [seconds: number, upTo: number])[], rank: number): number {
  let [fromSeconds, before] = [0, 0]
  for (const [seconds, upTo] of buckets) {
    if (upTo >= rank) {
      if (seconds === Number.POSITIVE_INFINITY) break
      return 1000 * (fromSeconds + ((seconds - fromSeconds) * (rank - before)) / (upTo - before))
    }
    fromSeconds = seconds
    before = upTo
  }
  return 1000 * fromSeconds
}

/** One of the durable steps that a cross-shard commit takes one after the other. */
export interface CommitPhase {
  readonly name: string
  /** How many transactions went through it, for each transaction of the measurement. */
  readonly perTransaction: number
  readonly meanMs: number
}

const PHASE = /^weft_commit_phase_seconds\{phase="(\w+)"\}$/

/** Empty when no transaction of the measurement committed on several shards. */
export function commitPhases(before: Metrics, after: Metrics, transactions: number): CommitPhase[] {
  return stepsBetween(before, after).flatMap(({ name, count, meanMs = 0 }) => {
    const phase = PHASE.exec(name)?.[1]
    return phase === undefined ? [] : [{ name: phase, perTransaction: count / transactions, meanMs }]
  })
}

export interface WalUse {
  readonly fsyncs: number
  readonly bytes: number
}

/** Backends report their input and output when they have been idle for ten seconds. */
const statisticsDelayMs = 11_000

/** What the servers have written to their logs so far, all of them together. */
export async function readWal(serverUrls: readonly string[], signal: AbortSignal): Promise<WalUse> {
  await sleep(statisticsDelayMs, undefined, { signal })
  const each = await Promise.all(serverUrls.map(walOf))
  return each.reduce((a, b) => ({ fsyncs: a.fsyncs + b.fsyncs, bytes: a.bytes + b.bytes }))
}

async function walOf(url: string): Promise<WalUse> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ fsyncs: string; bytes: string }>(
      `SELECT (SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal') AS fsyncs,
        (SELECT wal_bytes FROM pg_stat_wal) AS bytes`,
    )
    return { fsyncs: Number(rows[0]!.fsyncs), bytes: Number(rows[0]!.bytes) }
  })
}

export function formatSteps(steps: readonly Step[]): string {
  if (steps.length === 0) return 'Weft counts nothing of its commits yet.'
  const rows = steps.map(({ name, count, meanMs }) => [
    name,
    count.toFixed(3),
    meanMs === undefined ? '' : meanMs.toFixed(3),
  ])
  return align([['metric', 'per transaction', 'mean ms'], ...rows]).join('\n')
}
