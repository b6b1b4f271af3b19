/**
 * Functions in which Weft's coordinators speak of client sessions where Postgres speaks of its backends: what they know
 * comes as the last argument (sql/plan/session-pids.ts). They are no secret and no door: who calls them with an argument
 * of his own gets an answer about that, and nobody is signalled whom his coordinator would not let him signal.
 */

/** SQLSTATE of the message by which a coordinator hears whom a statement wants signalled. */
export const SIGNAL_CODE = '01WFS'

/** The session's own number, as a value of the statement. On every shard. */
export const sessionPid = `
CREATE OR REPLACE FUNCTION weft.pg_backend_pid(pid int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT $1';
GRANT EXECUTE ON FUNCTION weft.pg_backend_pid(int) TO PUBLIC;`

/** `sessions`: what the session may do to each, by pid: 'yes', 'no', or 'super': that takes a superuser. */
const signals = `
CREATE OR REPLACE FUNCTION weft.signal(pid int, verb text, sessions jsonb) RETURNS bool
LANGUAGE plpgsql STRICT AS $weft$
DECLARE
  may text := sessions ->> pid::text;
  what text := CASE verb WHEN 'cancel' THEN 'cancel query' ELSE 'terminate process' END;
BEGIN
  IF may IS NULL THEN
    RAISE WARNING 'PID % is not a PostgreSQL backend process', pid;
    RETURN false;
  ELSIF may = 'super' THEN
    RAISE EXCEPTION 'permission denied to %', what USING ERRCODE = '42501', DETAIL = format(
      'Only roles with the %s attribute may %s of roles with the %s attribute.',
      'SUPERUSER', CASE verb WHEN 'cancel' THEN 'cancel queries' ELSE 'terminate processes' END, 'SUPERUSER');
  ELSIF may <> 'yes' THEN
    RAISE EXCEPTION 'permission denied to %', what USING ERRCODE = '42501', DETAIL = format(
      'Only roles with privileges of the role whose %s or with privileges of the "%s" role may %s.',
      CASE verb WHEN 'cancel' THEN 'query is being canceled' ELSE 'process is being terminated' END,
      'pg_signal_backend', CASE verb WHEN 'cancel' THEN 'cancel this query' ELSE 'terminate this process' END);
  END IF;
  RAISE INFO USING MESSAGE = verb || ' ' || pid, ERRCODE = '${SIGNAL_CODE}';
  RETURN true;
END $weft$;
CREATE OR REPLACE FUNCTION weft.pg_cancel_backend(pid int, sessions jsonb) RETURNS bool
LANGUAGE sql STRICT AS $weft$ SELECT weft.signal(pid, 'cancel', sessions) $weft$;
CREATE OR REPLACE FUNCTION weft.pg_terminate_backend(pid int, sessions jsonb) RETURNS bool
LANGUAGE sql STRICT AS $weft$ SELECT weft.signal(pid, 'terminate', sessions) $weft$;
CREATE OR REPLACE FUNCTION weft.pg_terminate_backend(pid int, timeout bigint, sessions jsonb) RETURNS bool
LANGUAGE plpgsql STRICT AS $weft$
BEGIN
  IF timeout <> 0 THEN
    RAISE EXCEPTION 'Weft: pg_terminate_backend() with a timeout is not supported'
      USING ERRCODE = '0A000', DETAIL = 'Refusal session_function, see docs/sql.md.',
        HINT = 'Leave the timeout out, and look whether the session is gone.';
  END IF;
  RETURN weft.signal(pid, 'terminate', sessions);
END $weft$;`

/** `waits`: pairs of who waits and for whom, on any shard. */
const waits = `
CREATE OR REPLACE FUNCTION weft.pg_blocking_pids(pid int, waits jsonb) RETURNS int[]
LANGUAGE sql STRICT AS $weft$
  SELECT coalesce(array_agg(DISTINCT (w ->> 1)::int), '{}') FROM jsonb_array_elements(waits) w WHERE (w ->> 0)::int = pid
$weft$;
CREATE OR REPLACE FUNCTION weft.pg_isolation_test_session_is_blocked(pid int, pids int[], waits jsonb) RETURNS bool
LANGUAGE sql STRICT AS $weft$
  SELECT EXISTS (SELECT FROM jsonb_array_elements(waits) w WHERE (w ->> 0)::int = pid AND (w ->> 1)::int = ANY (pids))
$weft$;`

/** `seen`: rows of the view, with the pids of sessions. The server's own processes are those of the home shard. */
const views = `
CREATE OR REPLACE FUNCTION weft.pg_stat_activity(seen jsonb) RETURNS SETOF pg_catalog.pg_stat_activity
LANGUAGE sql VOLATILE STRICT AS $weft$
  SELECT a.* FROM jsonb_array_elements(seen) s, LATERAL jsonb_populate_record(NULL::pg_catalog.pg_stat_activity,
    s || jsonb_build_object('datid', (SELECT oid FROM pg_database WHERE datname = current_database()),
      'datname', current_database(), 'usesysid', (SELECT oid FROM pg_roles WHERE rolname = s ->> 'usename'))) a
  UNION ALL
  SELECT * FROM pg_catalog.pg_stat_activity WHERE backend_type <> 'client backend'
$weft$;
CREATE OR REPLACE FUNCTION weft.pg_locks(seen jsonb) RETURNS SETOF pg_catalog.pg_locks
LANGUAGE sql VOLATILE STRICT AS $weft$
  SELECT l.* FROM jsonb_array_elements(seen) s, LATERAL jsonb_populate_record(NULL::pg_catalog.pg_locks, s) l
  UNION ALL
  SELECT * FROM pg_catalog.pg_locks WHERE pid IS NULL
    OR pid IN (SELECT a.pid FROM pg_catalog.pg_stat_activity a WHERE a.backend_type <> 'client backend')
$weft$;`

/** The view, with sessions' pids. `seen`: rows of pg_stat_activity, of sessions that have a backend of the home shard. */
const transactions = `
CREATE OR REPLACE FUNCTION weft.transactions(seen jsonb) RETURNS SETOF weft.transactions
LANGUAGE sql VOLATILE STRICT AS $weft$
  SELECT * FROM weft.transactions WHERE state = 'prepared'
  UNION ALL
  SELECT NULL, NULL, a.usename, NULL, a.state, a.xact_start, a.pid, age(a.backend_xmin)::bigint, a.query
  FROM jsonb_populate_recordset(NULL::pg_catalog.pg_stat_activity, seen) a
  WHERE a.xact_start < clock_timestamp() - interval '1 second'
  ORDER BY 4 NULLS LAST, 6
$weft$;`

/** `seen`: what the session has, which backends have only in part, under names of Weft's, or of others. */
const lists = `
CREATE OR REPLACE FUNCTION weft.pg_prepared_statements(seen jsonb) RETURNS SETOF pg_catalog.pg_prepared_statements
LANGUAGE sql VOLATILE STRICT AS $weft$
  SELECT p.* FROM jsonb_array_elements(seen) s,
    LATERAL jsonb_populate_record(NULL::pg_catalog.pg_prepared_statements, s) p
$weft$;
CREATE OR REPLACE FUNCTION weft.pg_cursors(seen jsonb) RETURNS SETOF pg_catalog.pg_cursors
LANGUAGE sql VOLATILE STRICT AS $weft$
  SELECT c.* FROM jsonb_array_elements(seen) s, LATERAL jsonb_populate_record(NULL::pg_catalog.pg_cursors, s) c
$weft$;`

export const sessionFunctions = `${signals + waits + views + transactions + lists}
GRANT EXECUTE ON FUNCTION weft.signal(int, text, jsonb), weft.pg_cancel_backend(int, jsonb),
  weft.pg_terminate_backend(int, jsonb), weft.pg_terminate_backend(int, bigint, jsonb), weft.pg_blocking_pids(int, jsonb),
  weft.pg_isolation_test_session_is_blocked(int, int[], jsonb), weft.pg_stat_activity(jsonb), weft.pg_locks(jsonb),
  weft.transactions(jsonb), weft.pg_prepared_statements(jsonb), weft.pg_cursors(jsonb) TO PUBLIC;`
