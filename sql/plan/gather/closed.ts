import {
  as,
  type ColumnRef,
  type Node,
  type RangeVar,
  type SelectStmt,
  strings,
  walk,
} from '../../parse/ast.ts'
import { columnLabel } from '../../tree/label.ts'
import type { TableItem } from './inputs.ts'

/** What names mean at a level: tables, and columns that can be named alone. */
interface Visible {
  readonly tables: ReadonlySet<string>
  readonly columns: ReadonlySet<string>
}

/** A subquery that names nothing of the queries around it, for certain. `items`: the relations of the whole statement. */
export function isClosed(
  query: Node | undefined,
  items: readonly TableItem[],
  around: readonly Visible[] = [],
): boolean {
  const select = as(query, 'SelectStmt')
  return select !== undefined && isClosedLevel(select, items, around)
}

function isClosedLevel(select: SelectStmt, items: readonly TableItem[], around: readonly Visible[]): boolean {
  if (select.withClause !== undefined || select.valuesLists !== undefined) return false
  if (select.larg !== undefined || select.rarg !== undefined)
    return [select.larg, select.rarg].every((arm) => arm !== undefined && isClosedLevel(arm, items, around))
  const own = visibleIn(select, items)
  if (own === undefined) return false
  const all = [own, ...around]
  let closed = true
  walk({ SelectStmt: { ...select } }, (kind, body) => {
    if (!closed) return false
    if (kind === 'ColumnRef' && !isVisible(body as ColumnRef, all)) closed = false
    if (kind !== 'SelectStmt' || isItself(body as SelectStmt, select)) return
    if (!isClosedLevel(body as SelectStmt, items, all)) closed = false
    return false
  })
  return closed
}

/** The walk begins with a copy. */
const isItself = (body: SelectStmt, select: SelectStmt): boolean => body.targetList === select.targetList

function isVisible({ fields = [] }: ColumnRef, levels: readonly Visible[]): boolean {
  const parts = strings(fields)
  const isStar = as(fields.at(-1), 'A_Star') !== undefined
  if (isStar && parts.length === 0) return true
  const [name, ...more] = parts
  if (parts.length > 2) return false
  return levels.some(({ tables, columns }) =>
    isStar || more.length > 0 ? tables.has(name!) : columns.has(name!),
  )
}

/** Undefined: it may have columns that are not known here. */
function visibleIn(select: SelectStmt, items: readonly TableItem[]): Visible | undefined {
  const tables = new Set<string>()
  const columns = new Set<string>()
  const add = (node: Node): boolean => {
    const join = as(node, 'JoinExpr')
    if (join !== undefined) return join.alias === undefined && add(join.larg!) && add(join.rarg!)
    const range = as(node, 'RangeVar') as RangeVar | undefined
    const item = range && items.find((one) => one.range === range)
    if (item === undefined || range?.alias?.colnames !== undefined) return false
    tables.add(item.alias)
    for (const { name } of item.relation.columns) columns.add(name)
    return true
  }
  if (!(select.fromClause ?? []).every(add)) return undefined
  for (const node of select.targetList ?? []) columns.add(columnLabel(as(node, 'ResTarget') ?? {}))
  return { tables, columns }
}
