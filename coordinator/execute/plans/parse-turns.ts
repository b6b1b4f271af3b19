/** Texts from this size on are parsed in turns; plans of longer ones are not kept, so they come here every time. */
export const LONG_TEXT_BYTES = 64 * 1024

/** A clock in milliseconds, and how to be called later. */
export interface TurnClock {
  now(): number
  after(ms: number, callback: () => void): void
}

const CLOCK: TurnClock = {
  now: () => performance.now(),
  after: (ms, callback) => void setTimeout(callback, ms),
}

/**
 * Parsing holds up every session of the node. Between two long texts, whoever sends them, the others have the node to
 * themselves for as long as the first one took.
 */
export class ParseTurns {
  private readonly clock: TurnClock
  private readonly queue: (() => void)[] = []
  private freeAt = 0
  private isArmed = false

  constructor(clock: TurnClock = CLOCK) {
    this.clock = clock
  }

  get waiting(): number {
    return this.queue.length
  }

  /** A promise: wait for it before a text of that size is parsed. */
  turn(bytes: number): void | Promise<void> {
    if (bytes < LONG_TEXT_BYTES) return
    if (this.queue.length === 0 && this.clock.now() >= this.freeAt) return
    return new Promise((resolve) => {
      this.queue.push(resolve)
      this.arm()
    })
  }

  /** A long text was parsed. */
  took(ms: number): void {
    this.freeAt = this.clock.now() + ms
  }

  private arm(): void {
    if (this.isArmed) return
    this.isArmed = true
    this.clock.after(Math.max(this.freeAt - this.clock.now(), 0), () => {
      this.isArmed = false
      if (this.clock.now() >= this.freeAt) this.queue.shift()?.()
      if (this.queue.length > 0) this.arm()
    })
  }
}
