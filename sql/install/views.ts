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

-- Prepared and not yet concluded on this shard; each other shard has its own.
CREATE OR REPLACE VIEW weft.transactions AS
SELECT split_part(p.gid, ':', 3) AS transaction_id,
       p.gid,
       p.owner,
       p.prepared AS prepared_at
FROM pg_prepared_xacts p
WHERE p.gid LIKE 'weft:%' AND p.database = current_database()
ORDER BY p.prepared;`
