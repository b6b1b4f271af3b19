/**
 * Strings in plain quotes with a backslash in them are the only ones that mean something else under
 * `standard_conforming_strings = off`. Written as `E'…'` they mean the same under either setting. PURE.
 */
import * as chars from './chars.ts'
import {
  continuation,
  dollarTagLength,
  skipBitString,
  skipBlockComment,
  skipDollarString,
  skipEscapeString,
  skipIdentifier,
  skipLineComment,
  skipNumber,
  skipQuotedIdentifier,
  skipString,
} from './skip.ts'

const APOSTROPHE = 0x27
const BACKSLASH = 0x5c

/** A string in plain quotes that has a backslash. Offsets in bytes. */
export interface BackslashString {
  /** Where its `N` stands, or its opening quote. */
  readonly start: number
  readonly quote: number
  readonly end: number
  readonly backslash: number
}

/** Why a text cannot be read to its end. */
export type Stop = 'unicode' | 'unterminated'

export interface FoundStrings {
  readonly strings: readonly BackslashString[]
  readonly stop: { readonly at: number; readonly why: Stop } | undefined
}

/** `escapes`: backslashes escape in plain quotes too. */
export function backslashStrings(sql: Buffer, escapes: boolean): FoundStrings {
  const scan = new Scan(sql, escapes)
  if (sql.includes(BACKSLASH) || escapes) scan.run()
  return scan
}

class Scan implements FoundStrings {
  readonly strings: BackslashString[] = []
  stop: FoundStrings['stop']
  private readonly sql: Buffer
  private readonly escapes: boolean

  constructor(sql: Buffer, escapes: boolean) {
    this.sql = sql
    this.escapes = escapes
  }

  run(): void {
    const { sql } = this
    // What does not end here is an error wherever it is read, and holds the rest.
    for (let p = 0; p >= 0 && p < sql.length; ) p = this.token(p)
  }

  private token(p: number): number {
    const { sql } = this
    const end = sql.length
    const next = sql[p + 1]
    switch (chars.TOKEN_START[sql[p]!]) {
      case chars.PREFIX:
        return this.prefixed(p, next)
      case chars.IDENT:
        return skipIdentifier(sql, p + 1, end)
      case chars.QUOTE:
        return this.plain(p, p)
      case chars.DOUBLE_QUOTE:
        return skipQuotedIdentifier(sql, p, end)
      case chars.DOLLAR:
        return this.dollar(p)
      case chars.MINUS:
        return next === 0x2d ? skipLineComment(sql, p, end) : p + 1
      case chars.SLASH:
        return next === 0x2a ? skipBlockComment(sql, p, end) : p + 1
      case chars.DIGIT:
        return skipNumber(sql, p, end)
      default:
        return p + 1
    }
  }

  private dollar(p: number): number {
    const tag = dollarTagLength(this.sql, p, this.sql.length)
    return tag === 0 ? p + 1 : skipDollarString(this.sql, p, tag, this.sql.length)
  }

  private prefixed(p: number, next: number | undefined): number {
    const { sql } = this
    const letter = sql[p]! | 0x20
    if (next === APOSTROPHE && letter === 0x65) return skipEscapeString(sql, p + 1, sql.length)
    if (next === APOSTROPHE && letter === 0x6e) return this.plain(p, p + 1)
    if (next === APOSTROPHE && letter !== 0x75) return skipBitString(sql, p + 1, sql.length)
    if (next === 0x26 && letter === 0x75 && sql[p + 2] === APOSTROPHE) return this.unicode(p)
    if (next === 0x26 && letter === 0x75 && sql[p + 2] === 0x22)
      return skipQuotedIdentifier(sql, p + 2, sql.length)
    return skipIdentifier(sql, p + 1, sql.length)
  }

  private unicode(p: number): number {
    return this.escapes ? this.stopped(p, 'unicode') : skipString(this.sql, p + 2, this.sql.length)
  }

  private plain(start: number, quote: number): number {
    const end = this.escapes ? this.escaping(quote) : skipString(this.sql, quote, this.sql.length)
    if (end < 0) return end
    const backslash = this.sql.subarray(quote, end).indexOf(BACKSLASH)
    if (backslash >= 0) this.strings.push({ start, quote, end, backslash: quote + backslash })
    return end
  }

  /** Where it ends when backslashes escape. */
  private escaping(quote: number): number {
    const { sql } = this
    for (let p = quote + 1; p < sql.length; p++) {
      if (sql[p] === BACKSLASH) p++
      else if (sql[p] === APOSTROPHE && sql[p + 1] === APOSTROPHE) p++
      else if (sql[p] === APOSTROPHE) {
        const next = continuation(sql, p + 1, sql.length)
        if (next < 0) return p + 1
        p = next
      }
    }
    return this.stopped(quote, 'unterminated')
  }

  private stopped(at: number, why: Stop): number {
    this.stop = { at, why }
    return -1
  }
}

/** One string written otherwise: `end - start` bytes became as many as `text` has. */
interface Change {
  readonly start: number
  readonly end: number
  readonly text: string
}

export interface WrittenAnew {
  readonly sql: Buffer
  readonly changes: readonly Change[]
}

/** The text under either setting, of one in which backslashes escape. */
export function escapesSpelt(sql: Buffer, strings: readonly BackslashString[]): WrittenAnew {
  return changed(
    sql,
    strings.map(({ start, quote }) => ({ start, end: quote, text: start === quote ? ' E' : 'NCHAR E' })),
  )
}

/** The text under either setting, of one in which they do not. */
export function backslashesSpelt(sql: string): string {
  return sql.includes('\\') ? backslashesSpeltIn(Buffer.from(sql)).sql.toString('utf8') : sql
}

export function backslashesSpeltIn(sql: Buffer): WrittenAnew {
  const changes = backslashStrings(sql, false).strings.flatMap(({ start, quote, end }) => [
    { start, end: quote, text: start === quote ? ' E' : 'NCHAR E' },
    { start: quote, end, text: sql.toString('utf8', quote, end).replaceAll('\\', '\\\\') },
  ])
  return changes.length === 0 ? { sql, changes } : changed(sql, changes)
}

function changed(sql: Buffer, changes: readonly Change[]): WrittenAnew {
  const parts: Buffer[] = []
  let at = 0
  for (const { start, end, text } of changes) {
    parts.push(sql.subarray(at, start), Buffer.from(text))
    at = end
  }
  return { sql: Buffer.concat([...parts, sql.subarray(at)]), changes }
}

const isCharacter = (byte: number): boolean => (byte & 0xc0) !== 0x80

/** How many characters these bytes are. */
export function charactersIn(sql: Buffer, start: number, end: number): number {
  let count = 0
  for (let i = start; i < end; i++) if (isCharacter(sql[i]!)) count++
  return count
}

/** Where the character is that an error's position (from 1) names. */
export function byteAt(sql: Buffer, position: number): number {
  let left = position
  for (let i = 0; i < sql.length; i++) if (isCharacter(sql[i]!) && --left === 0) return i
  return sql.length
}

/** Where in the text as it was an error's position (characters, from 1) is. */
export function positionBefore(sql: Buffer, changes: readonly Change[], position: number): number {
  let at = 0
  let before = 1
  let after = 1
  for (const { start, end, text } of changes) {
    const same = charactersIn(sql, at, start)
    if (position < after + same) break
    before += same + charactersIn(sql, start, end)
    after += same
    // Whatever is said of the string is said of where it begins: at its quote, as Postgres counts.
    if (position < after + [...text].length) return before
    after += [...text].length
    at = end
  }
  return before + position - after
}
