/** Decimal integers as text → 64 bits in two halves, without BigInt: this is the way of most shard keys. */
import { isDigit, isSpace } from '../lex/chars.ts'

/** Where a parser leaves its answer; one is reused, so that nothing is allocated per value. */
export interface Int64 {
  /** Signed upper half. */
  high: number
  /** Lower half, 0 to 2^32 - 1. */
  low: number
}

export type IntegerParse = 'ok' | 'out of range' | 'malformed'

const TWO_32 = 4_294_967_296

/**
 * Spaces, a sign, digits, spaces: what int2in, int4in and int8in of every version take. The other forms of
 * Postgres 16 (`0x1F`, `1_000`) are `malformed`.
 */
export function parseInteger(
  buf: Uint8Array,
  start: number,
  end: number,
  negate: boolean,
  out: Int64,
): IntegerParse {
  while (start < end && isSpace(buf[start]!)) start++
  while (end > start && isSpace(buf[end - 1]!)) end--
  const sign = start < end ? buf[start] : 0
  const negative = (sign === 0x2d) !== negate
  if (sign === 0x2d || sign === 0x2b) start++
  if (start >= end) return 'malformed'
  for (let p = start; p < end; p++) if (!isDigit(buf[p]!)) return 'malformed'
  while (start < end - 1 && buf[start] === 0x30) start++
  if (end - start > 19) return 'out of range'
  return combine(
    digits(buf, start, Math.max(start, end - 9)),
    digits(buf, Math.max(start, end - 9), end),
    negative,
    out,
  )
}

/** Exact up to 15 digits. */
function digits(buf: Uint8Array, start: number, end: number): number {
  let value = 0
  for (let p = start; p < end; p++) value = value * 10 + buf[p]! - 0x30
  return value
}

/** ±(upper * 10^9 + lower), upper below 10^10: every intermediate value stays below 2^53. */
function combine(upper: number, lower: number, negative: boolean, out: Int64): IntegerParse {
  const middle = Math.floor(upper / 65_536) * 1e9
  const lowSum = (upper % 65_536) * 1e9 + lower + (middle % 65_536) * 65_536
  const high = Math.floor(middle / 65_536) + Math.floor(lowSum / TWO_32)
  const low = lowSum % TWO_32
  if (high >= 0x80000000 && !(negative && high === 0x80000000 && low === 0)) return 'out of range'
  out.high = negative ? ~high + (low === 0 ? 1 : 0) : high
  out.low = negative ? -low >>> 0 : low
  out.high |= 0
  return 'ok'
}

/** Bytes of an integer that fits: 2, 4 or 8. */
export function integerWidth(value: Int64): 2 | 4 | 8 {
  const extended = value.low | 0
  if (value.high !== extended >> 31) return 8
  return extended === (extended << 16) >> 16 ? 2 : 4
}

/** Reads a big-endian integer of 2, 4 or 8 bytes. */
export function readInteger(buf: Buffer, start: number, width: number, out: Int64): void {
  if (width === 8) {
    out.high = buf.readInt32BE(start)
    out.low = buf.readUInt32BE(start + 4)
    return
  }
  const value = width === 4 ? buf.readInt32BE(start) : buf.readInt16BE(start)
  out.high = value >> 31
  out.low = value >>> 0
}
