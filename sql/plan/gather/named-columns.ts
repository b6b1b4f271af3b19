import type { Relation } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  type JoinExpr,
  type Node,
  type RangeVar,
  type SelectStmt,
  strings,
  walk,
} from '../../parse/ast.ts'
import { aliasOf, leaves, leavesOf, rangeOf } from './from-items.ts'

export interface NamedTable {
  readonly range: RangeVar
  readonly relation: Relation
}

/**
 * What a query names of the tables that it reads: a column is the nearest table's that has it, as Postgres looks it up.
 * Of what FROM has beside tables nothing is known, so more may be told, and never less.
 */
export class NamedColumns {
  private readonly tables: ReadonlyMap<RangeVar, NamedTable>
  private readonly whole = new Set<RangeVar>()
  private readonly rows = new Set<RangeVar>()
  private readonly columns = new Map<RangeVar, Set<string>>()

  constructor(select: SelectStmt, tables: readonly NamedTable[]) {
    this.tables = new Map(tables.map((table) => [table.range, table]))
    this.level(select, [])
  }

  /** Its name stands for a row as a value. */
  isRow({ range }: NamedTable): boolean {
    return this.rows.has(range)
  }

  has({ range }: NamedTable, column: string): boolean {
    return this.whole.has(range) || this.rows.has(range) || this.columns.get(range)?.has(column) === true
  }

  /** `around`: tables of the levels around it, the nearest first. */
  private level(select: SelectStmt, around: readonly (readonly NamedTable[])[]): void {
    const own = this.tablesIn(leavesOf(select))
    for (const { range } of own) if (range.alias?.colnames !== undefined) this.whole.add(range)
    const levels = [own, ...around]
    const outputs = new Set(
      (select.targetList ?? []).map((node) => as(as(node, 'ResTarget')?.val, 'ColumnRef')),
    )
    const named = (part: unknown, levels: readonly (readonly NamedTable[])[]) =>
      walk(part, (kind, body) => {
        if (kind === 'SelectStmt' && body !== select) {
          this.level(body as SelectStmt, levels)
          return false
        }
        if (kind === 'JoinExpr') this.join(body as JoinExpr)
        if (kind === 'ColumnRef') this.ref(body as ColumnRef, levels, outputs.has(body as ColumnRef))
        return true
      })
    named({ SelectStmt: select }, levels)
    // Functions and joins in FROM do not see what stands behind them: there a name may be one of the levels around.
    if (around.length > 0) named(select.fromClause, around)
  }

  private tablesIn(items: readonly Node[]): NamedTable[] {
    return items.flatMap((node) => this.tables.get(rangeOf(node)!) ?? [])
  }

  /** An alias of a join names its columns by their place, or all of them as a row. */
  private join(join: JoinExpr): void {
    const below = this.tablesIn(leaves({ JoinExpr: join }))
    if (join.isNatural || join.alias !== undefined) for (const { range } of below) this.whole.add(range)
    for (const name of strings(join.usingClause)) this.add(below, name)
  }

  private ref(
    { fields = [] }: ColumnRef,
    levels: readonly (readonly NamedTable[])[],
    isOutput: boolean,
  ): void {
    const isStar = as(fields.at(-1), 'A_Star') !== undefined
    const name = strings(fields.slice(-1))[0]
    const owner = strings(fields.slice(-2, -1))[0]
    if (owner === undefined) return isStar ? this.all(levels[0]!) : this.alone(name!, levels)
    const named = levels.map((tables) => tables.filter(({ range }) => aliasOf(range) === owner))
    // With a schema in front it need not be the nearest.
    const isQualified = fields.length >= 3
    const meant = isQualified ? named.flat() : (named.find((tables) => tables.length > 0) ?? [])
    if (isStar) return isOutput ? this.all(meant) : this.asRows(meant)
    this.add(meant, name!)
    // `t.f` is `f(t)`.
    this.asRows(meant.filter((table) => !hasColumn(table, name!)))
  }

  /** A name without a table in front. */
  private alone(name: string, levels: readonly (readonly NamedTable[])[]): void {
    const owners = levels.map((tables) => tables.filter((table) => isVisible(table, name)))
    const nearest = owners.find((tables) => tables.length > 0)
    if (nearest !== undefined) return this.add(nearest, name)
    this.asRows(levels.flat().filter(({ range }) => aliasOf(range) === name))
  }

  private all(tables: readonly NamedTable[]): void {
    for (const { range } of tables) this.whole.add(range)
  }

  private asRows(tables: readonly NamedTable[]): void {
    for (const { range } of tables) this.rows.add(range)
  }

  private add(tables: readonly NamedTable[], name: string): void {
    for (const { range } of tables) this.columns.set(range, (this.columns.get(range) ?? new Set()).add(name))
  }
}

const hasColumn = ({ relation }: NamedTable, name: string): boolean =>
  relation.columns.some((column) => column.name === name)

/** Under its own name. */
const isVisible = (table: NamedTable, name: string): boolean =>
  table.range.alias?.colnames === undefined && hasColumn(table, name)
