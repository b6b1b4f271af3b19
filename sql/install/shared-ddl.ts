/**
 * What is on every shard whatever its tables are: schemas, extensions, collations, types, functions. Queries that list them:
 * what it is, its name, the statement that makes it (its definition, where that may change), its owner's statement, its
 * privileges, and whether the transaction has written it. They want an empty search path, so that names come qualified.
 * Extensions' own, and Weft's and Postgres', are left out.
 */
export const isOurs = (catalog: string, oid: string, namespace: string): string => `
  ${namespace} NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'weft') AND ${namespace} NOT LIKE E'pg\\\\_temp\\\\_%'
  AND ${namespace} NOT LIKE E'pg\\\\_toast\\\\_temp\\\\_%' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`

/**
 * By this transaction. Its subtransactions have later numbers, as have transactions that began after it, but of those that
 * wrote a row which can be seen all have ended.
 */
export const isWritten = (row: string): string => `(CASE WHEN age(${row}.xmin) <= 0 THEN
  pg_catalog.pg_xact_status((pg_catalog.pg_current_xact_id_if_assigned()::text::bigint - age(${row}.xmin))::text::xid8)
  IS NOT DISTINCT FROM 'in progress' ELSE false END)`

/** Grantee, privilege, whether it can be handed on: as a JSON list. */
export const privileges = (acl: string, kind: string, owner: string): string => `(
  SELECT coalesce(json_agg(DISTINCT jsonb_build_array(
    CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END, a.privilege_type, a.is_grantable)), '[]')::text
  FROM aclexplode(coalesce(${acl}, acldefault(${kind}, ${owner}))) AS a)`

const schemas = `
SELECT 'SCHEMA', quote_ident(n.nspname), format('CREATE SCHEMA %I', n.nspname),
  format('ALTER SCHEMA %I OWNER TO %I', n.nspname, pg_get_userbyid(n.nspowner)),
  ${privileges('n.nspacl', "'n'", 'n.nspowner')}, ${isWritten('n')}
FROM pg_namespace n WHERE ${isOurs('pg_namespace', 'n.oid', 'n.nspname')}
ORDER BY n.oid`

const extensions = `
SELECT 'EXTENSION', quote_ident(e.extname),
  format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I VERSION %L', e.extname, n.nspname, e.extversion), '', '[]', ${isWritten('e')}
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql'
ORDER BY e.oid`

/** Columns of the catalog came and went. */
const collations = `
SELECT 'COLLATION', l.oid::regcollation::text, format('CREATE COLLATION %s (%s)', l.oid::regcollation, concat_ws(', ',
    'PROVIDER = ' || CASE l.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END,
    CASE WHEN NOT l.collisdeterministic THEN 'DETERMINISTIC = false' END,
    'LOCALE = ' || quote_literal(coalesce(j.row->>'colllocale', j.row->>'colliculocale')),
    CASE WHEN l.collprovider = 'c' THEN
      format('LC_COLLATE = %L, LC_CTYPE = %L', j.row->>'collcollate', j.row->>'collctype') END,
    'RULES = ' || quote_literal(j.row->>'collicurules'))),
  format('ALTER COLLATION %s OWNER TO %I', l.oid::regcollation, pg_get_userbyid(l.collowner)), '[]', ${isWritten('l')}
FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace CROSS JOIN LATERAL (SELECT to_jsonb(l) AS row) AS j
WHERE ${isOurs('pg_collation', 'l.oid', 'n.nspname')}
ORDER BY l.oid`

const collate = (oid: string, usual: string): string => `CASE WHEN ${oid} <> 0 AND ${oid} <> ${usual} THEN (
  SELECT format(' COLLATE %I.%I', cn.nspname, l.collname)
  FROM pg_collation l JOIN pg_namespace cn ON cn.oid = l.collnamespace WHERE l.oid = ${oid}) ELSE '' END`

const attributes = `(
  SELECT string_agg(format('%I %s%s', a.attname, format_type(a.atttypid, a.atttypmod),
    ${collate('a.attcollation', 'b.typcollation')}), ', ' ORDER BY a.attnum)
  FROM pg_attribute a JOIN pg_type b ON b.oid = a.atttypid
  WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)`

const domain = `format('%s%s%s%s%s', format_type(t.typbasetype, t.typtypmod),
  ${collate('t.typcollation', '(SELECT b.typcollation FROM pg_type b WHERE b.oid = t.typbasetype)')},
  coalesce(' DEFAULT ' || t.typdefault, ''), CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END, (
  SELECT string_agg(format(' CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), '' ORDER BY k.oid)
  FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'))`

const range = `(
  SELECT concat_ws(', ', 'SUBTYPE = ' || format_type(r.rngsubtype, NULL),
    (SELECT format('SUBTYPE_OPCLASS = %I.%I', cn.nspname, o.opcname) FROM pg_opclass o
     JOIN pg_namespace cn ON cn.oid = o.opcnamespace WHERE o.oid = r.rngsubopc),
    'MULTIRANGE_TYPE_NAME = ' || r.rngmultitypid::regtype,
    CASE WHEN r.rngsubdiff <> 0 THEN 'SUBTYPE_DIFF = ' || r.rngsubdiff::regproc END)
  FROM pg_range r WHERE r.rngtypid = t.oid)`

const types = `
SELECT CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, t.oid::regtype::text,
  CASE t.typtype
    WHEN 'e' THEN format('CREATE TYPE %s AS ENUM (%s)', t.oid::regtype,
      (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
    WHEN 'c' THEN format('CREATE TYPE %s AS (%s)', t.oid::regtype, ${attributes})
    WHEN 'd' THEN format('CREATE DOMAIN %s AS %s', t.oid::regtype, ${domain})
    ELSE format('CREATE TYPE %s AS RANGE (%s)', t.oid::regtype, ${range}) END,
  format('ALTER TYPE %s OWNER TO %I', t.oid::regtype, pg_get_userbyid(t.typowner)),
  ${privileges('t.typacl', "'T'", 't.typowner')}, ${isWritten('t')}
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE (t.typtype IN ('e', 'd', 'r') OR c.relkind = 'c') AND ${isOurs('pg_type', 't.oid', 'n.nspname')}
ORDER BY t.oid`

const functions = `
SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END, p.oid::regprocedure::text, pg_get_functiondef(p.oid),
  format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, pg_get_userbyid(p.proowner)),
  ${privileges('p.proacl', "'f'", 'p.proowner')}, ${isWritten('p')}
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE p.prokind IN ('f', 'p') AND ${isOurs('pg_proc', 'p.oid', 'n.nspname')} AND NOT EXISTS (
  SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')
ORDER BY p.oid`

/** In the order in which they can be made. */
export const sharedQueries: readonly string[] = [schemas, extensions, collations, types, functions]

/** Labels of the enums, in order: type's name, labels as a JSON list. */
export const enumLabelsQuery = `
SELECT t.oid::regtype::text, json_agg(e.enumlabel ORDER BY e.enumsortorder)::text
FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid GROUP BY t.oid ORDER BY t.oid`

/** Of the columns of table $1, and those that they are made of. */
export const typesOfTableQuery = `
WITH RECURSIVE need AS (
  SELECT a.atttypid AS oid FROM pg_attribute a WHERE a.attrelid = $1::oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT c.reloftype FROM pg_class c WHERE c.oid = $1::oid AND c.reloftype <> 0
  UNION
  SELECT x.oid FROM need n JOIN pg_type t ON t.oid = n.oid CROSS JOIN LATERAL (
    SELECT u.oid FROM unnest(ARRAY[t.typelem, t.typbasetype]) AS u(oid) WHERE u.oid <> 0
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE r.rngtypid = t.oid
    UNION ALL SELECT r.rngtypid FROM pg_range r WHERE r.rngmultitypid = t.oid
    UNION ALL SELECT a.atttypid FROM pg_attribute a
    WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0 AND NOT a.attisdropped) AS x(oid))
SELECT need.oid::regtype::text FROM need WHERE need.oid >= 16384`
