import { BinaryRows } from './binary-rows.ts'
import { CsvRows } from './csv-rows.ts'
import type { RowReader } from './row-reader.ts'
import { TextRows } from './text-rows.ts'

/** How the data of one COPY FROM is written, and what of it is wanted. */
export interface CopyFormat {
  readonly format: 'text' | 'csv' | 'binary'
  /** For the CONTEXT of errors. */
  readonly table: string
  /** Columns in the order of the data. */
  readonly columns: readonly string[]
  readonly delimiter: string
  readonly nullText: string
  readonly quote: string
  readonly escape: string
  readonly header: 'none' | 'yes' | 'match'
  /** Position of the shard key among the columns; -1 when no row's key is wanted. */
  readonly keyIndex: number
  /** FORCE_NULL, FORCE_NOT_NULL name the key. */
  readonly keyForceNull: boolean
  readonly keyForceNotNull: boolean
  /** Make sure that every row has exactly the columns named, because something will be appended to it. */
  readonly countFields: boolean
  /** What stands for a column's default, and positions of columns for which it cannot. */
  readonly defaultText: string | undefined
  readonly ownDefaults: readonly number[]
  /** Postgres may leave a row out before it misses a column. */
  readonly skips: boolean
  /** Postgres up to 17 ends CSV data at a line `\.`; 18 takes it as data. */
  readonly csvEndMarker: boolean
  readonly rowBytesMax: number
}

/** Rows that a COPY FROM leaves out, by ON_ERROR ignore. */
export interface CopySkips {
  /** REJECT_LIMIT. */
  readonly max?: bigint
  /** What is said of them: LOG_VERBOSITY. */
  readonly says: 'silent' | 'how many' | 'each'
}

/** No field of Postgres can be larger than 1 GiB; rows that have to wait in memory for their end are kept smaller. */
export const ROW_BYTES_MAX = 256 * 1024 * 1024

/** A reader of rows for a format. */
export function rowReader(format: CopyFormat): RowReader {
  switch (format.format) {
    case 'text':
      return new TextRows(format)
    case 'csv':
      return new CsvRows(format)
    case 'binary':
      return new BinaryRows(format)
  }
}
