/**
 * Group commit from outside. PREPARE TRANSACTION and COMMIT PREPARED each wait for a sync of the shard's write-ahead
 * log, and Postgres lets those share one that come while it is busy with another. So what comes while a group is under
 * way is kept back until that has returned, and then goes out at once, to arrive together. It waits for no longer than
 * a group takes, and alone it does not wait at all.
 */
export class FlushGroups {
  private readonly patienceMs: number
  private queue: (() => void)[] = []
  /** How many members of the latest group are not back. */
  private left = 0
  private group = 0
  private isScheduled = false
  private timer: NodeJS.Timeout | undefined

  /** `patienceMs`: a group that takes longer (a slow disk, a constraint check that waits for a lock) is overtaken. */
  constructor(patienceMs: number) {
    this.patienceMs = patienceMs
  }

  /** Starts `work` with the next group; it is part of it until it settles. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    await new Promise<void>((go) => this.enqueue(go))
    const { group } = this
    try {
      return await work()
    } finally {
      this.returned(group)
    }
  }

  private enqueue(go: () => void): void {
    this.queue.push(go)
    if (this.left === 0) this.schedule()
    else this.timer ??= setTimeout(() => this.send(), this.patienceMs)
  }

  private returned(group: number): void {
    // The members of one that was overtaken count no more.
    if (group !== this.group || --this.left > 0) return
    if (this.queue.length > 0) this.schedule()
  }

  /** After the sockets' turn of the event loop: what came in with it goes together. */
  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    setImmediate(() => {
      this.isScheduled = false
      if (this.left === 0) this.send()
    })
  }

  private send(): void {
    clearTimeout(this.timer)
    this.timer = undefined
    const members = this.queue
    if (members.length === 0) return
    this.queue = []
    this.group++
    this.left = members.length
    for (const go of members) go()
  }
}
