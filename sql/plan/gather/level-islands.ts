import type { Column } from '../../catalog.ts'
import {
  as,
  hasSubqueries,
  type Node,
  paramsOf,
  type RangeVar,
  relationsOf,
  type SelectStmt,
  walk,
} from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { Level } from '../../place/solve.ts'
import { printed } from '../../print/printed.ts'
import { traitsOf, unstableBecause } from '../../tree/traits.ts'
import type { PlanContext } from '../plan.ts'
import { failsNever } from './fails-never.ts'
import { groupKeys, isWhollyGrouped, overKeys } from './group-clause.ts'
import type { TableItem } from './inputs.ts'
import { columnNameOf, type Island, isKnown, type KnownColumn } from './island.ts'
import { joinsOnce } from './joins-once.ts'
import { isPlainColumn, LevelNames } from './level-names.ts'
import { LevelRewriter, labelsOf, type Moved, NotMovable } from './level-rewriter.ts'
import { withGathered } from './over-gathered.ts'
import { partText } from './part-text.ts'
import { topRowsOf } from './top-rows.ts'

/** What is known of the statement that a level is in. */
export interface Around {
  readonly a: Analysis
  readonly items: readonly TableItem[]
  readonly ctx: PlanContext
  /** Rows of the level that are alike count as one in what is made of them. */
  readonly isSet: boolean
  /** No condition of another level takes rows of it away before its values are computed. */
  readonly isTop: boolean
  /** Those that every shard is given all rows of: it has arrays of them in the place of the tables. */
  readonly spread: readonly TableItem[]
}

type Making = (level: Level, select: SelectStmt, names: LevelNames, around: Around) => Island | undefined

/** Undefined: shards can do no more for the level than to give its tables' rows, or no more is known to be right. */
export function islandOf(level: Level, select: SelectStmt, around: Around): Island | undefined {
  const { scope } = level.block
  if (scope === undefined || level.rows.kind !== 'part') return undefined
  const names = new LevelNames(select, scope, around.items)
  if (names.hidesTypes) return undefined
  for (const make of [complete, groups, rows]) {
    const island = tried(make, level, select, names, around)
    if (island !== undefined) return island
  }
  return undefined
}

function tried(
  make: Making,
  level: Level,
  select: SelectStmt,
  names: LevelNames,
  around: Around,
): Island | undefined {
  try {
    return make(level, select, names, around)
  } catch (error) {
    if (error instanceof NotMovable) return undefined
    throw error
  }
}

/** All that it reads is on every shard, whole or in part; nothing depends on when, or how often, it runs. */
function isOnShards(ranges: readonly RangeVar[], { a, items }: Around): boolean {
  const read = items.filter(({ range }) => ranges.includes(range))
  if (read.length < ranges.length || read.some(({ place }) => place === 'home')) return false
  const readsViews = read.some(({ relation }) => relation.kind === 'view')
  return !readsViews || unstableBecause(a.traits, false) === undefined
}

/** Every shard answers its part of the level: no group, and no partition of a window, is on two of them. */
const complete: Making = (level, select, names, around) => {
  const { shape } = level.block
  if (level.status.kind !== 'part' || isReduced(level, around)) return undefined
  if (!shape.group && !shape.window && !shape.distinct) return undefined
  const rewriter = new LevelRewriter(names, around.a.catalog, shape.group ? 'groups' : 'columns', true)
  const keys = groupKeys(select, names)
  if (keys === undefined) return undefined
  for (const key of keys) rewriter.key(key)
  const by = rewriter.moved.map((_, i) => place(i + 1))
  const { groupClause: _, groupDistinct: __, havingClause, windowClause, ...rest } = select
  const over = (from: RangeVar): SelectStmt => above(rest, rewriter, from)
  over({})
  const part = partOf(bare(select), rewriter.moved, {
    ...(by.length > 0 && { groupClause: by }),
    ...(havingClause && { havingClause }),
    ...(windowClause && { windowClause }),
  })
  return made(select, part, rewriter, names, around, over)
}

/** One row of partial values for each group, or each different row. */
const groups: Making = (level, select, names, around) => {
  const { shape } = level.block
  const isGrouping = shape.group || shape.aggregate !== undefined
  if (shape.setReturning !== undefined || shape.distinctOn) return undefined
  if (!isGrouping && (shape.having || shape.window || !(shape.distinct || isReduced(level, around))))
    return undefined
  // For each row there is another: of two rows that are alike in the rest neither goes.
  if (!isGrouping && isUnsteady(around.a, select.targetList)) return undefined
  const rewriter = new LevelRewriter(names, around.a.catalog, 'groups')
  const grouping = isGrouping ? groupKeys(select, names) : undefined
  if (isGrouping && grouping === undefined) return undefined
  const keys = grouping ?? targetsOf(select).flatMap(({ val }) => (hasColumns(val) ? [val!] : []))
  for (const key of keys) rewriter.key(key)
  // Cast to the type of another arm, what is equal may differ.
  if (!isGrouping && !shape.distinct && !rewriter.moved.every(({ column }) => isPlainOrAsked(column)))
    return undefined
  const over = (from: RangeVar): SelectStmt => ({
    ...above(select, rewriter, from),
    ...(select.groupClause && { groupClause: overKeys(select, names, (key) => rewriter.key(key)) }),
  })
  over({})
  const by = rewriter.moved.flatMap(({ isKey }, i) => (isKey ? [place(i + 1)] : []))
  const part = partOf(bare(select), rewriter.moved, by.length > 0 ? { groupClause: by } : {})
  return made(select, part, rewriter, names, around, over)
}

/** The rows of a join, of those columns that are needed above it. */
const rows: Making = (level, select, names, around) => {
  const { shape } = level.block
  const isOfOne = names.all.length < 2 && !isSpread(relationsOf(select.whereClause), around)
  // For one table there is as good a way that takes less.
  if (isOfOne || isReduced(level, around)) return undefined
  if (shape.group && !isWhollyGrouped(select, names)) return undefined
  const rewriter = new LevelRewriter(names, around.a.catalog, 'columns')
  const over = (from: RangeVar): SelectStmt => ({
    ...above(select, rewriter, from),
    ...(select.groupClause && { groupClause: overKeys(select, names, (key) => rewriter.expression(key)) }),
  })
  over({})
  const top = hasSubqueries(select.sortClause)
    ? undefined
    : topRowsOf(around.a, level.block, select, around.ctx)
  // A join may have more rows than its tables have together.
  const joined = around.spread.filter((item) => names.all.includes(item))
  if (top === undefined && !joinsOnce(joined, select, names)) return undefined
  const limits = top && {
    limitCount: top.count,
    limitOption: 'LIMIT_OPTION_COUNT' as const,
    ...(top.sort.length > 0 && { sortClause: [...top.sort] }),
  }
  const island = made(
    select,
    partOf(bare(select), rewriter.moved, limits ?? {}),
    rewriter,
    names,
    around,
    over,
  )
  return island && { ...island, ...(top === undefined && { joins: joined }) }
}

const isSpread = (ranges: readonly RangeVar[], { spread }: Around): boolean =>
  spread.some(({ range }) => ranges.includes(range))

/** Of its rows those that are alike may be made one. */
function isReduced({ block: { shape } }: Level, { isSet }: Around): boolean {
  const { limit, group, aggregate, having, window, setReturning } = shape
  return isSet && (limit ?? group ?? aggregate ?? having ?? window ?? setReturning) === undefined
}

function isUnsteady({ catalog }: Analysis, expressions: unknown): boolean {
  const traits = traitsOf(expressions, catalog)
  return unstableBecause(traits, false) !== undefined || traits.writes
}

const isPlainOrAsked = (column: KnownColumn): boolean => !isKnown(column) || isPlainColumn(column)

const targetsOf = (select: SelectStmt) => (select.targetList ?? []).map((node) => as(node, 'ResTarget') ?? {})

function hasColumns(node: Node | undefined): boolean {
  let found = false
  walk(node, (kind, body) => {
    if (kind === 'ColumnRef' || (kind === 'FuncCall' && (body as { agg_star?: boolean }).agg_star))
      found = true
  })
  return found
}

/** FROM and WHERE. */
function bare({ whereClause, ...select }: SelectStmt): SelectStmt {
  return { ...empty(select), ...(whereClause && { whereClause }) }
}

/** FROM. */
function empty({ fromClause, op, limitOption }: SelectStmt): SelectStmt {
  return {
    ...(fromClause && { fromClause }),
    ...(op && { op }),
    ...(limitOption && { limitOption: 'LIMIT_OPTION_DEFAULT' }),
  }
}

/** The level over gathered rows; its groups apart. */
function above(select: SelectStmt, rewriter: LevelRewriter, from: RangeVar): SelectStmt {
  const labels = labelsOf(select)
  const { whereClause: _, havingClause, windowClause, sortClause, distinctClause, ...rest } = select
  const { limitCount, limitOffset } = rest
  if (hasColumns(limitCount) || hasColumns(limitOffset)) throw new NotMovable()
  const isEmpty = (node: Node) => Object.keys(node).length === 0
  const byOutput = (node: Node) => (isEmpty(node) ? node : rewriter.byOutput(node, labels))
  return {
    ...rest,
    fromClause: [{ RangeVar: from }],
    targetList: rewriter.targets(select),
    ...(havingClause && { havingClause: rewriter.expression(havingClause) }),
    ...(windowClause && { windowClause: rewriter.expression(windowClause) }),
    ...(sortClause && { sortClause: sortClause.map(byOutput) }),
    ...(distinctClause && { distinctClause: distinctClause.map(byOutput) }),
  }
}

function partOf(select: SelectStmt, moved: readonly Moved[], more: Partial<SelectStmt>): SelectStmt {
  const { withClause: _, ...level } = select
  const targetList = moved.map(({ node }, i) => ({ ResTarget: { name: columnNameOf(i), val: node } }) as Node)
  return { ...level, targetList, ...more }
}

const place = (ival: number): Node => ({ A_Const: { ival: { ival } } }) as Node

function made(
  level: SelectStmt,
  part: SelectStmt,
  rewriter: LevelRewriter,
  names: LevelNames,
  around: Around,
  over: (from: RangeVar) => SelectStmt,
): Island | undefined {
  const { moved } = rewriter
  const ranges = relationsOf({ SelectStmt: part })
  if (!around.isTop && !moved.every(({ node }) => failsNever(node, names.scope))) return undefined
  if (moved.length === 0 || !isOnShards(ranges, around) || !isLastingPart(around, part)) return undefined
  const written = printed({ SelectStmt: part } as Node)
  const sql = isSpread(ranges, around)
    ? printed(withGathered({ SelectStmt: part } as Node, around.spread))
    : written
  if (sql === undefined || written === undefined) return undefined
  return {
    level,
    sql,
    part: partText(written),
    columns: moved.map(({ column }) => column),
    ranges,
    names: targetsOf({ targetList: moved.map(({ node }) => ({ ResTarget: { val: node } }) as Node) }).map(
      (target) => [...labelsOf({ targetList: [{ ResTarget: target }] })][0] ?? '',
    ),
    tables: names.all.map(({ relation }) => relation.name),
    over: (from: RangeVar, columns: readonly Column[]) => {
      rewriter.withTypes(columns.map(({ type }) => type))
      return over(from)
    },
  }
}

/** The same wherever and whenever it runs; types of its parameters are those that they have in the statement. */
function isLastingPart({ a, ctx: { paramTypes } }: Around, part: SelectStmt): boolean {
  const traits = traitsOf({ SelectStmt: part }, a.catalog)
  if ((unstableBecause(traits, false) ?? traits.begins ?? traits.timeLiteral) !== undefined) return false
  if (traits.writes || traits.sample || traits.locksRows || traits.skips.length > 0) return false
  return [...paramsOf({ SelectStmt: part }).keys()].every(
    (n) => (paramTypes[n - 1] ?? 0) !== 0 || a.params.get(n) === 1,
  )
}
