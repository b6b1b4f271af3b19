/** numeric: text and binary forms, and the hash that ignores how many zeros a value was written with. */
import { hashBytes } from './pg-hash.ts'

/** ± 0.digits × 10^point, digits without zeros at either end; zero has no digits. The sign is not part of the hash. */
export interface Decimal {
  readonly kind: 'finite'
  readonly negative: boolean
  readonly digits: string
  readonly point: number
}

/** NaN and the infinities hash alike. */
export interface SpecialDecimal {
  readonly kind: 'special'
}

const SPECIAL: SpecialDecimal = { kind: 'special' }
const PLAIN = /^[ \t\n\r\v\f]*([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d{1,5}))?[ \t\n\r\v\f]*$/
const NOT_FINITE = /^[ \t\n\r\v\f]*(?:nan|[+-]?inf(?:inity)?)[ \t\n\r\v\f]*$/i

/** Far inside what numeric can hold (131072 digits before the point, 16383 behind it): nothing is rounded. */
const LENGTH_MAX = 10_000
const EXPONENT_MAX = 1_000

/** A value as numeric_in of every version takes it; undefined for other forms (`0x1F`, `1_000`) and errors. */
export function parseDecimal(text: string): Decimal | SpecialDecimal | undefined {
  if (text.length > LENGTH_MAX) return undefined
  const match = PLAIN.exec(text)
  if (match === null) return NOT_FINITE.test(text) ? SPECIAL : undefined
  const exponent = Number(match[5] ?? 0)
  if (Math.abs(exponent) > EXPONENT_MAX) return undefined
  const whole = match[2] ?? ''
  return decimal(match[1] === '-', whole + (match[3] ?? match[4] ?? ''), whole.length + exponent)
}

function decimal(negative: boolean, digits: string, point: number): Decimal {
  let first = 0
  while (first < digits.length && digits.charCodeAt(first) === 0x30) first++
  let last = digits.length
  while (last > first && digits.charCodeAt(last - 1) === 0x30) last--
  if (first === last) return { kind: 'finite', negative: false, digits: '', point: 0 }
  return { kind: 'finite', negative, digits: digits.slice(first, last), point: point - first }
}

/** A numeric in binary form; undefined when numeric_recv would refuse it or cut digits off. */
export function readDecimal(
  buf: Buffer,
  start: number,
  length: number,
): Decimal | SpecialDecimal | undefined {
  if (length < 8) return undefined
  const count = buf.readUInt16BE(start)
  const weight = buf.readInt16BE(start + 2)
  const sign = buf.readUInt16BE(start + 4)
  const scale = buf.readUInt16BE(start + 6)
  if (length !== 8 + 2 * count) return undefined
  if (sign === 0xc000 || sign === 0xd000 || sign === 0xf000) return SPECIAL
  if (sign !== 0 && sign !== 0x4000) return undefined
  let digits = ''
  for (let i = 0; i < count; i++) {
    const group = buf.readUInt16BE(start + 8 + 2 * i)
    if (group > 9999) return undefined
    digits += String(group).padStart(4, '0')
  }
  const value = decimal(sign === 0x4000, digits, (weight + 1) * 4)
  return scaleOf(value) > scale ? undefined : value
}

/** Digits behind the decimal point that are not zero at the end. */
export function scaleOf(value: Decimal): number {
  return Math.max(0, value.digits.length - value.point)
}

/** A whole number as text; undefined when the value has a fraction, or more digits than any integer type. */
export function wholeNumber(value: Decimal): string | undefined {
  if (scaleOf(value) > 0 || value.point > 19) return undefined
  return (value.negative ? '-' : '') + (value.digits === '' ? '0' : value.digits.padEnd(value.point, '0'))
}

/** `hash_numeric_extended`: the bytes of the base-10000 digits, xor the weight of the first. */
export function hashDecimal(value: Decimal | SpecialDecimal): number {
  if (value.kind === 'special') return 0
  if (value.digits === '') return -1
  const weight = Math.floor((value.point - 1) / 4)
  const inFirst = value.point - weight * 4
  const padded = '0'.repeat(4 - inFirst) + value.digits
  const groups = Math.ceil(padded.length / 4)
  const bytes = Buffer.allocUnsafe(groups * 2)
  for (let i = 0; i < groups; i++) {
    bytes.writeUInt16LE(Number(padded.slice(i * 4, i * 4 + 4).padEnd(4, '0')), i * 2)
  }
  return hashBytes(bytes, 0, bytes.length) ^ weight
}
