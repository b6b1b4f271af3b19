/** For a Sync that comes in a write of its own. */
const WAIT_MS = 10

/**
 * Postgres runs messages of the extended protocol as they come; only its answers may wait for a Flush or Sync. Without
 * either a client may so wait for COPY to begin, for more rows than a buffer holds, or for an error. Here messages are
 * gathered up to the Sync, as a statement that is known to be alone goes the direct way; when none comes they run after all.
 */
export class LateStart {
  private readonly start: () => void
  private timer: NodeJS.Timeout | undefined

  constructor(start: () => void) {
    this.start = start
  }

  /** Messages were gathered, and no other is on its way. */
  arm(): void {
    if (this.timer !== undefined) this.timer.refresh()
    else this.timer = setTimeout(this.start, WAIT_MS).unref()
  }
}
