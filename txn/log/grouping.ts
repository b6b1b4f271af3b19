import { InvariantError } from '../../errors/pg-error.ts'
import { type CreateResult, type DecisionRecord, LogUnavailableError } from './txn-log.ts'

interface Waiting {
  readonly record: DecisionRecord
  readonly resolve: (result: CreateResult) => void
  readonly reject: (error: unknown) => void
}

export interface CreateGroupsOptions {
  /** One durable write of all of them; answers in the same order, an Error for those that have none. */
  readonly write: (records: readonly DecisionRecord[]) => Promise<readonly (CreateResult | Error)[]>
  readonly groupMax: number
  /** Writes under way at a time. Two: one is on its way while the other is being made durable. */
  readonly writesMax: number
}

/** Group commit: decisions that arrive while the writes under way are busy share the next one. */
export class CreateGroups {
  private readonly options: CreateGroupsOptions
  private queue: Waiting[] = []
  private underWay = 0
  private scheduled = false
  private closed = false
  private onIdle: (() => void) | undefined

  constructor(options: CreateGroupsOptions) {
    this.options = options
  }

  create(record: DecisionRecord): Promise<CreateResult> {
    if (this.closed) return Promise.reject(new LogUnavailableError('the log is closed'))
    return new Promise((resolve, reject) => {
      this.queue.push({ record, resolve, reject })
      this.schedule()
    })
  }

  /** Takes no more, and waits for those under way. */
  async close(): Promise<void> {
    this.closed = true
    for (const waiting of this.queue.splice(0)) waiting.reject(new LogUnavailableError('the log is closed'))
    if (this.underWay === 0) return
    await new Promise<void>((resolve) => {
      this.onIdle = resolve
    })
  }

  /** After the sockets' turn of the event loop: the transactions whose last prepare came in with it go together. */
  private schedule(): void {
    if (this.scheduled || this.underWay >= this.options.writesMax || this.queue.length === 0) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      if (this.queue.length === 0) return
      void this.write(this.take())
      this.schedule()
    })
  }

  /** At most one of each transaction: they are sorted by it, so that groups of different nodes cannot deadlock. */
  private take(): Waiting[] {
    const group = new Map<string, Waiting>()
    const rest: Waiting[] = []
    for (const waiting of this.queue) {
      const { txnId } = waiting.record
      if (group.size < this.options.groupMax && !group.has(txnId)) group.set(txnId, waiting)
      else rest.push(waiting)
    }
    this.queue = rest
    return [...group.values()].sort((a, b) => (a.record.txnId < b.record.txnId ? -1 : 1))
  }

  private async write(group: readonly Waiting[]): Promise<void> {
    this.underWay++
    try {
      const results = await this.options.write(group.map((waiting) => waiting.record))
      group.forEach((waiting, i) => {
        const result = results[i]
        if (result === undefined) waiting.reject(new InvariantError('a write without a result'))
        else if (result instanceof Error) waiting.reject(result)
        else waiting.resolve(result)
      })
    } catch (error) {
      for (const waiting of group) waiting.reject(error)
    }
    this.underWay--
    this.schedule()
    if (this.underWay === 0) this.onIdle?.()
  }
}

/** Tried again so long after it failed, and kept for that so many: the rest is left to `sweep` and `confirm`. */
const dropAgainMs = 1_000
const dropsKeptMax = 100_000
/** Longer than a server keeps a commit that was not waited for from the disk: three times `wal_writer_delay`. */
const durableAfterMs = 2_000

/** Collects the records to drop: nobody waits for them. */
export class DropQueue {
  private readonly drop: (txnIds: readonly string[]) => Promise<void>
  private readonly groupMax: number
  private readonly afterMs: number
  private txnIds: string[] = []
  /** Dropped, but perhaps not durably. */
  private recent: { readonly txnIds: readonly string[]; readonly atMs: number }[] = []
  private timer: NodeJS.Timeout | undefined
  private closed = false
  private flushing: Promise<void> = Promise.resolve()

  constructor(drop: (txnIds: readonly string[]) => Promise<void>, groupMax: number, afterMs: number) {
    this.drop = drop
    this.groupMax = groupMax
    this.afterMs = afterMs
  }

  add(txnIds: readonly string[]): void {
    this.txnIds.push(...txnIds)
    if (this.txnIds.length >= this.groupMax) void this.flush()
    else this.flushIn(this.afterMs)
  }

  private flushIn(ms: number): void {
    this.timer ??= setTimeout(() => void this.flush(), ms).unref()
  }

  /** A last time; what fails then is left to `sweep` and `confirm`. */
  async close(): Promise<void> {
    this.closed = true
    await this.flush()
  }

  /** Resolves when everything added before is dropped, or failed to be. */
  flush(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    const txnIds = this.txnIds
    if (txnIds.length === 0) return this.flushing
    this.txnIds = []
    for (let i = 0; i < txnIds.length; i += this.groupMax) {
      const group = txnIds.slice(i, i + this.groupMax)
      this.flushing = this.flushing.then(() => this.dropNow(group)).catch(() => this.keep(group))
    }
    return this.flushing
  }

  private async dropNow(txnIds: readonly string[]): Promise<void> {
    await this.drop(txnIds)
    const now = performance.now()
    while (this.recent[0] !== undefined && this.recent[0].atMs < now - durableAfterMs) this.recent.shift()
    this.recent.push({ txnIds, atMs: now })
  }

  /** The log's server may have crashed: what it had dropped last may be there again. */
  again(): void {
    for (const { txnIds } of this.recent.splice(0)) this.add(txnIds)
  }

  /** The log was out of reach; nothing else needs the records, so they can go later. */
  private keep(txnIds: readonly string[]): void {
    if (this.closed || this.txnIds.length + txnIds.length > dropsKeptMax) return
    this.txnIds.push(...txnIds)
    this.flushIn(dropAgainMs)
  }
}
