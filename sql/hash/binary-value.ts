/** Slots of key values in binary form, as Bind parameters and COPY BINARY carry them. */
import type { KeyType } from '../catalog.ts'
import { hashDate } from './datetime.ts'
import { parseDecimal, readDecimal } from './decimal.ts'
import { hashFloat } from './floats.ts'
import { type Int64, readInteger } from './integer.ts'
import { type KeyContext, NO_CONTEXT, NULL_KEY, type SlotAnswer, textFits, UNSURE } from './key-answer.ts'
import { readInet } from './networks.ts'
import { hashBytes, slotOfHash } from './pg-hash.ts'
import {
  integerSlotOfDecimal,
  type OtherType,
  slotForTextBytes,
  slotOfBool,
  slotOfBytes,
  slotOfDecimal,
  slotOfInteger,
  slotOfOid,
  slotOfTime,
  slotOfTimestamp,
} from './text-value.ts'
import { OID_UNKNOWN, typeOfOid } from './type-oids.ts'

/** Name of a parameter type; `unknown` when Postgres takes it from the key, undefined for types no key compares with. */
export function keySourceOfOid(typeOid: number): string | undefined {
  return typeOid === 0 || typeOid === OID_UNKNOWN ? 'unknown' : typeOfOid(typeOid)
}

const scratch: Int64 = { high: 0, low: 0 }

/** Slot of the `length` bytes at `start` (-1: NULL), a value of the type with `typeOid` (0: the key's own). */
export function slotForBinary(
  keyType: KeyType,
  typeOid: number,
  buf: Buffer,
  start: number,
  length: number,
  context: KeyContext = NO_CONTEXT,
): SlotAnswer {
  if (length < 0) return NULL_KEY
  const named = keySourceOfOid(typeOid)
  const source = named === 'unknown' ? keyType : named
  switch (keyType) {
    case 'int2':
    case 'int4':
    case 'int8':
      return integerSlot(keyType === 'int2' ? 2 : keyType === 'int4' ? 4 : 8, source, buf, start, length)
    case 'numeric':
      return numericSlot(source, buf, start, length, context)
    case 'text':
    case 'varchar':
      return textSlot(source, buf, start, length, context)
    case 'bpchar':
    case 'name':
    case 'citext':
    case 'enum':
      // Their binary form is their text.
      return slotForTextBytes(keyType, buf, start, start + length, source ?? '', false, context)
    case 'oid':
      return source === 'oid' && length === 4 ? oidSlot(buf, start) : UNSURE
    case 'float4':
    case 'float8':
      return floatSlot(source, buf, start, length, keyType)
    default:
      return source === keyType ? otherSlot(keyType, buf, start, length, context) : UNSURE
  }
}

function isInteger(source: string | undefined, length: number): boolean {
  if (source === 'int4') return length === 4
  return (source === 'int8' && length === 8) || (source === 'int2' && length === 2)
}

function integerSlot(
  width: number,
  source: string | undefined,
  buf: Buffer,
  start: number,
  length: number,
): SlotAnswer {
  if (source === 'numeric') return integerSlotOfDecimal(width, readDecimal(buf, start, length))
  if (!isInteger(source, length)) return UNSURE
  readInteger(buf, start, length, scratch)
  return slotOfInteger(width, scratch)
}

function numericSlot(
  source: string | undefined,
  buf: Buffer,
  start: number,
  length: number,
  context: KeyContext,
): SlotAnswer {
  if (source === 'numeric') return slotOfDecimal(readDecimal(buf, start, length), context)
  return isInteger(source, length)
    ? slotOfDecimal(parseDecimal(integerText(buf, start, length)), context)
    : UNSURE
}

function textSlot(
  source: string | undefined,
  buf: Buffer,
  start: number,
  length: number,
  context: KeyContext,
): SlotAnswer {
  const end = start + length
  if (source === 'bpchar') {
    // On the way to text, spaces at the end are cut off.
    if (length > 0 && buf[end - 1] === 0x20) return UNSURE
  } else if (source !== 'text' && source !== 'varchar') {
    return UNSURE
  }
  return textFits(buf, start, end, context.typmod) ? slotOfHash(hashBytes(buf, start, end)) : UNSURE
}

function oidSlot(buf: Buffer, start: number): SlotAnswer {
  scratch.high = 0
  scratch.low = buf.readUInt32BE(start)
  return slotOfOid(scratch)
}

function floatSlot(
  source: string | undefined,
  buf: Buffer,
  start: number,
  length: number,
  keyType: 'float4' | 'float8',
): SlotAnswer {
  if (source === 'float4' && length === 4) return slotOfHash(hashFloat(buf.readFloatBE(start)))
  const isOwn = source === 'float8' && keyType === 'float8'
  return isOwn && length === 8 ? slotOfHash(hashFloat(buf.readDoubleBE(start))) : UNSURE
}

function otherSlot(
  keyType: Exclude<OtherType, 'enum'>,
  buf: Buffer,
  start: number,
  length: number,
  context: KeyContext,
): SlotAnswer {
  switch (keyType) {
    case 'uuid':
      return length === 16 ? slotOfHash(hashBytes(buf, start, start + 16)) : UNSURE
    case 'date':
      return length === 4 ? slotOfHash(hashDate(buf.readInt32BE(start))) : UNSURE
    case 'timestamp':
    case 'timestamptz':
      return length === 8 ? slotOfTimestamp(buf.readBigInt64BE(start), context) : UNSURE
    case 'bool':
      return length === 1 ? slotOfBool(buf[start] !== 0) : UNSURE
    case 'bytea':
      return slotOfHash(hashBytes(buf, start, start + length))
    case 'time':
      return length === 8 ? slotOfTime(keyType, buf.readBigInt64BE(start), undefined, context) : UNSURE
    case 'timetz':
      return length === 12
        ? slotOfTime(keyType, buf.readBigInt64BE(start), buf.readInt32BE(start + 8), context)
        : UNSURE
    case 'inet':
    case 'cidr':
      return slotOfBytes(readInet(buf, start, length))
    case 'macaddr':
    case 'macaddr8':
      return length === (keyType === 'macaddr' ? 6 : 8)
        ? slotOfHash(hashBytes(buf, start, start + length))
        : UNSURE
  }
}

function integerText(buf: Buffer, start: number, length: number): string {
  return length === 8 ? buf.readBigInt64BE(start).toString() : buf.readIntBE(start, length).toString()
}
