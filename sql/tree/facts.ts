import type { KeyType } from '../catalog.ts'
import type { KeyValue } from '../plan/plan.ts'
import { comparesByHash, type ValueType } from './value-types.ts'

/** A column of one FROM item: `<leaf id>.<name>`; every occurrence of a table has its own. */
export type ColumnKey = string

export const columnKey = (leaf: number, name: string): ColumnKey => `${leaf}.${name}`
export const leafOf = (column: ColumnKey): number => Number.parseInt(column, 10)

/** A constant of the statement, and the type as which it is compared. */
export interface Constant {
  readonly value: KeyValue
  readonly type: ValueType
}

/** Compared by identity: columns joined by equality get the very same set. */
export interface ValueSet {
  readonly values: readonly Constant[]
  /** Straight from `key = $n` or `key IN ($1, $2)`: a parameter in it has the type of the column. */
  readonly direct: ColumnKey | undefined
}

/**
 * Something that holds for every row that matters. A strict fact is a condition of the statement: it also says that
 * its columns are not null. Other facts are identities (an output column of a subquery is an inner column).
 */
export type Fact =
  | { readonly kind: 'eq'; readonly a: ColumnKey; readonly b: ColumnKey; readonly strict: boolean }
  | { readonly kind: 'in'; readonly column: ColumnKey; readonly set: ValueSet; readonly strict: boolean }

/** Every column that must equal `start`, itself included. */
export function equals(facts: readonly Fact[], start: Iterable<ColumnKey>): ReadonlySet<ColumnKey> {
  const reached = new Set(start)
  for (let grown = true; grown; ) {
    grown = false
    for (const fact of facts) {
      if (fact.kind !== 'eq' || reached.has(fact.a) === reached.has(fact.b)) continue
      reached.add(fact.a)
      reached.add(fact.b)
      grown = true
    }
  }
  return reached
}

/** The smallest set of constants that the column must be in. */
export function valuesOf(
  facts: readonly Fact[],
  column: ColumnKey,
  accepts: (set: ValueSet) => boolean = () => true,
): ValueSet | undefined {
  const same = equals(facts, [column])
  let best: ValueSet | undefined
  for (const fact of facts) {
    if (fact.kind !== 'in' || !same.has(fact.column) || !accepts(fact.set)) continue
    if (best === undefined || fact.set.values.length < best.values.length) best = fact.set
  }
  return best
}

/** A row in which all columns of these leaves are null does not satisfy the facts. */
export function rejectsNull(facts: readonly Fact[], leaves: ReadonlySet<number>): boolean {
  const strict: ColumnKey[] = []
  for (const fact of facts) {
    if (!fact.strict) continue
    if (fact.kind === 'in') strict.push(fact.column)
    else strict.push(fact.a, fact.b)
  }
  if (strict.length === 0) return false
  for (const column of equals(facts, strict)) if (leaves.has(leafOf(column))) return true
  return false
}

const INTEGERS = ['int2', 'int4', 'int8']
const FLOATS = [...INTEGERS, 'numeric', 'float4', 'float8']
const CASTS: Readonly<Record<KeyType, readonly string[]>> = {
  int2: INTEGERS,
  int4: INTEGERS,
  int8: INTEGERS,
  numeric: [...INTEGERS, 'numeric'],
  text: ['text', 'varchar'],
  varchar: ['text', 'varchar'],
  uuid: ['uuid'],
  date: ['date'],
  timestamp: ['timestamp'],
  timestamptz: ['timestamptz'],
  bool: ['bool'],
  bytea: ['bytea'],
  bpchar: ['bpchar', 'text', 'varchar'],
  name: ['name'],
  oid: ['oid'],
  float4: FLOATS,
  float8: FLOATS,
  time: ['time'],
  timetz: ['timetz'],
  inet: ['inet', 'cidr'],
  cidr: ['cidr'],
  macaddr: ['macaddr'],
  macaddr8: ['macaddr8'],
  enum: [],
  citext: ['text', 'varchar'],
}

/** The key is assigned one of these: the conversions leave them what they are, or Postgres is asked. */
export function acceptsCasts(keyType: KeyType, set: ValueSet): boolean {
  return set.values.every(({ value: { castTo } }) => castTo === undefined || CASTS[keyType].includes(castTo))
}

/** Whoever equals one of these has its hash. */
export function restrictsKey(keyType: KeyType, set: ValueSet): boolean {
  return set.values.every(({ type }) => comparesByHash(keyType, type))
}
