import type { PgError } from '../../errors/pg-error.ts'
import type { Relation } from '../catalog.ts'
import { as, hasSubqueries, type InsertStmt, type SelectStmt, walk } from '../parse/ast.ts'
import type { Analysis } from '../place/analyze.ts'
import { insertColumns } from '../tree/modify.ts'
import { traitsOf, unlikeBecause } from '../tree/traits.ts'
import type { Plan, PlanContext } from './plan.ts'
import { planInsertGathered, planMovedGathered } from './plan-insert-gathered.ts'
import { planInsertSelect, planShardedSelect } from './plan-insert-select.ts'
import { planInsertValues } from './plan-insert-values.ts'
import { commonFields, forwardTo, mixError, placeError, refused, unsupported } from './routing.ts'
import { hasUnstableDefault, nestedError, omittedColumns, targetError } from './writes.ts'

/** What the planners of the different sorts of INSERT work on. */
export interface Insert {
  readonly a: Analysis
  readonly ctx: PlanContext
  readonly text: string
  readonly node: InsertStmt
  /** Sharded or reference. */
  readonly relation: Relation
  readonly source: SelectStmt | undefined
}

export function planInsert(a: Analysis, text: string, ctx: PlanContext): Plan {
  const target = a.targets.find((t) => !t.nested)!
  const node = target.node as InsertStmt
  const { relation } = target
  const error = targetError(a, target) ?? nestedError(a)
  if (error) return refused(a, 'INSERT', error)
  const source = as(node.selectStmt, 'SelectStmt')
  if (relation?.kind === 'sharded') return planSharded({ a, ctx, text, node, relation, source })
  if (relation?.kind === 'reference') return planReference({ a, ctx, text, node, relation, source })
  const placed = placeError(a)
  if (placed) return refused(a, 'INSERT', placed)
  const mixed = mixError(a)
  if (mixed) return planInsertGathered(a, text, ctx) ?? refused(a, 'INSERT', mixed)
  return forwardTo(insertCommon(a, node), { kind: 'home' })
}

export function insertCommon(a: Analysis, node: InsertStmt) {
  return commonFields(a, 'INSERT', node.returningClause !== undefined)
}

/** `VALUES (…), …` and nothing around it. */
export function isPlainRows(source: SelectStmt | undefined): boolean {
  if (!source?.valuesLists) return false
  const { sortClause, limitCount, limitOffset, withClause, lockingClause } = source
  return !(sortClause || limitCount || limitOffset || withClause || lockingClause)
}

function planSharded(insert: Insert): Plan {
  const { a, source } = insert
  if (isPlainRows(source)) return planInsertValues(insert)
  return readsSharded(a) || a.targets.length > 1 ? planShardedSelect(insert) : planInsertSelect(insert)
}

/** Subqueries, and functions that Weft cannot look into. */
export function looksAtTables({ a, node }: Insert): boolean {
  return a.traits.user !== undefined || hasSubqueries(node)
}

/** Rows that are inserted are occurrences too, without a column of their own. */
export function readsSharded(a: Analysis): boolean {
  return a.occurrences.some((o) => o.column !== undefined)
}

function planReference(insert: Insert): Plan {
  const { a, node, source, relation } = insert
  const sharded = a.occurrences[0]?.relation.name
  if (sharded !== undefined || a.targets.length > 1) {
    const what = `INSERT into reference table "${relation.name}" from sharded table "${sharded}" is not supported`
    return planMovedGathered(insert) ?? refused(a, 'INSERT', unsupported('reference_write_from', what))
  }
  if (source && !isPlainRows(source)) return planInsertSelect(insert)
  const unstable = unlikeBecause(a.traits) ?? a.traits.timeLiteral ?? a.locals[0]
  if (unstable !== undefined) return planComputedOnce(insert, unstable)
  const fills = omittedColumns(relation, node)?.some((c) => hasUnstableDefault(c, a.catalog))
  // Each copy would look at its tables at a time of its own.
  if (fills || looksAtTables(insert)) return source ? planInsertValues(insert) : planInsertSelect(insert)
  const common = insertCommon(a, node)
  // Another text might say 'now', which every copy would read at a time of its own.
  const generic = common.generic && !a.traits.stringLiteral
  return { ...common, generic, kind: 'forward', route: { kind: 'all' }, onSeveral: { kind: 'first' } }
}

/** VALUES that could differ from copy to copy are a query of the home shard, whose rows go to every copy. */
function planComputedOnce(insert: Insert, unstable: string): Plan {
  const { a, source, relation } = insert
  // Parameters and DEFAULT would not have the column's type in a query of its own.
  if (source && !a.traits.defaults && a.params.size === 0 && !tailError(insert))
    return planInsertSelect(insert)
  const what = `${unstable} in a write to reference table "${relation.name}" is not supported: its copies would differ`
  return refused(
    a,
    'INSERT',
    unsupported('reference_write_unstable', what, 'Compute the value first and pass it as a parameter.'),
  )
}

/** ON CONFLICT and RETURNING run wherever the rows go, apart from the query that the rows come from. */
export function tailError(insert: Insert): PgError | undefined {
  const { a, node, relation } = insert
  const tail = [node.onConflictClause, node.returningClause]
  let what: string | undefined
  walk(tail, (kind) => {
    if (kind === 'SubLink') what = 'a subquery'
    if (kind === 'ParamRef') what ??= 'a parameter'
  })
  const traits = traitsOf(tail, a.catalog)
  what ??= relation.kind === 'reference' ? (unlikeBecause(traits) ?? traits.timeLiteral) : traits.home
  if (what === undefined) return undefined
  return unsupported(
    'insert_select_tail',
    `${what} in ON CONFLICT or RETURNING of an INSERT … SELECT into "${relation.name}" is not supported`,
    'Insert the rows with VALUES.',
  )
}

/** Names of the columns that rows of this width fill, '' for values that are ignored; undefined when that cannot be told. */
export function columnsFor(insert: Insert, width: number | undefined): readonly string[] | undefined {
  const columns = insertColumns(insert.relation, insert.node, width)
  const ignored = ignoredColumns(insert)
  return ignored.length === 0 ? columns : columns?.map((name) => (ignored.includes(name) ? '' : name))
}

/** Columns for which a sequence's value takes the place of what is given. */
function ignoredColumns({ node, relation }: Insert): readonly string[] {
  if (node.override !== 'OVERRIDING_USER_VALUE') return []
  return relation.columns.flatMap(({ name, identity }) => (identity === undefined ? [] : [name]))
}
