import { PgError } from '../../../errors/pg-error.ts'
import { HEADER_BYTES } from '../../../protocol/wire/bytes.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { type ExecEnd, FrameConsumer } from '../shards/replies.ts'
import type { ShardLine } from '../shards/shard-line.ts'

/** Of a DataRow: where its body begins and where the message ends in `buffer`, and the shard that has sent it. */
type Take = (buffer: Buffer, bodyStart: number, end: number, shard: number) => void

/** Rows that are taken as they come. A PgError that `take` throws is the shard's error, and ends its statement. */
export class TakenRows extends FrameConsumer<ExecEnd> {
  private readonly take: Take

  constructor(take: Take) {
    super()
    this.take = take
  }

  protected frame(line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void {
    if (type !== MSG.dataRow || this.error !== undefined) return
    try {
      this.take(buffer, start + HEADER_BYTES, end, line.shard)
    } catch (error) {
      if (!(error instanceof PgError)) throw error
      this.error = error
      line.session.cancel()
    }
  }

  protected result(status: number): ExecEnd {
    return this.end(status)
  }
}
