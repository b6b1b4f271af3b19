/**
 * Group commit from outside. PREPARE TRANSACTION and COMMIT PREPARED each wait for a sync of the shard's write-ahead
 * log, and Postgres lets those share one that come while it is busy with another. So what comes while a group is under
 * way is kept back until that has returned, and then goes out at once, to arrive together. It waits for no longer than
 * a group takes, and alone it does not wait at all.
 *
 * While a cut is active it waits for commits, and for nothing that begins to prepare: then commits go at once, and
 * PREPAREs stay out of their way.
 */
export class FlushGroups {
  private readonly patienceMs: number
  private queue: Member[] = []
  /** How many members of the latest group are not back. */
  private left = 0
  private group = 0
  private isScheduled = false
  private isHurried = false
  private timer: NodeJS.Timeout | undefined

  /** `patienceMs`: a group that takes longer (a slow disk, a constraint check that waits for a lock) is overtaken. */
  constructor(patienceMs: number) {
    this.patienceMs = patienceMs
  }

  /** Starts `work` with the next group; it is part of it until it settles. */
  async run<T>(kind: FlushKind, work: () => Promise<T>): Promise<T> {
    const group = await new Promise<number>((go) => this.enqueue({ kind, go }))
    try {
      return await work()
    } finally {
      this.returned(group)
    }
  }

  /** A cut is active, or none is any more. */
  hurry(isHurried: boolean): void {
    this.isHurried = isHurried
    if (this.queue.length === 0) return
    if (!isHurried) this.next()
    else if (this.queue.some(({ kind }) => kind === 'conclude')) {
      this.send((member) => member.kind === 'conclude')
      if (this.queue.length > 0) this.waitLonger()
    }
  }

  private enqueue(member: Member): void {
    this.queue.push(member)
    if (!this.isHurried) this.next()
    else if (member.kind === 'conclude') this.send((m) => m === member)
    else this.waitLonger()
  }

  private returned(group: number): void {
    // The members of one that was overtaken count no more.
    if (group !== this.group || --this.left > 0) return
    if (this.queue.length > 0) this.next()
  }

  private next(): void {
    if (this.left === 0 && !this.isHurried) this.schedule()
    else this.waitLonger()
  }

  private waitLonger(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined
      this.send()
    }, this.patienceMs)
  }

  private stopWaiting(): void {
    clearTimeout(this.timer)
    this.timer = undefined
  }

  /** After the sockets' turn of the event loop: what came in with it goes together. */
  private schedule(): void {
    if (this.isScheduled) return
    this.isScheduled = true
    setImmediate(() => {
      this.isScheduled = false
      if (this.queue.length > 0) this.scheduled()
    })
  }

  private scheduled(): void {
    if (this.left === 0 && !this.isHurried) this.send()
    else this.waitLonger()
  }

  private send(which: (member: Member) => boolean = () => true): void {
    const members = this.queue.filter(which)
    if (members.length === 0) return
    this.queue = this.queue.filter((member) => !members.includes(member))
    if (this.queue.length === 0) this.stopWaiting()
    this.group++
    this.left = members.length
    for (const { go } of members) go(this.group)
  }
}

/** PREPARE TRANSACTION, or what carries its decision out. */
export type FlushKind = 'prepare' | 'conclude'

interface Member {
  readonly kind: FlushKind
  /** Told the number of its group. */
  readonly go: (group: number) => void
}
