/**
 * What triggers, defaults and columns of some tables hold, by the names that it has: they hold functions and types by
 * number, and keep them when one is renamed and another made of its name. $1: names of tables that a shard has.
 */
export const heldObjectsQuery = `
WITH named AS (SELECT pg_catalog.to_regclass(name)::pg_catalog.oid AS oid, name FROM pg_catalog.unnest($1::pg_catalog.text[]) name)
SELECT pg_catalog.format('trigger %s of %s: %s', t.tgname, named.name, t.tgfoid::pg_catalog.regprocedure)
FROM pg_catalog.pg_trigger t JOIN named ON named.oid = t.tgrelid
WHERE NOT t.tgisinternal
UNION ALL
SELECT pg_catalog.format('column %s of %s: %s', a.attname, named.name, pg_catalog.format_type(a.atttypid, a.atttypmod))
FROM pg_catalog.pg_attribute a JOIN named ON named.oid = a.attrelid
WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT pg_catalog.format('default of %s, column %s: %s', named.name, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid))
FROM pg_catalog.pg_attrdef d JOIN named ON named.oid = d.adrelid
WHERE pg_catalog.pg_get_expr(d.adbin, d.adrelid) NOT LIKE '%nextval(%'
ORDER BY 1`
