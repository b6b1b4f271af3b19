-- # tables
CREATE TABLE t (id bigint PRIMARY KEY, v text) WITH (shard_key = 'id');

CREATE TABLE r (id int PRIMARY KEY, v text) WITH (reference = true);

CREATE TABLE l (id int PRIMARY KEY, v text);

INSERT INTO t SELECT g, 'v' || g FROM generate_series(1, 20) g;

INSERT INTO r SELECT g, 'v' || g FROM generate_series(1, 5) g;

INSERT INTO l SELECT g, 'v' || g FROM generate_series(1, 5) g;

-- # columns
ALTER TABLE t ADD COLUMN n int DEFAULT 7;

SELECT * FROM t WHERE id = 1;

ALTER TABLE t ADD COLUMN m int NOT NULL DEFAULT 1, DROP COLUMN v;

SELECT * FROM t;

ALTER TABLE t ADD COLUMN bad int NOT NULL;

ALTER TABLE t ALTER COLUMN n TYPE text USING n::text || '!';

SELECT id, n FROM t WHERE id IN (1, 2, 3);

ALTER TABLE t ALTER COLUMN n SET DEFAULT 'dd';

INSERT INTO t (id) VALUES (100), (101), (102) RETURNING *;

ALTER TABLE t RENAME COLUMN n TO nn;

SELECT nn FROM t WHERE id = 1;

SELECT n FROM t WHERE id = 1;

ALTER TABLE t ADD CHECK (m > 0);

INSERT INTO t VALUES (103, 'x', 0);

-- refused key_altered
ALTER TABLE t DROP COLUMN id;

-- refused key_altered
ALTER TABLE t ALTER COLUMN id TYPE int;

ALTER TABLE t RENAME COLUMN id TO key;

SELECT * FROM t WHERE key = 5;

INSERT INTO t (key) VALUES (200), (201);

ALTER TABLE r ADD COLUMN extra text DEFAULT 'e';

SELECT * FROM r WHERE id = 1;

ALTER TABLE r ADD COLUMN stamp timestamptz DEFAULT clock_timestamp();

ALTER TABLE r ADD COLUMN rnd float8 DEFAULT random();

SELECT count(stamp), count(DISTINCT rnd) > 1, count(*) FROM r;

ALTER TABLE r DROP COLUMN stamp, DROP COLUMN rnd;

ALTER TABLE l ADD COLUMN extra text DEFAULT 'e', DROP COLUMN v;

SELECT * FROM l;

ALTER TABLE t RENAME TO tt;

SELECT count(*) FROM tt;

SELECT count(*) FROM t;

ALTER TABLE IF EXISTS t ADD COLUMN x int;

ALTER TABLE tt RENAME TO t;

ALTER TABLE nope ADD COLUMN x int;

-- # indexes
CREATE INDEX t_m ON t (m);

CREATE INDEX IF NOT EXISTS t_m ON t (m);

CREATE INDEX t_m ON t (m);

CREATE UNIQUE INDEX t_key_m ON t (key, m);

-- refused unique_without_key
CREATE UNIQUE INDEX t_m_unique ON t (m);

-- refused unique_without_key
ALTER TABLE t ADD UNIQUE (m);

ALTER TABLE t ADD UNIQUE (m, key);

CREATE INDEX ON t ((nn || 'x')) WHERE m > 1;

CREATE INDEX CONCURRENTLY t_conc ON t (nn);

DROP INDEX CONCURRENTLY t_conc;

ALTER INDEX t_m RENAME TO t_mm;

DROP INDEX t_mm;

DROP INDEX t_mm;

DROP INDEX IF EXISTS t_mm;

REINDEX TABLE t;

CREATE UNIQUE INDEX r_v ON r (v);

INSERT INTO r (id, v) VALUES (50, 'v1');

CREATE INDEX l_x ON l (extra);

SELECT indexname FROM pg_indexes WHERE schemaname = 'ddl';

-- # types, functions, views
CREATE TYPE mood AS ENUM ('sad', 'ok');

ALTER TABLE t ADD COLUMN feeling mood DEFAULT 'ok';

SELECT feeling FROM t WHERE key IN (1, 2, 3, 4, 5);

SELECT max(feeling), min(feeling), count(*) FROM t;

ALTER TYPE mood ADD VALUE 'happy' AFTER 'ok';

UPDATE t SET feeling = 'happy' WHERE key = 3;

SELECT max(feeling), min(feeling), count(feeling) FROM t;

SELECT * FROM t WHERE feeling = 'happy';

CREATE DOMAIN positive AS int CHECK (VALUE > 0);

ALTER TABLE t ADD COLUMN p positive;

UPDATE t SET p = -1 WHERE key = 1;

UPDATE t SET p = 1 WHERE key IN (1, 2);

CREATE TYPE pair AS (a int, b text);

ALTER TABLE t ADD COLUMN c pair;

UPDATE t SET c = (1, 'x') WHERE key = 4 RETURNING c, (c).b;

SELECT (c).a FROM t WHERE c IS NOT NULL;

CREATE FUNCTION twice(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x * 2';

SELECT twice(key) FROM t WHERE key = 4;

SELECT twice(key) FROM t;

SELECT twice(4);

CREATE OR REPLACE FUNCTION twice(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT x * 20';

SELECT twice(key) FROM t WHERE key = 5;

CREATE FUNCTION reads_t() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM ddl.t';

-- refused function_names_table
SELECT reads_t();

CREATE PROCEDURE writes_l() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ddl.l VALUES (77, 'proc'); END $$;

CALL writes_l();

SELECT * FROM l WHERE id = 77;

CREATE PROCEDURE writes_t() LANGUAGE sql AS $$ INSERT INTO ddl.t (key) VALUES (5000), (5001), (5002) $$;

-- refused function_names_table
CALL writes_t();

CREATE FUNCTION calls_reads_t() RETURNS bigint LANGUAGE sql RETURN (SELECT reads_t());

-- refused function_names_table
SELECT calls_reads_t();

-- refused function_names_table
SELECT calls_reads_t() FROM t WHERE key = 4;

-- refused function_names_table
DO $$ BEGIN PERFORM calls_reads_t(); END $$;

DROP FUNCTION calls_reads_t;

DROP PROCEDURE writes_t;

DROP PROCEDURE writes_l;

DROP FUNCTION reads_t;

CREATE VIEW tv AS SELECT key, m FROM t WHERE m > 0;

SELECT count(*) FROM tv;

SELECT * FROM tv WHERE key = 7;

CREATE OR REPLACE VIEW tv AS SELECT key, m, nn FROM t WHERE key < 5;

SELECT * FROM tv;

UPDATE tv SET m = 5 WHERE key = 4;

INSERT INTO tv VALUES (1000, 1);

ALTER VIEW tv RENAME TO tw;

SELECT * FROM tw WHERE key = 3;

CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM l;

REFRESH MATERIALIZED VIEW mv;

SELECT * FROM mv;

CREATE MATERIALIZED VIEW mt AS SELECT count(*) FROM t;

SELECT * FROM mt;

DROP MATERIALIZED VIEW mt;

CREATE VIEW lv AS SELECT l.id, r.v FROM l JOIN r ON r.id = l.id;

SELECT * FROM lv ORDER BY id;

CREATE TABLE copy_of_l AS SELECT * FROM l;

CREATE TABLE copy_of_t AS SELECT * FROM t;

CREATE TABLE copy_of_one AS SELECT * FROM t WHERE key = 1;

SELECT * INTO into_l FROM l;

SELECT count(*) FROM into_l;

DROP TABLE t;

DROP VIEW tw;

DROP TYPE mood;

DROP TYPE mood CASCADE;

SELECT * FROM t WHERE key = 2;

DROP FUNCTION twice(bigint);

DROP MATERIALIZED VIEW mv;

-- # triggers, rules, foreign keys, partitions
CREATE TABLE parents (id int PRIMARY KEY, r_id int REFERENCES r (id)) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE children (id int, parent int, PRIMARY KEY (parent, id)) WITH (shard_key = 'parent', colocate_with = 'parents');

ALTER TABLE children ADD FOREIGN KEY (parent) REFERENCES parents (id) ON DELETE CASCADE;

INSERT INTO parents VALUES (1, 1), (2, 2), (3, NULL), (4, 5);

INSERT INTO parents VALUES (5, 555);

INSERT INTO children SELECT g, 1 + g % 4 FROM generate_series(1, 20) g;

INSERT INTO children VALUES (1, 99);

DELETE FROM parents WHERE id = 2;

SELECT count(*) FROM children;

DELETE FROM r WHERE id = 1;

CREATE TABLE grandchildren (parent int, n int, id int, FOREIGN KEY (parent, id) REFERENCES children) WITH (shard_key = 'parent', colocate_with = 'parents');

INSERT INTO grandchildren SELECT parent, 1, id FROM children;

INSERT INTO grandchildren VALUES (1, 2, 555);

DROP TABLE grandchildren;

-- refused foreign_key_across_shards
CREATE TABLE strange (n int, parent int, FOREIGN KEY (n, parent) REFERENCES children) WITH (shard_key = 'parent', colocate_with = 'parents');

-- refused foreign_key_across_shards
ALTER TABLE children ADD FOREIGN KEY (id) REFERENCES parents (id);

-- refused foreign_key_to_part
ALTER TABLE l ADD FOREIGN KEY (id) REFERENCES parents (id);

-- refused foreign_key_to_part
ALTER TABLE children ADD FOREIGN KEY (id) REFERENCES l (id);

CREATE FUNCTION up() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := upper(NEW.v); RETURN NEW; END $$;

CREATE TABLE trig (id int PRIMARY KEY, v text) WITH (shard_key = 'id');

CREATE TRIGGER up BEFORE INSERT OR UPDATE ON trig FOR EACH ROW EXECUTE FUNCTION up();

INSERT INTO trig VALUES (1, 'a'), (2, 'b'), (3, 'c') RETURNING *;

UPDATE trig SET v = 'x' || id RETURNING *;

DROP TRIGGER up ON trig;

INSERT INTO trig VALUES (4, 'd') RETURNING *;

CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);

CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');

INSERT INTO parted VALUES (1, '2024-05-05');

SELECT * FROM parted;

CREATE TABLE sparted (id int, at date) PARTITION BY RANGE (at) WITH (reference);

CREATE TABLE kids () INHERITS (trig);

DROP TABLE kids;

-- refused rule
CREATE RULE nope AS ON INSERT TO trig WHERE NEW.id = 1 DO INSTEAD NOTHING;

CREATE POLICY p ON trig USING (id < 3);

-- # sequences, schemas, comments
CREATE SEQUENCE sq START 5;

SELECT nextval('sq'), nextval('ddl.sq');

ALTER SEQUENCE sq RESTART 50;

SELECT nextval('sq'), currval('sq'), lastval();

SELECT setval('sq', 100);

SELECT * FROM sq;

INSERT INTO trig (id, v) SELECT nextval('sq'), 'seq' RETURNING *;

DROP SEQUENCE sq;

CREATE SCHEMA ddl_other;

CREATE TABLE ddl_other.t (id int PRIMARY KEY, v text) WITH (shard_key = 'id');

INSERT INTO ddl_other.t VALUES (1, 'other'), (2, 'x');

SELECT * FROM ddl_other.t;

SET search_path = ddl_other, ddl;

SELECT * FROM t WHERE id = 1;

SET search_path = ddl, ddl_other;

SELECT * FROM t WHERE key = 1;

ALTER TABLE ddl_other.t SET SCHEMA ddl;

ALTER TABLE ddl_other.t RENAME TO moved;

ALTER TABLE ddl_other.moved SET SCHEMA ddl;

SELECT * FROM moved;

DROP SCHEMA ddl_other;

COMMENT ON TABLE moved IS 'hello';

COMMENT ON COLUMN moved.id IS 'the key';

SELECT obj_description('ddl.moved'::regclass);

ALTER SCHEMA ddl RENAME TO ddl;

DROP SCHEMA ddl;

-- # roles and grants
CREATE ROLE ddl_bob LOGIN;

GRANT USAGE ON SCHEMA ddl TO ddl_bob;

GRANT SELECT ON moved TO ddl_bob;

SET ROLE ddl_bob;

SELECT * FROM moved;

SELECT * FROM moved WHERE id = 1;

INSERT INTO moved VALUES (3, 'no');

DELETE FROM moved;

SELECT * FROM l;

CREATE TABLE no_right (id int);

RESET ROLE;

GRANT INSERT, DELETE ON moved TO ddl_bob;

SET ROLE ddl_bob;

INSERT INTO moved VALUES (3, 'yes'), (4, 'yes'), (5, 'yes');

SELECT current_user, session_user;

SELECT count(*) FROM moved;

RESET ROLE;

REVOKE ALL ON moved FROM ddl_bob;

SET ROLE ddl_bob;

SELECT * FROM moved WHERE id = 1;

RESET ROLE;

-- # definitions by a role without a right to a schema
CREATE SCHEMA ddl_shut;

CREATE TABLE ddl_shut.numbered (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial) WITH (shard_key = 'id', colocate_with = 'none');

CREATE SCHEMA ddl_own AUTHORIZATION ddl_bob CREATE TABLE of_elements (id int PRIMARY KEY) WITH (shard_key = 'id', colocate_with = 'none');

SET ROLE ddl_bob;

BEGIN;

CREATE TABLE ddl_own.made (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY) WITH (shard_key = 'id', colocate_with = 'none');

INSERT INTO ddl_own.made VALUES (1), (2), (3);

SELECT count(*), max(n) FROM ddl_own.made;

COMMIT;

INSERT INTO ddl_shut.numbered DEFAULT VALUES;

RESET ROLE;

INSERT INTO ddl_shut.numbered DEFAULT VALUES RETURNING *;

DROP SCHEMA ddl_shut, ddl_own CASCADE;

ALTER ROLE ddl_bob RENAME TO ddl_rob;

ALTER TABLE moved OWNER TO ddl_rob;

DROP ROLE ddl_rob;

REASSIGN OWNED BY ddl_rob TO postgres;

DROP OWNED BY ddl_rob;

DROP ROLE ddl_rob;

CREATE EXTENSION IF NOT EXISTS pgcrypto SCHEMA ddl;

DROP EXTENSION IF EXISTS nope;

-- # in transactions
BEGIN;

CREATE TABLE tx (id int PRIMARY KEY, v text) WITH (shard_key = 'id');

INSERT INTO tx VALUES (1, 'a'), (2, 'b'), (3, 'c');

SELECT count(*) FROM tx;

ALTER TABLE tx ADD COLUMN n int DEFAULT 3;

SELECT * FROM tx WHERE id = 2;

SAVEPOINT s;

ALTER TABLE tx DROP COLUMN v;

SELECT * FROM tx;

ROLLBACK TO s;

SELECT * FROM tx;

COMMIT;

SELECT * FROM tx;

BEGIN;

DROP TABLE tx;

SELECT * FROM tx;

ROLLBACK;

SELECT count(*) FROM tx;

BEGIN;

CREATE TABLE gone (id int PRIMARY KEY) WITH (shard_key = 'id');

INSERT INTO gone VALUES (1), (2), (3);

ROLLBACK;

SELECT * FROM gone;

CREATE TABLE gone (id text, x int) WITH (shard_key = 'x');

INSERT INTO gone VALUES ('a', 1), ('b', 2), ('c', 3);

SELECT * FROM gone WHERE x = 2;

DROP TABLE gone;

BEGIN;

CREATE INDEX CONCURRENTLY bad ON tx (v);

ROLLBACK;

BEGIN;

CREATE TABLE loc (id int);

INSERT INTO loc SELECT generate_series(1, 100);

CREATE INDEX ON loc (id);

CREATE TYPE txt AS ENUM ('x');

ALTER TABLE tx ADD COLUMN e txt;

UPDATE tx SET e = 'x';

COMMIT;

SELECT * FROM tx;

SELECT count(*) FROM loc;

BEGIN;

TRUNCATE tx;

INSERT INTO tx (id) VALUES (10), (11);

ROLLBACK;

SELECT count(*) FROM tx;

CREATE TABLE multi_a (id int) WITH (shard_key = 'id'); CREATE TABLE multi_b (id int); INSERT INTO multi_a VALUES (1), (2), (3); INSERT INTO multi_b SELECT 4;

SELECT count(*) FROM multi_a;

CREATE TABLE multi_c (id int) WITH (shard_key = 'id'); SELECT 1/0;

SELECT * FROM multi_c;

VACUUM tx;

ANALYZE tx;

VACUUM ANALYZE;

CLUSTER tx USING tx_pkey;

LOCK TABLE tx;

BEGIN;

LOCK TABLE tx IN EXCLUSIVE MODE;

COMMIT;

-- # temporary tables
CREATE TEMP TABLE tmp (id int, v text);

INSERT INTO tmp VALUES (1, 'a'), (2, 'b');

SELECT * FROM tmp;

SELECT * FROM tmp JOIN l ON l.id = tmp.id;

SELECT * FROM tmp JOIN tx ON tx.id = tmp.id;

INSERT INTO tx (id, v) SELECT id + 500, v FROM tmp RETURNING id, v;

CREATE TEMP TABLE tx (id int);

SELECT * FROM tx;

INSERT INTO tx VALUES (9);

SELECT * FROM tx WHERE id = 9;

SELECT count(*) FROM ddl.tx;

DROP TABLE tx;

SELECT count(*) FROM tx;

DROP TABLE tmp;

SELECT * FROM tmp;

-- # drops
DROP TABLE moved, multi_a, multi_b;

DROP TABLE moved;

DROP TABLE IF EXISTS moved;

DROP TABLE parents;

DROP TABLE parents CASCADE;

SELECT count(*) FROM children;

DROP VIEW lv, nope;

DROP VIEW lv;

SELECT tablename FROM pg_tables WHERE schemaname = 'ddl';
