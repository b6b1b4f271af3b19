import type { Column } from '../../catalog.ts'
import type { RangeVar, SelectStmt } from '../../parse/ast.ts'
import { ownName, type PartText } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'

/**
 * A level of a query of which every shard answers its part: that much is asked of the shards as one query, and its rows are
 * gathered in the place of those of its tables.
 */
export interface Island {
  /** The level in the query's tree. */
  readonly level: SelectStmt
  /** What every shard runs, with the client's parameters. Its columns are named by `columnNameOf`. */
  readonly sql: string
  /** The same by itself, and over the tables themselves where `sql` names rows that are spread. */
  readonly part: PartText
  readonly columns: readonly KnownColumn[]
  /** Relations that it reads. */
  readonly ranges: readonly RangeVar[]
  /** For EXPLAIN and errors. */
  readonly names: readonly string[]
  readonly tables: readonly string[]
  /** It has a row for each row of the join, with these tables among others that are spread. */
  readonly joins?: readonly TableItem[]
  /** The level over the gathered rows, which are the FROM item `from`. */
  over(from: RangeVar, columns: readonly Column[]): SelectStmt
}

/** What is known of a column: all of it, or its collation at most; then a shard tells its type. */
export type KnownColumn = Column | { readonly collation: string | undefined }
export const ASKED: KnownColumn = { collation: undefined }

export const isKnown = (column: KnownColumn): column is Column => 'typeOid' in column

/** Alias of the gathered rows in the level that they are for. */
export const ROWS = 'weft_p'

/** No column of the client's, whose names the part's own ORDER BY would take for these. */
export const columnNameOf = (n: number): string => ownName(`c${n}`)
