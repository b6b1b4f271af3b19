/** What a literal says: its content with quotes, doublings and escapes undone. */
import { hexValue } from './chars.ts'
import { LITERAL } from './lexed.ts'
import { continuation, dollarTagLength } from './skip.ts'

const APOSTROPHE = 0x27
const BACKSLASH = 0x5c

/**
 * The bytes that a lexed literal at `[start, end)` stands for; a slice of `buf` where nothing had to be undone.
 * Undefined when that is not certain: `U&'…'` (a UESCAPE may follow), bit strings, and escapes that Postgres refuses.
 */
export function literalContent(buf: Buffer, start: number, end: number, kind: number): Buffer | undefined {
  switch (kind) {
    case LITERAL.integer:
    case LITERAL.float:
      return buf.subarray(start, end)
    case LITERAL.string:
    case LITERAL.national:
      return quotedContent(buf, start, end)
    case LITERAL.escape:
      return escapedContent(buf, start + 1, end)
    case LITERAL.dollar: {
      const tag = dollarTagLength(buf, start, end)
      return buf.subarray(start + tag, end - tag)
    }
    default:
      return undefined
  }
}

/** True when `[quote, end)` is one pair of quotes without a quote inside: the content is the slice between. */
export function isPlainString(buf: Uint8Array, quote: number, end: number): boolean {
  for (let p = quote + 1; p < end - 1; p++) if (buf[p] === APOSTROPHE) return false
  return true
}

function quotedContent(buf: Buffer, quote: number, end: number): Buffer {
  if (isPlainString(buf, quote, end)) return buf.subarray(quote + 1, end - 1)
  const out = Buffer.allocUnsafe(end - quote)
  let length = 0
  let p = quote + 1
  while (p < end) {
    if (buf[p] !== APOSTROPHE) {
      out[length++] = buf[p++]!
    } else if (p + 1 < end && buf[p + 1] === APOSTROPHE) {
      out[length++] = APOSTROPHE
      p += 2
    } else {
      const next = continuation(buf, p + 1, end)
      p = next < 0 ? end : next + 1
    }
  }
  return out.subarray(0, length)
}

interface Unescaping {
  readonly buf: Buffer
  readonly end: number
  readonly out: Buffer
  length: number
  p: number
  /** An octal or hexadecimal escape made a byte that ASCII does not have: Postgres checks the encoding again. */
  check: boolean
}

function escapedContent(buf: Buffer, quote: number, end: number): Buffer | undefined {
  const u: Unescaping = {
    buf,
    end,
    out: Buffer.allocUnsafe(end - quote),
    length: 0,
    p: quote + 1,
    check: false,
  }
  while (u.p < end) {
    const c = buf[u.p]!
    if (c === BACKSLASH) {
      if (!unescapeOne(u)) return undefined
    } else if (c !== APOSTROPHE) {
      u.out[u.length++] = c
      u.p++
    } else if (u.p + 1 < end && buf[u.p + 1] === APOSTROPHE) {
      u.out[u.length++] = APOSTROPHE
      u.p += 2
    } else {
      const next = continuation(buf, u.p + 1, end)
      u.p = next < 0 ? end : next + 1
    }
  }
  const content = u.out.subarray(0, u.length)
  return u.check && !isValidText(content) ? undefined : content
}

const SINGLE: Readonly<Record<number, number>> = { 98: 8, 102: 12, 110: 10, 114: 13, 116: 9, 118: 11 }

function unescapeOne(u: Unescaping): boolean {
  const c = u.buf[u.p + 1]!
  if (c === 0x75) return unescapeUnicode(u, 4)
  if (c === 0x55) return unescapeUnicode(u, 8)
  if (c >= 0x30 && c <= 0x37) return unescapeByte(u, u.p + 1, 3, 8)
  if (c === 0x78 && hexValue(u.buf[u.p + 2] ?? 0) >= 0) return unescapeByte(u, u.p + 2, 2, 16)
  u.out[u.length++] = SINGLE[c] ?? c
  u.p += 2
  return true
}

function unescapeByte(u: Unescaping, p: number, digitsMax: number, base: number): boolean {
  let value = 0
  for (let i = 0; i < digitsMax; i++) {
    const digit = hexValue(u.buf[p] ?? 0)
    if (digit < 0 || digit >= base) break
    value = value * base + digit
    p++
  }
  value &= 0xff
  if (value === 0 || value >= 0x80) u.check = true
  u.out[u.length++] = value
  u.p = p
  return true
}

function unescapeUnicode(u: Unescaping, digits: number): boolean {
  let code = hexNumber(u.buf, u.p + 2, digits)
  u.p += 2 + digits
  if (code >= 0xd800 && code <= 0xdbff) {
    const low = lowSurrogate(u)
    if (low < 0) return false
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
  } else if (code >= 0xdc00 && code <= 0xdfff) {
    return false
  }
  if (code <= 0 || code > 0x10ffff) return false
  // An escape is never shorter than the UTF-8 it stands for, so `out` is long enough.
  u.length += u.out.write(String.fromCodePoint(code), u.length, 'utf8')
  return true
}

function lowSurrogate(u: Unescaping): number {
  if (u.buf[u.p] !== BACKSLASH) return -1
  const letter = u.buf[u.p + 1]
  const digits = letter === 0x75 ? 4 : letter === 0x55 ? 8 : 0
  if (digits === 0) return -1
  const code = hexNumber(u.buf, u.p + 2, digits)
  u.p += 2 + digits
  return code >= 0xdc00 && code <= 0xdfff ? code : -1
}

function hexNumber(buf: Uint8Array, p: number, digits: number): number {
  let value = 0
  for (let i = 0; i < digits; i++) {
    const digit = hexValue(buf[p + i] ?? 0)
    if (digit < 0) return -1
    value = value * 16 + digit
  }
  return value
}

function isValidText(bytes: Buffer): boolean {
  if (bytes.includes(0)) return false
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}
