import { SLOT_GUARD } from './slot-guard.ts'

/**
 * How a table is made again on another shard: queries to the home shard whose rows are the statements to run there, in
 * order, one column each. $1 is the table's OID. They are written for search_path = '', so that every name comes out
 * qualified. The rows are copied between `createQueries` and `finishQueries`: without indexes they load faster, and
 * triggers and foreign keys must not see the move.
 */

const options = (array: string): string => `(
  SELECT string_agg(format('%s=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ')
  FROM unnest(${array}) AS o)`

const sequenceOptions = `format('AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s',
  format_type(s.seqtypid, NULL), s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache,
  CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)`

/** Sequences of serial columns: they must exist wherever a default names them; their values come from home only. */
export const sequencesQuery = `
SELECT format('CREATE SEQUENCE IF NOT EXISTS %s %s', s.seqrelid::regclass, ${sequenceOptions})
FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = $1::oid AND d.deptype = 'a'`

const sequenceOwners = `
SELECT format('ALTER SEQUENCE %s OWNED BY %s.%I', s.seqrelid::regclass, a.attrelid::regclass, a.attname)
FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid
JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = $1::oid AND d.deptype = 'a'`

export const collation = `CASE WHEN a.attcollation <> 0 AND a.attcollation <> t.typcollation
  THEN (SELECT format(' COLLATE %I.%I', n.nspname, l.collname)
        FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation)
  ELSE '' END`

export const identity = `(
  SELECT format(' GENERATED %s AS IDENTITY ('
    'SEQUENCE NAME %s INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s)',
    CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END, s.seqrelid::regclass,
    s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)
  FROM pg_depend d JOIN pg_sequence s ON s.seqrelid = d.objid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum AND d.deptype = 'i')`

/** What a column has that is no default: for ADD COLUMN. */
export const generated = `CASE a.attgenerated
  WHEN 's' THEN format(' GENERATED ALWAYS AS (%s) STORED', pg_get_expr(d.adbin, d.adrelid))
  WHEN 'v' THEN format(' GENERATED ALWAYS AS (%s) VIRTUAL', pg_get_expr(d.adbin, d.adrelid))
  ELSE '' END`

const value = `CASE
  -- A partition may have it from its parent.
  WHEN a.attidentity <> '' THEN coalesce(${identity}, '')
  WHEN a.attgenerated <> '' THEN ${generated}
  WHEN d.oid IS NOT NULL THEN format(' DEFAULT %s', pg_get_expr(d.adbin, d.adrelid))
  ELSE '' END`

// Since Postgres 18 NOT NULL is a constraint with a name; one that is not valid yet is added after the rows.
const notNull = `CASE
  WHEN nn.oid IS NOT NULL AND nn.convalidated THEN format(' CONSTRAINT %I NOT NULL', nn.conname)
  WHEN nn.oid IS NULL AND a.attnotnull THEN ' NOT NULL'
  ELSE '' END`

const toastOptions = `(
  SELECT array_agg('toast.' || x) FROM pg_class tc, unnest(tc.reloptions) x WHERE tc.oid = c.reltoastrelid)`

const storage = `
  CASE WHEN am.amname <> 'heap' THEN format(' USING %I', am.amname) ELSE '' END,
  coalesce(' WITH (' || nullif(concat_ws(', ', ${options('c.reloptions')},
    ${options(toastOptions)}), '') || ')', '')`

const table = `
SELECT format('CREATE TABLE %s (%s)%s%s%s', c.oid::regclass,
  (SELECT string_agg(format('%I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
            ${collation}, ${value}, ${notNull}), ', ' ORDER BY a.attnum)
   FROM pg_attribute a
   JOIN pg_type t ON t.oid = a.atttypid
   LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
   LEFT JOIN pg_constraint nn ON nn.conrelid = a.attrelid AND nn.contype = 'n' AND nn.conkey = ARRAY[a.attnum]
   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  ' PARTITION BY ' || pg_get_partkeydef(c.oid), ${storage})
FROM pg_class c LEFT JOIN pg_am am ON am.oid = c.relam WHERE c.oid = $1::oid`

/** `CREATE TABLE … OF`, once it has its columns. */
const ofType = `
SELECT format('ALTER TABLE %s OF %s', c.oid::regclass, c.reloftype::regtype)
FROM pg_class c WHERE c.oid = $1::oid AND c.reloftype <> 0`

const columnSettings = `
SELECT format('ALTER TABLE ONLY %s ALTER COLUMN %I SET %s', a.attrelid::regclass, a.attname, x.setting)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
CROSS JOIN LATERAL (VALUES
  (CASE WHEN a.attstorage <> t.typstorage THEN 'STORAGE ' || CASE a.attstorage
     WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END END),
  (CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END),
  (CASE WHEN a.attstattarget >= 0 THEN 'STATISTICS ' || a.attstattarget END),
  ('(' || ${options('a.attoptions')} || ')')) AS x(setting)
WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
  AND x.setting IS NOT NULL`

const owner = `
SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(c.relowner))
FROM pg_class c WHERE c.oid = $1::oid`

/** A foreign key to what is partitioned has parts of its own for the partitions. */
const isWhole = `NOT EXISTS (SELECT FROM pg_constraint w WHERE w.oid = pg_constraint.conparentid AND w.conrelid = pg_constraint.conrelid)`

/** What is inherited comes with the parents' own; a partition is made by itself. */
const isOwn = `(conislocal OR (SELECT c.relispartition FROM pg_class c WHERE c.oid = conrelid))`

const constraints = (kinds: string): string => `
SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint
WHERE conrelid = $1::oid AND ${kinds} AND ${isWhole} AND (contype NOT IN ('c', 'n') OR ${isOwn})
ORDER BY contype <> 'p', conname`

const indexes = `
SELECT pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = $1::oid AND i.indisvalid
  AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY c.relname`

const indexSettings = `
SELECT format('ALTER INDEX %s SET (%s)', c.oid::regclass, ${options('c.reloptions')})
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conindid
WHERE k.conrelid = $1::oid AND k.contype IN ('p', 'u', 'x') AND c.reloptions IS NOT NULL
UNION ALL
SELECT format('ALTER TABLE %s CLUSTER ON %I', i.indrelid::regclass, c.relname)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::oid AND i.indisclustered
UNION ALL
SELECT format('ALTER TABLE %s REPLICA IDENTITY %s', c.oid::regclass, CASE c.relreplident
  WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE (
    SELECT format('USING INDEX %I', ic.relname) FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisreplident) END)
FROM pg_class c WHERE c.oid = $1::oid AND c.relreplident <> 'd'`

const statistics = `
SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = $1::oid ORDER BY stxname`

/** Those of a reference table are on home only (docs/decisions/0080-triggers-of-copies-at-home.md). */
const FIRE_EVERYWHERE = `NOT EXISTS (SELECT FROM weft.relation r WHERE r.relid = $1::oid AND r.kind = 'reference')`

const triggers = `
SELECT pg_get_triggerdef(oid) FROM pg_trigger
WHERE tgrelid = $1::oid AND NOT tgisinternal AND tgparentid = 0 AND ${FIRE_EVERYWHERE} ORDER BY tgname`

const triggerStates = `
SELECT format('ALTER TABLE %s %s TRIGGER %I', tgrelid::regclass,
  CASE tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, tgname)
FROM pg_trigger WHERE tgrelid = $1::oid AND NOT tgisinternal AND tgparentid = 0 AND tgenabled <> 'O' AND ${FIRE_EVERYWHERE}
ORDER BY tgname`

const policies = `
SELECT format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, p.polrelid::regclass,
  CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
  CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
    WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
  (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
   FROM unnest(p.polroles) AS r),
  coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ''),
  coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''))
FROM pg_policy p WHERE p.polrelid = $1::oid ORDER BY p.polname`

const rowSecurity = `
SELECT format('ALTER TABLE %s %s ROW LEVEL SECURITY', c.oid::regclass, x.verb)
FROM pg_class c CROSS JOIN LATERAL (VALUES
  (CASE WHEN c.relrowsecurity THEN 'ENABLE' END), (CASE WHEN c.relforcerowsecurity THEN 'FORCE' END)) AS x(verb)
WHERE c.oid = $1::oid AND x.verb IS NOT NULL`

const grantee = `CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END`
const grantOption = `CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END`

/** The owner's own rights come with the table. */
const grants = `
SELECT format('GRANT %s ON %s %s TO %s%s', x.privilege_type,
  CASE WHEN c.relkind = 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass, ${grantee}, ${grantOption})
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS x
WHERE x.grantee <> c.relowner AND (c.oid = $1::oid OR (c.relkind = 'S' AND c.oid IN (
  SELECT d.objid FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = $1::oid AND d.deptype IN ('a', 'i'))))
UNION ALL
SELECT format('GRANT %s (%I) ON TABLE %s TO %s%s', x.privilege_type, a.attname, a.attrelid::regclass,
  ${grantee}, ${grantOption})
FROM pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) AS x
WHERE a.attrelid = $1::oid AND NOT a.attisdropped`

const comments = `
SELECT format('COMMENT ON %s IS %L', x.what, d.description)
FROM pg_description d CROSS JOIN LATERAL (
  SELECT format('TABLE %s', d.objoid::regclass)
  WHERE d.classoid = 'pg_class'::regclass AND d.objoid = $1::oid AND d.objsubid = 0
  UNION ALL
  SELECT format('COLUMN %s.%I', a.attrelid::regclass, a.attname) FROM pg_attribute a
  WHERE d.classoid = 'pg_class'::regclass AND d.objoid = $1::oid AND a.attrelid = d.objoid AND a.attnum = d.objsubid
  UNION ALL
  SELECT format('INDEX %s', i.indexrelid::regclass) FROM pg_index i
  WHERE d.classoid = 'pg_class'::regclass AND i.indexrelid = d.objoid AND i.indrelid = $1::oid
  UNION ALL
  SELECT format('CONSTRAINT %I ON %s', k.conname, k.conrelid::regclass) FROM pg_constraint k
  WHERE d.classoid = 'pg_constraint'::regclass AND k.oid = d.objoid AND k.conrelid = $1::oid
  UNION ALL
  SELECT format('TRIGGER %I ON %s', t.tgname, t.tgrelid::regclass) FROM pg_trigger t
  WHERE d.classoid = 'pg_trigger'::regclass AND t.oid = d.objoid AND t.tgrelid = $1::oid AND ${FIRE_EVERYWHERE}
  UNION ALL
  SELECT format('POLICY %I ON %s', p.polname, p.polrelid::regclass) FROM pg_policy p
  WHERE d.classoid = 'pg_policy'::regclass AND p.oid = d.objoid AND p.polrelid = $1::oid
) AS x(what)`

/** Before the rows. */
export const createQueries: readonly string[] = [
  sequencesQuery,
  table,
  ofType,
  sequenceOwners,
  owner,
  columnSettings,
]

/** The same of a table in an inheritance tree, whose columns are made one by one (`heir-ddl.ts`). */
export const heirCreateQueries = {
  before: [
    sequencesQuery,
    `SELECT format('CREATE TABLE %s ()%s%s%s', c.oid::regclass, (
       SELECT ' INHERITS (' || string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno) || ')'
       FROM pg_inherits i WHERE i.inhrelid = c.oid), ${storage})
     FROM pg_class c LEFT JOIN pg_am am ON am.oid = c.relam WHERE c.oid = $1::oid`,
  ],
  after: [sequenceOwners, owner, columnSettings],
} as const

/** After the rows. */
export const finishQueries: readonly string[] = [
  constraints("contype IN ('p', 'u', 'x')"),
  constraints(`((contype = 'c' AND conname <> '${SLOT_GUARD}') OR (contype = 'n' AND NOT convalidated))`),
  indexes,
  indexSettings,
  statistics,
  constraints("contype = 'f'"),
  triggers,
  triggerStates,
  policies,
  rowSecurity,
  grants,
  comments,
]

/** Foreign keys of the table to itself: statements that drop and that make them again, in two columns. */
export const selfReferencesQuery = `
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE conrelid = $1::oid AND confrelid = $1::oid AND contype = 'f' ORDER BY conname`

/**
 * Foreign keys between the tables of list $1, in the order in which they can be made: statements that drop them and make
 * them again, and the latter's comment (or NULL), in three columns. Those of partitions come and go with that of the whole,
 * unless they have a name of their own: then they are made first. $2: also those of a table to itself.
 */
export const keysBetweenQuery = `
WITH RECURSIVE key AS (
  SELECT k.*, 0 AS depth, NULL::name AS whole FROM pg_constraint k
  WHERE k.contype = 'f' AND k.conrelid = ANY ($1::oid[]) AND k.confrelid = ANY ($1::oid[]) AND k.conparentid = 0
    AND (k.conrelid <> k.confrelid OR $2::bool)
  UNION ALL
  SELECT k.*, w.depth + 1, w.conname FROM key w JOIN pg_constraint k ON k.conparentid = w.oid AND k.conrelid <> w.conrelid)
SELECT CASE WHEN depth = 0 THEN format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) END,
       CASE WHEN depth = 0 OR conname <> whole
         THEN format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) END,
       CASE WHEN depth = 0 OR obj_description(oid, 'pg_constraint') IS NOT NULL
         THEN format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, conrelid::regclass, obj_description(oid, 'pg_constraint')) END
FROM key ORDER BY depth DESC, oid`

/** User triggers that fire now on $2 (a bit of tgtype): statements that silence and wake them, in two columns. */
export const triggerSwitchesQuery = `
SELECT format('ALTER TABLE %s DISABLE TRIGGER %I', tgrelid::regclass, tgname),
       format('ALTER TABLE %s ENABLE%s TRIGGER %I', tgrelid::regclass,
         CASE tgenabled WHEN 'A' THEN ' ALWAYS' ELSE '' END, tgname)
FROM pg_trigger
WHERE tgrelid = $1::oid AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & $2::int <> 0 ORDER BY tgname`

/** Bits of pg_trigger.tgtype. */
export const TRIGGER_ON_INSERT = 4
export const TRIGGER_ON_DELETE = 8

/**
 * Views over the table, directly or through other views, that read nothing but distributed tables: name, statement
 * that makes it, in the order in which they can be made. (The table must be in weft.relation by then.)
 */
export const viewsQuery = `
WITH RECURSIVE edge AS (
  SELECT DISTINCT r.ev_class AS viewid, d.refobjid AS relid
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
), above AS (
  SELECT viewid, 1 AS depth FROM edge WHERE relid = $1::oid
  UNION SELECT e.viewid, a.depth + 1 FROM above a JOIN edge e ON e.relid = a.viewid
), candidate AS (SELECT viewid, max(depth) AS depth FROM above GROUP BY viewid)
SELECT c.oid::regclass::text,
       format('CREATE VIEW %s%s AS %s', c.oid::regclass,
         coalesce(' WITH (' || ${options('c.reloptions')} || ')', ''), pg_get_viewdef(c.oid)),
       format('ALTER VIEW %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(c.relowner)),
       c.oid::text
FROM candidate v JOIN pg_class c ON c.oid = v.viewid
WHERE c.relkind = 'v' AND NOT EXISTS (
  WITH RECURSIVE below AS (
    SELECT relid FROM edge WHERE viewid = v.viewid
    UNION SELECT e.relid FROM below b JOIN edge e ON e.viewid = b.relid)
  SELECT FROM below b JOIN pg_class bc ON bc.oid = b.relid
  WHERE bc.relkind <> 'v' AND NOT EXISTS (SELECT FROM weft.relation r WHERE r.relid = b.relid))
ORDER BY v.depth, c.relname`

/** The grants of one view, as of a table. */
export const grantsQuery = grants

/** The table's schema, for a shard that lacks it. */
export const schemaQueries: readonly string[] = [
  `SELECT format('CREATE SCHEMA %I', n.nspname)
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid`,
  `SELECT format('ALTER SCHEMA %I OWNER TO %I', n.nspname, pg_get_userbyid(n.nspowner))
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1::oid`,
  `SELECT format('GRANT %s ON SCHEMA %I TO %s%s', x.privilege_type, n.nspname, ${grantee}, ${grantOption})
   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(n.nspacl) AS x
   WHERE c.oid = $1::oid AND x.grantee <> n.nspowner`,
]
