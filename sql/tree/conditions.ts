import { type A_Expr, as, columnName, type Node, strings, type TypeName } from '../parse/ast.ts'
import { type ColumnInfo, comparedAs, lookUp, type Output, type Scope } from './block.ts'
import { type Constants, castAs, castName, constantOf, labelOf } from './constants.ts'
import type { ColumnKey, Constant, Fact, ValueSet } from './facts.ts'
import { comparable, listTypes, unitedTypes, type ValueType } from './value-types.ts'

/** What a condition says for certain, if it has to be true. */
export function factsOf(condition: Node | undefined, scope: Scope, constants: Constants): Fact[] {
  const facts: Fact[] = []
  if (condition !== undefined) collect(condition, scope, constants, facts)
  return facts
}

function collect(node: Node, scope: Scope, constants: Constants, facts: Fact[]): void {
  const bool = as(node, 'BoolExpr')
  if (bool?.boolop === 'AND_EXPR') {
    for (const arg of bool.args ?? []) collect(arg, scope, constants, facts)
  } else if (bool?.boolop === 'OR_EXPR') {
    facts.push(...anyOf(bool.args ?? [], scope, constants))
  } else {
    const expr = as(node, 'A_Expr')
    if (expr && isEquals(expr.name, scope, constants)) comparison(expr, scope, constants, facts)
  }
}

/** The operator is Postgres' own `=`: named as such, or no other can be meant. */
export function isEquals(name: readonly Node[] | undefined, scope: Scope, constants: Constants): boolean {
  const parts = strings(name)
  if (parts.at(-1) !== '=') return false
  return parts.length === 1 ? meansEquals(scope, constants) : parts[0] === 'pg_catalog'
}

/**
 * Whether a bare `=` is Postgres' own: an operator of the user's, for types that a key or a constant may turn into, could
 * fit better. A view's definition was read under a path that is not known any more.
 */
export function meansEquals(scope: Scope, { catalog, ctx }: Constants): boolean {
  const own = catalog.equalitySchemas
  if (own === undefined || own.size === 0) return true
  return !scope.inView && !ctx.searchPath.some((schema) => own.has(schema))
}

function comparison(expr: A_Expr, scope: Scope, constants: Constants, facts: Fact[]): void {
  if (!expr.lexpr || !expr.rexpr) return
  if (expr.kind === 'AEXPR_OP') equality(expr.lexpr, expr.rexpr, scope, constants, facts)
  else if (expr.kind === 'AEXPR_IN') {
    membership(expr.lexpr, as(expr.rexpr, 'List')?.items ?? [], scope, constants, facts)
  } else if (expr.kind === 'AEXPR_OP_ANY') {
    const info = columnOf(expr.lexpr, scope)
    const set = info && arraySet(expr.rexpr, info.key, scope, constants)
    if (info && set) facts.push({ kind: 'in', column: info.key, set, strict: true })
  }
}

function equality(left: Node, right: Node, scope: Scope, constants: Constants, facts: Fact[]): void {
  const rows = [as(left, 'RowExpr')?.args, as(right, 'RowExpr')?.args] as const
  if (rows[0] && rows[1] && rows[0].length === rows[1].length) {
    for (const [i, item] of rows[0].entries()) equality(item, rows[1][i]!, scope, constants, facts)
    return
  }
  const a = columnOf(left, scope)
  const b = columnOf(right, scope)
  if (a && b) {
    if (comparable(comparedAs(a), comparedAs(b))) facts.push({ kind: 'eq', a: a.key, b: b.key, strict: true })
  } else if (a) membership(left, [right], scope, constants, facts)
  else if (b) membership(right, [left], scope, constants, facts)
}

/** `(a, b) IN ((1, 2), …)` compares column by column, each pair by itself: its items have no type in common. */
type Typing = 'list' | 'each'

function membership(
  column: Node,
  items: readonly Node[],
  scope: Scope,
  constants: Constants,
  facts: Fact[],
  typing: Typing = 'list',
): void {
  if (items.length === 0) return
  const row = as(column, 'RowExpr')?.args
  if (row) {
    for (const [i, part] of row.entries()) {
      const parts = items.map((item) => as(item, 'RowExpr')?.args?.[i])
      if (parts.every((p) => p !== undefined)) membership(part, parts, scope, constants, facts, 'each')
    }
    return
  }
  const info = columnOf(column, scope)
  const values = info && allConstants(items, scope, constants)
  if (!info || !values) return
  const found = values.map((v) => v.type)
  const types = typing === 'each' ? found : listTypes(comparedAs(info), found)
  if (types) facts.push({ kind: 'in', column: info.key, set: setOf(values, types, info.key), strict: true })
}

/** `= ANY (ARRAY[…])`, perhaps with a cast of the array, which is one of each element. */
function arraySet(node: Node, column: ColumnKey, scope: Scope, constants: Constants): ValueSet | undefined {
  const cast = as(node, 'TypeCast')
  const items = as(cast ? cast.arg : node, 'A_ArrayExpr')?.elements
  const elements = items?.length ? allConstants(items, scope, constants) : undefined
  if (!elements) return undefined
  if (!cast) return unitedSet(elements, column)
  const values = castEach(elements, cast.typeName, constants)
  if (!values.length || !values.every((v) => v !== undefined)) return undefined
  return setOf(
    values,
    values.map((v) => v.type),
    column,
  )
}

function castEach(
  elements: readonly Constant[],
  type: TypeName | undefined,
  constants: Constants,
): readonly (Constant | undefined)[] {
  const element = type && castName(type, true, constants.ctx)
  const cast = (e: Constant) => (element === undefined ? undefined : castAs(e, element))
  return type === undefined ? [] : elements.map((e) => labelOf(e, type, true, constants) ?? cast(e))
}

/** The constants that the items are; undefined when one of them is none of the statement's. */
function allConstants(
  items: readonly Node[],
  scope: Scope,
  constants: Constants,
): readonly Constant[] | undefined {
  const values = items.map((item) => constantOf(item, scope, constants))
  return values.every((v) => v !== undefined) ? values : undefined
}

function setOf(
  values: readonly Constant[],
  types: readonly ValueType[],
  column: ColumnKey | undefined,
): ValueSet {
  const plain = values.every(({ value: v }) => v.source.kind === 'param' && v.castTo === undefined)
  const typed = values.map((v, i) => (v.type === types[i] ? v : { ...v, type: types[i]! }))
  return { values: typed, direct: values.length === 1 || plain ? column : undefined }
}

/** A constant by itself, which takes its type from where it stands. */
export function constantSet(
  item: Node,
  column: ColumnKey | undefined,
  scope: Scope,
  constants: Constants,
): ValueSet | undefined {
  const value = constantOf(item, scope, constants)
  return value && { values: [value], direct: column }
}

/** Constants that make up one column of a query. */
export function constantColumn(
  items: readonly Node[],
  scope: Scope,
  constants: Constants,
): ValueSet | undefined {
  const values = allConstants(items, scope, constants)
  return values && unitedSet(values, undefined)
}

function unitedSet(values: readonly Constant[], column: ColumnKey | undefined): ValueSet | undefined {
  const types = unitedTypes(values.map((v) => v.type))
  return types && setOf(values, types, column)
}

/** The set as a column of a subquery has it: what had no type is text there. */
export function asColumn(set: ValueSet): ValueSet | undefined {
  return unitedSet(set.values, undefined)
}

/** The type as which others see the output. */
export function outputType({ info, set }: Output): string | undefined {
  if (info.type !== undefined || !set) return info.type
  const types = new Set(asColumn(set)?.values.map((v) => v.type))
  return types.size === 1 ? [...types][0] : undefined
}

/** OR: a column that every arm restricts is in the union of the arms' sets. */
function anyOf(arms: readonly Node[], scope: Scope, constants: Constants): Fact[] {
  const perArm = arms.map((arm) => setsByColumn(factsOf(arm, scope, constants)))
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
