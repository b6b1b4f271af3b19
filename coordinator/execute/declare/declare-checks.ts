import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { RefusalId } from '../../../errors/refusals/refusals.ts'
import type { KeyType } from '../../../sql/catalog.ts'
import type { ColumnFacts, ForeignKeyFacts, ForeignKeySide, Spread, TableFacts } from './declare-facts.ts'

/** Types in one family hash equal values to the same slot; the number is that of the family's default group. */
const families: Readonly<Record<KeyType, number>> = {
  int2: 1,
  int4: 1,
  int8: 1,
  text: 2,
  varchar: 2,
  uuid: 3,
  date: 4,
  timestamp: 5,
  timestamptz: 6,
  bool: 7,
  numeric: 8,
  bytea: 9,
  bpchar: 10,
  name: 11,
  oid: 12,
  float4: 13,
  float8: 13,
  time: 14,
  timetz: 15,
  inet: 16,
  cidr: 16,
  macaddr: 17,
  macaddr8: 18,
  enum: 19,
  citext: 20,
}

export const defaultColocation = (type: KeyType): number => families[type]

export const sameFamily = (a: KeyType, b: KeyType): boolean => families[a] === families[b]

const refuse = (id: RefusalId, what: string, hint?: string): never => {
  throw weftError('not_supported', { id, what, hint })
}

const isKeyType = (name: string): name is KeyType => Object.hasOwn(families, name)

/** `base`: as `baseTypeSql` names it. */
export const keyTypeOf = (base: string | null | undefined): KeyType | undefined =>
  base != null && isKeyType(base) ? base : undefined

/** Only ordinary and partitioned tables that the session's role owns can be declared; partitions are what these are. */
export function checkOrdinary(t: TableFacts): void {
  checkShape(t)
  if (t.heirOf !== null)
    refuse(
      'inherits',
      `table "${t.name}" inherits from ${t.heirOf}: it is sharded, or not, as that is`,
      `Name ${t.heirOf}, or take it out: ALTER TABLE … NO INHERIT.`,
    )
  if (t.partitionOf === null) return
  refuse(
    'partition_unlike',
    `table "${t.name}" is a partition of ${t.partitionOf}: it is sharded, or not, as that is`,
    `Name ${t.partitionOf}, or detach the partition first.`,
  )
}

/** One statement would be about rows of two trees, with keys of their own. */
export function refuseOtherParent(t: TableFacts, parent: string): never {
  return refuse(
    'inherits',
    `table "${t.name}" inherits from ${parent}, too: it can be sharded with one tree only`,
    `Take it out: ALTER TABLE … NO INHERIT ${parent}. Once all are sharded alike, have it inherit again.`,
  )
}

export function checkShape(t: TableFacts): void {
  if (!t.owned) throw new PgError({ code: '42501', message: `must be owner of table ${t.name}` })
  if (t.relkind !== 'r' && t.relkind !== 'p')
    throw new PgError({ code: '42809', message: `"${t.name}" is not an ordinary table` })
  if (t.persistence === 't') refuse('table_kind', `temporary table "${t.name}" cannot be distributed`)
  if (t.persistence === 'u') {
    refuse(
      'table_kind',
      `unlogged table "${t.name}" cannot be distributed: a crash would empty it on one shard only`,
      `Run ALTER TABLE ${t.qualified} SET LOGGED first.`,
    )
  }
  if (['pg_catalog', 'information_schema', 'weft'].includes(t.schema))
    refuse('table_kind', `"${t.name}" is a system table`)
  if (t.rules)
    refuse('rule', `table "${t.name}" has rules: such tables cannot be distributed`, 'Use triggers instead.')
}

/** Of a reference table: triggers are on home, and the other copies are told rows of one table by its key. */
export function checkTriggers(t: TableFacts, isOfTree: boolean): void {
  if (t.deferrableTrigger !== null)
    refuse(
      'trigger',
      `table "${t.name}" has deferrable trigger "${t.deferrableTrigger}": such triggers on reference tables are not supported`,
      'It would run at COMMIT, when the copies have been written. Use a trigger that is not deferrable.',
    )
  if (t.trigger === null || !isOfTree) return
  refuse(
    'trigger',
    `table "${t.name}" has trigger "${t.trigger}": triggers on reference tables that are partitioned or inherit are not supported`,
    'Rows of the whole are told by no key of one table. Drop the trigger, or use a table by itself.',
  )
}

export interface CheckedKey {
  readonly attnum: number
  readonly column: string
  readonly type: KeyType
}

/** The shard key: an existing column of a type that hashes the same everywhere. */
export function checkKey(t: TableFacts, column: string): CheckedKey {
  const key: ColumnFacts | undefined = t.columns.find((c) => c.name === column)
  if (key === undefined) {
    throw new PgError({ code: '42703', message: `column "${column}" of relation "${t.name}" does not exist` })
  }
  const type = keyTypeOf(key.base)
  if (type === undefined) {
    throw weftError('not_supported', {
      id: 'key_type',
      what: `column "${column}" of type ${key.type} cannot be a shard key`,
      hint: `Supported types: ${Object.keys(families).join(', ')}, and domains over them.`,
    })
  }
  if (!key.deterministic) {
    refuse(
      'key_type',
      `column "${column}" has a nondeterministic collation: it cannot be a shard key`,
      'Equal values must have equal bytes.',
    )
  }
  if (key.generated) refuse('key_type', `generated column "${column}" cannot be a shard key`)
  return { attnum: key.attnum, column, type }
}

/** What holds for all rows can only be enforced where rows that could break it are on one shard. */
export function checkUniques(t: TableFacts, key: CheckedKey): void {
  for (const unique of t.uniques) {
    if (unique.columns.includes(key.attnum)) continue
    refuse(
      'unique_without_key',
      `unique constraint or index "${unique.name}" does not contain the shard key "${key.column}"`,
      'Rows of different shards cannot be compared. Add the shard key to it, or drop it.',
    )
  }
}

/** How the table on one side of a foreign key is going to be spread. */
export type SpreadOf = (side: ForeignKeySide) => Spread

/** Every foreign key from or to the table must be checkable inside each shard. */
export function checkForeignKeys(keys: readonly ForeignKeyFacts[], spreadOf: SpreadOf): void {
  for (const key of keys) {
    const from = spreadOf(key.from)
    const to = spreadOf(key.to)
    checkPair(key, from, to)
    if (from.kind === 'sharded') checkActions(key, from.keyAttnum, to)
  }
}

function checkPair(key: ForeignKeyFacts, from: Spread, to: Spread): void {
  if (to.kind === 'reference' || (to.kind === 'local' && from.kind === 'local')) return
  const what = `foreign key "${key.name}" from ${from.kind} table ${key.from.table} to ${to.kind} table ${key.to.table}`
  if (from.kind === 'sharded' && to.kind === 'sharded') {
    if (from.colocation !== to.colocation) {
      refuse(
        'foreign_key_across_shards',
        `${what} would cross shards: the tables are not colocated`,
        'Shard both by keys of the same type.',
      )
    }
    const matches = key.fromColumns.some((c, i) => c === from.keyAttnum && key.toColumns[i] === to.keyAttnum)
    if (matches) return
    refuse(
      'foreign_key_across_shards',
      `${what} would cross shards: it does not pair the two shard keys`,
      'Add the shard keys to it.',
    )
  }
  const hint =
    to.kind === 'sharded'
      ? 'Drop the foreign key, declare both tables, and add it again.'
      : `Declare ${key.to.table} first: as a reference table, or sharded by the same key. ` +
        'Or drop the foreign key, declare both tables, and add it again.'
  refuse(
    'foreign_key_to_part',
    `${what} cannot be checked: a shard does not have all rows of ${key.to.table}`,
    hint,
  )
}

/** The local table because of which the key cannot be checked, if there is one: declaring that one too may help. */
export function missingPartner(key: ForeignKeyFacts, spreadOf: SpreadOf): ForeignKeySide | undefined {
  const [from, to] = [spreadOf(key.from).kind, spreadOf(key.to).kind]
  if (to === 'local' && from !== 'local') return key.to
  return from === 'local' && to === 'sharded' ? key.from : undefined
}

/** An action must not change a shard key: the row would be on the wrong shard. */
function checkActions(key: ForeignKeyFacts, keyAttnum: number, to: Spread): void {
  const sets = (action: string): boolean => action === 'n' || action === 'd'
  const deleted = key.deleteSets.length > 0 ? key.deleteSets : key.fromColumns
  const byDelete = sets(key.onDelete) && deleted.includes(keyAttnum)
  const byUpdate =
    (sets(key.onUpdate) || (key.onUpdate === 'c' && to.kind === 'reference')) &&
    key.fromColumns.includes(keyAttnum)
  if (!byDelete && !byUpdate) return
  refuse(
    'foreign_key_changes_key',
    `foreign key "${key.name}" of ${key.from.table} would change the shard key when its parent row changes`,
    'Use NO ACTION, RESTRICT or (for deletes) CASCADE.',
  )
}

/** An old snapshot doesn't see the rows committed since: they would stay behind. */
export function checkSnapshot(t: TableFacts): void {
  if (t.isolation === 'read committed' || t.isolation === 'read uncommitted' || t.blank) return
  refuse(
    'declared_in_snapshot',
    `a table with rows cannot be distributed in a ${t.isolation.toUpperCase()} transaction`,
    'Use a READ COMMITTED transaction.',
  )
}
