/**
 * Whether the operations on one register can be put in an order in which each took effect between when it was asked and when
 * it was answered (Wing, Gong 1993), just in time (Lowe 2017): the history is walked once, with the set of all states that
 * the register may be in. A state is a value and which of the running operations have taken effect.
 */
export interface Event {
  readonly kind: 'begin' | 'end'
  readonly operation: Operation
}

export interface Operation {
  readonly f: 'read' | 'write' | 'cas'
  /** What was read (null: nothing yet), written, or compared with. */
  readonly value: number | null
  /** What a `cas` set. */
  readonly next?: number
  /** Where it stands in the history; a name. */
  readonly index: number
}

export type Answer =
  | { readonly kind: 'possible' }
  /** The operation that cannot be explained, and the values that were possible when it ended. */
  | {
      readonly kind: 'impossible'
      readonly operation: Operation
      readonly values: readonly (number | null)[]
    }
  | { readonly kind: 'too-many' }

interface State {
  readonly value: number | null
  /** A bit for each running operation that has taken effect, by its slot. */
  readonly done: bigint
}

const keyOf = ({ value, done }: State): string => `${value} ${done.toString(36)}`

export function isLinearizable(events: readonly Event[], statesMax: number): Answer {
  const running = new Map<Operation, bigint>()
  const free: bigint[] = []
  let slots = 0n
  let states = new Map<string, State>()
  const first: State = { value: null, done: 0n }
  states.set(keyOf(first), first)
  let visited = 0
  for (const { kind, operation } of events) {
    if (kind === 'begin') {
      running.set(operation, free.pop() ?? 1n << slots++)
      continue
    }
    const bit = running.get(operation) as bigint
    const before = states
    const reached = reach(states, running, bit, statesMax - visited)
    if (reached === undefined) return { kind: 'too-many' }
    visited += reached.visited
    states = reached.states
    if (states.size === 0) {
      return {
        kind: 'impossible',
        operation,
        values: [...new Set([...before.values()].map(({ value }) => value))],
      }
    }
    running.delete(operation)
    free.push(bit)
  }
  return { kind: 'possible' }
}

/** All states in which the operation of a bit, which has now ended, has taken effect; the bit is free again. */
function reach(
  states: ReadonlyMap<string, State>,
  running: ReadonlyMap<Operation, bigint>,
  bit: bigint,
  visitsMax: number,
): { readonly states: Map<string, State>; readonly visited: number } | undefined {
  const seen = new Set<string>(states.keys())
  const queue = [...states.values()]
  const after = new Map<string, State>()
  // Grows while it is walked.
  for (const state of queue) {
    if (seen.size > visitsMax) return undefined
    if ((state.done & bit) !== 0n) {
      const ended = { value: state.value, done: state.done ^ bit }
      after.set(keyOf(ended), ended)
      continue
    }
    for (const [operation, other] of running) {
      if ((state.done & other) !== 0n) continue
      const value = apply(operation, state.value)
      if (value === undefined) continue
      const next = { value, done: state.done | other }
      const key = keyOf(next)
      if (seen.has(key)) continue
      seen.add(key)
      queue.push(next)
    }
  }
  return { states: after, visited: seen.size }
}

/** The value afterwards; undefined when the operation cannot happen to this value. */
function apply({ f, value, next }: Operation, now: number | null): number | null | undefined {
  if (f === 'write') return value
  if (value !== now) return undefined
  return f === 'read' ? now : (next as number)
}
