-- # tables
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');

CREATE TABLE t (id int PRIMARY KEY, grp int, v varchar(10) COLLATE "C", m mood, tags int[], f float8, at timestamptz DEFAULT '2024-01-01')
  WITH (shard_key = 'id');

CREATE TABLE r (n int PRIMARY KEY, label text) WITH (reference);

CREATE TABLE l (id int, v text);

INSERT INTO t (id, grp, v, m, tags, f) SELECT i, i % 4, 'v' || i, (ARRAY['sad','ok','happy'])[i % 3 + 1]::mood, ARRAY[i], i / 3.0 FROM generate_series(1, 30) i;

INSERT INTO r SELECT i, 'r' || i FROM generate_series(1, 5) i;

INSERT INTO l SELECT i, 'l' || i FROM generate_series(1, 5) i;

-- # create table as
CREATE TABLE a WITH (shard_key = 'id') AS SELECT id, v, m, tags, f FROM t;

SELECT * FROM a ORDER BY id;

SELECT count(*) FROM a JOIN t USING (id);

SELECT attname, format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull FROM pg_attribute WHERE attrelid = 'a'::regclass AND attnum > 0 ORDER BY attnum;

CREATE TABLE b (grp, n, sum) WITH (shard_key = 'grp', colocate_with = 'none') AS SELECT grp, count(*), sum(id) FROM t GROUP BY grp;

SELECT grp, n FROM b ORDER BY grp;

CREATE TABLE b WITH (shard_key = 'id') AS SELECT id FROM t;

CREATE TABLE IF NOT EXISTS b WITH (shard_key = 'grp') AS SELECT grp FROM t;

CREATE TABLE IF NOT EXISTS c WITH (shard_key = 'id') AS SELECT id, v FROM t ORDER BY id LIMIT 5;

SELECT * FROM c ORDER BY id;

CREATE TABLE d WITH (shard_key = 'id') AS SELECT id, v FROM t WITH NO DATA;

SELECT count(*) FROM d;

INSERT INTO d SELECT id, v FROM t;

CREATE TABLE e WITH (reference) AS SELECT id, v FROM t WHERE id < 5;

SELECT * FROM e ORDER BY id;

CREATE TABLE dup WITH (shard_key = 'id') AS SELECT id, id FROM t;

CREATE TABLE bad WITH (shard_key = 'id') AS SELECT id, 1 / (id - 7) AS x FROM t;

CREATE TABLE bad WITH (shard_key = 'id') AS SELECT nothing FROM t;

CREATE TABLE nulls WITH (shard_key = 'id') AS SELECT id, NULL AS x, 'y' AS y FROM t WHERE id < 3;

SELECT * FROM nulls ORDER BY id;

CREATE TABLE vals WITH (shard_key = 'column1') AS VALUES (1, 2), (2, (SELECT max(id) FROM t));

SELECT * FROM vals ORDER BY 1;

CREATE TABLE withed WITH (shard_key = 'id') AS WITH x AS (SELECT id, v FROM t WHERE grp = 1) SELECT x.id, l.v FROM x JOIN l ON l.id = x.id;

SELECT * FROM withed ORDER BY 1;

CREATE TABLE tabled WITH (shard_key = 'id') AS TABLE t;

SELECT count(*), count(DISTINCT at) FROM tabled;

-- refused table_kind
CREATE TEMP TABLE ul WITH (shard_key = 'id') AS SELECT id FROM t;

-- refused table_kind
CREATE UNLOGGED TABLE ul WITH (shard_key = 'id') AS SELECT id FROM t;

CREATE SCHEMA tables_as_other;

CREATE TABLE tables_as_other.t WITH (shard_key = 'id') AS SELECT id, v FROM tables_as.t WHERE id < 4;

SELECT * FROM tables_as_other.t ORDER BY 1;

SET search_path = tables_as_other, tables_as;

DROP TABLE t;

-- refused create_table_as
CREATE TABLE t WITH (shard_key = 'id') AS SELECT id, v FROM t WHERE id < 4;

CREATE TABLE t AS SELECT id, v FROM tables_as.t WHERE id < 4;

SELECT * FROM t ORDER BY 1;

DROP TABLE t;

SELECT id, v INTO t FROM tables_as.t WHERE id > 28;

SELECT * FROM t ORDER BY 1;

DROP SCHEMA tables_as_other CASCADE;

SET search_path = tables_as;

-- refused create_table_as
EXPLAIN CREATE TABLE ex WITH (shard_key = 'id') AS SELECT id FROM t;

-- # from one key
CREATE TABLE one AS SELECT * FROM t WHERE id = 3;

SELECT id, v FROM one;

CREATE TABLE one_s WITH (shard_key = 'id') AS SELECT * FROM t WHERE id = 3;

SELECT id, v FROM one_s;

-- # prepared
-- params: 5
CREATE TABLE IF NOT EXISTS p WITH (shard_key = 'id') AS SELECT id, v FROM t WHERE id < $1;

SELECT * FROM p ORDER BY id;

PREPARE q (int, text) AS SELECT id, v || $2 AS v, $1 + 1 AS n FROM t WHERE id < $1;

CREATE TABLE p1 WITH (shard_key = 'id') AS EXECUTE q (4, 'x');

SELECT * FROM p1 ORDER BY id;

CREATE TABLE p2 WITH (reference) AS EXECUTE q (3, 'y');

SELECT * FROM p2 ORDER BY id;

CREATE TABLE p3 WITH (shard_key = 'id') AS EXECUTE q (3, 'y') WITH NO DATA;

SELECT * FROM p3 ORDER BY id;

CREATE TABLE IF NOT EXISTS p3 WITH (shard_key = 'id') AS EXECUTE q (3, 'y');

PREPARE ll (int) AS SELECT id, v FROM l WHERE id < $1;

CREATE TABLE p4 WITH (shard_key = 'id') AS EXECUTE ll (3);

SELECT * FROM p4 ORDER BY id;

DEALLOCATE ALL;

-- # in transactions
BEGIN;

INSERT INTO t (id, v) VALUES (100, 'own');

CREATE TABLE tx WITH (shard_key = 'id') AS SELECT id, v FROM t WHERE id > 28;

SELECT * FROM tx ORDER BY id;

SAVEPOINT s;

CREATE TABLE tx2 WITH (shard_key = 'id') AS SELECT id, v FROM tx;

SELECT count(*) FROM tx2;

ROLLBACK TO s;

SELECT count(*) FROM tx2;

ROLLBACK;

SELECT count(*) FROM tx;

BEGIN ISOLATION LEVEL REPEATABLE READ;

CREATE TABLE tx WITH (shard_key = 'id') AS SELECT id, v FROM t WHERE id > 28;

COMMIT;

SELECT * FROM tx ORDER BY id;

BEGIN READ ONLY;

CREATE TABLE tx3 WITH (shard_key = 'id') AS SELECT id, v FROM t WHERE id > 28;

ROLLBACK;

-- # select into
SELECT id INTO si FROM t WHERE id < 3 UNION SELECT id FROM t WHERE id < 5;

SELECT * FROM si ORDER BY 1;

SELECT 1 AS a INTO si2 UNION ALL SELECT 2;

SELECT * FROM si2 ORDER BY 1;
