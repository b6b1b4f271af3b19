/** What the catalog is read with, on the home shard as the administrator, in one transaction with search_path = ''. */
import type { LockedRelations } from './locked-relations.ts'

export const versionSql = 'SELECT version FROM weft.meta'

export const slotsSql = 'SELECT slot_from, slot_to, shard FROM weft.slots ORDER BY slot_from'

const viewRule = `(SELECT rule.oid FROM pg_rewrite rule WHERE rule.ev_class = c.oid AND rule.rulename = '_RETURN')`

const FIRES = "NOT g.tgisinternal AND g.tgenabled <> 'D'"

/** The table, and those to which actions of foreign keys lead from it. */
const BELOW = `WITH RECURSIVE below AS (SELECT c.oid AS relid, false AS is_below
    UNION SELECT k.conrelid, true FROM below b JOIN pg_constraint k ON k.confrelid = b.relid AND k.contype = 'f'
      AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd')))`

/** Its own, of all events; of those that its foreign keys lead to, of any: when rows of it are updated or deleted. */
const STATEMENT_TRIGGERS = `(
  ${BELOW}
  SELECT nullif(bit_or(CASE WHEN b.is_below THEN 24 ELSE g.tgtype & 60 END), 0)
  FROM below b JOIN weft.relation s ON s.relid = b.relid AND s.kind = 'sharded' JOIN pg_trigger g ON g.tgrelid = b.relid
  WHERE ${FIRES} AND (g.tgtype & 1 = 0 OR g.tgoldtable IS NOT NULL OR g.tgnewtable IS NOT NULL))`

/** Of a reference table: the events of its triggers, and of those of its partitions and heirs. */
const COPY_TRIGGERS = `(
  WITH RECURSIVE tree AS (SELECT c.oid UNION SELECT h.inhrelid FROM tree t JOIN pg_inherits h ON h.inhparent = t.oid)
  SELECT bit_or(g.tgtype & 60) FROM tree t JOIN pg_trigger g ON g.tgrelid = t.oid AND ${FIRES})`

/**
 * Of a reference table: whether a DELETE (8), or an UPDATE (16), of its rows leads foreign keys to rows of reference tables
 * whose triggers fire then.
 */
const ACTIONS_FIRE = `(
  WITH RECURSIVE acted AS (SELECT c.oid AS relid, e.said, e.said AS event, false AS is_below FROM (VALUES (8), (16)) AS e(said)
    UNION SELECT k.conrelid, a.said, CASE WHEN a.event = 8 AND k.confdeltype = 'c' THEN 8 ELSE 16 END, true
    FROM acted a JOIN pg_constraint k ON k.confrelid = a.relid AND k.contype = 'f'
      AND CASE a.event WHEN 8 THEN k.confdeltype ELSE k.confupdtype END IN ('c', 'n', 'd'))
  SELECT bit_or(a.said) FROM acted a JOIN weft.relation s ON s.relid = a.relid AND s.kind = 'reference'
  JOIN pg_trigger g ON g.tgrelid = a.relid AND g.tgtype & a.event <> 0 AND ${FIRES} WHERE a.is_below)`

/**
 * Of a reference table: whether actions of foreign keys lead from it to a local table with triggers, which are on home, and
 * to a table that more than home has: what the one's code does there looks like what the action does.
 */
const ACTIONS_MIX = `(
  ${BELOW}
  SELECT true FROM below b LEFT JOIN weft.relation s ON s.relid = b.relid WHERE b.is_below
  HAVING bool_or(s.relid IS NOT NULL) AND bool_or(s.relid IS NULL AND EXISTS (
    SELECT FROM pg_trigger g WHERE g.tgrelid = b.relid AND ${FIRES})))`

/** By pg_rewrite.ev_type, as in pg_trigger.tgtype. */
const RULE_EVENT = "CASE w.ev_type WHEN '2' THEN 16 WHEN '3' THEN 4 WHEN '4' THEN 8 ELSE 0 END"

/** Of a distributed table, whose rules are all DO INSTEAD NOTHING: the events of those that are on; of all. */
const rules = (which: string): string =>
  `(SELECT nullif(bit_or(${RULE_EVENT}), 0) FROM pg_rewrite w WHERE w.ev_class = c.oid AND ${which})`

/** What inherits, or is inherited from, all together: the lowest number among them. */
const KIN = `(
  WITH RECURSIVE kin AS (SELECT c.oid WHERE c.relhassubclass OR EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid)
    UNION SELECT CASE WHEN h.inhrelid = k.oid THEN h.inhparent ELSE h.inhrelid END
    FROM kin k JOIN pg_inherits h ON k.oid IN (h.inhrelid, h.inhparent))
  SELECT min(oid) FROM kin HAVING count(*) > 1)`

/**
 * oid, schema, name, relkind, kind of declaration, key attnum, key type, colocation, view definition, and, where the
 * definition or the columns' defaults cannot be read now, the relation that is locked; primary key; of a reference table,
 * a sharded one that refers to it; of a distributed one with row level security, whether its policies are alike for all
 * commands; whether a view has triggers, rules or defaults of its own; of what is partitioned, of partitions, and of what
 * inherits, a number of the whole; whether others inherit from it; the events of statement triggers of sharded tables; of
 * triggers of reference tables, what of foreign keys makes such fire, whether any refer to
 * one, and what they do is told from what code does; events of rules.
 */
export const relationsSql = (locked: LockedRelations): string => `
SELECT c.oid, n.nspname, c.relname, c.relkind, r.kind, r.key_attnum, r.key_type, r.colocation,
       CASE WHEN c.relkind = 'v' THEN ${locked.unless(locked.under('pg_rewrite', viewRule), 'pg_get_viewdef(c.oid)')} END,
       CASE WHEN c.relkind = 'v' THEN ${locked.under('pg_rewrite', viewRule)}
            WHEN r.kind IS NOT NULL THEN ${locked.of('c.oid')} END,
       CASE WHEN r.relid IS NOT NULL THEN
         (SELECT json_agg(a.attname ORDER BY array_position(p.conkey, a.attnum)) FROM pg_constraint p
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (p.conkey)
          WHERE p.conrelid = c.oid AND p.contype = 'p' AND NOT p.condeferrable) END,
       CASE WHEN r.kind = 'reference' THEN
         (SELECT min(child.relname) FROM pg_constraint f JOIN pg_class child ON child.oid = f.conrelid
          JOIN weft.relation s ON s.relid = f.conrelid AND s.kind = 'sharded'
          WHERE f.confrelid = c.oid AND f.contype = 'f') END,
       CASE WHEN r.relid IS NOT NULL AND c.relrowsecurity THEN
         CASE WHEN EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd <> '*') THEN 'by command' ELSE 'alike' END END,
       CASE WHEN c.relkind = 'v' AND (c.relhastriggers OR EXISTS (SELECT FROM pg_attrdef d WHERE d.adrelid = c.oid)
         OR EXISTS (SELECT FROM pg_rewrite w WHERE w.ev_class = c.oid AND w.rulename <> '_RETURN')) THEN true END,
       CASE WHEN r.relid IS NOT NULL THEN coalesce(pg_partition_root(c.oid)::oid, ${KIN}) END,
       CASE WHEN r.relid IS NOT NULL AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhparent = c.oid) THEN true END,
       CASE WHEN r.relid IS NOT NULL THEN ${STATEMENT_TRIGGERS} END,
       CASE WHEN r.kind = 'reference' THEN ${COPY_TRIGGERS} END,
       CASE WHEN r.kind = 'reference' THEN ${ACTIONS_FIRE} END,
       CASE WHEN r.kind = 'reference' AND EXISTS (
         SELECT FROM pg_constraint k WHERE k.confrelid = c.oid AND k.contype = 'f') THEN true END,
       CASE WHEN r.kind = 'reference' THEN ${ACTIONS_MIX} END,
       CASE WHEN r.relid IS NOT NULL AND c.relhasrules THEN ${rules("w.ev_enabled IN ('O', 'A')")} END,
       CASE WHEN r.relid IS NOT NULL AND c.relhasrules THEN ${rules('true')} END
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN weft.relation r ON r.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND n.nspname NOT LIKE E'pg\\\\_temp\\\\_%' AND n.nspname NOT LIKE E'pg\\\\_toast\\\\_temp\\\\_%'`

/** The column's own, or that of its type, which is a domain then. */
const DEFAULT_TEXT =
  "coalesce(pg_get_expr(d.adbin, d.adrelid), pg_get_expr(t.typdefaultbin, 'pg_type'::regclass))"

/** Domains may be over domains; the last of them says what is stored. */
const UNDER_DOMAIN = (what: string): string => `(
  WITH RECURSIVE under AS (SELECT t.typbasetype, t.typtypmod
    UNION ALL SELECT b.typbasetype, b.typtypmod FROM under o JOIN pg_type b ON b.oid = o.typbasetype WHERE b.typtype = 'd')
  SELECT ${what} FROM under u JOIN pg_type b ON b.oid = u.typbasetype WHERE b.typtype <> 'd')`

/**
 * The sequence of an identity column; a partition's is that of the whole. Not by `pg_get_serial_sequence`, which asks for
 * the right to its schema: a role that defines something in a transaction reads the catalog with its own rights.
 */
const IDENTITY_SEQUENCE = `(
  SELECT format('%I.%I', sn.nspname, s.relname) FROM pg_depend dep
  JOIN pg_class s ON s.oid = dep.objid AND s.relkind = 'S' JOIN pg_namespace sn ON sn.oid = s.relnamespace
  JOIN pg_attribute o ON o.attrelid = dep.refobjid AND o.attnum = dep.refobjsubid AND o.attname = a.attname
  WHERE dep.classid = 'pg_class'::regclass AND dep.objsubid = 0 AND dep.deptype = 'i'
    AND dep.refclassid = 'pg_class'::regclass AND dep.refobjid IN (c.oid, pg_partition_root(c.oid))
  ORDER BY dep.refobjid <> c.oid LIMIT 1)`

/**
 * Of distributed tables: oid, attnum, name, type, type oid, not null, default, draws from a sequence, generated,
 * identity, sequence of the identity, typmod (a domain's is that of the type under it), collation of its own, type with
 * its typmod, type under a domain. A sequence named by a constant
 * is a recorded dependency of the default; one named by an expression shows only in its text.
 */
export const columnsSql = (locked: LockedRelations): string => columnsOfSql(locked, 'weft.relation')

/** `relations`: those whose columns they are, by `relid`. */
export const columnsOfSql = (locked: LockedRelations, relations: string): string => `
SELECT a.attrelid, a.attnum, a.attname, format_type(a.atttypid, NULL), a.atttypid, a.attnotnull,
       ${locked.unless(locked.of('c.oid'), DEFAULT_TEXT)},
       coalesce(${locked.unless(locked.of('c.oid'), DEFAULT_TEXT)} ~* E'\\\\mnextval\\\\M', false) OR EXISTS (
         SELECT FROM pg_depend dep JOIN pg_class s ON s.oid = dep.refobjid AND s.relkind = 'S'
         WHERE dep.classid = 'pg_attrdef'::regclass AND dep.objid = d.oid
           AND dep.refclassid = 'pg_class'::regclass),
       a.attgenerated, a.attidentity,
       CASE WHEN a.attidentity <> '' THEN
         ${IDENTITY_SEQUENCE} END,
       CASE WHEN t.typtype = 'd' THEN ${UNDER_DOMAIN('u.typtypmod')} ELSE a.atttypmod END,
       CASE WHEN a.attcollation NOT IN (0, 'pg_catalog."default"'::regcollation) THEN
         a.attcollation::regcollation::text END,
       CASE WHEN a.atttypmod >= 0 THEN format_type(a.atttypid, a.atttypmod) END,
       CASE WHEN t.typtype = 'd' THEN ${UNDER_DOMAIN('format_type(u.typbasetype, NULL)')} END
FROM ${relations} r
JOIN pg_class c ON c.oid = r.relid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
ORDER BY a.attrelid, a.attnum`

/**
 * Schemas with an operator `=` that could be meant for values of Postgres' own types: both its arguments are such types
 * (or take any), domains, or types that one of Postgres' turns into by itself.
 */
export const equalitySchemasSql = `
WITH takes AS (
  SELECT t.oid FROM pg_type t
  WHERE t.oid < 16384 OR t.typtype IN ('d', 'p')
    OR EXISTS (SELECT FROM pg_cast c WHERE c.casttarget = t.oid AND c.castcontext = 'i' AND c.castsource < 16384))
SELECT DISTINCT n.nspname FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
WHERE o.oprname = '=' AND n.nspname <> 'pg_catalog'
  AND o.oprleft IN (SELECT oid FROM takes) AND o.oprright IN (SELECT oid FROM takes)`

export const systemNamesSql = `
SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')`

/** Names of all that a function's parsed body uses, as if it wrote all of it. */
const NAMES_USED = `(
  SELECT concat('insert ', string_agg(concat_ws(' ', quote_ident(t.relname), quote_ident(f.proname)), ' '))
  FROM pg_depend u
  LEFT JOIN pg_class t ON u.refclassid = 'pg_class'::regclass AND t.oid = u.refobjid
  LEFT JOIN pg_proc f ON u.refclassid = 'pg_proc'::regclass AND f.oid = u.refobjid
  WHERE u.classid = 'pg_proc'::regclass AND u.objid = p.oid)`

const bodyText = (locked: LockedRelations): string => {
  const printed = 'concat(p.prosrc, pg_get_function_sqlbody(p.oid))'
  return locked.isEmpty
    ? printed
    : `coalesce(${locked.unless(locked.under('pg_proc', 'p.oid'), printed)}, ${NAMES_USED})`
}

/**
 * Name, and what it runs: not of those in C, nor of an extension, which name no table of users. Of procedures their language
 * too; what one of an extension runs is not looked at. Left out are functions of extensions that depend on their arguments
 * only, and their `min` and `max`: whichever of a name is meant, it is as good as one of Postgres' own.
 */
export const functionsSql = (locked: LockedRelations): string => `
SELECT p.proname,
       CASE WHEN l.lanname NOT IN ('c', 'internal') AND d.objid IS NULL AND p.prokind <> 'a' THEN
         ${bodyText(locked)} END,
       CASE WHEN p.prokind = 'p' THEN CASE WHEN d.objid IS NULL THEN l.lanname ELSE 'c' END END
FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
WHERE p.pronamespace NOT IN (
  'pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'weft'::regnamespace)
  AND NOT (d.objid IS NOT NULL AND (p.prokind = 'f' AND p.provolatile = 'i'
    OR p.prokind = 'a' AND p.proname IN ('min', 'max')))`

/**
 * Functions with a shard key, the only ones of their name: schema, name, kind, language, body, name of the argument, its
 * place in calls, its $n in the body, its type, the key's type, colocation, names of the function's settings, schemas in
 * its search path. SQL functions do not number arguments that go out.
 */
export const keyedFunctionsSql = (locked: LockedRelations): string => `
SELECT n.nspname, p.proname, p.prokind, l.lanname,
       ${locked.unless(locked.under('pg_proc', 'p.oid'), 'coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)')},
       nullif(p.proargnames[f.argument], ''),
       CASE WHEN p.prokind = 'p' THEN f.argument ELSE f.argument - f.out_before END - 1,
       CASE WHEN l.lanname = 'sql' THEN f.argument - f.out_before ELSE f.argument END,
       f.type_oid, f.key_type, f.colocation,
       (SELECT json_agg(split_part(own, '=', 1)) FROM unnest(p.proconfig) AS own),
       (SELECT json_agg(ns.nspname) FROM unnest(p.proconfig) AS own, pg_namespace ns
        WHERE own LIKE E'search\\\\_path=%' AND strpos(own, ns.nspname) > 0)
FROM (SELECT k.*, (SELECT count(*)::int FROM pg_proc o, unnest(o.proargmodes) WITH ORDINALITY AS m(mode, i)
        WHERE o.oid = k.funcid AND m.mode IN ('o', 't') AND m.i < k.argument) AS out_before FROM weft.function k) AS f
JOIN pg_proc p ON p.oid = f.funcid
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE NOT EXISTS (SELECT FROM pg_proc o WHERE o.proname = p.proname AND o.oid <> p.oid AND o.pronamespace NOT IN (
  'pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'weft'::regnamespace))`

/** Domains with a default: name, expression. */
export const domainsSql = `
SELECT t.typname, pg_get_expr(t.typdefaultbin, 'pg_type'::regclass)
FROM pg_type t WHERE t.typtype = 'd' AND t.typdefaultbin IS NOT NULL AND t.oid >= 16384`

/** Of Postgres' own: names of functions of which one at least does not depend on its arguments only. */
export const notImmutableSql = `
SELECT DISTINCT proname FROM pg_proc
WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile <> 'i' AND prokind IN ('f', 'a', 'w')`
