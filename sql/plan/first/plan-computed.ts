import { PgError } from '../../../errors/pg-error.ts'
import type { RefusalId } from '../../../errors/refusals/refusals.ts'
import type { Column } from '../../catalog.ts'
import {
  as,
  type FuncCall,
  hasSubqueries,
  type InsertStmt,
  kindOf,
  type Node,
  paramsOf,
  qualified,
  type SelectStmt,
  walk,
} from '../../parse/ast.ts'
import { replaceNodes } from '../../parse/replace-nodes.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printed } from '../../print/printed.ts'
import { columnLabel } from '../../tree/label.ts'
import { insertColumns } from '../../tree/modify.ts'
import { traitsOf, unlikeBecause } from '../../tree/traits.ts'
import { analyzeAlone } from '../analyze-alone.ts'
import { castType } from '../cast-type.ts'
import { isGatheredName } from '../gather/gather-plan.ts'
import { expressionNode, selectNode } from '../gather/made-nodes.ts'
import type { ForwardPlan, Plan, PlanContext } from '../plan.ts'
import { isPlainRows } from '../plan-insert.ts'
import { commonFields } from '../routing.ts'
import { computedMark, type FirstStep } from './first-step.ts'
import { namedIn } from './levels.ts'
import { hasCollations, hasFirst } from './plan-first.ts'
import { readsOf } from './written.ts'

/** What an INSERT may be refused for that computing some of its expressions first takes away. */
const ABOUT_EXPRESSIONS: ReadonlySet<string> = new Set<RefusalId>([
  'insert_values',
  'insert_columns',
  'insert_select_tail',
  'different_keys',
  'local_with_sharded',
  'home_function',
  'reference_write_from',
  'reference_write_unstable',
])

/**
 * The plan of an INSERT that is refused as it is, because of expressions that cannot be computed where its rows go: values,
 * subqueries of ON CONFLICT and RETURNING. One query computes all of them first, of one state; the INSERT has constants in
 * their place.
 */
export function orComputed(plan: Plan, a: Analysis, text: string, ctx: PlanContext): Plan {
  const isRefused = plan.kind === 'refused' && isAboutExpressions(plan.error)
  const isSometimes =
    plan.kind === 'forward' && plan.route.kind === 'keys' && plan.route.spread !== undefined && isFixed(plan)
  if (!(isRefused || isSometimes) || hasFirst(a) || isGatheredName(text)) return plan
  const onSeveral = planComputed(a, text, ctx)
  if (onSeveral === undefined) return plan
  if (plan.kind === 'forward') {
    const { spread: _, ...route } = plan.route as Extract<ForwardPlan['route'], { kind: 'keys' }>
    return { ...plan, route, onSeveral, generic: plan.generic && a.literalCount === 0 }
  }
  const node = targetOf(a)
  const common = commonFields(a, 'INSERT', node.returningClause !== undefined)
  const generic = common.generic && a.literalCount === 0
  return { ...common, generic, kind: 'forward', route: { kind: 'all' }, onSeveral }
}

/** It is an error when its keys are of several shards. */
const isFixed = ({ onSeveral }: ForwardPlan): boolean => onSeveral.kind === 'refuse'

const isAboutExpressions = (error: unknown): boolean =>
  error instanceof PgError && ABOUT_EXPRESSIONS.has(error.fields.routine ?? '')

const targetOf = (a: Analysis): InsertStmt => a.targets.find((t) => !t.nested)!.node as InsertStmt

/** As many columns as a query may have. */
const EXPRESSIONS_MAX = 1600

function planComputed(a: Analysis, text: string, ctx: PlanContext): FirstStep | undefined {
  const node = structuredClone(targetOf(a))
  const computed = new Computed(a, text, ctx, node.withClause)
  const source = as(node.selectStmt, 'SelectStmt')
  const rows = source === undefined || isPlainRows(source) ? source?.valuesLists : undefined
  const isRows = rows !== undefined || source === undefined
  const ignored = rows && defaultIgnored(a, node, rows)
  computed.expressions.push(...(ignored ?? []))
  for (const row of rows ?? []) computed.row(as(row, 'List')?.items ?? [])
  const before = computed.expressions.length
  const tail = [node.onConflictClause, node.returningClause]
  computed.nameColumns(node.returningClause?.exprs)
  if (isRows) computed.readers(tail)
  else computed.constants(tail)
  const inTail = computed.expressions.slice(before)
  // What a WITH query computes is computed once.
  if (!isRows && computed.namesQueries(inTail)) return undefined
  const drops = ignored !== undefined || (isRows && node.withClause !== undefined)
  if (isRows) delete node.withClause
  if ((computed.expressions.length === 0 && !drops) || computed.expressions.length > EXPRESSIONS_MAX)
    return undefined
  const tree = { InsertStmt: node } as Node
  const [sql, rest] = [printed(computed.query(isRows)), printed(tree)]
  if (sql === undefined || rest === undefined) return undefined
  const reads = readsOf(tree).length > 0 && inTail.some((one) => kindOf(one) !== 'ParamRef')
  const isCollated = inTail.length > 0 && hasCollations(a)
  return { kind: 'run-first', sql, rest, readsMore: reads, collates: isCollated, computes: true }
}

/**
 * OVERRIDING USER VALUE: DEFAULT takes the place of what is given for identity columns. Of several rows that is computed all
 * the same, as it could fail. In place; answers what is to be computed, undefined: nothing is ignored.
 */
function defaultIgnored(a: Analysis, node: InsertStmt, rows: readonly Node[]): readonly Node[] | undefined {
  const { relation } = a.targets.find((t) => !t.nested)!
  if (relation === undefined || node.override !== 'OVERRIDING_USER_VALUE') return undefined
  node.override = 'OVERRIDING_NOT_SET'
  const items = rows.map((row) => as(row, 'List')?.items ?? [])
  const names = insertColumns(relation, node, items[0]?.length) ?? []
  const computed: Node[] = []
  for (const [i, name] of names.entries()) {
    const column = relation.columns.find((one) => one.name === name)
    if (column?.identity === undefined) continue
    for (const row of items) {
      if (i >= row.length) continue
      if (items.length > 1 && mayFail(row[i]!)) computed.push(castTo(row[i]!, column))
      row[i] = { SetToDefault: {} } as Node
    }
  }
  return computed
}

const SMALL_INT_MAX = 32_767

function mayFail(item: Node): boolean {
  const { isnull, ival } = as(item, 'A_Const') ?? {}
  const isSmall = ival !== undefined && Math.abs(ival.ival ?? 0) <= SMALL_INT_MAX
  return !(isnull || isSmall || kindOf(item) === 'SetToDefault')
}

function castTo(item: Node, { type }: Column): Node {
  const cast = expressionNode(`CAST(NULL AS ${castType(type)})`)
  as(cast, 'TypeCast')!.arg = item
  return cast
}

/** Expressions that are computed first; in their places are marks. */
export class Computed {
  readonly expressions: Node[] = []
  private readonly a: Analysis
  private readonly text: string
  private readonly ctx: PlanContext
  private readonly withClause: InsertStmt['withClause']
  private readonly ctes: ReadonlySet<string>
  private readonly isReference: boolean
  /** Of the first mark. */
  private readonly from: number

  constructor(a: Analysis, text: string, ctx: PlanContext, withClause: InsertStmt['withClause'], from = 0) {
    this.from = from
    this.a = a
    this.text = text
    this.ctx = ctx
    this.withClause = withClause
    this.ctes = new Set((withClause?.ctes ?? []).map((node) => as(node, 'CommonTableExpr')?.ctename ?? ''))
    this.isReference = a.targets.find((t) => !t.nested)!.relation?.kind === 'reference'
  }

  /** What they are computed from gives RETURNING's columns their names. In place. */
  nameColumns(exprs: readonly Node[] = []): void {
    for (const node of exprs) {
      const target = as(node, 'ResTarget')!
      if (hasSubqueries(target.val) || paramsOf(target.val).size > 0) target.name ??= columnLabel(target)
    }
  }

  /** Values, each converted to its column's type as it would have been; those of a ROW get their types from it. */
  row(items: Node[]): void {
    for (const [i, item] of items.entries()) {
      const fields = as(item, 'RowExpr')?.args
      if (fields !== undefined) this.row(fields)
      else if (this.isWanted(item)) items[i] = this.mark(item)
    }
  }

  private isWanted(item: Node): boolean {
    if (hasSubqueries(item)) return true
    const traits = traitsOf(item, this.a.catalog)
    return traits.home !== undefined || (this.isReference && unlikeBecause(traits) !== undefined)
  }

  /** Subqueries that read what is not on every shard, and others that are meant. */
  readers(tail: unknown, others: (subquery: Node) => boolean = () => false): void {
    replaceNodes(tail, (node) =>
      kindOf(node) === 'SubLink' && (this.namesQueries([node]) || this.readsParts(node) || others(node))
        ? this.mark(node)
        : undefined,
    )
  }

  /** All subqueries, and parameters. */
  constants(tail: unknown): void {
    replaceNodes(tail, (node) =>
      kindOf(node) === 'SubLink' || kindOf(node) === 'ParamRef' ? this.mark(node) : undefined,
    )
  }

  namesQueries(part: unknown): boolean {
    return this.ctes.size > 0 && [...namedIn(part)].some((name) => this.ctes.has(name))
  }

  private readsParts(node: Node): boolean {
    const alone = analyzeAlone(this.a, this.text, selectOf([node]), this.ctx)
    return alone.occurrences.length > 0 || alone.locals.length > 0
  }

  private mark(node: Node): Node {
    asSaid(node)
    this.expressions.push(node)
    return computedMark(this.from + this.expressions.length - 1)
  }

  query(withQueries: boolean): Node {
    const { withClause } = this
    if (this.expressions.length === 0) return { SelectStmt: selectNode('SELECT true') } as Node
    const select = selectOf(this.expressions)
    return { SelectStmt: withQueries && withClause ? { ...select, withClause } : select } as Node
  }
}

/** What asks for drawn values does so by the client's own words again: it is told what there is when it runs. In place. */
function asSaid(root: Node): void {
  walk(root, (kind, body) => {
    if (kind !== 'FuncCall') return
    const call = body as FuncCall
    const { schema, name } = qualified(call.funcname)
    if (schema !== 'weft' || !ASKS_DRAWN.has(name)) return
    call.funcname = call.funcname!.slice(-1)
    const args = (call.args ?? []).slice(0, -1)
    if (args.length > 0) call.args = args
    else delete call.args
  })
}

const ASKS_DRAWN: ReadonlySet<string> = new Set(['currval', 'lastval'])

function selectOf(expressions: readonly Node[]): SelectStmt {
  const targetList = expressions.map((val) => ({ ResTarget: { val } }) as Node)
  return { targetList, limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' } as SelectStmt
}
