import type { CopyFormat } from './copy-format.ts'
import { BACKSLASH, CR, DOT, LF, LineReader } from './line-reader.ts'

/** COPY's CSV format: fields may be quoted, quoted fields may hold delimiters, quotes and line ends. */
export class CsvRows extends LineReader {
  private readonly quote: number
  private readonly escapeByte: number
  private nextQuote = -1
  /** State of the slow scan, kept while more bytes are awaited. */
  private inQuote = false
  private afterEscape = false
  /** End of the field that `readField` was on, and what it saw. */
  private fieldEnd = 0
  private sawQuote = false

  constructor(format: CopyFormat) {
    super(format)
    this.quote = format.quote.charCodeAt(0)
    this.escapeByte = format.escape.charCodeAt(0)
  }

  override keyText(): Buffer {
    const raw = this.buffer.subarray(this.keyStart, this.keyEnd)
    return this.keyEscaped ? this.unquote(raw) : raw
  }

  protected override bufferChanged(): void {
    super.bufferChanged()
    this.nextQuote = -1
  }

  protected override isPlain(to: number): boolean {
    if (this.format.csvEndMarker && this.buffer[this.pos] === BACKSLASH) return false
    if (this.nextQuote < this.pos) this.nextQuote = this.find(this.quote)
    return this.nextQuote > to
  }

  protected override scanLine(): boolean {
    const { buffer } = this
    if (this.scanned === 0) {
      this.inQuote = false
      this.afterEscape = false
      if (this.format.csvEndMarker && buffer[this.rowStart] === BACKSLASH && this.endMarkerAhead())
        return false
    }
    let at = this.rowStart + this.scanned
    for (; at < buffer.length; at++) {
      const c = buffer[at]!
      if ((c === LF || c === CR) && !this.inQuote) {
        if (this.lineEndAt(at) === 'line') return true
        break
      }
      this.follow(c)
    }
    this.scanned = at - this.rowStart
    return false
  }

  /** Keeps track of quotes exactly as Postgres does, also where an escape stands outside quotes. */
  private follow(c: number): void {
    const hasEscape = this.escapeByte !== this.quote
    if (hasEscape && this.inQuote && c === this.escapeByte) this.afterEscape = !this.afterEscape
    if (c === this.quote && !this.afterEscape) this.inQuote = !this.inQuote
    if (!hasEscape || c !== this.escapeByte) this.afterEscape = false
    if (c === LF) this.innerLf++
    else if (c === CR) this.innerCr++
  }

  /** `\.` alone on a line: the end of the data. True also when more bytes are needed to tell. */
  private endMarkerAhead(): boolean {
    const second = this.buffer[this.rowStart + 1]
    if (second === undefined) return !this.finished
    if (second !== DOT) return false
    const marker = this.endMarkerAt(this.rowStart)
    if (marker === 'end') this.done = true
    return marker === 'end' || marker === 'more'
  }

  protected override findKey(): number {
    const { keyIndex, countFields } = this.format
    let field = 0
    let start = this.rowStart
    for (;;) {
      this.readField(start)
      if (field === keyIndex) {
        this.setKey(start)
        if (!countFields) return field + 1
      }
      field++
      if (this.fieldEnd >= this.rowEnd) break
      start = this.fieldEnd + 1
    }
    if (field <= keyIndex || (countFields && field < this.format.columns.length)) return this.tooFew(field)
    return field
  }

  /** Finds the end of the field that begins at `at`. */
  private readField(at: number): void {
    const { buffer, rowEnd, quote, delimiter } = this
    this.sawQuote = false
    for (; at < rowEnd && buffer[at] !== delimiter; at++) {
      if (buffer[at] !== quote) continue
      this.sawQuote = true
      at = this.closingQuote(at + 1)
    }
    this.fieldEnd = at
  }

  private closingQuote(at: number): number {
    const { buffer, rowEnd, quote, escapeByte } = this
    for (; at < rowEnd; at++) {
      const c = buffer[at]!
      const next = at + 1 < rowEnd ? buffer[at + 1] : -1
      if (c === escapeByte && (next === escapeByte || next === quote)) at++
      else if (c === quote) return at
    }
    throw this.rowError('unterminated CSV quoted field')
  }

  private setKey(start: number): void {
    const end = this.fieldEnd
    this.keyStart = start
    this.keyEnd = end
    this.keyEscaped = this.sawQuote
    const { keyForceNull, keyForceNotNull } = this.format
    const isNullText = !this.sawQuote && this.buffer.subarray(start, end).equals(this.nullBytes)
    if (isNullText) this.keyIsNull = !keyForceNotNull
    else this.keyIsNull = keyForceNull && this.keyText().equals(this.nullBytes)
  }

  private unquote(raw: Buffer): Buffer {
    const { quote, escapeByte } = this
    const out = Buffer.allocUnsafe(raw.length)
    let length = 0
    let inside = false
    for (let at = 0; at < raw.length; at++) {
      const c = raw[at]!
      const next = raw[at + 1]
      if (inside && c === escapeByte && (next === escapeByte || next === quote)) {
        out[length++] = next
        at++
      } else if (c === quote) inside = !inside
      else out[length++] = c
    }
    return out.subarray(0, length)
  }

  protected override fieldTexts(): (string | null)[] {
    return this.eachField((raw) => {
      const isNull = !this.sawQuote && raw.equals(this.nullBytes)
      return isNull ? null : this.unquote(raw).toString()
    })
  }

  protected override fieldsMarked(): boolean[] {
    const { nullBytes, defaultBytes } = this
    return this.eachField((raw) => !this.sawQuote && !raw.equals(nullBytes) && raw.equals(defaultBytes!))
  }

  private eachField<T>(of: (raw: Buffer) => T): T[] {
    const fields: T[] = []
    for (let start = this.rowStart; ; start = this.fieldEnd + 1) {
      this.readField(start)
      fields.push(of(this.buffer.subarray(start, this.fieldEnd)))
      if (this.fieldEnd >= this.rowEnd) return fields
    }
  }
}
