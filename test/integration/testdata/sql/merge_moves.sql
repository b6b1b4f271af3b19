-- # tables
CREATE TABLE acc (id int PRIMARY KEY, n int, v varchar(9) DEFAULT 'none', at timestamptz, num serial, tags int[], twice int GENERATED ALWAYS AS (n * 2) STORED) WITH (shard_key = 'id');

CREATE TABLE two (k int, m int, v text, PRIMARY KEY (k, m)) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE src (k int PRIMARY KEY, id int, n int, label text) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE cur (code text PRIMARY KEY, n int) WITH (reference);

CREATE TABLE loc (id int PRIMARY KEY, n int);

INSERT INTO acc (id, n, v, tags) SELECT i, i % 7, 'v' || i, ARRAY[i, i] FROM generate_series(1, 60) i;

INSERT INTO two SELECT i % 10, i, 't' || i FROM generate_series(1, 40) i;

INSERT INTO src SELECT i, i + 100, i * 2, 'l' || i FROM generate_series(1, 20) i;

INSERT INTO cur VALUES ('a', 1), ('b', 2);

INSERT INTO loc SELECT i, i + 200 FROM generate_series(20, 25) i;

-- # rows that move
MERGE INTO acc a USING (VALUES (1, 101), (2, 102)) s (id, new_id) ON a.id = s.id WHEN MATCHED THEN UPDATE SET id = s.new_id;

SELECT * FROM acc WHERE id IN (1, 2, 101, 102);

MERGE INTO acc a USING (SELECT 3 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = 103;

MERGE INTO acc a USING (SELECT 4 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = a.id + 100, n = 55, v = 'moved' RETURNING *;

MERGE INTO acc a USING (VALUES (5, 105), (6, 6), (7, 107), (70, 170), (8, 108)) s (id, new_id) ON a.id = s.id
WHEN MATCHED AND a.n = 5 THEN DELETE
WHEN MATCHED AND s.id = 8 THEN DO NOTHING
WHEN MATCHED AND s.id = 7 THEN UPDATE SET v = 'stays'
WHEN MATCHED THEN UPDATE SET id = s.new_id, v = 'goes'
WHEN NOT MATCHED THEN INSERT (id, n, v) VALUES (s.new_id, 1, 'new')
RETURNING merge_action(), s.id, s.new_id, a.id, a.v, old.id, new.id, old.v, new.twice;

SELECT id, n, v, twice, num FROM acc WHERE id > 100 OR id < 9;

MERGE INTO acc a USING src s ON a.id = s.k WHEN MATCHED AND s.k > 8 THEN UPDATE SET (id, n) = (s.id, s.n) RETURNING merge_action(), a.id, s.label;

MERGE INTO acc USING src ON acc.id = src.id WHEN MATCHED THEN UPDATE SET id = acc.id + 1000 WHEN NOT MATCHED THEN INSERT (id, v, num) VALUES (src.id + 2000, 'ins', src.k) RETURNING merge_action(), acc.id, acc.v;

SELECT count(*), count(DISTINCT id), count(DISTINCT num), sum(id) FROM acc;

MERGE INTO acc a USING loc l ON a.id = l.id WHEN MATCHED THEN UPDATE SET id = l.n, at = now() RETURNING a.id, a.at = now();

MERGE INTO acc a USING loc l ON a.id = l.n WHEN MATCHED AND l.id < 22 THEN UPDATE SET id = (SELECT max(k) FROM src) + l.n + (SELECT count(*) FROM cur), v = DEFAULT, n = DEFAULT RETURNING merge_action(), l.*, a.v, a.n;

UPDATE acc SET at = NULL WHERE at IS NOT NULL;

WITH w AS (SELECT k, label FROM src WHERE k < 4) MERGE INTO acc a USING w ON a.id = w.k + 30 WHEN MATCHED THEN UPDATE SET id = a.id + 3000 RETURNING w, a.id;

MERGE INTO acc a USING (SELECT 40 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = a.id RETURNING *;

MERGE INTO acc a USING (SELECT 40 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = 41;

MERGE INTO acc a USING (SELECT 40 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = NULL;

MERGE INTO acc a USING (SELECT 40 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = 4000, v = 'much too long';

-- refused merge_key_change
MERGE INTO acc a USING (SELECT 40 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = 4000, tags[1] = 4;

-- refused merge_key_change
MERGE INTO acc a USING (SELECT 40 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = 4000 + (random() * 5)::int;

-- refused unstable_default
MERGE INTO acc a USING (SELECT 40 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = 4000, num = DEFAULT;

-- refused merge_key_change
MERGE INTO acc a USING (SELECT 40 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = 4000 RETURNING a;

MERGE INTO acc a USING (SELECT 44 AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET tags[(SELECT min(k) FROM src) + 1] = (SELECT count(*) FROM src) RETURNING a.tags;

-- params: 42::int4 | 4200::int4 | p
MERGE INTO acc a USING (SELECT $1::int AS id) v ON a.id = v.id WHEN MATCHED THEN UPDATE SET id = $2, v = $3 RETURNING merge_action(), a.id, a.v;

SELECT * FROM acc WHERE id IN (42, 4200);

-- # rows that are joined twice
MERGE INTO acc a USING (VALUES (43, 4300), (43, 4301)) s (id, new_id) ON a.id = s.id WHEN MATCHED THEN UPDATE SET id = s.new_id;

MERGE INTO acc a USING (VALUES (43, 43), (43, 43)) s (id, new_id) ON a.id = s.id WHEN MATCHED THEN UPDATE SET id = s.new_id;

MERGE INTO acc a USING (VALUES (43, 4300), (43, 4301)) s (id, new_id) ON a.id = s.id WHEN MATCHED AND s.new_id = 4301 THEN DELETE WHEN MATCHED THEN UPDATE SET id = s.new_id;

MERGE INTO acc a USING (VALUES (43, 4300), (43, 4301)) s (id, new_id) ON a.id = s.id WHEN MATCHED AND s.new_id = 4301 THEN DO NOTHING WHEN MATCHED THEN UPDATE SET id = s.new_id RETURNING s.new_id, a.id;

SELECT id, v FROM acc WHERE id IN (43, 4300, 4301);

-- # keys of several columns
MERGE INTO two t USING (VALUES (1), (2)) s (k) ON t.k = s.k WHEN MATCHED THEN UPDATE SET k = t.k + 20, v = t.v || '!' RETURNING merge_action(), t.*;

MERGE INTO two t USING (SELECT 3 AS k, 500 AS m UNION ALL SELECT 33, 501) s ON t.k = s.k AND t.m < 30 WHEN MATCHED THEN UPDATE SET k = s.m, m = t.m WHEN NOT MATCHED THEN INSERT VALUES (s.k, s.m, 'in') RETURNING merge_action(), s.k, t.*;

MERGE INTO two t USING (VALUES (4)) s (k) ON t.k = s.k WHEN MATCHED THEN UPDATE SET k = 60 WHEN NOT MATCHED BY SOURCE AND t.k > 200 THEN DELETE;

-- refused merge_key_change
MERGE INTO two t USING (VALUES (4)) s (k) ON t.k = s.k WHEN NOT MATCHED BY SOURCE AND t.k > 8 THEN UPDATE SET k = t.k + 1;

SELECT * FROM two;

-- # in transactions
BEGIN;

INSERT INTO acc (id, n) VALUES (7000, 1), (7001, 2), (7002, 3);

MERGE INTO acc a USING (VALUES (7000), (7001), (7003)) s (id) ON a.id = s.id WHEN MATCHED THEN UPDATE SET id = a.id + 500 WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, 9);

SELECT id, n FROM acc WHERE id >= 7000;

ROLLBACK;

SELECT id, n FROM acc WHERE id >= 7000;

BEGIN ISOLATION LEVEL REPEATABLE READ;

MERGE INTO acc a USING src s ON a.id = s.k + 50 WHEN MATCHED THEN UPDATE SET id = a.id + 8000 RETURNING a.id, s.k;

COMMIT;

SELECT count(*), sum(id) FROM acc;

-- # what would tell
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'trig'; RETURN NEW; END $$;

CREATE TRIGGER two_noted BEFORE UPDATE ON two FOR EACH ROW EXECUTE FUNCTION noted();

MERGE INTO two t USING (VALUES (5)) s (k) ON t.k = s.k WHEN MATCHED THEN UPDATE SET k = s.k RETURNING t.*;

-- refused rows_moved
MERGE INTO two t USING (VALUES (5)) s (k) ON t.k = s.k WHEN MATCHED THEN UPDATE SET k = s.k + 30, m = t.m + 300;

SELECT * FROM two WHERE k = 5 ORDER BY m;
