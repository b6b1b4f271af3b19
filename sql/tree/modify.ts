import type * as Pg from '@pgsql/types'
import { invariant } from '../../errors/pg-error.ts'
import type { Column, Relation } from '../catalog.ts'
import {
  as,
  type CommonTableExpr,
  kindOf,
  type Node,
  type RangeVar,
  strings,
  whenClauses,
} from '../parse/ast.ts'
import type { Block, Cte, InsertTarget, Leaf, Output, Scope, Space, Sub, Tree } from './block.ts'
import { buildSelect, childScope, joinSubs, outputsOf, subsIn, whereSubs, withQueries } from './build.ts'
import { type Builder, type Resolved, resolveRelation, type WriteTarget } from './builder.ts'
import { columnOf, constantSet, factsOf } from './conditions.ts'
import { columnKey, type Fact } from './facts.ts'
import { buildFrom, buildView, join, leafTree, tableItem } from './from.ts'
import { beside, relationColumns, renamed, tableSpace } from './spaces.ts'
import { writtenBy, writtenThrough } from './written-view.ts'

/** Builds the block of a data-modifying WITH query. */
export function buildCteModify(b: Builder, cte: CommonTableExpr, parent: Scope): Block {
  return buildModify(b, cte.ctequery!, parent, true)
}

export function buildModify(b: Builder, node: Node, parent: Scope | undefined, nested: boolean): Block {
  switch (kindOf(node)) {
    case 'InsertStmt':
      return buildInsert(b, as(node, 'InsertStmt')!, parent, nested)
    case 'UpdateStmt': {
      const update = as(node, 'UpdateStmt')!
      const parts = { from: update.fromClause, where: update.whereClause, changes: update.targetList }
      return buildChange(b, 'UPDATE', update, parts, parent, nested)
    }
    case 'DeleteStmt': {
      const del = as(node, 'DeleteStmt')!
      const parts = { from: del.usingClause, where: del.whereClause, changes: undefined }
      return buildChange(b, 'DELETE', del, parts, parent, nested)
    }
    default:
      return buildMerge(b, as(node, 'MergeStmt')!, parent, nested)
  }
}

interface Target {
  readonly relation: Relation | undefined
  readonly tree: Tree
  readonly leaf: Leaf
  readonly space: Space
}

function buildTarget(
  b: Builder,
  verb: WriteTarget['verb'],
  node: WriteTarget['node'],
  scope: Scope,
  nested: boolean,
): Target {
  const range: RangeVar = node.relation ?? {}
  // The target of a write is never a WITH query.
  const resolved = resolveRelation(b, range, { ...scope, ctes: new Map() })
  const named = resolved.kind === 'relation' ? resolved.relation : undefined
  const through = named?.kind === 'view' ? writtenThrough(named, b.catalog) : undefined
  const relation = through === undefined ? named : writtenBy(through, writtenNames(node))
  const target = targetItem(b, range, relation, resolved, scope)
  b.targets.push({ verb, relation, node, nested, overDistributed: target.overDistributed })
  return { relation, ...target }
}

/** Columns that rows get values for, as far as they are named. */
function writtenNames(node: WriteTarget['node']): string[] {
  const { cols, targetList, mergeWhenClauses = [] } = node as Pg.InsertStmt & Pg.UpdateStmt & Pg.MergeStmt
  const clauses = mergeWhenClauses.map((clause) => as(clause, 'MergeWhenClause')?.targetList)
  return [cols, targetList, ...clauses].flatMap((list) =>
    (list ?? []).map((one) => as(one, 'ResTarget')?.name ?? ''),
  )
}

function targetItem(
  b: Builder,
  range: RangeVar,
  relation: Relation | undefined,
  resolved: Resolved,
  scope: Scope,
): Omit<Target, 'relation'> & { overDistributed: boolean } {
  if (relation) {
    const before = b.shardedCount + b.references.length
    const item =
      relation.kind === 'view' ? buildView(b, range, relation, scope) : tableItem(b, range, relation)
    return {
      ...item,
      leaf: onlyLeaf(item.tree),
      overDistributed: b.shardedCount + b.references.length > before,
    }
  }
  b.locals.push(range.relname ?? '')
  const local = resolved.kind === 'local' ? resolved.relation : undefined
  const id = b.nextId++
  const columns = local ? renamed(relationColumns(id, local), strings(range.alias?.colnames)) : []
  const leaf: Leaf = { kind: 'plain', id, columns, unstable: undefined }
  const alias = range.alias?.aliasname ?? range.relname ?? ''
  const space = tableSpace(alias, range.alias ? undefined : local?.schema, columns, local === undefined)
  return { tree: leafTree(leaf), leaf, space, overDistributed: false }
}

function onlyLeaf(tree: Tree): Leaf {
  invariant(tree.kind === 'leaf', 'a relation is one leaf')
  return tree.leaf
}

interface Change {
  readonly from: readonly Node[] | undefined
  readonly where: Node | undefined
  readonly changes: readonly Node[] | undefined
}

function buildChange(
  b: Builder,
  verb: 'UPDATE' | 'DELETE',
  node: Pg.UpdateStmt | Pg.DeleteStmt,
  parts: Change,
  parent: Scope | undefined,
  nested: boolean,
): Block {
  const { scope: outer, ctes } = withQueries(b, node.withClause, childScope(parent))
  const target = buildTarget(b, verb, node, outer, nested)
  const from = buildFrom(b, parts.from ?? [], outer)
  const scope: Scope = { ...outer, space: beside(target.space, from.space) }
  const returning = node.returningClause?.exprs
  return {
    ...changeBase(b, node, ctes),
    tree: from.tree ? join('inner', target.tree, from.tree, []) : target.tree,
    where: factsOf(parts.where, scope, b.literals),
    subs: [
      ...joinSubs(b, from.expressions),
      ...whereSubs(b, parts.where, scope),
      ...subsIn(b, [parts.changes, returning], scope, false),
    ],
    outputs: returningOutputs(b, node.returningClause, scope),
    modify: { target: target.leaf, inserts: [] },
  }
}

/** RETURNING WITH (OLD AS …, NEW AS …), and `old.*`, name rows that Weft does not follow. */
function returningOutputs(
  b: Builder,
  clause: Pg.ReturningClause | undefined,
  scope: Scope,
): Output[] | undefined {
  if (!clause) return []
  return clause.options ? undefined : outputsOf(b, clause.exprs ?? [], scope)
}

function changeBase(b: Builder, node: object, ctes: readonly Cte[]) {
  const id = b.nextId++
  return { id, node, shape: {}, arms: [] as Block[], ctes, partitionedBy: undefined }
}

function buildInsert(b: Builder, node: Pg.InsertStmt, parent: Scope | undefined, nested: boolean): Block {
  const { scope: outer, ctes } = withQueries(b, node.withClause, childScope(parent))
  const target = buildTarget(b, 'INSERT', node, outer, nested)
  const source = node.selectStmt ? as(node.selectStmt, 'SelectStmt') : undefined
  const arm = source ? buildSelect(b, source, outer) : undefined
  const excluded = { alias: 'excluded', columns: [], open: true }
  const scope: Scope = { ...outer, space: { ...target.space, tables: [...target.space.tables, excluded] } }
  const conflict = [node.onConflictClause?.targetList, node.onConflictClause?.whereClause]
  return {
    ...changeBase(b, node, ctes),
    tree: undefined,
    where: [],
    arms: arm ? [arm] : [],
    subs: subsIn(b, [conflict, node.returningClause?.exprs], scope, false),
    outputs: returningOutputs(b, node.returningClause, scope),
    modify: { target: target.leaf, inserts: insertTargets(target.relation, node, arm) },
  }
}

/** Names of the columns that an INSERT gives values for; undefined when that cannot be told. */
export function insertColumns(
  relation: Relation,
  node: { cols?: readonly Node[] },
  width: number | undefined,
): readonly string[] | undefined {
  if (node.cols) return node.cols.map((col) => as(col, 'ResTarget')?.name ?? '')
  return width === undefined ? undefined : relation.columns.slice(0, width).map((c) => c.name)
}

/** The same as columns, where the INSERT gives whole ones, and what it gives is taken; undefined also where it is not so. */
export function wholeColumns(
  relation: Relation,
  node: Pg.InsertStmt,
  width: number | undefined,
): readonly Column[] | undefined {
  const isPart = (node.cols ?? []).some((col) => as(col, 'ResTarget')?.indirection !== undefined)
  if (isPart || node.override === 'OVERRIDING_USER_VALUE') return undefined
  const names = insertColumns(relation, node, width) ?? []
  const columns = names.flatMap((name) => relation.columns.find((column) => column.name === name) ?? [])
  return columns.length === names.length && columns.length === width ? columns : undefined
}

function insertTargets(
  relation: Relation | undefined,
  node: Pg.InsertStmt,
  arm: Block | undefined,
): InsertTarget[] {
  if (relation?.kind !== 'sharded' || !relation.key) return []
  const {
    key: { column },
  } = relation
  const isIgnored =
    node.override === 'OVERRIDING_USER_VALUE' &&
    relation.columns.some(({ name, identity }) => name === column && identity !== undefined)
  const columns = isIgnored ? undefined : insertColumns(relation, node, arm?.outputs?.length)
  const output = arm?.outputs?.[columns?.indexOf(relation.key.column) ?? -1]
  if (!output) return [{ relation }]
  const direct = columnKey(-1, 'insert')
  if (output.set) return [{ relation, set: { ...output.set, direct } }]
  const { key } = output.info
  return [key === undefined ? { relation } : { relation, column: { ...output.info, key } }]
}

function buildMerge(b: Builder, node: Pg.MergeStmt, parent: Scope | undefined, nested: boolean): Block {
  const { scope: outer, ctes } = withQueries(b, node.withClause, childScope(parent))
  const target = buildTarget(b, 'MERGE', node, outer, nested)
  const from = buildFrom(b, node.sourceRelation ? [node.sourceRelation] : [], outer)
  const scope: Scope = { ...outer, space: beside(target.space, from.space) }
  const on: Fact[] = factsOf(node.joinCondition, scope, b.literals)
  const clauses = whenClauses(node)
  const bySource = clauses.some((c) => c.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE')
  const subs: Sub[] = [
    ...joinSubs(b, from.expressions),
    ...subsIn(b, node.joinCondition, scope, true),
    ...subsIn(b, [node.mergeWhenClauses, node.returningClause?.exprs], scope, false),
  ]
  // Every source row counts, a target row only when it matches (or when nothing else does).
  const tree = from.tree ? join(bySource ? 'full' : 'left', from.tree, target.tree, on) : target.tree
  const inserts = clauses.flatMap((c) => mergeInsert(b, target.relation, c, scope))
  return {
    ...changeBase(b, node, ctes),
    tree,
    where: [],
    subs,
    outputs: node.returningClause ? undefined : [],
    modify: { target: target.leaf, inserts },
  }
}

function mergeInsert(
  b: Builder,
  relation: Relation | undefined,
  clause: Pg.MergeWhenClause,
  scope: Scope,
): InsertTarget[] {
  if (clause.commandType !== 'CMD_INSERT' || relation?.kind !== 'sharded' || !relation.key) return []
  const cols = clause.targetList
  const columns = insertColumns(relation, cols ? { cols } : {}, clause.values?.length)
  const value = clause.values?.[columns?.indexOf(relation.key.column) ?? -1]
  if (!value) return [{ relation }]
  const set = constantSet(value, columnKey(-1, 'insert'), scope, b.literals)
  if (set) return [{ relation, set }]
  const column = columnOf(value, scope)
  return [column === undefined ? { relation } : { relation, column }]
}
