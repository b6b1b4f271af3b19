/**
 * A statement with a query in it that does something (it locks rows, or writes) and cannot do that where the rest of it
 * runs: it is run first, and the rest with its rows in its place.
 */
export interface FirstStep {
  readonly kind: 'run-first'
  /** What is run first. Parameters have the client's numbers. */
  readonly sql: string
  /** The client's statement, with marks where its rows come. */
  readonly rest: string
  /** The rest reads tables beside what it changes: both are to see one state. */
  readonly readsMore: boolean
  /** It is the source of a MERGE, whose target is to be of the same state. */
  readonly isSource?: true
  /** It is one that an UPDATE or DELETE joins, and has a LIMIT. */
  readonly isLimited?: true
  /** It is a MERGE that speaks of rows which nothing joins: of one state, too. */
  readonly bySource?: true
  /** Texts in it may have other collations than their types'. */
  readonly collates: boolean
  /** What is run first writes. */
  readonly writes?: FirstWrite
}

export interface FirstWrite {
  readonly verb: 'INSERT' | 'UPDATE' | 'DELETE' | 'MERGE'
  /** As the statement names it, quoted. */
  readonly table: string
  /** Of an UPDATE: those that it sets. */
  readonly columns?: readonly string[]
  /** Those that the rest reads or changes. */
  readonly others: readonly string[]
}

/** Rows, as a relation: with columns of their names. */
export const GIVEN_ROWS = '__weft_gathered_given'
/** As they are named there. */
export const GIVEN_ALIAS = '__weft_given'
/** One column of them, where one value is wanted. */
export const GIVEN_VALUE = '__weft_gathered_value'

export interface GivenColumn {
  readonly name: string
  /** As a cast takes it. */
  readonly type: string
  /** Where it is not the type's. */
  readonly collation?: string
}

export type GivenRow = readonly (string | null)[]

/** The rest with rows in it. `quote`: of a text as SQL's constant. */
export function withGiven(
  rest: string,
  columns: readonly GivenColumn[],
  rows: readonly GivenRow[],
  quote: (text: string | null) => string,
): string {
  const cast = (value: string | null, { type, collation }: GivenColumn) =>
    `CAST(${quote(value)} AS ${type})${collation === undefined ? '' : ` COLLATE ${collation}`}`
  const all = (row: GivenRow) => columns.map((column, i) => cast(row[i] ?? null, column)).join(', ')
  const name = (column: string) => `"${column.replaceAll('"', '""')}"`
  const relation = (): string => {
    if (columns.length === 0) return `pg_catalog.generate_series(1, ${rows.length}) AS ${GIVEN_ALIAS}`
    const alias = `AS ${GIVEN_ALIAS} (${columns.map((column) => name(column.name)).join(', ')})`
    if (rows.length === 0) return `(SELECT ${all([])} WHERE false) ${alias}`
    return `(VALUES ${rows.map((row) => `(${all(row)})`).join(', ')}) ${alias}`
  }
  const value = () => (rows.length === 1 ? all(rows[0]!) : `(SELECT * FROM ${relation()})`)
  return rest.replaceAll(`${GIVEN_VALUE}()`, value).replaceAll(GIVEN_ROWS, relation)
}
