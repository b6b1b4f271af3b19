import type { RowReader } from '../../../sql/copy/row-reader.ts'

const ROWS_MAX = 5000
const BYTES_MAX = 1024 * 1024

/** Rows that cannot be sent yet: copies of their bytes, and what has to be known of them later. */
export class HeldRows {
  data = Buffer.allocUnsafeSlow(64 * 1024)
  private used = 0
  /** Ends of the rows in `data`; a row begins where the one before ends. */
  readonly ends: number[] = []
  readonly lines: number[] = []
  readonly innerLf: number[] = []
  readonly innerCr: number[] = []
  /** Slots, or what `sql/hash` said instead. */
  readonly slots: number[] = []
  /** The keys, decoded; null for NULL. */
  readonly keys: (Buffer | null)[] = []

  get count(): number {
    return this.ends.length
  }

  get isFull(): boolean {
    return this.count >= ROWS_MAX || this.used >= BYTES_MAX
  }

  add(reader: RowReader, slot: number, key: Buffer | null): void {
    const length = reader.rowEnd - reader.rowStart
    this.reserve(length)
    reader.buffer.copy(this.data, this.used, reader.rowStart, reader.rowEnd)
    this.used += length
    this.ends.push(this.used)
    this.lines.push(reader.line)
    this.innerLf.push(reader.innerLf)
    this.innerCr.push(reader.innerCr)
    this.slots.push(slot)
    this.keys.push(key)
  }

  clear(): void {
    this.used = 0
    for (const list of [this.ends, this.lines, this.innerLf, this.innerCr, this.slots, this.keys])
      list.length = 0
  }

  private reserve(length: number): void {
    if (this.used + length <= this.data.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(this.used + length, this.data.length * 2))
    this.data.copy(larger, 0, 0, this.used)
    this.data = larger
  }
}
