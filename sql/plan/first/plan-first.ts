import type { DeclareCursorStmt } from '@pgsql/types'
import type { Catalog } from '../../catalog.ts'
import { EFFECT } from '../../code/effects.ts'
import {
  as,
  type CommonTableExpr,
  kindOf,
  type MergeStmt,
  type Node,
  type RangeVar,
  relationsOf,
  walk,
  whenClauses,
} from '../../parse/ast.ts'
import type { ParsedStatement } from '../../parse/parse.ts'
import { parseStatements } from '../../parse/parse.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printed } from '../../print/printed.ts'
import { traitsOf, unstableBecause } from '../../tree/traits.ts'
import { isGatheredName, type ModifyStep } from '../gather/gather-plan.ts'
import { isConstant as isConstantSource } from '../gather/merge-source.ts'
import { ofStatement } from '../of-statement.ts'
import type { ForwardPlan, Plan, PlanContext, Route } from '../plan.ts'
import { commonFields, isSingle } from '../routing.ts'
import { quoteName } from '../text-scan.ts'
import { isTemporary, nameOf, resolve } from '../utility/scope.ts'
import { computedAfter } from './computed-after.ts'
import { type Ahead, type FirstStep, GIVEN_ROWS, GIVEN_VALUE, type HeldWrite, isGiven } from './first-step.ts'
import { heldWrite } from './held-write.ts'
import {
  copied,
  isRecursive,
  isSelect,
  type Level,
  labelOf,
  levelsIn,
  neededBy,
  withNeeded,
} from './levels.ts'
import { lockAhead } from './lock-ahead.ts'
import { pushLocks } from './pushed-locks.ts'
import { type Names, readAhead } from './read-ahead.ts'
import { addsToSame, DML, leaveWritten, readsOf, writesOf } from './written.ts'

/**
 * The plan of a statement that is refused as it is because of a query in it that locks rows or writes: that one is run
 * first. What it gives cannot change before the transaction ends.
 */
export function orFirst(plan: Plan, a: Analysis, stmt: ParsedStatement, ctx: PlanContext): Plan {
  if (plan.kind === 'forward' && plan.onSeveral.kind === 'gather-modify')
    return { ...plan, onSeveral: withHeld(plan.onSeveral, stmt.node, ctx, namesIn(a.catalog, ctx)) }
  const isRefused = plan.kind === 'refused'
  const isSometimes = plan.kind === 'forward' && plan.onSeveral.kind === 'refuse' && mayBeSeveral(plan.route)
  if (!isRefused && !isSometimes) return plan
  if (!hasFirst(a) || isGatheredName(stmt.text)) return plan
  const onSeveral = stepIn(a, stmt, ctx)
  if (onSeveral === undefined) return plan
  if (plan.kind === 'forward') {
    return {
      ...plan,
      route: withoutSpread(plan.route),
      onSeveral,
      generic: plan.generic && a.literalCount === 0,
    }
  }
  const { locksHome: _, ...effects } = plan.effects
  const common = { ...commonFields(a, plan.tag, returnsRows(stmt.node)), effects }
  const generic = common.generic && a.literalCount === 0
  const forward: ForwardPlan = { ...common, generic, kind: 'forward', route: { kind: 'all' }, onSeveral }
  return forward
}

/** A MERGE that takes a snapshot, where there is none. */
function withHeld(step: ModifyStep, statement: Node, ctx: PlanContext, names: Names): ModifyStep {
  const held = step.modify.needsSnapshot && heldIn(statement, ctx, names)
  return held ? { ...step, held } : step
}

/** Postgres does not prepare a transaction that has used temporary tables, as one with a snapshot has to be. */
function heldIn(statement: Node, ctx: PlanContext, names: Names): HeldWrite | undefined {
  const held = heldWrite(statement, names)
  const isTemp = relationsOf(statement).some((range) => isTemporary({ ctx }, nameOf(range)))
  return held && isTemp ? { ...held, alwaysHolds: true } : held
}

function stepIn(a: Analysis, stmt: ParsedStatement, ctx: PlanContext): FirstStep | undefined {
  const names = namesIn(a.catalog, ctx)
  const first = computedAfter(stmt.node, a.catalog) ?? stmt.node
  const step = planFirst(first, hasCollations(a), names)
  if (step === undefined || isShown(a, stmt.text, step)) return undefined
  const isWhole = step.isLimited ?? step.isSource ?? step.bySource
  const held = isWhole && first === stmt.node ? heldIn(stmt.node, ctx, names) : undefined
  return held ? { ...step, held } : step
}

const mayBeSeveral = (route: Route): boolean =>
  route.kind === 'keys' && (route.restrictions.length > 1 || !isSingle(route.restrictions))

const withoutSpread = (route: Route): Route =>
  route.kind === 'keys' ? { kind: 'keys', restrictions: route.restrictions } : route

export function hasCollations({ occurrences, references, locals }: Analysis): boolean {
  const relations = [...occurrences.map(({ relation }) => relation), ...references]
  return (
    locals.length > 0 ||
    relations.some(({ columns }) => columns.some(({ collation }) => collation !== undefined))
  )
}

function namesIn(catalog: Catalog, ctx: PlanContext): Names {
  return {
    relationOf: (range) => resolve({ catalog, ctx }, nameOf(range)),
    isStable(part) {
      const traits = traitsOf(part, catalog)
      return (
        unstableBecause(traits, false) === undefined && !traits.writes && traits.timeLiteral === undefined
      )
    },
  }
}

/** It has queries that lock or write, is a MERGE, or joins a query with a LIMIT. */
export const hasFirst = ({ traits, targets }: Analysis): boolean =>
  traits.locksRows || targets.some(({ nested, verb, node }) => nested || verb === 'MERGE' || isLimited(node))

/** A query that it joins has a LIMIT: which rows that leaves is to be chosen once. */
function isLimited(statement: object): boolean {
  const { fromClause, usingClause, withClause } = statement as { [clause: string]: unknown }
  return JSON.stringify([fromClause, usingClause, withClause]).includes('"limitCount"')
}

/** Code that its writes or calls run may look at tables, and would see what was run first. */
function isShown({ catalog, traits }: Analysis, text: string, { writes }: FirstStep): boolean {
  if (writes === undefined || writes.reads.length + writes.changes.length === 0) return false
  const { reaches, dynamic } = EFFECT
  return traits.user !== undefined || (ofStatement(catalog, text) & (reaches | dynamic)) !== 0
}

function returnsRows(statement: Node): boolean {
  const body = Object.values(statement)[0] as { returningClause?: unknown }
  return isSelect(statement) || body.returningClause !== undefined
}

/** Undefined: no query in it can be run first. */
function planFirst(statement: Node, collates: boolean, names: Names): FirstStep | undefined {
  const merged = structuredClone(statement)
  pushLocks(merged)
  const merge = as(merged, 'MergeStmt')
  if (merge !== undefined) mergeFromQuery(merge)
  for (let n = 0; ; n++) {
    const tree = structuredClone(merged)
    const levels = levelsIn(tree)
    const found = levels.filter(isFirst)
    const isOther = found.length === 0 && n === 0
    const source = found[n] ?? (isOther ? sourceOf(as(tree, 'MergeStmt'), levels) : undefined)
    const isLimited = source === undefined
    const wanted = source ?? (isOther ? limitedIn(tree, levels) : undefined)
    if (wanted === undefined) return undefined
    const isSource = !isLimited && found.length === 0 && relationsOf(wanted.query).length > 0
    const kind = {
      ...(isSource && { isSource }),
      ...(isSource && comesInNoOrder(wanted.query, names) && { inNoOrder: true as const }),
      ...(isLimited && { isLimited }),
    }
    const step = stepOf(tree, levels, wanted, names)
    if (step === undefined) continue
    const collating = collates || /\bCOLLATE\b/i.test(step.sql)
    return { ...step, collates: collating, ...kind }
  }
}

/** Shards give its rows as they have them. */
function comesInNoOrder(query: Node, names: Names): boolean {
  const isSorted = as(query, 'SelectStmt')?.sortClause !== undefined
  return !isSorted && relationsOf(query).some((range) => names.relationOf(range)?.kind === 'sharded')
}

const [SCROLL, NO_SCROLL] = [0x2, 0x4]

/** A cursor over rows that are locked when it is declared: as in Postgres it goes forward only. */
export function firstOfCursor(
  stmt: DeclareCursorStmt,
  catalog: Catalog,
  ctx: PlanContext,
): FirstStep | undefined {
  const isWhole = as(stmt.query, 'SelectStmt')?.lockingClause !== undefined
  const { options = 0 } = stmt
  // That it cannot scroll Postgres says.
  const forward = (options & SCROLL) === 0 ? options | NO_SCROLL : options
  const statement = { DeclareCursorStmt: { ...stmt, options: forward } } as Node
  const step = planFirst(statement, true, namesIn(catalog, ctx))
  // Nothing is made of them.
  return step && (isWhole ? { ...step, collates: false } : step)
}

/** A table or a function that is its source becomes a query of it. In place. */
function mergeFromQuery(merge: MergeStmt): void {
  const range = as(merge.sourceRelation, 'RangeVar')
  const called = as(merge.sourceRelation, 'RangeFunction')?.alias
  if (range === undefined && called === undefined) return
  const { alias = { aliasname: range?.relname ?? '' }, ...table } = range ?? {}
  if (range !== undefined && range.alias === undefined) withoutSchema(merge, range)
  const item = range === undefined ? merge.sourceRelation! : ({ RangeVar: table } as Node)
  const select = as(selectOf('SELECT * FROM t'), 'SelectStmt')!
  const subquery = { SelectStmt: { ...select, fromClause: [item] } } as Node
  const aliasname = called?.aliasname ?? ''
  merge.sourceRelation = {
    RangeSubselect: { subquery, alias: range === undefined ? { aliasname } : alias },
  } as Node
}

/** A query has no schema by which columns could name it. In place. */
function withoutSchema(merge: MergeStmt, { relname }: RangeVar): void {
  const named = relationsOf(merge).filter((range) => (range.alias?.aliasname ?? range.relname) === relname)
  const isTargets = (merge.relation?.alias?.aliasname ?? merge.relation?.relname) === relname
  // Elsewhere the name may be another's.
  if (isTargets || named.length > 1) return
  walk(merge, (kind, body) => {
    const ref = body as { fields?: Node[] }
    if (kind !== 'ColumnRef' || (ref.fields?.length ?? 0) < 3) return
    if (as(ref.fields!.at(-2), 'String')?.sval === relname) ref.fields = ref.fields!.slice(-2)
  })
}

/** The first query with a LIMIT among what an UPDATE or DELETE joins. */
function limitedIn(tree: Node, levels: readonly Level[]): Level | undefined {
  const statement = as(tree, 'UpdateStmt') ?? as(tree, 'DeleteStmt')
  if (statement === undefined) return undefined
  const { fromClause, usingClause, withClause } = statement as { [clause: string]: unknown }
  const joined = new Set<object>()
  walk([fromClause, usingClause, withClause], (_, body) => {
    joined.add(body)
  })
  return levels.find(({ query }) => {
    const select = as(query, 'SelectStmt')
    return select?.limitCount !== undefined && joined.has(select)
  })
}

/** Rows that are not the same everywhere, or may not come in the same order. */
function sourceOf(merge: MergeStmt | undefined, levels: readonly Level[]): Level | undefined {
  const source = as(merge?.sourceRelation, 'RangeSubselect')?.subquery
  if (source === undefined || isConstantSource(merge!.sourceRelation!)) return undefined
  return levels.find(({ query }) => query === source)
}

type Step = Omit<FirstStep, 'collates'>

function stepOf(tree: Node, levels: readonly Level[], level: Level, names: Names): Step | undefined {
  const own = level.cte && isRecursive(level.cte) ? level.cte : undefined
  const others = neededBy(
    level.query,
    level.scope.filter((cte) => cte !== level.cte),
  )
  const needed = own === undefined ? others : [...others, copied(own)]
  const before = own === undefined ? level.query : selectOf(`SELECT * FROM ${quoteName(own.ctename ?? '')}`)
  level.replace(given(level))
  const shared = others.find((cte) => !isConstant(cte) && isRead(tree, cte))
  if (shared !== undefined) {
    // Others need it, too: so it comes before both.
    level.replace(before)
    return stepOf(tree, levels, levels.find(({ cte }) => cte === shared)!, names)
  }
  removeUnread(tree, others)
  const query = withNeeded(before, needed)
  const [sql, rest] = [query && printed(query), printed(tree)]
  if (query === undefined || sql === undefined || rest === undefined) return undefined
  const writes = writesOf(before, tree, names)
  const ahead = writes && aheadOf(query, tree, isNamed(tree, level), names)
  if (writes?.isSeen && ahead === undefined) return undefined
  const bySource = meansOthers(tree) && { bySource: true as const }
  const readsMore = readsOf(tree).length > 0
  return {
    kind: 'run-first',
    sql,
    rest,
    readsMore,
    ...bySource,
    ...(writes && { writes }),
    ...(ahead && { ahead }),
  }
}

/** The same where the rest sees nothing of what is written. */
function aheadOf(write: Node, tree: Node, isNamed: boolean, names: Names): Ahead | undefined {
  const [query, others] = [structuredClone(write), structuredClone(tree)]
  const keys = leaveWritten(query, others, names, isNamed)
  const reads = readAhead(others, names)
  const [sql, rest] = [printed(query), printed(others)]
  if (!isNamed && addsToSame(query, others, names)) {
    const locked = reads && lockAhead(query, names, reads.length)
    if (locked && sql !== undefined && rest !== undefined)
      return { reads, sql, keys: 0, rest, locked, isLast: true }
  }
  if (keys === undefined || reads === undefined || sql === undefined || rest === undefined) return undefined
  const locked = lockAhead(query, names, reads.length)
  return { reads, sql, keys, rest, ...(locked && { locked }) }
}

/** Somebody reads its rows: so it has been run before the others' rows are changed. */
const isNamed = (rest: Node, { cte }: Level): boolean => cte === undefined || isRead(rest, cte)

/** A MERGE that speaks of rows which its source does not join, and so of all. */
function meansOthers(tree: Node): boolean {
  const clauses = whenClauses(as(tree, 'MergeStmt') ?? {})
  return clauses.some(({ matchKind }) => matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE')
}

/** It locks, or it is a WITH query that writes. */
function isFirst({ query, cte }: Level): boolean {
  if (cte !== undefined && DML.has(kindOf(query))) return true
  return as(query, 'SelectStmt')?.lockingClause !== undefined
}

const selectOf = (sql: string): Node => parseStatements(sql)[0]!.node

/** What stands in the place of a query: its rows. */
function given({ query, wanted }: Level): Node {
  if (wanted === 'value') return selectOf(`SELECT ${GIVEN_VALUE}() AS ${labelOf(as(query, 'SelectStmt')!)}`)
  const { targetList, valuesLists, op } = as(query, 'SelectStmt') ?? {}
  const isBare = isSelect(query) && (targetList ?? valuesLists) === undefined && op === 'SETOP_NONE'
  return selectOf(isBare ? `SELECT FROM ${GIVEN_ROWS}` : `SELECT * FROM ${GIVEN_ROWS}`)
}

const isConstant = ({ ctequery }: CommonTableExpr): boolean =>
  relationsOf(ctequery).every(({ relname }) => isGiven(relname))

/** By others than itself. */
function isRead(rest: Node, cte: CommonTableExpr): boolean {
  let reads = false
  walk(rest, (kind, body) => {
    if (body === cte) return false
    const { relname, schemaname } = body as RangeVar
    if (kind === 'RangeVar' && relname === cte.ctename && schemaname === undefined) reads = true
    return true
  })
  return reads
}

/** In place: nobody reads them any more. */
function removeUnread(rest: Node, needed: readonly CommonTableExpr[]): void {
  const unread = new Set(needed.filter((cte) => isSelect(cte.ctequery!) && !isRead(rest, cte)))
  walk(rest, (_, body) => {
    const statement = body as { withClause?: { ctes?: Node[] } }
    const { withClause } = statement
    if (withClause?.ctes === undefined) return
    withClause.ctes = withClause.ctes.filter((node) => !unread.has(as(node, 'CommonTableExpr')!))
    if (withClause.ctes.length === 0) delete statement.withClause
  })
}
