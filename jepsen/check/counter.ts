import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { callsTo, isFinal, okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { Check } from './verdict.ts'

/** What a read may at least and at most be. */
interface Bounds {
  low: number
  high: number
}

/**
 * A counter that is added to: a read is at least what had been acknowledged when it began, and at most what had been tried
 * when it ended. Operations: `CounterValue` of ops.ts.
 */
export const counter: Check = (history, { realtime }) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const adds = callsTo(calls, 'add').filter(({ outcome }) => outcome !== 'fail')
  const reads = okCalls(calls, 'read')
  const bounds = boundsOf(adds, reads)
  let widest = 0
  for (const [read, { low, high }] of bounds) {
    const value = told<number>(read)
    widest = Math.max(widest, high - low)
    const isTooLow = value < low && (realtime || isFinal(read))
    if (!isTooLow && value <= high) continue
    judge.find('out-of-bounds', `op ${indexOf(read)} reads ${value}, and it must be from ${low} to ${high}`, [
      indexOf(read),
    ])
  }
  judge.count('additions', adds.length)
  judge.count('reads', reads.length)
  judge.count('widest bounds', widest)
  if (reads.length === 0) judge.doubt('Nothing was read, so nothing is known.')
  if (!reads.some(isFinal)) judge.note('There is no final read: what was lost last may have been missed.')
  return judge.verdict()
}

/** What may only be possible counts where it makes the bounds wider. */
function boundsOf(adds: readonly Call[], reads: readonly Call[]): Map<Call, Bounds> {
  const events = [
    ...adds.map((call) => ({ at: call.invoke.index, call, what: 'tried' as const })),
    ...adds
      .filter(({ outcome }) => outcome === 'ok')
      .map((call) => ({ at: indexOf(call), call, what: 'done' as const })),
    ...reads.map((call) => ({ at: call.invoke.index, call, what: 'begins' as const })),
    ...reads.map((call) => ({ at: indexOf(call), call, what: 'ends' as const })),
  ].sort((one, other) => one.at - other.at)
  const bounds = new Map<Call, Bounds>()
  const up = { tried: 0, done: 0 }
  const down = { tried: 0, done: 0 }
  for (const { call, what } of events) {
    if (what === 'begins') bounds.set(call, { low: up.done, high: down.done })
    else if (what === 'ends') {
      const atBegin = bounds.get(call) as Bounds
      atBegin.low += down.tried
      atBegin.high += up.tried
    } else {
      const amount = call.invoke.value as number
      const side = amount < 0 ? down : up
      side[what] += amount
    }
  }
  return bounds
}
