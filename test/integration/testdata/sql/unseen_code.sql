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

CREATE FUNCTION looks(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN counts('aa'); END $$;

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
