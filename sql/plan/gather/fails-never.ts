import type * as Pg from '@pgsql/types'
import { as, type Node, type NodeKind, strings, walk } from '../../parse/ast.ts'
import type { Scope } from '../../tree/block.ts'
import { isAggregateCall } from '../../tree/shape.ts'
import { type NumberType, typeOf } from '../expression-type.ts'

const HARMLESS: ReadonlySet<NodeKind> = new Set<NodeKind>([
  ...(['ColumnRef', 'String', 'A_Const', 'ParamRef', 'BoolExpr', 'NullTest', 'BooleanTest'] as const),
  ...(['CaseExpr', 'CaseWhen', 'CoalesceExpr', 'WindowDef', 'SortBy', 'TypeName'] as const),
])
const COMPARISONS: ReadonlySet<string> = new Set(['=', '<>', '<', '>', '<=', '>='])
const ARITHMETIC: ReadonlySet<string> = new Set(['+', '-', '*'])
/** Casts of these to those: none is out of range, and none is a text that is no number. */
const CASTS: Readonly<Record<string, ReadonlySet<NumberType> | undefined>> = {
  numeric: new Set<NumberType>(['int2', 'int4', 'int8', 'numeric', 'float4', 'float8', 'money']),
  float8: new Set<NumberType>(['int2', 'int4', 'int8', 'float4', 'float8']),
}

/**
 * An expression that gives a value for every row. Postgres may compute what is in a subquery for those rows only that
 * conditions around it leave, or not at all; `1 / x` must not fail for the others, nor a product that is too large.
 */
export function failsNever(expression: Node, scope: Scope): boolean {
  let never = true
  walk(expression, (kind, body) => {
    if (!HARMLESS.has(kind) && !isHarmless({ [kind]: body } as Node, kind, scope)) never = false
    return never
  })
  return never
}

function isHarmless(node: Node, kind: NodeKind, scope: Scope): boolean {
  if (kind === 'A_Expr') {
    const operator = strings(as(node, 'A_Expr')!.name).at(-1) ?? ''
    return COMPARISONS.has(operator) || (ARITHMETIC.has(operator) && typeOf(node, scope) === 'numeric')
  }
  const cast = as(node, 'TypeCast')
  if (cast !== undefined) return isHarmlessCast(cast, scope)
  const call = as(node, 'FuncCall')
  return call !== undefined && (call.over !== undefined || isAggregateCall(call))
}

function isHarmlessCast({ arg, typeName }: Pg.TypeCast, scope: Scope): boolean {
  const from = typeOf(arg, scope)
  const isBounded = typeName?.typmods !== undefined
  return !isBounded && from !== undefined && CASTS[strings(typeName?.names).at(-1) ?? '']?.has(from) === true
}
