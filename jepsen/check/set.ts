import { type Call, callsOf, told } from '../history/calls.ts'
import { callsTo, checkElements, lookOf, okCalls } from './elements.ts'
import { Judge } from './judge.ts'
import type { SetAdd, SetRead } from './ops.ts'
import type { Check } from './verdict.ts'

/**
 * Nothing that was acknowledged is lost, nothing is there that was refused. Operations: `SetAdd`, `SetRead` of
 * ops.ts.
 */
export const set: Check = (history, options) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const looks = okCalls(calls, 'read').map((call) =>
    lookOf(call, told<NonNullable<SetRead> | null>(call) ?? []),
  )
  checkElements(callsTo(calls, 'add').map(addedBy), looks, options, judge)
  return judge.verdict()
}

/** An `add` whose value is the element. */
export function addedBy(call: Call): { element: number; call: Call } {
  return { element: call.invoke.value as SetAdd, call }
}
