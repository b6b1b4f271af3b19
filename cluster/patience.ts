import { PgError } from '../errors/pg-error.ts'

/**
 * How a node that starts waits for what is not there yet: for as long as it takes, saying what for. Only what will pass
 * is waited for; what somebody has to correct ends the start.
 */
export interface Patience {
  /** Ends the wait, which then rejects with its reason. */
  readonly signal?: AbortSignal | undefined
  /** Told what is waited for when that changes; undefined: nothing any more. */
  waiting(why: string | undefined): void
}

const AGAIN_MS_MIN = 50
const AGAIN_MS_MAX = 1_000

/**
 * No connection, or one that is lost (08), a server that starts, stops or has no connection to spare (57P, 53), is still
 * a standby (25006), or has another agent (55006); and statements that the same things ended (40).
 */
const passing = /^(08|57P|53|40|25006|55006)/

/** Tries until it works, or fails for a reason that will not pass. */
export async function untilReached<T>({ signal, waiting }: Patience, work: () => Promise<T>): Promise<T> {
  let told: string | undefined
  const tell = (why: string | undefined): void => {
    if (why !== told) waiting(why)
    told = why
  }
  for (let pauseMs = AGAIN_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, AGAIN_MS_MAX)) {
    signal?.throwIfAborted()
    try {
      const reached = await work()
      tell(undefined)
      return reached
    } catch (error) {
      if (!(error instanceof PgError) || !passing.test(error.code)) throw error
      tell(error.message)
    }
    await pause(pauseMs, signal)
  }
}

/** Shorter when the signal comes. */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal?.addEventListener('abort', done)
  })
}
