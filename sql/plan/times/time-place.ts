import type { Clock } from '../../tree/time-calls.ts'

/** Where a time is put into a text (sql/plan/times): in bytes from a literal on, which holds for all of a fingerprint. */
export interface TimePlace {
  /** Number of the literal before it; -1: none. */
  readonly literal: number
  /** From that literal's end, or from where the text begins. */
  readonly skip: number
  readonly length: number
  /** What comes there: text, and times. */
  readonly parts: readonly (string | { readonly clock: Clock })[]
}

/** A literal that is read as a time if it says 'now' or the like (sql/plan/times/time-words.ts). */
export interface TimeWord {
  readonly literal: number
  /** Of what it becomes. */
  readonly type: string
  /** Bytes ahead of it that go with it: the type's name in `date 'today'`. */
  readonly before: number
}
