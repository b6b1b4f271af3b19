import type { Timestamp } from '../protocol/agent-link.ts'
import type { MuxClock } from '../protocol/transport/limits.ts'
import { type HlcClock, timestampMs, toTimestamp } from '../txn/hlc.ts'

/**
 * The clock of a coordinator's links while it starts. Until it has heard all its agents it has no idea of the cluster's
 * time: it says no timestamp of its own (one that is wrong could never be taken back) and refuses none. Then it takes
 * the agents' time for its own, if that is another.
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
    const link: MeetingLink = { heard: 0n, heardAtMs: 0 }
    this.links.push(link)
    return {
      now: () => (this.hasAgreed ? this.clock.now() : 0n),
      observe: (ts) => {
        if (this.hasAgreed) this.clock.observe(ts)
        else if (ts > link.heard) {
          link.heard = ts
          link.heardAtMs = this.monoMs()
        }
      },
    }
  }

  agree(): void {
    const nowMs = this.monoMs()
    // What an agent said a while ago it would say differently now.
    const times = this.links
      .filter((link) => link.heard > 0n)
      .map((link) => toTimestamp(Math.floor(timestampMs(link.heard) + nowMs - link.heardAtMs), 0))
    this.clock.agree(times)
    this.hasAgreed = true
  }
}

interface MeetingLink {
  heard: Timestamp
  heardAtMs: number
}
