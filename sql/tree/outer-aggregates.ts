import type * as Pg from '@pgsql/types'
import type { Catalog } from '../catalog.ts'
import { as, type ColumnRef, type Node, qualified, type RangeVar, strings, walk } from '../parse/ast.ts'
import { columnLabel } from './label.ts'
import { isAggregateCall } from './shape.ts'

/**
 * The first aggregate in a subquery of `parts` that is an aggregate of the query around it, as `(SELECT max(t.a))` is of
 * the query that has `t`: it names columns, none of them of the subquery's own FROM (check_agg_arguments in
 * parse_agg.c). What is not known of a FROM item counts against it: to take one of the subquery's for one of the query
 * around only costs a way to answer.
 */
export function outerAggregate(
  parts: unknown,
  catalog: Catalog,
  searchPath: readonly string[],
): string | undefined {
  let found: string | undefined
  walk(parts, (kind, body) => {
    if (kind !== 'SubLink') return
    const own = new OwnNames((body as Pg.SubLink).subselect, catalog, searchPath)
    walk((body as Pg.SubLink).subselect, (inner, call) => {
      if (inner !== 'FuncCall' || !isAggregateCall(call as Pg.FuncCall)) return
      const columns = columnsIn(call, catalog, searchPath)
      if (columns.length > 0 && !columns.some((names) => own.has(names)))
        found ??= qualified((call as Pg.FuncCall).funcname).name
    })
    return false
  })
  return found
}

/** But those of subqueries in it that are the subqueries' own. */
function columnsIn(
  part: unknown,
  catalog: Catalog,
  searchPath: readonly string[],
): readonly (readonly string[])[] {
  const columns: (readonly string[])[] = []
  walk(part, (kind, body) => {
    if (kind === 'ColumnRef') columns.push(strings((body as ColumnRef).fields))
    if (kind !== 'SubLink') return
    const { testexpr, subselect } = body as Pg.SubLink
    const own = new OwnNames(subselect, catalog, searchPath)
    const inner = columnsIn(subselect, catalog, searchPath)
    columns.push(...columnsIn(testexpr, catalog, searchPath), ...inner.filter((names) => !own.has(names)))
    return false
  })
  return columns
}

/** What a subquery's own FROM items, of any level in it, give names to. */
class OwnNames {
  private readonly aliases = new Set<string>()
  private readonly columns = new Set<string>()

  constructor(subselect: unknown, catalog: Catalog, searchPath: readonly string[]) {
    walk(subselect, (kind, body) => {
      const alias = (body as { alias?: Pg.Alias }).alias
      if (kind === 'RangeVar') this.addTable(body as RangeVar, catalog, searchPath)
      else if (kind.startsWith('Range') || kind === 'JoinExpr') this.addAlias(alias)
      if (kind === 'RangeSubselect') this.addOutputs((body as Pg.RangeSubselect).subquery)
    })
  }

  /** Of a qualified name the table's decides. */
  has(names: readonly string[]): boolean {
    if (names.length > 1) return this.aliases.has(names.at(-2)!)
    return names[0] === undefined || this.columns.has(names[0]) || this.aliases.has(names[0])
  }

  private addTable(range: RangeVar, catalog: Catalog, searchPath: readonly string[]): void {
    this.addAlias(range.alias)
    if (range.alias === undefined && range.relname !== undefined) this.aliases.add(range.relname)
    const relation = catalog.resolve(range.schemaname, range.relname ?? '', searchPath)
    for (const column of relation?.columns ?? []) this.columns.add(column.name)
  }

  private addOutputs(subquery: unknown): void {
    for (const target of as(subquery as Node, 'SelectStmt')?.targetList ?? []) {
      const output = as(target, 'ResTarget')
      if (output !== undefined) this.addColumn(columnLabel(output))
    }
  }

  private addAlias(alias: Pg.Alias | undefined): void {
    if (alias?.aliasname !== undefined) this.aliases.add(alias.aliasname)
    for (const node of alias?.colnames ?? []) this.addColumn(as(node, 'String')?.sval)
  }

  private addColumn(name: string | undefined): void {
    if (name !== undefined) this.columns.add(name)
  }
}
