import type { RangeTableSample } from '@pgsql/types'
import type { Column } from '../../catalog.ts'
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
import type { Analysis } from '../../place/analyze.ts'
import type { PlanContext } from '../plan.ts'
import { aliasOf, rangeOf } from './from-items.ts'
import { NamedColumns, type NamedTable } from './named-columns.ts'
import { type Ranges, type Source, type Sources, sourcesOf } from './sources.ts'

/** A FROM item that is a relation. */
export interface TableItem extends Source {
  readonly range: RangeVar
  readonly alias: string
  /** Of its rows only these. */
  readonly sample?: RangeTableSample
  /** Those that the query may mention. */
  readonly columns: readonly Column[]
  /** What they are, where that is not their names. */
  readonly shown?: readonly string[]
  /** Its name may stand for a row as a value, of the relation's own type. */
  readonly isRow?: true
  /** Its rows are not gathered, but computed for the shard that has them. */
  readonly isOwn?: true
}

export type TableItems =
  | { readonly kind: 'items'; readonly items: readonly TableItem[] }
  | Exclude<Sources, { readonly kind: 'sources' }>

/** What is made of it is made on the home shard: it is nowhere else, or there its rows have the type that clients know. */
export const isHomes = ({ place, isRow }: TableItem): boolean => place === 'home' || isRow === true

/**
 * Every relation of the query; undefined: what is read, or what a name means, is not certain here. `byTables`: those that
 * are to be tables, if need be in the place of views.
 */
export function tableItems(
  a: Analysis,
  select: SelectStmt,
  ctx: PlanContext,
  byTables?: Ranges,
): TableItems | undefined {
  const sources = sourcesOf(a, select, ctx, byTables)
  if (sources?.kind !== 'sources') return sources
  const samples = samplesIn(select)
  const tables = [...sources.byRange].map(([range, source]) =>
    sampled({ range, ...source }, samples.get(range)),
  )
  const names = new NamedColumns(select, tables)
  const items = tables.map((table) => itemOf(table, names))
  return { kind: 'items', items }
}

/**
 * Each shard's sample of its rows is a part of a sample of the table (BERNOULLI takes row by row, SYSTEM page by page). So
 * samples are taken where the rows are, and gathered like tables.
 */
function samplesIn(select: SelectStmt): ReadonlyMap<RangeVar, RangeTableSample> {
  const samples = new Map<RangeVar, RangeTableSample>()
  walk({ SelectStmt: select }, (_, body) => {
    const sample = body as RangeTableSample
    const range = 'method' in sample ? as(sample.relation, 'RangeVar') : undefined
    if (range !== undefined) samples.set(range, sample)
  })
  return samples
}

/** By the same seed it is to be the same rows: those of a reference table are home's. */
function sampled<T extends Source>(table: T, sample: RangeTableSample | undefined): T {
  if (sample === undefined) return table
  return { ...table, sample, ...(table.place === 'any' && { place: 'home' }) }
}

interface Mentioned {
  /** Whatever may be a column. */
  readonly columns: ReadonlySet<string>
  /** … without a table in front. */
  readonly bare: ReadonlySet<string>
  /** `*` somewhere, or columns by their place. */
  readonly all: boolean
  /** In front of `*` in an expression, where it stands for a row. */
  readonly rows: ReadonlySet<string>
}

export function mentioned(select: SelectStmt): Mentioned {
  const columns = new Set<string>()
  const bare = new Set<string>()
  const rows = new Set<string>()
  const outputs = new Set<object>()
  let all = false
  walk({ SelectStmt: select }, (kind, body) => {
    if (kind === 'A_Star') all = true
    if (kind === 'RangeVar' && (body as RangeVar).alias?.colnames) all = true
    if (kind === 'SelectStmt')
      for (const node of (body as SelectStmt).targetList ?? [])
        outputs.add(as(as(node, 'ResTarget')?.val, 'ColumnRef') ?? {})
    if (kind === 'ColumnRef') {
      const { fields } = body as ColumnRef
      const name = as(fields?.at(-1), 'String')?.sval
      if (name === undefined) {
        if (!outputs.has(body)) rows.add(strings(fields).at(-1) ?? '')
        return
      }
      columns.add(name)
      if (as(fields?.at(-2), 'String') === undefined) bare.add(name)
    }
    if (kind !== 'JoinExpr') return
    const join = body as JoinExpr
    // An alias of a join names its columns by their place, or all of them as a row.
    if (join.isNatural || join.alias !== undefined) all = true
    for (const name of strings(join.usingClause)) {
      columns.add(name)
      bare.add(name)
    }
  })
  return { columns, bare, all, rows }
}

function itemOf(table: Source & NamedTable, names: NamedColumns): TableItem {
  const { relation, range } = table
  const wanted = relation.columns.filter(({ name }) => names.has(table, name))
  // To count rows takes one column.
  const least = relation.columns.slice(relation.key?.index ?? 0).slice(0, 1)
  const columns = wanted.length > 0 ? wanted : least
  return { ...table, alias: aliasOf(range), columns, ...(names.isRow(table) && { isRow: true }) }
}

/** Of the levels of the query, those whose FROM has this item where no outer join makes rows of nulls of it. */
export function keptItems(from: readonly Node[], items: readonly TableItem[]): TableItem[] {
  return from.flatMap((node): TableItem[] => {
    const range = rangeOf(node)
    if (range !== undefined) return items.filter((item) => item.range === range)
    const join = as(node, 'JoinExpr')
    if (join === undefined || join.alias !== undefined) return []
    const left = join.jointype === 'JOIN_INNER' || join.jointype === 'JOIN_LEFT' ? [join.larg!] : []
    const right = join.jointype === 'JOIN_INNER' || join.jointype === 'JOIN_RIGHT' ? [join.rarg!] : []
    return keptItems([...left, ...right], items)
  })
}
