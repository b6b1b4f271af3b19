import type * as Pg from '@pgsql/types'
import { as, type Node, qualified, type SelectStmt, walk } from '../parse/ast.ts'
import type { Scope, Shape } from './block.ts'
import { columnOf } from './conditions.ts'
import type { ColumnKey } from './facts.ts'
import { AGGREGATES, SET_RETURNING } from './functions.ts'

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

const SET_OPERATIONS: Readonly<Record<string, string>> = {
  SETOP_UNION: 'UNION',
  SETOP_INTERSECT: 'INTERSECT',
  SETOP_EXCEPT: 'EXCEPT',
}

/** What this level itself does; subqueries have shapes of their own. */
export function shapeOf(select: SelectStmt): Shape {
  const shape: Mutable<Shape> = {}
  const setOperation = SET_OPERATIONS[select.op ?? '']
  if (setOperation !== undefined) shape.setOperation = setOperation
  if (select.distinctClause) shape.distinct = true
  if (select.distinctClause?.some((node) => Object.keys(node).length > 0)) shape.distinctOn = true
  if (select.groupClause) shape.group = true
  if (select.groupClause?.some((node) => as(node, 'GroupingSet'))) shape.groupingSets = true
  if (select.havingClause) shape.having = true
  if (select.windowClause) shape.window = true
  if (select.sortClause) shape.order = true
  if (limits(select)) {
    shape.limit = true
    if (!select.limitCount) shape.skips = as(select.limitOffset, 'ParamRef')?.number ?? 0
  }
  for (const part of groupedParts(select)) noteCalls(part, shape)
  return shape
}

/** Where aggregates of the query may stand. */
export function groupedParts({ targetList, havingClause, sortClause, distinctClause }: SelectStmt) {
  return [targetList, havingClause, sortClause, distinctClause]
}

/** LIMIT ALL, LIMIT NULL and OFFSET 0 are nothing. */
export function limits({ limitCount, limitOffset }: SelectStmt): boolean {
  if (limitCount && !as(limitCount, 'A_Const')?.isnull) return true
  const offset = as(limitOffset, 'A_Const')
  return limitOffset !== undefined && !offset?.isnull && !(offset?.ival && (offset.ival.ival ?? 0) === 0)
}

function noteCalls(root: unknown, shape: Mutable<Shape>): void {
  walk(root, (kind, body) => {
    if (kind === 'SubLink') return false
    if (kind === 'JsonObjectAgg' || kind === 'JsonArrayAgg') shape.aggregate ??= 'JSON aggregate'
    if (kind !== 'FuncCall') return
    const call = body as Pg.FuncCall
    const { name } = qualified(call.funcname)
    if (call.over) shape.window = true
    else if (isAggregateCall(call)) shape.aggregate ??= name
    if (SET_RETURNING.has(name)) shape.setReturning ??= name
  })
}

/** Aggregates of users and extensions are not among them: calls of those are opaque anyway. */
export function isAggregateCall(call: Pg.FuncCall): boolean {
  if (call.over) return false
  if (call.agg_star || call.agg_distinct || call.agg_within_group || call.agg_filter || call.agg_order)
    return true
  const { schema, name } = qualified(call.funcname)
  return (schema === undefined || schema === 'pg_catalog') && AGGREGATES.has(name)
}

/**
 * Columns by which GROUP BY and each window's PARTITION BY split the rows: a condition on one of them takes or
 * leaves whole groups. Undefined when the SELECT neither groups nor has windows.
 */
export function partitionedBy(select: SelectStmt, scope: Scope): ReadonlySet<ColumnKey> | undefined {
  const lists: (readonly Node[])[] = []
  if (select.groupClause) lists.push(select.groupClause)
  for (const node of select.windowClause ?? []) lists.push(as(node, 'WindowDef')?.partitionClause ?? [])
  walk(select.targetList, (kind, body) => {
    if (kind === 'SubLink') return false
    const over = kind === 'FuncCall' ? (body as Pg.FuncCall).over : undefined
    // `OVER w` names a window of the WINDOW clause, which is listed above.
    if (over && over.name === undefined) lists.push(over.partitionClause ?? [])
  })
  if (lists.length === 0) return undefined
  const sets = lists.map((list) => new Set(list.map((n) => groupColumn(n, scope))))
  const common = [...sets[0]!].filter((key) => key !== undefined && sets.every((set) => set.has(key)))
  return new Set(common as ColumnKey[])
}

/** `GROUP BY 1` and `GROUP BY alias` are not followed: they only lose a chance to push a condition down. */
function groupColumn(node: Node, scope: Scope): ColumnKey | undefined {
  return columnOf(node, scope)?.key
}
