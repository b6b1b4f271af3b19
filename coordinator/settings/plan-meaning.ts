/**
 * Which settings can change what a text means when it is planned. PURE.
 *
 * Postgres reads a literal when it plans a statement or an expression of a function: '2024-06-01 00:00' becomes an
 * instant by TimeZone, '{NULL}' an array by array_nulls, `x = NULL` a test by transform_null_equals; a function declared
 * IMMUTABLE is called then, whatever setting it reads. A backend keeps the result, so sessions that differ in such a
 * setting must not use each other's plans.
 */
import { createHash } from 'node:crypto'
import type { Assignment } from './settings-sql.ts'

/**
 * Known to change neither a plan's meaning nor its choice. search_path is here as Postgres plans again by itself when it is
 * another. What is not in this list counts, custom settings included: functions that call themselves IMMUTABLE read them.
 */
const HARMLESS: ReadonlySet<string> = new Set([
  ...['application_name', 'client_min_messages', 'client_encoding', 'search_path'],
  ...['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout'],
  ...['transaction_timeout', 'deadlock_timeout', 'client_connection_check_interval', 'tcp_user_timeout'],
  ...['tcp_keepalives_count', 'tcp_keepalives_idle', 'tcp_keepalives_interval'],
  ...['default_transaction_isolation', 'default_transaction_read_only', 'default_transaction_deferrable'],
  ...['synchronous_commit', 'commit_delay', 'commit_siblings', 'track_activities', 'track_io_timing'],
  ...['log_statement', 'log_duration', 'log_min_messages', 'log_min_error_statement'],
  ...['log_min_duration_statement', 'log_lock_waits', 'log_error_verbosity', 'log_temp_files'],
])
const OWN = 'weft.'

/** Short, and equal for assignments that differ in harmless settings only; '' when there are no others. */
export function meaningOf(assignments: readonly Assignment[]): string {
  const counting = assignments.filter(({ name }) => !HARMLESS.has(name) && !name.startsWith(OWN))
  if (counting.length === 0) return ''
  const text = JSON.stringify(counting.map(({ name, value }) => [name, value]))
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}
