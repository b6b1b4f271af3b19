/** Text forms of bool, uuid and bytea; what texts become in types that change them. */
import { hexValue, isSpace } from '../lex/chars.ts'

/** boolin: unambiguous beginnings of true, false, yes, no, on, off; 1 and 0. */
export function parseBool(text: string): boolean | undefined {
  const word = text.replace(/^[ \t\n\r\v\f]+|[ \t\n\r\v\f]+$/g, '').toLowerCase()
  if (word === '' || word === 'o') return undefined
  if (word === '1' || word === 'on' || 'true'.startsWith(word) || 'yes'.startsWith(word)) return true
  if (word === '0' || 'false'.startsWith(word) || 'no'.startsWith(word) || 'off'.startsWith(word))
    return false
  return undefined
}

/** The usual form with four hyphens, or 32 digits; false for the others that Postgres takes (braces, other hyphens). */
export function parseUuid(buf: Uint8Array, start: number, end: number, out: Uint8Array): boolean {
  const hyphens = end - start === 36
  if (!hyphens && end - start !== 32) return false
  let p = start
  for (let i = 0; i < 16; i++) {
    if (hyphens && (i === 4 || i === 6 || i === 8 || i === 10) && buf[p++] !== 0x2d) return false
    const high = hexValue(buf[p]!)
    const low = hexValue(buf[p + 1]!)
    if (high < 0 || low < 0) return false
    out[i] = (high << 4) | low
    p += 2
  }
  return true
}

/** byteain: `\x…` with white space between pairs, or the escape format. Undefined where Postgres raises an error. */
export function parseBytea(buf: Uint8Array, start: number, end: number): Uint8Array | undefined {
  if (end - start >= 2 && buf[start] === 0x5c && buf[start + 1] === 0x78) return parseHex(buf, start + 2, end)
  const out = new Uint8Array(end - start)
  let length = 0
  let p = start
  while (p < end) {
    if (buf[p] !== 0x5c) {
      out[length++] = buf[p++]!
    } else if (p + 1 < end && buf[p + 1] === 0x5c) {
      out[length++] = 0x5c
      p += 2
    } else {
      const value = p + 4 <= end ? octalByte(buf, p + 1) : -1
      if (value < 0) return undefined
      out[length++] = value
      p += 4
    }
  }
  return out.subarray(0, length)
}

/** char(n) forgets the blanks at the end. */
export function withoutBlanks(buf: Uint8Array, start: number, end: number): number {
  while (end > start && buf[end - 1] === 0x20) end--
  return end
}

const NAME_BYTES_MAX = 63

/** A longer name is cut off. */
export const nameFits = (start: number, end: number): boolean => end - start <= NAME_BYTES_MAX

/** lower() leaves such a text as it is, in every locale. */
export function isLowerAscii(buf: Uint8Array, start: number, end: number): boolean {
  for (let p = start; p < end; p++) {
    const c = buf[p]!
    if (c >= 0x80 || (c >= 0x41 && c <= 0x5a)) return false
  }
  return true
}

function parseHex(buf: Uint8Array, start: number, end: number): Uint8Array | undefined {
  const out = new Uint8Array((end - start) >> 1)
  let length = 0
  let p = start
  while (p < end) {
    if (isByteaSpace(buf[p]!)) {
      p++
      continue
    }
    const high = hexValue(buf[p]!)
    const low = p + 1 < end ? hexValue(buf[p + 1]!) : -1
    if (high < 0 || low < 0) return undefined
    out[length++] = (high << 4) | low
    p += 2
  }
  return out.subarray(0, length)
}

function isByteaSpace(c: number): boolean {
  return isSpace(c) && c !== 0x0b && c !== 0x0c
}

function octalByte(buf: Uint8Array, p: number): number {
  const [a, b, c] = [buf[p]! - 0x30, buf[p + 1]! - 0x30, buf[p + 2]! - 0x30]
  if (a < 0 || a > 3 || b < 0 || b > 7 || c < 0 || c > 7) return -1
  return (a << 6) | (b << 3) | c
}
