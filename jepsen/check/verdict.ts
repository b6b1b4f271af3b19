import type { Op } from '../history/op.ts'

/** What a transaction was begun with. */
export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

/** Unknown: nothing wrong was found, but something was not looked at, or there was too little to look at. */
export interface Verdict {
  readonly valid: true | false | 'unknown'
  /** What must not be, the worst first. */
  readonly anomalies: readonly Found[]
  /** What the isolation level lets through: that it was seen shows that the run could have seen worse. */
  readonly allowed: readonly Found[]
  readonly counts: Readonly<Record<string, number>>
  /** Sentences for the report: why it is unknown, what was left out. */
  readonly notes: readonly string[]
}

export interface Found {
  /** As in the literature: 'G1c', 'G-single-realtime', 'lost', … */
  readonly kind: string
  readonly text: string
  /** A picture, `<svg …>`, that fits in a page. */
  readonly svg?: string
  /** The indexes of the operations that show it (their completions, where there is one). */
  readonly ops: readonly number[]
}

/** What a run promises, and what its checker has to know of it. */
export interface CheckOptions {
  readonly isolation: Isolation
  /** What was acknowledged before an operation began is seen by it, whoever asks: strict. */
  readonly realtime: boolean
  /** The same, within one process only. Without it, as `realtime`. */
  readonly session?: boolean
  /** list-append: a read of one list asks all shards, so that at READ COMMITTED it is one cut too. */
  readonly scatteredReads?: boolean
  /** bank: the balance of each account before the first transfer; whether they may go below zero. */
  readonly bank?: { readonly accounts: Readonly<Record<string, number>>; readonly negative?: boolean }
  /** register: how many states the search may look at for each key before it says 'unknown' (2,000,000). */
  readonly statesMax?: number
  /** foreign-keys: whether the deletion of a parent takes its children with it. */
  readonly cascade?: boolean
  /** rw-register: each key by itself is linearizable, which tells more of the order of its versions. */
  readonly linearizableKeys?: boolean
}

/** Judges a history. Pure. */
export type Check = (history: readonly Op[], options: CheckOptions) => Verdict
