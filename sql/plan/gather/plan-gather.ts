import type { Column, Relation } from '../../catalog.ts'
import { EFFECT, NO_EFFECTS } from '../../code/effects.ts'
import {
  as,
  conjuncts,
  type Node,
  paramsOf,
  type RangeVar,
  relationsOf,
  type SelectStmt,
} from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printed } from '../../print/printed.ts'
import { castType } from '../cast-type.ts'
import { ofStatement } from '../of-statement.ts'
import { listedCondition } from '../own-in-catalogs.ts'
import type { PlanContext } from '../plan.ts'
import { keysRoute, restrictionsOf } from '../routing.ts'
import { quoteName, quoteTable } from '../text-scan.ts'
import { conditionsByItem } from './conditions.ts'
import {
  type GatherPlan,
  type GatherStep,
  gatheredName,
  isGatheredName,
  isOwnName,
  type OutsideStep,
  type OverRows,
  type PartText,
  placePart,
  UNSAFE_ROW,
  type ViewPlace,
  type ViewsStep,
} from './gather-plan.ts'
import { isHomes, type TableItem, type TableItems, tableItems } from './inputs.ts'
import { type Island, ROWS } from './island.ts'
import { islandsOf, typed, withLevels } from './islands.ts'
import { neverRead, withoutRows } from './limit-zero.ts'
import { expressionNode } from './made-nodes.ts'
import { finishAlone, overArrays, withGathered } from './over-gathered.ts'
import { partText } from './part-text.ts'
import { xminOf } from './places.ts'
import { isLastingSample } from './samples.ts'
import { Slots } from './slots.ts'
import { type TopRows, topRows } from './top-rows.ts'
import { FORMAT, transportOf } from './transport.ts'
import { hasTwins, namesRows, namesSchemas } from './twins.ts'
import { placeOfView } from './view-places.ts'

/**
 * A SELECT that several shards cannot answer each for itself, by gathering what it reads. Undefined: what it does has no
 * exact meaning this way, or is not known well enough.
 */
export function planGather(a: Analysis, text: string, ctx: PlanContext): GatherStep | undefined {
  const step = planGatherOrViews(a, text, ctx)
  return step?.kind === 'gather-views' ? undefined : step
}

/** The same, where views in the text may be replaced. */
export function planGatherOrViews(
  a: Analysis,
  text: string,
  ctx: PlanContext,
): GatherStep | ViewsStep | undefined {
  const select = a.block.node as SelectStmt
  if (isGatheredName(text) || !isGatherable(a, ALL) || hidesReads(a, text)) return undefined
  const found = tableItems(a, select, ctx)
  if (found === undefined) return undefined
  if (found.kind !== 'items') return stepBefore(found, text)
  if (hasTwins(found.items) && namesSchemas(select) && namesRows(select, found.items)) return undefined
  if (!found.items.every(({ sample }) => sample === undefined || isLastingSample(a, sample, ctx)))
    return undefined
  return reduced(a, select, found.items, ctx) ?? plainly(a, select, found.items, ctx)
}

/** By what shards make of their rows, where they can do more than to give them. */
function reduced(
  a: Analysis,
  select: SelectStmt,
  items: readonly TableItem[],
  ctx: PlanContext,
): GatherStep | undefined {
  const islands = islandsOf(a, select, items, ctx)
  if (islands.length === 0) return undefined
  const found = typed(islands, ctx)
  if (found.kind === 'asks') return { kind: 'gather-outside', relations: [], parts: found.parts }
  const gather = gatherOf(a, select, items, ctx, found.islands)
  return gather && { kind: 'gather', gather }
}

function plainly(
  a: Analysis,
  select: SelectStmt,
  items: readonly TableItem[],
  ctx: PlanContext,
): GatherStep | undefined {
  const gather = gatherOf(a, select, items, ctx, [])
  return gather && { kind: 'gather', gather }
}

/** What is to be done before it can be planned. */
export function stepBefore(
  found: Exclude<TableItems, { kind: 'items' }>,
  text: string,
): OutsideStep | ViewsStep | undefined {
  if (found.kind === 'outside') return { kind: 'gather-outside', relations: found.relations }
  const places = found.views.map((view) => placeOfView(text, view))
  return places.includes(undefined) ? undefined : { kind: 'gather-views', places: places as ViewPlace[] }
}

export function gatherOf(
  a: Analysis,
  select: SelectStmt,
  all: readonly TableItem[],
  ctx: PlanContext,
  islands: readonly (readonly [Island, readonly Column[]])[],
): GatherPlan | undefined {
  const above = withIslands(select, islands)
  const left = relationsOf(above)
  const kept = all.filter(({ range }) => left.includes(range))
  const items = [...islands.map(([island, columns]) => islandItem(island, columns)), ...kept]
  const never = neverRead(select)
  const rows = [
    ...islands.map(([{ sql, ranges }]) =>
      ranges.every((range) => never.has(range)) ? withoutRows(sql) : sql,
    ),
    ...rowsOfItems(a, select, kept, ctx).map((sql, i) =>
      sql !== undefined && never.has(kept[i]!.range) ? withoutRows(sql) : sql,
    ),
  ]
  const isInline = ctx.around?.isInline === true
  const query = withGathered(above, items)
  const statement = ctx.around?.statement(query) ?? query
  const isPartial = islands.length > 0 || items.some(({ sample }) => sample !== undefined)
  const finishing = finishOf(statement, items, ctx.around ?? {}, isPartial)
  if (finishing === undefined || rows.includes(undefined)) return undefined
  const { user, home, server, writes } = a.traits
  const callsHome = (user ?? home ?? server) !== undefined || writes
  const atHome = ctx.around !== undefined || callsHome || items.some(isHomes)
  return gathering(a, items, rows as string[], { atHome, isInline, ...finishing })
}

/** The query over the rows of islands, which are gathered first. */
export function withIslands(
  select: SelectStmt,
  islands: readonly (readonly [Island, readonly Column[]])[],
): Node {
  const levels = islands.map(([island, columns], i) => {
    const from = { ...gatheredRange(i), alias: { aliasname: ROWS } }
    return [island.level, island.over(from, columns)] as const
  })
  return { SelectStmt: withLevels(select, new Map<object, SelectStmt>(levels)) } as Node
}

const gatheredRange = (input: number): RangeVar => ({
  relname: gatheredName(input),
  inh: true,
  relpersistence: 'p',
})

/** An island's rows as those of a table. */
function islandItem({ tables, names, ranges }: Island, columns: readonly Column[]): TableItem {
  const name = [...new Set(tables)].join('" and "')
  const relation: Relation = { oid: 0, schema: '', name, kind: 'sharded', columns }
  return { relation, place: 'parts', range: ranges[0]!, alias: ROWS, columns, shown: names }
}

/** The SELECTs that give the items' rows. */
function rowsOfItems(
  a: Analysis,
  select: SelectStmt,
  items: readonly TableItem[],
  ctx: PlanContext,
): (string | undefined)[] {
  if (ctx.pushdown === false) return items.map((item) => rowsOf(item, [], undefined))
  const conditions = conditionsByItem(a, select, items, ctx)
  const asked = items.map((item) => conditions.get(item) ?? [])
  const isFiltered = items.length === 1 && asked[0]!.length === conjuncts(select.whereClause).length
  const top = isFiltered ? topRows(a, select, ctx) : undefined
  return items.map((item, i) => rowsOf(item, asked[i]!, top))
}

/** What gathers the rows of items, by the SELECTs that give them, for a statement that is run over them. */
export function gathering(
  a: Analysis,
  items: readonly TableItem[],
  rows: readonly string[],
  finishing: Omit<GatherPlan, 'inputs' | 'part' | 'first' | 'route'>,
): GatherPlan {
  const inputs = items.map(({ columns }) => columns.map((column) => transportOf(column, finishing.isInline)))
  const slots = new Slots(
    items.map(({ columns }) => columns),
    inputs,
  )
  const isText = inputs.flat().some(({ format }) => format === 0)
  const part = (isRead: (item: TableItem) => boolean) => partOf(rows, items, slots, isText, isRead)
  const restrictions = restrictionsOf(a.occurrences)
  return {
    inputs: items.map(({ relation, columns, shown }, i) => ({
      table: relation.name,
      ...(relation.key && { key: relation.key.column }),
      columns: inputs[i]!,
      slots: slots.ofInputs[i]!,
      names: shown ?? columns.flatMap(({ name }) => (isOwnName(name) ? [] : name)),
      ...(placePart(columns.at(-1)?.name ?? '') === 'shard' ? { tellsShard: true } : {}),
    })),
    part: part(({ place }) => place === 'parts'),
    first: part(() => true),
    ...(restrictions?.length === 1 ? { route: keysRoute(a, restrictions) } : {}),
    ...finishing,
  }
}

/** Code of users that may read what is gathered without a word of it: it would see the home shard's part. */
function hidesReads({ catalog, traits }: Analysis, text: string): boolean {
  return traits.user !== undefined && (ofStatement(catalog, text) & EFFECT.dynamic) !== 0
}

/** What some queries may have that are gathered. */
interface Allowed {
  /** Of tables. */
  readonly samples?: true
  /** Values of one server: all of the query but its tables is computed at home. */
  readonly server?: boolean
}

/** Nothing but reading, by what is the same on every shard or runs at home. */
export function isGatherable({ traits, targets, params }: Analysis, allowed: Allowed = {}): boolean {
  if (targets.length > 0 || traits.modifies || traits.locksRows) return false
  if (traits.pins || traits.mayUnpin || traits.taints || traits.leaves !== NO_EFFECTS) return false
  if (traits.currentOf !== undefined || (allowed.samples ? traits.sampleOfWhole : traits.sample)) return false
  const { server, systemColumn, queryText } = traits
  const strange = systemColumn ?? queryText ?? (allowed.server ? undefined : server)
  return strange === undefined && params.size < PARAMS_MAX
}

const ALL: Allowed = { samples: true, server: true }

/** Room for those of the gathered columns. */
const PARAMS_MAX = 30_000

/** The SELECT that gives an item's rows. */
export function rowsOf(
  item: TableItem,
  asked: readonly Node[],
  top: TopRows | undefined,
): string | undefined {
  const { schema, name } = item.relation
  const listed = item.place === 'home' ? listedCondition(schema, name, item.alias) : undefined
  const conditions = listed === undefined ? asked : [...asked, expressionNode(listed)]
  const text = `SELECT ${columnsOf(item)} FROM ${sourceOf(item)}`
  const { sample } = item
  if (conditions.length === 0 && top === undefined && sample === undefined) return text
  const base = parseStatements(text)[0]!.node
  const body = as(base, 'SelectStmt')!
  if (sample !== undefined)
    body.fromClause = [{ RangeTableSample: { ...sample, relation: body.fromClause![0]! } }]
  if (conditions.length > 0) body.whereClause = allOf(conditions)
  if (top !== undefined) {
    body.limitCount = top.count
    body.limitOption = 'LIMIT_OPTION_COUNT'
    if (top.sort.length > 0) body.sortClause = [...top.sort]
  }
  return printed(base)
}

/** What home has told may have changed since: the types are those that were told. */
function columnsOf({ alias, columns, relation }: TableItem): string {
  const isTold = relation.kind === 'local' || relation.kind === 'view'
  return columns
    .map(({ name, type, declared }) => {
      const part = placePart(name)
      if (part === 'shard') return '0'
      if (part === 'xmin') return xminOf(quoteName(alias))
      const column = `${quoteName(alias)}.${quoteName(part ?? name)}`
      return isTold && part === undefined ? `${column}::${declared ?? castType(type)}` : column
    })
    .join(', ')
}

export function sourceOf({ range, relation, alias }: TableItem): string {
  const only = range.inh === true ? '' : 'ONLY '
  return `${only}${quoteTable(relation)} AS ${quoteName(alias)}`
}

/** As the parser has it: one AND has all of them, those of an AND among them too. */
export function allOf(conditions: readonly Node[]): Node {
  const [only] = conditions
  if (conditions.length === 1) return only!
  return { BoolExpr: { boolop: 'AND_EXPR', args: conditions.flatMap(conjuncts) } } as Node
}

/** One statement that gives the rows of some items. */
function partOf(
  rows: readonly string[],
  items: readonly TableItem[],
  slots: Slots,
  isText: boolean,
  isRead: (item: TableItem) => boolean,
): PartText {
  const blank = blanks(items, slots, isRead)
  const arms = rows.map((sql, input) => {
    const own = slots.ofInputs[input]!
    const columns = [...blank]
    if (own.every((slot, i) => slot === own[0]! + i)) {
      columns.splice(own[0]!, own.length, 's.*')
      return `SELECT ${input}, ${columns.join(', ')} FROM (${sql}) AS s`
    }
    for (const [i, slot] of own.entries()) columns[slot] = `s.c${i}`
    return `SELECT ${input}, ${columns.join(', ')} FROM (${sql}) AS s (${own.map((_, i) => `c${i}`).join(', ')})`
  })
  const unsafe = isText ? [`SELECT ${UNSAFE_ROW}, ${blank.join(', ')} WHERE NOT (${SAFE_SETTINGS})`] : []
  return partText([...arms.filter((_, i) => isRead(items[i]!)), ...unsafe].join(' UNION ALL '))
}

/** Types of local tables need not be elsewhere. */
function blanks(
  items: readonly TableItem[],
  { types, ofInputs }: Slots,
  isRead: (item: TableItem) => boolean,
): string[] {
  const known = new Set(
    items.flatMap((item, i) => (isRead(item) || item.place !== 'home' ? ofInputs[i]! : [])),
  )
  return types.map((type, slot) => (known.has(slot) ? `NULL::${type}` : 'NULL'))
}

const nullsOf = (columns: readonly Column[]): string =>
  columns.map(({ type }) => `NULL::${castType(type)}`).join(', ')

/** One row more, which says so, where values of these columns would travel as texts that lose something; '' if none does. */
export function unsafeArm(columns: readonly Column[], more: readonly string[] = []): string {
  if (!columns.some((column) => transportOf(column).format === FORMAT.text)) return ''
  return ` UNION ALL SELECT ${[UNSAFE_ROW, nullsOf(columns), ...more].join(', ')} WHERE NOT (${SAFE_SETTINGS})`
}

/** Texts of values that are gathered lose nothing. */
export const SAFE_SETTINGS = [
  "pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4 >= 1",
  "pg_catalog.current_setting('datestyle') LIKE 'ISO%'",
  "pg_catalog.current_setting('intervalstyle') <> 'sql_standard'",
  "pg_catalog.current_setting('array_nulls')::pg_catalog.bool",
].join(' AND ')

/** The query over the gathered rows; their columns are the parameters after the client's. */
function finishOf(
  statement: Node,
  items: readonly TableItem[],
  over: OverRows,
  isPartial: boolean,
): Pick<GatherPlan, 'finish' | 'paramCount' | 'finishParams'> | undefined {
  // Parameters of what shards do need not be left in it.
  if (isPartial && over.isInline !== true) return finishAlone(statement, items, over)
  const named = printed(statement)
  if (named === undefined) return undefined
  const paramCount = Math.max(0, ...paramsOf(statement).keys())
  return { finish: overArrays(named, items, paramCount, over), paramCount }
}
