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

-- # several rows, in order
CREATE TABLE seq (id int PRIMARY KEY, n int, v varchar(8) DEFAULT 'd', c text COLLATE "C") WITH (shard_key = 'id', colocate_with = 'none');

INSERT INTO seq SELECT i, i, 's' || i, 'c' || i FROM generate_series(1, 30) i;

INSERT INTO seq (id, n) VALUES (1, 5), (2, 6), (31, 7) ON CONFLICT (id) DO UPDATE SET id = seq.id + 100, n = seq.n + excluded.n;

INSERT INTO seq AS s (id, n) VALUES (3, 5), (32, 6), (4, NULL), ('5', 2.6) ON CONFLICT (id) DO UPDATE SET id = s.id + 100, n = excluded.n WHERE excluded.n IS NOT NULL RETURNING s.*, old.id, new.n;

INSERT INTO seq (id, n, v) VALUES (6, 1, DEFAULT), (6, 2, 'x'), (33, 3, DEFAULT) ON CONFLICT (id) DO UPDATE SET id = seq.id + 100 RETURNING id, n, v;

INSERT INTO seq (id, n) VALUES (7, 1), (107, 2) ON CONFLICT (id) DO UPDATE SET id = seq.id + 100;

INSERT INTO seq (id, n) VALUES (40, 1), (40, 2) ON CONFLICT (id) DO UPDATE SET id = seq.id + 100;

INSERT INTO seq (id, n) VALUES (7, 1), (7, 2), (7, 3) ON CONFLICT (id) DO UPDATE SET id = seq.id + 100;

INSERT INTO seq (id, n) VALUES (8, 1), (9, 2) ON CONFLICT (id) DO UPDATE SET id = 108;

INSERT INTO seq (id, n) VALUES (8, 1), (8, 2) ON CONFLICT (id) DO UPDATE SET id = 108 WHERE false RETURNING id;

INSERT INTO seq (id, n) VALUES (8, 1), (9, 1), (41, 1) ON CONFLICT (id) DO UPDATE SET id = seq.id WHERE excluded.n > seq.id;

INSERT INTO seq (id, v) VALUES (8, 'a'), (9, 'much too long') ON CONFLICT (id) DO UPDATE SET id = 108;

INSERT INTO seq (id, v) VALUES (8, 'a'), (9, 'b') ON CONFLICT (id) DO UPDATE SET id = CASE WHEN excluded.v = 'b' THEN NULL ELSE 208 END;

INSERT INTO seq (id, v) VALUES (8, 'a'), (NULL, 'b') ON CONFLICT (id) DO UPDATE SET id = 208;

INSERT INTO seq (id, n) VALUES (8, 1), (9, 0) ON CONFLICT (id) DO UPDATE SET id = 10000 / excluded.n;

SELECT * FROM seq ORDER BY id;

-- params: 10::int4 | 11::int4 | 300::int4
INSERT INTO seq (id, n) VALUES ($1, 1), ($2, 2), ($1 + 100, 3) ON CONFLICT (id) DO UPDATE SET id = seq.id + $3, n = excluded.n RETURNING id, n;

INSERT INTO seq (id, n) VALUES (12, 1), (13, 2) ON CONFLICT ON CONSTRAINT seq_pkey DO UPDATE SET (id, n) = (excluded.id + 100, seq.n) RETURNING id, n;

INSERT INTO seq (id) VALUES (200), (201) ON CONFLICT DO NOTHING;

INSERT INTO seq (id) VALUES (200), (201) ON CONFLICT (id) DO UPDATE SET id = seq.id + 10, v = excluded.v || seq.id, n = excluded.n RETURNING *;

INSERT INTO acc (id, n) VALUES (13, 1), (14, 1), (3000, 1) ON CONFLICT (id) DO UPDATE SET id = acc.id + 3000, num = nextval('acc_num_seq') RETURNING id, num > 0;

INSERT INTO pairs (k, x, n) VALUES ('k4', 4, 7), ('k5', 5, 8), ('k5', 5, 9) ON CONFLICT (k, x) DO UPDATE SET k = 'm' || pairs.k, n = excluded.n RETURNING *;

INSERT INTO pairs (k, x, n) VALUES ('k6', 6, 7), ('k6', 7, 8), ('mk6', 6, 9) ON CONFLICT (k, x) DO UPDATE SET k = 'm' || pairs.k RETURNING *;

SELECT * FROM pairs ORDER BY k, x;

-- # rows of a query
INSERT INTO seq (id, n) SELECT 14, 1 ON CONFLICT (id) DO UPDATE SET id = 114 RETURNING *;

INSERT INTO seq (id, n, v) SELECT id, n, 'q' FROM seq WHERE id BETWEEN 15 AND 18 ORDER BY id ON CONFLICT (id) DO UPDATE SET id = seq.id + 100, v = excluded.v || seq.v RETURNING *;

INSERT INTO seq (id, n, v) SELECT id, n, 'r' FROM seq WHERE id BETWEEN 115 AND 118 OR id = 19 ORDER BY id ON CONFLICT (id) DO UPDATE SET id = seq.id + 1, v = excluded.v || '?' RETURNING *;

WITH w AS (SELECT g FROM generate_series(18, 19) g) INSERT INTO seq (id, n) SELECT g, 2 FROM w UNION ALL SELECT 500, 1 ON CONFLICT ON CONSTRAINT seq_pkey DO UPDATE SET id = seq.id + 400;

INSERT INTO seq SELECT 20, 4, 'x', 'Y' ON CONFLICT (id) DO UPDATE SET id = 420, c = 'z' RETURNING *;

INSERT INTO seq (id, n) SELECT id, 1 FROM seq WHERE id < 0 ON CONFLICT (id) DO UPDATE SET id = 420 RETURNING id, v;

INSERT INTO seq (id, n) SELECT id, 1 FROM seq WHERE id < 0 ON CONFLICT (id) DO UPDATE SET id = 420;

INSERT INTO seq (id, n) SELECT x, y FROM (VALUES (21, '1'), (22, '2'), (21, '3')) t (x, y) ON CONFLICT (id) DO UPDATE SET id = seq.id + 400;

INSERT INTO seq (id, n) SELECT x, y FROM (VALUES (21, 1), (22, 2), (21, 3)) t (x, y) ON CONFLICT (id) DO UPDATE SET id = seq.id + 400 RETURNING id, n;

-- params: 23::int4 | 24::int4
INSERT INTO seq (id, n) SELECT g, $1 FROM generate_series($1::int, $2) g ORDER BY g DESC ON CONFLICT (id) DO UPDATE SET id = seq.id + $2, n = excluded.n RETURNING id, n;

BEGIN;

UPDATE seq SET n = n + 1 WHERE id IN (25, 26);

INSERT INTO seq (id, n) SELECT id, n FROM seq WHERE id IN (25, 26) ON CONFLICT (id) DO UPDATE SET id = seq.id + 600, n = excluded.n + seq.n;

INSERT INTO seq (id, n) SELECT id, n FROM seq WHERE id IN (625, 626) ON CONFLICT (id) DO UPDATE SET id = seq.id + 600, n = excluded.n + seq.n;

SELECT * FROM seq WHERE id BETWEEN 25 AND 1300 ORDER BY id;

COMMIT;

CREATE TEMP TABLE st (id int, n int);

INSERT INTO st VALUES (27, 1), (28, 2), (600, 3);

INSERT INTO seq (id, n) SELECT id, n FROM st ON CONFLICT (id) DO UPDATE SET id = seq.id + 700, n = excluded.n;

DROP TABLE st;

SELECT * FROM seq ORDER BY id;

-- # foreign keys
CREATE TABLE tree (k int, id int, up int, n int, PRIMARY KEY (k, id), FOREIGN KEY (k, up) REFERENCES tree (k, id)) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO tree VALUES (1, 1), (1, 2, 1), (2, 1), (3, 1);

INSERT INTO tree VALUES (2, 1), (4, 1, NULL) ON CONFLICT (k, id) DO UPDATE SET k = tree.k + 10;

INSERT INTO tree VALUES (2, 1, NULL), (4, 1, NULL), (4, 2, 1) ON CONFLICT (k, id) DO UPDATE SET k = tree.k + 10;

-- refused conflict_key_change
INSERT INTO tree VALUES (3, 1, NULL), (5, 2, 1), (5, 1, NULL) ON CONFLICT (k, id) DO UPDATE SET k = tree.k + 10;

INSERT INTO tree VALUES (1, 2), (1, 1) ON CONFLICT (k, id) DO UPDATE SET k = 11, up = NULL;

INSERT INTO tree VALUES (1, 2) ON CONFLICT DO UPDATE SET k = 11;

INSERT INTO tree VALUES (1, 2) ON CONFLICT DO UPDATE SET n = 11;

INSERT INTO tree SELECT 6, 1 FROM tree WHERE k = 3 UNION ALL SELECT 7, 1 ON CONFLICT (k, id) DO UPDATE SET k = tree.k + 10;

SELECT * FROM tree ORDER BY k, id;

-- # policies
CREATE TABLE pol (id int PRIMARY KEY, n int) WITH (shard_key = 'id', colocate_with = 'none');

INSERT INTO pol SELECT i, i FROM generate_series(1, 10) i;

ALTER TABLE pol ENABLE ROW LEVEL SECURITY;

CREATE POLICY p ON pol USING (n < 8) WITH CHECK (n < 8);

CREATE ROLE conflict_moves_ann;

GRANT USAGE ON SCHEMA conflict_moves TO conflict_moves_ann;

GRANT ALL ON pol TO conflict_moves_ann;

SET ROLE conflict_moves_ann;

INSERT INTO pol VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET id = 101 RETURNING *;

INSERT INTO pol VALUES (2, 9) ON CONFLICT (id) DO UPDATE SET id = 102 RETURNING *;

INSERT INTO pol VALUES (2, 2) ON CONFLICT (id) DO UPDATE SET id = 102, n = 10 RETURNING *;

INSERT INTO pol VALUES (8, 2) ON CONFLICT (id) DO UPDATE SET id = 108 RETURNING *;

INSERT INTO pol VALUES (8, 2) ON CONFLICT (id) DO UPDATE SET id = 108 WHERE pol.n < 8 RETURNING *;

INSERT INTO pol VALUES (2, 2), (3, 3), (11, 4) ON CONFLICT (id) DO UPDATE SET id = pol.id + 200 RETURNING *;

INSERT INTO pol SELECT i, 5 FROM generate_series(4, 8) i ON CONFLICT (id) DO UPDATE SET id = pol.id + 200 RETURNING *;

INSERT INTO pol SELECT i, 5 FROM generate_series(4, 7) i ORDER BY i ON CONFLICT (id) DO UPDATE SET id = pol.id + 200 RETURNING *;

RESET ROLE;

SELECT * FROM pol ORDER BY id;

DROP TABLE pol;

REVOKE USAGE ON SCHEMA conflict_moves FROM conflict_moves_ann;

DROP ROLE conflict_moves_ann;

-- # what is wrong, and what is left
INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = 112, nosuch = 1;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = id + 1;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (n) DO UPDATE SET id = 112;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = 112, own = 4;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = 112, twice = 4;

INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT ON CONSTRAINT nosuch DO UPDATE SET id = 112;

-- refused conflict_key_change
INSERT INTO acc (id, n) VALUES (12, 1) ON CONFLICT (id) DO UPDATE SET id = excluded.num + 112;

-- refused conflict_key_change
INSERT INTO acc (id, n) VALUES (12, 1), (13, 1) ON CONFLICT (id) DO UPDATE SET id = (SELECT max(id) FROM acc) + 1;

-- refused conflict_key_change
INSERT INTO acc (id, n) VALUES (12, 1), (13, 1) ON CONFLICT (id) DO UPDATE SET id = acc.id + (random() * 0)::int;

-- refused rows_moved
INSERT INTO watched VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET id = 112;

-- # values that were drawn for rows that failed
CREATE TABLE kept AS SELECT id, n, v, twice FROM acc;

SELECT * FROM kept ORDER BY id;

DROP TABLE acc;
