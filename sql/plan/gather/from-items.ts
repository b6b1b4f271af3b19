/** What stands in FROM. */
import { as, type Node, type RangeVar, type SelectStmt } from '../../parse/ast.ts'

/** Those of a query's own FROM, joins taken apart. */
export const leavesOf = ({ fromClause = [] }: SelectStmt): Node[] => fromClause.flatMap(leaves)

export function leaves(node: Node): Node[] {
  const join = as(node, 'JoinExpr')
  return join === undefined ? [node] : [...leaves(join.larg!), ...leaves(join.rarg!)]
}

/** Of a table, or of a sample of it. */
export const rangeOf = (node: Node): RangeVar | undefined =>
  as(as(node, 'RangeTableSample')?.relation ?? node, 'RangeVar')

/** By which the query names a table. */
export const aliasOf = (range: RangeVar): string => range.alias?.aliasname ?? range.relname ?? ''

/** … a table or a subquery. */
export function itemAlias(node: Node): string {
  const range = as(node, 'RangeVar')
  return range === undefined ? (as(node, 'RangeSubselect')?.alias?.aliasname ?? '') : aliasOf(range)
}
