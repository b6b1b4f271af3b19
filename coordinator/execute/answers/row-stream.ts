import { PgError } from '../../../errors/pg-error.ts'
import { parseCommandTag, parseDataRow, parseErrorFields } from '../../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../../protocol/wire/frames.ts'
import { type ExecEnd, ExecFailed, REPLY_FRAME_BYTES_MAX } from '../shards/replies.ts'
import type { ReplyConsumer, ShardLine } from '../shards/shard-line.ts'

/** The backend is paused when so many rows wait for their receiver, and goes on when few are left. */
const WAITING_MAX = 1_000
const WAITING_FEW = 100

type Texts = readonly (string | null)[]

/** Rows of one shard, as texts, handed to a receiver one at a time in order; a slow receiver slows the backend. */
export class RowStream implements ReplyConsumer {
  private readonly reader = new FrameReader({ frameBytesMax: REPLY_FRAME_BYTES_MAX })
  private readonly receive: (row: Texts) => Promise<void>
  private readonly waiting: Texts[] = []
  private paused = false
  private pumping = false
  private status = 0
  private tag = ''
  private count: number | null = null
  private error: PgError | undefined
  readonly ended: Promise<ExecEnd>
  private resolve!: (end: ExecEnd) => void
  private reject!: (error: Error) => void

  constructor(receive: (row: Texts) => Promise<void>) {
    this.receive = receive
    this.ended = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.ended.catch(() => {})
  }

  data(line: ShardLine, chunk: Buffer, ready: number): void {
    const { reader } = this
    reader.push(chunk)
    while (reader.next()) this.message(reader.type, reader.buffer, reader.bodyStart, reader.end)
    if (ready !== 0) this.status = ready
    else if (this.waiting.length > WAITING_MAX && !this.paused) {
      this.paused = true
      line.session.pause()
    }
    void this.pump(line)
  }

  private message(type: number, buffer: Buffer, bodyStart: number, end: number): void {
    if (type === MSG.dataRow) {
      if (this.error === undefined) {
        this.waiting.push(parseDataRow(buffer, bodyStart, end).map((v) => v?.toString('utf8') ?? null))
      }
    } else if (type === MSG.errorResponse) {
      this.error ??= new PgError(parseErrorFields(buffer, bodyStart, end))
    } else if (type === MSG.commandComplete) {
      const { text, count } = parseCommandTag(buffer, bodyStart, end)
      this.tag = text
      this.count = count
    }
  }

  failed(line: ShardLine, error: PgError, sent: boolean): void {
    this.reject(new ExecFailed(error, sent, line.shard))
  }

  private async pump(line: ShardLine): Promise<void> {
    if (this.pumping) return
    this.pumping = true
    try {
      for (let at = 0; this.waiting.length > 0; at = 0) {
        const rows = this.waiting.splice(0)
        for (; at < rows.length && this.error === undefined; at++) await this.receive(rows[at]!)
        this.resumeWhenFew(line)
      }
    } catch (error) {
      this.error ??= error instanceof PgError ? error : new PgError({ code: 'XX000', message: String(error) })
      this.waiting.length = 0
      this.resumeWhenFew(line)
    }
    this.pumping = false
    if (this.status !== 0) this.resolve(this.end())
  }

  private resumeWhenFew(line: ShardLine): void {
    if (!this.paused || this.waiting.length > WAITING_FEW) return
    this.paused = false
    line.session.resume()
  }

  private end(): ExecEnd {
    const end = { status: this.status, tag: this.tag, count: this.count }
    return this.error === undefined ? end : { ...end, error: this.error }
  }
}
