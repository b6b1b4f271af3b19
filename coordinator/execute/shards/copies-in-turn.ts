import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { agreedCount } from './agreed.ts'
import { settleAll } from './settle-all.ts'
import type { CopyTarget, ShardCopiesOptions } from './shard-copies.ts'
import type { CopyInStream, ShardRunner } from './shard-runner.ts'

const HOME = 0
const CHUNK_BYTES = 64 * 1024
const NO_CHUNK = Buffer.alloc(0)
/** Rows are given to the copies in batches of about this size, where nobody can tell one COPY from several. */
const BATCH_BYTES = 1024 * 1024

export interface InTurnOptions extends ShardCopiesOptions {
  /** Of what is kept here. */
  readonly account?: MemoryAccount | undefined
  /** Home's copy has taken the first rows. */
  readonly onHome?: (() => void) | undefined
  /** A batch is on all copies: the next one's lines are counted from one again. */
  readonly onBatch?: () => void
}

/**
 * COPY FROM STDIN on the copies of a reference table: a batch of rows goes to home's, where it meets all others that want
 * those rows, and to the others when it is there (docs/decisions/0026-copies-in-turn.md).
 */
export class CopiesInTurn implements CopyTarget {
  /** A COPY may end before all rows are there. */
  mayCut = false
  private readonly runner: ShardRunner
  private readonly sql: string
  private readonly options: InTurnOptions
  private full: Buffer[] = []
  private chunk = NO_CHUNK
  private used = 0
  private bytes = 0
  private wasOpened = false
  private hasFailed = false
  private readonly rows: number[]

  constructor(runner: ShardRunner, sql: string, options: InTurnOptions) {
    this.runner = runner
    this.sql = sql
    this.options = options
    this.rows = Array.from({ length: runner.shardCount }, () => 0)
  }

  /** Whole rows, by the time `room` is asked. */
  append(_shard: number, source: Buffer, start: number, end: number): void {
    if (this.used + end - start > this.chunk.length) this.startChunk(end - start)
    this.used += source.copy(this.chunk, this.used, start, end)
    this.bytes += end - start
  }

  appendByte(_shard: number, byte: number): void {
    if (this.used + 1 > this.chunk.length) this.startChunk(1)
    this.chunk[this.used++] = byte
    this.bytes++
  }

  private startChunk(size: number): void {
    this.closeChunk()
    const length = Math.max(CHUNK_BYTES, size)
    this.options.account?.add(length)
    this.chunk = Buffer.allocUnsafeSlow(length)
  }

  private closeChunk(): void {
    if (this.used > 0) this.full.push(this.chunk.subarray(0, this.used))
    this.chunk = NO_CHUNK
    this.used = 0
  }

  room(): Promise<void> | undefined {
    return this.mayCut && this.bytes >= BATCH_BYTES ? this.send() : undefined
  }

  /** No COPY is open between batches. */
  async end(): Promise<number> {
    return this.rows[HOME]!
  }

  async finish(): Promise<readonly number[]> {
    if (this.bytes > 0) await this.send()
    agreedCount(this.rows)
    return this.rows
  }

  async openIfUnused(shard: number): Promise<void> {
    if (this.bytes === 0 && !this.wasOpened) await this.copy(shard, [])
  }

  /** What came before an error of the coordinator's own is looked at by home. */
  async errors(): Promise<readonly unknown[]> {
    if (this.bytes === 0 || this.hasFailed) return []
    this.closeChunk()
    return this.copy(HOME, this.full).then(
      () => [],
      (error: unknown) => [error],
    )
  }

  /** Whoever writes leaves no COPY open. */
  async fail(): Promise<void> {
    this.clear()
  }

  private async send(): Promise<void> {
    this.closeChunk()
    const chunks = this.full
    await this.copy(HOME, chunks)
    if (!this.wasOpened) this.options.onHome?.()
    this.wasOpened = true
    await settleAll(this.rows.flatMap((_, shard) => (shard === HOME ? [] : [this.copy(shard, chunks)])))
    this.options.onBatch?.()
    this.clear()
  }

  private clear(): void {
    this.full = []
    this.chunk = NO_CHUNK
    this.used = 0
    this.bytes = 0
    this.options.account?.set(0)
  }

  private async copy(shard: number, chunks: readonly Buffer[]): Promise<void> {
    const { header, trailer, explain, heard } = this.options
    let stream: CopyInStream | undefined
    try {
      stream = await this.runner.copyIn(shard, this.sql)
      for (const part of [header, ...chunks, trailer]) if (part !== undefined) await stream.write(part)
      const { rows, notices } = await stream.end()
      this.rows[shard]! += rows
      // The others have the same rows.
      if (shard === HOME) heard?.(shard, notices)
    } catch (error) {
      this.hasFailed = true
      if (shard === HOME) heard?.(shard, stream?.notices() ?? [])
      throw explain?.(shard, error) ?? error
    }
  }
}
