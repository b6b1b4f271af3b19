import { PgError } from '../../../errors/pg-error.ts'
import type { RefusalId } from '../../../errors/refusals/refusals.ts'
import type { Column } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  type InsertStmt,
  type Node,
  relationsOf,
  type SelectStmt,
  strings,
  walk,
} from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printed } from '../../print/printed.ts'
import { wholeColumns } from '../../tree/modify.ts'
import { isGatheredName } from '../gather/gather-plan.ts'
import { expressionNode, selectNode } from '../gather/made-nodes.ts'
import { castNode } from '../gather/new-values.ts'
import { withOneSource } from '../gather/plan-modify-gathered.ts'
import type { Plan, PlanContext } from '../plan.ts'
import { isPlainRows } from '../plan-insert.ts'
import { commonFields } from '../routing.ts'
import { isTemporary, nameOf, resolve } from '../utility/scope.ts'
import { lockingClause, noneOf } from './conflict-texts.ts'
import { type FirstStep, LISTED_ROWS, type ListedRows } from './first-step.ts'
import { Computed } from './plan-computed.ts'
import { hasCollations, hasFirst } from './plan-first.ts'
import { readsOf } from './written.ts'

/** What an INSERT … SELECT is refused for that an INSERT … VALUES is not. */
const ABOUT_TAILS: ReadonlySet<string> = new Set<RefusalId>([
  'home_function',
  'unstable_default',
  'insert_select_tail',
  'reference_write_unstable',
  'local_with_sharded',
])

/**
 * The plan of an INSERT … SELECT whose ON CONFLICT or RETURNING cannot run in several statements apart from its query:
 * that is run first, with the subqueries of those, in one statement; then the INSERT with its rows as VALUES.
 */
export function orListed(plan: Plan, a: Analysis, text: string, ctx: PlanContext): Plan {
  const isComputed = plan.kind === 'forward' && plan.onSeveral.kind === 'run-first' && plan.onSeveral.computes
  if (!isComputed && !(plan.kind === 'refused' && isAboutTail(plan.error))) return plan
  const listed = hasFirst(a) || isGatheredName(text) ? undefined : listedOf(a, text, ctx)
  if (listed === undefined) return plan
  if (plan.kind === 'forward') {
    const step = plan.onSeveral as FirstStep
    const always = namesRows(a) && { isListed: true as const }
    return step.readsMore ? { ...plan, onSeveral: { ...step, listed, ...always } } : plan
  }
  const { node } = a.targets.find((t) => !t.nested)!
  const common = commonFields(a, 'INSERT', (node as InsertStmt).returningClause !== undefined)
  const { sql, rest, collates, readsMore } = listed
  const onSeveral: FirstStep = { kind: 'run-first', sql, rest, readsMore, collates, listed, isListed: true }
  return {
    ...common,
    generic: common.generic && a.literalCount === 0,
    kind: 'forward',
    route: { kind: 'all' },
    onSeveral,
  }
}

/** A subquery reads tables, and names columns of those only: of copies, too, it reads what the query does. */
function isOfOwn(subquery: Node, { catalog }: Analysis, ctx: PlanContext): boolean {
  const ranges = relationsOf(subquery)
  const names = new Set(ranges.map((range) => range.alias?.aliasname ?? range.relname))
  const columns = new Set(
    ranges.flatMap((range) =>
      (resolve({ catalog, ctx }, nameOf(range))?.columns ?? []).map(({ name }) => name),
    ),
  )
  let isOwn = ranges.length > 0
  walk(subquery, (kind, body) => {
    if (kind !== 'ColumnRef') return
    const { fields = [] } = body as ColumnRef
    const [table, ...more] = strings(fields)
    // `*` is none of the strings.
    if (
      table !== undefined &&
      !(fields.length === 1 && columns.has(table)) &&
      !(names.has(table) && more.length < 2)
    )
      isOwn = false
  })
  return isOwn
}

/** A subquery of ON CONFLICT or RETURNING names, for certain, columns of a row that is inserted. */
function namesRows(a: Analysis): boolean {
  const node = a.targets.find((t) => !t.nested)!.node as InsertStmt
  const alias = node.relation!.alias?.aliasname ?? node.relation!.relname!
  const rows = ['excluded', 'old', 'new', alias]
  let names = false
  walk([node.onConflictClause, node.returningClause], (kind, body) => {
    if (kind !== 'SubLink') return
    const own = new Set(relationsOf(body).map((range) => range.alias?.aliasname ?? range.relname))
    const isHidden = JSON.stringify(body).includes('"aliasname"')
    walk(body, (part, ref) => {
      const [table, ...more] = part === 'ColumnRef' ? strings((ref as ColumnRef).fields ?? []) : []
      if (table !== undefined && more.length === 1 && rows.includes(table) && !own.has(table) && !isHidden)
        names = true
    })
  })
  return names
}

const isAboutTail = (error: unknown): boolean =>
  error instanceof PgError && ABOUT_TAILS.has(error.fields.routine ?? '')

function listedOf(a: Analysis, text: string, ctx: PlanContext): ListedRows | undefined {
  const { relation, node } = a.targets.find((t) => !t.nested)!
  const insert = structuredClone(node as InsertStmt)
  const source = as(insert.selectStmt, 'SelectStmt')
  if (relation === undefined || relation.through !== undefined || source === undefined) return undefined
  if (a.targets.length > 1 || isPlainRows(source)) return undefined
  const width = insert.cols?.length ?? a.block.arms[0]?.outputs?.length
  const columns = wholeColumns(relation, insert, width)
  if (columns === undefined) return undefined
  typeConstants(source, columns)
  const { withClause, ...alone } = insert
  // A row that is set to several columns stands in each.
  if (alone.onConflictClause !== undefined) alone.onConflictClause = withOneSource(alone.onConflictClause)
  const computed = new Computed(a, text, ctx, withClause, columns.length)
  computed.nameColumns(alone.returningClause?.exprs)
  computed.readers([alone.onConflictClause, alone.returningClause], (node) => isOfOwn(node, a, ctx))
  if (withClause !== undefined && computed.namesQueries([alone.onConflictClause, alone.returningClause]))
    return undefined
  const subqueries = computed.expressions
  const query =
    subqueries.length === 0 && !(withClause && source.withClause) ? source : beside(source, subqueries)
  const sql = printed({ SelectStmt: { ...query, ...(withClause && { withClause }) } } as Node)
  const mark = expressionNode(`${LISTED_ROWS}()`)
  const values = {
    valuesLists: [{ List: { items: [mark] } } as Node],
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  } as SelectStmt
  const tree = { InsertStmt: { ...alone, selectStmt: { SelectStmt: values } } } as Node
  const rest = printed(tree)
  const none = printed(noneInserted(alone, columns, relation))
  if (sql === undefined || rest === undefined || none === undefined) return undefined
  const isTemp = relationsOf(node).some((range) => isTemporary({ ctx }, nameOf(range)))
  return {
    sql,
    rest,
    none,
    ...(isTemp && { alwaysLists: true as const }),
    width: columns.length,
    readsMore: readsOf(tree).length > 0,
    collates: subqueries.length > 0 && hasCollations(a),
  }
}

/** The rows of a query, each with what subqueries give. */
function beside(source: SelectStmt, subqueries: readonly Node[]): SelectStmt {
  const select = selectNode('SELECT weft_rows.* FROM (SELECT 1) AS weft_rows')
  as(select.fromClause![0], 'RangeSubselect')!.subquery = { SelectStmt: source } as Node
  const targetList = [...select.targetList!, ...subqueries.map((val) => ({ ResTarget: { val } }) as Node)]
  return { ...select, targetList }
}

/** Who may not run it is told so where there are no rows, too. */
function noneInserted(
  { returningClause: _, onConflictClause: conflict, ...insert }: InsertStmt,
  columns: readonly Column[],
  relation: Parameters<typeof lockingClause>[1],
): Node {
  const alias = insert.relation!.alias?.aliasname ?? insert.relation!.relname!
  const changes = conflict?.action === 'ONCONFLICT_UPDATE'
  const onConflictClause = conflict && changes ? lockingClause(conflict, relation, alias) : conflict
  const selectStmt = noneOf(columns.map(({ type }) => castNode(expressionNode('NULL'), type)))
  return { InsertStmt: { ...insert, selectStmt, ...(onConflictClause && { onConflictClause }) } } as Node
}

/** Constants get the types of their columns, as in an INSERT. In place. */
export function typeConstants(source: SelectStmt, columns: readonly Column[]): void {
  for (const [i, item] of (source.targetList ?? []).entries()) {
    const target = as(item, 'ResTarget')!
    const constant = as(target.val, 'A_Const')
    const column = columns[i]
    if (column !== undefined && (constant?.sval !== undefined || constant?.isnull))
      target.val = castNode(target.val!, column.type)
  }
}
