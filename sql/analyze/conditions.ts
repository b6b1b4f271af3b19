import {
  type A_Const,
  type A_Expr,
  as,
  at,
  columnName,
  type Node,
  strings,
  type TypeName,
} from '../parse/ast.ts'
import type { KeyValue } from '../plan/plan.ts'
import { type ColumnInfo, lookUp, type Scope } from './block.ts'
import { type ColumnKey, comparable, type Fact, type ValueSet } from './facts.ts'

/** Finds the literals of the statement by their place. */
export interface LiteralIndex {
  readonly text: string
  /** UTF-16 offset → number of the literal. */
  readonly byStart: ReadonlyMap<number, number>
}

/** What a condition says for certain, if it has to be true. */
export function factsOf(condition: Node | undefined, scope: Scope, literals: LiteralIndex): Fact[] {
  const facts: Fact[] = []
  if (condition !== undefined) collect(condition, scope, literals, facts)
  return facts
}

function collect(node: Node, scope: Scope, literals: LiteralIndex, facts: Fact[]): void {
  const bool = as(node, 'BoolExpr')
  if (bool?.boolop === 'AND_EXPR') {
    for (const arg of bool.args ?? []) collect(arg, scope, literals, facts)
  } else if (bool?.boolop === 'OR_EXPR') {
    facts.push(...anyOf(bool.args ?? [], scope, literals))
  } else {
    const expr = as(node, 'A_Expr')
    if (expr && isEquals(expr)) comparison(expr, scope, literals, facts)
  }
}

function isEquals(expr: A_Expr): boolean {
  const name = strings(expr.name)
  return name.at(-1) === '=' && (name.length === 1 || name[0] === 'pg_catalog')
}

function comparison(expr: A_Expr, scope: Scope, literals: LiteralIndex, facts: Fact[]): void {
  if (!expr.lexpr || !expr.rexpr) return
  if (expr.kind === 'AEXPR_OP') equality(expr.lexpr, expr.rexpr, scope, literals, facts)
  else if (expr.kind === 'AEXPR_IN')
    membership(expr.lexpr, as(expr.rexpr, 'List')?.items, scope, literals, facts)
  else if (expr.kind === 'AEXPR_OP_ANY') {
    const cast = as(expr.rexpr, 'TypeCast')
    const element = cast?.typeName ? castName(cast.typeName, true) : undefined
    if (cast && element === undefined) return
    const items = as(cast ? cast.arg : expr.rexpr, 'A_ArrayExpr')?.elements
    membership(expr.lexpr, items, scope, literals, facts, element)
  }
}

function equality(left: Node, right: Node, scope: Scope, literals: LiteralIndex, facts: Fact[]): void {
  const rows = [as(left, 'RowExpr')?.args, as(right, 'RowExpr')?.args] as const
  if (rows[0] && rows[1] && rows[0].length === rows[1].length) {
    for (const [i, item] of rows[0].entries()) equality(item, rows[1][i]!, scope, literals, facts)
    return
  }
  const a = columnOf(left, scope)
  const b = columnOf(right, scope)
  if (a && b) {
    if (comparable(a.type, b.type)) facts.push({ kind: 'eq', a: a.key, b: b.key, strict: true })
  } else if (a) membership(left, [right], scope, literals, facts)
  else if (b) membership(right, [left], scope, literals, facts)
}

function membership(
  column: Node,
  items: readonly Node[] | undefined,
  scope: Scope,
  literals: LiteralIndex,
  facts: Fact[],
  castTo?: string,
): void {
  if (!items || items.length === 0) return
  const row = as(column, 'RowExpr')?.args
  if (row) {
    for (const [i, part] of row.entries()) {
      const parts = items.map((item) => as(item, 'RowExpr')?.args?.[i])
      if (parts.every((p) => p !== undefined)) membership(part, parts, scope, literals, facts)
    }
    return
  }
  const info = columnOf(column, scope)
  const set = info && constantSet(items, info.key, scope, literals, castTo)
  if (info && set) facts.push({ kind: 'in', column: info.key, set, strict: true })
}

/** The set of these constants; undefined when one of them is not a constant of the statement. */
export function constantSet(
  items: readonly Node[],
  column: ColumnKey | undefined,
  scope: Scope,
  literals: LiteralIndex,
  castTo?: string,
): ValueSet | undefined {
  const values: KeyValue[] = []
  for (const item of items) {
    const value = constantOf(item, scope, literals)
    if (!value) return undefined
    values.push(castTo !== undefined && value.castTo === undefined ? { ...value, castTo } : value)
  }
  const plain = values.every((v) => v.source.kind === 'param' && v.castTo === undefined)
  return { values, direct: values.length === 1 || plain ? column : undefined }
}

/** OR: a column that every arm restricts is in the union of the arms' sets. */
function anyOf(arms: readonly Node[], scope: Scope, literals: LiteralIndex): Fact[] {
  const perArm = arms.map((arm) => setsByColumn(factsOf(arm, scope, literals)))
  const facts: Fact[] = []
  for (const column of perArm[0]?.keys() ?? []) {
    const sets = perArm.map((sets) => sets.get(column))
    if (!sets.every((set) => set !== undefined)) continue
    const direct = sets.every((set) => set.direct === column) ? column : undefined
    const values = sets.flatMap((set) => set.values)
    facts.push({ kind: 'in', column, set: { values, direct }, strict: true })
  }
  return facts
}

function setsByColumn(facts: readonly Fact[]): Map<ColumnKey, ValueSet> {
  const sets = new Map<ColumnKey, ValueSet>()
  for (const fact of facts) {
    if (fact.kind !== 'in') continue
    const known = sets.get(fact.column)
    if (!known || fact.set.values.length < known.values.length) sets.set(fact.column, fact.set)
  }
  return sets
}

/** The column a plain column reference means, when Weft can follow it. */
export function columnOf(
  node: Node | undefined,
  scope: Scope,
): (Required<Pick<ColumnInfo, 'key'>> & ColumnInfo) | undefined {
  const parts = columnName(node)
  const info = parts && lookUp(scope, parts)
  return info?.key === undefined ? undefined : { ...info, key: info.key }
}

/** A literal, a parameter or a keyword, perhaps negated and cast. */
export function constantOf(node: Node, scope: Scope, literals: LiteralIndex): KeyValue | undefined {
  const param = as(node, 'ParamRef')
  if (param) return { source: { kind: 'param', number: param.number ?? 0 } }
  const constant = as(node, 'A_Const')
  if (constant) return literalOf(constant, scope, literals)
  const cast = as(node, 'TypeCast')
  if (cast?.arg && cast.typeName) {
    const inner = constantOf(cast.arg, scope, literals)
    const castTo = castName(cast.typeName, false)
    return inner && inner.castTo === undefined && castTo !== undefined ? { ...inner, castTo } : undefined
  }
  return signed(as(node, 'A_Expr'), scope, literals)
}

/** `+5` and `-7::bigint`; the grammar itself folds the sign into `-5`. */
function signed(expr: A_Expr | undefined, scope: Scope, literals: LiteralIndex): KeyValue | undefined {
  const sign = strings(expr?.name)
  if (expr?.kind !== 'AEXPR_OP' || expr.lexpr || !expr.rexpr || sign.length !== 1) return undefined
  const inner = constantOf(expr.rexpr, scope, literals)
  if (inner?.source.kind !== 'literal' || !isNumber(expr.rexpr)) return undefined
  if (sign[0] === '+') return inner
  if (sign[0] !== '-' || inner.source.negate) return undefined
  return { ...inner, source: { ...inner.source, negate: true } }
}

function isNumber(node: Node): boolean {
  const cast = as(node, 'TypeCast')
  if (cast) {
    const name = cast.typeName && castName(cast.typeName, false)
    return (
      ['int2', 'int4', 'int8', 'numeric'].includes(name ?? '') && cast.arg !== undefined && isNumber(cast.arg)
    )
  }
  const constant = as(node, 'A_Const')
  return constant?.ival !== undefined || constant?.fval !== undefined
}

function literalOf(constant: A_Const, scope: Scope, literals: LiteralIndex): KeyValue | undefined {
  if (constant.isnull) return { source: { kind: 'constant', value: null } }
  if (constant.boolval) {
    return { source: { kind: 'constant', value: constant.boolval.boolval ? 'true' : 'false' } }
  }
  if (scope.inView || constant.bsval) return undefined
  const start = at(constant)
  const sign = /^-[\s(]*/.exec(literals.text.slice(start, start + 20))?.[0] ?? ''
  const index = literals.byStart.get(start + sign.length)
  return index === undefined ? undefined : { source: { kind: 'literal', index, negate: sign !== '' } }
}

/** `int8` for `bigint`, `pg_catalog.int8` and `int8`; undefined for arrays, modifiers and what is not built in. */
export function castName(type: TypeName, ofArray: boolean): string | undefined {
  const names = strings(type.names)
  if (type.setof || type.pct_type || (type.typmods?.length ?? 0) > 0) return undefined
  if ((type.arrayBounds?.length ?? 0) !== (ofArray ? 1 : 0)) return undefined
  if (names.length === 2 && names[0] !== 'pg_catalog') return undefined
  return names.length > 2 ? undefined : names.at(-1)
}
