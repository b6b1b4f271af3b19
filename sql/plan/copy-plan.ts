import type { Relation } from '../catalog.ts'
import type { CopySkips } from '../copy/copy-format.ts'
import type { PlanCommon, TimePlace } from './plan.ts'

export interface CopyFill {
  readonly column: string
  readonly expression: string
  readonly isKey: boolean
  /** The expression, which tells a time: it is the same for all rows. */
  readonly once?: TimePlace['parts']
}

/** COPY of a sharded or reference table. */
export interface CopyPlan extends PlanCommon {
  readonly kind: 'copy'
  readonly direction: 'in' | 'out'
  readonly table: Relation
  /** Columns in the order of the data. */
  readonly columns: readonly string[]
  readonly format: 'text' | 'csv' | 'binary'
  readonly delimiter: string
  readonly nullText: string
  readonly quote: string
  readonly escape: string
  /** CSV/text HEADER: none, a line to skip or print, or one that must match the column names. */
  readonly header: 'none' | 'yes' | 'match'
  /** Column positions that FORCE_NULL / FORCE_NOT_NULL name. */
  readonly forceNull: readonly number[]
  readonly forceNotNull: readonly number[]
  /** -1 when the key is not in the column list (its default is then evaluated). */
  readonly keyIndex: number
  readonly fill: readonly CopyFill[]
  /** What stands for a column's default in the data, and positions of columns for which it cannot: one place has theirs. */
  readonly defaultText?: string
  readonly ownDefaults?: readonly number[]
  /** ON_ERROR ignore: rows with values that their types do not take are left out. */
  readonly skips?: CopySkips
  /** Of the data, by Postgres' own name; absent: UTF8. */
  readonly encoding?: string
  /** What follows STDIN or STDOUT towards the shards: `WITH (…)` without HEADER, then `WHERE …`; '' for nothing. */
  readonly optionsSql: string
}
