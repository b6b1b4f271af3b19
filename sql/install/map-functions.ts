/**
 * The functions that change the shard map, on the home shard. They run as their owner, the administrator, so each
 * looks for itself whether the caller owns the table. Inside them `current_user` is the owner of the function; who
 * calls is `session_user`, or what SET ROLE made of it: the `role` setting, which a security definer leaves alone and
 * which only SET ROLE (checked by Postgres) can change.
 */
const helpers = `
CREATE OR REPLACE FUNCTION weft.acting_role() RETURNS name
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $weft$
  SELECT CASE WHEN current_setting('role') = 'none' THEN session_user ELSE current_setting('role')::name END
$weft$;

CREATE OR REPLACE FUNCTION weft.check_owner(rel regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $weft$
DECLARE
  rel_owner oid := (SELECT c.relowner FROM pg_class c WHERE c.oid = rel);
BEGIN
  IF rel_owner IS NULL THEN
    RAISE EXCEPTION 'relation with OID % does not exist', rel::oid USING ERRCODE = '42P01';
  END IF;
  IF NOT pg_has_role(weft.acting_role(), rel_owner, 'USAGE') THEN
    RAISE EXCEPTION 'must be owner of table %', rel USING ERRCODE = '42501';
  END IF;
END $weft$;`

// The row of weft.meta is the lock that puts all changes of the map in one order, until their transactions end.
const version = `
CREATE OR REPLACE FUNCTION weft.lock_map() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
  SELECT m.version FROM weft.meta m FOR UPDATE
$weft$;

-- A column can go with its type, or with an extension.
CREATE OR REPLACE FUNCTION weft.check_keys() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
DECLARE
  keyless text := (SELECT a.attrelid::regclass FROM weft.relation r
    JOIN pg_attribute a ON a.attrelid = r.relid AND a.attnum = r.key_attnum WHERE a.attisdropped LIMIT 1);
BEGIN
  IF keyless IS NOT NULL THEN
    RAISE EXCEPTION 'dropping the shard key of table % is not supported', keyless
      USING ERRCODE = '0A000', DETAIL = 'Refusal key_dropped, see docs/sql.md.',
        HINT = 'Drop the table, or SELECT undistribute_table(…) first.';
  END IF;
END $weft$;

-- ALTER TYPE … ALTER ATTRIBUTE … CASCADE comes to the tables that are made of the type.
CREATE OR REPLACE FUNCTION weft.check_attributes(made_of regtype, names text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
DECLARE
  altered text := (SELECT r.relid::regclass FROM weft.relation r JOIN pg_class c ON c.oid = r.relid AND c.reloftype = made_of
    JOIN pg_attribute a ON a.attrelid = r.relid AND a.attnum = r.key_attnum WHERE a.attname = ANY (names) LIMIT 1);
BEGIN
  IF altered IS NOT NULL THEN
    RAISE EXCEPTION 'giving the shard key of table % another type is not supported', altered
      USING ERRCODE = '0A000', DETAIL = 'Refusal key_altered, see docs/sql.md.',
        HINT = 'SELECT undistribute_table(…) first, and declare the table again afterwards.';
  END IF;
END $weft$;

-- What is to be a part of a reference table, or a whole of which that is to be a part.
CREATE OR REPLACE FUNCTION weft.check_copied(rel regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
BEGIN
  IF rel IS NOT NULL AND NOT EXISTS (SELECT FROM weft.relation r WHERE r.relid = rel AND r.kind = 'reference') THEN
    RAISE EXCEPTION 'a tree of reference table and table "%", which is none, is not supported', rel
      USING ERRCODE = '0A000', DETAIL = 'Refusal partition_unlike, see docs/sql.md.',
        HINT = format('SELECT create_reference_table(%L).', rel);
  END IF;
END $weft$;

CREATE OR REPLACE FUNCTION weft.bump_map_version() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
DECLARE
  next_version bigint;
BEGIN
  UPDATE weft.meta m SET version = m.version + 1 RETURNING m.version INTO next_version;
  -- Dropped tables are forgotten here, before their OIDs can come back as those of other tables.
  DELETE FROM weft.relation r WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relid);
  DELETE FROM weft.waiting w WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.relid);
  DELETE FROM weft.function f WHERE NOT EXISTS (SELECT FROM pg_proc p WHERE p.oid = f.funcid);
  PERFORM weft.check_keys();
  RETURN next_version;
END $weft$;`

/** New colocation groups count from here; below are the default groups of the key types. */
export const FIRST_FREE_COLOCATION = 100

const waiting = `
CREATE OR REPLACE FUNCTION weft.free_colocation() RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
  SELECT greatest(max(u.colocation) + 1, ${FIRST_FREE_COLOCATION})
  FROM (SELECT r.colocation FROM weft.relation r UNION ALL SELECT w.colocation FROM weft.waiting w) u
$weft$;

-- colocation: a group's number, or 0 for a new one.
CREATE OR REPLACE FUNCTION weft.wait_for_partner(rel regclass, key_attnum int, colocation int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
BEGIN
  PERFORM weft.check_owner(rel);
  PERFORM weft.lock_map();
  -- Those that were dropped, before their OIDs can come back as those of other tables.
  DELETE FROM weft.waiting w WHERE w.relid = rel OR NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = w.relid);
  INSERT INTO weft.waiting (relid, key_attnum, colocation)
  VALUES (rel, key_attnum, CASE wait_for_partner.colocation WHEN 0 THEN weft.free_colocation()
    ELSE wait_for_partner.colocation END);
END $weft$;`

const declarations = `
CREATE OR REPLACE FUNCTION weft.declare_sharded(rel regclass, attnum int, key_type text, colocation int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
DECLARE
  chosen int := colocation;
BEGIN
  PERFORM weft.check_owner(rel);
  PERFORM weft.lock_map();
  IF NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = rel AND a.attnum = declare_sharded.attnum
                 AND a.attnum > 0 AND NOT a.attisdropped) THEN
    RAISE EXCEPTION 'table % has no column number %', rel, attnum USING ERRCODE = '42703';
  END IF;
  IF chosen IS NULL THEN
    chosen := weft.free_colocation();
  END IF;
  DELETE FROM weft.waiting w WHERE w.relid = rel;
  INSERT INTO weft.relation (relid, kind, key_attnum, key_type, colocation)
  VALUES (rel, 'sharded', attnum, key_type, chosen);
  RETURN chosen;
EXCEPTION WHEN unique_violation THEN
  RAISE EXCEPTION 'table % is already distributed', rel USING ERRCODE = '42P07';
END $weft$;

-- All partitions of sharded and reference tables, those of partitions too, are what these are. made: one that must be among them.
CREATE OR REPLACE FUNCTION weft.declare_partitions(made regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
BEGIN
  PERFORM weft.lock_map();
  -- Of a table that was dropped, and whose OID has come back.
  DELETE FROM weft.relation r WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = r.relid);
  WITH RECURSIVE part AS (
    SELECT h.inhrelid AS relid, r.kind, p.attname, r.key_type, r.colocation
    FROM weft.relation r JOIN pg_inherits h ON h.inhparent = r.relid
    LEFT JOIN pg_attribute p ON p.attrelid = r.relid AND p.attnum = r.key_attnum
    UNION SELECT h.inhrelid, p.kind, p.attname, p.key_type, p.colocation FROM part p JOIN pg_inherits h ON h.inhparent = p.relid)
  INSERT INTO weft.relation (relid, kind, key_attnum, key_type, colocation)
  SELECT p.relid, p.kind, a.attnum, p.key_type, p.colocation
  FROM part p LEFT JOIN pg_attribute a ON a.attrelid = p.relid AND a.attname = p.attname
  ON CONFLICT DO NOTHING;
  IF made IS NOT NULL AND NOT EXISTS (SELECT FROM weft.relation r WHERE r.relid = made) THEN
    RAISE EXCEPTION 'relation "%" already exists, and is not a partition of a sharded table', made
      USING ERRCODE = '0A000', DETAIL = 'Refusal partition_unlike, see docs/sql.md.',
        HINT = 'Name a partition that is not there, or leave IF NOT EXISTS out.';
  END IF;
END $weft$;

CREATE OR REPLACE FUNCTION weft.declare_reference(rel regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
BEGIN
  PERFORM weft.check_owner(rel);
  PERFORM weft.lock_map();
  DELETE FROM weft.waiting w WHERE w.relid = rel;
  INSERT INTO weft.relation (relid, kind) VALUES (rel, 'reference');
EXCEPTION WHEN unique_violation THEN
  RAISE EXCEPTION 'table % is already distributed', rel USING ERRCODE = '42P07';
END $weft$;

CREATE OR REPLACE FUNCTION weft.undeclare(rel regclass) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
BEGIN
  PERFORM weft.check_owner(rel);
  PERFORM weft.lock_map();
  DELETE FROM weft.relation r WHERE r.relid = rel;
  DELETE FROM weft.waiting w WHERE w.relid = rel;
END $weft$;`

// argument: NULL takes the key away.
const functions = `
CREATE OR REPLACE FUNCTION weft.declare_function(
  func regprocedure, argument int, type_oid oid, key_type text, colocation int) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $weft$
BEGIN
  IF NOT pg_has_role(weft.acting_role(), (SELECT p.proowner FROM pg_proc p WHERE p.oid = func), 'USAGE') THEN
    RAISE EXCEPTION 'must be owner of function %', func USING ERRCODE = '42501';
  END IF;
  PERFORM weft.lock_map();
  DELETE FROM weft.function f WHERE f.funcid = func;
  IF argument IS NOT NULL THEN
    INSERT INTO weft.function VALUES (func, argument, type_oid, key_type, colocation);
  END IF;
END $weft$;`

/** A group of its own is that of its first table in pg_dump's order: a partition comes after its whole. */
const dumps = `
CREATE OR REPLACE FUNCTION weft.options_in_dump(rel oid, options text[]) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $weft$
  SELECT options || (
    SELECT CASE r.kind WHEN 'reference' THEN ARRAY['reference=true'] ELSE array_remove(ARRAY[
        'shard_key=' || a.attname,
        CASE WHEN r.colocation >= ${FIRST_FREE_COLOCATION} THEN 'colocate_with=' || coalesce((
          SELECT CASE WHEN g.relid = rel THEN 'none' ELSE format('%I.%I', n.nspname, c.relname) END
          FROM weft.relation g JOIN pg_class c ON c.oid = g.relid JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE g.colocation = r.colocation ORDER BY c.relispartition, n.nspname COLLATE "C", c.relname COLLATE "C" LIMIT 1), 'none') END
      ], NULL) END
    FROM weft.relation r LEFT JOIN pg_attribute a ON a.attrelid = r.relid AND a.attnum = r.key_attnum
    WHERE r.relid = rel)
$weft$;`

export const mapFunctions = [helpers, version, waiting, declarations, functions, dumps].join('\n')
