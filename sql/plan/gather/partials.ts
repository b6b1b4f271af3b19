import type { Column } from '../../catalog.ts'
import { as, type ColumnRef, type FuncCall, type Node, qualified } from '../../parse/ast.ts'
import { type NumberType, typeOf } from '../expression-type.ts'
import { ASKED, type KnownColumn } from './island.ts'
import { isPlainColumn, type LevelNames } from './level-names.ts'
import { listForm } from './lists.ts'

/** A value that every shard computes, of a group's rows there. */
export interface PartialValue {
  readonly node: Node
  readonly column: KnownColumn
}

/** An aggregate as values of the shards' parts, and what makes them the very value and type that one Postgres gives. */
export interface PartialForm {
  readonly values: readonly PartialValue[]
  combine(columns: readonly { readonly ref: string; readonly type: string }[]): string
}

/** Undefined: it has no such form, or not for this argument. */
export function partialForm(call: FuncCall, names: LevelNames): PartialForm | undefined {
  const { name } = qualified(call.funcname)
  if (call.agg_order || call.agg_within_group || call.func_variadic || call.agg_distinct) return undefined
  const [argument] = call.args ?? []
  if (name === 'count') return counted(call, 'count')
  if (name === 'regr_count') return counted(call, 'regr_count')
  const list = listForm(call, names)
  if (list !== undefined) return list
  if ((call.args?.length ?? 0) !== 1) return undefined
  if (ITSELF.has(name)) return itself(call, name, argument, names)
  const type = typeOf(argument, names.scope)
  if (name === 'sum') return sum(call, type)
  if (name === 'avg') return type === undefined ? undefined : average(call, type, argument!)
  const spread = SPREADS[name]
  return spread === undefined || type === undefined ? undefined : spreadOf(call, type, argument!, spread)
}

/** What is made of partial values as it is made of rows. */
const ITSELF: ReadonlySet<string> = new Set(
  'min max bool_and bool_or every bit_and bit_or bit_xor any_value'.split(' '),
)

const TYPES: Readonly<Record<NumberType, { readonly type: string; readonly typeOid: number }>> = {
  int2: { type: 'smallint', typeOid: 21 },
  int4: { type: 'integer', typeOid: 23 },
  int8: { type: 'bigint', typeOid: 20 },
  numeric: { type: 'numeric', typeOid: 1700 },
  float4: { type: 'real', typeOid: 700 },
  float8: { type: 'double precision', typeOid: 701 },
  interval: { type: 'interval', typeOid: 1186 },
  money: { type: 'money', typeOid: 790 },
}

function columnOf(type: NumberType): Column {
  return { name: '', ...TYPES[type], notNull: false, usesSequence: false, generated: false }
}

/** The call with another function of Postgres' own, and another argument. */
function calling(call: FuncCall, name: string, args: readonly Node[] | undefined): Node {
  const funcname = ['pg_catalog', name].map((sval) => ({ String: { sval } }))
  return { FuncCall: { ...call, funcname, ...(args === undefined ? {} : { args: [...args] }) } } as Node
}

function counted(call: FuncCall, name: string): PartialForm {
  return {
    values: [{ node: calling(call, name, call.args), column: columnOf('int8') }],
    combine: ([count]) => `CAST(COALESCE(pg_catalog.sum(${count!.ref}), 0) AS pg_catalog.int8)`,
  }
}

function itself(
  call: FuncCall,
  name: string,
  argument: Node | undefined,
  names: LevelNames,
): PartialForm | undefined {
  const ref = as(argument, 'ColumnRef') as ColumnRef | undefined
  const column = ref && names.resolve(ref)?.column
  // A domain's is the type under it; what a collation says of columns only is known.
  const isKnown = column !== undefined && name !== 'any_value'
  if (!isKnown && !names.isPlainValue(argument)) return undefined
  const isSame = column !== undefined && isPlainColumn(column) && SAME_TYPE.has(column.typeOid)
  const known = isSame ? plainly(column) : { collation: column?.collation }
  return {
    values: [{ node: calling(call, name, call.args), column: known }],
    combine: ([value]) => `pg_catalog.${name}(${value!.ref})`,
  }
}

/** Without the length or the scale of its declaration, which no aggregate keeps. */
function plainly({ name, type, typeOid }: Column): Column {
  return { name, type, typeOid, notNull: false, usesSequence: false, generated: false }
}

/** Types of which the least is of the same type. */
const SAME_TYPE: ReadonlySet<number> = new Set([
  16, 20, 21, 23, 25, 700, 701, 790, 1082, 1083, 1114, 1184, 1186, 1266, 1700, 2950,
])

/** The sum of smallint and integer is bigint, and that of bigint numeric. */
function sum(call: FuncCall, type: NumberType | undefined): PartialForm {
  const known: NumberType | undefined =
    type === 'int2' || type === 'int4' ? 'int8' : type === 'int8' ? 'numeric' : type
  return {
    values: [
      { node: calling(call, 'sum', call.args), column: known === undefined ? ASKED : columnOf(known) },
    ],
    combine: ([value]) => {
      const total = `pg_catalog.sum(${value!.ref})`
      return value!.type === 'bigint' ? `CAST(${total} AS pg_catalog.int8)` : total
    },
  }
}

/** The sum divided by the count, in the type in which Postgres' own avg divides. */
function average(call: FuncCall, type: NumberType, argument: Node): PartialForm | undefined {
  if (type === 'money') return undefined
  const isFloat = type === 'float4' || type === 'float8'
  // avg(real) adds up in double precision, sum(real) does not.
  const added = sum(isFloat ? { ...call, args: [cast(argument, 'float8')] } : call, isFloat ? 'float8' : type)
  const byFloat = isFloat || type === 'interval'
  return {
    values: [...added.values, { node: calling(call, 'count', [argument]), column: columnOf('int8') }],
    combine: ([total, count]) => {
      const divisor = `NULLIF(pg_catalog.sum(${count!.ref}), 0)`
      const dividend = `pg_catalog.sum(${total!.ref})`
      return byFloat
        ? `(${dividend} / CAST(${divisor} AS pg_catalog.float8))`
        : `(CAST(${dividend} AS pg_catalog.numeric) / ${divisor})`
    },
  }
}

interface Spread {
  readonly isSample: boolean
  readonly isRoot: boolean
}

const SPREADS: Readonly<Record<string, Spread | undefined>> = {
  variance: { isSample: true, isRoot: false },
  var_samp: { isSample: true, isRoot: false },
  var_pop: { isSample: false, isRoot: false },
  stddev: { isSample: true, isRoot: true },
  stddev_samp: { isSample: true, isRoot: true },
  stddev_pop: { isSample: false, isRoot: true },
}

const EXACT: ReadonlySet<NumberType> = new Set(['int2', 'int4', 'int8', 'numeric'])

/**
 * Variances of exact numbers from N, sum(x) and sum(x * x), as Postgres does it (numeric_stddev_internal in numeric.c):
 * (N * sum(x * x) - sum(x) ^ 2) / (N * (N - 1)). It takes the root to the scale of that quotient. sqrt() has a scale of its
 * own, so it is given more digits than rounding could ever turn on: a root is nearer to a tie only when it is one.
 */
function spreadOf(
  call: FuncCall,
  type: NumberType,
  argument: Node,
  { isSample, isRoot }: Spread,
): PartialForm | undefined {
  if (!EXACT.has(type)) return undefined
  const exact = cast(argument, 'numeric')
  const square = operator('*', exact, exact)
  const added = (value: Node) => ({ node: calling(call, 'sum', [value]), column: columnOf('numeric') })
  return {
    values: [
      { node: calling(call, 'count', [argument]), column: columnOf('int8') },
      added(exact),
      added(square),
    ],
    combine: (columns) => {
      const [n, total, squares] = columns.map(({ ref }) => `pg_catalog.sum(${ref})`)
      const above = `(${n} * ${squares} - ${total} * ${total})`
      const below = isSample ? `(${n} * (${n} - 1))` : `(${n} * ${n})`
      const quotient = `(CASE WHEN ${above} <= 0 THEN 0 ELSE ${above} / ${below} END)`
      const value = isRoot ? rootOf(quotient) : quotient
      return `(CASE WHEN ${n} > ${isSample ? 1 : 0} THEN ${value} END)`
    },
  }
}

function rootOf(value: string): string {
  const scale = `COALESCE(pg_catalog.scale(${value}), 0)`
  const long = `pg_catalog.round(${value}, 2 * ${scale} + 40)`
  return `pg_catalog.round(pg_catalog.sqrt(${long}), ${scale})`
}

function cast(arg: Node, type: string): Node {
  const names = ['pg_catalog', type].map((sval) => ({ String: { sval } }))
  return { TypeCast: { arg, typeName: { names, typemod: -1 } } } as Node
}

function operator(name: string, lexpr: Node, rexpr: Node): Node {
  return { A_Expr: { kind: 'AEXPR_OP', name: [{ String: { sval: name } }], lexpr, rexpr } } as Node
}
