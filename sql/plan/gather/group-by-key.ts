import { as, columnName, columnNode, type Node, type SelectStmt, walk } from '../../parse/ast.ts'
import { replaceNodes } from '../../parse/replace-nodes.ts'
import { columnLabel } from '../../tree/label.ts'
import { isAggregateCall } from '../../tree/shape.ts'
import { keptItems, type TableItem } from './inputs.ts'
import { expressionNode } from './made-nodes.ts'

/** Types that nothing is equal of: json, xml, point, polygon and the like. */
export const UNEQUAL: ReadonlySet<number> = new Set([114, 142, 600, 601, 602, 603, 604, 628, 718])

/**
 * Who groups by a table's primary key may use its other columns as they are. Gathered rows have no key, so those are grouped
 * by too, which makes no other groups; of those that nothing can be grouped by one value of the group is taken. In place, on
 * the query's tree; `items`: with the FROM items of that tree.
 */
export function groupByWholeKeys(tree: Node, items: readonly TableItem[]): void {
  walk(tree, (kind, body) => {
    if (kind !== 'SelectStmt') return
    const select = body as SelectStmt
    const by = select.groupClause ?? []
    if (by.length === 0 || by.some((node) => as(node, 'GroupingSet') !== undefined)) return
    const level = fromItems(select.fromClause ?? [], items)
    const names = by.map((node) => columnName(itself(node, select)))
    const grouped = level.filter((item) => isWholeKey(item, level, names))
    select.groupClause = [...by, ...grouped.flatMap((item) => rest(item, level, names))]
    for (const item of grouped) takeFirst(select, item, level)
  })
}

/** Of columns that have no equality any row of the group gives the value. In place. */
function takeFirst(select: SelectStmt, { alias, columns }: TableItem, level: readonly TableItem[]): void {
  const unequal = columns.filter(({ typeOid }) => UNEQUAL.has(typeOid)).map(({ name }) => name)
  const isMeant = (name: readonly string[] | undefined): boolean =>
    name?.length === 1
      ? unequal.includes(name[0]!) && isOnly(name[0]!, level)
      : name?.length === 2 && name[0] === alias && unequal.includes(name[1]!)
  const isApart = (node: Node): boolean => {
    const call = as(node, 'FuncCall')
    return as(node, 'SelectStmt') !== undefined || (call !== undefined && isAggregateCall(call))
  }
  const other = (node: Node): Node | undefined => {
    if (isApart(node)) return node
    return isMeant(columnName(node)) ? firstOf(node) : undefined
  }
  if (unequal.length === 0) return
  select.targetList = (select.targetList ?? []).flatMap((node) =>
    isAllOf(node, alias) ? columns.map(({ name }) => outputOf(columnNode(alias, name))) : [node],
  )
  // Outputs keep their names.
  for (const node of select.targetList) {
    const target = as(node, 'ResTarget')!
    if (isMeant(columnName(target.val))) target.name ??= columnLabel(target)
  }
  const labels = new Set((select.targetList ?? []).map((node) => columnLabel(as(node, 'ResTarget')!)))
  const isOutput = (node: Node) => labels.has(columnName(as(node, 'SortBy')?.node)?.join('.') ?? '')
  const sorts = (select.sortClause ?? []).filter((node) => !isOutput(node))
  replaceNodes([select.targetList, select.havingClause, sorts, select.windowClause], other)
}

const outputOf = (val: Node): Node => ({ ResTarget: { val } }) as Node

/** `d.*`, of which all columns are gathered. */
function isAllOf(node: Node, alias: string): boolean {
  const [table, star] = as(as(node, 'ResTarget')?.val, 'ColumnRef')?.fields ?? []
  return as(table, 'String')?.sval === alias && as(star, 'A_Star') !== undefined
}

function firstOf(arg: Node): Node {
  const list = as(expressionNode('(pg_catalog.array_agg(a))[1]'), 'A_Indirection')!
  as(list.arg, 'FuncCall')!.args = [arg]
  return { A_Indirection: list } as Node
}

function fromItems(from: readonly Node[], items: readonly TableItem[]): TableItem[] {
  return from.flatMap((node) => {
    const join = as(node, 'JoinExpr')
    if (join === undefined) return keptItems([node], items)
    return join.alias === undefined ? fromItems([join.larg!, join.rarg!], items) : []
  })
}

/** A place in the select list stands for what is there. */
function itself(node: Node, select: SelectStmt): Node | undefined {
  const place = as(node, 'A_Const')?.ival?.ival
  return place === undefined ? node : as(select.targetList?.[place - 1], 'ResTarget')?.val
}

type Names = readonly (readonly string[] | undefined)[]

function isBy(item: TableItem, column: string, level: readonly TableItem[], names: Names): boolean {
  return names.some((name) =>
    name?.length === 1
      ? name[0] === column && isOnly(column, level)
      : name?.length === 2 && name[0] === item.alias && name[1] === column,
  )
}

function isWholeKey(item: TableItem, level: readonly TableItem[], names: Names): boolean {
  const key = item.relation.primaryKey ?? []
  const renames = item.range.alias?.colnames !== undefined
  return key.length > 0 && !renames && key.every((column) => isBy(item, column, level, names))
}

function rest(item: TableItem, level: readonly TableItem[], names: Names): Node[] {
  const { alias, columns } = item
  const row = item.isRow && columns.every(({ typeOid }) => !UNEQUAL.has(typeOid)) ? [columnNode(alias)] : []
  const others = columns
    .filter(({ name, typeOid }) => !isBy(item, name, level, names) && !UNEQUAL.has(typeOid))
    .map(({ name }) => columnNode(alias, name))
  return [...others, ...row]
}

const isOnly = (column: string, level: readonly TableItem[]): boolean =>
  level.filter(({ relation }) => relation.columns.some(({ name }) => name === column)).length === 1
