import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { badCopy, lineContext, rowContext } from './copy-errors.ts'
import type { CopyFormat } from './copy-format.ts'
import { RowReader } from './row-reader.ts'

export const LF = 0x0a
export const CR = 0x0d
export const BACKSLASH = 0x5c
export const DOT = 0x2e

/** Which line ends the data has; the first line decides, as in Postgres. */
type LineEnds = 'unknown' | 'lf' | 'crlf' | 'cr'

/** What a look at one byte of a line said. */
export type Scan = 'line' | 'more' | 'continue'

export type EndMarker = 'end' | 'more' | 'not alone' | 'wrong style'

/** What text and CSV share: lines, headers, numbers of fields, and the rules about line ends. */
export abstract class LineReader extends RowReader {
  protected lineEnds: LineEnds = 'unknown'
  protected readonly delimiter: number
  protected readonly nullBytes: Buffer
  protected readonly defaultBytes: Buffer | undefined
  /** Where the slow scan of an unfinished line goes on, relative to the line's start. */
  protected scanned = 0
  private headerDue: boolean
  private nextCr = -1

  constructor(format: CopyFormat) {
    super(format)
    this.delimiter = format.delimiter.charCodeAt(0)
    this.nullBytes = Buffer.from(format.nullText)
    this.defaultBytes = format.defaultText === undefined ? undefined : Buffer.from(format.defaultText)
    this.headerDue = format.header !== 'none'
  }

  protected override readRow(): boolean {
    if (this.headerDue && !this.readHeader()) return false
    if (!this.readLine()) return false
    if (this.format.keyIndex < 0 && !this.format.countFields) {
      this.checkDefaults()
      return true
    }
    this.isShort = false
    const fields = this.findKey()
    this.checkDefaults()
    if (fields > this.format.columns.length) throw this.rowError('extra data after last expected column')
    return true
  }

  protected override bufferChanged(): void {
    this.nextCr = -1
  }

  protected override context(): string {
    return lineContext(this.format.table, this.line + 1 + this.innerLines())
  }

  /** Sets the key's place; returns the number of fields seen, all of them only when they are to be counted. */
  protected abstract findKey(): number
  /** All fields of the line in [rowStart, rowEnd); null for the null string. */
  protected abstract fieldTexts(): (string | null)[]
  /** Of all fields of the line whether they are what stands for a default. */
  protected abstract fieldsMarked(): boolean[]
  /** Looks at the line from `rowStart + scanned` on, byte by byte. */
  protected abstract scanLine(): boolean
  /** Whether the bytes up to `to` hold anything that only `scanLine` understands. */
  protected abstract isPlain(to: number): boolean

  /** The next line into [rowStart, rowEnd); false when its end is not there yet. */
  private readLine(): boolean {
    this.rowStart = this.pos
    if (this.scanned === 0) {
      this.innerLf = 0
      this.innerCr = 0
    }
    const plainEnd = this.plainLineEnd()
    if (plainEnd >= 0) return this.endLine(plainEnd, this.lineEnds === 'crlf' ? plainEnd + 2 : plainEnd + 1)
    if (this.scanLine()) return true
    return this.finished && !this.done && this.endUnfinished()
  }

  /** Fast path: where the line ends, by native search alone; -1 when it must be looked at closely. */
  private plainLineEnd(): number {
    if (this.scanned > 0 || (this.lineEnds !== 'lf' && this.lineEnds !== 'crlf')) return -1
    const lf = this.buffer.indexOf(LF, this.pos)
    if (lf < 0 || !this.isPlain(lf)) return -1
    if (this.nextCr < this.pos) this.nextCr = this.find(CR)
    if (this.lineEnds === 'lf') return this.nextCr > lf ? lf : -1
    return this.nextCr === lf - 1 ? lf - 1 : -1
  }

  protected find(byte: number): number {
    const at = this.buffer.indexOf(byte, this.pos)
    return at < 0 ? Number.POSITIVE_INFINITY : at
  }

  protected endLine(end: number, next: number): true {
    this.rowEnd = end
    this.pos = next
    this.scanned = 0
    this.line += 1 + this.innerLines()
    return true
  }

  /** Line ends inside quotes. On the first line Postgres doesn't know the line ends yet, and counts CRs. */
  private innerLines(): number {
    return this.line > 0 && this.lineEnds === 'lf' ? this.innerLf : this.innerCr
  }

  /** The last line of all, without a line end. */
  private endUnfinished(): boolean {
    const end = this.buffer.length
    if (end === this.rowStart) return false
    return this.endLine(end, end)
  }

  /** A CR or LF outside quotes at `at`: the end of the line, an error, or not yet known. */
  protected lineEndAt(at: number): Scan {
    return this.buffer[at] === LF ? this.lfAt(at) : this.crAt(at)
  }

  private lfAt(at: number): Scan {
    if (this.lineEnds === 'crlf' || this.lineEnds === 'cr') throw this.strayLineEnd('newline')
    this.lineEnds = 'lf'
    this.endLine(at, at + 1)
    return 'line'
  }

  private crAt(at: number): Scan {
    if (this.lineEnds === 'lf') throw this.strayLineEnd('carriage return')
    if (this.lineEnds !== 'cr') {
      if (at + 1 >= this.buffer.length && !this.finished) return 'more'
      if (this.buffer[at + 1] === LF) {
        this.lineEnds = 'crlf'
        this.endLine(at, at + 2)
        return 'line'
      }
      if (this.lineEnds === 'crlf') throw this.strayLineEnd('carriage return')
    }
    this.lineEnds = 'cr'
    this.endLine(at, at + 1)
    return 'line'
  }

  private strayLineEnd(what: 'newline' | 'carriage return') {
    const csv = this.format.format === 'csv'
    const hint = csv
      ? `Use quoted CSV field to represent ${what}.`
      : `Use "${what === 'newline' ? '\\n' : '\\r'}" to represent ${what}.`
    return badCopy(`${csv ? 'unquoted' : 'literal'} ${what} found in data`, this.context(), hint)
  }

  /** What the two characters `\\.` at `at` are, by what follows them. */
  protected endMarkerAt(at: number): EndMarker {
    let next = at + 2
    let c = this.buffer[next]
    if (this.lineEnds === 'crlf' && c !== undefined) {
      if (c === LF) return 'wrong style'
      if (c !== CR) return 'not alone'
      c = this.buffer[++next]
    }
    if (c === undefined) return this.finished ? 'not alone' : 'more'
    if (c !== CR && c !== LF) return 'not alone'
    const expected = { unknown: c, lf: LF, crlf: LF, cr: CR }[this.lineEnds]
    return c === expected ? 'end' : 'wrong style'
  }

  protected rowError(message: string) {
    const row = this.buffer.subarray(this.rowStart, this.rowEnd)
    return badCopy(message, rowContext(this.format.table, this.line, row))
  }

  private checkDefaults(): void {
    const { ownDefaults, columns } = this.format
    if (ownDefaults.length === 0 || this.defaultBytes === undefined) return
    // Most rows have none at all.
    if (!this.buffer.subarray(this.rowStart, this.rowEnd).includes(this.defaultBytes)) return
    const marked = this.fieldsMarked()
    const own = ownDefaults.find((i) => marked[i] === true)
    if (own === undefined) return
    const error = weftError('not_supported', {
      id: 'copy',
      what:
        `COPY with DEFAULT for column "${columns[own]}", whose default draws from a sequence, tells a time or is ` +
        'the shard key, is not supported',
      hint: 'Leave the column out of the column list.',
    })
    throw new PgError({ ...error.fields, where: lineContext(this.format.table, this.line) })
  }

  protected tooFew(fields: number): number {
    if (!this.format.skips) throw this.missing(fields)
    this.isShort = true
    return fields
  }

  private missing(fields: number) {
    return this.rowError(`missing data for column "${this.format.columns[fields]}"`)
  }

  private readHeader(): boolean {
    if (!this.readLine()) {
      if (!this.finished || this.format.header !== 'match') return false
      // No data at all is an empty header line.
      this.endLine(this.pos, this.pos)
    }
    this.headerDue = false
    if (this.format.header === 'match') this.checkHeader()
    return true
  }

  private checkHeader(): void {
    const { columns } = this.format
    const fields = this.fieldTexts()
    if (fields.length !== columns.length) {
      throw this.rowError(
        `wrong number of fields in header line: got ${fields.length}, expected ${columns.length}`,
      )
    }
    fields.forEach((field, i) => {
      if (field === columns[i]) return
      const got = field === null ? `null value ("${this.format.nullText}")` : `"${field}"`
      throw this.rowError(
        `column name mismatch in header line field ${i + 1}: got ${got}, expected "${columns[i]}"`,
      )
    })
  }
}
