import { as, columnName, type Node, type SelectStmt } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { Block } from '../../tree/block.ts'
import { columnLabel } from '../../tree/label.ts'
import type { PlanContext } from '../plan.ts'
import { isLasting } from './conditions.ts'

/** Of each shard's rows only these can be in the answer. */
export interface TopRows {
  readonly sort: readonly Node[]
  readonly count: Node
}

/**
 * ORDER BY … LIMIT on the rows of one table: each shard gives its first rows, as many as LIMIT and OFFSET together.
 * Undefined when more than the first may matter.
 */
export function topRows(a: Analysis, select: SelectStmt, ctx: PlanContext): TopRows | undefined {
  const range = as(select.fromClause?.[0], 'RangeVar')
  const isPlain =
    range !== undefined && select.fromClause?.length === 1 && range.alias?.colnames === undefined
  return isPlain && a.block.subs.length === 0 ? topRowsOf(a, a.block, select, ctx) : undefined
}

/** The same of a level whose FROM and WHERE every shard answers for itself. */
export function topRowsOf(
  a: Analysis,
  { shape, arms }: Block,
  select: SelectStmt,
  ctx: PlanContext,
): TopRows | undefined {
  const other =
    shape.distinct ?? shape.group ?? shape.having ?? shape.window ?? shape.setReturning ?? shape.setOperation
  if (other !== undefined || shape.aggregate !== undefined || arms.length > 0) return undefined
  if (select.withClause || select.limitOption === 'LIMIT_OPTION_WITH_TIES' || select.limitCount === undefined)
    return undefined
  const sort = (select.sortClause ?? []).map((node) => asItself(node, select))
  if (sort.some((node) => node === undefined || !isLasting(a, node, ctx))) return undefined
  const count = countOf(a, select)
  if (count === undefined) return undefined
  return { sort: sort as Node[], count }
}

/** A place in the select list, or an output's name, stands for what is there. */
function asItself(node: Node, select: SelectStmt): Node | undefined {
  const by = as(node, 'SortBy')
  if (by?.node === undefined) return undefined
  const place = as(by.node, 'A_Const')
  const name = columnName(by.node)
  const outputs = (select.targetList ?? []).map((target) => as(target, 'ResTarget'))
  if (place !== undefined && place.ival === undefined) return undefined
  if (place === undefined && name?.length !== 1) return node
  const hasStar = outputs.some((output) => as(output?.val, 'ColumnRef')?.fields?.some((f) => as(f, 'A_Star')))
  const found =
    place === undefined
      ? outputs.find((output) => output !== undefined && columnLabel(output) === name![0])
      : hasStar
        ? undefined
        : outputs[(place.ival?.ival ?? 0) - 1]
  if (found === undefined) return place === undefined ? node : undefined
  // By itself it would be a place.
  if (as(found.val, 'A_Const') !== undefined) return undefined
  return { SortBy: { ...by, node: found.val } } as Node
}

/** Constants and parameters only; a parameter that is used elsewhere may get another type there. */
function countOf(a: Analysis, { limitCount, limitOffset }: SelectStmt): Node | undefined {
  const parts = [limitCount, limitOffset].filter((part) => part !== undefined)
  for (const part of parts) {
    const param = as(part, 'ParamRef')?.number
    const isOnce = param !== undefined && a.params.get(param) === 1
    if (as(part, 'A_Const')?.ival === undefined && !isOnce) return undefined
  }
  const [limit, offset] = parts.map(asBigint)
  if (limit === undefined || offset === undefined) return limit
  return {
    A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: '+' } }], lexpr: limit, rexpr: offset },
  } as Node
}

function asBigint(arg: Node): Node {
  const names = ['pg_catalog', 'int8'].map((sval) => ({ String: { sval } }))
  return { TypeCast: { arg, typeName: { names, typemod: -1 } } } as Node
}
