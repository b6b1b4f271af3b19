import type { PgError } from '../../../errors/pg-error.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { copyFail, SYNC } from '../../../protocol/wire/frontend-messages.ts'
import type { CopyFeed } from '../context.ts'
import type { ShardLine } from './shard-line.ts'

/**
 * COPY data of a statement that one shard runs as written: the client's messages go on as they are, neighbours in one
 * piece. In the extended protocol COPY reads over the Sync that came with Execute, so the shard gets another after the
 * data, or as soon as it failed; what the client sends after the data is no longer the COPY's.
 */
export class LineFeed implements CopyFeed {
  isOpen = true
  private readonly line: ShardLine
  private readonly endsWithSync: boolean
  /** Why a message was not taken in: the shard knows only that the COPY was given up. */
  refusal: PgError | undefined
  private buffer: Buffer | undefined
  private from = 0
  private to = 0

  constructor(line: ShardLine, endsWithSync: boolean) {
    this.line = line
    this.endsWithSync = endsWithSync
  }

  message(type: number, buffer: Buffer, start: number, end: number): void | Promise<void> {
    const room = this.buffer === buffer && this.to === start ? undefined : this.flush()
    if (this.buffer === undefined) {
      this.buffer = buffer
      this.from = start
    }
    this.to = end
    if (type !== MSG.copyDone && type !== MSG.copyFail) return room
    const last = this.flush()
    const sync = this.end()
    return sync ?? last ?? room
  }

  flush(): void | Promise<void> {
    const { buffer } = this
    if (buffer === undefined) return
    this.buffer = undefined
    return this.line.copyData(buffer.subarray(this.from, this.to))
  }

  refuse(error: PgError): void | Promise<void> {
    this.refusal = error
    const frame = copyFail(error.message)
    return this.message(MSG.copyFail, frame, 0, frame.length)
  }

  /** The data has ended, or Postgres has refused it. */
  end(): void | Promise<void> {
    if (!this.isOpen) return
    this.isOpen = false
    this.buffer = undefined
    if (this.endsWithSync) return this.line.copyData(SYNC)
  }
}
