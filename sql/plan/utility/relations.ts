import type { CommonTableExpr, RangeVar, WithClause } from '../../parse/ast.ts'

/**
 * The relations a tree names, those that are really names of WITH queries left out. A WITH query is visible to those
 * after it and to the main query (with RECURSIVE to all): `WITH t AS (SELECT … FROM t)` does read the table `t`.
 */
export function relationsUsed(tree: unknown): RangeVar[] {
  const found: RangeVar[] = []
  collect(tree, new Set(), found)
  return found
}

function collect(value: unknown, queries: ReadonlySet<string>, found: RangeVar[]): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const item of value) collect(item, queries, found)
    return
  }
  const node = value as Record<string, unknown>
  if (typeof node.relname === 'string') {
    const range = value as RangeVar
    if (range.schemaname !== undefined || !queries.has(range.relname ?? '')) found.push(range)
    return
  }
  const visible = withQueries(node.withClause as WithClause | undefined, queries, found)
  for (const [key, child] of Object.entries(node)) {
    if (key !== 'withClause') collect(child, visible, found)
  }
}

/** Collects inside the WITH queries; the names that the statement they belong to sees. */
function withQueries(
  clause: WithClause | undefined,
  outer: ReadonlySet<string>,
  found: RangeVar[],
): ReadonlySet<string> {
  if (clause === undefined) return outer
  const queries = (clause.ctes ?? []).flatMap((node) =>
    'CommonTableExpr' in node ? [node.CommonTableExpr as CommonTableExpr] : [],
  )
  const visible = new Set(outer)
  if (clause.recursive) for (const query of queries) visible.add(query.ctename ?? '')
  for (const query of queries) {
    collect(query.ctequery, visible, found)
    visible.add(query.ctename ?? '')
  }
  return visible
}
