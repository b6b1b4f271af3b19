/**
 * What Postgres' scanner takes long over, found and taken away before it sees the text. It reads a run of operator
 * characters to its end for each token that may begin in it, and the openings of nested comments are such a run: time
 * grows with the square of its length. Here every byte is looked at once.
 */
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import * as chars from '../lex/chars.ts'
import * as skip from '../lex/skip.ts'

/** Texts up to this size cost nothing worth looking for. */
const SHORT_BYTES = 1024
/** An operator has 63 characters at most. */
const OPERATOR_RUN_MAX = 256
/** A syntax tree takes some hundred bytes per token, and a microsecond or two. */
export const TOKENS_MAX = 500_000

/** Postgres' scanner goes on with a string behind such a comment; libpg-query's calls that a syntax error. */
const COMMENT_AFTER_STRING = /'\s*--/

/** Of an empty comment. */
const EMPTY_BYTES = 4

const SPACE = 0x20
const STAR = 0x2a
const SLASH = 0x2f
const DASH = 0x2d
const QUOTE = 0x27
const COLON = 0x3a
const BACKSLASH = 0x5c
const AMPERSAND = 0x26

/**
 * The same text for the parser, byte for byte, but for the insides of comments, and comments inside of strings, which are
 * blank. Throws 54000 for more tokens than the node wants to parse at a time, 54001 for runs that no operator can be.
 */
export function flattened(sql: string): string {
  if (sql.length > SHORT_BYTES) return new Flattening(sql).text()
  return COMMENT_AFTER_STRING.test(sql) ? joined(sql) : sql
}

/** What is wrong with a short text the parser tells, as other things may be wrong with it first. */
function joined(sql: string): string {
  try {
    return new Flattening(sql).text()
  } catch {
    return sql
  }
}

class Flattening {
  private readonly sql: string
  private readonly bytes: Buffer
  private changed = false
  private tokens = 0
  /** Where the run of operator characters under way began. */
  private runStart = -1

  constructor(sql: string) {
    this.sql = sql
    this.bytes = Buffer.from(sql)
  }

  text(): string {
    const { length } = this.bytes
    let p = 0
    // A token that never ends is the parser's to complain of: it gets there in one go.
    while (p >= 0 && p < length) p = this.step(p)
    return this.changed ? this.bytes.toString() : this.sql
  }

  private step(p: number): number {
    const { bytes } = this
    const kind = chars.TOKEN_START[bytes[p]!]
    if (kind === chars.SLASH && bytes[p + 1] === STAR) return this.comments(p)
    if (kind === chars.OPERATOR || kind === chars.MINUS || kind === chars.SLASH) {
      if (kind === chars.MINUS && bytes[p + 1] === DASH) return this.lineComment(p)
      return this.operator(p)
    }
    this.runStart = -1
    if (kind === chars.SPACE) return p + 1
    this.count()
    return this.token(p, kind)
  }

  private count(): void {
    if (++this.tokens > TOKENS_MAX) throw weftError('too_many_tokens', { max: TOKENS_MAX })
  }

  private lineComment(p: number): number {
    this.runStart = -1
    return skip.skipLineComment(this.bytes, p, this.bytes.length)
  }

  private operator(p: number): number {
    if (this.runStart < 0) {
      this.runStart = p
      this.count()
    }
    if (p - this.runStart >= OPERATOR_RUN_MAX) throw weftError('statement_too_complex', {})
    return p + 1
  }

  /** A comment and those that follow it at once become one. */
  private comments(start: number): number {
    const { bytes } = this
    let end = start
    while (bytes[end] === SLASH && bytes[end + 1] === STAR) {
      const after = skip.skipBlockComment(bytes, end, bytes.length)
      if (after < 0) throw this.unterminated(end)
      end = after
    }
    // Other characters than ASCII stay: places of errors are counted in characters, others in bytes.
    for (let i = start + 2; i < end - 2; i++) if (bytes[i]! < 0x80) bytes[i] = SPACE
    this.changed = true
    // Blank inside it breaks the run; an empty one goes on with it.
    if (end - start > EMPTY_BYTES) this.runStart = -1
    else this.operator(start)
    return end
  }

  private unterminated(start: number): PgError {
    const rest = this.bytes.toString('utf8', start)
    const position = this.bytes.toString('utf8', 0, start).length + 1
    return new PgError({ code: '42601', message: `unterminated /* comment at or near "${rest}"`, position })
  }

  private token(p: number, kind: number | undefined): number {
    const { bytes } = this
    const { length } = bytes
    switch (kind) {
      case chars.QUOTE:
        return this.string(p, skip.skipString(bytes, p, length), false)
      case chars.DOUBLE_QUOTE:
        return skip.skipQuotedIdentifier(bytes, p, length)
      case chars.DOLLAR:
        return this.dollar(p)
      case chars.PREFIX:
        return this.prefixed(p)
      case chars.IDENT:
      case chars.DIGIT:
        return skip.skipIdentifier(bytes, p + 1, length)
      default:
        return bytes[p] === COLON && bytes[p + 1] === COLON ? p + 2 : p + 1
    }
  }

  /** Takes the comments away that stand between its parts. */
  private string(quote: number, end: number, escapes: boolean): number {
    const { bytes } = this
    for (let p = quote + 1; p < end - 1; p++) {
      if (escapes && bytes[p] === BACKSLASH) p++
      else if (bytes[p] !== QUOTE) continue
      else if (bytes[p + 1] === QUOTE) p++
      else {
        const next = skip.continuation(bytes, p + 1, end)
        if (next < 0) break
        this.blank(p + 1, next)
        p = next
      }
    }
    return end
  }

  private blank(start: number, end: number): void {
    for (let i = start; i < end; i++) {
      if (chars.isSpace(this.bytes[i]!)) continue
      this.bytes[i] = SPACE
      this.changed = true
    }
  }

  private prefixed(p: number): number {
    const { bytes } = this
    const letter = bytes[p]! | 0x20
    if (bytes[p + 1] === QUOTE && letter === 0x65)
      return this.string(p + 1, skip.skipEscapeString(bytes, p + 1, bytes.length), true)
    // The quote of any other kind begins the next token, as does that of U&'…' and U&"…".
    if (bytes[p + 1] === QUOTE || (bytes[p + 1] === AMPERSAND && letter === 0x75)) return p + 1
    return skip.skipIdentifier(bytes, p + 1, bytes.length)
  }

  private dollar(p: number): number {
    const length = skip.dollarTagLength(this.bytes, p, this.bytes.length)
    if (length === 0) return this.parameter(p + 1)
    return skip.skipDollarString(this.bytes, p, length, this.bytes.length)
  }

  private parameter(p: number): number {
    while (chars.TOKEN_START[this.bytes[p]!] === chars.DIGIT) p++
    return p
  }
}
