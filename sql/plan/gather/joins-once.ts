import { rowKey } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  columnName,
  conjuncts,
  type Node,
  type SelectStmt,
  walk,
} from '../../parse/ast.ts'
import type { TableItem } from './inputs.ts'
import type { LevelNames } from './level-names.ts'

/**
 * Whether each row of a level's other tables is joined with one row of each of these at most: by their primary keys,
 * compared with values of the others or of what has been joined so.
 */
export function joinsOnce(tables: readonly TableItem[], level: SelectStmt, names: LevelNames): boolean {
  let open = tables.filter((item) => rowKey(item.relation) !== undefined)
  if (open.length < tables.length) return false
  for (;;) {
    const left = open.filter((item) => !isFound(item, open, level, names))
    if (left.length === 0) return true
    if (left.length === open.length) return false
    open = left
  }
}

function isFound(item: TableItem, open: readonly TableItem[], level: SelectStmt, names: LevelNames): boolean {
  const conditions = conditionsOn(item, level)
  const isKnown = (value: Node) => ownersIn(value, names)?.every((one) => !open.includes(one)) === true
  return item.relation.primaryKey!.every((column) =>
    conditions.some((condition) => {
      const { kind, name, lexpr, rexpr } = as(condition, 'A_Expr') ?? {}
      if (kind !== 'AEXPR_OP' || name?.length !== 1 || as(name[0], 'String')?.sval !== '=') return false
      const isColumn = (side: Node | undefined) =>
        columnName(side)?.at(-1) === column && ownersIn(side, names)?.[0] === item
      return (isColumn(lexpr) && isKnown(rexpr!)) || (isColumn(rexpr) && isKnown(lexpr!))
    }),
  )
}

/** Undefined: names that may be of something else. */
function ownersIn(value: Node | undefined, names: LevelNames): readonly TableItem[] | undefined {
  const owners: (TableItem | undefined)[] = []
  walk(value, (kind, body) => {
    if (kind === 'ColumnRef') owners.push(names.ownerOf(body as ColumnRef))
    if (kind === 'SubLink') owners.push(undefined)
  })
  return owners.includes(undefined) ? undefined : (owners as TableItem[])
}

/** Those that every row of the level meets in which the item's row is not one of nulls. */
function conditionsOn({ range }: TableItem, { whereClause, fromClause = [] }: SelectStmt): Node[] {
  return [whereClause, ...fromClause.flatMap(quals)].flatMap(conjuncts)

  function quals(node: Node): (Node | undefined)[] {
    const join = as(node, 'JoinExpr')
    if (join === undefined) return []
    const { jointype, larg, rarg } = join
    if (jointype === 'JOIN_INNER') return [join.quals, ...quals(larg!), ...quals(rarg!)]
    const isNullable = jointype === 'JOIN_LEFT' && as(rarg, 'RangeVar') === range
    return jointype === 'JOIN_LEFT' ? [...(isNullable ? [join.quals] : []), ...quals(larg!)] : []
  }
}
