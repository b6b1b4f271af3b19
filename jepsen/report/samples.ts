import { callsOf } from '../history/calls.ts'
import type { Op } from '../history/op.ts'

/** One operation as a point: when it was answered, and how long it took. */
export interface Sample {
  readonly atSeconds: number
  readonly latencyMs: number
  readonly outcome: Outcome
}

export const OUTCOMES = ['ok', 'fail', 'info'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** What the nemesis broke, from when to when. */
export interface Band {
  readonly fault: string
  readonly fromSeconds: number
  readonly toSeconds: number
}

const NANOSECONDS = 1e9

export function samplesOf(history: readonly Op[]): Sample[] {
  return callsOf(history).flatMap(({ invoke, end, outcome }) =>
    end === undefined
      ? []
      : [{ atSeconds: end.time / NANOSECONDS, latencyMs: (end.time - invoke.time) / 1e6, outcome }],
  )
}

export function secondsOf(history: readonly Op[]): number {
  return history.reduce((latest, { time }) => Math.max(latest, time / NANOSECONDS), 0)
}

/**
 * A fault begins with an op of the nemesis and ends with the next of its name; without one, with the history. Where the
 * value says `at`, only 'start' and 'stop' count: others tell that something did not work.
 */
export function bandsOf(history: readonly Op[]): Band[] {
  const open = new Map<string, number>()
  const bands: Band[] = []
  for (const { process, f, time, value } of history) {
    if (process !== 'nemesis') continue
    const at = value !== null && typeof value === 'object' && 'at' in value ? value.at : undefined
    if (at !== undefined && at !== 'start' && at !== 'stop') continue
    const seconds = time / NANOSECONDS
    const fromSeconds = open.get(f)
    if (fromSeconds === undefined) open.set(f, seconds)
    else {
      bands.push({ fault: f, fromSeconds, toSeconds: seconds })
      open.delete(f)
    }
  }
  const last = secondsOf(history)
  for (const [fault, fromSeconds] of open) bands.push({ fault, fromSeconds, toSeconds: last })
  return bands
}

/** The value below which a share of all are; undefined of nothing. */
export function quantile(sorted: readonly number[], share: number): number | undefined {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]
}

export function latenciesOf(samples: readonly Sample[]): number[] {
  return samples
    .filter(({ outcome }) => outcome === 'ok')
    .map(({ latencyMs }) => latencyMs)
    .sort((one, other) => one - other)
}

/** 0.42 ms, 12 ms, 3.1 s. */
export function durationWords(ms: number | undefined): string {
  if (ms === undefined) return '–'
  return ms < 1000 ? `${Number(ms.toPrecision(2))} ms` : `${Number((ms / 1000).toPrecision(2))} s`
}
