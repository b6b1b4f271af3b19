/**
 * A history: what clients asked of the database and what they were told, in the form of Jepsen's, so that its checkers
 * can read it too.
 */

/** What fits in JSON, and, but for its fractions, in EDN as Jepsen writes it. */
export type OpValue =
  | null
  | boolean
  | number
  | string
  | readonly OpValue[]
  | { readonly [key: string]: OpValue }

/** `fail`: certainly not done. `info`: possibly done, then or at any time later; its process never comes again. */
export type OpType = 'invoke' | 'ok' | 'fail' | 'info'

/** A step of a history. An invocation and its completion have the same process and `f`. */
export interface Op {
  /** 0, 1, 2 … in the order of the history. */
  readonly index: number
  /** Nanoseconds since the run began, a whole number. */
  readonly time: number
  readonly type: OpType
  /** One that ended with `info` is dead: its client goes on under a new number. */
  readonly process: number | 'nemesis'
  /** 'txn', 'transfer', 'read', 'add', … and for the nemesis what it does. */
  readonly f: string
  readonly value: OpValue
  readonly error?: OpError
  /** The coordinator that was asked. */
  readonly node?: string
  /** Belongs to the reads at the end, when all is healed and nothing else runs: what is missing there is lost. */
  readonly final?: true
  /**
   * Of a transaction: the number of the statement that each micro-op belongs to, when one statement reads several keys:
   * `[0, 1, 1]` when the second and third are one. Left out: each is a statement of its own.
   */
  readonly statements?: readonly number[]
}

export interface OpError {
  readonly sqlstate?: string
  readonly message: string
}

/** A part of the value of a `txn`: append to a list or write a register; read either (null: not there, or not yet told). */
export type MicroOp =
  | readonly ['append' | 'w', number, number]
  | readonly ['r', number, number | readonly number[] | null]
