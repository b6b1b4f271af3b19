import type { Op } from './op.ts'

/** One operation of a client: from when it was asked to when, and how, it was answered. */
export interface Call {
  readonly invoke: Op
  /** The completion; without one, or with `info`, nobody knows whether it was done. */
  readonly end: Op | undefined
  readonly outcome: 'ok' | 'fail' | 'info'
  readonly process: number
}

/** The operations of clients in the order in which they began. */
export function callsOf(history: readonly Op[]): Call[] {
  const open = new Map<number, number>()
  const calls: Call[] = []
  for (const op of history) {
    if (op.process === 'nemesis') continue
    const { process } = op
    const at = open.get(process)
    if (op.type === 'invoke') {
      open.set(process, calls.length)
      calls.push({ invoke: op, end: undefined, outcome: 'info', process })
      continue
    }
    // Histories that were cut at their beginning have completions without an invocation.
    const invoke = at === undefined ? op : (calls[at] as Call).invoke
    const call: Call = { invoke, end: op, outcome: op.type, process }
    if (at === undefined) calls.push(call)
    else calls[at] = call
    open.delete(process)
  }
  return calls
}

/** The index that a found anomaly names: that of the completion. */
export function indexOf(call: Call): number {
  return (call.end ?? call.invoke).index
}

/** Whether one was answered before the other was asked. */
export function isBefore(one: Call, other: Call): boolean {
  return one.outcome === 'ok' && one.end !== undefined && one.end.index < other.invoke.index
}

/** What the client was told: the value of the completion. */
export function told<Value>({ end }: Call): Value {
  return end?.value as Value
}
