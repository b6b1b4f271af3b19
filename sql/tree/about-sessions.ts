import { SIZE_FUNCTIONS, STATISTICS } from '../plan/sums-of-tables.ts'

/**
 * Postgres' functions and views that name backends, or tell what a session has drawn from sequences, or the sizes and
 * statistics of tables: for each there is one in schema `weft` that speaks of client sessions, and of tables as a whole.
 */
const NAMES: ReadonlySet<string> = new Set([
  ...['pg_backend_pid', 'pg_cancel_backend', 'pg_terminate_backend', 'pg_blocking_pids'],
  ...[
    'pg_isolation_test_session_is_blocked',
    'pg_stat_activity',
    'pg_locks',
    'transactions',
    'pg_prepared_statements',
    'pg_cursors',
  ],
  ...['currval', 'lastval'],
  ...SIZE_FUNCTIONS,
  ...['pg_database_size', 'pg_class', ...Object.keys(STATISTICS)],
])

export const isAboutSessions = (name: string): boolean => NAMES.has(name)
