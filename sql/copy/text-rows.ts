import { badCopy } from './copy-errors.ts'
import { BACKSLASH, CR, DOT, LF, LineReader } from './line-reader.ts'
import { unescapeText } from './text-escapes.ts'

/** COPY's text format: one line a row, `\` before anything takes away its meaning, `\.` alone on a line ends it all. */
export class TextRows extends LineReader {
  private nextBackslash = -1

  override keyText(): Buffer {
    const raw = this.buffer.subarray(this.keyStart, this.keyEnd)
    return this.keyEscaped ? unescapeText(raw) : raw
  }

  protected override bufferChanged(): void {
    super.bufferChanged()
    this.nextBackslash = -1
  }

  protected override isPlain(to: number): boolean {
    if (this.nextBackslash < this.pos) this.nextBackslash = this.find(BACKSLASH)
    return this.nextBackslash > to
  }

  protected override scanLine(): boolean {
    const { buffer } = this
    let at = this.rowStart + this.scanned
    while (at < buffer.length) {
      const c = buffer[at]!
      if (c === BACKSLASH) {
        const escaped = buffer[at + 1]
        // A backslash as the very last byte stands for itself.
        if (escaped === undefined) break
        if (escaped === DOT && this.isEnd(at)) return false
        if (escaped === DOT) break
        at += 2
      } else if (c === LF || c === CR) {
        if (this.lineEndAt(at) === 'line') return true
        break
      } else at++
    }
    this.scanned = Math.min(at, buffer.length) - this.rowStart
    return false
  }

  /** True: the data ends here. False: more bytes are needed. Anywhere but alone on its line it is an error. */
  private isEnd(at: number): boolean {
    const marker = this.endMarkerAt(at)
    if (marker === 'more') return false
    if (marker === 'wrong style') {
      throw badCopy('end-of-copy marker does not match previous newline style', this.context())
    }
    if (marker === 'not alone' || at !== this.rowStart) {
      throw badCopy('end-of-copy marker is not alone on its line', this.context())
    }
    this.done = true
    return true
  }

  protected override findKey(): number {
    const { buffer, delimiter, rowEnd } = this
    const { keyIndex, countFields } = this.format
    let field = 0
    let start = this.rowStart
    let escaped = false
    for (let at = start; ; at++) {
      const c = at < rowEnd ? buffer[at]! : -1
      if (c === BACKSLASH) {
        escaped = true
        at++
      } else if (c === delimiter || at >= rowEnd) {
        if (field === keyIndex) {
          this.setKey(start, Math.min(at, rowEnd), escaped)
          if (!countFields) return field + 1
        }
        field++
        if (at >= rowEnd) break
        start = at + 1
        escaped = false
      }
    }
    if (field <= keyIndex || (countFields && field < this.format.columns.length)) return this.tooFew(field)
    return field
  }

  private setKey(start: number, end: number, escaped: boolean): void {
    const { nullBytes, buffer } = this
    this.keyStart = start
    this.keyEnd = end
    this.keyEscaped = escaped
    this.keyIsNull =
      end - start === nullBytes.length && buffer.compare(nullBytes, 0, nullBytes.length, start, end) === 0
  }

  protected override fieldTexts(): (string | null)[] {
    return this.rawFields().map((raw) => (raw.equals(this.nullBytes) ? null : unescapeText(raw).toString()))
  }

  protected override fieldsMarked(): boolean[] {
    const { nullBytes, defaultBytes } = this
    return this.rawFields().map((raw) => !raw.equals(nullBytes) && raw.equals(defaultBytes!))
  }

  private rawFields(): Buffer[] {
    const fields: Buffer[] = []
    let start = this.rowStart
    for (let at = start; at <= this.rowEnd; at++) {
      if (at < this.rowEnd && this.buffer[at] === BACKSLASH) at++
      else if (at === this.rowEnd || this.buffer[at] === this.delimiter) {
        fields.push(this.buffer.subarray(start, at))
        start = at + 1
      }
    }
    return fields
  }
}
