import type * as Pg from '@pgsql/types'
import {
  as,
  type CommonTableExpr,
  conjuncts,
  type Node,
  type SelectStmt,
  strings,
  walk,
} from '../parse/ast.ts'
import {
  type Block,
  type Cte,
  comparedAs,
  EMPTY_SPACE,
  type Output,
  type Scope,
  type Shape,
  type Sub,
} from './block.ts'
import type { Builder } from './builder.ts'
import { columnOf, constantColumn, constantSet, factsOf, isEquals, outputType } from './conditions.ts'
import { type ColumnKey, columnKey, type Fact, type ValueSet } from './facts.ts'
import { buildFrom, type JoinExpression } from './from.ts'
import { columnLabel } from './label.ts'
import { outerAggregate } from './outer-aggregates.ts'
import { groupedParts, partitionedBy, shapeOf } from './shape.ts'
import { comparable } from './value-types.ts'
import { inNeededOrder } from './with-order.ts'

/** Builds the blocks of SELECT, VALUES and set operations. */
export function buildSelect(b: Builder, select: SelectStmt, parent: Scope | undefined): Block {
  const { scope, ctes } = withQueries(b, select.withClause, childScope(parent))
  if (select.op !== undefined && select.op !== 'SETOP_NONE') return buildSetOperation(b, select, scope, ctes)
  if (select.valuesLists) return buildValues(b, select, scope, ctes)
  return buildPlain(b, select, scope, ctes)
}

/** A level below `parent`, which names columns but no FROM items of its own yet. */
export function childScope(parent: Scope | undefined): Scope {
  return {
    space: EMPTY_SPACE,
    parent,
    ctes: parent?.ctes ?? new Map(),
    inView: parent?.inView ?? false,
  }
}

export interface WithResult {
  readonly scope: Scope
  readonly ctes: readonly Cte[]
}

export function withQueries(b: Builder, clause: Pg.WithClause | undefined, scope: Scope): WithResult {
  if (!clause) return { scope, ctes: [] }
  const known = new Map<string, Cte | 'self' | 'forward'>(scope.ctes)
  const written = (clause.ctes ?? []).map((node) => as(node, 'CommonTableExpr')!)
  const nodes = clause.recursive ? inNeededOrder(written) : written
  if (clause.recursive) for (const node of nodes) known.set(node.ctename ?? '', 'forward')
  const ctes: Cte[] = []
  for (const node of nodes) {
    const name = node.ctename ?? ''
    if (clause.recursive) known.set(name, 'self')
    const cte = buildCte(b, node, { ...scope, ctes: new Map(known) }, clause.recursive === true)
    known.set(name, cte)
    ctes.push(cte)
  }
  return { scope: { ...scope, ctes: known }, ctes }
}

function buildCte(b: Builder, node: CommonTableExpr, scope: Scope, recursive: boolean): Cte {
  const select = as(node.ctequery, 'SelectStmt')
  const block = select ? buildSelect(b, select, scope) : b.build.modify(b, node, scope)
  const names = strings(node.aliascolnames)
  const outputs = block.outputs?.map((o, i) => (names[i] === undefined ? o : { ...o, name: names[i] }))
  // SEARCH and CYCLE add columns.
  const extended = node.search_clause !== undefined || node.cycle_clause !== undefined
  const renamed: Block = { ...block, outputs: extended ? undefined : outputs }
  return { name: node.ctename ?? '', block: renamed, modifies: !select, recursive, references: 0 }
}

function buildPlain(b: Builder, select: SelectStmt, outer: Scope, ctes: readonly Cte[]): Block {
  const from = buildFrom(b, select.fromClause ?? [], outer)
  const scope: Scope = { ...outer, space: from.space }
  const where = factsOf(select.whereClause, scope, b.literals)
  const rest = [
    select.targetList,
    select.groupClause,
    select.havingClause,
    select.windowClause,
    select.sortClause,
    select.distinctClause,
    select.limitCount,
    select.limitOffset,
  ]
  return {
    id: b.nextId++,
    node: select,
    tree: from.tree,
    scope,
    where,
    subs: [
      ...joinSubs(b, from.expressions),
      ...whereSubs(b, select.whereClause, scope),
      ...subsIn(b, rest, scope, false),
    ],
    outputs: outputsOf(b, select.targetList ?? [], scope),
    shape: shapeWithSubqueries(b, select),
    arms: [],
    ctes,
    partitionedBy: partitionedBy(select, scope),
  }
}

/** Aggregates that are this query's may stand in its subqueries. */
function shapeWithSubqueries({ catalog, ctx }: Builder, select: SelectStmt): Shape {
  const shape = shapeOf(select)
  if (shape.aggregate !== undefined) return shape
  const aggregate = outerAggregate(groupedParts(select), catalog, ctx.searchPath)
  return aggregate === undefined ? shape : { ...shape, aggregate }
}

function buildSetOperation(b: Builder, select: SelectStmt, scope: Scope, ctes: readonly Cte[]): Block {
  const arms = [buildSelect(b, select.larg ?? {}, scope), buildSelect(b, select.rarg ?? {}, scope)]
  const id = b.nextId++
  const outputs = arms[0]?.outputs?.map((output, i): Output => {
    const types = arms.map((arm) => arm.outputs?.[i] && outputType(arm.outputs[i]))
    const key = columnKey(id, `#${i}`)
    const same = types[0] !== undefined && types[0] === types[1]
    return { name: output.name, info: same ? { key, type: types[0]! } : { key } }
  })
  const shape = shapeOf(select)
  const rest = [select.sortClause, select.limitCount, select.limitOffset]
  const subs = subsIn(b, rest, scope, false)
  const base = { id, node: select, tree: undefined, where: [], partitionedBy: undefined }
  return { ...base, subs, outputs, shape, arms, ctes }
}

function buildValues(b: Builder, select: SelectStmt, scope: Scope, ctes: readonly Cte[]): Block {
  const rows = (select.valuesLists ?? []).map((row) => as(row, 'List')?.items ?? [])
  const outputs = (rows[0] ?? []).map((_, i): Output => {
    const items = rows.map((row) => row[i])
    const set = items.every((item) => item !== undefined)
      ? constantColumn(items, scope, b.literals)
      : undefined
    return { name: `column${i + 1}`, info: {}, ...(set ? { set } : {}) }
  })
  return {
    id: b.nextId++,
    node: select,
    tree: undefined,
    where: [],
    subs: subsIn(b, select.valuesLists, scope, false),
    outputs,
    shape: shapeOf(select),
    arms: [],
    ctes,
    partitionedBy: undefined,
  }
}

/** Output columns of a target or RETURNING list; undefined when a `*` covers something that Weft does not know. */
export function outputsOf(b: Builder, targets: readonly Node[], scope: Scope): Output[] | undefined {
  const outputs: Output[] = []
  for (const node of targets) {
    const target = as(node, 'ResTarget')
    // Of `(value).*` only its type tells how many.
    if (!target || hasStar(as(target.val, 'A_Indirection')?.indirection)) return undefined
    const fields = as(target.val, 'ColumnRef')?.fields
    if (hasStar(fields)) {
      const expanded = expandStar(strings(fields), scope)
      if (!expanded) return undefined
      outputs.push(...expanded)
    } else outputs.push(outputOf(b, target, scope))
  }
  return outputs
}

const hasStar = (fields: readonly Node[] = []): boolean => fields.some((f) => as(f, 'A_Star') !== undefined)

function outputOf(b: Builder, target: Pg.ResTarget, scope: Scope): Output {
  const name = columnLabel(target)
  const column = columnOf(target.val, scope)
  if (column) return { name, info: column }
  const set = target.val && constantSet(target.val, undefined, scope, b.literals)
  return { name, info: {}, ...(set ? { set } : {}) }
}

function expandStar(qualifier: readonly string[], scope: Scope): Output[] | undefined {
  if (qualifier.length === 0) return scope.space.open ? undefined : [...scope.space.columns]
  const table = scope.space.tables.find((t) => t.alias === qualifier.at(-1))
  return table && !table.open ? [...table.columns] : undefined
}

export function joinSubs(b: Builder, expressions: readonly JoinExpression[]): Sub[] {
  return expressions.flatMap((e) => subsIn(b, e.node, e.scope, true))
}

/** The subqueries anywhere in these expressions, one level down. */
export function subsIn(b: Builder, root: unknown, scope: Scope, inJoin: boolean): Sub[] {
  const found: Pg.SubLink[] = []
  walk(root, (kind, body) => {
    if (kind !== 'SubLink') return
    found.push(body as Pg.SubLink)
    return false
  })
  return found.flatMap((node) => [
    ...subsIn(b, node.testexpr, scope, inJoin),
    { node, block: buildSelect(b, as(node.subselect, 'SelectStmt') ?? {}, scope), inJoin },
  ])
}

/** Like `subsIn`, and EXISTS and IN that WHERE cannot do without are linked to the outer row. */
export function whereSubs(b: Builder, where: Node | undefined, scope: Scope): Sub[] {
  const needed = new Set<Pg.SubLink>()
  for (const node of conjuncts(where)) {
    const sub = as(node, 'SubLink')
    if (sub) needed.add(sub)
  }
  return subsIn(b, where, scope, false).map((sub) => (needed.has(sub.node) ? linked(b, sub, scope) : sub))
}

const EQUALS: Node = { String: { sval: '=' } }

function linked(b: Builder, sub: Sub, scope: Scope): Sub {
  const { node, block } = sub
  if (node.subLinkType === 'EXISTS_SUBLINK') return { ...sub, link: [] }
  if (node.subLinkType !== 'ANY_SUBLINK') return sub
  if (!isEquals(node.operName ?? [EQUALS], scope, b.literals)) return sub
  const tests = as(node.testexpr, 'RowExpr')?.args ?? (node.testexpr ? [node.testexpr] : [])
  const link: { outer: ColumnKey; output: number }[] = []
  for (const [output, test] of tests.entries()) {
    const outer = columnOf(test, scope)
    const inner = block.outputs?.[output]
    if (outer && inner && comparable(comparedAs(outer), inner.info.base ?? outputType(inner)))
      link.push({ outer: outer.key, output })
  }
  return { ...sub, link }
}

/** `column` is in the set: nothing is said about null. */
export function isIn(column: ColumnKey, set: ValueSet): Fact {
  return { kind: 'in', column, set, strict: false }
}

export function isSame(a: ColumnKey, b: ColumnKey): Fact {
  return { kind: 'eq', a, b, strict: false }
}
