/**
 * What Postgres tells of a table's size and its statistics, where a sharded table is the sum of its parts: all shards are
 * asked, and functions of schema weft are given the sums (sql/install/sums-functions.ts). PURE.
 */
import { SLOT_GUARD } from '../install/slot-guard.ts'

export const SIZE_FUNCTIONS = [
  'pg_relation_size',
  'pg_table_size',
  'pg_indexes_size',
  'pg_total_relation_size',
] as const

/** Views of the statistics of tables and indexes, and the column with the number of what a row is about. */
export const STATISTICS = {
  pg_stat_all_tables: 'relid',
  pg_stat_user_tables: 'relid',
  pg_statio_all_tables: 'relid',
  pg_statio_user_tables: 'relid',
  pg_stat_all_indexes: 'indexrelid',
  pg_stat_user_indexes: 'indexrelid',
  pg_statio_all_indexes: 'indexrelid',
  pg_statio_user_indexes: 'indexrelid',
} as const

export type StatisticsView = keyof typeof STATISTICS
export type SumOfTables = 'sizes' | 'database_size' | 'pg_class' | StatisticsView

const NAMES: ReadonlySet<string> = new Set(['sizes', 'database_size', 'pg_class', ...Object.keys(STATISTICS)])

export const isSumOfTables = (known: string): known is SumOfTables => NAMES.has(known)

/** Its other columns are the same on every shard; as a function it has no system columns, and no rows to lock. */
export function asksPagesOrTuples(text: string): boolean {
  return /\brel(?:pages|tuples|allvisible|allfrozen)\b/i.test(text) && !SYSTEM_COLUMN.test(text)
}

const SYSTEM_COLUMN = /\b(?:tableoid|ctid|xmin|xmax|cmin|cmax)\b/i

/** Sharded tables and what belongs to them; the numbers differ by shard, `key` does not. */
const PARTS = `WITH sharded AS (
  SELECT t.oid, n.nspname, t.relname, t.reltoastrelid
  FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class t ON t.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
  WHERE k.conname = '${SLOT_GUARD}' AND k.contype = 'c'),
parts AS (
  SELECT oid, pg_catalog.jsonb_build_array(nspname, relname) AS key FROM sharded
  UNION ALL
  SELECT i.indexrelid, pg_catalog.jsonb_build_array(s.nspname, c.relname) FROM sharded s
    JOIN pg_catalog.pg_index i ON i.indrelid = s.oid JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  UNION ALL
  SELECT reltoastrelid, pg_catalog.jsonb_build_array(nspname, relname, 'toast') FROM sharded WHERE reltoastrelid <> 0
  UNION ALL
  SELECT i.indexrelid, pg_catalog.jsonb_build_array(s.nspname, s.relname, 'toast index') FROM sharded s
    JOIN pg_catalog.pg_index i ON i.indrelid = s.reltoastrelid)`

const FORKS = ['main', 'fsm', 'vm', 'init'].map(
  (fork) => `'${fork}', pg_catalog.pg_relation_size(oid, '${fork}')`,
)

/** `$1`: names of relations, if it is not about all: so that it does not wait for those that others have locked. */
const SIZES = `${PARTS}
SELECT key, oid, pg_catalog.jsonb_build_object(${FORKS.join(', ')}, 'pg_table_size', pg_catalog.pg_table_size(oid),
  'pg_indexes_size', pg_catalog.pg_indexes_size(oid), 'pg_total_relation_size', pg_catalog.pg_total_relation_size(oid))
FROM parts WHERE $1::text IS NULL OR oid = pg_catalog.to_regclass($1)`

/** What was never counted says nothing where it is empty; elsewhere nobody knows the sum. */
const PAGES_AND_TUPLES = `${PARTS}
SELECT p.key, p.oid, pg_catalog.jsonb_build_object('relpages', c.relpages, 'relallvisible', c.relallvisible,
  'relallfrozen', pg_catalog.to_jsonb(c) -> 'relallfrozen',
  'reltuples', CASE WHEN c.reltuples >= 0 OR pg_catalog.pg_relation_size(c.oid) > 0 THEN c.reltuples END)
FROM parts p JOIN pg_catalog.pg_class c ON c.oid = p.oid WHERE $1::text IS NULL`

const DATABASE_SIZE = `SELECT '', 0, pg_catalog.pg_database_size(pg_catalog.current_database()) WHERE $1::text IS NULL`

const NOT_ADDED = `'{relid,indexrelid,schemaname,relname,indexrelname}'::pg_catalog.text[]`

/** Rows: what it is about on every shard, its number on this one, and what is to be added up, as JSON. */
export function queryOfParts(sum: SumOfTables): string {
  if (sum === 'sizes') return SIZES
  if (sum === 'pg_class') return PAGES_AND_TUPLES
  if (sum === 'database_size') return DATABASE_SIZE
  return `${PARTS}
SELECT p.key, p.oid, pg_catalog.to_jsonb(s) - ${NOT_ADDED}
FROM parts p JOIN pg_catalog.${sum} s ON s.${STATISTICS[sum]} = p.oid WHERE $1::text IS NULL`
}

type Value = number | string | null
type Part = Readonly<Record<string, Value>> | number

/** Numbers are added, a negative one is not known; of times it is the last. */
export function added(a: Part | undefined, b: Part): Part {
  if (a === undefined) return b
  if (typeof a === 'number' || typeof b === 'number') return Number(a) + Number(b)
  const sum: Record<string, Value> = { ...a }
  for (const [name, value] of Object.entries(b)) sum[name] = addedValue(sum[name] ?? null, value)
  return sum
}

function addedValue(a: Value, b: Value): Value {
  if (a === null || b === null) return a ?? b
  if (typeof a === 'number' && typeof b === 'number') return a < 0 || b < 0 ? -1 : a + b
  return Date.parse(String(a)) > Date.parse(String(b)) ? a : b
}
