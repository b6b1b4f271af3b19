import { WallClock } from './wall-clock.ts'

/** A clock that was set back by more than this is followed, as Postgres does. */
const HELD_US_MAX = 60_000_000

const clock = new WallClock()

/** When the session's messages came: they never go back in time for the small steps in which clocks are corrected. */
export class SessionTimes {
  /** The one that is being worked on. */
  messageUs = 0

  /** A message is taken up. */
  message(): void {
    const us = clock.now()
    if (us > this.messageUs || us < this.messageUs - HELD_US_MAX) this.messageUs = us
  }
}
