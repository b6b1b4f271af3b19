import { as, columnName, columnNode, type Node, type SelectStmt, walk } from '../../parse/ast.ts'
import { keptItems, type TableItem } from './inputs.ts'

/** Types that nothing is equal of: json, xml, point, polygon and the like. */
export const UNEQUAL: ReadonlySet<number> = new Set([114, 142, 600, 601, 602, 603, 604, 628, 718])

/**
 * Who groups by a table's primary key may use its other columns as they are. Gathered rows have no key, so those are grouped
 * by too, which makes no other groups. In place, on the query's tree; `items`: with the FROM items of that tree.
 */
export function groupByWholeKeys(tree: Node, items: readonly TableItem[]): void {
  walk(tree, (kind, body) => {
    if (kind !== 'SelectStmt') return
    const select = body as SelectStmt
    const by = select.groupClause ?? []
    if (by.length === 0 || by.some((node) => as(node, 'GroupingSet') !== undefined)) return
    const level = fromItems(select.fromClause ?? [], items)
    const names = by.map((node) => columnName(itself(node, select)))
    select.groupClause = [...by, ...level.flatMap((item) => rest(item, level, names))]
  })
}

function fromItems(from: readonly Node[], items: readonly TableItem[]): TableItem[] {
  return from.flatMap((node) => {
    const join = as(node, 'JoinExpr')
    if (join === undefined) return keptItems([node], items)
    return join.alias === undefined ? fromItems([join.larg!, join.rarg!], items) : []
  })
}

/** A place in the select list stands for what is there. */
function itself(node: Node, select: SelectStmt): Node | undefined {
  const place = as(node, 'A_Const')?.ival?.ival
  return place === undefined ? node : as(select.targetList?.[place - 1], 'ResTarget')?.val
}

function rest(
  item: TableItem,
  level: readonly TableItem[],
  names: readonly (readonly string[] | undefined)[],
): Node[] {
  const { relation, alias, columns, range } = item
  const key = relation.primaryKey ?? []
  const isBy = (column: string) =>
    names.some((name) =>
      name?.length === 1
        ? name[0] === column && isOnly(column, level)
        : name?.length === 2 && name[0] === alias && name[1] === column,
    )
  if (key.length === 0 || range.alias?.colnames !== undefined || !key.every(isBy)) return []
  const row = item.isRow && columns.every(({ typeOid }) => !UNEQUAL.has(typeOid)) ? [columnNode(alias)] : []
  const others = columns
    .filter(({ name, typeOid }) => !isBy(name) && !UNEQUAL.has(typeOid))
    .map(({ name }) => columnNode(alias, name))
  return [...others, ...row]
}

const isOnly = (column: string, level: readonly TableItem[]): boolean =>
  level.filter(({ relation }) => relation.columns.some(({ name }) => name === column)).length === 1
