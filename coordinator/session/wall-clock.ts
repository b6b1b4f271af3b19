const US_PER_MS = 1000
/** How long the start waits for the machine's clock to move on. */
const TICK_MS_MAX = 3

/**
 * The clock of the machine in microseconds, of which `Date` tells milliseconds: in between, a clock that runs evenly tells
 * what is behind the point. Always within the millisecond that `Date` tells, wherever somebody may set that.
 */
export class WallClock {
  /** What it is ahead of the even clock. */
  private aheadUs: number

  constructor() {
    const first = Date.now()
    const startMs = performance.now()
    let ms = first
    // A millisecond that has just begun is known best.
    while (ms === first && performance.now() - startMs < TICK_MS_MAX) ms = Date.now()
    this.aheadUs = (ms - performance.now()) * US_PER_MS
  }

  /** Microseconds since 1970. */
  now(): number {
    const evenUs = performance.now() * US_PER_MS
    const leastUs = Date.now() * US_PER_MS
    const us = evenUs + this.aheadUs
    if (us < leastUs) this.aheadUs = leastUs - evenUs
    else if (us >= leastUs + US_PER_MS) this.aheadUs = leastUs + US_PER_MS - 1 - evenUs
    return Math.floor(evenUs + this.aheadUs)
  }
}
