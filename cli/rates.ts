import type { History, Sample } from '../admin/api/schemas.ts'

const OVER_MS = 10_000

/** What a node did in a second, over its last ten; undefined when it has not counted for long enough. */
export interface Rates {
  readonly seconds: number
  readonly statements: number
  /** Of the statements, those that one shard answered, or none. */
  readonly on_one_shard: number
  readonly errors: number
  /** Over several shards. */
  readonly commits: number
  /** So many seconds, or less, were enough for a half of the statements, and for 99 of 100; null: none ran. */
  readonly p50_seconds: number | null
  readonly p99_seconds: number | null
}

export function ratesOf({ bounds, samples }: History): Rates | undefined {
  const last = samples.at(-1)
  if (last === undefined) return undefined
  const lastMs = Date.parse(last.at)
  const first = samples.find(({ at }) => lastMs - Date.parse(at) <= OVER_MS)!
  const seconds = (lastMs - Date.parse(first.at)) / 1_000
  // A restart is none: its history began anew with it.
  if (seconds <= 0) return undefined
  const grown = (pick: (sample: Sample) => number): number => (pick(last) - pick(first)) / seconds
  const counts = last.latency.map((many, i) => many - (first.latency[i] ?? 0))
  return {
    seconds,
    statements: grown(({ statements }) => Object.values(statements).reduce((sum, many) => sum + many, 0)),
    on_one_shard: grown(({ statements }) => statements.local + statements.one),
    errors: grown(({ errors }) => errors),
    commits: grown(({ commits }) => commits.committed),
    p50_seconds: enough(bounds, counts, 0.5),
    p99_seconds: enough(bounds, counts, 0.99),
  }
}

/** The first bound that so many of all lie below; the last one when more lie above it. */
function enough(bounds: readonly number[], counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, many) => sum + many, 0)
  if (total === 0) return null
  let below = 0
  const at = counts.findIndex((many) => {
    below += many
    return below >= share * total
  })
  return bounds[at] ?? bounds.at(-1) ?? null
}
