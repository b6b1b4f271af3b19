/**
 * Where a statement tells the time of its transaction or of itself, or leaves a column to a default that does. Over several
 * shards, and in transactions, that is one time, the coordinator's (docs/decisions/0017-one-time.md). PURE.
 */

import type { Catalog } from '../../catalog.ts'
import { makesMaterializedView, OPTIMIZABLE } from '../../parse/ast.ts'
import type { ParsedStatement } from '../../parse/parse.ts'
import type { LiteralRange } from '../../place/analyze.ts'
import { mayTellTime } from '../../tree/time-calls.ts'
import type { Plan, PlanContext, TimePlace } from '../plan.ts'
import { addedPlaces } from './added-columns.ts'
import { callPlaces } from './call-places.ts'
import { defaultPlaces } from './default-places.ts'
import { inOrder, type TextPlace } from './text-place.ts'
import { mayHaveTimeWords, timeWordsOf, writtenTable } from './time-words.ts'

/** What tells a time while it runs. Other DDL keeps its text; what PREPARE names is timed when it is executed. */
const KINDS: ReadonlySet<string> = new Set([
  ...OPTIMIZABLE,
  ...['CallStmt', 'ExecuteStmt', 'ExplainStmt', 'DeclareCursorStmt', 'CopyStmt', 'CreateTableAsStmt'],
  'AlterTableStmt',
])

/** The plan with its times. */
export function withTimes(
  plan: Plan,
  stmt: ParsedStatement,
  literals: readonly LiteralRange[],
  catalog: Catalog,
  ctx: PlanContext,
): Plan {
  if (plan.kind === 'refused' || !KINDS.has(stmt.kind) || makesMaterializedView(stmt.node)) return plan
  const places = placesIn(stmt, catalog, ctx)
  const timed =
    places.length === 0 ? plan : { ...plan, times: anchored(inOrder(places), stmt.text, literals) }
  return withWords(timed, stmt, literals, catalog, ctx)
}

function withWords(
  plan: Plan,
  stmt: ParsedStatement,
  literals: readonly LiteralRange[],
  catalog: Catalog,
  ctx: PlanContext,
): Plan {
  if (stmt.kind === 'AlterTableStmt' || (!plan.generic && !mayHaveTimeWords(stmt.text))) return plan
  const byStart = new Map(literals.map(({ start }, i) => [start, i]))
  const timeWords = timeWordsOf(stmt, byStart, (range) => writtenTable(range, catalog, ctx))
  return timeWords.length === 0 ? plan : { ...plan, timeWords }
}

function placesIn(stmt: ParsedStatement, catalog: Catalog, ctx: PlanContext): TextPlace[] {
  if (stmt.kind === 'AlterTableStmt') return addedPlaces(stmt, catalog, ctx)
  const calls = mayTellTime(stmt.text) ? callPlaces(stmt.node, stmt.text, catalog) : []
  return [...calls, ...defaultPlaces(stmt, catalog, ctx)]
}

function anchored(
  places: readonly TextPlace[],
  text: string,
  literals: readonly LiteralRange[],
): TimePlace[] {
  let literal = -1
  return places.map(({ start, end, parts }) => {
    while (literal + 1 < literals.length && literals[literal + 1]!.end <= start) literal++
    const from = literals[literal]?.end ?? 0
    const skip = Buffer.byteLength(text.slice(from, start))
    return { literal, skip, length: Buffer.byteLength(text.slice(start, end)), parts }
  })
}
