import type { History, Sample } from '../../admin/api/schemas.ts'

/** Lines over one time axis; null where nothing is known. */
export interface Lines {
  /** Seconds since 1970. */
  readonly times: readonly number[]
  readonly values: readonly (readonly (number | null)[])[]
}

/** Samples that are further apart have something between them that nobody saw. */
const GAP_INTERVALS = 4

/** What was there, and what came since; the oldest fall off. */
export function joined(known: readonly Sample[], fresh: readonly Sample[], max: number): readonly Sample[] {
  const last = known.at(-1)?.at ?? ''
  return [...known, ...fresh.filter(({ at }) => at > last)].slice(-max)
}

const secondsOf = ({ at }: Sample): number => Date.parse(at) / 1_000

/** Values as they are at each sample. */
export function levels(samples: readonly Sample[], ...picks: ((sample: Sample) => number)[]): Lines {
  return { times: samples.map(secondsOf), values: picks.map((pick) => samples.map(pick)) }
}

/** What counters grew by in a second; null after a restart, where they began anew, and over a gap. */
export function rates({ samples, every_ms }: History, ...picks: ((sample: Sample) => number)[]): Lines {
  return between(samples, every_ms, picks.length, (before, now, seconds) => {
    const grown = picks.map((pick) => pick(now) - pick(before))
    return grown.map((more) => (more < 0 ? null : more / seconds))
  })
}

/** Quantiles of what was counted between two samples, in the unit of the bounds; null where nothing was. */
export function quantiles({ samples, every_ms, bounds }: History, ...qs: number[]): Lines {
  return between(samples, every_ms, qs.length, (before, now) => {
    const counts = now.latency.map((many, i) => many - (before.latency[i] ?? 0))
    return qs.map((q) => quantile(bounds, counts, q))
  })
}

type Step = (before: Sample, now: Sample, seconds: number) => (number | null)[]

function between(samples: readonly Sample[], everyMs: number, lines: number, step: Step): Lines {
  const [, ...later] = samples
  const rows = later.map((now, i) => {
    const before = samples[i]!
    const seconds = secondsOf(now) - secondsOf(before)
    const isGap = seconds <= 0 || seconds * 1_000 > everyMs * GAP_INTERVALS
    return isGap ? Array.from({ length: lines }, () => null) : step(before, now, seconds)
  })
  return {
    times: later.map(secondsOf),
    values: Array.from({ length: lines }, (_, line) => rows.map((row) => row[line] ?? null)),
  }
}

/**
 * Of counts in buckets, up to each bound and one above all: evenly spread within a bucket. What lies above all bounds is
 * said to be the last one.
 */
export function quantile(bounds: readonly number[], counts: readonly number[], q: number): number | null {
  if (counts.some((many) => many < 0)) return null
  const total = counts.reduce((sum, many) => sum + many, 0)
  if (total === 0) return null
  let left = q * total
  for (const [i, many] of counts.entries()) {
    const upper = bounds[i]
    if (upper === undefined) break
    if (left <= many && many > 0) {
      const lower = bounds[i - 1] ?? 0
      return lower + ((upper - lower) * left) / many
    }
    left -= many
  }
  return bounds.at(-1) ?? null
}

/** The value now; null where it is not known. */
export function latest(values: readonly (number | null)[] | undefined): number | null {
  return values?.at(-1) ?? null
}
