-- # tables
CREATE TABLE lands (code text PRIMARY KEY, name text NOT NULL, n int DEFAULT 7, upper_name text GENERATED ALWAYS AS (upper(name)) STORED, changed int NOT NULL DEFAULT 0, at timestamptz, tags text[]) WITH (reference = true);

CREATE TABLE audit (op text, code text, old_name text, new_name text);

CREATE TABLE cities (id int PRIMARY KEY, land text REFERENCES lands ON UPDATE CASCADE ON DELETE CASCADE, name text) WITH (shard_key = 'id');

CREATE TABLE local_rows (code text, name text);

INSERT INTO lands (code, name) VALUES ('de', 'Germany'), ('fr', 'France'), ('it', 'Italy'), ('es', 'Spain');

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := coalesce(OLD.changed, 0) + 1; NEW.at := '2024-01-02'; RETURN NEW; END $$;

CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'INSERT' THEN INSERT INTO audit (op, code, new_name) VALUES (TG_OP, NEW.code, NEW.name);
  ELSIF TG_OP = 'UPDATE' THEN INSERT INTO audit (op, code, old_name, new_name) VALUES (TG_OP, NEW.code, OLD.name, NEW.name);
  ELSE INSERT INTO audit (op, code, old_name) VALUES (TG_OP, OLD.code, OLD.name); END IF;
  RETURN NULL; END $$;

-- # before and after
CREATE TRIGGER touch BEFORE UPDATE ON lands FOR EACH ROW EXECUTE FUNCTION touch();

CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON lands FOR EACH ROW EXECUTE FUNCTION audit();

UPDATE lands SET name = 'Deutschland' WHERE code = 'de' RETURNING code, name, n, upper_name, changed, at > '2000-01-01';

INSERT INTO lands (code, name) VALUES ('pt', 'Portugal'), ('at', 'Austria') RETURNING code, changed;

UPDATE lands SET n = n + 1;

DELETE FROM lands WHERE code = 'it' RETURNING code, n, changed;

SELECT code, name, n, upper_name, changed FROM lands ORDER BY code;

SELECT op, code, old_name, new_name FROM audit ORDER BY op, code, old_name, new_name;

SELECT count(*) FROM cities JOIN lands ON lands.code = cities.land;

-- # conflicts and merges
INSERT INTO lands (code, name) VALUES ('de', 'x'), ('be', 'Belgium') ON CONFLICT (code) DO UPDATE SET name = lands.name || '!', n = excluded.n RETURNING code, name, n, changed;

INSERT INTO lands (code, name) VALUES ('de', 'x'), ('nl', 'Netherlands') ON CONFLICT DO NOTHING RETURNING code;

-- refused trigger
MERGE INTO lands USING (VALUES ('de', 'D'), ('ch', 'Switzerland'), ('fr', NULL)) AS v (code, name) ON lands.code = v.code
  WHEN MATCHED AND v.name IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (code, name) VALUES (v.code, v.name);

SELECT code, name, n, changed FROM lands ORDER BY code;

SELECT op, code, old_name, new_name FROM audit ORDER BY op, code, old_name, new_name;

-- # copy
-- refused trigger
COPY lands (code, name, tags) FROM STDIN;
se	Sweden	{a,"b c",NULL}
no	Norway	\N
\.

-- refused trigger
COPY lands (code, name) FROM STDIN;
dk	Denmark
no	Norway
\.

SELECT code, name, tags, changed FROM lands ORDER BY code;

-- # from other tables
INSERT INTO cities SELECT g, (ARRAY['de', 'es', 'pt'])[g % 3 + 1], 'city ' || g FROM generate_series(1, 30) g;

-- refused trigger
UPDATE lands SET n = (SELECT count(*) FROM cities WHERE land = lands.code) WHERE code IN ('de', 'es');

-- refused trigger
UPDATE lands SET n = c.n FROM (SELECT land, max(id) AS n FROM cities GROUP BY land) c WHERE c.land = lands.code;

-- refused trigger
INSERT INTO lands (code, name) SELECT 'c' || id, name FROM cities WHERE id < 4 RETURNING code, name;

INSERT INTO local_rows VALUES ('l1', 'local one');

INSERT INTO lands (code, name) SELECT * FROM local_rows;

DELETE FROM lands USING local_rows l WHERE l.code = lands.code RETURNING lands.name;

WITH gone AS (DELETE FROM lands WHERE code LIKE 'c_' AND code <> 'ch' RETURNING code) SELECT * FROM gone ORDER BY code;

-- refused trigger
WITH w AS (INSERT INTO lands (code, name) VALUES ('w1', 'W') RETURNING code) INSERT INTO local_rows SELECT code, 'w' FROM w RETURNING *;

-- refused trigger
WITH gone AS (UPDATE lands SET name = name || '~' WHERE code IN ('ch', 'es') RETURNING code, changed) SELECT max(code), count(*), sum(changed) FROM gone;

WITH one (c) AS (INSERT INTO lands (code, name) VALUES ('w2', 'W') ON CONFLICT (code) DO UPDATE SET name = 'again' RETURNING code) SELECT c FROM one WHERE c = 'none';

WITH w AS (DELETE FROM lands WHERE code = 'w2' RETURNING name) SELECT 1 AS unread;

-- refused trigger
WITH gone AS (UPDATE lands SET n = 0 WHERE code = 'ch' RETURNING code) SELECT code, (SELECT count(*) FROM audit) FROM gone;

-- refused trigger
WITH gone AS (UPDATE lands SET n = 0 WHERE code = 'ch' RETURNING code) SELECT lands.n FROM gone JOIN lands USING (code);

-- refused trigger
WITH gone AS (UPDATE lands SET n = 0 WHERE code = 'ch' RETURNING code) SELECT code, relname FROM gone, pg_class WHERE relname = 'pg_class';

-- refused trigger
WITH gone AS (UPDATE lands SET n = 0 WHERE code = 'ch' RETURNING code) SELECT nextval('pg_temp.none'), code FROM gone;

SELECT code, name, n, changed FROM lands ORDER BY code;

SELECT op, code, old_name, new_name FROM audit ORDER BY op, code, old_name, new_name;

-- # foreign keys of sharded tables
-- refused trigger
UPDATE lands SET code = 'ES' WHERE code = 'es';

SELECT land, count(*) FROM cities GROUP BY 1 ORDER BY 1;

DELETE FROM lands WHERE code = 'pt';

SELECT land, count(*) FROM cities GROUP BY 1 ORDER BY 1;

INSERT INTO cities VALUES (100, 'pt', 'x');

INSERT INTO cities VALUES (100, 'ES', 'x');

-- # transactions
BEGIN;

UPDATE lands SET name = 'España' WHERE code = 'ES' RETURNING changed;

SELECT name, changed FROM lands WHERE code = 'ES';

SELECT l.name, c.id FROM cities c JOIN lands l ON l.code = c.land WHERE c.id IN (1, 4, 7, 100) ORDER BY 2;

SAVEPOINT a;

DELETE FROM lands WHERE code = 'ES';

SELECT count(*) FROM cities;

ROLLBACK TO a;

SELECT count(*) FROM cities;

UPDATE lands SET n = 0 WHERE code = 'de';

COMMIT;

BEGIN ISOLATION LEVEL REPEATABLE READ;

UPDATE lands SET n = n + 1 WHERE code IN ('de', 'ES');

UPDATE lands SET n = n + 1 WHERE code IN ('de', 'ES') RETURNING code, n, changed;

ROLLBACK;

SELECT code, name, n, changed FROM lands ORDER BY code;

PREPARE up (text, int) AS UPDATE lands SET n = $2 WHERE code = $1 RETURNING code, n, changed;

EXECUTE up ('de', 55);

EXECUTE up ('ES', 56);

DEALLOCATE up;

-- # rows kept, changed and refused by triggers
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF TG_OP = 'DELETE' THEN IF OLD.code = 'de' THEN RETURN NULL; END IF; RETURN OLD; END IF;
  IF NEW.name = 'none' THEN RETURN NULL; END IF;
  IF NEW.name = 'bad' THEN RAISE EXCEPTION 'bad name' USING ERRCODE = '23514'; END IF;
  NEW.code := lower(NEW.code); NEW.name := initcap(NEW.name); RETURN NEW; END $$;

CREATE TRIGGER keep BEFORE INSERT OR UPDATE OR DELETE ON lands FOR EACH ROW EXECUTE FUNCTION keep();

INSERT INTO lands (code, name) VALUES ('GR', 'greece'), ('HU', 'none') RETURNING code, name;

UPDATE lands SET name = 'none' WHERE code = 'gr' RETURNING code;

UPDATE lands SET name = 'bad' WHERE code = 'gr';

UPDATE lands SET n = 1 WHERE code = 'ES' RETURNING code, name;

SELECT land, count(*) FROM cities GROUP BY 1 ORDER BY 1;

DELETE FROM lands WHERE code IN ('de', 'gr') RETURNING code;

SELECT code, name, n, changed FROM lands ORDER BY code;

DROP TRIGGER keep ON lands;

-- # statement triggers and transition tables
CREATE FUNCTION many() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO audit (op, code, old_name, new_name) SELECT TG_OP || ' many', string_agg(code, ',' ORDER BY code), count(*)::text, max(name) FROM rows;
  RETURN NULL; END $$;

CREATE TRIGGER many_i AFTER INSERT ON lands REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION many();

CREATE TRIGGER many_u AFTER UPDATE ON lands REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION many();

TRUNCATE audit;

INSERT INTO lands (code, name) SELECT 'x' || g, 'X' || g FROM generate_series(1, 5) g;

UPDATE lands SET n = 3 WHERE code LIKE 'x_';

UPDATE lands SET n = 3 WHERE false;

SELECT op, code, old_name, new_name FROM audit WHERE op LIKE '% many' ORDER BY op, code;

-- # triggers that write the table itself
CREATE FUNCTION self() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF pg_trigger_depth() < 2 THEN UPDATE lands SET n = n + 100 WHERE code IN ('x1', 'x2'); END IF; RETURN NULL; END $$;

CREATE TRIGGER self AFTER UPDATE ON lands FOR EACH ROW EXECUTE FUNCTION self();

-- refused trigger
UPDATE lands SET name = name || '.' WHERE code IN ('x1', 'x2', 'x3');

SELECT code, name, n, changed FROM lands WHERE code LIKE 'x_' ORDER BY code;

DROP TRIGGER self ON lands;

-- # on, off, renamed, described
ALTER TABLE lands DISABLE TRIGGER audit;

ALTER TABLE lands DISABLE TRIGGER USER;

UPDATE lands SET n = -1 WHERE code = 'x4' RETURNING changed;

ALTER TABLE lands ENABLE TRIGGER USER;

UPDATE lands SET n = -2 WHERE code = 'x4' RETURNING changed;

ALTER TRIGGER touch ON lands RENAME TO touched;

COMMENT ON TRIGGER touched ON lands IS 'counts';

SELECT tgname, tgenabled, obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgrelid = 'lands'::regclass AND NOT tgisinternal ORDER BY 1;

SELECT trigger_name, event_manipulation, action_timing FROM information_schema.triggers WHERE event_object_table = 'lands' AND trigger_schema = 'copy_triggers' ORDER BY 1, 2;

DROP TRIGGER IF EXISTS nothing ON lands;

DROP TRIGGER nothing ON lands;

SET session_replication_role = replica;

UPDATE lands SET n = -3 WHERE code = 'x4' RETURNING changed;

RESET session_replication_role;

ALTER TABLE lands ADD COLUMN extra int DEFAULT 5;

ALTER TABLE lands DROP COLUMN tags;

UPDATE lands SET extra = 6 WHERE code = 'x4' RETURNING changed, extra;

ALTER TABLE lands ALTER COLUMN extra TYPE text USING extra::text || 'x';

UPDATE lands SET extra = extra || 'y' WHERE code < 'x' RETURNING code, extra;

TRUNCATE local_rows;

-- # views
CREATE VIEW short AS SELECT code, name, n FROM lands WHERE n < 100;

-- refused trigger
INSERT INTO short VALUES ('v1', 'View', 1) RETURNING *;

-- refused trigger
UPDATE short SET n = 2 WHERE code = 'v1';

SELECT code, name, n, changed FROM lands WHERE code = 'v1';

EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) SELECT 1 FROM lands WHERE false;

-- # serial keys, other types
CREATE TABLE kinds (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, c char(5), f float8, i interval, d date, b bytea, j json, m money, x xml, r int4range, "Odd Name" text) WITH (reference = true);

CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.f := NEW.f / 3; RETURN NEW; END $$;

CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON kinds FOR EACH ROW EXECUTE FUNCTION stamp();

SET datestyle = 'SQL, DMY';

SET intervalstyle = sql_standard;

SET extra_float_digits = 0;

INSERT INTO kinds (c, f, i, d, b, j, m, x, r, "Odd Name") VALUES ('ab ', 1.0, '1 mon -2 days', '01/02/2024', '\x00ff', '{"a":1,  "a":2}', '12.34', '<a/><b/>', '[1,5)', E'q"uo\\te''d'), (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'empty', '');

UPDATE kinds SET f = 10 RETURNING *;

RESET datestyle;

RESET intervalstyle;

RESET extra_float_digits;

SELECT * FROM kinds ORDER BY id;

DELETE FROM kinds WHERE id = 2;

-- # foreign keys between reference tables
CREATE TABLE parents (id int PRIMARY KEY, v text) WITH (reference = true);

CREATE TABLE children (id int PRIMARY KEY, parent int REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE, other int REFERENCES parents ON DELETE SET NULL, v text) WITH (reference = true);

CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := concat(NEW.v, '+'); RETURN NEW; END $$;

CREATE TRIGGER seen BEFORE INSERT OR UPDATE ON children FOR EACH ROW EXECUTE FUNCTION seen();

INSERT INTO parents SELECT g, 'p' FROM generate_series(1, 6) g;

INSERT INTO children VALUES (1, 1, 2, 'c'), (2, 2, 3, 'c'), (3, 3, 1, 'c'), (4, 4, 4, 'c'), (5, NULL, 5, 'c');

-- refused trigger
UPDATE parents SET id = id + 10 WHERE id = 3;

-- refused trigger
UPDATE parents SET id = id + 10 WHERE id > 3 AND id < 7;

-- refused trigger
DELETE FROM parents WHERE id IN (1, 15);

SELECT * FROM children ORDER BY id;

SELECT * FROM parents ORDER BY id;

CREATE FUNCTION stay() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;

CREATE TRIGGER stay BEFORE DELETE ON children FOR EACH ROW EXECUTE FUNCTION stay();

-- refused trigger
DELETE FROM parents WHERE id = 2;

DROP TRIGGER stay ON children;

-- refused trigger
DELETE FROM parents WHERE id = 2;

SELECT * FROM children ORDER BY id;

-- # declared with triggers, and taken back
CREATE TABLE later (id int PRIMARY KEY, v text, n int DEFAULT 0);

CREATE FUNCTION count_n() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := NEW.n + 1; RETURN NEW; END $$;

CREATE TRIGGER count_n BEFORE INSERT OR UPDATE ON later FOR EACH ROW EXECUTE FUNCTION count_n();

COMMENT ON TRIGGER count_n ON later IS 'n';

INSERT INTO later VALUES (1, 'a');

-- weft
SELECT create_reference_table('later');

INSERT INTO later VALUES (2, 'b') RETURNING n;

UPDATE later SET v = 'c' RETURNING *;

-- weft
SELECT undistribute_table('later');

UPDATE later SET v = 'd' RETURNING *;

SELECT tgname FROM pg_trigger WHERE tgrelid = 'later'::regclass;

CREATE TABLE keyless (v text) WITH (reference = true);

CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := upper(NEW.v); RETURN NEW; END $$;

CREATE TRIGGER x BEFORE INSERT OR UPDATE ON keyless FOR EACH ROW EXECUTE FUNCTION shout();

INSERT INTO keyless VALUES ('a'), ('b'), ('a') RETURNING *;

-- refused trigger
UPDATE keyless SET v = 'c';

DELETE FROM keyless WHERE v = 'A' RETURNING v;

-- refused trigger
ALTER TABLE lands DISABLE TRIGGER audit, ADD COLUMN y int;

ALTER TABLE children DROP CONSTRAINT children_pkey;

-- # what triggers may not do
CREATE FUNCTION more_cities() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM cities'; RETURN NULL; END $$;

CREATE TRIGGER more_cities AFTER DELETE ON lands FOR EACH ROW EXECUTE FUNCTION more_cities();

-- refused trigger
DELETE FROM lands WHERE code = 'gr';

DROP TRIGGER more_cities ON lands;

CREATE FUNCTION new_key() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.code := NEW.code || 'k'; RETURN NEW; END $$;

CREATE TRIGGER new_key BEFORE INSERT OR UPDATE ON lands FOR EACH ROW EXECUTE FUNCTION new_key();

INSERT INTO lands (code, name) VALUES ('k', 'K') RETURNING code;

-- refused trigger
UPDATE lands SET n = 1 WHERE code = 'kk';

DROP TRIGGER new_key ON lands;

CREATE FUNCTION other_copies() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE parents SET v = 'seen'; RETURN NULL; END $$;

CREATE TRIGGER other_copies AFTER INSERT ON lands FOR EACH ROW EXECUTE FUNCTION other_copies();

-- refused trigger
INSERT INTO lands (code, name) VALUES ('oc', 'OC');

DROP TRIGGER other_copies ON lands;

CREATE FUNCTION in_place() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE lands SET n = 77 WHERE code = 'de'; RETURN NULL; END $$;

CREATE TRIGGER in_place BEFORE INSERT ON lands FOR EACH ROW EXECUTE FUNCTION in_place();

-- refused trigger
INSERT INTO lands (code, name) VALUES ('ip', 'IP');

DROP TRIGGER in_place ON lands;

-- refused trigger
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON lands DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION audit();

CREATE CONSTRAINT TRIGGER soon AFTER INSERT ON lands FOR EACH ROW EXECUTE FUNCTION audit();

INSERT INTO lands (code, name) VALUES ('so', 'Soon');

DROP TRIGGER soon ON lands;

-- refused copy
COPY (INSERT INTO lands (code, name) VALUES ('cc', 'CC') RETURNING code) TO STDOUT;

-- refused with_write
CREATE TABLE made AS WITH x AS (INSERT INTO lands (code, name) VALUES ('ct', 'CT') RETURNING code) SELECT * FROM x;

ALTER TABLE lands ENABLE ROW LEVEL SECURITY;

-- refused trigger
UPDATE lands SET n = 5 WHERE code = 'de';

ALTER TABLE lands DISABLE ROW LEVEL SECURITY;

CREATE FUNCTION upon_cities() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE cities SET name = 'seen' WHERE land = NEW.code; RETURN NULL; END $$;

CREATE TRIGGER upon_cities AFTER INSERT ON lands FOR EACH ROW EXECUTE FUNCTION upon_cities();

-- refused trigger
INSERT INTO lands (code, name) VALUES ('zz', 'Z');

DROP TRIGGER upon_cities ON lands;

CREATE FUNCTION reads_cities() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.n := (SELECT count(*) FROM cities); RETURN NEW; END $$;

CREATE TRIGGER reads_cities BEFORE INSERT ON lands FOR EACH ROW EXECUTE FUNCTION reads_cities();

-- refused trigger
INSERT INTO lands (code, name) VALUES ('zz', 'Z');

DROP TRIGGER reads_cities ON lands;

UPDATE lands SET n = 9 WHERE code = 'gr';

INSERT INTO lands (code, name) VALUES ('zz', 'Z') RETURNING code, changed;

-- # what looks like something else
CREATE TABLE par (id int PRIMARY KEY, v text) WITH (reference = true);

CREATE TABLE chi (id int PRIMARY KEY, p int REFERENCES par ON DELETE SET NULL) WITH (reference = true);

INSERT INTO par VALUES (1, 'a'), (2, 'b'), (3, 'c');

INSERT INTO chi VALUES (1, 1), (2, 2), (3, 3);

CREATE FUNCTION adopt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE chi SET p = 2 WHERE p = OLD.id; RETURN OLD; END $$;

CREATE TRIGGER adopt BEFORE DELETE ON par FOR EACH ROW EXECUTE FUNCTION adopt();

-- refused trigger
DELETE FROM par WHERE id = 1;

DROP TRIGGER adopt ON par;

CREATE FUNCTION stamp_par() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v || '+'; RETURN NEW; END $$;

CREATE TRIGGER stamp BEFORE UPDATE ON par FOR EACH ROW EXECUTE FUNCTION stamp_par();

UPDATE par SET v = 'x' WHERE id = 1 RETURNING v;

DELETE FROM par WHERE id = 3;

SELECT * FROM chi ORDER BY id;

CREATE TABLE alone (id numeric PRIMARY KEY, n int, v text) WITH (reference = true);

INSERT INTO alone VALUES (1.0, 1, 'a'), (2.0, 2, 'b');

CREATE FUNCTION runs_v() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE NEW.v; RETURN NEW; END $$;

CREATE TRIGGER runs_v BEFORE INSERT ON alone FOR EACH ROW EXECUTE FUNCTION runs_v();

-- refused code_reaches_shards
INSERT INTO alone VALUES (3, 3, 'TRUNCATE chi');

-- refused code_reaches_shards
INSERT INTO alone VALUES (3, 3, 'ALTER TABLE chi ADD COLUMN z int DEFAULT 7');

-- refused code_reaches_shards
INSERT INTO alone VALUES (3, 3, 'CREATE INDEX ON chi (p)');

-- refused code_reaches_shards
INSERT INTO alone VALUES (3, 3, 'UPDATE chi SET p = 1');

INSERT INTO alone VALUES (4, 4, 'SELECT count(*) FROM chi') RETURNING *;

INSERT INTO alone VALUES (5, 5, 'INSERT INTO local_rows VALUES (''dyn'')') RETURNING n;

BEGIN;

INSERT INTO alone VALUES (6, 6, 'SET search_path = copy_triggers, pg_catalog') RETURNING n;

SHOW search_path;

COMMIT;

SHOW search_path;

INSERT INTO alone VALUES (7, 7, 'SET datestyle = ''SQL, DMY''') RETURNING n;

SHOW datestyle;

RESET datestyle;

SET search_path = copy_triggers;

CREATE FUNCTION longer() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id := round(NEW.id, 3); RETURN NEW; END $$;

CREATE TRIGGER longer BEFORE UPDATE ON alone FOR EACH ROW EXECUTE FUNCTION longer();

UPDATE alone SET n = n + 10 WHERE id < 3 RETURNING id, n;

INSERT INTO alone (id, n, v) VALUES (1, 1, 'SELECT 1') ON CONFLICT (id) DO UPDATE SET n = excluded.n + 100 RETURNING id, n;

SELECT id, n FROM alone ORDER BY id;

CREATE TABLE emptied (id int PRIMARY KEY) WITH (reference = true);

CREATE FUNCTION refill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'INSERT INTO emptied VALUES (99)'; RETURN NULL; END $$;

CREATE TRIGGER refill AFTER TRUNCATE ON emptied EXECUTE FUNCTION refill();

INSERT INTO emptied VALUES (1);

-- refused code_reaches_shards
TRUNCATE emptied;

SELECT * FROM emptied;

CREATE TABLE keyed (a int, b int, g int GENERATED ALWAYS AS (b % 10) STORED, v text, PRIMARY KEY (a, g)) WITH (reference = true);

CREATE TRIGGER shout BEFORE UPDATE ON keyed FOR EACH ROW EXECUTE FUNCTION shout();

INSERT INTO keyed (a, b, v) VALUES (1, 11, 'a'), (1, 12, 'b');

-- refused trigger
UPDATE keyed SET v = 'm' WHERE b = 11;

DELETE FROM keyed WHERE b = 12;

SELECT * FROM keyed;

CREATE TABLE arrays (id int PRIMARY KEY, d date[], f float8[], v text) WITH (reference = true);

CREATE TRIGGER sets BEFORE INSERT ON arrays FOR EACH ROW EXECUTE FUNCTION runs_v();

INSERT INTO arrays VALUES (1, '{2020-03-04}', '{0.30000000000000004}', 'SELECT 1') RETURNING *;

-- refused inexact_text
INSERT INTO arrays VALUES (2, '{2020-03-04}', '{0.30000000000000004}', 'SET datestyle = ''SQL, DMY''');

-- # by way of another copy
CREATE TABLE mid (id int PRIMARY KEY, p int REFERENCES par ON DELETE CASCADE) WITH (reference = true);

CREATE TABLE below (id int PRIMARY KEY, mid int REFERENCES mid ON DELETE CASCADE) WITH (shard_key = 'id');

INSERT INTO mid VALUES (10, 1), (20, 2);

INSERT INTO below SELECT g, 10 + 10 * (g % 2) FROM generate_series(1, 30) g;

CREATE FUNCTION more_below() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM below WHERE mid = 20; RETURN NULL; END $$;

CREATE TRIGGER more_below AFTER DELETE ON par FOR EACH ROW EXECUTE FUNCTION more_below();

-- refused trigger
DELETE FROM par WHERE id = 1;

SELECT count(*) FROM below;

DROP TRIGGER more_below ON par;

DELETE FROM par WHERE id = 1;

SELECT count(*) FROM below;
