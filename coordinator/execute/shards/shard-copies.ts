import { settleAll } from './settle-all.ts'
import type { CopyInStream, ShardRunner } from './shard-runner.ts'

/** Rows for one shard are sent in pieces of this size. */
const CHUNK_BYTES = 64 * 1024

export interface ShardCopiesOptions {
  /** Go around what each shard gets (binary format). */
  readonly header?: Buffer
  readonly trailer?: Buffer
  /** Last look at a shard's error before it is thrown. */
  readonly explain?: (shard: number, error: unknown) => unknown
  /** What a shard had to say beside its rows, whenever a COPY of it has ended, or failed. */
  readonly heard?: (shard: number, notices: readonly Buffer[]) => void
}

/** Where the rows of a COPY FROM STDIN go. */
export interface CopyTarget {
  append(shard: number, source: Buffer, start: number, end: number): void
  appendByte(shard: number, byte: number): void
  /** Undefined: go on. Otherwise wait; it rejects with the error of a shard. */
  room(): Promise<void> | undefined
  /** Ends the COPY of a shard so that it can run other statements; more rows open another. Returns its rows so far. */
  end(shard: number): Promise<number>
  /** Ends all; rows by shard, over all COPYs. When one fails the others are aborted. */
  finish(): Promise<readonly number[]>
  /** After an error: ends all, and says what is wrong with each. */
  errors(): Promise<readonly unknown[]>
  /** Opens the COPY of `shard` when no shard got anything, so that Postgres still looks at the statement. */
  openIfUnused(shard: number): Promise<void>
  /** Aborts what is open: the shards are ready for the next statement then, in a failed transaction. */
  fail(message: string): Promise<void>
}

/**
 * COPY FROM STDIN on several shards at once. A shard's COPY opens with its first bytes; bytes gather to chunks; when a
 * shard is slow, `room` says how long to wait.
 */
export class ShardCopies implements CopyTarget {
  private readonly copies: OneCopy[]

  constructor(runner: ShardRunner, sql: string, options: ShardCopiesOptions = {}) {
    this.copies = Array.from(
      { length: runner.shardCount },
      (_, shard) => new OneCopy(runner, shard, sql, options),
    )
  }

  append(shard: number, source: Buffer, start: number, end: number): void {
    this.copies[shard]!.append(source, start, end)
  }

  appendByte(shard: number, byte: number): void {
    this.copies[shard]!.appendByte(byte)
  }

  room(): Promise<void> | undefined {
    let waits: Promise<void>[] | undefined
    for (let shard = 0; shard < this.copies.length; shard++) {
      const wait = this.copies[shard]!.room()
      if (wait !== undefined) waits = [...(waits ?? []), wait]
    }
    return waits && settleAll(waits).then(() => {})
  }

  async end(shard: number): Promise<number> {
    return this.copies[shard]!.end()
  }

  async finish(): Promise<readonly number[]> {
    const ends = await Promise.allSettled(this.copies.map((copy) => copy.end()))
    const failed = ends.find((end) => end.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return ends.map((end) => (end.status === 'fulfilled' ? end.value : 0))
  }

  async errors(): Promise<readonly unknown[]> {
    const ends = await Promise.allSettled(this.copies.map((copy) => copy.end()))
    return ends.flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
  }

  async openIfUnused(shard: number): Promise<void> {
    if (this.copies.every((copy) => copy.isUnused)) await this.copies[shard]!.touch()
  }

  async fail(message: string): Promise<void> {
    await Promise.allSettled(this.copies.map((copy) => copy.fail(message)))
  }
}

class OneCopy {
  private readonly runner: ShardRunner
  private readonly shard: number
  private readonly sql: string
  private readonly options: ShardCopiesOptions
  isUnused = true
  private buffer = Buffer.alloc(0)
  private used = 0
  private queue: Buffer[] = []
  private stream: CopyInStream | undefined
  private pumping: Promise<void> | undefined
  /** The one that was opened last, while something may come from it. */
  private speaker: CopyInStream | undefined
  private failure: { readonly error: unknown } | undefined
  private rows = 0

  constructor(runner: ShardRunner, shard: number, sql: string, options: ShardCopiesOptions) {
    this.runner = runner
    this.shard = shard
    this.sql = sql
    this.options = options
  }

  append(source: Buffer, start: number, end: number): void {
    if (this.used + end - start > this.buffer.length) this.startChunk(end - start)
    // For short rows a loop beats the call of a native copy.
    if (end - start > 48) source.copy(this.buffer, this.used, start, end)
    else for (let i = start, to = this.used; i < end; i++) this.buffer[to++] = source[i]!
    this.used += end - start
  }

  appendByte(byte: number): void {
    if (this.used + 1 > this.buffer.length) this.startChunk(1)
    this.buffer[this.used++] = byte
  }

  room(): Promise<void> | undefined {
    return this.pumping
  }

  async touch(): Promise<void> {
    if (this.stream === undefined) await this.explained(() => this.open())
  }

  async end(): Promise<number> {
    if (this.failure !== undefined) throw this.failure.error
    this.flush()
    while (this.pumping !== undefined) await this.pumping
    const stream = this.stream
    if (stream === undefined) return this.rows
    this.stream = undefined
    const { rows, notices } = await this.explained(async () => {
      if (this.options.trailer !== undefined) await stream.write(this.options.trailer)
      return stream.end()
    })
    this.speaker = undefined
    this.rows += rows
    this.options.heard?.(this.shard, notices)
    return this.rows
  }

  private async explained<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      this.failure ??= { error: this.options.explain?.(this.shard, error) ?? error }
      this.options.heard?.(this.shard, this.speaker?.notices() ?? [])
      this.speaker = undefined
      throw this.failure.error
    }
  }

  async fail(message: string): Promise<void> {
    this.queue = []
    this.used = 0
    await this.pumping?.catch(() => {})
    const stream = this.stream
    this.stream = undefined
    await stream?.fail(message)
  }

  /** Sends what there is and begins a chunk with room for `size` bytes. */
  private startChunk(size: number): void {
    this.flush()
    this.isUnused = false
    this.buffer = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, size))
  }

  private flush(): void {
    if (this.used === 0) return
    this.queue.push(this.buffer.subarray(0, this.used))
    this.buffer = this.buffer.subarray(this.used)
    this.used = 0
    if (this.pumping !== undefined) return
    const pump = this.pump()
    if (pump === undefined) return
    const pumping = this.explained(() => pump.then(() => this.pumpOn()))
    this.pumping = pumping
    // Whoever waits in `room` or `end` gets the error; nobody may be waiting yet.
    pumping.catch(() => {})
  }

  /** Writes at once while the shard takes it; undefined: all written. */
  private pump(): Promise<void> | undefined {
    while (this.stream !== undefined && this.queue.length > 0) {
      const wait = this.stream.write(this.queue.shift()!)
      if (wait !== undefined) return wait
    }
    return this.queue.length === 0 ? undefined : this.open()
  }

  /** A failed pump stays: the copy can't go on. */
  private async pumpOn(): Promise<void> {
    for (let pump = this.pump(); pump !== undefined; pump = this.pump()) await pump
    this.pumping = undefined
  }

  private async open(): Promise<void> {
    this.stream = await this.runner.copyIn(this.shard, this.sql)
    this.speaker = this.stream
    if (this.options.header !== undefined) await this.stream.write(this.options.header)
  }
}
