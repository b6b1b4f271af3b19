/** What a coordinator knows of sessions, and puts into statements that ask about backends. */
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
