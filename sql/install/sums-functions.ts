/**
 * Functions in which Weft's coordinators tell the sizes and statistics of sharded tables: `seen`, what all shards have
 * together, by the number of the table or index on this one (sql/plan/sums-of-tables.ts). What is not in it is home's own.
 */
import { SIZE_FUNCTIONS, STATISTICS } from '../plan/sums-of-tables.ts'

function sizeOf(name: string): string {
  const known = name === 'pg_relation_size' ? 'main' : name
  return `
CREATE OR REPLACE FUNCTION weft.${name}(relation regclass, seen jsonb) RETURNS bigint
LANGUAGE sql VOLATILE AS $weft$
  SELECT coalesce((seen -> relation::oid::text ->> '${known}')::bigint, pg_catalog.${name}(relation)) $weft$;
GRANT EXECUTE ON FUNCTION weft.${name}(regclass, jsonb) TO PUBLIC;`
}

const sizeOfFork = `
CREATE OR REPLACE FUNCTION weft.pg_relation_size(relation regclass, fork text, seen jsonb) RETURNS bigint
LANGUAGE sql VOLATILE AS $weft$
  SELECT coalesce(CASE WHEN fork IN ('main', 'fsm', 'vm', 'init') THEN (seen -> relation::oid::text ->> fork)::bigint END,
    pg_catalog.pg_relation_size(relation, fork)) $weft$;
GRANT EXECUTE ON FUNCTION weft.pg_relation_size(regclass, text, jsonb) TO PUBLIC;`

function databaseSize(type: string, current: string): string {
  return `
CREATE OR REPLACE FUNCTION weft.pg_database_size(database ${type}, seen jsonb) RETURNS bigint
LANGUAGE sql VOLATILE AS $weft$
  SELECT CASE WHEN ${current} THEN (seen ->> '0')::bigint ELSE pg_catalog.pg_database_size(database) END $weft$;
GRANT EXECUTE ON FUNCTION weft.pg_database_size(${type}, jsonb) TO PUBLIC;`
}

function listed(view: string, number: string): string {
  return `
CREATE OR REPLACE FUNCTION weft.${view}(seen jsonb) RETURNS SETOF pg_catalog.${view}
LANGUAGE sql STABLE AS $weft$
  SELECT r.* FROM pg_catalog.${view} h,
    LATERAL jsonb_populate_record(h, jsonb_strip_nulls(coalesce(seen -> h.${number}::text, '{}'))) r $weft$;
GRANT EXECUTE ON FUNCTION weft.${view}(jsonb) TO PUBLIC;`
}

export const sumsFunctions = [
  ...SIZE_FUNCTIONS.map(sizeOf),
  sizeOfFork,
  databaseSize('name', 'database = current_database()'),
  databaseSize(
    'oid',
    'database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())',
  ),
  listed('pg_class', 'oid'),
  ...Object.entries(STATISTICS).map(([view, number]) => listed(view, number)),
].join('')
