import { badCopy, lineContext } from './copy-errors.ts'
import { RowReader } from './row-reader.ts'

/** What every binary COPY begins with. */
export const BINARY_SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')

/** Signature, no flags, no extension: the header that goes before the rows of a shard. */
export const BINARY_HEADER = Buffer.concat([BINARY_SIGNATURE, Buffer.alloc(8)])

/** A field count of -1: the end of the data. */
export const BINARY_TRAILER = Buffer.from([0xff, 0xff])

/** COPY's binary format: a header, rows as a field count and fields with their lengths, a trailer. */
export class BinaryRows extends RowReader {
  private headerDue = true

  override keyText(): Buffer {
    return this.buffer.subarray(this.keyStart, this.keyEnd)
  }

  protected override readRow(): boolean {
    if (this.headerDue && !this.readHeader()) return false
    const start = this.pos
    if (this.buffer.length - start < 2) return false
    const fields = this.buffer.readInt16BE(start)
    if (fields === -1) return this.readTrailer(start + 2)
    const expected = this.format.columns.length
    this.line++
    if (fields !== expected) throw this.error(`row field count is ${fields}, expected ${expected}`)
    const end = this.rowEndFrom(start + 2, fields)
    if (end < 0) {
      this.line--
      return this.unlessCut(start)
    }
    this.rowStart = start
    this.rowEnd = end
    this.pos = end
    return true
  }

  protected override bufferChanged(): void {}

  protected override context(): string {
    return lineContext(this.format.table, this.line + 1)
  }

  protected override pushAfterEnd(chunk: Buffer): void {
    if (chunk.length === 0) return
    throw this.error('received copy data after EOF marker')
  }

  private readHeader(): boolean {
    const { buffer, pos } = this
    const known = Math.min(buffer.length - pos, BINARY_SIGNATURE.length)
    if (!buffer.subarray(pos, pos + known).equals(BINARY_SIGNATURE.subarray(0, known))) {
      throw badCopy('COPY file signature not recognized')
    }
    if (buffer.length - pos < BINARY_HEADER.length) {
      if (this.finished) throw badCopy('COPY file signature not recognized')
      return false
    }
    const flags = buffer.readUInt32BE(pos + 11)
    if ((flags & 0x10000) !== 0) throw badCopy('invalid COPY file header (WITH OIDS)')
    if (flags >>> 17 !== 0) throw badCopy('unrecognized critical flags in COPY file header')
    const extension = buffer.readInt32BE(pos + 15)
    if (extension < 0) throw badCopy('invalid COPY file header (missing length)')
    if (buffer.length - pos < BINARY_HEADER.length + extension) {
      if (this.finished) throw badCopy('invalid COPY file header (wrong length)')
      return false
    }
    this.pos = pos + BINARY_HEADER.length + extension
    this.headerDue = false
    return true
  }

  private readTrailer(end: number): false {
    this.done = true
    this.line++
    if (this.buffer.length > end) throw this.error('received copy data after EOF marker')
    return false
  }

  /** End of the row whose fields begin at `at`, noting the key on the way; -1 when it is not all there. */
  private rowEndFrom(at: number, fields: number): number {
    const { buffer } = this
    const { keyIndex } = this.format
    for (let field = 0; field < fields; field++) {
      if (buffer.length - at < 4) return -1
      const length = buffer.readInt32BE(at)
      if (length < -1) throw this.error('invalid field size')
      const start = at + 4
      at = length === -1 ? start : start + length
      if (field === keyIndex) {
        this.keyStart = start
        this.keyEnd = at
        this.keyIsNull = length === -1
      }
      if (at > buffer.length) return -1
    }
    return at
  }

  /** Data may end without a trailer, as in Postgres, but not inside a row. */
  private unlessCut(start: number): false {
    if (this.finished && this.buffer.length > start) {
      this.line++
      throw this.error('unexpected EOF in COPY data')
    }
    return false
  }

  private error(message: string) {
    return badCopy(message, lineContext(this.format.table, this.line))
  }
}
