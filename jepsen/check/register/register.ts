import { type Call, callsOf, indexOf, told } from '../../history/calls.ts'
import { groupBy } from '../group.ts'
import { Judge } from '../judge.ts'
import type { RegisterValue } from '../ops.ts'
import type { Check } from '../verdict.ts'
import { type Event, isLinearizable, type Operation } from './search.ts'

const STATES_MAX = 2_000_000

/**
 * Reads, writes and compare-and-sets of registers, each of which has to be linearizable by itself; then all of them are
 * (Herlihy, Wing 1990). Operations: `RegisterValue` of ops.ts.
 */
export const register: Check = (history, { statesMax = STATES_MAX }) => {
  const judge = new Judge()
  const calls = callsOf(history).filter(({ invoke }) => ['read', 'write', 'cas'].includes(invoke.f))
  const keys = groupBy(calls, ({ invoke }) => (invoke.value as RegisterValue)[0])
  for (const [key, own] of keys) {
    const answer = isLinearizable(eventsOf(own), statesMax)
    if (answer.kind === 'too-many') {
      judge.doubt(`Register ${key} has more than ${statesMax} possible states: it was not judged to its end.`)
    } else if (answer.kind === 'impossible') {
      const { operation, values } = answer
      const possible = values.map((value) => value ?? 'nil').join(', ')
      judge.find(
        'not-linearizable',
        `register ${key}: op ${operation.index}, ${wordsOf(operation)}, cannot have happened: by then it can only have been ${possible}, or what is written at the same time`,
        [operation.index],
      )
    }
  }
  for (const outcome of ['ok', 'fail', 'info'] as const) {
    judge.count(`operations ${outcome}`, calls.filter((call) => call.outcome === outcome).length)
  }
  judge.count('registers', keys.size)
  const reads = calls.filter(({ invoke, outcome }) => invoke.f !== 'write' && outcome === 'ok').length
  if (reads === 0) judge.doubt('Nothing was read, so nothing is known.')
  return judge.verdict()
}

function wordsOf({ f, value, next }: Operation): string {
  return f === 'cas' ? `cas from ${value} to ${next}` : `${f} of ${value ?? 'nil'}`
}

/**
 * In the order of the history. What failed did not happen. What has no end may take effect at any time: of that, reads tell
 * nothing, and neither does what sets a value that nobody has seen: it can be left out, since what is never seen can as well
 * not have happened.
 */
function eventsOf(calls: readonly Call[]): Event[] {
  const seen = new Set<number | null>()
  for (const call of calls) {
    if (call.outcome === 'fail') continue
    const { f, value } = operationOf(call)
    if (f === 'cas' || (f === 'read' && call.outcome === 'ok')) seen.add(value)
  }
  const events = calls.flatMap((call): (Event & { readonly at: number })[] => {
    if (call.outcome === 'fail') return []
    const operation = operationOf(call)
    const begin = { kind: 'begin', operation, at: call.invoke.index } as const
    if (call.outcome === 'ok') return [begin, { kind: 'end', operation, at: indexOf(call) }]
    const set = operation.f === 'cas' ? (operation.next as number) : operation.value
    return operation.f === 'read' || !seen.has(set) ? [] : [begin]
  })
  return events.sort((one, other) => one.at - other.at)
}

function operationOf(call: Call): Operation {
  const f = call.invoke.f as Operation['f']
  const [, value] = call.outcome === 'ok' ? told<RegisterValue>(call) : (call.invoke.value as RegisterValue)
  const index = indexOf(call)
  if (Array.isArray(value)) return { f, value: value[0] as number, next: value[1] as number, index }
  return { f, value: value as number | null, index }
}
