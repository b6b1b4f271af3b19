import type * as Pg from '@pgsql/types'
import { as, kindOf, type Node, strings } from '../parse/ast.ts'

/** The name Postgres gives an output column that has no AS (FigureColname in parse_target.c). */
export function columnLabel(target: Pg.ResTarget): string {
  return target.name ?? figure(target.val)?.name ?? '?column?'
}

/** `strong` names are not replaced by the name of a cast's type. */
interface Figured {
  readonly name: string
  readonly strong: boolean
}

const strong = (name: string | undefined): Figured | undefined =>
  name === undefined ? undefined : { name, strong: true }

const FIXED: Readonly<Record<string, string>> = {
  CoalesceExpr: 'coalesce',
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  GroupingFunc: 'grouping',
  XmlSerialize: 'xmlserialize',
  MergeSupportFunc: 'merge_action',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonArrayAgg: 'json_arrayagg',
}

function figure(node: Node | undefined): Figured | undefined {
  if (!node) return undefined
  const kind = kindOf(node)
  switch (kind) {
    case 'ColumnRef':
      return strong(strings(as(node, 'ColumnRef')?.fields).at(-1))
    case 'FuncCall':
      return strong(strings(as(node, 'FuncCall')?.funcname).at(-1))
    case 'A_Indirection': {
      const indirection = as(node, 'A_Indirection')!
      return strong(strings(indirection.indirection).at(-1)) ?? figure(indirection.arg)
    }
    case 'A_Expr':
      return as(node, 'A_Expr')?.kind === 'AEXPR_NULLIF' ? strong('nullif') : undefined
    case 'MinMaxExpr':
      return strong(as(node, 'MinMaxExpr')?.op === 'IS_LEAST' ? 'least' : 'greatest')
    case 'CollateClause':
      return figure(as(node, 'CollateClause')?.arg)
    case 'TypeCast': {
      const cast = as(node, 'TypeCast')!
      const inner = figure(cast.arg)
      const name = strings(cast.typeName?.names).at(-1)
      return inner?.strong || name === undefined ? inner : { name, strong: false }
    }
    case 'CaseExpr': {
      const fallback = figure(as(node, 'CaseExpr')?.defresult)
      return fallback?.strong ? fallback : { name: 'case', strong: false }
    }
    case 'SubLink':
      return figureSub(as(node, 'SubLink')!)
    case 'SQLValueFunction': {
      const op = String(as(node, 'SQLValueFunction')?.op ?? '')
      return strong(op.replace(/^SVFOP_|_N$/g, '').toLowerCase())
    }
    default:
      return strong(FIXED[kind])
  }
}

function figureSub(sub: Pg.SubLink): Figured | undefined {
  if (sub.subLinkType === 'EXISTS_SUBLINK') return strong('exists')
  if (sub.subLinkType === 'ARRAY_SUBLINK') return strong('array')
  if (sub.subLinkType !== 'EXPR_SUBLINK') return undefined
  const target = as(as(sub.subselect, 'SelectStmt')?.targetList?.[0], 'ResTarget')
  if (!target) return undefined
  if (target.name !== undefined) return strong(target.name)
  return figure(target.val)
}
