import { Canceled, ConnectionLost, QueryCanceled, TimedOut } from '../errors/errors.ts'

/** When to stop waiting for something. */
export interface Limits {
  /** Aborted: a cancel request is sent to the server, and the call rejects with `Canceled`. */
  readonly signal?: AbortSignal | undefined
  /** The same after so many milliseconds, with `TimedOut`. 0: none. */
  readonly timeoutMs?: number | undefined
}

/** What a watch does with what it watches. */
export interface Watched {
  /** Asks the server to end what runs. */
  cancel(): Promise<void>
  /** Ends the connection. */
  destroy(): void
}

/** The longest delay that a timer takes. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Looks after one request: cancels it when its time is over or its signal says so, and drops what does not answer. */
export class Watch {
  readonly #watched: Watched
  readonly #limits: Limits
  readonly #graceMs: number
  readonly #onAbort = (): void => this.#stop(canceledBy(this.#limits.signal))
  #timer: NodeJS.Timeout | undefined
  #grace: NodeJS.Timeout | undefined
  #why: Canceled | TimedOut | undefined
  #canceling: Promise<void> | undefined

  /** @throws Canceled when the signal is aborted already. */
  constructor(watched: Watched, limits: Limits, graceMs: number) {
    this.#watched = watched
    this.#limits = limits
    this.#graceMs = graceMs
    throwIfAborted(limits.signal)
    limits.signal?.addEventListener('abort', this.#onAbort, { once: true })
    const { timeoutMs = 0 } = limits
    if (timeoutMs > 0) {
      const stop = (): void => this.#stop(new TimedOut(`canceled after ${timeoutMs} ms`))
      this.#timer = setTimeout(stop, Math.min(timeoutMs, TIMER_MS_MAX))
    }
  }

  get isStopped(): boolean {
    return this.#why !== undefined
  }

  #stop(why: Canceled | TimedOut): void {
    if (this.#why !== undefined) return
    this.#why = why
    this.#canceling = this.#watched.cancel()
    this.#grace = setTimeout(() => this.#watched.destroy(), this.#graceMs)
  }

  /** The server's "canceled" is ours when we asked for it. */
  explain(error: unknown): unknown {
    if (this.#why === undefined) return error
    if (error instanceof QueryCanceled) return this.#why
    if (error instanceof ConnectionLost)
      return new ConnectionLost(error.message, { cause: this.#why, sent: error.sent })
    return error
  }

  /** A cancel request that is still under way would hit the next request. */
  async end(): Promise<void> {
    clearTimeout(this.#timer)
    this.#limits.signal?.removeEventListener('abort', this.#onAbort)
    await this.#canceling
    clearTimeout(this.#grace)
  }
}

export function canceledBy(signal: AbortSignal | undefined): Canceled {
  return new Canceled('canceled by its signal', { cause: signal?.reason })
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw canceledBy(signal)
}
