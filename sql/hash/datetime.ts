/** Dates and times: only forms that mean the same under every DateStyle and time zone. */
import { hashInt32, hashInt64 } from './pg-hash.ts'

const DATE = /^(\d{4,7})-(\d\d)-(\d\d)( BC)?$/
const TIMESTAMP =
  /^(\d{4,6})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::\d\d(?::\d\d)?)?)?)?( BC)?$/

/** 2000-01-01 as a day number that counts from 0000-03-01. */
const EPOCH_DAYS = 730_425
/** 4714-11-24 BC, the first day that Postgres has. */
const DAY_MIN = -2_451_545
const DATE_DAY_END = 2_147_483_494 - 2_451_545
/** 294277-01-01, where timestamps end. */
const TIMESTAMP_DAY_END = 106_751_983
const DAY_US = 86_400_000_000n
const TIMESTAMP_MIN = BigInt(DAY_MIN) * DAY_US
const TIMESTAMP_END = BigInt(TIMESTAMP_DAY_END) * DAY_US

const DATE_INFINITY = 0x7fffffff
const DATE_MINUS_INFINITY = -0x80000000
const TIMESTAMP_INFINITY = 2n ** 63n - 1n
const TIMESTAMP_MINUS_INFINITY = -(2n ** 63n)

/** Days since 2000-01-01 of an ISO date, `infinity` or `-infinity`; undefined: ask Postgres. */
export function parseDate(text: string): number | undefined {
  if (text === 'infinity') return DATE_INFINITY
  if (text === '-infinity') return DATE_MINUS_INFINITY
  const match = DATE.exec(text)
  if (match === null) return undefined
  const day = dayNumber(match[1]!, match[2]!, match[3]!, match[4] !== undefined)
  return day === undefined || day < DAY_MIN || day >= DATE_DAY_END ? undefined : day
}

/** What a text without an offset means for a timestamptz: the session's time zone, when it is known to be UTC. */
export type Zone = 'UTC' | 'none' | 'unknown'

/**
 * Microseconds since 2000-01-01 of an ISO timestamp. `zone` `none`: a timestamp without time zone, where Postgres
 * ignores an offset, and so nobody can mean one. Undefined: ask Postgres.
 */
export function parseTimestamp(text: string, zone: Zone): bigint | undefined {
  if (text === 'infinity') return TIMESTAMP_INFINITY
  if (text === '-infinity') return TIMESTAMP_MINUS_INFINITY
  const match = TIMESTAMP.exec(text)
  if (match === null) return undefined
  const day = dayNumber(match[1]!, match[2]!, match[3]!, match[9] !== undefined)
  const offset = offsetSeconds(match[8], zone)
  const clock = clockMicros(match[4] ?? '00', match[5] ?? '00', match[6] ?? '00', match[7] ?? '')
  if (day === undefined || offset === undefined || clock === undefined) return undefined
  if (day < DAY_MIN || day >= TIMESTAMP_DAY_END) return undefined
  const micros = BigInt(day) * DAY_US + BigInt(clock) - BigInt(offset) * 1_000_000n
  return micros < TIMESTAMP_MIN || micros >= TIMESTAMP_END ? undefined : micros
}

const TIME = /^(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?(Z|[+-]\d\d(?::\d\d(?::\d\d)?)?)?$/

/** Microseconds of the day, and seconds west of Greenwich where an offset is said. Undefined: ask Postgres. */
export function parseTime(text: string): { micros: number; west: number | undefined } | undefined {
  const match = TIME.exec(text)
  if (match?.[1] === '24') return endOfDay(match)
  const micros =
    match === null ? undefined : clockMicros(match[1]!, match[2]!, match[3] ?? '00', match[4] ?? '')
  if (match === null || micros === undefined) return undefined
  if (match[5] === undefined) return { micros, west: undefined }
  const east = offsetSeconds(match[5], 'unknown')
  return east === undefined ? undefined : { micros, west: -east }
}

/** 24:00:00 is a time of its own. */
function endOfDay([, , minutes, seconds = '00', fraction = '', offset]: RegExpExecArray) {
  const before = parseTime(`23:${minutes}:${seconds}.${fraction.padEnd(1, '0')}${offset ?? ''}`)
  const isEnd = minutes === '00' && seconds === '00' && Number(fraction) === 0
  return before === undefined || !isEnd ? undefined : { ...before, micros: before.micros + 3_600_000_000 }
}

function clockMicros(hours: string, minutes: string, seconds: string, fraction: string): number | undefined {
  if (hours > '23' || minutes > '59' || seconds > '59') return undefined
  const whole = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  return whole * 1_000_000 + Number(fraction.padEnd(6, '0'))
}

function offsetSeconds(text: string | undefined, zone: Zone): number | undefined {
  if (text === undefined) return zone === 'unknown' ? undefined : 0
  if (zone === 'none') return undefined
  if (text === 'Z') return 0
  const [hours, minutes = '00', seconds = '00'] = text.slice(1).split(':')
  if (hours! > '15' || minutes > '59' || seconds > '59') return undefined
  const value = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  return text.startsWith('-') ? -value : value
}

function dayNumber(yearText: string, monthText: string, dayText: string, bc: boolean): number | undefined {
  const written = Number(yearText)
  const month = Number(monthText)
  const day = Number(dayText)
  if (written === 0 || month < 1 || month > 12 || day < 1) return undefined
  // There is no year 0: 1 BC comes before 1.
  const year = bc ? 1 - written : written
  return day > daysInMonth(year, month) ? undefined : daysSince2000(year, month, day)
}

function daysInMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** Proleptic Gregorian; years begin in March here, so that the leap day is a year's last. */
function daysSince2000(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1
  const m = month > 2 ? month - 3 : month + 9
  const leapDays = Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400)
  return y * 365 + leapDays + Math.floor((153 * m + 2) / 5) + day - 1 - EPOCH_DAYS
}

/** Digits behind the second that are not zero. */
export function timestampScale(micros: bigint): number {
  if (micros === TIMESTAMP_INFINITY || micros === TIMESTAMP_MINUS_INFINITY) return 0
  let fraction = Number(micros % 1_000_000n)
  let scale = fraction === 0 ? 0 : 6
  while (scale > 0 && fraction % 10 === 0) {
    fraction /= 10
    scale--
  }
  return scale
}

export function hashDate(day: number): number {
  return hashInt32(day)
}

/** `timetz_hash_extended`: the same moment in two zones is two values. */
export function hashTimetz(micros: bigint, west: number): number {
  return hashTimestamp(micros) ^ hashInt32(west)
}

export function hashTimestamp(micros: bigint): number {
  return hashInt64(Number(BigInt.asIntN(32, micros >> 32n)), Number(BigInt.asIntN(32, micros)))
}
