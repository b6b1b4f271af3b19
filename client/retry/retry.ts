import { ConnectionLost, DatabaseError, DeadlockDetected, SerializationFailure } from '../errors/errors.ts'

/** How often a transaction is tried again, and how long is waited before. */
export interface RetryPolicy {
  /** Tries after the first one. */
  readonly retries: number
  /** Upper bound of the wait before the first of them; it doubles with each. */
  readonly baseMs: number
  /** No wait is longer. */
  readonly capMs: number
}

export const defaultRetries: RetryPolicy = { retries: 5, baseMs: 10, capMs: 1000 }

export type NextTry = { readonly kind: 'wait'; readonly ms: number } | { readonly kind: 'give-up' }

/**
 * What follows a failed try; `failed` counts them from 1. The wait is drawn evenly from zero to its bound ("full
 * jitter"): who collided once shall not meet again.
 */
export function nextTry(policy: RetryPolicy, failed: number, error: unknown, random: () => number): NextTry {
  if (failed > policy.retries || !hadNoEffect(error)) return { kind: 'give-up' }
  const bound = Math.min(policy.capMs, policy.baseMs * 2 ** (failed - 1))
  return { kind: 'wait', ms: Math.floor(random() * bound) }
}

/** The server ended the session: a shutdown, a crash of another backend, a start that is not over. */
const ENDED = new Set(['57P01', '57P02', '57P03', '57P05'])

/**
 * Whether nothing of it took effect and another try may do better. An outcome that is not known is no such error, nor
 * is one that would come again.
 */
export function hadNoEffect(error: unknown): boolean {
  return (
    error instanceof SerializationFailure ||
    error instanceof DeadlockDetected ||
    error instanceof ConnectionLost ||
    (error instanceof DatabaseError && ENDED.has(error.sqlstate))
  )
}
