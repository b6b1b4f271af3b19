/**
 * Where a token ends. Each function gets the place where the token starts and returns the place after it, or -1 when
 * Postgres would call the text broken. The rules are those of scan.l of Postgres 18.
 */
import { hexValue, isDigit, isDollarTagCont, isIdentCont, isIdentStart, isNewline, isSpace } from './chars.ts'

const APOSTROPHE = 0x27
const BACKSLASH = 0x5c
const DOLLAR_SIGN = 0x24
const UNDERSCORE = 0x5f
const STAR = 0x2a
const SLASH_SIGN = 0x2f
const DASH = 0x2d

export function skipIdentifier(buf: Uint8Array, p: number, end: number): number {
  while (p < end && isIdentCont(buf[p]!)) p++
  return p
}

/** `"a""b"`; an empty one is an error in Postgres. */
export function skipQuotedIdentifier(buf: Uint8Array, quote: number, end: number): number {
  let p = quote + 1
  for (;;) {
    while (p < end && buf[p] !== 0x22) p++
    if (p >= end) return -1
    if (p + 1 < end && buf[p + 1] === 0x22) p += 2
    else return p === quote + 1 ? -1 : p + 1
  }
}

/** From the opening quote of a string in which a doubled quote stands for one. */
export function skipString(buf: Uint8Array, quote: number, end: number): number {
  let p = quote + 1
  for (;;) {
    while (p < end && buf[p] !== APOSTROPHE) p++
    if (p >= end) return -1
    if (p + 1 < end && buf[p + 1] === APOSTROPHE) {
      p += 2
      continue
    }
    const next = continuation(buf, p + 1, end)
    if (next < 0) return p + 1
    p = next + 1
  }
}

/** From the opening quote of an `E'…'` string. */
export function skipEscapeString(buf: Uint8Array, quote: number, end: number): number {
  let p = quote + 1
  while (p < end) {
    const c = buf[p]!
    if (c === BACKSLASH) {
      p += 2
    } else if (c !== APOSTROPHE) {
      p++
    } else if (p + 1 < end && buf[p + 1] === APOSTROPHE) {
      p += 2
    } else {
      const next = continuation(buf, p + 1, end)
      if (next < 0) return p + 1
      p = next + 1
    }
  }
  return -1
}

/** From the opening quote of a bit string: here two quotes in a row end one literal and open another. */
export function skipBitString(buf: Uint8Array, quote: number, end: number): number {
  let p = quote + 1
  for (;;) {
    while (p < end && buf[p] !== APOSTROPHE) p++
    if (p >= end) return -1
    const next = continuation(buf, p + 1, end)
    if (next < 0) return p + 1
    p = next + 1
  }
}

const NONE = -1

/**
 * A string goes on in the next pair of quotes when only white space with at least one newline, and `--` comments, stand
 * between. Returns the place of the opening quote of the next part, or NONE. (libpg-query takes no comments there:
 * sql/parse/flatten.ts.)
 */
export function continuation(buf: Uint8Array, p: number, end: number): number {
  let newline = false
  while (p < end) {
    const c = buf[p]!
    if (c === APOSTROPHE) return newline ? p : NONE
    if (isSpace(c)) {
      if (isNewline(c)) newline = true
      p++
    } else if (c === DASH && p + 1 < end && buf[p + 1] === DASH) {
      p = skipLineComment(buf, p, end)
    } else {
      return NONE
    }
  }
  return NONE
}

/** Up to the newline, which is not part of it. */
export function skipLineComment(buf: Uint8Array, p: number, end: number): number {
  while (p < end && !isNewline(buf[p]!)) p++
  return p
}

/** They nest. */
export function skipBlockComment(buf: Uint8Array, p: number, end: number): number {
  let depth = 0
  while (p + 1 < end) {
    const c = buf[p]
    if (c === SLASH_SIGN && buf[p + 1] === STAR) {
      depth++
      p += 2
    } else if (c === STAR && buf[p + 1] === SLASH_SIGN) {
      depth--
      p += 2
      if (depth === 0) return p
    } else {
      p++
    }
  }
  return -1
}

/** Length of the `$tag$` that starts at p, or 0 when none does. */
export function dollarTagLength(buf: Uint8Array, p: number, end: number): number {
  let q = p + 1
  if (q < end && isIdentStart(buf[q]!)) {
    while (q < end && isDollarTagCont(buf[q]!)) q++
  }
  return q < end && buf[q] === DOLLAR_SIGN ? q + 1 - p : 0
}

/** From the `$` of an opening tag that is `tagLength` long. */
export function skipDollarString(buf: Uint8Array, open: number, tagLength: number, end: number): number {
  for (let p = open + tagLength; p + tagLength <= end; p++) {
    if (buf[p] !== DOLLAR_SIGN) continue
    let i = 1
    while (i < tagLength && buf[p + i] === buf[open + i]) i++
    if (i === tagLength) return p + tagLength
  }
  return -1
}

/** `{decdigit}(_?{decdigit})*` from a digit on. */
function skipDecimalInteger(buf: Uint8Array, p: number, end: number): number {
  while (p < end) {
    if (isDigit(buf[p]!)) p++
    else if (buf[p] === UNDERSCORE && p + 1 < end && isDigit(buf[p + 1]!)) p += 2
    else break
  }
  return p
}

function basePrefix(c: number): number {
  const lower = c | 0x20
  return lower === 0x78 ? 16 : lower === 0x6f ? 8 : lower === 0x62 ? 2 : 0
}

/** `0x1F`, `0o17`, `0b01`: anything that would make an identifier of what follows is junk. */
function skipPrefixedInteger(buf: Uint8Array, p: number, end: number, base: number): number {
  const digits = p + 2
  p = digits
  while (p < end) {
    const q = buf[p] === UNDERSCORE && p + 1 < end ? p + 1 : p
    const value = hexValue(buf[q]!)
    if (value < 0 || value >= base) break
    p = q + 1
  }
  if (p === digits || (p < end && isIdentCont(buf[p]!))) return -1
  return p
}

/** From a digit, or from a dot that a digit follows. */
export function skipNumber(buf: Uint8Array, p: number, end: number): number {
  if (buf[p] === 0x30 && p + 1 < end) {
    const base = basePrefix(buf[p + 1]!)
    if (base > 0) return skipPrefixedInteger(buf, p, end, base)
  }
  p = skipDecimalInteger(buf, p, end)
  if (p < end && buf[p] === 0x2e) {
    // `1..2` is 1, dot-dot, 2.
    if (p + 1 < end && buf[p + 1] === 0x2e) return p
    p++
    if (p < end && isDigit(buf[p]!)) p = skipDecimalInteger(buf, p, end)
  }
  if (p < end && (buf[p]! | 0x20) === 0x65) p = skipExponent(buf, p, end)
  return p >= 0 && p < end && isIdentStart(buf[p]!) ? -1 : p
}

function skipExponent(buf: Uint8Array, p: number, end: number): number {
  p++
  if (p < end && (buf[p] === 0x2b || buf[p] === DASH)) p++
  return p < end && isDigit(buf[p]!) ? skipDecimalInteger(buf, p, end) : -1
}
