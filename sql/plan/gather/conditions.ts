import { as, columnName, conjuncts, type Node, type SelectStmt, walk } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { traitsOf, unstableBecause } from '../../tree/traits.ts'
import type { PlanContext } from '../plan.ts'
import { rangeOf } from './from-items.ts'
import { keptItems, type TableItem } from './inputs.ts'

/**
 * Conditions that can be asked of the rows where they are: conjuncts of the WHERE above an item, or of an ON beside it,
 * about no other. They stay in the query too.
 */
export function conditionsByItem(
  a: Analysis,
  select: SelectStmt,
  items: readonly TableItem[],
  ctx: PlanContext,
): ReadonlyMap<TableItem, readonly Node[]> {
  const found = new Map<TableItem, Node[]>()
  walk({ SelectStmt: select }, (kind, body) => {
    if (kind !== 'SelectStmt') return
    const level = body as SelectStmt
    const from = level.fromClause ?? []
    const kept = keptItems(from, items)
    const inLevel = tablesOnly(from) ? kept : []
    for (const condition of [level.whereClause, ...innerConditions(from)].flatMap(conjuncts)) {
      const item = kept.find((one) => isAbout(condition, one, inLevel))
      if (item === undefined || !isLasting(a, condition, ctx)) continue
      found.set(item, [...(found.get(item) ?? []), condition])
    }
  })
  return found
}

/** Of joins in which both sides are kept. */
function innerConditions(from: readonly Node[]): (Node | undefined)[] {
  return from.flatMap((node) => {
    const join = as(node, 'JoinExpr')
    if (join === undefined || join.alias !== undefined || join.jointype !== 'JOIN_INNER') return []
    return [join.quals, ...innerConditions([join.larg!, join.rarg!])]
  })
}

/** Every FROM item is a table that is kept: a name without a table in front can be told to be of one of them. */
function tablesOnly(from: readonly Node[]): boolean {
  return from.every((node) => {
    const join = as(node, 'JoinExpr')
    if (join === undefined) return rangeOf(node) !== undefined
    return join.jointype === 'JOIN_INNER' && join.alias === undefined && tablesOnly([join.larg!, join.rarg!])
  })
}

/** `level`: the tables among whose columns a name alone is looked for; empty: it could be of something else. */
function isAbout(condition: Node, item: TableItem, level: readonly TableItem[]): boolean {
  if (item.range.alias?.colnames !== undefined) return false
  let isAlone = true
  let names = 0
  walk(condition, (kind, body) => {
    // A subquery has names of its own.
    if (kind === 'SubLink') isAlone = false
    if (kind !== 'ColumnRef') return
    names++
    const parts = columnName({ ColumnRef: body } as Node) ?? []
    const name = parts.at(-1) ?? ''
    const owners = level.filter((one) => has(one, name))
    const isQualified = parts.length === 2 && parts[0] === item.alias && has(item, name)
    if (!isQualified && !(parts.length === 1 && owners.length === 1 && owners[0] === item)) isAlone = false
  })
  return isAlone && names > 0
}

const has = ({ relation }: TableItem, name: string): boolean =>
  relation.columns.some((column) => column.name === name)

/** The same wherever and whenever it is asked, of parameters too, whose types no other place decides. */
export function isLasting(a: Analysis, condition: Node, ctx: PlanContext): boolean {
  const traits = traitsOf(condition, a.catalog)
  if ((unstableBecause(traits) ?? traits.begins ?? traits.timeLiteral) !== undefined || traits.writes)
    return false
  let isTyped = true
  walk(condition, (kind, body) => {
    if (kind !== 'ParamRef') return
    const number = (body as { number?: number }).number ?? 0
    if ((ctx.paramTypes[number - 1] ?? 0) === 0 && a.params.get(number) !== 1) isTyped = false
  })
  return isTyped
}
