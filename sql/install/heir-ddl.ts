import { collation, generated, identity } from './table-ddl.ts'

/**
 * How the tables of an inheritance tree are made again on another shard. Which columns a table has of its own, and which
 * are its parents', says what ALTER TABLE does with them later; so they are added one by one, to parents and children, in
 * an order that gives every table its columns in its own order. Written for search_path = '', as `table-ddl.ts`.
 */

/** Children of a table, theirs before themselves: OID, and a parent of it that is not in the tree (or NULL). */
export const heirsSql = `
WITH RECURSIVE heir AS (
  SELECT $1::oid AS relid, 0 AS level
  UNION SELECT i.inhrelid, h.level + 1 FROM heir h JOIN pg_inherits i ON i.inhparent = h.relid)
SELECT h.relid, (SELECT i.inhparent::regclass FROM pg_inherits i
  WHERE i.inhrelid = h.relid AND NOT EXISTS (SELECT FROM heir o WHERE o.relid = i.inhparent) LIMIT 1)
FROM heir h GROUP BY h.relid HAVING max(h.level) > 0 ORDER BY max(h.level) DESC, h.relid`

/** The columns of table $1 in their order: name, whether it is the table's own, the statement that adds it. */
export const heirColumnsSql = `
SELECT a.attname, a.attislocal, format('ALTER TABLE %s ADD COLUMN %I %s%s%s', a.attrelid::regclass, a.attname,
  format_type(a.atttypid, a.atttypmod), ${collation}, ${generated})
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`

/** The parents of table $1. */
export const heirParentsSql =
  'SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = $1::oid ORDER BY i.inhseqno'

const defaults = `
SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET DEFAULT %s', a.attrelid::regclass, a.attname, pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' AND a.attidentity = ''`

// Since Postgres 18 NOT NULL is a constraint, which is inherited with its name.
const notNulls = `
SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid))
FROM pg_constraint k WHERE k.conrelid = $1::oid AND k.contype = 'n' AND k.convalidated AND k.conislocal
UNION ALL
SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET NOT NULL', a.attrelid::regclass, a.attname)
FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
  AND current_setting('server_version_num')::int < 180000`

const identities = `
SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I ADD%s', a.attrelid::regclass, a.attname, ${identity})
FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity <> ''`

/** What the columns of table $1 have, once all tables have theirs: children first. */
export const heirValueQueries: readonly string[] = [defaults, notNulls, identities]

/** What tells one tree from another to later statements, of the tables named in list $1; but for Weft's own constraint. */
export const heirsAlikeSql = (guard: string): string => `
SELECT c.oid::regclass, json_build_array(
  (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attislocal, a.attinhcount, a.attnotnull,
     a.attgenerated, a.attidentity, pg_get_expr(d.adbin, d.adrelid)) ORDER BY a.attnum)
   FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  (SELECT json_agg(json_build_array(k.conname, k.conislocal, k.coninhcount, pg_get_constraintdef(k.oid)) ORDER BY k.conname)
   FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype IN ('c', 'n') AND k.conname <> '${guard}'))
FROM unnest($1::text[]) AS t(name) JOIN pg_class c ON c.oid = to_regclass(t.name) ORDER BY t.name`
