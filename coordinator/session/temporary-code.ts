/**
 * Code that runs behind what is temporary: triggers, defaults, checks, indexes and policies of tables, views, domains. No
 * catalog that others read has it. Of functions of users, and of what names relations that are not temporary.
 */

/** What runs queries that it is told, of Postgres' own. */
const RUNS_QUERIES = "'_to_xml|ts_stat|ts_rewrite'"

/** Each piece, as pg_depend names it, and what its expressions say. */
const PIECES = `
  SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, o.oid AS objid, '' AS said FROM own o
  UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, i.indexrelid, pg_catalog.pg_get_indexdef(i.indexrelid)
    FROM own o JOIN pg_catalog.pg_index i ON i.indrelid = o.oid
  UNION ALL SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, d.oid, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
    FROM own o JOIN pg_catalog.pg_attrdef d ON d.adrelid = o.oid
  UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, r.oid, pg_catalog.pg_get_ruledef(r.oid)
    FROM own o JOIN pg_catalog.pg_rewrite r ON r.ev_class = o.oid
  UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, t.oid, ''
    FROM own o JOIN pg_catalog.pg_trigger t ON t.tgrelid = o.oid AND NOT t.tgisinternal
  UNION ALL SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, p.oid,
      pg_catalog.concat(pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
    FROM own o JOIN pg_catalog.pg_policy p ON p.polrelid = o.oid
  UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, pg_catalog.pg_get_constraintdef(k.oid)
    FROM own o JOIN pg_catalog.pg_constraint k ON k.conrelid = o.oid AND k.contype = 'c'
  UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, t.typdefault FROM types t
  UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, pg_catalog.pg_get_constraintdef(k.oid)
    FROM types t JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid`

/** Those of users; a table's own row type is one, too, and internal. */
const RUNS = `EXISTS (SELECT FROM (${PIECES}) AS p JOIN pg_catalog.pg_depend u ON u.classid = p.classid AND u.objid = p.objid
  WHERE p.said ~ ${RUNS_QUERIES} OR (u.refobjid >= 16384 AND u.deptype <> 'i' AND (
    u.refclassid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
      'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass)
    OR (u.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND NOT EXISTS (
      SELECT FROM own o WHERE o.oid = u.refobjid)))))`

/**
 * Names of all that is temporary, and of what it inherits from, if any of it runs code: one leads to the other by
 * foreign keys, rules and views. NULL: none does.
 */
export const temporaryCodeSql = `(
  WITH RECURSIVE own AS (SELECT oid, relname FROM pg_catalog.pg_class
      WHERE relnamespace = pg_catalog.pg_my_temp_schema() AND relkind IN ('r', 'v', 'p', 'S')),
    types AS (SELECT oid, typname, typdefault FROM pg_catalog.pg_type
      WHERE typnamespace = pg_catalog.pg_my_temp_schema() AND typtype <> 'c' AND typcategory <> 'A'),
    above AS (SELECT oid, relname FROM own UNION SELECT c.oid, c.relname
      FROM above a JOIN pg_catalog.pg_inherits h ON h.inhrelid = a.oid JOIN pg_catalog.pg_class c ON c.oid = h.inhparent)
  SELECT pg_catalog.json_agg(name) FROM (
    SELECT relname AS name FROM above UNION SELECT typname FROM types
    UNION SELECT t.typname FROM pg_catalog.pg_type t WHERE t.typnamespace = pg_catalog.pg_my_temp_schema()) AS n
  WHERE ${RUNS})`
