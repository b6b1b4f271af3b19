/**
 * Admission of transactions. A transaction holds a backend on each shard it touched while it waits for one on the
 * next; if more of them were open than a pool has backends, they could wait for each other for ever. So a node lets
 * at most `limit` hold backends at a time (agents tell their share: pool size over coordinators, less a reserve for
 * single statements, which hold nothing while they wait).
 */
export class TxnTickets {
  private limit: number
  private taken = 0
  /** Transactions that gave theirs back before their end. */
  private early = 0
  private readonly waiting: { readonly grant: () => void }[] = []

  private readonly onChange: (inUse: number) => void

  constructor(limit: number, onChange: (inUse: number) => void = () => {}) {
    this.limit = limit
    this.onChange = onChange
  }

  setLimit(limit: number, least = 1): void {
    this.limit = Math.max(least, limit)
    this.serve()
  }

  get max(): number {
    return this.limit
  }

  get inUse(): number {
    return this.taken
  }

  get waitingCount(): number {
    return this.waiting.length
  }

  tryAcquire(): boolean {
    if (this.taken >= this.limit || this.waiting.length > 0) return false
    this.taken++
    this.onChange(this.taken)
    return true
  }

  /** Waits its turn, first come first served. `abandoned` rejects the wait (cancel, disconnect). */
  acquire(onWait: (abandon: (error: Error) => void) => void): Promise<void> {
    if (this.tryAcquire()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const entry = {
        grant: () => {
          this.taken++
          this.onChange(this.taken)
          resolve()
        },
      }
      this.waiting.push(entry)
      onWait((error) => {
        const at = this.waiting.indexOf(entry)
        if (at < 0) return
        this.waiting.splice(at, 1)
        reject(error)
      })
    })
  }

  release(): void {
    this.taken--
    this.onChange(this.taken)
    this.serve()
  }

  /**
   * For a transaction that holds no backend any more, prepared on all its shards: another may begin. As many may do so as
   * there are tickets, since servers have only so many places for what is prepared. True: call `earlyEnded` at its end.
   */
  releaseEarly(): boolean {
    if (this.early >= this.limit) return false
    this.early++
    this.release()
    return true
  }

  earlyEnded(): void {
    this.early--
  }

  private serve(): void {
    while (this.taken < this.limit) {
      const next = this.waiting.shift()
      if (next === undefined) return
      next.grant()
    }
  }
}
