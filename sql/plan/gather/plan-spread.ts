import { type RangeVar, relationsOf, type SelectStmt } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { analyzeAlone } from '../analyze-alone.ts'
import type { PlanContext } from '../plan.ts'
import { conditionsByItem } from './conditions.ts'
import type { GatherPlan, GatherStep, PartText, SpreadWay, ViewsStep } from './gather-plan.ts'
import { UNEQUAL } from './group-by-key.ts'
import { type TableItem, tableItems } from './inputs.ts'
import type { Island } from './island.ts'
import { islandsOf, typed } from './islands.ts'
import { neverRead } from './limit-zero.ts'
import { overArrays } from './over-gathered.ts'
import { partText } from './part-text.ts'
import { gathering, gatherOf, planGatherOrViews, rowsOf, withIslands } from './plan-gather.ts'

/**
 * A SELECT that is gathered, and where it joins tables off their keys, the ways to have every shard join its own rows of one
 * with all rows of the others (docs/decisions/0038-spread.md). Which is the best is known when it runs.
 */
export function planSpread(a: Analysis, text: string, ctx: PlanContext): GatherStep | ViewsStep | undefined {
  const step = planGatherOrViews(a, text, ctx)
  if (step?.kind !== 'gather' || ctx.pushdown === false || isOfIsolation(a, text)) return step
  const select = a.block.node as SelectStmt
  const found = tableItems(a, select, ctx)
  if (found?.kind !== 'items') return step
  const query: Query = { a, text, select, items: found.items, ctx }
  const ways = candidates(query)
  const asked = ways.flatMap(({ islands, ctx: own }) => {
    const told = typed(islands, own)
    return told.kind === 'asks' ? told.parts : []
  })
  if (asked.length > 0) return { kind: 'gather-outside', relations: [], parts: distinct(asked) }
  const made = ways.flatMap((way) => wayOf(query, way) ?? [])
  const sizes = made.length > 0 ? sizesOf(query) : undefined
  return sizes === undefined ? step : { ...step, spreads: { sizes, ways: made } }
}

/**
 * By itself such a statement is a transaction with one snapshot: it would say so, and what code of users writes there could
 * fail for it.
 */
function isOfIsolation({ traits }: Analysis, text: string): boolean {
  return traits.user !== undefined || traits.writes || TELLS_ISOLATION.test(text)
}

const TELLS_ISOLATION = /transaction_isolation|current_setting|pg_settings|transaction_read_only/i

interface Query {
  readonly a: Analysis
  readonly text: string
  readonly select: SelectStmt
  readonly items: readonly TableItem[]
  readonly ctx: PlanContext
}

/** The query analyzed with all rows of some tables on every shard, and what shards can do then. */
interface Candidate {
  readonly a: Analysis
  readonly ctx: PlanContext
  readonly moved: readonly TableItem[]
  readonly islands: readonly Island[]
  /** Sharded tables that are in islands, so that their rows stay where they are. */
  readonly covered: readonly TableItem[]
}

/** Each is tried with every other table moved or not. */
const TABLES_MAX = 5

function candidates(query: Query): Candidate[] {
  const sharded = shardedOf(query)
  if (sharded.length < 2 || sharded.length > TABLES_MAX) return []
  if (query.items.some(({ relation }) => relation.kind === 'view')) return []
  if (neverRead(query.select).size > 0) return []
  const found = sharded.flatMap((stays) => candidate(query, stays, sharded) ?? [])
  const keyOf = ({ moved }: Candidate) => moved.map((item) => sharded.indexOf(item)).join()
  return found.filter((one, i) => found.findIndex((other) => keyOf(other) === keyOf(one)) === i)
}

const shardedOf = ({ items }: Query): TableItem[] =>
  items.filter(({ relation }) => relation.kind === 'sharded')

/** With the rows of `stays` where they are, and no more tables moved than that takes. */
function candidate(query: Query, stays: TableItem, sharded: readonly TableItem[]): Candidate | undefined {
  let best = withMoved(
    query,
    sharded.filter((item) => item !== stays),
  )
  if (!best.covered.includes(stays)) return undefined
  for (const item of best.moved) {
    const tried = withMoved(
      query,
      best.moved.filter((one) => one !== item),
    )
    if (best.covered.every((one) => tried.covered.includes(one))) best = tried
  }
  return best.moved.length > 0 && isWhole(best) ? best : undefined
}

function withMoved({ a, text, select, items, ctx }: Query, moved: readonly TableItem[]): Candidate {
  const own: PlanContext = { ...ctx, spread: new Set(moved.map(({ range }) => range)) }
  const analysis = analyzeAlone(a, text, select, own)
  const islands = islandsOf(analysis, select, items, own)
  const inIslands = new Set<RangeVar>(islands.flatMap(({ ranges }) => ranges))
  const covered = items.filter(
    (item) => item.relation.kind === 'sharded' && !moved.includes(item) && inIslands.has(item.range),
  )
  return { a: analysis, ctx: own, moved, islands, covered }
}

/**
 * What is moved is in islands. Its primary key stays behind: where that was grouped by, all of its columns are, and have to
 * be such as can be.
 */
function isWhole({ islands, moved }: Candidate): boolean {
  const inside = new Set<RangeVar>(islands.flatMap(({ ranges }) => ranges))
  return moved.every(
    ({ range, columns }) => inside.has(range) && columns.every(({ typeOid }) => !UNEQUAL.has(typeOid)),
  )
}

function wayOf(query: Query, { a, ctx, moved, islands }: Candidate): SpreadWay | undefined {
  const { select, items } = query
  const told = typed(islands, ctx)
  if (told.kind !== 'known' || told.islands.length < islands.length) return undefined
  const above = relationsOf(withIslands(select, told.islands))
  if (moved.some(({ range }) => above.includes(range))) return undefined
  const conditions = conditionsByItem(query.a, select, items, query.ctx)
  // Nothing is won by a join of which as many rows come back as there are without it.
  if (islands.some(({ joins = [] }) => joins.length > 0 && !joins.some((item) => conditions.has(item))))
    return undefined
  const left = items.filter((item) => !moved.includes(item))
  const gather = gatherOf(a, select, left, ctx, told.islands)
  const spread = spreadRows(query, moved)
  if (gather === undefined || spread === undefined) return undefined
  const sharded = shardedOf(query)
  const numbers = (those: readonly TableItem[]) => those.map((item) => sharded.indexOf(item))
  const inside = new Set<RangeVar>(islands.flatMap(({ ranges }) => ranges))
  return {
    spread,
    gather: { ...gather, part: overSpread(gather.part, moved), first: overSpread(gather.first, moved) },
    moves: numbers(moved),
    stays: numbers(sharded.filter((item) => !moved.includes(item) && inside.has(item.range))),
  }
}

function overSpread({ sql, params }: PartText, moved: readonly TableItem[]): PartText {
  return { sql: overArrays(sql, moved, params.length), params }
}

function spreadRows(
  query: Query,
  moved: readonly TableItem[],
): Pick<GatherPlan, 'inputs' | 'part' | 'first'> | undefined {
  const rows = filteredRows(query, moved)
  if (rows === undefined) return undefined
  const none = { atHome: false, finish: '', paramCount: 0, isInline: false }
  const { inputs, part, first } = gathering(query.a, moved, rows, none)
  return { inputs, part, first }
}

/** The SELECTs that give the rows of some tables. */
function filteredRows(
  { a, select, items, ctx }: Query,
  some: readonly TableItem[],
): readonly string[] | undefined {
  const conditions = conditionsByItem(a, select, items, ctx)
  const rows = some.map((item) => rowsOf(item, conditions.get(item) ?? [], undefined))
  return rows.includes(undefined) ? undefined : (rows as string[])
}

function sizesOf(query: Query): PartText | undefined {
  const rows = filteredRows(query, shardedOf(query))
  if (rows === undefined) return undefined
  return partText(rows.map((sql, i) => `SELECT ${i} FROM (${sql}) AS s`).join(' UNION ALL '))
}

function distinct(parts: readonly PartText[]): PartText[] {
  return [...new Map(parts.map((part) => [part.sql, part])).values()]
}
