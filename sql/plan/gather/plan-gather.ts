import type { Analysis } from '../../analyze/analyze.ts'
import type { Column } from '../../catalog.ts'
import { NO_EFFECTS } from '../../code/effects.ts'
import { as, conjuncts, type Node, relationsOf, type SelectStmt, walk } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import { printed } from '../../print/printed.ts'
import { edited, rewritten } from '../edited-text.ts'
import type { PlanContext } from '../plan.ts'
import { quoteName } from '../text-scan.ts'
import { conditionsByItem } from './conditions.ts'
import {
  GATHERED_NAMES,
  type GatherPlan,
  type GatherStep,
  gatheredName,
  isGatheredName,
  type PartText,
  UNSAFE_ROW,
} from './gather-plan.ts'
import { groupByWholeKeys } from './group-by-key.ts'
import { type TableItem, tableItems } from './inputs.ts'
import { type TopRows, topRows } from './top-rows.ts'
import { transportOf } from './transport.ts'

/**
 * A SELECT that several shards cannot answer each for itself, by gathering what it reads. Undefined: what it does has no
 * exact meaning this way, or is not known well enough.
 */
export function planGather(a: Analysis, text: string, ctx: PlanContext): GatherStep | undefined {
  const select = a.block.node as SelectStmt
  if (isGatheredName(text) || !isGatherable(a)) return undefined
  const found = tableItems(a, select, ctx)
  if (found === undefined) return undefined
  if (found.kind === 'outside') return { kind: 'gather-outside', relations: found.relations }
  const gather = gatherOf(a, select, found.items, ctx)
  return gather && { kind: 'gather', gather }
}

function gatherOf(
  a: Analysis,
  select: SelectStmt,
  items: readonly TableItem[],
  ctx: PlanContext,
): GatherPlan | undefined {
  const conditions = conditionsByItem(a, select, items, ctx)
  const asked = items.map((item) => conditions.get(item) ?? [])
  const isFiltered = items.length === 1 && asked[0]!.length === conjuncts(select.whereClause).length
  const top = isFiltered ? topRows(a, select, ctx) : undefined
  const rows = items.map((item, i) => rowsOf(item, asked[i]!, top))
  const finish = finishOf(a, select, items)
  if (finish === undefined || rows.includes(undefined)) return undefined
  const inputs = items.map((item) => item.columns.map(transportOf))
  const inParts = items.map(({ place }) => place === 'parts')
  return {
    inputs: items.map(({ relation }, i) => ({ table: relation.name, columns: inputs[i]! })),
    part: partOf(rows as string[], items, inParts),
    first: partOf(
      rows as string[],
      items,
      items.map(() => true),
    ),
    atHome: items.some(({ place }) => place === 'home'),
    finish,
  }
}

/** Nothing but reading, by what is the same on every shard. */
function isGatherable({ traits, targets, params }: Analysis): boolean {
  if (targets.length > 0 || traits.modifies || traits.writes || traits.locksRows) return false
  if (traits.pins || traits.mayUnpin || traits.taints || traits.leaves !== NO_EFFECTS) return false
  if (traits.currentOf || traits.sample) return false
  const { user, home, server, systemColumn, queryText, viewBegins } = traits
  const strange = user ?? home ?? server ?? systemColumn ?? queryText ?? viewBegins
  return strange === undefined && params.size < PARAMS_MAX
}

/** Room for those of the gathered columns. */
const PARAMS_MAX = 30_000

/** The SELECT that gives an item's rows. */
function rowsOf(item: TableItem, conditions: readonly Node[], top: TopRows | undefined): string | undefined {
  const text = `SELECT ${columnsOf(item)} FROM ${sourceOf(item)}`
  if (conditions.length === 0 && top === undefined) return text
  const base = parseStatements(text)[0]!.node
  const body = as(base, 'SelectStmt')!
  if (conditions.length > 0) body.whereClause = all(conditions)
  if (top !== undefined) {
    body.limitCount = top.count
    body.limitOption = 'LIMIT_OPTION_COUNT'
    if (top.sort.length > 0) body.sortClause = [...top.sort]
  }
  return printed(base)
}

function columnsOf({ alias, columns }: TableItem): string {
  return columns.map(({ name }) => `${quoteName(alias)}.${quoteName(name)}`).join(', ')
}

function sourceOf({ range, relation, alias }: TableItem): string {
  const only = range.inh === true ? '' : 'ONLY '
  return `${only}${quoteName(relation.schema)}.${quoteName(relation.name)} AS ${quoteName(alias)}`
}

function all(conditions: readonly Node[]): Node {
  const [only] = conditions
  if (conditions.length === 1) return only!
  return { BoolExpr: { boolop: 'AND_EXPR', args: [...conditions] } } as Node
}

/** One statement that gives the rows of the `chosen` items. */
function partOf(rows: readonly string[], items: readonly TableItem[], chosen: readonly boolean[]): PartText {
  const blank = items.map(({ columns, place }, i) => nulls(columns, chosen[i]! || place !== 'home'))
  const arms = rows.map((sql, input) => {
    const columns = blank.map((none, i) => (i === input ? 's.*' : none)).join(', ')
    return `SELECT ${input}, ${columns} FROM (${sql}) AS s`
  })
  const isText = items.some(({ columns }) => columns.some((column) => transportOf(column).format === 0))
  const unsafe = isText ? [`SELECT ${UNSAFE_ROW}, ${blank.join(', ')} WHERE NOT (${SAFE})`] : []
  const sql = [...arms.filter((_, i) => chosen[i]), ...unsafe].join(' UNION ALL ')
  return rewritten(sql, edited(sql, 0, sql.length, []))
}

/** Types of local tables need not be elsewhere. */
const nulls = (columns: readonly Column[], isTyped: boolean): string =>
  columns.map(({ type }) => (isTyped ? `NULL::${type}` : 'NULL')).join(', ')

const SAFE = [
  "pg_catalog.current_setting('extra_float_digits')::pg_catalog.int4 >= 1",
  "pg_catalog.current_setting('datestyle') LIKE 'ISO%'",
  "pg_catalog.current_setting('intervalstyle') <> 'sql_standard'",
].join(' AND ')

/** The query over the gathered rows; their columns are the parameters after the client's. */
function finishOf(a: Analysis, select: SelectStmt, items: readonly TableItem[]): string | undefined {
  const named = printed(withGathered(select, items))
  let param = Math.max(0, ...a.params.keys()) + 1
  const sources = items.map(({ columns }) => {
    const source = gatheredRows(columns, param)
    param += columns.length
    return source
  })
  return named?.replace(GATHERED_NAMES, (_, input) => sources[Number(input)]!)
}

/** The query, with names of gathered rows in the place of tables. */
function withGathered(select: SelectStmt, items: readonly TableItem[]): Node {
  const places = items.map(({ range }) => range)
  const tree = { SelectStmt: structuredClone(select) } as Node
  const originals = relationsOf({ SelectStmt: select })
  const copies: TableItem[] = []
  for (const [i, range] of relationsOf(tree).entries()) {
    const input = places.indexOf(originals[i]!)
    if (input < 0) continue
    copies.push({ ...items[input]!, range })
    delete range.schemaname
    delete range.catalogname
    range.alias ??= { aliasname: items[input]!.alias }
    range.relname = gatheredName(input)
    range.inh = true
  }
  walk(tree, (kind, body) => {
    if (kind === 'ColumnRef') unqualify(body as { fields?: Node[] })
  })
  groupByWholeKeys(tree, copies)
  return tree
}

/** `schema.table.column`: the gathered rows have no schema. */
function unqualify(ref: { fields?: Node[] }): void {
  if ((ref.fields?.length ?? 0) === 3) ref.fields = ref.fields!.slice(1)
}

/** The gathered rows of an item, as a FROM item; `firstParam`: number of the parameter with its first column. */
function gatheredRows(columns: readonly Column[], firstParam: number): string {
  const outputs = columns.map(({ name, type, declared, collation }, i) => {
    const value = `CAST(c${i} AS ${declared ?? type})`
    return `${collation === undefined ? value : `${value} COLLATE ${collation}`} AS ${quoteName(name)}`
  })
  const arrays = columns.map(
    (column, i) => `pg_catalog.unnest(CAST($${firstParam + i} AS ${transportOf(column).arrayType}))`,
  )
  const names = columns.map((_, i) => `c${i}`)
  return `(SELECT ${outputs.join(', ')} FROM ROWS FROM (${arrays.join(', ')}) AS u (${names.join(', ')}))`
}
