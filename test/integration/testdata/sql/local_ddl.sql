-- # functions of local tables
CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, price numeric(8, 2));

INSERT INTO items VALUES (1, 'a', 1.5), (2, 'b', 2.5);

CREATE TABLE sharded (id int PRIMARY KEY, name text) WITH (shard_key = 'id');

INSERT INTO sharded SELECT g, 'n' || g FROM generate_series(1, 10) g;

CREATE FUNCTION item_name(items.id%TYPE) RETURNS items.name%TYPE LANGUAGE sql STABLE AS 'SELECT name FROM items WHERE id = $1';

SELECT item_name(2);

CREATE FUNCTION dearer(items) RETURNS items LANGUAGE plpgsql AS $$
DECLARE r items%ROWTYPE := $1;
BEGIN
  r.price := r.price + 1;
  RETURN r;
END $$;

SELECT (dearer(i)).price FROM items i ORDER BY id;

CREATE FUNCTION all_items() RETURNS SETOF items LANGUAGE sql STABLE AS 'SELECT * FROM items ORDER BY id';

SELECT * FROM all_items();

CREATE FUNCTION named(text) RETURNS bigint STABLE LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM items WHERE name = $1; END;

SELECT named('a');

CREATE FUNCTION broken() RETURNS int LANGUAGE sql AS 'SELECT * FROM nothing_there';

CREATE FUNCTION broken2() RETURNS nothing_there.id%TYPE LANGUAGE sql AS 'SELECT 1';

CREATE FUNCTION plain_double(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';

SELECT id, plain_double(id) FROM sharded WHERE id = 1;

SELECT id, plain_double(id) FROM sharded WHERE id = 2;

SELECT id, plain_double(id) FROM sharded WHERE id = 3;

SELECT id, plain_double(id) FROM sharded WHERE id = 7;

CREATE CAST (items AS text) WITH FUNCTION to_text(items);

CREATE FUNCTION to_text(items) RETURNS text LANGUAGE sql AS 'SELECT $1.name';

CREATE CAST (items AS text) WITH FUNCTION to_text(items);

CREATE TYPE pair AS (a items, b int);

COMMENT ON TYPE pair IS 'of a local row';

ALTER TYPE pair ADD ATTRIBUTE c int;

ALTER FUNCTION dearer(items) STABLE;

DROP CAST (items AS text);

DROP FUNCTION dearer(items), item_name(int);

DROP TYPE pair;

DROP TABLE items CASCADE;

SELECT * FROM all_items();

-- # types made in code
CREATE TABLE keyed (id int PRIMARY KEY) WITH (shard_key = 'id');

INSERT INTO keyed SELECT generate_series(1, 12);

DO $$ BEGIN
  CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

DO $$ BEGIN
  CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

ALTER TABLE keyed ADD COLUMN feels mood DEFAULT 'sad';

SELECT id, feels FROM keyed;

DO $$ BEGIN ALTER TYPE mood ADD VALUE 'glad'; ALTER TYPE mood ADD VALUE 'worst' BEFORE 'sad'; END $$;

UPDATE keyed SET feels = 'worst' WHERE id < 7;

SELECT id FROM keyed WHERE feels < 'sad';

DO $$ BEGIN
  CREATE DOMAIN positive AS int DEFAULT 7 CONSTRAINT above_zero CHECK (VALUE > 0);
  CREATE TYPE point3 AS (x int, y numeric(5, 1), m mood);
  CREATE TYPE span AS RANGE (SUBTYPE = int);
  CREATE FUNCTION thrice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 3 * $1';
END $$;

ALTER TABLE keyed ADD COLUMN p positive, ADD COLUMN q point3, ADD COLUMN r span;

UPDATE keyed SET p = id, q = (id, 1.25, 'glad'), r = '[1,5)';

UPDATE keyed SET p = thrice(p) WHERE id = 3;

UPDATE keyed SET p = thrice(p) WHERE id = 4;

UPDATE keyed SET p = thrice(p) WHERE id = 5;

UPDATE keyed SET p = -1;

SELECT id, feels, p, q::text, r FROM keyed;

DO $$ BEGIN CREATE OR REPLACE FUNCTION thrice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 4 * $1'; END $$;

SELECT thrice(id) FROM keyed WHERE id = 3;

SELECT thrice(id) FROM keyed WHERE id = 4;

SELECT thrice(id) FROM keyed WHERE id = 5;

DO $$ BEGIN DROP FUNCTION thrice(int); CREATE TYPE short_lived AS ENUM ('x'); DROP TYPE short_lived; END $$;

SELECT thrice(id) FROM keyed WHERE id = 3;

SELECT thrice(id) FROM keyed WHERE id = 4;

SELECT thrice(id) FROM keyed WHERE id = 5;

CREATE FUNCTION make_type() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TYPE late AS ENUM ('l'); END $$;

SELECT make_type();

CREATE TABLE with_late (id int PRIMARY KEY, l late);

-- weft
SELECT create_distributed_table('with_late', 'id');

INSERT INTO with_late SELECT g, 'l'::late FROM generate_series(1, 9) g;

SELECT * FROM with_late;

-- # partitions and their indexes
CREATE TABLE parted (a int, b text) PARTITION BY RANGE (a);

CREATE TABLE parted1 PARTITION OF parted FOR VALUES FROM (0) TO (10);

CREATE INDEX parted_a ON ONLY parted (a);

CREATE INDEX parted1_a ON parted1 (a);

ALTER INDEX parted_a ATTACH PARTITION parted1_a;

ALTER INDEX parted_a ATTACH PARTITION nothing_there;

REINDEX INDEX parted_a;

REINDEX INDEX CONCURRENTLY parted1_a;

REINDEX INDEX nothing_there;

REINDEX TABLE parted;

BEGIN;

REINDEX INDEX parted_a;

ROLLBACK;

CREATE TABLE with_index (id int, v int) WITH (shard_key = 'id');

CREATE INDEX with_index_v ON with_index (v);

REINDEX INDEX with_index_v;

REINDEX INDEX CONCURRENTLY with_index_v;

BEGIN;

REINDEX INDEX with_index_v;

COMMIT;

-- # beside a temporary table
CREATE TEMP TABLE scratch (id int, v text);

CREATE INDEX scratch_v ON scratch (v);

ALTER INDEX scratch_v SET (fillfactor = 70);

REINDEX INDEX scratch_v;

ANALYZE;

DROP INDEX scratch_v;

CREATE INDEX scratch_v ON scratch (v);

DROP INDEX IF EXISTS scratch_v;

CREATE FUNCTION pg_temp.f(scratch) RETURNS int LANGUAGE sql AS 'SELECT $1.id';

INSERT INTO scratch VALUES (4, 'x');

SELECT pg_temp.f(s) FROM scratch s;

COMMENT ON TABLE scratch IS 'mine';

CREATE TYPE beside_type AS ENUM ('a');

DROP TYPE beside_type;

DROP TABLE scratch;

-- # schemas with elements
CREATE SCHEMA local_ddl_s CREATE TABLE t (id int PRIMARY KEY, v text) CREATE VIEW w AS SELECT v FROM t CREATE SEQUENCE q CREATE INDEX t_v ON t (v);

INSERT INTO local_ddl_s.t VALUES (nextval('local_ddl_s.q'), 'x');

SELECT * FROM local_ddl_s.w;

CREATE SCHEMA local_ddl_s CREATE TABLE t (id int);

CREATE SCHEMA local_ddl_bad CREATE VIEW w AS SELECT * FROM nothing_there;

DROP SCHEMA local_ddl_s CASCADE;

-- # EXECUTE inside other statements
CREATE TABLE src (id int PRIMARY KEY, v text);

INSERT INTO src SELECT g, 'v' || g FROM generate_series(1, 5) g;

PREPARE p (int, text) AS SELECT * FROM src WHERE id > $1 AND v <> $2 ORDER BY id;

EXPLAIN (COSTS off) EXECUTE p (1 + 1, 'v4');

EXPLAIN (COSTS off, ANALYZE, TIMING off, SUMMARY off, BUFFERS off) EXECUTE p (2, 'v4');

CREATE TABLE made AS EXECUTE p (2, 'v4');

SELECT * FROM made ORDER BY id;

CREATE TEMP TABLE made_too (a) AS EXECUTE p (1, 'v2');

SELECT * FROM made_too ORDER BY 1;

CREATE TABLE IF NOT EXISTS made AS EXECUTE p (2, 'v4');

EXPLAIN (COSTS off) CREATE TABLE made3 AS EXECUTE p (2, 'v4');

EXPLAIN EXECUTE nothing_there;

EXPLAIN EXECUTE p (1);

CREATE TABLE made4 AS EXECUTE p (1, nothing_there);

PREPARE q AS UPDATE src SET v = 'u' WHERE id = 1 RETURNING v;

CREATE TABLE made5 AS EXECUTE q;

EXPLAIN (COSTS off) EXECUTE q;

PREPARE nothing AS SELECT 1 AS a;

CREATE TABLE made7 AS EXECUTE nothing WITH NO DATA;

CREATE TEMP TABLE made8 AS EXECUTE nothing WITH NO DATA;

SELECT count(*) FROM made7, made8;

EXPLAIN (COSTS off) CREATE TABLE made9 AS EXECUTE nothing WITH NO DATA;

-- # notices ahead of errors
CREATE FUNCTION tells() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'told'; RAISE EXCEPTION 'failed'; END $$;

SELECT tells();

DO $$ BEGIN RAISE NOTICE 'told'; RAISE EXCEPTION 'failed'; END $$;

DROP TABLE IF EXISTS nothing_there, pg_class;

CREATE TABLE src2 (id int, id int);

DO $$ BEGIN CREATE TYPE never AS ENUM ('a'); RAISE NOTICE 'told'; RAISE EXCEPTION 'failed'; END $$;

-- # tables with foreign keys, declared in either order
CREATE TABLE authors (id int PRIMARY KEY, name text);

CREATE TABLE books (id int PRIMARY KEY, author_id int NOT NULL REFERENCES authors ON DELETE CASCADE);

CREATE TABLE reviews (book_id int REFERENCES books, n int, PRIMARY KEY (book_id, n));

INSERT INTO authors SELECT g, 'a' || g FROM generate_series(1, 5) g;

INSERT INTO books SELECT g, g % 5 + 1 FROM generate_series(1, 40) g;

INSERT INTO reviews SELECT g, 1 FROM generate_series(1, 40) g;

-- weft
SELECT create_distributed_table('reviews', 'book_id');

INSERT INTO reviews VALUES (77, 1);

-- weft
SELECT create_distributed_table('books', 'id');

INSERT INTO books VALUES (78, 9);

SELECT count(*) FROM reviews;

-- weft
SELECT create_reference_table('authors');

SELECT count(*) FROM reviews;

INSERT INTO reviews VALUES (77, 1);

INSERT INTO books VALUES (79, 9);

INSERT INTO books VALUES (80, 4);

INSERT INTO reviews VALUES (80, 1);

DELETE FROM books WHERE id = 80;

BEGIN;

CREATE TABLE orgs (id int PRIMARY KEY);

CREATE TABLE members (org_id int REFERENCES orgs, id int);

-- weft
SELECT create_distributed_table('members', 'org_id');

-- weft
SELECT create_distributed_table('orgs', 'id');

INSERT INTO orgs SELECT generate_series(1, 20);

INSERT INTO members SELECT g, g FROM generate_series(1, 20) g;

COMMIT;

INSERT INTO members VALUES (21, 1);

SELECT * FROM members;

-- # sequences go with the table that owns them
CREATE SEQUENCE owned_q;

CREATE TABLE owner_t (id int DEFAULT nextval('owned_q'), v int);

ALTER SEQUENCE owned_q OWNED BY owner_t.id;

INSERT INTO owner_t (v) VALUES (1), (2);

SELECT * FROM owner_t;

-- weft
SELECT create_distributed_table('owner_t', 'id');

INSERT INTO owner_t (v) SELECT generate_series(1, 10);

SELECT * FROM owner_t;

DROP TABLE owner_t;

CREATE SEQUENCE owned_q;

CREATE TABLE owner_t (id int, v int);

ALTER SEQUENCE owned_q OWNED BY owner_t.v;

ALTER TABLE owner_t DROP COLUMN v;

CREATE SEQUENCE owned_q;

CREATE TABLE user_t (id int PRIMARY KEY, n int DEFAULT nextval('owned_q')) WITH (shard_key = 'id');

ALTER SEQUENCE owned_q OWNED BY owner_t.id;

INSERT INTO user_t (id) VALUES (1), (2), (3), (4);

DROP TABLE owner_t;

DROP TABLE user_t, owner_t;

-- # views over functions of local tables
CREATE TABLE fruits (id int PRIMARY KEY, name text);

INSERT INTO fruits VALUES (1, 'fig'), (2, 'pear');

CREATE FUNCTION fruit_rows() RETURNS SETOF fruits LANGUAGE sql STABLE AS 'SELECT * FROM fruits ORDER BY id';

CREATE VIEW fruit_view AS SELECT f.* FROM fruit_rows() f;

SELECT * FROM fruit_view;

COMMENT ON VIEW fruit_view IS 'of a function';

GRANT SELECT ON fruit_view TO PUBLIC;

ALTER VIEW fruit_view ALTER COLUMN name SET DEFAULT 'kiwi';

CREATE RULE fruit_insert AS ON INSERT TO fruit_view DO INSTEAD INSERT INTO fruits VALUES (NEW.id, NEW.name);

INSERT INTO fruit_view (id) VALUES (3);

SELECT * FROM fruit_view;

ALTER VIEW fruit_view RENAME TO fruit_view2;

CREATE OR REPLACE VIEW fruit_view2 AS SELECT f.id, f.name FROM fruit_rows() f WHERE id > 1;

SELECT * FROM fruit_view2;

CREATE VIEW null_fruit AS SELECT NULL::fruits AS fruit;

SELECT * FROM null_fruit;

DROP VIEW fruit_view2, null_fruit;

CREATE VIEW one_everywhere AS SELECT 1 AS one;

CREATE RULE one_insert AS ON INSERT TO one_everywhere DO INSTEAD INSERT INTO fruits VALUES (NEW.one, 'one');

INSERT INTO one_everywhere VALUES (4);

SELECT * FROM fruits ORDER BY id;

DROP VIEW one_everywhere;

CREATE VIEW round AS SELECT * FROM fruits;

CREATE VIEW and_round AS SELECT * FROM round;

CREATE OR REPLACE VIEW round AS SELECT * FROM and_round;

BEGIN;

LOCK TABLE round;

COMMIT;

CREATE VIEW on_top AS SELECT * FROM round;

DROP VIEW on_top;

DROP VIEW round CASCADE;

DROP FUNCTION fruit_rows();

-- # a session with a temporary table rebuilds what is partitioned
CREATE TEMP TABLE kept (a int);

CREATE INDEX kept_index ON kept (a);

CREATE TABLE seasons (y int NOT NULL) PARTITION BY RANGE (y);

CREATE TABLE seasons_1 PARTITION OF seasons FOR VALUES FROM (0) TO (10);

CREATE INDEX seasons_y ON seasons (y);

REINDEX TABLE seasons;

REINDEX INDEX seasons_y;

CLUSTER kept USING kept_index;

BEGIN;

REINDEX TABLE seasons;

ROLLBACK;

BEGIN;

REINDEX TABLE kept;

COMMIT;

-- # what deferred triggers say at COMMIT
CREATE TABLE deferred (id int PRIMARY KEY);

CREATE FUNCTION says() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'row %', NEW.id; RETURN NULL; END $$;

CREATE CONSTRAINT TRIGGER says AFTER INSERT ON deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION says();

BEGIN;

INSERT INTO deferred VALUES (2), (3);

COMMIT;

-- # functions over temporary tables
CREATE TEMP TABLE passing (id int);

CREATE FUNCTION passes(int) RETURNS void LANGUAGE sql AS 'INSERT INTO passing VALUES ($1)';

SELECT passes(1);

CREATE OR REPLACE FUNCTION passes(int) RETURNS void LANGUAGE sql AS 'INSERT INTO passing VALUES ($1 + 1)' -- one more
;

SELECT passes(1);

SELECT * FROM passing ORDER BY id;

CREATE FUNCTION passes_wrong(int) RETURNS void LANGUAGE sql AS 'INSERT INTO passing VALUES ($1, 2)';

SELECT passes_wrong(1);

CREATE FUNCTION passing_type(passing.id%TYPE) RETURNS int LANGUAGE sql AS 'SELECT $1';

SELECT passing_type(7);

-- # schemas with sharded tables among their elements
CREATE SCHEMA local_ddl_v GRANT SELECT ON big TO PUBLIC CREATE VIEW big AS SELECT id, label FROM t JOIN r ON r.code = t.kind WHERE id > 2 CREATE INDEX t_kind ON t (kind) CREATE TABLE r (code int PRIMARY KEY, label text DEFAULT 'a;b' || current_schema()) WITH (reference) CREATE TABLE t (id int PRIMARY KEY, n bigint DEFAULT nextval('q'), kind int REFERENCES r) WITH (shard_key = 'id') CREATE SEQUENCE q START 5 CREATE TABLE l (v int) CREATE VIEW local_ddl_v.small AS SELECT * FROM l;

SHOW search_path;

INSERT INTO local_ddl_v.r VALUES (1), (2), (3) RETURNING *;

INSERT INTO local_ddl_v.t (id, kind) SELECT i, i % 3 + 1 FROM generate_series(1, 10) i;

SELECT id, kind FROM local_ddl_v.t ORDER BY id;

SELECT min(n), max(n), count(DISTINCT n) FROM local_ddl_v.t;

SELECT * FROM local_ddl_v.big ORDER BY id;

SELECT count(*) FROM local_ddl_v.small;

CREATE SCHEMA local_ddl_v CREATE TABLE u (id int) WITH (shard_key = 'id');

CREATE SCHEMA local_ddl_w CREATE TABLE local_ddl_v.u (id int) WITH (shard_key = 'id');

CREATE SCHEMA local_ddl_w CREATE TABLE u (id int) WITH (shard_key = 'id') CREATE VIEW v AS SELECT nothing FROM u;

SELECT count(*) FROM pg_namespace WHERE nspname = 'local_ddl_w';

SHOW search_path;

BEGIN;

CREATE SCHEMA local_ddl_w CREATE TABLE u (id int) WITH (shard_key = 'id') CREATE TABLE v (id int, PRIMARY KEY (id)) WITH (shard_key = 'id');

SHOW search_path;

INSERT INTO local_ddl_w.u SELECT generate_series(1, 5);

SELECT count(*) FROM local_ddl_w.u;

COMMIT;

SHOW search_path;

CREATE ROLE local_ddl_owner;

CREATE SCHEMA AUTHORIZATION local_ddl_owner CREATE TABLE u (id int) WITH (shard_key = 'id') CREATE VIEW v AS SELECT count(*) FROM u;

SELECT current_user = session_user;

SELECT relname, relowner::regrole::text FROM pg_class WHERE relnamespace = 'local_ddl_owner'::regnamespace ORDER BY 1;

INSERT INTO local_ddl_owner.u SELECT generate_series(1, 5);

-- refused unread_relation
SELECT * FROM local_ddl_owner.v;

-- refused schema_elements
CREATE SCHEMA AUTHORIZATION CURRENT_USER CREATE TABLE u (id int) WITH (shard_key = 'id');

DROP SCHEMA local_ddl_owner CASCADE;

DROP SCHEMA local_ddl_v CASCADE;

DROP SCHEMA local_ddl_w CASCADE;

DROP ROLE local_ddl_owner;
