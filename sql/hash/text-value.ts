/** Slots of key values in text form. The text is in the server's encoding, which must be UTF-8. */
import type { KeyType } from '../catalog.ts'
import { isDigit } from '../lex/chars.ts'
import {
  hashDate,
  hashTimestamp,
  hashTimetz,
  parseDate,
  parseTime,
  parseTimestamp,
  timestampScale,
  type Zone,
} from './datetime.ts'
import {
  type Decimal,
  hashDecimal,
  parseDecimal,
  type SpecialDecimal,
  scaleOf,
  wholeNumber,
} from './decimal.ts'
import { hashFloat, parseFloat4, parseFloat8 } from './floats.ts'
import { type Int64, integerWidth, parseInteger } from './integer.ts'
import {
  decimalFits,
  type KeyContext,
  type KeySource,
  NO_CONTEXT,
  NO_MATCH,
  NULL_KEY,
  type SlotAnswer,
  textFits,
  timestampFits,
  UNSURE,
} from './key-answer.ts'
import { parseCidr, parseInet, parseMac } from './networks.ts'
import { hashBytes, hashInt32, hashInt64, slotOfHash } from './pg-hash.ts'
import { isLowerAscii, nameFits, parseBool, parseBytea, parseUuid, withoutBlanks } from './text-forms.ts'

const WIDTH: Readonly<Record<string, number>> = { int2: 2, int4: 4, int8: 8 }
const scratch: Int64 = { high: 0, low: 0 }
const uuidScratch = new Uint8Array(16)

/** Slot of a value in text form, `null` for SQL NULL. */
export function slotForText(
  keyType: KeyType,
  text: string | null,
  source: KeySource = 'unknown',
  context: KeyContext = NO_CONTEXT,
): SlotAnswer {
  if (text === null) return NULL_KEY
  const bytes = Buffer.from(text)
  return slotForTextBytes(keyType, bytes, 0, bytes.length, source, false, context)
}

/**
 * Slot of the value whose text form is `buf[start, end)`. `negate`: a minus sign stands before it (number literals
 * and casts to a number).
 */
export function slotForTextBytes(
  keyType: KeyType,
  buf: Buffer,
  start: number,
  end: number,
  source: KeySource = 'unknown',
  negate = false,
  context: KeyContext = NO_CONTEXT,
): SlotAnswer {
  switch (keyType) {
    case 'int2':
    case 'int4':
    case 'int8':
      return integerSlot(WIDTH[keyType]!, buf, start, end, source, negate)
    case 'numeric':
      return numericSlot(buf, start, end, source, negate, context)
    case 'text':
    case 'varchar':
    case 'bpchar':
    case 'name':
    case 'citext':
      return negate ? UNSURE : textSlot(keyType, buf, start, end, source, context)
    case 'oid':
      return negate ? UNSURE : oidSlot(buf, start, end, source)
    case 'float4':
    case 'float8':
      return floatSlot(keyType, buf.toString('latin1', start, end), source, negate)
    default:
      if (negate || (source !== 'unknown' && source !== keyType)) return UNSURE
      return otherSlot(keyType, buf, start, end, context)
  }
}

function integerSlot(
  width: number,
  buf: Buffer,
  start: number,
  end: number,
  source: KeySource,
  negate: boolean,
): SlotAnswer {
  if (source === 'numeric') return integerSlotOfDecimal(width, parse(buf, start, end), negate)
  const parsed = parseInteger(buf, start, end, negate, scratch)
  if (source === 'number') {
    if (parsed === 'malformed') return integerSlotOfDecimal(width, parse(buf, start, end), negate)
    return parsed === 'ok' ? slotOfInteger(width, scratch) : NO_MATCH
  }
  if (parsed !== 'ok') return UNSURE
  // The input function of the key's own type: out of range is an error, and there is no sign outside the quotes.
  if (source === 'unknown')
    return negate || integerWidth(scratch) > width ? UNSURE : slotOfInteger(width, scratch)
  const sourceWidth = WIDTH[source]
  return sourceWidth === undefined || integerWidth(scratch) > sourceWidth
    ? UNSURE
    : slotOfInteger(width, scratch)
}

function parse(buf: Buffer, start: number, end: number): Decimal | SpecialDecimal | undefined {
  return parseDecimal(buf.toString('latin1', start, end))
}

/** Slot of a 64-bit integer for a key of `width` bytes. */
export function slotOfInteger(width: number, value: Int64): SlotAnswer {
  return integerWidth(value) > width ? NO_MATCH : slotOfHash(hashInt64(value.high, value.low))
}

/** `int = numeric` compares as numeric: a fraction or too many digits match nothing. */
export function integerSlotOfDecimal(
  width: number,
  value: Decimal | SpecialDecimal | undefined,
  negate = false,
): SlotAnswer {
  if (value === undefined) return UNSURE
  const whole = value.kind === 'finite' ? wholeNumber(value) : undefined
  if (whole === undefined) return NO_MATCH
  const bytes = Buffer.from(whole)
  const parsed = parseInteger(bytes, 0, bytes.length, negate, scratch)
  return parsed === 'ok' ? slotOfInteger(width, scratch) : NO_MATCH
}

function numericSlot(
  buf: Buffer,
  start: number,
  end: number,
  source: KeySource,
  negate: boolean,
  context: KeyContext,
): SlotAnswer {
  if (source !== 'unknown' && source !== 'number' && source !== 'numeric') {
    const width = WIDTH[source]
    if (width === undefined || parseInteger(buf, start, end, negate, scratch) !== 'ok') return UNSURE
    if (integerWidth(scratch) > width) return UNSURE
  } else if (negate && source === 'unknown') {
    return UNSURE
  }
  // The hash leaves the sign out.
  return slotOfDecimal(parse(buf, start, end), context)
}

const TEXT_SOURCES: ReadonlySet<string> = new Set(['unknown', 'text', 'varchar'])

function textSlot(
  keyType: 'text' | 'varchar' | 'bpchar' | 'name' | 'citext',
  buf: Buffer,
  start: number,
  end: number,
  source: KeySource,
  context: KeyContext,
): SlotAnswer {
  if (!TEXT_SOURCES.has(source) && source !== keyType) return UNSURE
  if (keyType === 'name' && !nameFits(start, end)) return UNSURE
  if (keyType === 'citext' && !isLowerAscii(buf, start, end)) return UNSURE
  const until = keyType === 'bpchar' ? withoutBlanks(buf, start, end) : end
  return textFits(buf, start, until, context.typmod) ? slotOfHash(hashBytes(buf, start, until)) : UNSURE
}

/** An oid is hashed as the bigint of its number. Signs and zeros before it do not mean the same to all versions. */
function oidSlot(buf: Buffer, start: number, end: number, source: KeySource): SlotAnswer {
  if (source !== 'unknown' && source !== 'number' && source !== 'oid') return UNSURE
  const isPlain = isDigit(buf[start] ?? 0) && (buf[start] !== 0x30 || end - start === 1)
  return isPlain && parseInteger(buf, start, end, false, scratch) === 'ok' ? slotOfOid(scratch) : UNSURE
}

export function slotOfOid(value: Int64): SlotAnswer {
  return value.high === 0 ? slotOfHash(hashInt64(0, value.low)) : UNSURE
}

/** Numbers, and floats of the other width, are compared as float8; an assignment to a float4 would round them. */
function floatSlot(
  keyType: 'float4' | 'float8',
  text: string,
  source: KeySource,
  negate: boolean,
): SlotAnswer {
  const signed = negate ? `-${text}` : text
  if (source === 'unknown' || source === keyType || source === 'float4') {
    const isNarrow = keyType === 'float4' || source === 'float4'
    const value = isNarrow ? parseFloat4(signed) : parseFloat8(signed)
    return value === undefined || negate ? UNSURE : slotOfHash(hashFloat(value))
  }
  const value = source === 'number' ? parseFloat8(signed) : undefined
  if (value === undefined || (keyType === 'float4' && Math.fround(value) !== value)) return UNSURE
  return slotOfHash(hashFloat(value))
}

export function slotOfDecimal(value: Decimal | SpecialDecimal | undefined, context: KeyContext): SlotAnswer {
  if (value === undefined) return UNSURE
  if (value.kind === 'finite' && !decimalFits(scaleOf(value), context.typmod)) return UNSURE
  return slotOfHash(hashDecimal(value))
}

/** The types whose values have one text form that is read here. */
export type OtherType =
  | 'uuid'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'bool'
  | 'bytea'
  | 'time'
  | 'timetz'
  | 'inet'
  | 'cidr'
  | 'macaddr'
  | 'macaddr8'
  | 'enum'

function otherSlot(
  keyType: OtherType,
  buf: Buffer,
  start: number,
  end: number,
  context: KeyContext,
): SlotAnswer {
  switch (keyType) {
    case 'enum':
      return slotOfHash(hashBytes(buf, start, end))
    case 'cidr':
      return slotOfBytes(parseCidr(buf.toString('latin1', start, end)))
    case 'inet':
      return slotOfBytes(parseInet(buf.toString('latin1', start, end)))
    case 'macaddr':
      return slotOfBytes(parseMac(buf.toString('latin1', start, end), 6))
    case 'macaddr8':
      return slotOfBytes(parseMac(buf.toString('latin1', start, end), 8))
    case 'time':
    case 'timetz':
      return timeSlot(keyType, buf.toString('latin1', start, end), context)
    case 'uuid':
      return parseUuid(buf, start, end, uuidScratch) ? slotOfHash(hashBytes(uuidScratch, 0, 16)) : UNSURE
    case 'date': {
      const day = parseDate(buf.toString('latin1', start, end))
      return day === undefined ? UNSURE : slotOfHash(hashDate(day))
    }
    case 'timestamp':
      return slotOfTimestamp(parseTimestamp(buf.toString('latin1', start, end), 'none'), context)
    case 'timestamptz': {
      const zone: Zone = context.zone ?? 'unknown'
      return slotOfTimestamp(parseTimestamp(buf.toString('latin1', start, end), zone), context)
    }
    case 'bool': {
      const value = parseBool(buf.toString('latin1', start, end))
      return value === undefined ? UNSURE : slotOfBool(value)
    }
    case 'bytea':
      return slotOfBytes(parseBytea(buf, start, end))
  }
}

export function slotOfBytes(bytes: Uint8Array | undefined): SlotAnswer {
  return bytes === undefined ? UNSURE : slotOfHash(hashBytes(bytes, 0, bytes.length))
}

/** A time with an offset is a time without, which is left out; one of day and zone needs it. */
function timeSlot(keyType: 'time' | 'timetz', text: string, context: KeyContext): SlotAnswer {
  const time = parseTime(text)
  if (time === undefined) return UNSURE
  return slotOfTime(keyType, BigInt(time.micros), time.west, context)
}

export function slotOfTime(
  keyType: 'time' | 'timetz',
  micros: bigint,
  west: number | undefined,
  context: KeyContext,
): SlotAnswer {
  if ((keyType === 'timetz') !== (west !== undefined)) return UNSURE
  if (!timestampFits(timestampScale(micros), context.typmod)) return UNSURE
  return slotOfHash(west === undefined ? hashTimestamp(micros) : hashTimetz(micros, west))
}

export function slotOfTimestamp(micros: bigint | undefined, context: KeyContext): SlotAnswer {
  if (micros === undefined || !timestampFits(timestampScale(micros), context.typmod)) return UNSURE
  return slotOfHash(hashTimestamp(micros))
}

export function slotOfBool(value: boolean): SlotAnswer {
  return slotOfHash(hashInt32(value ? 1 : 0))
}
