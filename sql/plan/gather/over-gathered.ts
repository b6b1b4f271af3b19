import type { Column } from '../../catalog.ts'
import { type Node, relationsOf, walk } from '../../parse/ast.ts'
import { printed } from '../../print/printed.ts'
import { castType } from '../cast-type.ts'
import { quoteName } from '../text-scan.ts'
import { GATHERED_NAMES, type GatherPlan, gatheredName, type PartText, valuesName } from './gather-plan.ts'
import { groupByWholeKeys } from './group-by-key.ts'
import type { TableItem } from './inputs.ts'
import { partText } from './part-text.ts'
import { withoutSamples } from './samples.ts'
import { transportOf } from './transport.ts'

/** The same, with those of the client's parameters that it has. */
export function finishAlone(
  statement: Node,
  items: readonly TableItem[],
): Pick<GatherPlan, 'finish' | 'paramCount' | 'finishParams'> | undefined {
  const over = overGathered(statement, items)
  return over && { finish: over.sql, paramCount: over.params.length, finishParams: over.params }
}

/** A statement that names gathered rows as a text: its parameters are some of the client's, after them come the arrays. */
export function overGathered(statement: Node, items: readonly TableItem[]): PartText | undefined {
  const named = printed(statement)
  if (named === undefined) return undefined
  const { sql, params } = partText(named)
  return { sql: overArrays(sql, items, params.length), params }
}

/** A text that names gathered rows, with their arrays; `paramCount`: parameters ahead of those. */
export function overArrays(
  named: string,
  items: readonly TableItem[],
  paramCount: number,
  isInline = false,
): string {
  let column = 0
  const place = () => (isInline ? valuesName(column++) : `$${paramCount + ++column}`)
  const sources = items.map(({ columns }) => gatheredRows(columns, isInline, columns.map(place)))
  return named.replace(GATHERED_NAMES, (_, input) => sources[Number(input)]!)
}

/** The statement, with names of gathered rows in the place of tables. */
export function withGathered(statement: Node, items: readonly TableItem[]): Node {
  const places = items.map(({ range }) => range)
  const tree = structuredClone(statement)
  const originals = relationsOf(statement)
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
  withoutSamples(tree)
  groupByWholeKeys(tree, copies)
  return tree
}

/** `database.schema.table.column`: the gathered rows have no schema. */
function unqualify(ref: { fields?: Node[] }): void {
  if ((ref.fields?.length ?? 0) >= 3) ref.fields = ref.fields!.slice(-2)
}

/** The gathered rows of an item, as a FROM item; `places`: where the array of each column comes. */
function gatheredRows(columns: readonly Column[], asText: boolean, places: readonly string[]): string {
  const outputs = columns.map(({ name, type, declared, collation }, i) => {
    const value = `CAST(c${i} AS ${declared ?? castType(type)})`
    return `${collation === undefined ? value : `${value} COLLATE ${collation}`} AS ${quoteName(name)}`
  })
  const arrays = columns.map(
    (column, i) => `pg_catalog.unnest(CAST(${places[i]} AS ${transportOf(column, asText).arrayType}))`,
  )
  const names = columns.map((_, i) => `c${i}`)
  // In a select list they go side by side, row after row; in FROM each would be kept whole first.
  return `(SELECT ${outputs.join(', ')} FROM (SELECT ${arrays.join(', ')}) AS u (${names.join(', ')}))`
}
