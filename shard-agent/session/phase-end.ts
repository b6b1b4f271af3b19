/** How often a statement is told to end while its session waits for that. */
const ABORT_AGAIN_MS = 500

/** Those who wait for what a session does to end. */
export class PhaseEnd {
  private waiting: (() => void)[] = []

  /** Resolves at the end, or when it is time to ask for it again: a cancel request can come too early to hit anything. */
  awaited(): Promise<void> {
    return new Promise((resolve) => {
      const again = setTimeout(resolve, ABORT_AGAIN_MS)
      this.waiting.push(() => {
        clearTimeout(again)
        resolve()
      })
    })
  }

  wake(): void {
    if (this.waiting.length === 0) return
    const { waiting } = this
    this.waiting = []
    for (const resolve of waiting) resolve()
  }
}
