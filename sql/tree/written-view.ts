/**
 * Views that Postgres writes through by itself. Each shard has the view, and its Postgres does what it does on one: so such
 * a view is a target like the table under it, under the view's names. What is not updatable about it every Postgres
 * says. PURE.
 */
import type * as Pg from '@pgsql/types'
import { type Catalog, type Column, type Relation, type ShardKey, underlying } from '../catalog.ts'
import { as, columnName, hasSubqueries } from '../parse/ast.ts'
import { parseStatements } from '../parse/parse.ts'
import { traitsOf, unlikeOnShards } from './traits.ts'

/** Has no column's name: the view does not show the shard key. */
const HIDDEN = ''
/** Of an expression: never written. */
const COMPUTED = { type: 'unknown', typeOid: 705, notNull: false, usesSequence: false, generated: true }

/** A sharded or reference table, as a view over it shows it; undefined where that cannot be told. */
export function writtenThrough(view: Relation, catalog: Catalog): Relation | undefined {
  if (view.kind !== 'view' || view.hasOwnCode === true) return undefined
  const select = as(parseStatements(view.definition ?? '')[0]?.node, 'SelectStmt')
  const [range, ...more] = (select?.fromClause ?? []).map((item) => as(item, 'RangeVar'))
  if (select === undefined || range === undefined || more.length > 0 || select.withClause) return undefined
  const under = catalog.resolve(range.schemaname, range.relname ?? '', [])
  const table = under?.kind === 'view' ? writtenThrough(under, catalog) : under
  if (table?.kind !== 'sharded' && table?.kind !== 'reference') return undefined
  if (!isOfEachRow(select, catalog)) return undefined
  const columns = (select.targetList ?? []).map((target) => shown(as(target, 'ResTarget') ?? {}, table))
  const { oid, schema, name } = view
  const { primaryKey, key, ...rest } = table
  const keys = keyNames(table, columns)
  return {
    ...rest,
    oid,
    schema,
    name,
    columns: columns.map(({ column }) => column),
    ...(key === undefined ? {} : { key: shownKey(key, columns, keys[0]) }),
    through: { table: underlying(table), hidden: hiddenOf(table, columns), keys },
  }
}

/** Where the view shows the key more than once: by the name that the statement gives it a value by. */
export function writtenBy(relation: Relation, names: readonly string[]): Relation {
  const { key, through, columns } = relation
  const name = through?.keys.find((one) => names.includes(one))
  if (key === undefined || name === undefined || name === key.column) return relation
  return { ...relation, key: { ...key, column: name, index: columns.findIndex((c) => c.name === name) } }
}

/** Which rows it shows, and as what, is told by each row alone. */
function isOfEachRow(select: Pg.SelectStmt, catalog: Catalog): boolean {
  return !hasSubqueries(select) && unlikeOnShards(traitsOf(select, catalog)) === undefined
}

interface Shown {
  readonly column: Column
  readonly of: Column | undefined
}

function shown({ name, val }: Pg.ResTarget, table: Relation): Shown {
  const parts = columnName(val) ?? []
  const of = table.columns.find((column) => column.name === parts.at(-1))
  const own = name ?? parts.at(-1) ?? ''
  return { column: { ...(of ?? COMPUTED), name: own }, of }
}

/** Names by which the shard key is shown. */
function keyNames({ key, through }: Relation, columns: readonly Shown[]): readonly string[] {
  const under = through?.keys ?? (key === undefined ? [] : [key.column])
  return columns
    .filter(({ of }) => of !== undefined && under.includes(of.name))
    .map(({ column }) => column.name)
}

function shownKey(key: ShardKey, columns: readonly Shown[], name: string = HIDDEN): ShardKey {
  return { ...key, index: columns.findIndex(({ column }) => column.name === name), column: name }
}

/** Columns of the table that the view does not show. */
function hiddenOf(table: Relation, columns: readonly Shown[]): readonly Column[] {
  const own = table.columns.filter(({ name }) => !columns.some(({ of }) => of?.name === name))
  return [...(table.through?.hidden ?? []), ...own]
}
