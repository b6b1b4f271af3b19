/**
 * Token-level scan of a statement: where its literals are, and a fingerprint of the rest. Works on the bytes as they
 * came off the wire (UTF-8, or any encoding in which ASCII bytes are ASCII characters) and allocates nothing.
 * Assumes standard_conforming_strings = on: with `off` no text may come here (nor into the real parser).
 */
import * as chars from './chars.ts'
import { Lexed, LITERAL, type LiteralKind } from './lexed.ts'
import {
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

/** A Bind message cannot carry more. */
const PARAM_MAX = 65_535

/** The account of a whole text, one of its own. */
export function lexedOf(sql: Uint8Array): Lexed {
  const lexed = new Lexed()
  lexStatement(sql, 0, sql.length, lexed)
  return lexed
}

/** Scans `buf[start, end)`, which holds no terminating NUL, into `out`. */
export function lexStatement(buf: Uint8Array, start: number, end: number, out: Lexed): void {
  out.reset(start, end)
  const starts = chars.TOKEN_START
  let p = start
  // Words and the spaces between them, which most of a text is, are dealt with here, without a call per token.
  while (p >= 0 && p < end) {
    const kind = starts[buf[p]!]
    if (kind === chars.SPACE) {
      p++
    } else if (kind === chars.IDENT) {
      if (out.firstToken < 0) out.firstToken = p
      out.lastToken = p
      p = skipIdentifier(buf, p + 1, end)
    } else {
      p = step(buf, p, end, out)
    }
  }
  out.ok = p === end
  if (out.tail < out.lastToken) out.tail = end
  if (out.ok) fingerprint(buf, out)
}

/** Consumes a comment, or a token that is no plain word. */
function step(buf: Uint8Array, p: number, end: number, out: Lexed): number {
  const kind = chars.TOKEN_START[buf[p]!]
  if (kind === chars.MINUS && p + 1 < end && buf[p + 1] === 0x2d) {
    comment(p, end, out)
    return skipLineComment(buf, p, end)
  }
  if (kind === chars.SLASH && p + 1 < end && buf[p + 1] === 0x2a) {
    comment(p, end, out)
    return skipBlockComment(buf, p, end)
  }
  if (kind === chars.SEMICOLON) return semicolon(p, out)

  if (out.firstToken < 0) out.firstToken = p
  out.lastToken = p
  switch (kind) {
    case chars.PREFIX:
      return prefixed(buf, p, end, out)
    case chars.OPERATOR:
    case chars.MINUS:
    case chars.SLASH:
    case chars.PUNCTUATION:
      // How operator characters group does not matter here; comments inside a run were looked for above.
      return p + 1
    case chars.DIGIT:
      return number(buf, p, end, out)
    case chars.QUOTE:
      return literal(out, LITERAL.string, p, skipString(buf, p, end))
    case chars.OPEN:
      out.parens++
      return p + 1
    case chars.CLOSE:
      out.parens--
      return p + 1
    case chars.DOT:
      return dot(buf, p, end, out)
    case chars.DOUBLE_QUOTE:
      return skipQuotedIdentifier(buf, p, end)
    case chars.DOLLAR:
      return dollar(buf, p, end, out)
    default:
      return -1
  }
}

/** The first of a run of comments, so far. */
function comment(p: number, end: number, out: Lexed): void {
  if (out.tail === end || out.tail < out.lastToken) out.tail = p
}

function literal(out: Lexed, kind: LiteralKind, start: number, end: number): number {
  if (end >= 0) out.addLiteral(kind, start, end)
  return end
}

function semicolon(p: number, out: Lexed): number {
  if (out.parens !== 0) out.nestedSemicolon = true
  else if (out.firstSemicolon < 0) out.firstSemicolon = p
  return p + 1
}

function number(buf: Uint8Array, p: number, end: number, out: Lexed): number {
  const after = skipNumber(buf, p, end)
  return literal(out, isFloat(buf, p, after) ? LITERAL.float : LITERAL.integer, p, after)
}

function isFloat(buf: Uint8Array, p: number, end: number): boolean {
  for (let q = p; q < end; q++) {
    const c = buf[q]!
    if (c === 0x2e) return true
    if ((c | 0x20) === 0x78) return false
    if ((c | 0x20) === 0x65) return true
  }
  return false
}

/** `.5`, `..` or a dot. Two dots come first: `..5` is dot-dot and 5. */
function dot(buf: Uint8Array, p: number, end: number, out: Lexed): number {
  if (p + 1 >= end) return p + 1
  const next = buf[p + 1]!
  if (next === 0x2e) return p + 2
  return chars.isDigit(next) ? literal(out, LITERAL.float, p, skipNumber(buf, p, end)) : p + 1
}

/** A letter that may be the prefix of a literal or of a `U&"…"` identifier. */
function prefixed(buf: Uint8Array, p: number, end: number, out: Lexed): number {
  if (p + 1 >= end) return p + 1
  const letter = buf[p]! | 0x20
  const next = buf[p + 1]!
  if (next === 0x27 && letter !== 0x75) return quotedByLetter(buf, p, end, letter, out)
  if (next === 0x26 && letter === 0x75 && p + 2 < end) {
    if (buf[p + 2] === 0x27) return literal(out, LITERAL.unicode, p, skipString(buf, p + 2, end))
    if (buf[p + 2] === 0x22) return skipQuotedIdentifier(buf, p + 2, end)
  }
  return skipIdentifier(buf, p + 1, end)
}

function quotedByLetter(buf: Uint8Array, p: number, end: number, letter: number, out: Lexed): number {
  if (letter === 0x65) return literal(out, LITERAL.escape, p, skipEscapeString(buf, p + 1, end))
  if (letter === 0x62) return literal(out, LITERAL.bit, p, skipBitString(buf, p + 1, end))
  if (letter === 0x78) return literal(out, LITERAL.hex, p, skipBitString(buf, p + 1, end))
  return literal(out, LITERAL.national, p + 1, skipString(buf, p + 1, end))
}

/** `$1` or `$tag$…$tag$`. */
function dollar(buf: Uint8Array, p: number, end: number, out: Lexed): number {
  if (p + 1 < end && chars.isDigit(buf[p + 1]!)) return param(buf, p + 1, end, out)
  const tag = dollarTagLength(buf, p, end)
  return tag === 0 ? -1 : literal(out, LITERAL.dollar, p, skipDollarString(buf, p, tag, end))
}

function param(buf: Uint8Array, p: number, end: number, out: Lexed): number {
  let value = 0
  while (p < end && chars.isDigit(buf[p]!)) {
    value = value * 10 + buf[p]! - 0x30
    if (value > PARAM_MAX) return -1
    p++
  }
  // `$1abc` is two tokens before Postgres 18 and junk since.
  if (p < end && chars.isIdentStart(buf[p]!)) return -1
  out.addParam(value)
  return p
}

/**
 * Two multiplicative hashes over words of four bytes, up to the comments at the end: those of tracing are others each
 * time. Whoever uses them compares the bytes too, so they only have to spread well.
 */
function fingerprint(buf: Uint8Array, out: Lexed): void {
  let a = 0x811c9dc5 | 0
  let b = 0x2545f491
  let p = out.start
  const count = out.literalCount
  for (let i = 0; i <= count; i++) {
    const until = i < count ? out.starts[i]! : out.tail
    for (; p + 4 <= until; p += 4) {
      const word = buf[p]! | (buf[p + 1]! << 8) | (buf[p + 2]! << 16) | (buf[p + 3]! << 24)
      a = Math.imul(a ^ word, 0x01000193)
      a ^= a >>> 15
      b = Math.imul(b ^ word, 0x5bd1e995)
      b ^= b >>> 13
    }
    for (; p < until; p++) {
      a = Math.imul(a ^ buf[p]!, 0x01000193)
      b = Math.imul(b ^ buf[p]!, 0x5bd1e995)
    }
    if (i === count) break
    const kind = 0x100 + out.kinds[i]!
    a = Math.imul(a ^ kind, 0x01000193)
    b = Math.imul(b ^ kind, 0x5bd1e995)
    p = out.ends[i]!
  }
  out.hashA = a ^ (a >>> 16)
  out.hashB = b
}
