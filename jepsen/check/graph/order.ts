import type { Call } from '../../history/calls.ts'
import type { Graph } from './graph.ts'

/** A node of the graph, and the call that it was a part of. */
export interface Placed {
  readonly node: number
  readonly call: Call
}

/**
 * What was acknowledged before something else began comes before it. Each call after the first that was acknowledged since
 * the last one makes a node that leads through (a barrier): behind it is all that ended before, and it leads to the next
 * barrier, so that edges are as many as calls and not their square, as in Elle.
 */
export function addRealtime(graph: Graph, placed: readonly Placed[]): void {
  const events = placed.flatMap(({ node, call }) => [
    { index: call.invoke.index, node, isEnd: false },
    ...(call.outcome === 'ok' && call.end !== undefined
      ? [{ index: call.end.index, node, isEnd: true }]
      : []),
  ])
  events.sort((one, other) => one.index - other.index)
  let barrier: number | undefined
  let ended: number[] = []
  for (const { node, isEnd } of events) {
    if (isEnd) {
      ended.push(node)
      continue
    }
    if (ended.length > 0) {
      const next = graph.addThrough()
      if (barrier !== undefined) graph.add(barrier, 'via', next)
      for (const before of ended) graph.add(before, 'realtime', next)
      barrier = next
      ended = []
    }
    if (barrier !== undefined) graph.add(barrier, 'via', node)
  }
}

/** What a process did comes in the order in which it did it. */
export function addProcessOrder(graph: Graph, placed: readonly Placed[]): void {
  const last = new Map<number, number>()
  for (const { node, call } of placed) {
    const before = last.get(call.process)
    if (before !== undefined) graph.add(before, 'process', node)
    last.set(call.process, node)
  }
}
