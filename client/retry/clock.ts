import { setTimeout as sleep } from 'node:timers/promises'
import { Canceled } from '../errors/errors.ts'

/** Time, as the library sees it; tests pass their own. */
export interface Clock {
  /** Milliseconds that only grow. */
  now(): number
  /** Ends after `ms` milliseconds, or with `Canceled` when `signal` is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    try {
      await sleep(ms, undefined, signal === undefined ? {} : { signal })
    } catch {
      throw new Canceled('canceled while it waited for the next try', { cause: signal?.reason })
    }
  },
}
