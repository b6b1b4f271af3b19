/** Slots of key values in binary form, as Bind parameters and COPY BINARY carry them. */
import type { KeyType } from '../catalog.ts'
import { hashDate } from './datetime.ts'
import { parseDecimal, readDecimal } from './decimal.ts'
import { type Int64, readInteger } from './integer.ts'
import { type KeyContext, NO_CONTEXT, NULL_KEY, type SlotAnswer, textFits, UNSURE } from './key-answer.ts'
import { hashBytes, slotOfHash } from './pg-hash.ts'
import {
  integerSlotOfDecimal,
  slotOfBool,
  slotOfDecimal,
  slotOfInteger,
  slotOfTimestamp,
} from './text-value.ts'

const TYPE_OF_OID: ReadonlyMap<number, string> = new Map([
  [16, 'bool'],
  [17, 'bytea'],
  [20, 'int8'],
  [21, 'int2'],
  [23, 'int4'],
  [25, 'text'],
  [1042, 'bpchar'],
  [1043, 'varchar'],
  [1082, 'date'],
  [1114, 'timestamp'],
  [1184, 'timestamptz'],
  [1700, 'numeric'],
  [2950, 'uuid'],
])
const OID_UNKNOWN = 705

/** Name of a parameter type; `unknown` when Postgres takes it from the key, undefined for types no key compares with. */
export function keySourceOfOid(typeOid: number): string | undefined {
  return typeOid === 0 || typeOid === OID_UNKNOWN ? 'unknown' : TYPE_OF_OID.get(typeOid)
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

function otherSlot(
  keyType: 'uuid' | 'date' | 'timestamp' | 'timestamptz' | 'bool' | 'bytea',
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
  }
}

function integerText(buf: Buffer, start: number, length: number): string {
  return length === 8 ? buf.readBigInt64BE(start).toString() : buf.readIntBE(start, length).toString()
}
