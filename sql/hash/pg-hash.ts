/**
 * The low 32 bits of Postgres' extended hash functions with seed 0, which is all that a slot needs: hash_any_extended
 * returns `(b << 32) | c`, and a slot is the low 12 bits of that. This is Bob Jenkins' lookup3 as Postgres has it,
 * on a little-endian server (what x86 and ARM run); a big-endian one hashes byte strings differently.
 */
import { SLOT_COUNT } from '../catalog.ts'

const SLOT_MASK = SLOT_COUNT - 1
const INITIAL = (0x9e3779b9 + 3923095) | 0

export function slotOfHash(hash: number): number {
  return hash & SLOT_MASK
}

function rotate(x: number, bits: number): number {
  return (x << bits) | (x >>> (32 - bits))
}

/** lookup3's `final`; only c is returned. */
function finish(a: number, b: number, c: number): number {
  c = ((c ^ b) - rotate(b, 14)) | 0
  a = ((a ^ c) - rotate(c, 11)) | 0
  b = ((b ^ a) - rotate(a, 25)) | 0
  c = ((c ^ b) - rotate(b, 16)) | 0
  a = ((a ^ c) - rotate(c, 4)) | 0
  b = ((b ^ a) - rotate(a, 14)) | 0
  return ((c ^ b) - rotate(b, 24)) | 0
}

/** `hash_uint32_extended`: hashint2extended, hashint4extended, and of 0 and 1 hashboolextended. */
export function hashInt32(value: number): number {
  const start = (INITIAL + 4) | 0
  return finish((start + value) | 0, start, start)
}

/** `hashint8extended` of a 64-bit integer in two halves; equal to hashInt32 where both can hold the value. */
export function hashInt64(high: number, low: number): number {
  return hashInt32(low ^ (high < 0 ? ~high : high))
}

/** `hash_bytes_extended(buf[start, end), seed 0)`: text, bytea, uuid. */
export function hashBytes(buf: Uint8Array, start: number, end: number): number {
  let a = (INITIAL + (end - start)) | 0
  let b = a
  let c = a
  let p = start
  for (; end - p >= 12; p += 12) {
    a = (a + word(buf, p)) | 0
    b = (b + word(buf, p + 4)) | 0
    c = (c + word(buf, p + 8)) | 0
    // lookup3's `mix`.
    a = (a - c) ^ rotate(c, 4)
    c = (c + b) | 0
    b = (b - a) ^ rotate(a, 6)
    a = (a + c) | 0
    c = (c - b) ^ rotate(b, 8)
    b = (b + a) | 0
    a = (a - c) ^ rotate(c, 16)
    c = (c + b) | 0
    b = (b - a) ^ rotate(a, 19)
    a = (a + c) | 0
    c = (c - b) ^ rotate(b, 4)
    b = (b + a) | 0
  }
  // The lowest byte of c is the length's: its bytes come in one higher.
  const rest = end - p
  a = (a + tail(buf, p, Math.min(rest, 4))) | 0
  if (rest > 4) b = (b + tail(buf, p + 4, Math.min(rest - 4, 4))) | 0
  if (rest > 8) c = (c + (tail(buf, p + 8, rest - 8) << 8)) | 0
  return finish(a, b, c)
}

function word(buf: Uint8Array, p: number): number {
  return buf[p]! | (buf[p + 1]! << 8) | (buf[p + 2]! << 16) | (buf[p + 3]! << 24)
}

function tail(buf: Uint8Array, p: number, length: number): number {
  let value = 0
  for (let i = 0; i < length; i++) value |= buf[p + i]! << (8 * i)
  return value
}
