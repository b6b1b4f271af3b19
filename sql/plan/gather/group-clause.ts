import { as, columnName, type Node, type SelectStmt } from '../../parse/ast.ts'
import { lookUp } from '../../tree/block.ts'
import { columnLabel } from '../../tree/label.ts'
import { isAggregateCall } from '../../tree/shape.ts'
import type { LevelNames } from './level-names.ts'
import { labelsOf } from './level-rewriter.ts'

/** The expressions that a level groups by, in any of its grouping sets; undefined: one is not known. */
export function groupKeys(select: SelectStmt, names: LevelNames): Node[] | undefined {
  const by = select.groupClause ?? []
  const keys = by.flatMap(leavesOf).map((leaf) => meant(leaf, select, names))
  if (keys.includes(undefined)) return undefined
  const hasSets = by.some((node) => as(node, 'GroupingSet') !== undefined)
  // By their places two outputs that are alike are two columns, of which one may be null where the other is not.
  const isTwice = new Set(keys.map((key) => names.print(key))).size < keys.length
  return hasSets && isTwice ? undefined : (keys as Node[])
}

/** GROUP BY over gathered columns. */
export function overKeys(select: SelectStmt, names: LevelNames, overKey: (key: Node) => Node): Node[] {
  const over = (node: Node): Node => {
    const set = as(node, 'GroupingSet')
    if (set !== undefined)
      return { GroupingSet: { ...set, ...(set.content && { content: set.content.map(over) }) } } as Node
    const row = listOf(node)
    if (row !== undefined) return { RowExpr: { ...as(node, 'RowExpr')!, args: row.map(over) } } as Node
    return overKey(meant(node, select, names)!)
  }
  return (select.groupClause ?? []).map(over)
}

/** No column stands outside of aggregates but those that the level names in GROUP BY: a primary key would allow others. */
export function isWhollyGrouped(select: SelectStmt, names: LevelNames): boolean {
  const known = groupKeys(select, names)
  if (known === undefined) return false
  const keys = new Set(known.map((key) => names.print(key)))
  const labels = labelsOf(select)
  const isOutput = (node: Node) => columnName(node)?.length === 1 && labels.has(columnName(node)![0]!)
  const strays = (value: unknown): boolean => {
    if (Array.isArray(value)) return value.some(strays)
    if (typeof value !== 'object' || value === null) return false
    const node = value as Node
    if (keys.has(names.print(node))) return false
    const call = as(node, 'FuncCall')
    if (call !== undefined && isAggregateCall(call)) return false
    if (as(node, 'JsonObjectAgg') ?? as(node, 'JsonArrayAgg')) return false
    const sublink = as(node, 'SubLink')
    if (sublink !== undefined) return strays(sublink.testexpr)
    return as(node, 'ColumnRef') !== undefined || Object.values(value).some(strays)
  }
  const { targetList, havingClause, windowClause, sortClause = [], distinctClause = [] } = select
  const byOutput = [...sortClause.map((node) => as(node, 'SortBy')?.node ?? node), ...distinctClause]
  return !strays([targetList, havingClause, windowClause, byOutput.filter((node) => !isOutput(node))])
}

function leavesOf(node: Node): Node[] {
  const set = as(node, 'GroupingSet')
  if (set !== undefined) return (set.content ?? []).flatMap(leavesOf)
  return listOf(node)?.flatMap(leavesOf) ?? [node]
}

/** `(a, b)`: not one row, but two. */
function listOf(node: Node): readonly Node[] | undefined {
  const row = as(node, 'RowExpr')
  return row?.row_format === 'COERCE_IMPLICIT_CAST' ? (row.args ?? []) : undefined
}

/** A place in the select list, or the name of an output that no column has, stands for what is there. */
function meant(node: Node, select: SelectStmt, names: LevelNames): Node | undefined {
  const place = as(node, 'A_Const')
  const outputs = (select.targetList ?? []).map((target) => as(target, 'ResTarget') ?? {})
  if (place !== undefined) {
    const hasStar = outputs.some(({ val }) => as(val, 'ColumnRef')?.fields?.some((f) => as(f, 'A_Star')))
    return hasStar ? undefined : outputs[(place.ival?.ival ?? 0) - 1]?.val
  }
  const name = columnName(node)
  if (name?.length !== 1 || lookUp(names.scope, name) !== undefined) return node
  const named = outputs.filter((output) => columnLabel(output) === name[0])
  return named.length === 1 ? named[0]!.val : undefined
}
