/**
 * On the home shard: what ran on all coordinators, by fingerprint. Each adds what came since it last did; so a reset may be
 * followed by what ran in the seconds before it, and what runs after it is never lost.
 */
export const STATEMENTS_KEPT = 5_000

export const statementStats = `
CREATE UNLOGGED TABLE IF NOT EXISTS weft.statement_stat (
  queryid bigint NOT NULL,
  route text NOT NULL,
  query text NOT NULL,
  kind text NOT NULL,
  calls bigint NOT NULL,
  total_ms float8 NOT NULL,
  min_ms float8 NOT NULL,
  max_ms float8 NOT NULL,
  rows bigint NOT NULL,
  shards bigint NOT NULL,
  PRIMARY KEY (queryid, route));
REVOKE ALL ON weft.statement_stat FROM PUBLIC;

CREATE OR REPLACE FUNCTION weft.statement_stats_add(stats jsonb) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $weft$
BEGIN
  INSERT INTO weft.statement_stat AS t (queryid, route, query, kind, calls, total_ms, min_ms, max_ms, rows, shards)
  SELECT hashtextextended(s.query, 0), s.route, s.query, s.kind, s.calls, s.ms, s.least, s.most, s.rows, s.shards
    FROM jsonb_to_recordset(stats) AS s(query text, route text, kind text, calls bigint, ms float8, least float8, most float8,
         rows bigint, shards bigint)
   ORDER BY 1, 2
  ON CONFLICT (queryid, route) DO UPDATE SET calls = t.calls + excluded.calls, total_ms = t.total_ms + excluded.total_ms,
    min_ms = least(t.min_ms, excluded.min_ms), max_ms = greatest(t.max_ms, excluded.max_ms),
    rows = t.rows + excluded.rows, shards = t.shards + excluded.shards;
  IF (SELECT count(*) FROM weft.statement_stat) > ${STATEMENTS_KEPT} THEN
    DELETE FROM weft.statement_stat t WHERE (t.queryid, t.route) IN (
      SELECT o.queryid, o.route FROM weft.statement_stat o ORDER BY o.calls DESC OFFSET ${STATEMENTS_KEPT / 2});
  END IF;
END $weft$;
REVOKE ALL ON FUNCTION weft.statement_stats_add(jsonb) FROM PUBLIC;

-- As that of pg_stat_statements: for the administrator, and whom he grants it.
CREATE OR REPLACE FUNCTION weft.stat_statements_reset() RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
  DELETE FROM weft.statement_stat;
$weft$;
DO $weft$
BEGIN
  -- Only at first: what was granted since stays.
  IF to_regclass('weft.stat_statements') IS NULL THEN
    REVOKE ALL ON FUNCTION weft.stat_statements_reset() FROM PUBLIC;
  END IF;
END $weft$;

-- Texts may tell what is not for everybody, though never values.
CREATE OR REPLACE VIEW weft.stat_statements AS
SELECT s.queryid,
       CASE WHEN pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE') THEN s.query ELSE '<insufficient privilege>' END AS query,
       s.kind, s.route, s.calls,
       s.total_ms AS total_exec_time, s.min_ms AS min_exec_time, s.max_ms AS max_exec_time,
       s.total_ms / s.calls AS mean_exec_time,
       s.rows, s.shards
FROM weft.statement_stat s;
GRANT SELECT ON weft.stat_statements TO PUBLIC;`
