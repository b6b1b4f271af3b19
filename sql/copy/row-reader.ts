import { rowTooLong } from './copy-errors.ts'
import type { CopyFormat } from './copy-format.ts'

const EMPTY = Buffer.alloc(0)

/**
 * Cuts a stream of COPY data into rows and finds the shard key in each. Push bytes as they come, in any pieces, and
 * call `next` until it says false; each true leaves one row in the public fields, which hold until the next call.
 * Nothing is allocated for a row.
 */
export abstract class RowReader {
  /** Where the offsets below point to. */
  buffer: Buffer = EMPTY
  /** The row without its line end: [rowStart, rowEnd). */
  rowStart = 0
  rowEnd = 0
  /** The key's field as it stands in the data; `keyEscaped` says that it needs `keyText` to be read. */
  keyStart = 0
  keyEnd = 0
  keyIsNull = false
  keyEscaped = false
  /** The row has too few columns, which Postgres is to say, or to leave it out. */
  isShort = false
  /** Line of the data on which the row ends, counted as Postgres does. */
  line = 0
  /** Line feeds and carriage returns inside quotes: Postgres counts either, depending on the line ends seen before. */
  innerLf = 0
  innerCr = 0

  protected readonly format: CopyFormat
  /** Where the next row begins. */
  protected pos = 0
  protected finished = false
  /** The end marker was seen. */
  protected done = false
  private carry: Buffer = EMPTY

  constructor(format: CopyFormat) {
    this.format = format
  }

  /** More bytes. They are not kept: what is left of them when `next` says false is copied. */
  push(chunk: Buffer): void {
    if (this.done) {
      this.pushAfterEnd(chunk)
      return
    }
    const rest = this.buffer.length - this.pos
    if (rest === 0) {
      this.buffer = chunk
    } else {
      this.reserve(rest, rest + chunk.length)
      chunk.copy(this.carry, rest)
      this.buffer = this.carry.subarray(0, rest + chunk.length)
    }
    this.pos = 0
    this.bufferChanged()
  }

  /** No more bytes will come: the last line may lack its end. */
  finish(): void {
    this.finished = true
  }

  /** Moves to the next row that is wholly there. */
  next(): boolean {
    if (!this.done && this.readRow()) return true
    this.keepRest()
    return false
  }

  /** Lets go of the caller's bytes in the middle of a chunk, before a wait. */
  detach(): void {
    this.keepRest()
  }

  /** Bytes of the key, with escapes and quotes undone. */
  abstract keyText(): Buffer

  protected abstract readRow(): boolean
  /** Offsets into the old buffer are void. */
  protected abstract bufferChanged(): void
  /** CONTEXT of the row being read. */
  protected abstract context(): string

  protected pushAfterEnd(_chunk: Buffer): void {}

  private keepRest(): void {
    const rest = this.done ? 0 : this.buffer.length - this.pos
    if (rest > this.format.rowBytesMax) throw rowTooLong(this.format.rowBytesMax, this.context())
    if (rest === 0) this.buffer = EMPTY
    else {
      this.reserve(rest, rest)
      this.buffer = this.carry.subarray(0, rest)
    }
    this.pos = 0
    this.bufferChanged()
  }

  /** Makes `carry` hold the unread rest at its beginning, with room for `size` bytes. */
  private reserve(rest: number, size: number): void {
    const isCarry =
      this.buffer.buffer === this.carry.buffer && this.buffer.byteOffset === this.carry.byteOffset
    if (this.carry.length < size) {
      const larger = Buffer.allocUnsafeSlow(Math.max(size, this.carry.length * 2, 4096))
      this.buffer.copy(larger, 0, this.pos, this.pos + rest)
      this.carry = larger
    } else if (!isCarry) {
      this.buffer.copy(this.carry, 0, this.pos, this.pos + rest)
    } else if (this.pos > 0) {
      this.carry.copyWithin(0, this.pos, this.pos + rest)
    }
    this.pos = 0
  }
}
