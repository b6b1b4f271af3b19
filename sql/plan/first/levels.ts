import {
  as,
  type CommonTableExpr,
  kindOf,
  type Node,
  relationsOf,
  type SelectStmt,
  type SubLink,
} from '../../parse/ast.ts'
import { columnLabel } from '../../tree/label.ts'
import { quoteName } from '../text-scan.ts'

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
  const { ctes = [], recursive } = (fields.withClause ?? {}) as { ctes?: Node[]; recursive?: boolean }
  const known = [...scope]
  for (const node of ctes) {
    const cte = as(node, 'CommonTableExpr')!
    if (recursive && namesItself(cte)) recursives.add(cte)
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

/** What a query of one column is called where it is a value. */
export function labelOf({ targetList }: SelectStmt): string {
  return quoteName(columnLabel(as(targetList?.[0], 'ResTarget') ?? {}))
}

export const isSelect = (query: Node): boolean => kindOf(query) === 'SelectStmt'

/** The WITH queries that a query names, and those that they name. */
export function neededBy(query: unknown, scope: readonly CommonTableExpr[]): readonly CommonTableExpr[] {
  const needed = new Set<CommonTableExpr>()
  const look = (part: unknown): void => {
    const names = namedIn(part)
    for (const cte of scope) {
      if (needed.has(cte) || !names.has(cte.ctename ?? '')) continue
      needed.add(cte)
      look(cte.ctequery)
    }
  }
  look(query)
  return scope.filter((cte) => needed.has(cte))
}

export function namedIn(part: unknown): ReadonlySet<string> {
  const ranges = relationsOf(part).filter(({ schemaname }) => schemaname === undefined)
  return new Set(ranges.map(({ relname }) => relname ?? ''))
}

/** Those that read themselves: in a clause that is not recursive such a name is a table's. */
const recursives = new WeakSet<CommonTableExpr>()

/** As it is now, whatever is put in its place. */
export function copied(cte: CommonTableExpr): CommonTableExpr {
  const copy = structuredClone(cte)
  if (isRecursive(cte)) recursives.add(copy)
  return copy
}

export const isRecursive = (cte: CommonTableExpr): boolean => recursives.has(cte)

export const namesItself = ({ ctename = '', ctequery }: CommonTableExpr): boolean =>
  namedIn(ctequery).has(ctename)

/** Undefined: those of one clause would be seen where they are not now, or not where they are. */
export function withNeeded(query: Node, needed: readonly CommonTableExpr[]): Node | undefined {
  if (needed.length === 0) return query
  const kind = kindOf(query)
  const body = as(query, kind) as unknown as { withClause?: { ctes?: Node[]; recursive?: boolean } }
  if (body.withClause?.recursive) return undefined
  const recursive = needed.some(isRecursive)
  // By its name such a one means a table.
  const isOther = needed.some((cte) => !isRecursive(cte) && namesItself(cte))
  if (recursive && (isOther || body.withClause !== undefined)) return undefined
  const ctes = needed.map((cte) => ({ CommonTableExpr: structuredClone(cte) }) as Node)
  const withClause = {
    ...body.withClause,
    ctes: [...ctes, ...(body.withClause?.ctes ?? [])],
    ...(recursive && { recursive }),
  }
  return { [kind]: { ...body, withClause } } as unknown as Node
}
