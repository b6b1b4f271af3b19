import { FIRST_USER_OID } from '../../../sql/catalog.ts'
import type { ShardRunner } from '../shards/shard-runner.ts'

/** How a table is spread. */
export type Spread =
  | { readonly kind: 'local' | 'reference' }
  | {
      readonly kind: 'sharded'
      readonly keyAttnum: number
      readonly keyType: string
      readonly colocation: number
    }

export interface ColumnFacts {
  readonly attnum: number
  readonly name: string
  readonly type: string
  /** As `baseTypeSql` names it. */
  readonly base: string | null
  readonly generated: boolean
  /** False: values that differ in bytes can be equal. */
  readonly deterministic: boolean
}

export interface UniqueFacts {
  readonly name: string
  /** Columns that two rows must share to be in conflict. */
  readonly columns: readonly number[]
}

export interface ForeignKeySide {
  readonly oid: string
  readonly table: string
  readonly self: boolean
  readonly spread: Spread
}

export interface ForeignKeyFacts {
  readonly name: string
  readonly from: ForeignKeySide
  readonly to: ForeignKeySide
  readonly fromColumns: readonly number[]
  readonly toColumns: readonly number[]
  /** As in pg_constraint: a no action, r restrict, c cascade, n set null, d set default. */
  readonly onUpdate: string
  readonly onDelete: string
  /** Columns of ON DELETE SET NULL (…); all when empty. */
  readonly deleteSets: readonly number[]
}

export interface TableFacts {
  readonly schema: string
  readonly name: string
  /** Qualified and quoted. */
  readonly qualified: string
  readonly relkind: string
  readonly persistence: string
  readonly owned: boolean
  /** A table that it inherits from, and whether others inherit from it; partitions are not meant. */
  readonly heirOf: string | null
  readonly hasHeirs: boolean
  /** Of a partition: what it is one of. */
  readonly partitionOf: string | null
  readonly rules: boolean
  /** The first one by name. */
  readonly trigger: string | null
  /** A constraint trigger that may wait for COMMIT. */
  readonly deferrableTrigger: string | null
  readonly forcesRowSecurity: boolean
  readonly spread: Spread
  readonly columns: readonly ColumnFacts[]
  readonly uniques: readonly UniqueFacts[]
  readonly foreignKeys: readonly ForeignKeyFacts[]
  readonly isolation: string
  /** Has no page on disk: no transaction can see a row in it. */
  readonly blank: boolean
  readonly encoding: string
}

const spread = (alias: string): string => `CASE ${alias}.kind
  WHEN 'sharded' THEN json_build_object('kind', ${alias}.kind, 'keyAttnum', ${alias}.key_attnum,
    'keyType', ${alias}.key_type, 'colocation', ${alias}.colocation)
  ELSE json_build_object('kind', coalesce(${alias}.kind, 'local')) END`

/**
 * The type with this number, or the one under it if it is a domain, by the name that a `KeyType` has. A type of Postgres'
 * own has its name in pg_type; NULL for other types of users.
 */
export const baseTypeSql = (oid: string): string => `(
  WITH RECURSIVE under AS (
    SELECT t.* FROM pg_type t WHERE t.oid = ${oid}
    UNION ALL SELECT t.* FROM under u JOIN pg_type t ON t.oid = u.typbasetype WHERE u.typtype = 'd')
  SELECT CASE WHEN u.typtype = 'e' THEN 'enum' WHEN u.oid < ${FIRST_USER_OID} THEN u.typname
    WHEN EXISTS (SELECT FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
      WHERE d.classid = 'pg_type'::regclass AND d.objid = u.oid AND d.deptype = 'e' AND e.extname = u.typname
        AND e.extname = 'citext') THEN 'citext' END
  FROM under u WHERE u.typtype <> 'd')`

const columns = `(
  SELECT coalesce(json_agg(json_build_object('attnum', a.attnum, 'name', a.attname, 'base', ${baseTypeSql('a.atttypid')},
    'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '',
    'deterministic', coalesce(l.collisdeterministic, true)) ORDER BY a.attnum), '[]')
  FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)`

// An exclusion constraint is about rows that are equal only in the columns compared by `=`.
const uniques = `(
  SELECT coalesce(json_agg(json_build_object('name', ic.relname, 'columns', (
    SELECT coalesce(json_agg(u.attnum), '[]') FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u(attnum, n)
    WHERE u.n <= i.indnkeyatts
      AND (k.conexclop IS NULL OR (SELECT o.oprname FROM pg_operator o WHERE o.oid = k.conexclop[u.n]) = '=')))), '[]')
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
  LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
  WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion))`

const foreignKeys = `(
  SELECT coalesce(json_agg(json_build_object('name', k.conname,
    'from', json_build_object('oid', k.conrelid::text, 'table', k.conrelid::regclass, 'self', k.conrelid = c.oid, 'spread', ${spread('rf')}),
    'to', json_build_object('oid', k.confrelid::text, 'table', k.confrelid::regclass, 'self', k.confrelid = c.oid, 'spread', ${spread('rt')}),
    'fromColumns', k.conkey, 'toColumns', k.confkey, 'onUpdate', k.confupdtype, 'onDelete', k.confdeltype,
    'deleteSets', coalesce(k.confdelsetcols, '{}'))), '[]')
  FROM pg_constraint k
  LEFT JOIN weft.relation rf ON rf.relid = k.conrelid
  LEFT JOIN weft.relation rt ON rt.relid = k.confrelid
  WHERE k.contype = 'f' AND (k.conrelid = c.oid OR k.confrelid = c.oid) AND k.conparentid = 0)`

const factsSql = `
SELECT json_build_object('schema', n.nspname, 'name', c.relname, 'qualified', format('%I.%I', n.nspname, c.relname),
  'relkind', c.relkind, 'persistence', c.relpersistence,
  'owned', pg_has_role(current_user, c.relowner, 'USAGE'),
  'heirOf', CASE WHEN NOT c.relispartition THEN
    (SELECT i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno LIMIT 1) END,
  'hasHeirs', c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
  'partitionOf', CASE WHEN c.relispartition THEN (SELECT i.inhparent::regclass FROM pg_inherits i WHERE i.inhrelid = c.oid) END,
  'rules', EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid),
  'trigger', (SELECT min(t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
  'deferrableTrigger', (SELECT min(t.tgname) FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgdeferrable),
  'forcesRowSecurity', c.relforcerowsecurity, 'spread', ${spread('r')}, 'columns', ${columns}, 'uniques', ${uniques},
  'foreignKeys', ${foreignKeys}, 'isolation', current_setting('transaction_isolation'),
  'blank', CASE c.relkind WHEN 'r' THEN pg_relation_size(c.oid) = 0 WHEN 'p' THEN NOT EXISTS (
    SELECT FROM pg_partition_tree(c.oid) p WHERE p.isleaf AND pg_relation_size(p.relid) > 0) ELSE false END, 'encoding', getdatabaseencoding())
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN weft.relation r ON r.relid = c.oid
WHERE c.oid = $1::oid`

/** Partitions of a table, theirs before themselves: OID, and the statement that makes it one. */
export const partitionsSql = `
SELECT p.relid::oid, format('ALTER TABLE %s ATTACH PARTITION %s %s', p.parentrelid, p.relid, pg_get_expr(c.relpartbound, c.oid))
FROM pg_partition_tree($1::oid) p JOIN pg_class c ON c.oid = p.relid
WHERE p.level > 0 ORDER BY p.level DESC, p.relid::oid`

/** What there is to know of a table on the home shard, as of now in this transaction. */
export async function readFacts(runner: ShardRunner, oid: string): Promise<TableFacts | undefined> {
  const { rows } = await runner.query(0, factsSql, [oid])
  const json = rows[0]?.[0]
  return json === null || json === undefined ? undefined : (JSON.parse(json) as TableFacts)
}
