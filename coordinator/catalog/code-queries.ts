/** The code in the database, for `sql/code`: kind, name, language, text (NULL: nobody can look into it, or not now). */
import { OWN_PATH } from '../../sql/code/effects.ts'
import type { LockedRelations } from './locked-relations.ts'

/** Extensions whose functions leave nothing in a session, volatile ones included. */
const HARMLESS =
  `pgcrypto uuid-ossp pg_trgm citext hstore ltree unaccent btree_gin btree_gist fuzzystrmatch intarray
  cube earthdistance isn seg postgis postgis_topology postgis_raster vector pg_stat_statements pgstattuple
  pageinspect pg_buffercache tsm_system_rows tsm_system_time sslinfo xml2 dict_int dict_xsyn lo pg_freespacemap
  pg_visibility pgrowlocks bloom amcheck pg_prewarm hypopg`
    .split(/\s+/)
    .map((name) => `'${name}'`)
    .join(', ')

/**
 * A function with settings of its own gives them back, but what it calls is planned under them. Postgres itself looks to
 * plans that were made under another search_path.
 */
const SETTINGS_OF_ITS_OWN = `(SELECT string_agg(
    CASE WHEN own LIKE E'search\\\\_path=%' THEN '${OWN_PATH}'
    ELSE format('set_config(%L)', split_part(own, '=', 1)) END, ' ')
  FROM unnest(p.proconfig) AS own)`

const FUNCTION_TEXT = `concat_ws(' ', p.prosrc, pg_get_function_sqlbody(p.oid), pg_get_expr(p.proargdefaults, 0),
  ${SETTINGS_OF_ITS_OWN})`

/** Those of an extension are told by its name, or by their promise to change nothing. */
const functionsSql = (locked: LockedRelations) => `
SELECT 'function', p.proname, CASE WHEN l.lanname IN ('c', 'internal') THEN 'query' ELSE l.lanname END,
       CASE WHEN l.lanname NOT IN ('c', 'internal')
         THEN ${locked.unless(locked.under('pg_proc', 'p.oid'), FUNCTION_TEXT)}
       WHEN p.provolatile = 'i' OR e.extname IN (${HARMLESS}) OR p.prokind = 'a' THEN ''
       END
FROM pg_proc p
JOIN pg_language l ON l.oid = p.prolang
LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
WHERE p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'weft'::regnamespace)`

const aggregatesSql = `
SELECT 'function', p.proname, 'query',
       concat_ws(' ', a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggmtransfn, a.aggminvtransfn, a.aggmfinalfn)
FROM pg_aggregate a JOIN pg_proc p ON p.oid = a.aggfnoid
WHERE p.pronamespace <> 'pg_catalog'::regnamespace`

/** Relations of users only: \`c\`. */
const OF_USERS = `JOIN pg_namespace n ON n.oid = c.relnamespace
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'weft') AND n.nspname NOT LIKE E'pg\\\\_temp%'`

const TRIGGER_TEXT = `concat_ws(' ', p.proname, replace(pg_get_triggerdef(t.oid), 'EXECUTE FUNCTION', ''))`

const triggersSql = (locked: LockedRelations) => `
SELECT 'trigger', c.relname, 'query', ${locked.unless(locked.of('c.oid'), TRIGGER_TEXT)}
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid ${OF_USERS} JOIN pg_proc p ON p.oid = t.tgfoid
WHERE p.pronamespace <> 'pg_catalog'::regnamespace`

/** What the coordinator draws for them. */
const DRAWN = 'EXISTS (SELECT FROM weft.relation r WHERE r.relid = c.oid)'

const columnsSql = (locked: LockedRelations) => `
SELECT 'write', c.relname, 'query', ${locked.unless(locked.of('c.oid'), 'pg_get_expr(d.adbin, d.adrelid)')}
FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid ${OF_USERS}
WHERE NOT (${DRAWN} AND coalesce(
  ${locked.unless(locked.of('c.oid'), 'pg_get_expr(d.adbin, d.adrelid)')}
    ~ E'^nextval\\\\(''([^'']|'''')*''::regclass\\\\)$', false))
UNION ALL
SELECT kind, c.relname, 'query', concat(t.typname, ' ', elem.typname)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ${OF_USERS}
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type elem ON elem.oid = t.typelem
CROSS JOIN unnest(ARRAY['read', 'write']) AS kind
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
UNION ALL
SELECT 'write', c.relname, 'query', 'nextval'
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid ${OF_USERS}
WHERE a.attidentity <> '' AND NOT a.attisdropped AND NOT ${DRAWN}`

const INDEX_TEXT = `concat_ws(' ', pg_get_expr(i.indexprs, i.indrelid), pg_get_expr(i.indpred, i.indrelid))`

const constraintsSql = (locked: LockedRelations) => `
SELECT 'write', c.relname, 'query', ${locked.unless(locked.of('c.oid'), 'pg_get_expr(k.conbin, k.conrelid)')}
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid ${OF_USERS} WHERE k.contype = 'c'
UNION ALL
SELECT 'write', c.relname, 'query', quote_ident(child.relname)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.confrelid ${OF_USERS} JOIN pg_class child ON child.oid = k.conrelid
WHERE k.contype = 'f' AND (k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'))
UNION ALL
SELECT 'type', t.typname, 'query', pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid
WHERE t.oid >= 16384 AND k.contype = 'c'
UNION ALL
SELECT 'type', t.typname, 'query', pg_get_expr(t.typdefaultbin, 'pg_type'::regclass)
FROM pg_type t WHERE t.oid >= 16384 AND t.typtype = 'd' AND t.typdefaultbin IS NOT NULL
UNION ALL
SELECT 'index', named.name, 'query', ${locked.unless(locked.of('c.oid'), INDEX_TEXT)}
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid ${OF_USERS}
CROSS JOIN LATERAL (VALUES (c.relname), ((SELECT x.relname FROM pg_class x WHERE x.oid = i.indexrelid))) AS named(name)
WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
UNION ALL
SELECT 'index', c.relname, 'query', ${locked.unless(locked.of('c.oid'), 'pg_get_statisticsobjdef_expressions(s.oid)::text')}
FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid ${OF_USERS} WHERE s.stxexprs IS NOT NULL`

/** Each condition of a policy by itself, after the number of its table (`sql/plan/policy-code.ts`). */
const policySql = (locked: LockedRelations, condition: string): string => `
SELECT 'read', c.relname, 'sql', concat('/*', c.oid, '*/ ') || ${locked.unless(locked.under('pg_policy', 'p.oid'), `pg_get_expr(p.${condition}, p.polrelid)`)}
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid ${OF_USERS} WHERE p.${condition} IS NOT NULL`

/** Rules are those of Postgres too: an UPDATE of pg_settings is a set_config. */
const relationsSql = (locked: LockedRelations) => `
SELECT kind, c.relname, 'query', ${locked.unless(locked.under('pg_rewrite', 'r.oid'), 'pg_get_viewdef(c.oid)')}
FROM pg_class c ${OF_USERS} JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = '_RETURN'
CROSS JOIN unnest(ARRAY['read', 'write']) AS kind WHERE c.relkind IN ('v', 'm')
UNION ALL
SELECT 'write', c.relname, 'sql', ${locked.unless(locked.under('pg_rewrite', 'r.oid'), 'pg_get_ruledef(r.oid)')}
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE r.rulename <> '_RETURN'
  AND NOT (r.ev_action::text = '<>' AND r.ev_qual::text = '<>')
UNION ALL${policySql(locked, 'polqual')}
UNION ALL${policySql(locked, 'polwithcheck')}
UNION ALL
SELECT kind, c.relname, 'query', quote_ident(child.relname)
FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhparent ${OF_USERS} JOIN pg_class child ON child.oid = h.inhrelid
CROSS JOIN unnest(ARRAY['read', 'write', 'index']) AS kind WHERE c.relkind IN ('r', 'p')`

const typesSql = `
SELECT 'type', t.typname, 'query', concat_ws(' ', i.proname, o.proname, r.proname, s.proname)
FROM pg_type t JOIN pg_proc i ON i.oid = t.typinput JOIN pg_proc o ON o.oid = t.typoutput
LEFT JOIN pg_proc r ON r.oid = t.typreceive LEFT JOIN pg_proc s ON s.oid = t.typsend
WHERE t.typtype = 'b' AND t.oid >= 16384 AND i.pronamespace <> 'pg_catalog'::regnamespace
UNION ALL
SELECT 'type', t.typname, 'query', base.typname
FROM pg_type t JOIN pg_type base ON base.oid = t.typbasetype WHERE t.oid >= 16384 AND base.oid >= 16384`

/** Functions that one value is enough for: `x.f`, where that is a row. They do what the function of the name does. */
const attributesSql = `
SELECT DISTINCT 'attribute', p.proname, 'query', p.proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace, 'weft'::regnamespace)
  AND (p.pronargs >= 1 AND p.pronargs - p.pronargdefaults <= 1 OR p.provariadic <> 0)
  AND NOT (l.lanname IN ('c', 'internal') AND p.provolatile = 'i')`

/** Operators that the grammar means by other words, or none: IN, LIKE, BETWEEN, USING (…). */
const UNSAID = `'=', '<>', '<', '>', '<=', '>=', '~~', '!~~', '~~*', '!~~*', '~', '!~'`

/** A planner may put one in the place of the other: those that are each other's mirror, or each other's opposite. */
const SWAPPED = ['oprcom', 'oprnegate']
  .flatMap((link) =>
    [`oid, ${link}`, `${link}, oid`].map(
      (pair) => `SELECT ${pair} FROM pg_operator WHERE oid >= 16384 AND ${link} <> 0`,
    ),
  )
  .join(' UNION ')

/** Those of classes, by which rows are sorted, hashed and found, show by no name, nor do casts. */
const anywhereSql = `
SELECT CASE WHEN said.oprname IN (${UNSAID}) OR EXISTS (SELECT FROM pg_amop a WHERE a.amopopr IN (o.oid, said.oid))
  THEN 'any' ELSE 'operator' END, said.oprname, 'query', p.proname
FROM (WITH pairs (x, y) AS MATERIALIZED (${SWAPPED})
  SELECT oid, oid FROM pg_operator WHERE oid >= 16384 UNION SELECT x, y FROM pairs
  UNION SELECT pairs.x, next.y FROM pairs JOIN pairs AS next ON next.x = pairs.y) AS names (oid, said)
JOIN pg_operator o ON o.oid = names.oid JOIN pg_operator said ON said.oid = names.said
JOIN pg_proc p ON p.oid = o.oprcode JOIN pg_language l ON l.oid = p.prolang
WHERE o.oid >= 16384 AND p.pronamespace <> 'pg_catalog'::regnamespace
  AND NOT (l.lanname IN ('c', 'internal') AND p.provolatile = 'i')
UNION ALL
SELECT 'any', '', 'query', p.proname FROM pg_cast c JOIN pg_proc p ON p.oid = c.castfunc
WHERE c.oid >= 16384 AND p.pronamespace <> 'pg_catalog'::regnamespace`

/** What is locked is left out, as nobody may wait for it here. */
export const codeSql = (locked: LockedRelations): string =>
  [
    functionsSql(locked),
    aggregatesSql,
    triggersSql(locked),
    columnsSql(locked),
    constraintsSql(locked),
    relationsSql(locked),
    typesSql,
    attributesSql,
    anywhereSql,
  ].join('\nUNION ALL')
