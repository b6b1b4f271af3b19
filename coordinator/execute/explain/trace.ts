import type { PgError } from '../../../errors/pg-error.ts'
import { parseCommandTag } from '../../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../../protocol/wire/frames.ts'
import { REPLY_FRAME_BYTES_MAX } from '../shards/replies.ts'
import type { ReplyConsumer, ShardLine } from '../shards/shard-line.ts'
import { type Sent, sentText } from './sent-text.ts'

/** One request to a shard. */
export interface TracedExec extends Sent {
  readonly shard: number
  /** What the statement does with it. */
  readonly doing: string
  sentBytes: number
  rows: number
  rowBytes: number
  ms: number
}

/** What a statement sends to shards while EXPLAIN ANALYZE runs it, and what they answer. */
export class Trace {
  readonly execs: TracedExec[] = []
  private what = 'Runs'

  /** What comes next. */
  doing(what: string): void {
    this.what = what
  }

  /** Data of the COPY that runs on a shard. */
  copied(shard: number, bytes: number): void {
    const exec = this.execs.findLast((one) => one.shard === shard)
    if (exec !== undefined) exec.sentBytes += bytes
  }

  /** Called when the request of a line is complete: `consumer` gets its replies, and so does the trace. */
  consumer(line: ShardLine, consumer: ReplyConsumer): ReplyConsumer {
    const sent = sentText(line.request.payload, line.request.needs)
    if (sent === undefined) return consumer
    const sentBytes = line.request.payload.length
    const exec = { ...sent, shard: line.shard, doing: this.what, sentBytes, rows: 0, rowBytes: 0, ms: 0 }
    this.execs.push(exec)
    return new TracedReplies(exec, consumer)
  }
}

class TracedReplies implements ReplyConsumer {
  private readonly exec: TracedExec
  private readonly consumer: ReplyConsumer
  private readonly reader = new FrameReader({ frameBytesMax: REPLY_FRAME_BYTES_MAX })
  private readonly begunAt = performance.now()
  private counted = 0

  constructor(exec: TracedExec, consumer: ReplyConsumer) {
    this.exec = exec
    this.consumer = consumer
  }

  data(line: ShardLine, chunk: Buffer, ready: number): void {
    const { reader, exec } = this
    // The other reader may write in what it is given.
    reader.push(Buffer.from(chunk))
    while (reader.next()) this.frame(reader.type, reader.buffer, reader.bodyStart, reader.end)
    if (ready !== 0) {
      exec.ms = performance.now() - this.begunAt
      if (exec.rows === 0) exec.rows = this.counted
    }
    this.consumer.data(line, chunk, ready)
  }

  private frame(type: number, buffer: Buffer, bodyStart: number, end: number): void {
    const { exec } = this
    if (type === MSG.dataRow) {
      exec.rows++
      exec.rowBytes += end - bodyStart
    } else if (type === MSG.commandComplete)
      this.counted += parseCommandTag(buffer, bodyStart, end).count ?? 0
  }

  failed(line: ShardLine, error: PgError, sent: boolean): void {
    this.consumer.failed(line, error, sent)
  }
}
