import { as, columnName, kindOf, type Node, qualified, strings } from '../parse/ast.ts'
import { type ColumnInfo, lookUp, type Scope } from '../tree/block.ts'
import { castName } from '../tree/constants.ts'

/** Types that sums and averages are made of, by the name that casts use. */
export type NumberType = 'int2' | 'int4' | 'int8' | 'numeric' | 'float4' | 'float8' | 'interval' | 'money'

const COLUMN_TYPES: Readonly<Record<string, NumberType>> = {
  smallint: 'int2',
  integer: 'int4',
  bigint: 'int8',
  numeric: 'numeric',
  real: 'float4',
  'double precision': 'float8',
  interval: 'interval',
  money: 'money',
}
const CASTS: ReadonlySet<string> = new Set(Object.values(COLUMN_TYPES))
const RANK: readonly string[] = ['int2', 'int4', 'int8', 'numeric', 'float4', 'float8']

/** The type of an expression as Postgres will find it; undefined when this code is not certain. */
export function typeOf(node: Node | undefined, scope: Scope): NumberType | undefined {
  if (!node) return undefined
  switch (kindOf(node)) {
    case 'ColumnRef':
      return columnType(lookUp(scope, columnName(node) ?? []))
    case 'A_Const': {
      const constant = as(node, 'A_Const')!
      if (constant.ival) return 'int4'
      return /[.eE]/.test(constant.fval?.fval ?? '') ? 'numeric' : undefined
    }
    case 'TypeCast': {
      const type = as(node, 'TypeCast')?.typeName
      const name = type && castName({ ...type, typmods: [] }, false)
      return name !== undefined && CASTS.has(name) ? (name as NumberType) : undefined
    }
    case 'A_Expr':
      return operatorType(node, scope)
    case 'CoalesceExpr':
      return common((as(node, 'CoalesceExpr')?.args ?? []).map((arg) => typeOf(arg, scope)))
    case 'CaseExpr': {
      const body = as(node, 'CaseExpr')!
      const results = (body.args ?? []).map((w) => as(w, 'CaseWhen')?.result)
      if (body.defresult) results.push(body.defresult)
      return common(results.map((result) => typeOf(result, scope)))
    }
    case 'FuncCall': {
      const call = as(node, 'FuncCall')!
      const { schema, name } = qualified(call.funcname)
      const isAbs = (schema === undefined || schema === 'pg_catalog') && name === 'abs'
      return isAbs ? typeOf(call.args?.[0], scope) : undefined
    }
    default:
      return undefined
  }
}

function columnType(info: ColumnInfo | undefined): NumberType | undefined {
  return info?.type === undefined ? undefined : COLUMN_TYPES[info.type]
}

/** Arithmetic of numbers: the wider type wins, real with anything else is double precision. */
function operatorType(node: Node, scope: Scope): NumberType | undefined {
  const expr = as(node, 'A_Expr')!
  const operator = strings(expr.name)
  if (
    expr.kind !== 'AEXPR_OP' ||
    operator.length !== 1 ||
    !['+', '-', '*', '/', '%'].includes(operator[0]!)
  ) {
    return undefined
  }
  const right = typeOf(expr.rexpr, scope)
  if (!expr.lexpr) return right !== undefined && RANK.includes(right) ? right : undefined
  const left = typeOf(expr.lexpr, scope)
  if (left === undefined || right === undefined || !RANK.includes(left) || !RANK.includes(right))
    return undefined
  if (left === right) return left
  const wider = RANK[Math.max(RANK.indexOf(left), RANK.indexOf(right))] as NumberType
  return wider === 'float4' ? 'float8' : wider
}

/** CASE and COALESCE: certain among exact numbers, or when all have one type. */
function common(types: readonly (NumberType | undefined)[]): NumberType | undefined {
  const first = types[0]
  if (first === undefined || types.some((t) => t === undefined)) return undefined
  if (types.every((t) => t === first)) return first
  const ranks = types.map((t) => RANK.indexOf(t!))
  if (ranks.some((rank) => rank < 0 || rank > RANK.indexOf('numeric'))) return undefined
  return RANK[Math.max(...ranks)] as NumberType
}
