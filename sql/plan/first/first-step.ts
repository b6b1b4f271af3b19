import type { Relation } from '../../catalog.ts'
import type { Node } from '../../parse/ast.ts'

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
  /** It is one of which shards give rows in whatever order: so they are put into one that is always the same. */
  readonly inNoOrder?: true
  /** It is one that an UPDATE or DELETE joins, and has a LIMIT. */
  readonly isLimited?: true
  /** It is a MERGE that speaks of rows which nothing joins: of one state, too. */
  readonly bySource?: true
  /** Texts in it may have other collations than their types'. */
  readonly collates: boolean
  /** What is run first writes. */
  readonly writes?: FirstWrite
  /** How it is run where the rest may not see what is written. */
  readonly ahead?: Ahead
  /** It gives one row, of expressions of an INSERT: each has a mark of its own in the rest. */
  readonly computes?: true
  /** How an UPDATE, DELETE or MERGE is run as a whole where no snapshot shows both states. */
  readonly held?: HeldWrite
  /** In its place: values of defaults that only the home shard can give, for so many rows; of several they are arrays. */
  readonly draws?: { readonly expressions: readonly string[]; readonly rows: number }
  /** How an INSERT … SELECT is run where no snapshot shows what it reads; `isListed`: it is always run so. */
  readonly listed?: ListedRows
  readonly isListed?: true
  /** In its place, for each row: the rest inserts it, or locks the one that is in its way, which `sql` changes then. */
  readonly moves?: MovedInConflict
}

/** An INSERT … SELECT as one of VALUES: what gives its rows, with what subqueries give beside each, and marks for both. */
export interface ListedRows {
  readonly sql: string
  readonly rest: string
  /** Inserts no row. */
  readonly none: string
  /** How many columns are those of rows. */
  readonly width: number
  /** The INSERT reads tables itself. */
  readonly readsMore: boolean
  /** It uses temporary tables, beside which a transaction with a snapshot cannot be prepared. */
  readonly alwaysLists?: true
  readonly collates: boolean
}

/** Its texts, the step's own among them, have marks where the values of a row come. */
export interface MovedInConflict {
  readonly table: Relation
  /** Columns that are set. */
  readonly sets: readonly string[]
  readonly withChildren: boolean
  /** Values of each row, or the query that gives them. */
  readonly rows: readonly (readonly string[])[] | string
  /** Of `ON CONFLICT ON CONSTRAINT`: it is to be the primary key. */
  readonly constraint?: string
  /** Gives, of the row that is there, what conflicts are about. */
  readonly found: string
  /** The same as it becomes; undefined: that is told when it is changed only. */
  readonly becomes?: string
  /** Fails where policies forbid to change the row. */
  readonly check?: string
  /** Inserts none, for a query that gives none. */
  readonly none?: string
}

export interface FirstWrite {
  readonly verb: 'INSERT' | 'UPDATE' | 'DELETE' | 'MERGE'
  /** As the statement names it, quoted. */
  readonly table: string
  /** Of an UPDATE, and of ON CONFLICT DO UPDATE: those that it sets. */
  readonly columns?: readonly string[]
  /** Those that the rest reads, and those that it changes. */
  readonly reads: readonly string[]
  readonly changes: readonly string[]
  /** The table is among them. */
  readonly isSeen: boolean
  /** Which rows it writes hangs on no table, as of an INSERT of values. */
  readonly isBlind: boolean
}

/** All that the rest reads is read before anything is written, in one statement. */
export interface Ahead {
  /** Each gives the rows of one of the rest's marks. */
  readonly reads: readonly string[]
  /** What is run then; its last columns tell the rows that it has written, by the primary key. */
  readonly sql: string
  readonly keys: number
  readonly rest: string
  /** Where no snapshot shows what is read and what is written. */
  readonly locked?: LockedAhead
  /** Nobody reads its rows: as in Postgres it is run after the rest, over rows that are locked before that. */
  readonly isLast?: true
}

/**
 * A write of rows that are locked and told by their keys, over what was read beside those, in one statement. It takes no
 * snapshot (docs/decisions/0061-writes-of-held-rows.md).
 */
export interface HeldWrite {
  /** WITH queries, each of which is read once; and what is read of them: rows for the marks, then so many lists of keys. */
  readonly once: string
  readonly arms: readonly string[]
  readonly keys: number
  /** The queries themselves, and one that has the columns of the keys: of their types. */
  readonly reads: readonly string[]
  readonly key: string
  /** Locks rows of the keys at its mark, and gives them. */
  readonly lock: string
  /** The statement, with marks where rows and keys come. */
  readonly sql: string
  /** Of a DELETE, which may be of rows that its role may not lock: the table. */
  readonly locksByUpdate?: number
  /** By itself, too: it uses temporary tables, beside which a transaction with a snapshot cannot be prepared. */
  readonly alwaysHolds?: true
}

/** The rows that are written are locked first; then those that are meant are read beside all else, and written if locked. */
export interface LockedAhead {
  /** Gives their keys. */
  readonly lock: string
  /** After the others: what the write reads, and last the keys of the rows that it means. */
  readonly reads: readonly string[]
  /** In the place of what is run then, over those. */
  readonly sql: string
}

/** Rows, as a relation: with columns of their names. */
export const GIVEN_ROWS = '__weft_gathered_given'
/** As they are named there. */
export const GIVEN_ALIAS = '__weft_given'
/** One column of them, where one value is wanted. */
export const GIVEN_VALUE = '__weft_gathered_value'
/** The same of rows that are read ahead, by number. */
export const aheadRows = (n: number): string => `__weft_gathered_ahead_${n}`
export const aheadValue = (n: number): string => `__weft_gathered_aheadvalue_${n}`
/** The same as a list of values or rows. */
export const keyList = (n: number): string => `__weft_gathered_keylist_${n}()`
/** Rows that have been written, by their keys. */
export const WRITTEN_KEYS = '__weft_gathered_writtenkeys'

/** It stands for rows that are not there yet. */
export const isGiven = (relname: string | undefined): boolean =>
  relname !== undefined &&
  (relname === GIVEN_ROWS || relname === WRITTEN_KEYS || /^__weft_gathered_ahead_/.test(relname))

/** Stands for rows of VALUES. */
export const LISTED_ROWS = '__weft_gathered_listed'

/** An INSERT of these rows. */
export function withListed(
  { rest, width }: ListedRows,
  { columns, rows }: Given,
  quote: (text: string | null) => string,
): string {
  const own = columns.slice(0, width)
  const list = rows.map((row) => `(${valuesOf({ columns: own, rows: [] }, row, quote)})`)
  return withGiven(rest, { columns, rows }, quote).replace(LISTED_MARK, () => list.join(', '))
}

const LISTED_MARK = new RegExp(`\\(\\s*${LISTED_ROWS}\\(\\)\\s*\\)`)

const COMPUTED = '__weft_gathered_computed_'
/** Stands for the `n`-th expression that is computed. */
export const computedMark = (n: number): Node => {
  const funcname = [{ String: { sval: `${COMPUTED}${n}` } }]
  return { FuncCall: { funcname, funcformat: 'COERCE_EXPLICIT_CALL' } } as Node
}

const COMPUTED_MARKS = new RegExp(`${COMPUTED}(\\d+)\\(\\)`, 'g')
const MARKS =
  /__weft_gathered_(?:ahead_(\d+)|aheadvalue_(\d+)\(\)|keylist_(\d+)\(\)|(writtenkeys)|computed_(\d+)\(\)|value\(\)|given)/g

export interface GivenColumn {
  readonly name: string
  /** As a cast takes it. */
  readonly type: string
  /** Where it is not the type's. */
  readonly collation?: string
}

export type GivenRow = readonly (string | null)[]

/** In an order that is the same for the same rows: statements that write what these mean lock it in that order. */
export const inOneOrder = (rows: readonly GivenRow[]): readonly GivenRow[] => rows.toSorted(compareRows)

function compareRows(a: GivenRow, b: GivenRow): number {
  for (const [i, left] of a.entries()) {
    const order = compareTexts(left ?? '', b[i] ?? '')
    if (order !== 0) return order
  }
  return 0
}

/** Numbers as they count, mostly. */
const compareTexts = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)

export interface Given {
  readonly columns: readonly GivenColumn[]
  readonly rows: readonly GivenRow[]
}

/** The rest with rows in it. `quote`: of a text as SQL's constant. */
export function withGiven(
  rest: string,
  given: Given,
  quote: (text: string | null) => string,
  ahead: readonly Given[] = [],
  keys: Given = given,
): string {
  return rest.replace(MARKS, (mark, ...[rows, value, list, written, computed]: (string | undefined)[]) => {
    if (rows !== undefined) return relationOf(ahead[Number(rows)]!, quote)
    if (value !== undefined) return oneValueOf(ahead[Number(value)]!, quote)
    if (list !== undefined) return listOf(ahead[Number(list)]!, quote)
    if (written !== undefined) return relationOf(keys, quote)
    if (computed !== undefined) return cellOf(given, Number(computed), quote)
    return mark === GIVEN_ROWS ? relationOf(given, quote) : oneValueOf(given, quote)
  })
}

/** Values as SQL's texts in the places of marks. */
export const withItems = (text: string, items: readonly string[]): string =>
  text.replace(COMPUTED_MARKS, (_, n: string) => items[Number(n)]!)

/** The same of a row, as constants. */
export const itemsOf = ({ columns }: Given, row: GivenRow, quote: Quote): readonly string[] =>
  columns.map((column, i) => `(${valuesOf({ columns: [column], rows: [] }, [row[i] ?? null], quote)})`)

type Quote = (text: string | null) => string

function valuesOf({ columns }: Given, row: GivenRow, quote: Quote): string {
  const cast = (value: string | null, { type, collation }: GivenColumn) =>
    `CAST(${quote(value)} AS ${type})${collation === undefined ? '' : ` COLLATE ${collation}`}`
  return columns.map((column, i) => cast(row[i] ?? null, column)).join(', ')
}

function cellOf({ columns, rows }: Given, at: number, quote: Quote): string {
  return `(${valuesOf({ columns: [columns[at]!], rows: [] }, [rows[0]?.[at] ?? null], quote)})`
}

function relationOf(given: Given, quote: Quote): string {
  const { columns, rows } = given
  const name = (column: string) => `"${column.replaceAll('"', '""')}"`
  if (columns.length === 0) return `pg_catalog.generate_series(1, ${rows.length}) AS ${GIVEN_ALIAS}`
  const alias = `AS ${GIVEN_ALIAS} (${columns.map((column) => name(column.name)).join(', ')})`
  if (rows.length === 0) return `(SELECT ${valuesOf(given, [], quote)} WHERE false) ${alias}`
  return `(VALUES ${rows.map((row) => `(${valuesOf(given, row, quote)})`).join(', ')}) ${alias}`
}

/** Of none it is one that nothing equals. */
function listOf(given: Given, quote: Quote): string {
  const row = (values: GivenRow): string => {
    const text = valuesOf(given, values, quote)
    return given.columns.length === 1 ? text : `(${text})`
  }
  return given.rows.length === 0 ? row([]) : given.rows.map(row).join(', ')
}

const oneValueOf = (given: Given, quote: Quote): string =>
  given.rows.length < 2
    ? valuesOf(given, given.rows[0] ?? [], quote)
    : `(SELECT * FROM ${relationOf(given, quote)})`
