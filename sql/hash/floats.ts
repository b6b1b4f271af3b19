/** float4 and float8: texts that every strtod reads alike, and hashes in which a float4 is the float8 that it equals. */
import { hashBytes } from './pg-hash.ts'

const PLAIN = /^[ \t\n\r\v\f]*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)[ \t\n\r\v\f]*$/i
const SPECIAL = /^[ \t\n\r\v\f]*(?:(nan)|([+-]?)inf(?:inity)?)[ \t\n\r\v\f]*$/i
const NONZERO = /^[^e]*[1-9]/i

/** Undefined for other forms, and for what is too large or too small to be told from infinity or zero. */
export function parseFloat8(text: string): number | undefined {
  const special = SPECIAL.exec(text)
  if (special !== null) return special[1] === undefined ? Number(`${special[2]}Infinity`) : Number.NaN
  const digits = PLAIN.exec(text)?.[1]
  if (digits === undefined) return undefined
  const value = Number(digits)
  if (!Number.isFinite(value) || (value === 0 && NONZERO.test(digits))) return undefined
  return value
}

/** A float4 is rounded once. Where the float8 is half way between two of them the text decides: undefined. */
export function parseFloat4(text: string): number | undefined {
  const wide = parseFloat8(text)
  if (wide === undefined || !Number.isFinite(wide)) return wide
  const value = Math.fround(wide)
  if (!Number.isFinite(value) || (value === 0 && wide !== 0)) return undefined
  return value === wide || !isHalfWay(value, wide) ? value : undefined
}

const single = new Float32Array(1)
const bits = new Int32Array(single.buffer)

function isHalfWay(value: number, wide: number): boolean {
  single[0] = value
  bits[0] = bits[0]! + (Math.abs(wide) > Math.abs(value) ? 1 : -1)
  return (value + single[0]) / 2 === wide
}

const scratch = Buffer.alloc(8)

/** `hashfloat8extended` and `hashfloat4extended`: both zeros are one, and so is all that is not a number. */
export function hashFloat(value: number): number {
  if (value === 0) return 0
  scratch.writeDoubleLE(value)
  if (Number.isNaN(value)) scratch.writeBigUInt64LE(0x7ff8000000000000n)
  return hashBytes(scratch, 0, 8)
}
