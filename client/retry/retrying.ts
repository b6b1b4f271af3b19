import { throwIfAborted } from '../pool/watch.ts'
import type { Clock } from './clock.ts'
import { nextTry, type RetryPolicy } from './retry.ts'

/** A try that failed, and what is done about it. */
export interface RetryEvent {
  /** Counts from 1. */
  readonly failed: number
  readonly error: unknown
  /** How long is waited, in milliseconds. */
  readonly waitMs: number
}

export interface RetryOptions {
  readonly policy: RetryPolicy
  readonly clock: Clock
  readonly random: () => number
  readonly signal?: AbortSignal | undefined
  readonly onRetry?: ((event: RetryEvent) => void) | undefined
}

/** Runs `attempt` until it succeeds, or fails in a way that another try would not mend. */
export async function retrying<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { policy, clock, random, signal } = options
  for (let failed = 1; ; failed++) {
    try {
      return await attempt()
    } catch (error) {
      const next = nextTry(policy, failed, error, random)
      if (next.kind === 'give-up') throw error
      options.onRetry?.({ failed, error, waitMs: next.ms })
      await clock.sleep(next.ms, signal)
      throwIfAborted(signal)
    }
  }
}
