import type { SumOfTables } from './sums-of-tables.ts'

/** What a coordinator knows of sessions and tables, and puts into statements that ask about them. */
export type Known =
  | 'pid'
  | 'drawn'
  | 'sessions'
  | 'waits'
  | 'pg_stat_activity'
  | 'pg_locks'
  | 'transactions'
  | 'pg_prepared_statements'
  | 'pg_cursors'
  | SumOfTables
