import { PgError } from '../../../errors/pg-error.ts'
import {
  type ColumnDescription,
  commandComplete,
  parseCommandTag,
  parseDataRow,
  parseErrorFields,
  parseRowDescription,
} from '../../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../../protocol/wire/frames.ts'
import type { ClientOutput } from '../answers/client-output.ts'
import { setOrigins, translateRowDescription } from '../answers/row-types.ts'
import type { ReplyConsumer, ShardLine } from './shard-line.ts'

/** Postgres itself never sends a longer message. */
export const REPLY_FRAME_BYTES_MAX = 0x3fff_ffff

/** The exec did not come to its end: the backend or the link is gone, or the agent refused it. */
export class ExecFailed extends PgError {
  /** Postgres may have run some of it. */
  readonly sent: boolean
  readonly shard: number
  constructor(error: PgError, sent: boolean, shard: number) {
    super(error.fields, { cause: error })
    this.sent = sent
    this.shard = shard
  }
}

/** How an exec ended on one shard. */
export interface ExecEnd {
  /** Status byte of its ReadyForQuery. */
  readonly status: number
  /** Text of the last CommandComplete, '' without one. */
  readonly tag: string
  /** Rows that the tag counts. */
  readonly count: number | null
  readonly error?: PgError
}

/** Of a statement that ran on several shards. */
export function total(ends: readonly ExecEnd[]): number | null {
  if (ends.every((end) => end.count === null)) return null
  return ends.reduce((sum, end) => sum + (end.count ?? 0), 0)
}

/** Functions of Weft's own that stand for Postgres' (currval, lastval, …) are not seen. */
function errorIn(buffer: Buffer, start: number, end: number): PgError {
  const { where, ...fields } = parseErrorFields(buffer, start, end)
  const lines = where?.split('\n').filter((line) => !line.startsWith('PL/pgSQL function weft.')) ?? []
  return new PgError(lines.length === 0 ? fields : { ...fields, where: lines.join('\n') })
}

/** What one exec answered, decoded: for statements of Weft's own. */
export interface Collected extends ExecEnd {
  readonly columns: readonly ColumnDescription[]
  readonly rows: readonly (readonly (Buffer | null)[])[]
  /** ParameterStatus and NoticeResponse messages, as they came. */
  readonly asides: readonly Buffer[]
}

/** Base of the consumers that look at messages one by one. */
export abstract class FrameConsumer<Result extends ExecEnd> implements ReplyConsumer {
  private readonly reader = new FrameReader({ frameBytesMax: REPLY_FRAME_BYTES_MAX })
  protected error: PgError | undefined
  protected tag = ''
  protected count: number | null = null
  readonly ended: Promise<Result>
  private resolve!: (result: Result) => void
  private reject!: (error: Error) => void

  constructor() {
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // The owner may look at it only after other shards' promises: a rejection meanwhile is not unhandled.
    this.ended.catch(() => {})
  }

  data(line: ShardLine, chunk: Buffer, ready: number): void {
    const reader = this.reader
    reader.push(chunk)
    while (reader.next()) {
      const { type, buffer, start, bodyStart, end } = reader
      if (type === MSG.errorResponse) this.error ??= errorIn(buffer, bodyStart, end)
      if (type === MSG.commandComplete) this.sawTag(buffer, bodyStart, end)
      if (type !== MSG.readyForQuery) this.frame(line, type, buffer, start, end)
    }
    this.chunkDone(line)
    if (ready !== 0) this.resolve(this.result(ready))
  }

  failed(line: ShardLine, error: PgError, sent: boolean): void {
    this.reject(new ExecFailed(error, sent, line.shard))
  }

  private sawTag(buffer: Buffer, bodyStart: number, end: number): void {
    const { text, count } = parseCommandTag(buffer, bodyStart, end)
    this.tag = text
    if (count !== null) this.count = (this.count ?? 0) + count
  }

  protected abstract frame(line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void
  protected chunkDone(_line: ShardLine): void {}
  protected abstract result(status: number): Result

  protected end(status: number): ExecEnd {
    const end = { status, tag: this.tag, count: this.count }
    return this.error === undefined ? end : { ...end, error: this.error }
  }
}

/** Keeps everything: rows in memory, so only for statements whose result is known to be small. */
export class Collector extends FrameConsumer<Collected> {
  private columns: readonly ColumnDescription[] = []
  private readonly rows: (readonly (Buffer | null)[])[] = []
  /** So far: of a statement that fails, too. */
  readonly asides: Buffer[] = []

  protected frame(_line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === MSG.dataRow) this.rows.push(parseDataRow(buffer, start + 5, end))
    else if (type === MSG.rowDescription) this.columns = parseRowDescription(buffer, start + 5, end)
    else if (type === MSG.parameterStatus || type === MSG.noticeResponse) {
      this.asides.push(buffer.subarray(start, end))
    }
  }

  protected result(status: number): Collected {
    return { ...this.end(status), columns: this.columns, rows: this.rows, asides: this.asides }
  }
}

/** Shared by the forwarders of one statement: what has been said to the client once for all shards. */
export class ForwardState {
  rowDescriptionSent: boolean
  /** An error may still come in place of the rows, and then nothing describes them: RETURNING, in simple protocol. */
  describesLate = false
  /** COPY TO STDOUT: the outputs of several shards are one to the client, whose end the executor tells. */
  copyOutSent = false
  joinsCopies = false
  /** See OpenPortal. */
  origins: readonly ColumnDescription[] | undefined

  /** `wantsRowDescription`: in the simple protocol, or when a Describe came right before. */
  constructor(wantsRowDescription: boolean) {
    this.rowDescriptionSent = !wantsRowDescription
  }
}

/**
 * Forwards rows and asides of one shard to the client; keeps back CommandComplete, errors and ReadyForQuery, which the
 * executor words for all shards together. Obeys the client's backpressure.
 */
export class RowForwarder extends FrameConsumer<ExecEnd> {
  private readonly out: ClientOutput
  private readonly state: ForwardState
  /** False: another copy of the same rows speaks, these are dropped. */
  private readonly speaks: boolean
  /** PortalSuspended, EmptyQueryResponse and COPY messages pass; they end or open things for the client. */
  suspended = false
  /** Called when Postgres asks for COPY data. */
  onCopyIn: (() => void) | undefined
  onError: (() => void) | undefined

  constructor(out: ClientOutput, state: ForwardState, speaks = true) {
    super()
    this.out = out
    this.state = state
    this.speaks = speaks
  }

  protected frame(line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void {
    if (!this.speaks) return
    switch (type) {
      case MSG.bindComplete:
        return this.out.releaseOwed()
      case MSG.parseComplete:
      case MSG.closeComplete:
      case MSG.parameterDescription:
      case MSG.noData:
      case MSG.commandComplete:
        return
      case MSG.errorResponse:
        return this.onError?.()
      case MSG.rowDescription:
        if (this.state.rowDescriptionSent) return
        this.state.rowDescriptionSent = true
        if (line.typeNumbers !== undefined) {
          translateRowDescription(buffer, start, line.typeNumbers, line.missedType)
        }
        if (this.state.origins !== undefined) setOrigins(buffer, start, this.state.origins)
        if (this.state.describesLate) return this.out.owe(Buffer.from(buffer.subarray(start, end)))
        break
      case MSG.copyOutResponse:
        if (this.state.copyOutSent) return
        this.state.copyOutSent = true
        break
      case MSG.copyDone:
        if (this.state.joinsCopies) return
        break
      case MSG.portalSuspended:
        this.suspended = true
        break
      case MSG.parameterStatus:
      case MSG.noticeResponse:
        return this.out.aside(buffer.subarray(start, end))
      case MSG.copyInResponse:
        this.out.push(buffer.subarray(start, end))
        this.out.flush()
        this.onCopyIn?.()
        return
      default:
    }
    this.out.push(buffer.subarray(start, end))
  }

  protected override chunkDone(line: ShardLine): void {
    if (this.out.hasRoom() || !line.active) return
    line.session.pause()
    this.out.onceDrained(() => line.session.resume())
  }

  protected result(status: number): ExecEnd {
    return this.end(status)
  }
}

/** `INSERT 0 5`, `UPDATE 5`, `SELECT 5`: the tag with another count. */
export function tagWithCount(tag: string, count: number | null): Buffer {
  if (count === null) return commandComplete(tag)
  return commandComplete(tag.replace(/ \d+$/, ` ${count}`))
}
