import { groupColumns, type NumberedColumn, type Row, unlikeOf } from '../coordinator/catalog/load.ts'
import { LockedRelations } from '../coordinator/catalog/locked-relations.ts'
import * as queries from '../coordinator/catalog/queries.ts'
import { keyTypeOf } from '../coordinator/execute/declare/declare-checks.ts'
import { baseTypeSql } from '../coordinator/execute/declare/declare-facts.ts'
import type { KeyType } from '../sql/catalog.ts'

/** Runs one statement; values come as texts. */
export type Ask = (sql: string) => Promise<readonly Row[]>

export interface ForeignKey {
  readonly name: string
  /** Numbers of the tables. */
  readonly from: number
  readonly to: number
  readonly fromColumns: readonly string[]
  readonly toColumns: readonly string[]
}

/** A unique constraint or index, or one of EXCLUDE. */
export interface Unique {
  readonly name: string
  readonly isPrimary: boolean
  readonly isConstraint: boolean
  /** '' for an expression. */
  readonly columns: readonly string[]
}

export interface TableFacts {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly columns: readonly NumberedColumn[]
  /** Columns that can be shard keys, and their types. */
  readonly keyTypes: ReadonlyMap<string, KeyType>
  readonly uniques: readonly Unique[]
  readonly rows: number
  readonly bytes: number
  /** Of a partition, or what inherits: the table that is declared, which has the rows. */
  readonly under?: number
  readonly isPartitioned: boolean
}

export interface ViewFacts {
  readonly oid: number
  readonly schema: string
  readonly name: string
  readonly definition: string
}

/** What a database has, and what planning asks of it. */
export interface Schema {
  readonly tables: readonly TableFacts[]
  readonly views: readonly ViewFacts[]
  readonly foreignKeys: readonly ForeignKey[]
  readonly searchPath: readonly string[]
  readonly systemNames: ReadonlySet<string>
  readonly equalitySchemas: ReadonlySet<string>
  readonly unlikeFunctions: ReadonlySet<string>
  readonly functionBodies: ReadonlyMap<string, string>
}

const OURS = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'weft') AND n.nspname NOT LIKE E'pg\\\\_%'
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')`

/** What is counted meanwhile has the rows twice that an ANALYZE of their own transaction saw: only where there was none. */
const ROWS = `CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint
            ELSE coalesce((SELECT s.n_live_tup FROM pg_stat_all_tables s WHERE s.relid = c.oid), 0) END`

const TABLES = `
SELECT c.oid, n.nspname, c.relname,
       ${ROWS},
       pg_total_relation_size(c.oid), c.relkind = 'p',
       (WITH RECURSIVE up AS (SELECT h.inhparent FROM pg_inherits h WHERE h.inhrelid = c.oid
          UNION SELECT h.inhparent FROM up u JOIN pg_inherits h ON h.inhrelid = u.inhparent)
        SELECT min(u.inhparent) FROM up u WHERE NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = u.inhparent))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND ${OURS} ORDER BY 2, 3`

const KEY_TYPES = `
SELECT a.attrelid, a.attname, ${baseTypeSql('a.atttypid')}
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND ${OURS}
   AND NOT EXISTS (SELECT FROM pg_collation l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic)`

const UNIQUES = `
SELECT i.indrelid, x.relname, i.indisprimary, EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid),
       (SELECT json_agg(coalesce(a.attname, '') ORDER BY p.at) FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS p(attnum, at)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = p.attnum WHERE p.at <= i.indnkeyatts)
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_class x ON x.oid = i.indexrelid
 WHERE (i.indisunique OR i.indisexclusion) AND ${OURS} ORDER BY 1, 2`

const NAMES = (table: string, numbers: string): string =>
  `(SELECT json_agg(a.attname ORDER BY p.at) FROM unnest(${numbers}) WITH ORDINALITY AS p(attnum, at)
    JOIN pg_attribute a ON a.attrelid = ${table} AND a.attnum = p.attnum)`

const FOREIGN_KEYS = `
SELECT k.conname, k.conrelid, k.confrelid, ${NAMES('k.conrelid', 'k.conkey')}, ${NAMES('k.confrelid', 'k.confkey')}
  FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY 2, 1`

const VIEWS = `
SELECT c.oid, n.nspname, c.relname, pg_get_viewdef(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'v' AND ${OURS}`

const FUNCTIONS = `
SELECT p.proname, concat(p.prosrc, pg_get_function_sqlbody(p.oid))
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'weft') AND l.lanname NOT IN ('c', 'internal')
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')`

const names = (json: string | null | undefined): string[] => JSON.parse(json ?? '[]') as string[]

/** Reads the database that `ask` is connected to; changes nothing. */
export async function readSchema(ask: Ask): Promise<Schema> {
  const searchPath = (await ask('SELECT unnest(current_schemas(false)::text[])')).map(([name]) => name!)
  await ask('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  // Names in definitions come out qualified only when nothing is on the path.
  await ask("SET LOCAL search_path = ''")
  const none = new LockedRelations([])
  const relations = "(SELECT c.oid AS relid FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384)"
  const columns = groupColumns(await ask(queries.columnsOfSql(none, relations)))
  const keyTypes = keyTypesBy(await ask(KEY_TYPES))
  const uniques = uniquesBy(await ask(UNIQUES))
  const tables = (await ask(TABLES)).map((row) => tableOf(row, columns, keyTypes, uniques))
  const schema: Schema = {
    tables: withParts(tables),
    views: (await ask(VIEWS)).map(([oid, schema, name, definition]) => ({
      ...{ oid: Number(oid), schema: schema!, name: name!, definition: definition! },
    })),
    foreignKeys: (await ask(FOREIGN_KEYS)).map(([name, from, to, fromColumns, toColumns]) => ({
      ...{ name: name!, from: Number(from), to: Number(to) },
      ...{ fromColumns: names(fromColumns), toColumns: names(toColumns) },
    })),
    searchPath,
    systemNames: new Set((await ask(queries.systemNamesSql)).map(([name]) => name!)),
    equalitySchemas: new Set((await ask(queries.equalitySchemasSql)).map(([name]) => name!)),
    unlikeFunctions: unlikeOf(await ask(queries.notImmutableSql)),
    functionBodies: bodiesOf(await ask(FUNCTIONS)),
  }
  await ask('COMMIT')
  return schema
}

function tableOf(
  [oid, schema, name, rows, bytes, isPartitioned, under]: Row,
  columns: ReadonlyMap<string, NumberedColumn[]>,
  keyTypes: ReadonlyMap<string, ReadonlyMap<string, KeyType>>,
  uniques: ReadonlyMap<string, readonly Unique[]>,
): TableFacts {
  return {
    ...{ oid: Number(oid), schema: schema!, name: name!, rows: Number(rows), bytes: Number(bytes) },
    columns: columns.get(oid!) ?? [],
    keyTypes: keyTypes.get(oid!) ?? new Map(),
    uniques: uniques.get(oid!) ?? [],
    isPartitioned: isPartitioned === 't',
    ...(under == null ? {} : { under: Number(under) }),
  }
}

/** What is in its parts is in the whole. */
function withParts(tables: readonly TableFacts[]): TableFacts[] {
  const sum = (oid: number, of: 'rows' | 'bytes'): number =>
    tables.reduce((total, one) => total + (one.under === oid ? one[of] : 0), 0)
  return tables.map((one) => ({
    ...one,
    rows: one.rows + sum(one.oid, 'rows'),
    bytes: one.bytes + sum(one.oid, 'bytes'),
  }))
}

function keyTypesBy(rows: readonly Row[]): Map<string, Map<string, KeyType>> {
  const byTable = new Map<string, Map<string, KeyType>>()
  for (const [oid, column, base] of rows) {
    const type = keyTypeOf(base)
    const known = byTable.get(oid!) ?? new Map<string, KeyType>()
    if (type !== undefined) byTable.set(oid!, known.set(column!, type))
  }
  return byTable
}

function uniquesBy(rows: readonly Row[]): Map<string, Unique[]> {
  const byTable = new Map<string, Unique[]>()
  for (const [oid, name, isPrimary, isConstraint, columns] of rows) {
    const unique = {
      name: name!,
      isPrimary: isPrimary === 't',
      isConstraint: isConstraint === 't',
      columns: names(columns),
    }
    byTable.set(oid!, [...(byTable.get(oid!) ?? []), unique])
  }
  return byTable
}

function bodiesOf(rows: readonly Row[]): Map<string, string> {
  const bodies = new Map<string, string>()
  for (const [name, body] of rows) bodies.set(name!, `${bodies.get(name!) ?? ''}\n${body ?? ''}`)
  return bodies
}
