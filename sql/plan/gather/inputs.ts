import type { RangeTableSample } from '@pgsql/types'
import type { Analysis } from '../../analyze/analyze.ts'
import type { Column } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  type FuncCall,
  type JoinExpr,
  type Node,
  qualified,
  type RangeVar,
  type SelectStmt,
  strings,
  walk,
} from '../../parse/ast.ts'
import type { PlanContext } from '../plan.ts'
import { type Source, type Sources, sourcesOf } from './sources.ts'

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
}

export type TableItems =
  | { readonly kind: 'items'; readonly items: readonly TableItem[] }
  | Exclude<Sources, { readonly kind: 'sources' }>

/** Every relation of the query; undefined: what is read, or what a name means, is not certain here. */
export function tableItems(a: Analysis, select: SelectStmt, ctx: PlanContext): TableItems | undefined {
  const names = mentioned(select)
  const sources = sourcesOf(a, select, ctx)
  if (sources?.kind !== 'sources') return sources
  const samples = samplesIn(select)
  const tables = [...sources.byRange].map(([range, source]) =>
    sampled({ range, ...source }, samples.get(range)),
  )
  const isColumn = (name: string) =>
    tables.some(({ relation }) => relation.columns.some((column) => column.name === name))
  const isRow = (name: string) => tables.some((table) => aliasOf(table.range) === name) && !isColumn(name)
  if (
    namesRow(
      select,
      names.alone,
      tables.filter(({ range }) => isRow(aliasOf(range))),
    )
  )
    return undefined
  const all = names.all || names.rows.some(isRow)
  const items = tables.map((table) => itemOf(table, all ? undefined : names))
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

/** A name alone that is a table's, in its level of the query or below; elsewhere it is an output's. */
function namesRow(
  select: SelectStmt,
  alone: ReadonlyMap<object, string>,
  tables: readonly { readonly range: RangeVar }[],
): boolean {
  let found = false
  walk(tables.length === 0 ? undefined : { SelectStmt: select }, (kind, level) => {
    if (kind !== 'SelectStmt' || found) return
    const names = namesInFrom(level as SelectStmt, tables)
    if (names.size === 0) return
    walk({ SelectStmt: level }, (_, body) => {
      if (names.has(alone.get(body) ?? '')) found = true
    })
  })
  return found
}

function namesInFrom(
  level: SelectStmt,
  tables: readonly { readonly range: RangeVar }[],
): ReadonlySet<string> {
  const names = new Set<string>()
  walk(level.fromClause, (kind, body) => {
    if (kind === 'RangeVar' && tables.some(({ range }) => range === body))
      names.add(aliasOf(body as RangeVar))
    return kind !== 'SelectStmt'
  })
  return names
}

const aliasOf = (range: RangeVar): string => range.alias?.aliasname ?? range.relname ?? ''

interface Mentioned {
  /** Whatever may be a column. */
  readonly columns: ReadonlySet<string>
  /** … without a table in front. */
  readonly bare: ReadonlySet<string>
  /** … by the name that stands in front. */
  readonly qualified: ReadonlyMap<string, ReadonlySet<string>>
  /** `*` somewhere, or columns by their place. */
  readonly all: boolean
  /** Names without a table in front: a table's would be a whole row, whose type no gathered row has. */
  readonly alone: ReadonlyMap<object, string>
  /** Those that go into functions which look at a row's columns only. */
  readonly rows: readonly string[]
}

const OF_ROWS = new Set(
  'count json_agg jsonb_agg json_agg_strict jsonb_agg_strict to_json to_jsonb row_to_json'.split(' '),
)

export function mentioned(select: SelectStmt): Mentioned {
  const columns = new Set<string>()
  const bare = new Set<string>()
  const qualified = new Map<string, Set<string>>()
  const ofRows = new Set<object>()
  const alone = new Map<object, string>()
  const rows: string[] = []
  let all = false
  walk({ SelectStmt: select }, (kind, body) => {
    if (kind === 'A_Star') all = true
    if (kind === 'RangeVar' && (body as RangeVar).alias?.colnames) all = true
    if (kind === 'FuncCall' && isOfRows(body as FuncCall))
      for (const arg of (body as FuncCall).args ?? []) ofRows.add(as(arg, 'ColumnRef') ?? {})
    if (kind === 'ColumnRef') {
      const { fields } = body as ColumnRef
      const name = as(fields?.at(-1), 'String')?.sval
      if (name === undefined) return
      columns.add(name)
      const table = as(fields?.at(-2), 'String')?.sval
      if (table !== undefined) {
        qualified.set(table, (qualified.get(table) ?? new Set()).add(name))
        return
      }
      bare.add(name)
      if (ofRows.has(body)) rows.push(name)
      else alone.set(body, name)
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
  return { columns, bare, qualified, all, alone, rows }
}

function isOfRows({ funcname }: FuncCall): boolean {
  const { schema, name } = qualified(funcname)
  return (schema === undefined || schema === 'pg_catalog') && OF_ROWS.has(name)
}

/** `names`: undefined for all columns. */
function itemOf(table: Source & { range: RangeVar }, names: Mentioned | undefined): TableItem {
  const { relation } = table
  const own = names?.qualified.get(aliasOf(table.range))
  const isWanted = (name: string) => names === undefined || names.bare.has(name) || own?.has(name) === true
  const wanted = relation.columns.filter(({ name }) => isWanted(name))
  // To count rows takes one column.
  const least = relation.columns.slice(relation.key?.index ?? 0).slice(0, 1)
  return { ...table, alias: aliasOf(table.range), columns: wanted.length > 0 ? wanted : least }
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

/** Of a table, or of a sample of it. */
export const rangeOf = (node: Node): RangeVar | undefined =>
  as(as(node, 'RangeTableSample')?.relation ?? node, 'RangeVar')
