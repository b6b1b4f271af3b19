import type { KeyType } from '../catalog.ts'

/**
 * What a key value leads to: a slot (0 to 4095) or one of the three below, all plain numbers, so that the way of a
 * statement allocates nothing.
 */
export type SlotAnswer = number

/** The value is NULL: it equals nothing, and a shard key may not be it. */
export const NULL_KEY = -1
/** Provably equal to no value of the key's type under `=`. For an assignment read it as UNSURE: Postgres converts. */
export const NO_MATCH = -2
/** This code cannot say for certain what Postgres would make of the value, or Postgres would refuse it: ask Postgres. */
export const UNSURE = -3

/**
 * What a value was before it met the key: `unknown` (an untyped string literal or parameter: the key type's own input
 * function reads it), `number` (a bare number literal: int4, int8 or numeric by its size, compared across types), or
 * the name of a type without modifier (`int8`, `text`, …) of a cast or a declared parameter.
 */
export type KeySource = 'unknown' | 'number' | KeyType | (string & Record<never, never>)

export interface KeyContext {
  /** The session's TimeZone is UTC; otherwise a timestamptz without an offset is UNSURE. */
  readonly zone?: 'UTC'
  /**
   * Assignments (INSERT, COPY) only: the key column's `atttypmod`. A value that `varchar(n)`, `numeric(p, s)` or
   * `timestamp(p)` would change on the way in is UNSURE. A comparison does not apply it: leave it out.
   */
  readonly typmod?: number
}

export const NO_CONTEXT: KeyContext = {}

/** `varchar(n)` cuts spaces off the end (and refuses other excess); lengths count characters. */
export function textFits(buf: Uint8Array, start: number, end: number, typmod: number | undefined): boolean {
  if (typmod === undefined || typmod < 4) return true
  let characters = 0
  for (let p = start; p < end; p++) if ((buf[p]! & 0xc0) !== 0x80) characters++
  return characters <= typmod - 4
}

export function decimalFits(scale: number, typmod: number | undefined): boolean {
  if (typmod === undefined || typmod < 4) return true
  // An 11-bit signed number since Postgres 15: the scale may be negative.
  return scale <= (((typmod - 4) & 0x7ff) ^ 1024) - 1024
}

export function timestampFits(scale: number, typmod: number | undefined): boolean {
  return typmod === undefined || typmod < 0 || scale <= typmod
}
