import type * as Pg from '@pgsql/types'
import { as, columnNode, type Node, type RangeVar, type SelectStmt, strings, walk } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { itemAlias, leavesOf } from './from-items.ts'
import { ownName, PLACE_PARTS } from './gather-plan.ts'
import { mentioned, type TableItem } from './inputs.ts'

type Clauses = readonly Pg.LockingClause[]

/** What a query locks: FROM items that may be tables, with what is said of each. */
export type LockedRanges = ReadonlyMap<RangeVar, Clauses>

/**
 * Of a subquery in FROM that is locked all that it reads is, as if it had the clauses itself. Undefined: one whose rows are
 * not rows of tables, so that Postgres refuses it, or chosen among others.
 */
export function lockedRanges(a: Analysis, select: SelectStmt, clauses: Clauses): LockedRanges | undefined {
  const locked = new Map<RangeVar, Clauses>()
  for (const node of leavesOf(select)) {
    const own = clauses.filter((clause) => isAbout(clause, itemAlias(node)))
    const range = as(node, 'RangeVar')
    if (range !== undefined && own.length > 0) locked.set(range, own)
    const inner = subqueryOf(node)
    if (inner === undefined || own.length === 0 || inner.valuesLists !== undefined) continue
    const below = isPlain(a, inner) ? lockedRanges(a, inner, own.map(ofAll)) : undefined
    if (below === undefined) return undefined
    for (const [each, said] of below) locked.set(each, said)
  }
  return locked
}

export const isAbout = ({ lockedRels }: Pg.LockingClause, alias: string): boolean =>
  lockedRels?.some((node) => as(node, 'RangeVar')?.relname === alias) ?? true

export const ofAll = ({ lockedRels: _, ...clause }: Pg.LockingClause): Pg.LockingClause => clause

const subqueryOf = (node: Node): SelectStmt | undefined =>
  as(as(node, 'RangeSubselect')?.subquery, 'SelectStmt')

function isPlain(a: Analysis, select: SelectStmt): boolean {
  const shape = a.levels.get(select)?.block.shape
  if (shape === undefined || select.lockingClause !== undefined || shape.limit !== undefined) return false
  const { group, aggregate, having, window, distinct, setReturning, setOperation } = shape
  return (group ?? aggregate ?? having ?? window ?? distinct ?? setReturning ?? setOperation) === undefined
}

type Names = ReadonlyMap<RangeVar, readonly string[]>

/**
 * A query with the places of rows handed up from the levels in FROM where they are.
 */
export class PlacesAbove {
  readonly select: SelectStmt
  /** Of each item: names of the columns that tell its rows' places. */
  readonly names: Names
  private readonly items: readonly TableItem[]
  private readonly places: Names
  private readonly numbers: readonly RangeVar[]
  /** Levels that have places. */
  private readonly levels: SelectStmt[] = []
  /** Of FROM items that have places. */
  private readonly aliases = new Set<string>()

  /** `places`: names of the columns that tell them at their own level. */
  constructor(select: SelectStmt, items: readonly TableItem[], places: Names) {
    this.items = items
    this.places = places
    this.numbers = [...places.keys()]
    const { level, names } = this.handedUp(select, 1)
    this.select = level
    this.names = names
  }

  private handedUp(
    level: SelectStmt,
    depth: number,
  ): { readonly level: SelectStmt; readonly names: Map<RangeVar, readonly string[]> } {
    this.levels.push(level)
    const names = new Map<RangeVar, readonly string[]>()
    const fromClause = level.fromClause?.map((node) => this.from(node, depth, names))
    return { level: { ...level, ...(fromClause && { fromClause }) }, names }
  }

  private from(node: Node, depth: number, names: Map<RangeVar, readonly string[]>): Node {
    const join = as(node, 'JoinExpr')
    if (join !== undefined) {
      const [larg, rarg] = [join.larg!, join.rarg!].map((side) => this.from(side, depth, names))
      return { JoinExpr: { ...join, larg, rarg } } as Node
    }
    if (!this.holds(node)) return node
    this.aliases.add(itemAlias(node))
    const range = as(node, 'RangeVar')
    if (range === undefined) return this.withSubquery(node, depth, names)
    names.set(range, this.places.get(range)!)
    return node
  }

  private holds(node: Node): boolean {
    const range = as(node, 'RangeVar')
    if (range !== undefined) return this.places.has(range)
    const inner = subqueryOf(node)
    return inner !== undefined && leavesOf(inner).some((leaf) => this.holds(leaf))
  }

  private withSubquery(node: Node, depth: number, names: Map<RangeVar, readonly string[]>): Node {
    const { level, names: below } = this.handedUp(subqueryOf(node)!, depth + 1)
    const outputs = [...below].flatMap(([range, own]) => {
      // Where a star gives them too, the same names would be there twice.
      const above = PLACE_PARTS.map((part) => ownName(`${part}${depth}_${this.numbers.indexOf(range)}`))
      names.set(range, above)
      return above.map((name, i) => ({ ResTarget: { name, val: columnNode(own[i]!) } }) as Node)
    })
    const subquery = { SelectStmt: { ...level, targetList: [...(level.targetList ?? []), ...outputs] } }
    return { RangeSubselect: { ...as(node, 'RangeSubselect'), subquery } } as Node
  }

  /** Something would show them, or count them as columns. */
  get areSeen(): boolean {
    return this.levels.some((level) => this.isCounted(level)) || this.isShown()
  }

  /** Columns that are named by their number, or by their order, would be others. */
  private isCounted(level: SelectStmt): boolean {
    const byNumber = (level.sortClause ?? []).some((node) => as(as(node, 'SortBy')?.node, 'A_Const'))
    const all = leavesOf(level)
    const isRow = (node: Node) =>
      this.items.some((item) => item.isRow === true && item.range === as(node, 'RangeVar'))
    const isAmong = all.length > 1 || all.some((node) => isRow(node) || subqueryOf(node) !== undefined)
    const renames = all.some((node) => {
      const { alias, subquery } = as(node, 'RangeSubselect') ?? {}
      return alias?.colnames !== undefined && hasStar(as(subquery, 'SelectStmt') ?? {})
    })
    return (hasStar(level) && byNumber && isAmong) || renames
  }

  /** In rows as values, and by stars of other queries. */
  private isShown(): boolean {
    const [top] = this.levels
    const outputs = new Set(this.levels.flatMap(starsOf))
    const { bare, rows } = mentioned(top!)
    const isApart = (alias: string) => this.items.some((item) => item.alias === alias && item.isRow)
    const isTable = (alias: string) => this.items.some((item) => item.alias === alias)
    let shows = [...this.aliases].some((alias) => !isTable(alias) && (bare.has(alias) || rows.has(alias)))
    walk(top, (kind, body) => {
      const { fields = [] } = body as Pg.ColumnRef
      if (kind !== 'ColumnRef' || as(fields.at(-1), 'A_Star') === undefined || outputs.has(body)) return
      const owner = strings(fields).at(-1)
      if (owner !== undefined && this.aliases.has(owner) && !isApart(owner)) shows = true
    })
    return shows
  }
}

const starsOf = ({ targetList = [] }: SelectStmt): object[] =>
  targetList.flatMap((node) => {
    const ref = as(as(node, 'ResTarget')?.val, 'ColumnRef')
    return ref !== undefined && as(ref.fields?.at(-1), 'A_Star') !== undefined ? [ref] : []
  })

const hasStar = (select: SelectStmt): boolean => starsOf(select).length > 0
