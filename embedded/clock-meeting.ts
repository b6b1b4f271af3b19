import { PgError } from '../errors/pg-error.ts'
import type { Timestamp } from '../protocol/agent-link.ts'
import type { MuxClock } from '../protocol/transport/limits.ts'
import { type HlcClock, timestampMs, toTimestamp } from '../txn/hlc.ts'

/** For so long the best of what was heard of an agent is believed. */
const rememberedMs = 15_000

/**
 * The clock of a coordinator's links. Until it has heard all its agents it has no idea of the cluster's time: it says no
 * timestamp of its own (one that is wrong could never be taken back) and refuses none. Then it takes the agents' time
 * for its own, if that is another; and again whenever most of them say one that it would have to refuse.
 */
export class ClockMeeting {
  private readonly clock: HlcClock
  private readonly monoMs: () => number
  private readonly links: MeetingLink[] = []
  private hasAgreed = false

  constructor(clock: HlcClock, monoMs: () => number = () => performance.now()) {
    this.clock = clock
    this.monoMs = monoMs
  }

  /** What one link is given for its clock. */
  forLink(): MuxClock {
    const link = new MeetingLink()
    this.links.push(link)
    return {
      now: () => (this.hasAgreed ? this.clock.stamp() : 0n),
      observe: (ts) => {
        if (ts === 0n) return
        link.heard(timestampMs(ts), this.monoMs())
        if (this.hasAgreed) this.observe(ts)
      },
    }
  }

  private observe(ts: Timestamp): void {
    try {
      this.clock.observe(ts)
    } catch (error) {
      if (!(error instanceof PgError)) throw error
      // One agent is wrong, or we are: then by so much, perhaps, that a little more makes the difference.
      this.takeTheirs(0)
      this.clock.observe(ts)
    }
  }

  agree(): void {
    this.takeTheirs()
    this.hasAgreed = true
  }

  private takeTheirs(toleranceMs?: number): void {
    const nowMs = this.monoMs()
    const times = this.links.flatMap(({ aheadMs }) =>
      aheadMs === undefined ? [] : [toTimestamp(Math.floor(nowMs + aheadMs), 0)],
    )
    this.clock.agree(times, toleranceMs)
  }
}

class MeetingLink {
  /** How far its agent is ahead of our monotonic clock, and when that was heard. */
  aheadMs: number | undefined
  private heardMs = 0

  /** It seems less ahead when it was held up on its way. */
  heard(ms: number, nowMs: number): void {
    const isBetter = this.aheadMs === undefined || ms - nowMs >= this.aheadMs
    if (!isBetter && nowMs - this.heardMs < rememberedMs) return
    this.aheadMs = ms - nowMs
    this.heardMs = nowMs
  }
}
