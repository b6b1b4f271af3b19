/** The views in which users see the cluster, on the home shard. What runs right now is in `SHOW weft.…`. */
export const homeViews = `
CREATE OR REPLACE VIEW weft.shards AS
SELECT s.shard,
       s.shard = 0 AS home,
       sum(s.slot_to - s.slot_from + 1)::int AS slots,
       string_agg(s.slot_from || '-' || s.slot_to, ', ' ORDER BY s.slot_from) AS slot_ranges
FROM weft.slots s GROUP BY s.shard ORDER BY s.shard;

CREATE OR REPLACE VIEW weft.tables AS
SELECT n.nspname AS schema_name,
       c.relname AS table_name,
       r.kind,
       a.attname AS shard_key,
       r.key_type,
       r.colocation
FROM weft.relation r
JOIN pg_class c ON c.oid = r.relid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = r.relid AND a.attnum = r.key_attnum
ORDER BY 1, 2;

-- Prepared and not yet concluded on this shard (each other shard has its own), and those that have been open here for
-- more than a second: a snapshot that is kept for long keeps dead rows. Whoever reads REPEATABLE READ is open here.
CREATE OR REPLACE VIEW weft.transactions AS
SELECT split_part(p.gid, ':', 3) AS transaction_id,
       p.gid,
       p.owner,
       p.prepared AS prepared_at,
       'prepared' AS state,
       NULL::timestamptz AS started_at,
       NULL::int AS pid,
       NULL::bigint AS dead_rows_kept_for_xacts,
       NULL::text AS query
FROM pg_prepared_xacts p
WHERE p.gid LIKE 'weft:%' AND p.database = current_database()
UNION ALL
SELECT NULL, NULL, a.usename, NULL, a.state, a.xact_start, a.pid, age(a.backend_xmin)::bigint, a.query
FROM pg_stat_activity a
WHERE a.backend_type = 'client backend' AND a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND a.application_name <> 'weft' AND a.xact_start < clock_timestamp() - interval '1 second'
ORDER BY prepared_at NULLS LAST, started_at;`
