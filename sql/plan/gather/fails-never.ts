import type * as Pg from '@pgsql/types'
import { isAggregateCall } from '../../analyze/shape.ts'
import { type Node, type NodeKind, strings, walk } from '../../parse/ast.ts'

const HARMLESS: ReadonlySet<NodeKind> = new Set<NodeKind>([
  ...(['ColumnRef', 'String', 'A_Const', 'ParamRef', 'BoolExpr', 'NullTest', 'BooleanTest'] as const),
  ...(['CaseExpr', 'CaseWhen', 'CoalesceExpr', 'WindowDef', 'SortBy', 'TypeName'] as const),
])
const OPERATORS: ReadonlySet<string> = new Set(['+', '-', '*', '=', '<>', '<', '>', '<=', '>='])
const EXACT: ReadonlySet<string> = new Set(['numeric', 'float8'])

/**
 * An expression that gives a value for every row. Postgres may compute what is in a subquery for those rows only that
 * conditions around it leave; `1 / x` must not fail for the others.
 */
export function failsNever(node: Node): boolean {
  let never = true
  walk(node, (kind, body) => {
    if (!HARMLESS.has(kind) && !isHarmless(kind, body)) never = false
    return never
  })
  return never
}

function isHarmless(kind: NodeKind, body: object): boolean {
  if (kind === 'A_Expr') return OPERATORS.has(strings((body as Pg.A_Expr).name).at(-1) ?? '')
  if (kind === 'TypeCast') return EXACT.has(strings((body as Pg.TypeCast).typeName?.names).at(-1) ?? '')
  const call = body as Pg.FuncCall
  return kind === 'FuncCall' && (call.over !== undefined || isAggregateCall(call))
}
