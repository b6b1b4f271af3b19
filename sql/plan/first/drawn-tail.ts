import { PgError } from '../../../errors/pg-error.ts'
import type { RefusalId } from '../../../errors/refusals/refusals.ts'
import type { Column, Relation } from '../../catalog.ts'
import {
  as,
  type FuncCall,
  hasSubqueries,
  type InsertStmt,
  kindOf,
  type Node,
  qualified,
  walk,
} from '../../parse/ast.ts'
import { replaceNodes } from '../../parse/replace-nodes.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printed, printedExpression } from '../../print/printed.ts'
import { columnLabel } from '../../tree/label.ts'
import { insertColumns } from '../../tree/modify.ts'
import { AT_ROW, ROW } from '../../tree/row-numbers.ts'
import { traitsOf } from '../../tree/traits.ts'
import { hasType, isFit } from '../begun-rows.ts'
import { castType } from '../cast-type.ts'
import { isGatheredName } from '../gather/gather-plan.ts'
import { expressionNode } from '../gather/made-nodes.ts'
import { withOneSource } from '../gather/plan-modify-gathered.ts'
import type { Plan, PlanContext } from '../plan.ts'
import { isPlainRows } from '../plan-insert.ts'
import { commonFields } from '../routing.ts'
import { computedMark, type FirstStep } from './first-step.ts'
import { hasFirst } from './plan-first.ts'

/** What an INSERT is refused for where ON CONFLICT or RETURNING draw. */
const ABOUT_DRAWS: ReadonlySet<string> = new Set<RefusalId>([
  'home_function',
  'unstable_default',
  'insert_select_tail',
  'reference_write_unstable',
])

/**
 * The plan of an INSERT … VALUES that draws from sequences in ON CONFLICT DO UPDATE or RETURNING. Which rows will be in
 * conflict nobody knows before, so a value is drawn for each: rows that are not leave a gap, as rows with a serial do that
 * are. Rows tell their numbers as they come (`weft.at_row`), so each has the value of its place in the statement.
 */
export function orDrawn(plan: Plan, a: Analysis, text: string, ctx: PlanContext): Plan {
  if (plan.kind !== 'refused' || !isAboutDraws(plan.error)) return plan
  if (hasFirst(a) || isGatheredName(text)) return plan
  const onSeveral = planDrawn(a, ctx)
  if (onSeveral === undefined) return plan
  const { node } = a.targets.find((t) => !t.nested)!
  const common = commonFields(a, 'INSERT', (node as InsertStmt).returningClause !== undefined)
  const generic = common.generic && a.literalCount === 0
  return { ...common, generic, kind: 'forward', route: { kind: 'all' }, onSeveral }
}

const isAboutDraws = (error: unknown): boolean =>
  error instanceof PgError && ABOUT_DRAWS.has(error.fields.routine ?? '')

function planDrawn(a: Analysis, ctx: PlanContext): FirstStep | undefined {
  const { relation, node: written } = a.targets.find((t) => !t.nested)!
  const node = structuredClone(written as InsertStmt)
  const source = as(node.selectStmt, 'SelectStmt')
  if (relation === undefined || a.targets.length > 1 || node.withClause !== undefined) return undefined
  if (source !== undefined && !isPlainRows(source)) return undefined
  const rows = (source?.valuesLists ?? []).map((row) => as(row, 'List')?.items ?? [])
  const count = Math.max(1, rows.length)
  const draws = drawsOf(node, relation, count)
  if (draws === undefined || draws.length === 0) return undefined
  if (count > 1 && !rows.every((row, i) => tellsNumber(a, node, row, i + 1, ctx))) return undefined
  const rest = printed({ InsertStmt: node } as Node)
  if (rest === undefined) return undefined
  const columns = draws.map((draw, i) => `${draw.replace(/^weft\.identity_/, '')} AS c${i}`)
  const lists = draws.map((_, i) => (count > 1 ? `pg_catalog.array_agg(c${i})` : `c${i}`))
  const from = `(SELECT ${columns.join(', ')} FROM pg_catalog.generate_series(1, ${count}) OFFSET 0)`
  const sql = `SELECT ${lists.join(', ')} FROM ${from} AS q`
  return {
    kind: 'run-first',
    sql,
    rest,
    readsMore: false,
    collates: false,
    computes: true,
    draws: { expressions: draws, rows: count },
  }
}

/** Puts marks in the places of what draws; answers what that is. Undefined: that cannot be told ahead of the row. */
function drawsOf(node: InsertStmt, relation: Relation, count: number): readonly string[] | undefined {
  if (node.onConflictClause !== undefined) node.onConflictClause = withOneSource(node.onConflictClause)
  const set = node.onConflictClause?.targetList ?? []
  for (const item of set) {
    const target = as(item, 'ResTarget')!
    const column = relation.columns.find(({ name }) => name === target.name)
    if (as(target.val, 'SetToDefault') === undefined || column?.usesSequence !== true) continue
    // A value is not what it may be set to.
    if (column.identity === 'always' || target.indirection !== undefined) return undefined
    target.val = expressionNode(column.default!)
  }
  for (const item of node.returningClause?.exprs ?? []) {
    const target = as(item, 'ResTarget')!
    if (draws(target.val)) target.name ??= columnLabel(target)
  }
  const drawn: string[] = []
  let isKnown = true
  const values = set.map((item) => as(item, 'ResTarget')!.indirection)
  if (draws(values)) return undefined
  replaceNodes([node.onConflictClause, node.returningClause], (part) => {
    if (kindOf(part) === 'SubLink') {
      isKnown &&= !draws(part)
      return part
    }
    if (!isDraw(part)) return undefined
    const expression = isAlone(part) ? printedExpression(part) : undefined
    if (expression === undefined) {
      isKnown = false
      return part
    }
    drawn.push(expression)
    const mark = computedMark(drawn.length - 1)
    return count > 1 ? ofRow(mark) : mark
  })
  return isKnown ? drawn : undefined
}

const DRAWING: ReadonlySet<string> = new Set(['nextval', 'identity_nextval'])

function isDraw(node: Node): boolean {
  const call = as(node, 'FuncCall') as FuncCall | undefined
  return call !== undefined && DRAWING.has(qualified(call.funcname).name)
}

function draws(part: unknown): boolean {
  let found = false
  walk(part, (kind, body) => {
    if (kind === 'FuncCall' && isDraw({ FuncCall: body } as Node)) found = true
  })
  return found
}

/** It is the same whatever the row is. */
function isAlone(call: Node): boolean {
  let isSo = !hasSubqueries(call)
  walk(call, (kind) => {
    if (kind === 'ColumnRef' || kind === 'ParamRef') isSo = false
  })
  return isSo
}

/** The value of the row at hand, of those of all. */
function ofRow(values: Node): Node {
  const element = expressionNode(`(a)[weft.${ROW}()]`)
  as(element, 'A_Indirection')!.arg = values
  return element
}

/** Has one of a row's values tell its number, as `rowBegins` has it tell that the statement has begun. In place. */
function tellsNumber(
  a: Analysis,
  node: InsertStmt,
  row: Node[],
  number: number,
  { paramTypes }: PlanContext,
): boolean {
  const { relation } = a.targets.find((t) => !t.nested)!
  const names = insertColumns(relation!, node, row.length) ?? []
  const found = row.flatMap((item, i) => {
    const column = relation!.columns.find(({ name }) => name === names[i])
    const isPart = as(node.cols?.[i], 'ResTarget')?.indirection !== undefined
    const isOwn = column !== undefined && column.name !== relation!.key?.column && !isPart
    return isOwn && isFit(item) && staysInRow(item, a) ? [{ i, item, column }] : []
  })
  const typed = found.find(({ item }) => hasType(item, paramTypes))
  const other = found.find(({ column }) => !column.type.startsWith('interval'))
  const chosen = typed ?? other
  if (chosen === undefined) return false
  row[chosen.i] = told(chosen.item, number, typed === undefined ? chosen.column : undefined)
  return true
}

/** It is not computed elsewhere. */
function staysInRow(item: Node, a: Analysis): boolean {
  const { home, user } = traitsOf(item, a.catalog)
  return !hasSubqueries(item) && home === undefined && user === undefined
}

function told(item: Node, number: number, column: Column | undefined): Node {
  const type = column === undefined ? undefined : castType(column.type)
  const value = type === undefined ? '(v)' : `CAST(v AS ${type})`
  const node = expressionNode(`CASE WHEN weft.${AT_ROW}(${number}) THEN ${value} END`)
  const result = as(as(node, 'CaseExpr')!.args![0], 'CaseWhen')!
  const cast = as(result.result, 'TypeCast')
  if (cast === undefined) result.result = item
  else cast.arg = item
  return node
}
