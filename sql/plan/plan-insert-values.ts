import type * as Pg from '@pgsql/types'
import { PgError } from '../../errors/pg-error.ts'
import type { Relation } from '../catalog.ts'
import { as, hasSubqueries, kindOf, type Node } from '../parse/ast.ts'
import { EMPTY_SPACE, type Scope } from '../tree/block.ts'
import { constantOf } from '../tree/constants.ts'
import { acceptsCasts } from '../tree/facts.ts'
import { type RowValue, rowBegins } from './begun-rows.ts'
import { columnListOf, insertPlaces, type RowPlace, rowPlaces } from './insert-places.ts'
import type { InsertPlan, InsertRow, KeyValue, Plan } from './plan.ts'
import { columnsFor, type Insert, insertCommon, looksAtTables, readsSharded } from './plan-insert.ts'
import {
  forwardTo,
  isSingle,
  keyHint,
  keysRoute,
  mixError,
  notYet,
  paramsToDescribe,
  placeError,
  refused,
  restrictionsOf,
  unsupported,
} from './routing.ts'
import { endOfQuery } from './text-scan.ts'
import { hasNotNullKey, hasUnstableDefault, keyNull } from './writes.ts'

const NO_SCOPE: Scope = { space: EMPTY_SPACE, parent: undefined, ctes: new Map(), inView: false }

type Fill = InsertPlan['fill'][number]

/** INSERT … VALUES into a sharded table, or a reference table with defaults to be computed once or with subqueries. */
export function planInsertValues(insert: Insert): Plan {
  const { a, node, relation } = insert
  const error = mixError(a) ?? placeError(a)
  if (error) return refused(a, 'INSERT', error)
  if (node.override === 'OVERRIDING_USER_VALUE') return refused(a, 'INSERT', ignoredValues(relation))
  const rows = insert.source!.valuesLists!.map((row) => as(row, 'List')?.items ?? [])
  const columns = columnsFor(insert, rows[0]?.length) ?? []
  const wrong = shapeError(insert, rows, columns)
  if (wrong) return { ...refused(a, 'INSERT', wrong), isPostgres: true }
  const keyAt = columns.indexOf(relation.key?.column ?? '')
  // Rows that have a key go where they belong.
  if (isNullKey(insert, rows, keyAt) && (rows.length === 1 || keyAt < 0 || !hasNotNullKey(relation)))
    return nullKey(insert)
  const fill = fillsFor(insert, rows, columns)
  const keys = rows.map((row) => keyConstant(insert, row[keyAt]))
  if (relation.kind === 'sharded' && rows.length === 1 && fill.length === 0 && keys[0])
    return planOneRow(insert)
  const reason = severalError(insert, rows, keyAt)
  if (reason) return refused(a, 'INSERT', reason)
  const looks = looksAtTables(insert)
  const common = insertCommon(a, node)
  const isGeneric = common.generic && relation.kind === 'sharded' && !looks
  const generic =
    isGeneric && (keyAt < 0 || rows.every((row, i) => isDefault(row[keyAt]) || keys[i] !== undefined))
  return {
    ...common,
    generic,
    ...(generic && a.literalCount > 0 ? { literalEnds: a.literals.ends } : {}),
    paramsToDescribe: describedKeys(insert, keys),
    kind: 'insert',
    table: relation,
    keyType: relation.key?.type ?? 'int4',
    fill,
    looks,
    ...placesOf(insert, rows, columns, keys, fill, looks),
  }
}

/** As written, to the shard of the key. */
function planOneRow(insert: Insert): Plan {
  const { a, ctx, node } = insert
  const restrictions = restrictionsOf(a.occurrences)
  if (!restrictions || !isSingle(restrictions)) {
    return refused(a, 'INSERT', notYet('insert_values', 'a subquery in INSERT … VALUES', keyHint(a)))
  }
  const common = { ...insertCommon(a, node), paramsToDescribe: paramsToDescribe(a, ctx) }
  return forwardTo(common, keysRoute(a, restrictions))
}

/** Errors that Postgres would raise, had the statement come to it as a whole. */
function shapeError(insert: Insert, rows: readonly (readonly Node[])[], columns: readonly string[]) {
  const { relation, node } = insert
  const width = rows[0]?.length ?? 0
  if (rows.some((row) => row.length !== width)) return syntax('VALUES lists must all be the same length')
  if (width > columns.length) return syntax('INSERT has more expressions than target columns')
  if (width < columns.length) return syntax('INSERT has more target columns than expressions')
  for (const name of columns) {
    const column = relation.columns.find((c) => c.name === name)
    if (!column) {
      const message = `column "${name}" of relation "${relation.name}" does not exist`
      return new PgError({ severity: 'ERROR', code: '42703', message })
    }
    if (column.identity !== 'always' || node.override === 'OVERRIDING_SYSTEM_VALUE') continue
    const at = columns.indexOf(name)
    if (rows.some((row) => !isDefault(row[at]))) return alwaysError(name)
  }
  return undefined
}

/** It is planned with DEFAULT in their place. */
const ignoredValues = ({ name }: Relation) =>
  unsupported(
    'insert_columns',
    `OVERRIDING USER VALUE for "${name}" is not supported`,
    'Leave the column out.',
  )

const isPart = ({ node }: Insert, at: number): boolean =>
  as(node.cols?.[at], 'ResTarget')?.indirection !== undefined

const syntax = (message: string) => new PgError({ severity: 'ERROR', code: '42601', message })

function alwaysError(name: string): PgError {
  return new PgError({
    severity: 'ERROR',
    code: '428C9',
    message: `cannot insert a non-DEFAULT value into column "${name}"`,
    detail: `Column "${name}" is an identity column defined as GENERATED ALWAYS.`,
    hint: 'Use OVERRIDING SYSTEM VALUE to override.',
  })
}

const isDefault = (node: Node | undefined): boolean => node !== undefined && kindOf(node) === 'SetToDefault'

/** NULL written as such, or no value and no default to take its place. */
function isNullKey(insert: Insert, rows: readonly (readonly Node[])[], keyAt: number): boolean {
  const { key, columns } = insert.relation
  if (!key) return false
  const hasDefault = columns[key.index]?.default !== undefined
  if (keyAt < 0) return !hasDefault
  return rows.some((row) => as(row[keyAt], 'A_Const')?.isnull || (isDefault(row[keyAt]) && !hasDefault))
}

/** The column's own constraint says it best, with the row. Without one the row would belong to no shard. */
function nullKey({ a, node, relation }: Insert): Plan {
  return hasNotNullKey(relation)
    ? forwardTo(insertCommon(a, node), { kind: 'home' })
    : refused(a, 'INSERT', keyNull(relation))
}

function keyConstant(insert: Insert, item: Node | undefined): KeyValue | undefined {
  const { key } = insert.relation
  const value = item && constantOf(item, NO_SCOPE, insert.a.literals)
  if (!key || !value) return undefined
  return acceptsCasts(key.type, { values: [value], direct: undefined }) ? value.value : undefined
}

function fillsFor(insert: Insert, rows: readonly (readonly Node[])[], columns: readonly string[]): Fill[] {
  const { relation, a } = insert
  const fills: Fill[] = []
  for (const column of relation.columns) {
    const at = columns.indexOf(column.name)
    const appended = at < 0
    if (column.generated || !(appended || rows.some((row) => isDefault(row[at])))) continue
    const isKey = column.name === relation.key?.column
    const unsafe =
      relation.kind === 'reference' ? hasUnstableDefault(column, a.catalog) : column.usesSequence || isKey
    if (unsafe) fills.push({ column: column.name, expression: column.default ?? 'NULL', isKey, appended })
  }
  return fills
}

/** What does not go together with rows that are split up or rewritten. */
function severalError(
  insert: Insert,
  rows: readonly (readonly Node[])[],
  keyAt: number,
): PgError | undefined {
  const { a, node, relation } = insert
  if (a.targets.length > 1 || (node.withClause && relation.kind === 'sharded')) {
    return unsupported(
      'insert_values',
      `a WITH clause before INSERT … VALUES into "${relation.name}" is supported for one row whose columns all have values`,
      'Write the values without WITH.',
    )
  }
  if (readsSharded(a))
    return notYet(
      'insert_values',
      'a subquery on a sharded table in INSERT … VALUES',
      'Insert one row at a time.',
    )
  if (keyAt >= 0 && rows.some((row) => hasSubqueries(row[keyAt]))) {
    const key = relation.key?.column
    return unsupported(
      'insert_values',
      `a subquery for shard key "${key}" is not supported`,
      'Run the subquery first and pass its result.',
    )
  }
  return undefined
}

/** A parameter in the place of a column has the column's type, unless it is used elsewhere too. */
function describedKeys(insert: Insert, keys: readonly (KeyValue | undefined)[]): number[] {
  const found = new Set<number>()
  for (const key of keys) {
    if (key?.source.kind !== 'param') continue
    const { number } = key.source
    if ((insert.ctx.paramTypes[number - 1] ?? 0) === 0 && insert.a.params.get(number) !== 1) found.add(number)
  }
  return [...found]
}

type Places = Pick<InsertPlan, 'rows' | 'columnList' | 'tailStart' | 'overridingAt'>

function placesOf(
  insert: Insert,
  rows: readonly (readonly Node[])[],
  columns: readonly string[],
  keys: readonly (KeyValue | undefined)[],
  fill: readonly Fill[],
  looks: boolean,
): Places {
  const { text, node, relation, ctx } = insert
  const places = insertPlaces(text, node)
  const found = rowPlaces(text, places.source)
  const keyAt = columns.indexOf(relation.key?.column ?? '')
  const always = relation.columns.some(
    (c) => c.identity === 'always' && fill.some((f) => f.column === c.name),
  )
  const overrides = always && node.override !== 'OVERRIDING_SYSTEM_VALUE'
  return {
    rows: rows.map((row, i) => ({
      ...rowOf(relation.kind, row, found[i]!, keyAt, keys[i], columns, fill),
      ...(looks ? rowBegins(valuesOf(insert, row, found[i]!, keys[i], columns), ctx.paramTypes) : {}),
    })),
    columnList: columnListOf(places, columns),
    tailStart: found.at(-1)?.end ?? endOfQuery(text, places.source),
    ...(overrides ? { overridingAt: places.overridingAt } : {}),
  }
}

function valuesOf(
  insert: Insert,
  row: readonly Pg.Node[],
  place: RowPlace,
  constant: KeyValue | undefined,
  columns: readonly string[],
): RowValue[] {
  return row.map((node, i) => ({
    node,
    ...place.items[i]!,
    column: isPart(insert, i) ? undefined : insert.relation.columns.find((c) => c.name === columns[i]),
    isSpliced: columns[i] === insert.relation.key?.column && constant === undefined,
  }))
}

function rowOf(
  kind: string,
  row: readonly Pg.Node[],
  place: RowPlace,
  keyAt: number,
  constant: KeyValue | undefined,
  columns: readonly string[],
  fill: readonly Fill[],
): InsertRow {
  const defaults = fill.flatMap((f, i) => {
    const at = columns.indexOf(f.column)
    const item = place.items[at]
    return item && isDefault(row[at]) ? [{ fill: i, start: item.start, end: item.end }] : []
  })
  return {
    start: place.start,
    end: place.end,
    key: keyOf(kind, row[keyAt], place.items[keyAt], constant),
    defaults,
  }
}

function keyOf(
  kind: string,
  item: Node | undefined,
  place: RowPlace['items'][number] | undefined,
  constant: KeyValue | undefined,
): InsertRow['key'] {
  if (kind === 'reference') return { source: { kind: 'constant', value: null } }
  if (constant) return constant
  if (!place || isDefault(item)) return { source: { kind: 'default' } }
  return { source: { kind: 'expression', start: place.start, end: place.end } }
}
