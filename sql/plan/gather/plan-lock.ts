import type * as Pg from '@pgsql/types'
import {
  as,
  columnNode,
  conjuncts,
  hasSubqueries,
  type Node,
  type SelectStmt,
  strings,
} from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printedExpression } from '../../print/printed.ts'
import { analyzeAlone } from '../analyze-alone.ts'
import type { PlanContext } from '../plan.ts'
import { quoteName } from '../text-scan.ts'
import { conditionsByItem } from './conditions.ts'
import {
  EXTRA,
  type GatherPlan,
  isGatheredName,
  LIMIT_COLUMN,
  type LockedTable,
  type LockStep,
  OFFSET_COLUMN,
  type OutsideStep,
  ownName,
  type ViewsStep,
} from './gather-plan.ts'
import { isHomes, type TableItem, tableItems } from './inputs.ts'
import { type LockedRanges, lockedRanges, PlacesAbove } from './locked-ranges.ts'
import { selectNode } from './made-nodes.ts'
import { finishAlone, withGathered } from './over-gathered.ts'
import { hasPlaces, keyOrderOf, lookOf, orderOf, placesOf, wholeOf, withPlaces } from './places.ts'
import { gathering, isGatherable, rowsOf, stepBefore } from './plan-gather.ts'
import { type TopRows, topRows } from './top-rows.ts'
import { hasTwins, namesSchemas } from './twins.ts'

/**
 * SELECT … FOR UPDATE and its kin, which several shards cannot answer each for itself. What it reads is gathered, with the
 * places of rows of the tables that it locks; the query is run over that, and its rows are locked where they are. Undefined:
 * what it does has no exact meaning this way, or is not known well enough.
 */
export function planLock(
  a: Analysis,
  locking: SelectStmt,
  text: string,
  ctx: PlanContext,
): LockStep | OutsideStep | ViewsStep | undefined {
  if (isGatheredName(text) || locking.lockingClause === undefined) return undefined
  const { lockingClause, ...select } = locking
  const alone = analyzeAlone(a, text, select, ctx)
  const { user, writes, home } = alone.traits
  if (!isGatherable(alone) || writes || (user ?? home) !== undefined) return undefined
  const ranges = lockedRanges(
    alone,
    select,
    lockingClause.map((node) => as(node, 'LockingClause')!),
  )
  if (ranges === undefined) return undefined
  const found = tableItems(alone, select, ctx, ranges)
  if (found?.kind !== 'items') return found && stepBefore(found, text)
  if (hasTwins(found.items) && namesSchemas(select)) return undefined
  const locked = lockedItems(found.items, ranges)
  const isKnown = locked.every(
    ({ item }) => hasPlaces(item, ctx.outside) && !isReferredTo(a, item, lockingClause),
  )
  return isKnown ? stepOf(alone, withNamedStars(select, found.items), found.items, locked, ctx) : undefined
}

/** `*` as the columns that it stands for, where ORDER BY counts them: places come beside a table's columns. */
function withNamedStars(select: SelectStmt, items: readonly TableItem[]): SelectStmt {
  const { sortClause = [], targetList = [], fromClause = [] } = select
  if (!sortClause.some((node) => as(as(node, 'SortBy')?.node, 'A_Const'))) return select
  const columns = columnsOf(fromClause, items)
  if (columns === undefined) return select
  const named = targetList.flatMap((node) => {
    const fields = as(as(node, 'ResTarget')?.val, 'ColumnRef')?.fields ?? []
    if (as(fields.at(-1), 'A_Star') === undefined) return [node]
    const [owner] = strings(fields)
    return columns
      .filter(([alias]) => owner === undefined || alias === owner)
      .map((names) => ({ ResTarget: { val: columnNode(...names) } }) as Node)
  })
  return { ...select, targetList: named }
}

/** Of tables side by side, none of whose columns is one with another's. */
function columnsOf(
  from: readonly Node[],
  items: readonly TableItem[],
): (readonly [string, string])[] | undefined {
  const columns: (readonly [string, string])[] = []
  for (const node of from) {
    const join = as(node, 'JoinExpr')
    const isMerged = join !== undefined && (join.isNatural || join.usingClause || join.alias)
    const item = items.find(({ range }) => range === as(node, 'RangeVar'))
    if (isMerged || item?.range.alias?.colnames) return undefined
    const own =
      join === undefined
        ? item?.relation.columns.map(({ name }) => [item.alias, name] as const)
        : columnsOf([join.larg!, join.rarg!], items)
    if (own === undefined) return undefined
    columns.push(...own)
  }
  return columns
}

interface LockedItem {
  readonly item: TableItem
  readonly strength: string
  readonly skips: boolean
}

function lockedItems(items: readonly TableItem[], ranges: LockedRanges): readonly LockedItem[] {
  return items.flatMap((item) => {
    const own = ranges.get(item.range)
    return own === undefined ? [] : [{ item, ...wordsOf(own, item.alias) }]
  })
}

const STRENGTHS = ['LCS_FORKEYSHARE', 'LCS_FORSHARE', 'LCS_FORNOKEYUPDATE', 'LCS_FORUPDATE'] as const
const WORDS = ['KEY SHARE', 'SHARE', 'NO KEY UPDATE', 'UPDATE'] as const
const strengthOf = ({ strength }: Pg.LockingClause): number =>
  STRENGTHS.indexOf(strength as (typeof STRENGTHS)[number])

/** Of several clauses about one table the strongest counts, and of what they say of waiting the most impatient. */
function wordsOf(clauses: readonly Pg.LockingClause[], alias: string): Omit<LockedItem, 'item'> {
  const policies = clauses.map(({ waitPolicy }) => waitPolicy)
  const isImpatient = policies.includes('LockWaitError')
  const skips = !isImpatient && policies.includes('LockWaitSkip')
  const how = isImpatient ? ' NOWAIT' : skips ? ' SKIP LOCKED' : ''
  const strength = WORDS[Math.max(...clauses.map(strengthOf))]!
  return { strength: `FOR ${strength} OF ${quoteName(alias)}${how}`, skips }
}

/** The checks of foreign keys of sharded tables find a reference table's locks on their own shard only. */
function isReferredTo({ catalog }: Analysis, { relation }: TableItem, clauses: readonly Node[]): boolean {
  if (relation.kind !== 'reference' || relation.referredBy === undefined || catalog.shardCount === 1)
    return false
  return clauses.some((node) => as(node, 'LockingClause')?.strength === 'LCS_FORUPDATE')
}

function stepOf(
  a: Analysis,
  select: SelectStmt,
  items: readonly TableItem[],
  locked: readonly LockedItem[],
  ctx: PlanContext,
): LockStep | undefined {
  const conditions = conditionsByItem(a, select, items, ctx)
  const asked = items.map((item) => conditions.get(item) ?? [])
  const isFiltered = items.length === 1 && asked[0]!.length === conjuncts(select.whereClause).length
  const top = isFiltered ? withExtra(topRows(a, select, ctx)) : undefined
  const placed = items.map((item) => {
    const n = locked.findIndex((one) => one.item === item)
    return n < 0 ? item : withPlaces(item, n)
  })
  const rows = placed.map((item, i) => rowsOf(item, asked[i]!, top))
  const above = new PlacesAbove(
    select,
    placed,
    new Map(locked.map(({ item }, n) => [item.range, placesOf(n)])),
  )
  const find = above.areSeen ? undefined : findOf(above, placed, locked)
  if (find === undefined || rows.includes(undefined)) return undefined
  const isAtHome = (item: TableItem) =>
    isHomes(item) || (item.place === 'any' && locked.some((one) => one.item === item))
  const finishing = { ...find, atHome: items.some(isAtHome), isInline: false }
  const tables = locked.map(
    ({ item, strength, skips }): LockedTable => ({
      look: lookOf(item),
      whole: wholeOf(item),
      order: orderOf(item),
      keyOrder: keyOrderOf(item),
      strength,
      skips,
    }),
  )
  const isOrdered = select.sortClause !== undefined
  const gather = gathering(a, placed, rows as string[], finishing)
  const from = JSON.stringify(select.fromClause)
  const isJudged = /"(?:JOIN_LEFT|JOIN_RIGHT|JOIN_FULL|RangeSubselect)"/.test(from)
  return { kind: 'gather-lock', gather, lock: { tables, isOrdered, isJudged } }
}

/** To whatever is less a few can be added. */
const MOST = 2n ** 60n

/** Each shard's first rows, with some that may be wanted in the place of others. */
function withExtra(top: TopRows | undefined): TopRows | undefined {
  const count = top && printedExpression(top.count)
  if (count === undefined) return undefined
  return { ...top!, count: selectNode(`SELECT LIMIT LEAST(${count}, ${MOST}) + ${EXTRA}`).limitCount! }
}

/** The rows of the query; in columns after its own the places of what they are made of, and what LIMIT and OFFSET say. */
function findOf(
  { select, names }: PlacesAbove,
  items: readonly TableItem[],
  locked: readonly LockedItem[],
): Pick<GatherPlan, 'finish' | 'paramCount' | 'finishParams'> | undefined {
  const limits = limitsOf(select)
  if (limits === undefined) return undefined
  const places = locked.flatMap(({ item }) => names.get(item.range)!)
  const told = [
    ...places.map((place, i) => `CAST(${place} AS text) AS ${ownName(`place_${i}`)}`),
    ...limits.columns,
  ]
  const { limitCount: _, limitOffset: __, ...base } = select
  const found = {
    ...base,
    ...limits.clauses,
    targetList: [...(select.targetList ?? []), ...(selectNode(`SELECT ${told.join(', ')}`).targetList ?? [])],
  }
  return finishAlone(withGathered({ SelectStmt: found } as Node, items), items)
}

interface Limits {
  readonly clauses: Pick<SelectStmt, 'limitCount' | 'limitOffset' | 'limitOption'>
  readonly columns: readonly string[]
}

/** Rows that OFFSET leaves out are locked, too; so they are found, and some that may be wanted in the place of others. */
function limitsOf({ limitCount, limitOffset, limitOption }: SelectStmt): Limits | undefined {
  const [count, offset] = [limitCount, limitOffset].map((part) => part && asBigint(part))
  const isTies = limitOption === 'LIMIT_OPTION_WITH_TIES'
  if ((limitCount && count === undefined) || (limitOffset && offset === undefined)) return undefined
  // What they read would have to be gathered in each place.
  if (hasSubqueries([limitCount, limitOffset])) return undefined
  if (isTies)
    return offset === undefined
      ? { clauses: { limitCount: limitCount!, limitOption }, columns: [] }
      : undefined
  const skipped = offset === undefined ? '0' : `COALESCE(${offset}, 0)`
  // What Postgres has to say of a negative one it says.
  const first =
    count &&
    `LIMIT CASE WHEN ${count} < 0 THEN ${count} ELSE LEAST(${count}, ${MOST}) + LEAST(${skipped}, ${MOST}) + ${EXTRA} END`
  const after = offset && `OFFSET LEAST(${skipped}, 0)`
  const { limitCount: most, limitOffset: least } = selectNode(`SELECT ${first ?? ''} ${after ?? ''}`)
  const told = (value: string | undefined, name: string) =>
    value === undefined ? [] : [`CAST(${value} AS text) AS ${name}`]
  return {
    clauses: {
      ...(most && { limitCount: most }),
      ...(least && { limitOffset: least }),
      limitOption: most || least ? 'LIMIT_OPTION_COUNT' : 'LIMIT_OPTION_DEFAULT',
    },
    columns: [...told(count, LIMIT_COLUMN), ...told(offset && skipped, OFFSET_COLUMN)],
  }
}

function asBigint(part: Node): string | undefined {
  const text = printedExpression(part)
  return text === undefined ? undefined : `CAST(${text} AS bigint)`
}
