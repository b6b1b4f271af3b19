import { PgError } from '../../../errors/pg-error.ts'
import { parseCommandTag, parseErrorFields } from '../../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../../protocol/wire/frames.ts'
import { COPY_DONE, copyData, copyFail, query } from '../../../protocol/wire/frontend-messages.ts'
import type { ExecContext } from '../context.ts'
import { Collector, type ExecEnd, ExecFailed, REPLY_FRAME_BYTES_MAX } from './replies.ts'
import { ownPayload, sendPayload, settled } from './send.ts'
import type { ReplyConsumer, ShardLine } from './shard-line.ts'
import type { CopyInStream, QueryResult, ShardRunner } from './shard-runner.ts'

/** Runs the statements of the slow paths (declarations, COPY, INSERT … SELECT) inside the session's transaction. */
export class SessionRunner implements ShardRunner {
  private readonly ctx: ExecContext

  constructor(ctx: ExecContext) {
    this.ctx = ctx
  }

  get shardCount(): number {
    return this.ctx.node.shardCount
  }

  async query(
    shard: number,
    sql: string,
    params: readonly (string | null)[] = [],
    access: 'read' | 'write' = 'read',
  ): Promise<QueryResult> {
    const line = this.ctx.line(shard)
    const collector = new Collector()
    sendPayload(this.ctx, line, ownPayload(sql, params), { writes: access === 'write' }, collector)
    const end = await settled(this.ctx, line, collector.ended)
    return {
      columns: end.columns.map((c) => ({ name: c.name, typeOid: c.typeOid })),
      rows: end.rows.map((row) => row.map((value) => value?.toString('utf8') ?? null)),
      tag: end.tag,
    }
  }

  async copyIn(shard: number, sql: string): Promise<CopyInStream> {
    const line = this.ctx.line(shard)
    const copy = new CopyInConsumer(this.ctx, line)
    sendPayload(this.ctx, line, query(sql), { writes: true }, copy)
    await copy.opened
    return copy
  }

  async copyOut(
    shard: number,
    sql: string,
    onData: (row: Buffer) => void | Promise<void>,
  ): Promise<QueryResult> {
    const line = this.ctx.line(shard)
    const copy = new CopyOutConsumer(onData)
    sendPayload(this.ctx, line, query(sql), { writes: false }, copy)
    const end = await settled(this.ctx, line, copy.ended)
    return { columns: [], rows: [], tag: end.tag }
  }
}

/** COPY … FROM STDIN on one shard. */
class CopyInConsumer implements ReplyConsumer, CopyInStream {
  private readonly ctx: ExecContext
  private readonly line: ShardLine
  private readonly collector = new Collector()
  private readonly reader = new FrameReader({ frameBytesMax: REPLY_FRAME_BYTES_MAX })
  /** Resolves when Postgres asks for the data; rejects when it refuses. */
  readonly opened: Promise<void>
  private open!: () => void
  private isOpen = false

  constructor(ctx: ExecContext, line: ShardLine) {
    this.ctx = ctx
    this.line = line
    this.opened = new Promise((resolve, reject) => {
      this.open = resolve
      this.finished().catch(reject)
    })
  }

  private async finished(): Promise<{ rows: number; notices: readonly Buffer[] }> {
    const end = await settled(this.ctx, this.line, this.collector.ended)
    return { rows: end.count ?? 0, notices: this.notices() }
  }

  notices(): readonly Buffer[] {
    return this.collector.asides.filter((aside) => aside[0] === MSG.noticeResponse)
  }

  data(line: ShardLine, chunk: Buffer, ready: number): void {
    if (!this.isOpen) {
      this.reader.push(chunk)
      while (this.reader.next()) {
        if (this.reader.type !== MSG.copyInResponse) continue
        this.isOpen = true
        this.open()
      }
    }
    this.collector.data(line, chunk, ready)
  }

  failed(line: ShardLine, error: PgError, sent: boolean): void {
    this.collector.failed(line, error, sent)
  }

  write(data: Buffer): void | Promise<void> {
    if (!this.line.active) return this.finished().then(() => undefined)
    this.ctx.state.trace?.copied(this.line.shard, data.length)
    return this.line.copyData(copyData(data))
  }

  async end(): Promise<{ rows: number; notices: readonly Buffer[] }> {
    if (this.line.active) await this.line.copyData(COPY_DONE)
    return this.finished()
  }

  async fail(message: string): Promise<void> {
    if (!this.line.active) return
    await this.line.copyData(copyFail(message))
    await this.finished().catch(() => {})
  }
}

/**
 * COPY … TO STDOUT of one shard: payloads of CopyData, one at a time, with the receiver's backpressure. What the receiver
 * throws, at once or later, is the copy's error: the shard's statement is cancelled, and no row is taken any more.
 */
export class CopyOutConsumer implements ReplyConsumer {
  private readonly reader = new FrameReader({ frameBytesMax: REPLY_FRAME_BYTES_MAX })
  private readonly onData: (row: Buffer) => void | Promise<void>
  private tail: Promise<void> | undefined
  private waiting = 0
  private tag = ''
  private error: PgError | undefined
  readonly ended: Promise<ExecEnd>
  private resolve!: (end: ExecEnd) => void
  private reject!: (error: Error) => void

  constructor(onData: (row: Buffer) => void | Promise<void>) {
    this.onData = onData
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }

  data(line: ShardLine, chunk: Buffer, ready: number): void {
    const reader = this.reader
    reader.push(chunk)
    while (reader.next()) {
      const { type, buffer, bodyStart, end } = reader
      if (type === MSG.copyData) this.row(line, buffer.subarray(bodyStart, end))
      else if (type === MSG.commandComplete) this.tag = parseCommandTag(buffer, bodyStart, end).text
      else if (type === MSG.errorResponse)
        this.error ??= new PgError(parseErrorFields(buffer, bodyStart, end))
    }
    if (ready !== 0) this.finish(ready)
  }

  failed(line: ShardLine, error: PgError, sent: boolean): void {
    this.reject(new ExecFailed(error, sent, line.shard))
  }

  /** Rows stay in order: once the receiver asked to wait, later rows queue behind it and the backend is paused. */
  private row(line: ShardLine, row: Buffer): void {
    if (this.error !== undefined) return
    if (this.tail !== undefined) {
      const taken = this.tail.then(() => (this.error === undefined ? this.onData(row) : undefined))
      return this.wait(line, taken)
    }
    try {
      const room = this.onData(row)
      if (room !== undefined) this.wait(line, room)
    } catch (error) {
      this.broke(line, error as Error)
    }
  }

  private broke(line: ShardLine, error: Error): void {
    this.error ??= error instanceof PgError ? error : new PgError({ code: 'XX000', message: error.message })
    if (line.active) line.session.cancel()
  }

  private wait(line: ShardLine, room: Promise<void>): void {
    if (this.waiting++ === 0 && line.active) line.session.pause()
    const tail: Promise<void> = room.then(
      () => this.waited(line, tail),
      (error: Error) => {
        this.broke(line, error)
        this.waited(line, tail)
      },
    )
    this.tail = tail
  }

  private waited(line: ShardLine, tail: Promise<void>): void {
    if (--this.waiting === 0 && line.active) line.session.resume()
    if (this.tail === tail) this.tail = undefined
  }

  private finish(status: number): void {
    const done = () =>
      this.resolve({
        status,
        tag: this.tag,
        count: null,
        ...(this.error === undefined ? {} : { error: this.error }),
      })
    if (this.tail === undefined) done()
    else void this.tail.then(() => this.finish(status))
  }
}
