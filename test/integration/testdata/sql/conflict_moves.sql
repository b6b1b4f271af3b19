-- # tables
CREATE TABLE acc (id int PRIMARY KEY, n int, num serial, v varchar(5), twice int GENERATED ALWAYS AS (n * 2) STORED, own int GENERATED ALWAYS AS IDENTITY) WITH (shard_key = 'id');

CREATE TABLE pairs (k text, x int, n int DEFAULT 0, tags int[], PRIMARY KEY (k, x)) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE watched (id int PRIMARY KEY, n int) WITH (shard_key = 'id', colocate_with = 'none');

CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;

CREATE TRIGGER watches BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION watch();

INSERT INTO acc (id, n, num, v) SELECT i, i % 7, i, 'v' || i FROM generate_series(1, 20) i;

INSERT INTO pairs SELECT 'k' || i, i, i, ARRAY[i] FROM generate_series(1, 10) i;

INSERT INTO watched SELECT i, i FROM generate_series(1, 5) i;

SELECT setval('acc_num_seq', 100);

-- # a row in conflict moves
INSERT INTO acc (id, n) VALUES (1, 5) ON CONFLICT (id) DO UPDATE SET id = 101;

INSERT INTO acc (id, n) VALUES (2, 5) ON CONFLICT (id) DO UPDATE SET id = acc.id + 100, n = acc.n + excluded.n RETURNING *;

INSERT INTO acc (id, n) VALUES (202, 5) ON CONFLICT (id) DO UPDATE SET id = acc.id + 100, n = acc.n + excluded.n RETURNING id, n, num, twice;

INSERT INTO acc AS a (id, n, v) VALUES (3, 5, 'new') ON CONFLICT (id) DO UPDATE SET id = excluded.id + 100, v = excluded.v || a.id, num = DEFAULT WHERE a.n > 100 RETURNING a.*;

INSERT INTO acc AS a (id, n, v) VALUES (3, 5, 'new') ON CONFLICT (id) DO UPDATE SET id = excluded.id + 100, v = excluded.v || a.id, n = DEFAULT WHERE a.n > 0 RETURNING a.*, old.id;

INSERT INTO acc AS a (id, n, v) VALUES (4, 5, 'new') ON CONFLICT (id) DO UPDATE SET (id, n) = (SELECT count(*) + 500, max(p.n) FROM pairs p), v = upper(excluded.v) RETURNING id, n, v;

INSERT INTO acc (id, n) VALUES (5, 5) ON CONFLICT (id) DO UPDATE SET id = 6;

INSERT INTO acc (id, n) VALUES (5, 5) ON CONFLICT (id) DO UPDATE SET id = NULL;

INSERT INTO acc (id, n) VALUES (5, 5) ON CONFLICT (id) DO UPDATE SET id = 105, v = 'much too long';

INSERT INTO acc (id, v) VALUES (5, 'much too long') ON CONFLICT (id) DO UPDATE SET id = 105;

INSERT INTO acc (id, n) VALUES (NULL, 5) ON CONFLICT (id) DO UPDATE SET id = 105;

INSERT INTO acc (id, n) VALUES ('7', 5) ON CONFLICT (id) DO UPDATE SET id = 107 RETURNING id;

INSERT INTO acc VALUES (8, 5) ON CONFLICT (id) DO UPDATE SET id = excluded.id * 50 RETURNING id;

SELECT id, n, v, twice FROM acc ORDER BY id;

INSERT INTO pairs (k, x, n) VALUES ('k1', 1, 7) ON CONFLICT (k, x) DO UPDATE SET k = 'moved' || excluded.n, n = excluded.n RETURNING *;

INSERT INTO pairs (k, x, n) VALUES ('k2', 1, 7) ON CONFLICT (x, k) DO UPDATE SET k = 'moved' || excluded.n, n = excluded.n RETURNING *;

INSERT INTO pairs (k, x, n) VALUES ('k2', 2, 7) ON CONFLICT (x, k) DO UPDATE SET k = 'moved', x = 99 RETURNING *;

SELECT * FROM pairs ORDER BY k, x;

-- # parameters and blocks
PREPARE up (int, int) AS INSERT INTO acc (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET id = acc.id + $2, n = excluded.n RETURNING id, n;

EXECUTE up (9, 900);

EXECUTE up (9, 901);

EXECUTE up (9, 902);

DEALLOCATE up;

BEGIN;

INSERT INTO acc (id, n) VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET id = 1010;

INSERT INTO acc (id, n) VALUES (10, 1) ON CONFLICT (id) DO UPDATE SET id = 1011;

INSERT INTO acc (id, n) VALUES (1012, 1) ON CONFLICT (id) DO UPDATE SET id = 1013;

SELECT id, n FROM acc WHERE id IN (10, 1010, 1011, 1012, 1013) ORDER BY id;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

INSERT INTO acc (id, n) VALUES (11, 1) ON CONFLICT (id) DO UPDATE SET id = 1110 RETURNING id;

COMMIT;

BEGIN READ ONLY;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = 1110;

ROLLBACK;

SELECT id, n FROM acc ORDER BY id;

-- # what is wrong, and what is left
INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = 112, nosuch = 1;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = id + 1;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (n) DO UPDATE SET id = 112;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = 112, own = 4;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = 112, twice = 4;

-- refused conflict_key_change
INSERT INTO acc (id, n) VALUES (12, 1), (13, 1) ON CONFLICT (id) DO UPDATE SET id = 112;

-- refused conflict_key_change
INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT ON CONSTRAINT acc_pkey DO UPDATE SET id = 112;

-- refused conflict_key_change
INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = excluded.num + 112;

-- refused conflict_key_change
INSERT INTO acc (id, n) SELECT 12, 1 ON CONFLICT (id) DO UPDATE SET id = 112;

-- refused rows_moved
INSERT INTO watched VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET id = 112;

-- # values that were drawn for rows that failed
CREATE TABLE kept AS SELECT id, n, v, twice FROM acc;

SELECT * FROM kept ORDER BY id;

DROP TABLE acc;
