import type { DeclareCursorStmt } from '@pgsql/types'
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
  writtenName,
} from '../../parse/ast.ts'
import type { ParsedStatement } from '../../parse/parse.ts'
import { parseStatements } from '../../parse/parse.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printed } from '../../print/printed.ts'
import { isGatheredName } from '../gather/gather-plan.ts'
import { isConstant as isConstantSource } from '../gather/merge-source.ts'
import { ofStatement } from '../of-statement.ts'
import type { ForwardPlan, Plan, Route } from '../plan.ts'
import { commonFields, isSingle } from '../routing.ts'
import { type FirstStep, type FirstWrite, GIVEN_ROWS, GIVEN_VALUE } from './first-step.ts'
import { isSelect, type Level, levelsIn } from './levels.ts'
import { pushLocks } from './pushed-locks.ts'

/**
 * The plan of a statement that is refused as it is because of a query in it that locks rows or writes: that one is run
 * first. What it gives cannot change before the transaction ends.
 */
export function orFirst(plan: Plan, a: Analysis, stmt: ParsedStatement): Plan {
  const isRefused = plan.kind === 'refused'
  const isSometimes = plan.kind === 'forward' && plan.onSeveral.kind === 'refuse' && mayBeSeveral(plan.route)
  if (!isRefused && !isSometimes) return plan
  if (!hasFirst(a) || isGatheredName(stmt.text)) return plan
  const onSeveral = planFirst(stmt.node, hasCollations(a))
  if (onSeveral === undefined || isShown(a, stmt.text, onSeveral)) return plan
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

const mayBeSeveral = (route: Route): boolean =>
  route.kind === 'keys' && (route.restrictions.length > 1 || !isSingle(route.restrictions))

const withoutSpread = (route: Route): Route =>
  route.kind === 'keys' ? { kind: 'keys', restrictions: route.restrictions } : route

function hasCollations({ occurrences, references, locals }: Analysis): boolean {
  const relations = [...occurrences.map(({ relation }) => relation), ...references]
  return (
    locals.length > 0 ||
    relations.some(({ columns }) => columns.some(({ collation }) => collation !== undefined))
  )
}

const hasFirst = ({ traits, targets }: Analysis): boolean =>
  traits.locksRows || targets.some(({ nested, verb, node }) => nested || verb === 'MERGE' || isLimited(node))

/** A query that it joins has a LIMIT: which rows that leaves is to be chosen once. */
function isLimited(statement: object): boolean {
  const { fromClause, usingClause, withClause } = statement as { [clause: string]: unknown }
  return JSON.stringify([fromClause, usingClause, withClause]).includes('"limitCount"')
}

/** Code that its writes or calls run may look at tables, and would see what was run first. */
function isShown({ catalog, traits }: Analysis, text: string, { writes }: FirstStep): boolean {
  if (writes === undefined || writes.others.length === 0) return false
  const { reaches, dynamic } = EFFECT
  return traits.user !== undefined || (ofStatement(catalog, text) & (reaches | dynamic)) !== 0
}

function returnsRows(statement: Node): boolean {
  const body = Object.values(statement)[0] as { returningClause?: unknown }
  return isSelect(statement) || body.returningClause !== undefined
}

/** Undefined: no query in it can be run first. */
function planFirst(statement: Node, collates: boolean): FirstStep | undefined {
  const tree = structuredClone(statement)
  pushLocks(tree)
  const merge = as(tree, 'MergeStmt')
  if (merge !== undefined) mergeFromQuery(merge)
  const levels = levelsIn(tree)
  const before = levels.find(isFirst)
  const source = before ?? sourceOf(merge, levels)
  const isSource = before === undefined && relationsOf(source?.query).length > 0
  const isLimited = source === undefined
  const wanted = source ?? limitedIn(tree, levels)
  const step = wanted && stepOf(tree, levels, wanted)
  if (step === undefined) return undefined
  const collating = collates || /\bCOLLATE\b/i.test(step.sql)
  return { ...step, collates: collating, ...(isSource && { isSource }), ...(isLimited && { isLimited }) }
}

const [SCROLL, NO_SCROLL] = [0x2, 0x4]

/** A cursor over rows that are locked when it is declared: as in Postgres it goes forward only. */
export function firstOfCursor(stmt: DeclareCursorStmt): FirstStep | undefined {
  const isWhole = as(stmt.query, 'SelectStmt')?.lockingClause !== undefined
  const { options = 0 } = stmt
  // That it cannot scroll Postgres says.
  const forward = (options & SCROLL) === 0 ? options | NO_SCROLL : options
  const statement = { DeclareCursorStmt: { ...stmt, options: forward } } as Node
  const step = planFirst(statement, true)
  // Nothing is made of them.
  return step && (isWhole ? { ...step, collates: false } : step)
}

/** A table or a function that is its source becomes a query of it. In place. */
function mergeFromQuery(merge: MergeStmt): void {
  const range = as(merge.sourceRelation, 'RangeVar')
  const called = as(merge.sourceRelation, 'RangeFunction')?.alias
  if (range === undefined && called === undefined) return
  const { alias = { aliasname: range?.relname ?? '' }, ...table } = range ?? {}
  const item = range === undefined ? merge.sourceRelation! : ({ RangeVar: table } as Node)
  const select = as(selectOf('SELECT * FROM t'), 'SelectStmt')!
  const subquery = { SelectStmt: { ...select, fromClause: [item] } } as Node
  const aliasname = called?.aliasname ?? ''
  merge.sourceRelation = {
    RangeSubselect: { subquery, alias: range === undefined ? { aliasname } : alias },
  } as Node
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

function stepOf(tree: Node, levels: readonly Level[], level: Level): Step | undefined {
  const needed = neededBy(
    level.query,
    level.scope.filter((cte) => cte !== level.cte),
  )
  const query = withQueries(level.query, needed)
  const before = level.query
  level.replace(given(level))
  const shared = needed.find((cte) => !isConstant(cte) && isRead(tree, cte))
  if (shared !== undefined) {
    // Others need it, too: so it comes before both.
    level.replace(before)
    return stepOf(tree, levels, levels.find(({ cte }) => cte === shared)!)
  }
  removeUnread(tree, needed)
  const [sql, rest] = [query && printed(query), printed(tree)]
  if (sql === undefined || rest === undefined) return undefined
  const reads = readsOf(tree)
  const writes = writesOf(before, tree, reads)
  if (writes === 'same table') return undefined
  const bySource = meansOthers(tree) && { bySource: true as const }
  return { kind: 'run-first', sql, rest, readsMore: reads.length > 0, ...bySource, ...(writes && { writes }) }
}

/** A MERGE that speaks of rows which its source does not join, and so of all. */
function meansOthers(tree: Node): boolean {
  const clauses = as(tree, 'MergeStmt')?.mergeWhenClauses ?? []
  return clauses.some((node) => as(node, 'MergeWhenClause')?.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE')
}

const DML: ReadonlySet<string> = new Set(['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'])

/** It locks, or it is a WITH query that writes. */
function isFirst({ query, cte }: Level): boolean {
  if (cte !== undefined && DML.has(kindOf(query))) return true
  return as(query, 'SelectStmt')?.lockingClause !== undefined
}

/** The WITH queries that a query names, and those that they name. */
function neededBy(query: unknown, scope: readonly CommonTableExpr[]): readonly CommonTableExpr[] {
  const needed = new Set<CommonTableExpr>()
  const look = (part: unknown): void => {
    const names = namesIn(part)
    for (const cte of scope) {
      if (needed.has(cte) || !names.has(cte.ctename ?? '')) continue
      needed.add(cte)
      look(cte.ctequery)
    }
  }
  look(query)
  return scope.filter((cte) => needed.has(cte))
}

function namesIn(part: unknown): ReadonlySet<string> {
  const ranges = relationsOf(part).filter(({ schemaname }) => schemaname === undefined)
  return new Set(ranges.map(({ relname }) => relname ?? ''))
}

function withQueries(query: Node, needed: readonly CommonTableExpr[]): Node | undefined {
  if (needed.length === 0) return query
  const kind = kindOf(query)
  const body = as(query, kind) as unknown as { withClause?: { ctes?: Node[]; recursive?: boolean } }
  if (body.withClause?.recursive) return undefined
  const ctes = needed.map((cte) => ({ CommonTableExpr: structuredClone(cte) }) as Node)
  const withClause = { ...body.withClause, ctes: [...ctes, ...(body.withClause?.ctes ?? [])] }
  return { [kind]: { ...body, withClause } } as unknown as Node
}

const selectOf = (sql: string): Node => parseStatements(sql)[0]!.node

/** What stands in the place of a query: its rows. */
function given({ query, wanted }: Level): Node {
  if (wanted === 'value') return selectOf(`SELECT ${GIVEN_VALUE}()`)
  const { targetList, valuesLists, op } = as(query, 'SelectStmt') ?? {}
  const isBare = isSelect(query) && (targetList ?? valuesLists) === undefined && op === 'SETOP_NONE'
  return selectOf(isBare ? `SELECT FROM ${GIVEN_ROWS}` : `SELECT * FROM ${GIVEN_ROWS}`)
}

const isConstant = ({ ctequery }: CommonTableExpr): boolean =>
  relationsOf(ctequery).every(({ relname }) => relname === GIVEN_ROWS)

function isRead(rest: Node, { ctename }: CommonTableExpr): boolean {
  return relationsOf(rest).some(({ schemaname, relname }) => schemaname === undefined && relname === ctename)
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

/** Tables that the rest reads, beside those that it changes; names of WITH queries are none. */
function readsOf(rest: Node): readonly RangeVar[] {
  const ctes = new Set<string>([GIVEN_ROWS])
  const targets = new Set<object>()
  walk(rest, (kind, body) => {
    if (kind === 'CommonTableExpr') ctes.add((body as CommonTableExpr).ctename ?? '')
    if (DML.has(kind)) targets.add((body as { relation?: RangeVar }).relation ?? {})
  })
  return relationsOf(rest).filter(
    (range) => !targets.has(range) && !(range.schemaname === undefined && ctes.has(range.relname ?? '')),
  )
}

/**
 * What is run first may not be seen by the rest, as in Postgres it is not: nothing that it changes is read there, or changed
 * again. An INSERT reads nothing.
 */
function writesOf(
  query: Node,
  rest: Node,
  reads: readonly RangeVar[],
): FirstWrite | 'same table' | undefined {
  const kind = kindOf(query)
  if (!DML.has(kind)) return undefined
  const { relation, targetList } = as(query, kind) as unknown as { targetList?: Node[]; relation?: RangeVar }
  const table = writtenName(relation ?? {})
  const changed: RangeVar[] = []
  walk(rest, (other, body) => {
    const statement = body as { relation?: RangeVar; onConflictClause?: unknown }
    if (!DML.has(other) || statement.relation === undefined) return
    const onlyAdds = other === 'InsertStmt' && statement.onConflictClause === undefined
    if (!onlyAdds || statement.relation.relname !== relation?.relname) changed.push(statement.relation)
  })
  const seen = [...reads, ...changed]
  // Names with and without a schema may be of one table.
  if (seen.some(({ relname }) => relname === relation?.relname)) return 'same table'
  const verb = kind.replace('Stmt', '').toUpperCase() as FirstWrite['verb']
  const columns =
    verb === 'UPDATE' ? (targetList ?? []).map((node) => as(node, 'ResTarget')?.name ?? '') : undefined
  return { verb, table, ...(columns && { columns }), others: [...new Set(seen.map(writtenName))] }
}
