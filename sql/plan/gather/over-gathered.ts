import type { Column } from '../../catalog.ts'
import { as, type Node, type RangeVar, relationsOf, walk } from '../../parse/ast.ts'
import { printed } from '../../print/printed.ts'
import { castType } from '../cast-type.ts'
import { quoteName, quoteTable } from '../text-scan.ts'
import {
  GATHERED_NAMES,
  type GatherPlan,
  gatheredName,
  isOwnName,
  type OverRows,
  ownName,
  type PartText,
  valuesName,
} from './gather-plan.ts'
import { groupByWholeKeys } from './group-by-key.ts'
import type { TableItem } from './inputs.ts'
import { selectNode } from './made-nodes.ts'
import { partText } from './part-text.ts'
import { withoutSamples } from './samples.ts'
import { transportOf } from './transport.ts'
import { hasTwins, tellApart } from './twins.ts'

/** The same, with those of the client's parameters that it has. */
export function finishAlone(
  statement: Node,
  items: readonly TableItem[],
  how: OverRows = {},
): Pick<GatherPlan, 'finish' | 'paramCount' | 'finishParams'> | undefined {
  const over = overGathered(statement, items, how)
  return over && { finish: over.sql, paramCount: over.params.length, finishParams: over.params }
}

/** A statement that names gathered rows as a text: its parameters are some of the client's, after them come the arrays. */
export function overGathered(
  statement: Node,
  items: readonly TableItem[],
  how: OverRows = {},
): PartText | undefined {
  const named = printed(statement)
  if (named === undefined) return undefined
  const { sql, params } = partText(named)
  return { sql: overArrays(sql, items, params.length, how), params }
}

/** A text that names gathered rows, with their arrays; `paramCount`: parameters ahead of those. */
export function overArrays(
  named: string,
  items: readonly TableItem[],
  paramCount: number,
  how: OverRows = {},
): string {
  let column = 0
  const place = () => (how.isInline === true ? valuesName(column++) : `$${paramCount + ++column}`)
  const sources = items.map((item) => gatheredItem(item, how, item.columns.map(place)))
  return named.replace(GATHERED_NAMES, (_, input) => sources[Number(input)]!)
}

/** The statement, with names of gathered rows in the place of tables. */
export function withGathered(statement: Node, items: readonly TableItem[]): Node {
  const places = items.map(({ range }) => range)
  const tree = structuredClone(statement)
  const originals = relationsOf(statement)
  const copies: TableItem[] = []
  if (hasTwins(items)) tellApart(tree, itemsIn(relationsOf(tree), originals, items))
  for (const [i, range] of relationsOf(tree).entries()) {
    const input = places.indexOf(originals[i]!)
    if (input < 0) continue
    copies.push({ ...items[input]!, range, alias: range.alias?.aliasname ?? items[input]!.alias })
    delete range.schemaname
    delete range.catalogname
    range.alias ??= { aliasname: items[input]!.alias }
    range.relname = gatheredName(input)
    range.inh = true
    if (hasRowBeside(items[input]!)) besideRow(tree, range, input)
  }
  unqualify(tree)
  withoutSamples(tree)
  groupByWholeKeys(tree, copies)
  return tree
}

/** Items by their ranges in a copy of a tree. */
function itemsIn(
  ranges: readonly RangeVar[],
  originals: readonly RangeVar[],
  items: readonly TableItem[],
): ReadonlyMap<RangeVar, TableItem> {
  const found = ranges.map((range, i) => [range, items.find((item) => item.range === originals[i])] as const)
  return new Map(found.flatMap(([range, item]) => (item === undefined ? [] : [[range, item] as const])))
}

/** `database.schema.table.column`: the gathered rows have no schema. */
export function unqualified(node: Node): Node {
  const tree = structuredClone(node)
  unqualify(tree)
  return tree
}

function unqualify(tree: Node): void {
  walk(tree, (kind, body) => {
    const ref = body as { fields?: Node[] }
    if (kind === 'ColumnRef' && (ref.fields?.length ?? 0) >= 3) ref.fields = ref.fields!.slice(-2)
  })
}

const ROW = ownName('row')

/** Its row as a value is not all that is gathered of it. */
const hasRowBeside = ({ isRow, columns }: TableItem): boolean =>
  isRow === true && columns.some(({ name }) => isOwnName(name))

/** In place: what is told beside a row comes from a FROM item of its own, which gives the row to the one of that name. */
function besideRow(tree: Node, range: RangeVar, input: number): void {
  const rows = ownName(`rows_${input}`)
  const made = selectNode(
    `SELECT FROM (r AS ${rows} CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[${rows}.${ROW}]) AS t)`,
  )
  const join = as(made.fromClause![0], 'JoinExpr')!
  const [own, row] = [as(join.larg, 'RangeVar')!, as(join.rarg, 'RangeFunction')!]
  row.alias = range.alias!
  walk(tree, (kind, body) => {
    const { fromClause = [], larg, rarg } = body as { fromClause?: Node[]; larg?: Node; rarg?: Node }
    for (const node of kind === 'JoinExpr' ? [larg, rarg] : fromClause) {
      if (node === undefined || as(node, 'RangeVar') !== range) continue
      delete (node as { RangeVar?: unknown }).RangeVar
      Object.assign(node, { JoinExpr: join })
    }
  })
  own.relname = range.relname!
}

/**
 * The gathered rows of an item. Where its row is a value, a function gives the rows: they have the relation's own type, are
 * NULL where an outer join finds none, and have whatever columns were dropped.
 */
function gatheredItem(item: TableItem, how: OverRows, places: readonly string[]): string {
  const { relation, columns, isRow } = item
  if (isRow !== true) return gatheredRows(columns, how, places)
  const [own, beside] = [false, true].map((is) => columns.filter(({ name }) => isOwnName(name) === is))
  const type = quoteTable(relation)
  const row = `CAST(ROW(${own!.map(({ name }) => `r.${quoteName(name)}`).join(', ')}) AS ${type})`
  const rows = `${gatheredRows(columns, how, places)} AS r`
  if (beside!.length === 0) return `pg_catalog.unnest(ARRAY(SELECT ${row} FROM ${rows}))`
  return `(SELECT ${[`${row} AS ${ROW}`, ...beside!.map(({ name }) => `r.${name}`)].join(', ')} FROM ${rows})`
}

/** The gathered rows of columns, as a FROM item; `places`: where the array of each column comes. */
function gatheredRows(
  columns: readonly Column[],
  { isInline = false, goesBack = false }: OverRows,
  places: readonly string[],
): string {
  const outputs = columns.map(({ name, type, declared, collation }, i) => {
    const value = `CAST(c${i} AS ${declared ?? castType(type)})`
    return `${collation === undefined ? value : `${value} COLLATE ${collation}`} AS ${quoteName(name)}`
  })
  const arrays = columns.map(
    (column, i) => `pg_catalog.unnest(CAST(${places[i]} AS ${transportOf(column, isInline).arrayType}))`,
  )
  const names = columns.map((_, i) => `c${i}`)
  // In a select list they go side by side, row after row; in FROM each is kept whole first, and can be read backward.
  const list = arrays.join(', ')
  const rows = goesBack && arrays.length > 0 ? `ROWS FROM (${list})` : `(SELECT ${list})`
  return `(SELECT ${outputs.join(', ')} FROM ${rows} AS u (${names.join(', ')}))`
}
