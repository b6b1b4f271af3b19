-- # tables
CREATE TABLE aa (id int PRIMARY KEY, v text) WITH (shard_key = 'id');

CREATE TABLE rf (id int PRIMARY KEY, v text) WITH (reference);

INSERT INTO aa SELECT g, 'a' FROM generate_series(1, 20) g;

INSERT INTO rf VALUES (1, 'a'), (2, 'a');

CREATE FUNCTION changes(what text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('UPDATE %I SET v = $1', what) USING 'dyn'; RETURN 1; END $$;

CREATE FUNCTION counts(what text) RETURNS int LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN EXECUTE format('SELECT count(*) FROM %I', what) INTO n; RETURN n; END $$;

CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE aa SET v = 'fired'; RETURN NULL; END $$;

CREATE FUNCTION fires_quietly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.x := NEW.x + 100; RETURN NEW; END $$;

-- # triggers of temporary tables
CREATE TEMP TABLE tt (x int);

INSERT INTO tt VALUES (0);

CREATE TRIGGER t AFTER INSERT ON tt FOR EACH ROW EXECUTE FUNCTION fires();

-- refused code_reaches_shards
INSERT INTO tt VALUES (1);

-- refused code_reaches_shards
INSERT INTO tt SELECT id FROM aa;

SELECT v, count(*) FROM aa GROUP BY 1 ORDER BY 1;

UPDATE tt SET x = x + 1;

CREATE TRIGGER u AFTER TRUNCATE ON tt FOR EACH STATEMENT EXECUTE FUNCTION fires();

-- refused code_reaches_shards
TRUNCATE tt;

DROP TRIGGER t ON tt;

DROP TRIGGER u ON tt;

INSERT INTO tt VALUES (1);

CREATE TRIGGER q BEFORE INSERT ON tt FOR EACH ROW EXECUTE FUNCTION fires_quietly();

INSERT INTO tt VALUES (1), (2);

SELECT x FROM tt ORDER BY 1;

SELECT v, count(*) FROM aa GROUP BY 1 ORDER BY 1;

-- # of a prepared statement, and in a block
CREATE TEMP TABLE tt (x int);

PREPARE ins AS INSERT INTO tt VALUES ($1);

EXECUTE ins(1);

BEGIN;

CREATE TRIGGER t AFTER INSERT ON tt FOR EACH ROW EXECUTE FUNCTION fires();

SAVEPOINT s;

-- refused code_reaches_shards
EXECUTE ins(2);

ROLLBACK TO s;

SELECT count(*) FROM aa WHERE v <> 'a';

COMMIT;

-- refused code_reaches_shards
EXECUTE ins(3);

SELECT x FROM tt ORDER BY 1;

-- # of the session's own functions
CREATE FUNCTION pg_temp.own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'UPDATE aa SET v = ''own'''; RETURN NULL; END $$;

CREATE TEMP TABLE tt (x int);

CREATE TRIGGER t AFTER INSERT ON tt FOR EACH ROW EXECUTE FUNCTION pg_temp.own();

-- refused code_reaches_shards
INSERT INTO tt VALUES (1);

SELECT count(*) FROM aa WHERE v <> 'a';

-- # defaults, checks, generated columns, indexes
CREATE TEMP TABLE t1 (x int DEFAULT changes('aa'), y int);

-- refused code_reaches_shards
INSERT INTO t1 (y) VALUES (1);

INSERT INTO t1 VALUES (1, 1);

CREATE TEMP TABLE t2 (x int CHECK (changes('rf') = 1));

-- refused code_reaches_shards
INSERT INTO t2 VALUES (1);

CREATE TEMP TABLE t3 (x int DEFAULT counts('rf'), y int DEFAULT counts('tt'), n serial);

CREATE TEMP TABLE tt (x int);

INSERT INTO t3 DEFAULT VALUES;

SELECT * FROM t3;

CREATE FUNCTION looks(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN EXECUTE 'SELECT count(*) FROM unseen_code.a' || 'a' INTO n; RETURN n; END $$;

CREATE TEMP TABLE t4 (x int);

CREATE INDEX ON t4 (looks(x));

-- refused code_reaches_shards
INSERT INTO t4 VALUES (1);

CREATE TEMP TABLE t5 (x int, y int GENERATED ALWAYS AS (looks(x)) STORED);

-- refused code_reaches_shards
INSERT INTO t5 VALUES (1);

SELECT count(*) FROM aa WHERE v <> 'a';

-- # foreign keys and inheritance lead from one to the other
CREATE TEMP TABLE above (x int PRIMARY KEY);

CREATE TEMP TABLE below (x int REFERENCES above ON DELETE CASCADE);

CREATE TRIGGER t AFTER DELETE ON below FOR EACH ROW EXECUTE FUNCTION fires();

INSERT INTO above VALUES (1);

INSERT INTO below VALUES (1);

-- refused code_reaches_shards
DELETE FROM above;

CREATE TABLE kept (x int);

CREATE TEMP TABLE heir () INHERITS (kept);

CREATE TRIGGER t AFTER UPDATE ON heir FOR EACH ROW EXECUTE FUNCTION fires();

INSERT INTO heir VALUES (1);

-- refused code_reaches_shards
UPDATE kept SET x = 2;

SELECT count(*) FROM aa WHERE v <> 'a';

-- # views, domains
CREATE TEMP VIEW tv AS SELECT changes('aa') AS z;

-- refused code_reaches_shards
SELECT * FROM tv;

CREATE TEMP VIEW tw AS SELECT counts('rf') AS z;

SELECT * FROM tw;

CREATE VIEW kept_view AS SELECT changes('aa') AS z;

CREATE TEMP VIEW over AS SELECT * FROM kept_view;

-- refused code_reaches_shards
SELECT * FROM over;

SELECT count(*) FROM aa WHERE v <> 'a';

-- # domains
CREATE DOMAIN pg_temp.dd AS int CHECK (changes('aa') = 1);

-- refused code_reaches_shards
SELECT 1::pg_temp.dd;

CREATE TEMP TABLE td (x pg_temp.dd);

-- refused code_reaches_shards
INSERT INTO td VALUES (1);

SELECT count(*) FROM aa WHERE v <> 'a';

-- # copies
CREATE TEMP TABLE tt (x int);

CREATE TRIGGER t AFTER INSERT ON tt FOR EACH STATEMENT EXECUTE FUNCTION fires();

-- refused code_reaches_shards
COPY tt FROM STDIN;
1
\.

-- refused code_reaches_shards
COPY (SELECT changes('rf')) TO STDOUT;

SELECT count(*) FROM aa WHERE v <> 'a';

-- # a table that the statement only reads
CREATE TABLE plain (x int);

CREATE TRIGGER t AFTER INSERT ON plain FOR EACH STATEMENT EXECUTE FUNCTION fires();

-- refused trigger_reads_table
INSERT INTO plain SELECT id FROM aa;

-- refused trigger_reads_table
INSERT INTO plain SELECT id FROM aa WHERE id = 1;

-- refused trigger_reads_table
WITH w AS (SELECT id FROM aa) INSERT INTO plain SELECT id FROM w;

-- refused user_function
SELECT changes('aa'), count(*) FROM aa;

-- refused code_reaches_shards
INSERT INTO plain SELECT id FROM rf;

SELECT v, count(*) FROM aa GROUP BY 1 ORDER BY 1;

-- # definitions of local tables
CREATE TABLE l (a int PRIMARY KEY, v text, w text);

INSERT INTO l VALUES (1, 'x', '1');

CREATE TABLE linked (a int PRIMARY KEY, r int);

INSERT INTO linked VALUES (1, 1);

-- refused code_reaches_shards
ALTER TABLE l ADD COLUMN c1 int DEFAULT changes('aa');

-- refused code_reaches_shards
ALTER TABLE l ADD COLUMN c2 int DEFAULT changes('rf');

ALTER TABLE l ADD COLUMN c3 int DEFAULT counts('rf');

-- refused code_reaches_shards
ALTER TABLE l ALTER v TYPE int USING changes('aa');

-- refused code_reaches_shards
ALTER TABLE l ALTER v TYPE int USING counts('aa');

ALTER TABLE l ALTER w TYPE int USING counts('rf') + w::int;

SELECT * FROM l;

-- refused code_reaches_shards
ALTER TABLE l ADD CHECK (changes('aa') = 1);

ALTER TABLE l ADD CONSTRAINT later CHECK (changes('rf') = 1) NOT VALID;

-- refused code_reaches_shards
ALTER TABLE l VALIDATE CONSTRAINT later;

ALTER TABLE l DROP CONSTRAINT later;

CREATE TABLE pb (a int) PARTITION BY RANGE (a);

-- refused code_reaches_shards
CREATE TABLE pb1 PARTITION OF pb FOR VALUES FROM (changes('aa')) TO (10);

CREATE TABLE pb2 PARTITION OF pb FOR VALUES FROM (counts('rf')) TO (10);

ALTER TABLE linked ADD CHECK (counts('rf') = 2), ADD FOREIGN KEY (r) REFERENCES rf;

ALTER TABLE linked ALTER r TYPE bigint USING counts('rf');

ALTER TABLE linked DROP CONSTRAINT linked_r_fkey, ADD CHECK (counts('rf') < 3);

-- refused code_reaches_shards
CREATE INDEX ON l (looks(a));

DROP TABLE linked, pb;

SELECT count(*) FROM aa WHERE v <> 'a';

SELECT count(*) FROM rf WHERE v <> 'a';

-- # domains
CREATE DOMAIN kept_domain AS int;

CREATE TABLE of_domain (d kept_domain);

INSERT INTO of_domain VALUES (1);

-- refused code_reaches_shards
ALTER DOMAIN kept_domain ADD CHECK (changes('aa') = 1);

ALTER DOMAIN kept_domain ADD CONSTRAINT late CHECK (counts('aa') > 0) NOT VALID;

-- refused code_reaches_shards
ALTER DOMAIN kept_domain VALIDATE CONSTRAINT late;

ALTER DOMAIN kept_domain DROP CONSTRAINT late;

ALTER DOMAIN kept_domain ADD CHECK (counts('rf') = 2);

-- # indexes and their upkeep
CREATE TABLE ix (a int);

INSERT INTO ix VALUES (1);

-- refused code_reaches_shards
CREATE INDEX ix_looks ON ix (looks(a));

-- refused code_reaches_shards
CREATE INDEX CONCURRENTLY ON ix (looks(a));

CREATE TABLE ix2 (a int);

CREATE INDEX ix2_looks ON ix2 (looks(a));

-- refused code_reaches_shards
REINDEX INDEX ix2_looks;

-- refused code_reaches_shards
REINDEX TABLE ix2;

-- refused code_reaches_shards
VACUUM FULL ix2;

VACUUM ix2;

VACUUM;

-- refused code_reaches_shards
ANALYZE;

VACUUM ANALYZE ix;

DROP TABLE ix2;

-- # definitions of sharded and reference tables, with dynamic SQL about
CREATE TABLE bb (id int PRIMARY KEY, v text, w text) WITH (shard_key = 'id');

INSERT INTO bb SELECT g, 'b', '1' FROM generate_series(1, 20) g;

-- refused code_reaches_shards
ALTER TABLE bb ADD CHECK (changes('aa') = 1);

-- refused code_reaches_shards
ALTER TABLE bb ALTER w TYPE int USING counts('aa');

ALTER TABLE bb ALTER w TYPE int USING w::int;

ALTER TABLE bb ADD CHECK (counts('rf') = 2), ADD FOREIGN KEY (id) REFERENCES aa ON DELETE CASCADE;

ALTER TABLE bb ADD CONSTRAINT other CHECK (counts('rf') <> 3) NOT VALID;

ALTER TABLE bb VALIDATE CONSTRAINT other;

-- refused code_reaches_shards
CREATE INDEX ON bb (looks(id));

ALTER TABLE bb DROP CONSTRAINT bb_id_fkey, ADD CHECK (counts('rf') < 3);

SELECT count(*) FROM aa WHERE v <> 'a';

-- # triggers that are deferred
CREATE TABLE late (x int);

CREATE FUNCTION fires_late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'UPDATE a' || 'a SET v = ''late'''; RETURN NULL; END $$;

CREATE CONSTRAINT TRIGGER t AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fires_late();

-- refused code_reaches_shards
INSERT INTO late VALUES (1);

SELECT count(*) FROM aa WHERE v <> 'a';

BEGIN;

INSERT INTO late VALUES (2);

-- refused code_reaches_shards
SET CONSTRAINTS ALL IMMEDIATE;

ROLLBACK;

SELECT count(*) FROM aa WHERE v <> 'a';

-- # triggers that are deferred, and do no harm
CREATE TABLE ordered (id int PRIMARY KEY, n int REFERENCES rf DEFERRABLE INITIALLY DEFERRED, up int) WITH (shard_key = 'id');

CREATE TABLE parts (id int, p int, PRIMARY KEY (id, p), FOREIGN KEY (id) REFERENCES ordered DEFERRABLE INITIALLY DEFERRED) WITH (shard_key = 'id', colocate_with = 'ordered');

CREATE FUNCTION counts_parts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF (SELECT count(*) FROM parts WHERE parts.id = NEW.id) <> NEW.n THEN RAISE EXCEPTION 'not % parts', NEW.n; END IF; RETURN NULL; END $$;

CREATE CONSTRAINT TRIGGER t AFTER INSERT ON ordered DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION counts_parts();

CREATE FUNCTION says() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN EXECUTE 'SELECT count(*) FROM calm' INTO n; RAISE NOTICE 'there are %', n; RETURN NULL; END $$;

CREATE TABLE calm (x int);

CREATE CONSTRAINT TRIGGER t AFTER INSERT ON calm DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION says();

BEGIN;

INSERT INTO parts VALUES (1, 1), (1, 2), (2, 1), (3, 1);

INSERT INTO ordered VALUES (1, 2), (2, 1), (3, 1);

INSERT INTO calm VALUES (1), (2);

COMMIT;

BEGIN;

INSERT INTO parts VALUES (4, 1);

INSERT INTO ordered VALUES (4, 2);

INSERT INTO calm VALUES (4);

COMMIT;

BEGIN;

INSERT INTO parts VALUES (5, 1);

INSERT INTO calm VALUES (4);

SET CONSTRAINTS ALL IMMEDIATE;

ROLLBACK;

SELECT * FROM ordered ORDER BY id;

SELECT * FROM calm ORDER BY x;

-- # behind what is not temporary, and where locks and scans do not tell
CREATE TABLE deep_s (id int PRIMARY KEY, v text) WITH (shard_key = 'id');

CREATE TABLE deep_r (id int PRIMARY KEY, v text) WITH (reference = true);

INSERT INTO deep_s SELECT g, 'a' FROM generate_series(1, 30) g;

INSERT INTO deep_r VALUES (1, 'a'), (2, 'a');

CREATE FUNCTION deep_count() RETURNS int LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN EXECUTE 'SELECT count(*) FROM deep_' || 's' INTO n; RETURN n; END $$;

CREATE TEMP TABLE deep_tmp (a int, b int DEFAULT deep_count());

CREATE TABLE deep_l (a int, w text, n int);

CREATE FUNCTION into_tmp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO deep_tmp VALUES (1); RETURN NEW; END $$;

CREATE TRIGGER into_tmp BEFORE INSERT ON deep_l FOR EACH ROW EXECUTE FUNCTION into_tmp();

-- refused code_reaches_shards
INSERT INTO deep_l (a) VALUES (1);

DROP TRIGGER into_tmp ON deep_l;

CREATE FUNCTION tmp_count() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN INSERT INTO deep_tmp VALUES (2); RETURN (SELECT max(b) FROM deep_tmp); END $$;

-- refused code_reaches_shards
SELECT tmp_count();

DROP TABLE deep_tmp;

CREATE FUNCTION runs_w() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE NEW.w; RETURN NEW; END $$;

CREATE TRIGGER runs_w BEFORE INSERT ON deep_l FOR EACH ROW EXECUTE FUNCTION runs_w();

CREATE FUNCTION counts_w() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE NEW.w INTO NEW.n; RETURN NEW; END $$;

BEGIN;

ALTER TABLE deep_r ADD COLUMN z int;

-- refused code_reaches_shards
INSERT INTO deep_l (w) VALUES ('TRUNCATE deep_r');

ROLLBACK;

BEGIN;

ALTER TABLE deep_s ADD COLUMN z int;

-- refused code_reaches_shards
INSERT INTO deep_l (w) VALUES ('ALTER TABLE deep_s ENABLE ROW LEVEL SECURITY');

ROLLBACK;

DROP TRIGGER runs_w ON deep_l;

CREATE TRIGGER counts_w BEFORE INSERT ON deep_l FOR EACH ROW EXECUTE FUNCTION counts_w();

BEGIN;

SELECT count(*) FROM deep_s;

-- refused code_reaches_shards
INSERT INTO deep_l (w) VALUES ('SELECT count(*) FROM deep_s TABLESAMPLE SYSTEM (100)') RETURNING n;

ROLLBACK;

BEGIN;

SELECT count(*) FROM deep_s;

-- refused code_reaches_shards
INSERT INTO deep_l (w) VALUES ('SELECT count(*) FROM deep_s WHERE ctid > ''(0,0)''') RETURNING n;

ROLLBACK;

CREATE TABLE deep_c (id int REFERENCES deep_s, n int, w text) WITH (shard_key = 'id', colocate_with = 'deep_s');

CREATE TRIGGER counts_w BEFORE INSERT ON deep_c FOR EACH ROW EXECUTE FUNCTION counts_w();

INSERT INTO deep_c VALUES (1, 0, 'SELECT 7') RETURNING n;

BEGIN;

SELECT count(*) FROM deep_s;

-- refused code_reaches_shards
INSERT INTO deep_c VALUES (2, 0, 'SELECT count(*) FROM deep_s') RETURNING n;

ROLLBACK;

-- # behind a local table, beside another action
CREATE TABLE top (id int PRIMARY KEY) WITH (reference = true);

CREATE TABLE side (id int PRIMARY KEY, p int REFERENCES top ON DELETE SET NULL) WITH (reference = true);

CREATE TABLE here (id int PRIMARY KEY, p int REFERENCES top ON DELETE CASCADE);

INSERT INTO top VALUES (1), (2), (3);

INSERT INTO side VALUES (1, 1), (2, 2);

INSERT INTO here VALUES (1, 1), (2, 2);

DELETE FROM top WHERE id = 3;

CREATE FUNCTION adopt_side() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE side SET p = 2 WHERE p = OLD.p; RETURN OLD; END $$;

CREATE TRIGGER adopt_side BEFORE DELETE ON here FOR EACH ROW EXECUTE FUNCTION adopt_side();

-- refused code_reaches_shards
DELETE FROM top WHERE id = 1;

DROP TRIGGER adopt_side ON here;

CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO deep_l (w) VALUES ('SELECT 1'); RETURN OLD; END $$;

DELETE FROM top WHERE id = 1;

SELECT * FROM side ORDER BY id;

SELECT * FROM here ORDER BY id;

-- # names of schemas
CREATE FUNCTION named_as_schema() RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM deep_s' INTO n; RETURN n; END $$;

CREATE SCHEMA named_as_schema;

DROP SCHEMA named_as_schema;

-- # names of columns
CREATE TABLE visits (id int PRIMARY KEY, fetches int, note text) WITH (shard_key = 'id');

INSERT INTO visits SELECT g, g % 3, 'a' FROM generate_series(1, 20) g;

CREATE FUNCTION fetches() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT 1'; RETURN 1; END $$;

CREATE FUNCTION note(a int, b int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT 1'; RETURN a; END $$;

SELECT fetches, count(*) FROM visits GROUP BY 1 ORDER BY 1;

SELECT v.fetches, v.* FROM visits v ORDER BY v.fetches, v.id LIMIT 3;

UPDATE visits SET note = 'b' WHERE fetches IN (SELECT fetches FROM visits WHERE id = 3);

INSERT INTO visits (id, fetches, note) SELECT id + 100, fetches, note FROM visits WHERE note = 'a';

DELETE FROM visits USING (SELECT DISTINCT fetches FROM visits WHERE note = 'b') o WHERE visits.fetches = o.fetches;

SELECT count(*), string_agg(DISTINCT note, ',' ORDER BY note) FROM visits;

-- refused user_function
SELECT fetches(), fetches FROM visits ORDER BY id LIMIT 1;

-- refused user_function
SELECT id FROM visits ORDER BY note(fetches, id), id LIMIT 1;

-- refused user_function
UPDATE visits SET fetches = visits."fetches" () WHERE id IN (SELECT id FROM visits ORDER BY id LIMIT 2);

-- refused user_function
UPDATE visits SET note = fetches() WHERE id IN (SELECT id FROM visits ORDER BY id LIMIT 2);

CREATE FUNCTION counted(v visits) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM visits' INTO n; RETURN n; END $$;

-- refused function_names_table
SELECT v.counted FROM visits v ORDER BY id LIMIT 1;

-- refused function_names_table
SELECT (v).counted FROM visits v WHERE id = 1;

-- refused function_names_table
SELECT id FROM visits v ORDER BY v.counted, id LIMIT 1;

-- # operators
CREATE TABLE visits (id int PRIMARY KEY, n int) WITH (shard_key = 'id');

INSERT INTO visits SELECT g, g % 3 FROM generate_series(1, 20) g;

CREATE FUNCTION op_counts(a int, b int) RETURNS bool LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN EXECUTE 'SELECT count(*) FROM visits' INTO n; RETURN n > a; END $$;

CREATE FUNCTION op_plain(a int, b int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN a < b; END $$;

CREATE OPERATOR #%# (LEFTARG = int, RIGHTARG = int, FUNCTION = op_counts);

CREATE OPERATOR #%@ (LEFTARG = int, RIGHTARG = int, FUNCTION = op_plain, NEGATOR = #%#);

INSERT INTO visits SELECT id + 100, n FROM visits;

UPDATE visits SET n = 0 WHERE n IN (SELECT n FROM visits ORDER BY id LIMIT 1);

SELECT count(*) FROM visits;

-- refused code_reaches_shards
SELECT 10 #%# 2;

SELECT NOT (10 #%@ 2);

-- refused code_reaches_shards
SELECT 10 OPERATOR(unseen_code.#%#) 2;

-- refused function_names_table
SELECT count(*) FROM visits WHERE id #%# 2;

-- refused trigger_reads_table
SELECT id FROM visits WHERE NOT (id #%@ 2) ORDER BY n, id LIMIT 1;

CREATE VIEW behind AS SELECT id, id #%# 2 AS is_more FROM visits;

-- refused function_names_table
SELECT count(*) FROM behind WHERE is_more;

ALTER TABLE visits ADD CHECK (id #%# 2);

CREATE TABLE checked (a int CHECK (a #%# 2));

-- refused code_reaches_shards
INSERT INTO checked VALUES (1);

DROP TABLE checked;

DROP VIEW behind;

DROP OPERATOR #%@ (int, int);

DROP OPERATOR #%# (int, int);
