/** Finds what a write leaves to defaults that tell a time: columns that it does not mention, or says DEFAULT for. */
import type * as Pg from '@pgsql/types'
import type { Catalog, Column, Relation } from '../../catalog.ts'
import { as, assignedItem, at, kindOf, type Node, walk, whenClauses } from '../../parse/ast.ts'
import type { ParsedStatement } from '../../parse/parse.ts'
import { insertColumns } from '../../tree/modify.ts'
import { type InsertPlaces, insertPlaces, rowPlaces } from '../insert-places.ts'
import type { PlanContext } from '../plan.ts'
import { nextToken, quoteName } from '../text-scan.ts'
import { timedDefault } from './default-value.ts'
import { endsOfTargets } from './select-arms.ts'
import type { TextPlace, TimePart } from './text-place.ts'
import { writtenTable } from './time-words.ts'

interface Timed {
  readonly column: Column
  readonly parts: readonly TimePart[]
}

const DEFAULT = 'DEFAULT'.length

export function defaultPlaces(stmt: ParsedStatement, catalog: Catalog, ctx: PlanContext): TextPlace[] {
  if (!/insert|default|merge/i.test(stmt.text)) return []
  const places: TextPlace[] = []
  walk(stmt.node, (kind, body) => {
    if (kind !== 'InsertStmt' && kind !== 'UpdateStmt' && kind !== 'MergeStmt') return
    const { relation } = body as { relation?: Pg.RangeVar }
    const table = writtenTable(relation ?? {}, catalog, ctx)
    const timed = (table?.columns ?? []).flatMap((column) => timedOf(column, catalog))
    if (table === undefined || timed.length === 0) return
    if (kind === 'InsertStmt') places.push(...ofInsert(stmt.text, body as Pg.InsertStmt, table, timed))
    else if (kind === 'UpdateStmt') places.push(...ofAssignments((body as Pg.UpdateStmt).targetList, timed))
    else places.push(...ofMerge(body as Pg.MergeStmt, table, timed))
  })
  return places
}

function timedOf(column: Column, catalog: Catalog): readonly Timed[] {
  const parts = timedDefault(column, catalog)
  return parts === undefined ? [] : [{ column, parts }]
}

/** `SET c = DEFAULT`. */
function ofAssignments(list: readonly Node[] | undefined, timed: readonly Timed[]): TextPlace[] {
  return (list ?? []).flatMap((node) => {
    const { name, val } = as(node, 'ResTarget') ?? {}
    const found = timed.find(({ column }) => column.name === name)
    return found === undefined ? [] : ofItem(assignedItem(val), found)
  })
}

/** What its INSERTs do not mention is left to the shard. */
function ofMerge(merge: Pg.MergeStmt, table: Relation, timed: readonly Timed[]): TextPlace[] {
  return whenClauses(merge).flatMap(({ commandType, targetList, values = [] }) => {
    if (commandType !== 'CMD_INSERT') return ofAssignments(targetList, timed)
    const given = insertColumns(table, targetList ? { cols: targetList } : {}, values.length)
    return values.flatMap((item, i) => saidDefault(item, given?.[i], timed))
  })
}

function ofItem(item: Node | undefined, { parts }: Timed): readonly TextPlace[] {
  const start = at(as(item, 'SetToDefault') ?? { location: -1 })
  return start < 0 ? [] : [{ start, end: start + DEFAULT, parts }]
}

function ofInsert(text: string, node: Pg.InsertStmt, table: Relation, timed: readonly Timed[]): TextPlace[] {
  const conflict = ofAssignments(node.onConflictClause?.targetList, timed)
  const places = insertPlaces(text, node)
  const source = as(node.selectStmt, 'SelectStmt')
  if (source === undefined) return [...conflict, ...defaultValues(text, places, timed)]
  const rows = source.valuesLists?.map((row) => as(row, 'List')?.items ?? [])
  const given = insertColumns(table, node, rows?.[0]?.length ?? widthOf(source))
  if (given === undefined) return conflict
  const said = (rows ?? []).flatMap((row) => row.flatMap((item, i) => saidDefault(item, given[i], timed)))
  const omitted = timed.filter(({ column }) => !given.includes(column.name))
  const ends = rows
    ? rowPlaces(text, places.source).map(({ end }) => end - 1)
    : endsOfTargets(text, places, node)
  if (omitted.length === 0 || ends.length === 0) return [...conflict, ...said]
  return [...conflict, ...said, listed(places, given, omitted), ...ends.map((end) => appended(end, omitted))]
}

function saidDefault(item: Node, name: string | undefined, timed: readonly Timed[]): readonly TextPlace[] {
  const found = timed.find(({ column }) => column.name === name)
  return found === undefined ? [] : ofItem(item, found)
}

/** How many columns a query gives; undefined: a `*` hides it. */
function widthOf(select: Pg.SelectStmt): number | undefined {
  if (select.larg) return widthOf(select.larg)
  const targets = select.targetList ?? []
  const isStar = (target: Node) => {
    const val = as(target, 'ResTarget')?.val
    const fields = as(val, 'ColumnRef')?.fields ?? as(val, 'A_Indirection')?.indirection ?? []
    return fields.some((field) => kindOf(field) === 'A_Star')
  }
  return targets.some(isStar) ? undefined : targets.length
}

/** The columns' names, where the list of columns ends or would be. */
function listed(
  { columnsClose, nameEnd }: InsertPlaces,
  given: readonly string[],
  omitted: readonly Timed[],
): TextPlace {
  const names = omitted.map(({ column }) => quoteName(column.name))
  if (columnsClose >= 0) return { start: columnsClose, end: columnsClose, parts: [`, ${names.join(', ')}`] }
  return { start: nameEnd, end: nameEnd, parts: [` (${[...given.map(quoteName), ...names].join(', ')})`] }
}

function appended(end: number, omitted: readonly Timed[]): TextPlace {
  return { start: end, end, parts: omitted.flatMap(({ parts }) => [', ', ...parts]) }
}

/** `DEFAULT VALUES`: the columns that are not named have theirs all the same. */
function defaultValues(
  text: string,
  { nameEnd, source }: InsertPlaces,
  timed: readonly Timed[],
): TextPlace[] {
  const names = timed.map(({ column }) => quoteName(column.name)).join(', ')
  const values = timed.flatMap(({ parts }, i) => [i === 0 ? 'VALUES (' : ', ', ...parts])
  const end = nextToken(text, nextToken(text, source)!.end)!.end
  return [
    { start: nameEnd, end: nameEnd, parts: [` (${names})`] },
    { start: source, end, parts: [...values, ')'] },
  ]
}
