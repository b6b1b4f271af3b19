import { as, type Node, relationsOf } from '../../parse/ast.ts'
import { itemAlias, leavesOf } from '../gather/from-items.ts'
import { isAbout, ofAll } from '../gather/locked-ranges.ts'

/**
 * What a query locks of subqueries in its FROM, said in these: so Postgres takes it. In place; when they have been run, what
 * the query says of them is about no table. `statement`: a SELECT, or a cursor's.
 */
export function pushLocks(statement: Node): void {
  const select = as(as(statement, 'DeclareCursorStmt')?.query ?? statement, 'SelectStmt')
  if (select?.lockingClause === undefined) return
  // Whether one has no row there only the query as it is tells.
  if (/"JOIN_(?:LEFT|RIGHT|FULL)"/.test(JSON.stringify(select.fromClause))) return
  const clauses = select.lockingClause.map((node) => as(node, 'LockingClause')!)
  for (const node of leavesOf(select)) {
    const inner = as(as(node, 'RangeSubselect')?.subquery, 'SelectStmt')
    if (inner === undefined || relationsOf(node).length === 0) continue
    const own = clauses.filter((clause) => isAbout(clause, itemAlias(node))).map(ofAll)
    if (own.length === 0) continue
    inner.lockingClause = [
      ...(inner.lockingClause ?? []),
      ...own.map((clause) => ({ LockingClause: clause }) as Node),
    ]
  }
}
