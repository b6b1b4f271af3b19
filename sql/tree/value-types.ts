/**
 * Types of the constants and columns that are compared with a shard key. `=` on two types is an operator of its own: a
 * bpchar forgets its blanks, a float8 stands for many bigints, a date meets a timestamptz in the session's time zone. So a
 * constant restricts a key only when its type is on the list below; with any other type the statement is not restricted.
 */
import type { KeyType } from '../catalog.ts'
import { OID_UNKNOWN, typeOfOid } from '../hash/type-oids.ts'

/**
 * `unknown`: an untyped string, which takes the type of what it is compared with. `undeclared`: a parameter of which only
 * Postgres can tell; where that is not the key's type, it is asked, and the statement planned again. `number`: a bare
 * number literal, of type int4, int8 or numeric by its size. Else a type's short name (`int8`); '' for one that no key
 * compares with.
 */
export type ValueType = string

export const UNKNOWN: ValueType = 'unknown'
export const UNDECLARED: ValueType = 'undeclared'
export const NUMBER: ValueType = 'number'
/** A value of an enum that is a key. */
export const ENUM_LABEL: ValueType = 'label'

const INTEGERS = ['int2', 'int4', 'int8']
const NUMBERS = [...INTEGERS, 'numeric', NUMBER]
const FLOATS = [...NUMBERS, 'float4', 'float8']
const TEXTS = ['text', 'varchar']

/** The types whose `=` with the key is the equality of the key's hash, and that convert without a change of meaning. */
const COMPARED: Readonly<Record<KeyType, readonly ValueType[]>> = {
  int2: NUMBERS,
  int4: NUMBERS,
  int8: NUMBERS,
  numeric: NUMBERS,
  text: TEXTS,
  varchar: TEXTS,
  uuid: ['uuid'],
  date: ['date'],
  timestamp: ['timestamp'],
  timestamptz: ['timestamptz'],
  bool: ['bool'],
  bytea: ['bytea'],
  bpchar: ['bpchar', ...TEXTS],
  name: ['name', ...TEXTS],
  oid: ['oid', NUMBER],
  float4: FLOATS,
  float8: FLOATS,
  time: ['time'],
  timetz: ['timetz'],
  inet: ['inet', 'cidr'],
  cidr: ['inet', 'cidr'],
  macaddr: ['macaddr'],
  macaddr8: ['macaddr8'],
  enum: [ENUM_LABEL],
  // Whoever equals it as a text does so in lower case.
  citext: TEXTS,
}

/** Whether `key = value` is true only where both have the same hash. */
export function comparesByHash(keyType: KeyType, type: ValueType): boolean {
  return isUntyped(type) || COMPARED[keyType].includes(type)
}

const isUntyped = (type: ValueType): boolean => type === UNKNOWN || type === UNDECLARED

/** Names as `format_type` prints them, where they are not the short ones. */
const SHORT: Readonly<Record<string, string>> = {
  smallint: 'int2',
  integer: 'int4',
  bigint: 'int8',
  'character varying': 'varchar',
  character: 'bpchar',
  boolean: 'bool',
  real: 'float4',
  'double precision': 'float8',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  'time without time zone': 'time',
  'time with time zone': 'timetz',
}

export const shortName = (type: string): ValueType => SHORT[type] ?? type

export function typeOfParam(oid: number): ValueType {
  if (oid === OID_UNKNOWN) return UNKNOWN
  return oid === 0 ? UNDECLARED : (typeOfOid(oid) ?? '')
}

/** Types that are compared with each other as their bytes, or as numbers, are. */
const FAMILY: Readonly<Record<string, string>> = {
  int2: 'int',
  int4: 'int',
  int8: 'int',
  text: 'text',
  varchar: 'text',
}

const familyOf = (type: ValueType): string => FAMILY[type] ?? type

/** Equal values of columns of the two types are equal keys. What is not known to be is not. */
export function comparable(a: string | undefined, b: string | undefined): boolean {
  if (a === undefined || b === undefined) return false
  const [x, y] = [familyOf(shortName(a)), familyOf(shortName(b))]
  if (x === NUMBER) return y === NUMBER || y === 'int' || y === 'numeric'
  return x === y || (y === NUMBER && (x === 'int' || x === 'numeric'))
}

/**
 * The types of `column IN (…)`: with more than one item Postgres finds one type for all and the column, so that in
 * `IN ('1', 2.5)` the string is a numeric. Undefined: what the strings are is not certain.
 */
export function listTypes(column: string | undefined, types: readonly ValueType[]): typeof types | undefined {
  if (types.length === 1 || !types.includes(UNKNOWN)) return types
  const own = column === undefined ? undefined : familyOf(shortName(column))
  const sameAs = (type: ValueType) =>
    isUntyped(type) || (own === 'text' ? familyOf(type) === own : type === shortName(column ?? ''))
  return types.every(sameAs) ? types : undefined
}

/** The same for ARRAY[…], the rows of VALUES and the arms of UNION, which know of no column: strings are text. */
export function unitedTypes(types: readonly ValueType[]): typeof types | undefined {
  if (types.every((type) => isUntyped(type) || familyOf(type) === 'text')) {
    return types.map((type) => (isUntyped(type) ? 'text' : type))
  }
  return types.includes(UNKNOWN) ? undefined : types
}
