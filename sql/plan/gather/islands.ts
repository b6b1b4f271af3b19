import type { Column } from '../../catalog.ts'
import { as, type Node, type SelectStmt, type SubLink, walk } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { PlanContext } from '../plan.ts'
import { isClosed } from './closed.ts'
import type { PartText } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { columnNameOf, type Island, isKnown } from './island.ts'
import { islandOf } from './level-islands.ts'

/** The largest pieces of a query that shards can answer for themselves, in part. */
export function islandsOf(
  a: Analysis,
  select: SelectStmt,
  items: readonly TableItem[],
  ctx: PlanContext,
): Island[] {
  const spread = items.filter(({ range }) => ctx.spread?.has(range))
  return ctx.pushdown === false ? [] : visit(select, false, true)

  function visit(level: SelectStmt, isSet: boolean, isTop: boolean): Island[] {
    const { larg, rarg } = level
    if (larg !== undefined && rarg !== undefined) {
      const isOfSets = level.all !== true
      const arms = [larg, rarg].flatMap((arm) => visit(arm, isOfSets, isTop))
      return [...arms, ...below({ ...level, larg: {}, rarg: {} })]
    }
    const known = a.levels.get(level)
    const island = known && islandOf(known, level, { a, items, ctx, isSet, isTop, spread })
    return island === undefined ? below(level) : [island, ...insideSubqueries(level, island)]
  }

  /** Subqueries of the level that name nothing of it. */
  function below(level: SelectStmt): Island[] {
    return queriesIn(level)
      .filter(({ isApart, query }) => isApart || isClosed(query, items))
      .flatMap(({ query, isSet }) => visit(as(query, 'SelectStmt')!, isSet, false))
  }

  /** Those that stay above the island. */
  function insideSubqueries(level: SelectStmt, { ranges }: Island): Island[] {
    const { fromClause: _, whereClause: __, withClause, ...rest } = level
    return below({ ...rest, ...(withClause && { withClause }) }).filter(
      (inner) => !inner.ranges.some((range) => ranges.includes(range)),
    )
  }
}

interface Inner {
  readonly query: Node
  /** It cannot see what is around it. */
  readonly isApart: boolean
  /** Only which rows it has counts, not how often. */
  readonly isSet: boolean
}

/** Queries right below a level. */
function queriesIn(level: SelectStmt): Inner[] {
  const found: Inner[] = []
  const { withClause, ...rest } = level
  for (const node of withClause?.recursive === true ? [] : (withClause?.ctes ?? [])) {
    const query = as(node, 'CommonTableExpr')?.ctequery
    if (as(query, 'SelectStmt') !== undefined) found.push({ query: query!, isApart: true, isSet: false })
  }
  walk(Object.values(rest), (kind, body) => {
    if (kind === 'RangeSubselect') {
      const { subquery, lateral } = body as { subquery?: Node; lateral?: boolean }
      if (subquery !== undefined && lateral !== true)
        found.push({ query: subquery, isApart: true, isSet: false })
      return false
    }
    if (kind === 'SubLink') {
      const { subselect, subLinkType } = body as SubLink
      const isSet = subLinkType === 'ANY_SUBLINK'
      if (as(subselect, 'SelectStmt') !== undefined) found.push({ query: subselect!, isApart: false, isSet })
      return false
    }
    return kind !== 'SelectStmt'
  })
  return found
}

/** Islands with all their columns; or what a shard has to be asked first. */
export type Typed =
  | { readonly kind: 'known'; readonly islands: readonly (readonly [Island, readonly Column[]])[] }
  | { readonly kind: 'asks'; readonly parts: readonly PartText[] }

export function typed(islands: readonly Island[], { described: told }: PlanContext): Typed {
  const isWhole = ({ columns, part }: Island) => columns.every(isKnown) || told?.has(part.sql) === true
  const unknown = islands.filter((island) => !isWhole(island))
  if (unknown.length > 0) return { kind: 'asks', parts: unknown.map(({ part }) => part) }
  const known = islands.map((island) => [island, columnsOf(island, told?.get(island.part.sql))] as const)
  return { kind: 'known', islands: known.filter(([, columns]) => columns.every(isTransportable)) }
}

function columnsOf({ columns }: Island, told: readonly Column[] | undefined): readonly Column[] {
  return columns.map((column, i) => {
    const name = columnNameOf(i)
    if (isKnown(column)) return { ...column, name }
    const { collation } = column
    return { ...told![i]!, name, ...(collation === undefined ? {} : { collation }) }
  })
}

/** Rows, and whatever has no type yet, cannot be read again from what they are written as. */
const PSEUDO: ReadonlySet<number> = new Set([705, 2249, 2276, 2277, 2278, 2283, 2287, 2776, 3500, 3831])
const isTransportable = ({ typeOid }: Column): boolean => !PSEUDO.has(typeOid)

/** The tree with other levels in the place of some; what has none in it stays the very same. */
export function withLevels<T>(value: T, levels: ReadonlyMap<object, SelectStmt>): T {
  if (typeof value !== 'object' || value === null) return value
  const level = levels.get(value)
  if (level !== undefined) return withLevels(level, levels) as T
  if (Array.isArray(value)) {
    const items = value.map((item) => withLevels(item, levels))
    return items.some((item, i) => item !== value[i]) ? (items as T) : value
  }
  let changed = false
  const entries = Object.entries(value).map(([field, inner]) => {
    const made = withLevels(inner, levels)
    changed ||= made !== inner
    return [field, made]
  })
  return changed ? (Object.fromEntries(entries) as T) : value
}
