import { type Call, callsOf, indexOf, told } from '../history/calls.ts'
import { checkElements, isFinal, okCalls } from './elements.ts'
import { groupBy } from './group.ts'
import { Judge } from './judge.ts'
import type { MonotonicAdd, MonotonicRead } from './ops.ts'
import type { Check, CheckOptions } from './verdict.ts'

/**
 * A value is one more than all that its transaction saw: so what is added after another was acknowledged is greater, and at
 * SERIALIZABLE no value is there twice. What a session has seen it sees again. Operations: `MonotonicAdd` of ops.ts.
 */
export const monotonic: Check = (history, options) => {
  const judge = new Judge()
  const calls = callsOf(history)
  const adds = okCalls(calls, 'add')
  const reads = okCalls(calls, 'read')
  if (options.realtime) checkOrder(adds, judge)
  if (options.isolation === 'serializable') checkTwice(adds, judge)
  const { realtime, session = realtime } = options
  if (session) for (const own of groupBy(reads, ({ process }) => process).values()) checkSession(own, judge)
  const hasUnknown = calls.some(({ invoke, outcome }) => invoke.f === 'add' && outcome === 'info')
  checkReads(adds, reads, hasUnknown, options, judge)
  return judge.verdict()
}

function valueOfAdd(add: Call): number {
  return told<NonNullable<MonotonicAdd>>(add).value
}

function valuesOf(read: Call): readonly number[] {
  return told<MonotonicRead>(read) ?? []
}

function checkOrder(adds: readonly Call[], judge: Judge): void {
  const ended = adds.toSorted((one, other) => indexOf(one) - indexOf(other))
  let greatest: Call | undefined
  let next = 0
  for (const add of adds) {
    for (let one = ended[next]; one !== undefined && indexOf(one) < add.invoke.index; one = ended[++next]) {
      if (greatest === undefined || valueOfAdd(one) > valueOfAdd(greatest)) greatest = one
    }
    if (greatest === undefined || valueOfAdd(greatest) < valueOfAdd(add)) continue
    const ops = [indexOf(greatest), indexOf(add)]
    judge.find(
      'not-monotonic',
      `op ${ops[1]} adds ${valueOfAdd(add)} after ${valueOfAdd(greatest)} was acknowledged to op ${ops[0]}`,
      ops,
    )
  }
}

function checkTwice(adds: readonly Call[], judge: Judge): void {
  for (const [value, same] of groupBy(adds, valueOfAdd)) {
    if (same.length < 2) continue
    judge.find('duplicate', `${value} was added by ops ${same.map(indexOf).join(', ')}`, same.map(indexOf))
  }
}

function checkSession(reads: readonly Call[], judge: Judge): void {
  reads.forEach((read, i) => {
    const before = reads[i - 1]
    if (before === undefined) return
    const there = new Set(valuesOf(read))
    const gone = valuesOf(before).find((value) => !there.has(value))
    if (gone === undefined) return
    const ops = [indexOf(before), indexOf(read)]
    judge.find(
      'went-back',
      `process ${read.process} has seen ${gone} in op ${ops[0]} and not in op ${ops[1]}`,
      ops,
    )
  })
}

/** The value of an addition whose end is not known is not known either: what nobody added may be of one. */
function checkReads(
  adds: readonly Call[],
  reads: readonly Call[],
  hasUnknown: boolean,
  options: CheckOptions,
  judge: Judge,
): void {
  const added = [...groupBy(adds, valueOfAdd)].map(([element, [call]]) => ({ element, call: call as Call }))
  const known = new Set(added.map(({ element }) => element))
  const looks = reads.map((call) => {
    const all = valuesOf(call)
    const values = options.isolation === 'serializable' ? all : [...new Set(all)]
    return {
      call,
      elements: hasUnknown ? values.filter((value) => known.has(value)) : values,
      isFinal: isFinal(call),
    }
  })
  checkElements(added, looks, options, judge, 'value')
}
