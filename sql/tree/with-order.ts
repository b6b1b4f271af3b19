import { type CommonTableExpr, relationsOf } from '../parse/ast.ts'

/**
 * WITH RECURSIVE may name queries ahead of where they are defined: in an order in which they need not, as Postgres sorts
 * them (checkWellFormedRecursion in parse_cte.c). Those that need each other stay as they are.
 */
export function inNeededOrder(queries: readonly CommonTableExpr[]): CommonTableExpr[] {
  const byName = new Map(queries.map((query) => [query.ctename ?? '', query]))
  const ordered = new Set<CommonTableExpr>()
  const under = new Set<CommonTableExpr>()
  const visit = (query: CommonTableExpr): void => {
    if (ordered.has(query) || under.has(query)) return
    under.add(query)
    for (const { schemaname, relname = '' } of relationsOf(query.ctequery)) {
      const needed = schemaname === undefined ? byName.get(relname) : undefined
      if (needed !== undefined) visit(needed)
    }
    under.delete(query)
    ordered.add(query)
  }
  for (const query of queries) visit(query)
  return [...ordered]
}
