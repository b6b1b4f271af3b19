import { as, type CommonTableExpr, kindOf, type Node, type SubLink } from '../../parse/ast.ts'

/** A query inside a statement, at its place. */
export interface Level {
  readonly query: Node
  /** WITH queries that it may name, those of levels around it first. */
  readonly scope: readonly CommonTableExpr[]
  /** `value`: one value is wanted of it. */
  readonly wanted: 'rows' | 'value'
  readonly cte?: CommonTableExpr
  replace(query: Node): void
}

/** Those below `root`, each after the ones in it, WITH queries ahead of what names them. */
export function levelsIn(root: Node): readonly Level[] {
  const levels: Level[] = []
  descend(root, [], levels)
  return levels
}

type Fields = Record<string, unknown>

function descend(value: unknown, scope: readonly CommonTableExpr[], levels: Level[]): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const item of value) descend(item, scope, levels)
    return
  }
  const fields = value as Fields
  const inner = withQueries(fields, scope, levels)
  for (const key in fields) if (key !== 'withClause') descend(fields[key], inner, levels)
  for (const [key, wanted] of placesOf(fields)) {
    const query = fields[key] as Node | undefined
    if (query === undefined) continue
    const replace = (other: Node): void => {
      fields[key] = other
    }
    levels.push({ query, scope: inner, wanted, replace })
  }
}

/** Those that a level names may be in its own WITH clause; answers what may be named at it. */
function withQueries(
  fields: Fields,
  scope: readonly CommonTableExpr[],
  levels: Level[],
): readonly CommonTableExpr[] {
  const { ctes = [] } = (fields.withClause ?? {}) as { ctes?: Node[] }
  const known = [...scope]
  for (const node of ctes) {
    const cte = as(node, 'CommonTableExpr')!
    descend(cte.ctequery, known, levels)
    const replace = (other: Node): void => {
      cte.ctequery = other
    }
    levels.push({ query: cte.ctequery!, scope: [...known], wanted: 'rows', cte, replace })
    known.push(cte)
  }
  return known
}

/** Fields of a node's body that hold a query. */
function placesOf(fields: Fields): (readonly [string, Level['wanted']])[] {
  if ('subLinkType' in fields) {
    const { subLinkType, subselect } = fields as SubLink
    const isValue = subLinkType === 'EXPR_SUBLINK' && as(subselect, 'SelectStmt')?.targetList?.length === 1
    return [['subselect', isValue ? 'value' : 'rows']]
  }
  // Of a cursor.
  if ('portalname' in fields && 'query' in fields) return [['query', 'rows']]
  if ('subquery' in fields) return [['subquery', 'rows']]
  return 'selectStmt' in fields ? [['selectStmt', 'rows']] : []
}

export const isSelect = (query: Node): boolean => kindOf(query) === 'SelectStmt'
