-- # tables
CREATE SEQUENCE rev START 100;

CREATE TYPE pair AS (x int, y text);

CREATE TABLE acc (id int PRIMARY KEY, n int, num serial, p pair, tags int[], v varchar(9)) WITH (shard_key = 'id');

CREATE TABLE uid (k uuid PRIMARY KEY, n int, v text) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE txt (k text PRIMARY KEY, n int, p pair, num serial) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO acc (id, n, num, p, tags, v) SELECT i, i % 7, i, ROW(i, 'p' || i)::pair, ARRAY[i, i + 1], 'v' || i FROM generate_series(1, 20) i;

-- # volatile keys
MERGE INTO uid u USING (VALUES (1, 'a'), (2, 'b'), (3, 'c')) s (n, v) ON u.n = s.n WHEN NOT MATCHED THEN INSERT (k, n, v) VALUES (gen_random_uuid(), s.n, s.v);

SELECT n, v, k IS NOT NULL FROM uid ORDER BY n;

MERGE INTO txt t USING (VALUES (1, 'a'), (2, 'b'), (3, 'c')) s (n, v) ON t.n = s.n WHEN NOT MATCHED THEN INSERT (k, n) VALUES (s.v || gen_random_uuid(), s.n) RETURNING left(k, 1), n, length(k);

MERGE INTO txt t USING (VALUES (1, 'a'), (2, 'b'), (4, 'd'), (5, 'e')) s (n, v) ON t.n = s.n WHEN MATCHED THEN UPDATE SET n = t.n + 10 WHEN NOT MATCHED AND s.n > 4 THEN INSERT (k, n) VALUES (s.v || left(random()::text, 2), s.n) WHEN NOT MATCHED THEN INSERT (k, n) VALUES (upper(s.v) || nextval('rev'), s.n) RETURNING merge_action(), left(k, 1), t.n;

SELECT left(k, 1), n FROM txt ORDER BY 1;

MERGE INTO acc a USING (VALUES (1), (31), (32)) s (id) ON a.id = s.id WHEN NOT MATCHED THEN INSERT (id, n) VALUES (nextval('rev') + s.id * 1000, s.id) RETURNING a.id / 1000, n;

MERGE INTO acc a USING (VALUES (1), (33), (34)) s (id) ON a.id = s.id WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, nextval('rev') * s.id) RETURNING s.*, a.id, n > 100;

CREATE TABLE thirds (id int PRIMARY KEY, f float8) WITH (shard_key = 'id');

SET extra_float_digits = 0;

-- refused inexact_text
MERGE INTO thirds t USING (VALUES (1), (2)) s (id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.id / 3.0::float8 + 0 * nextval('rev'));

RESET extra_float_digits;

MERGE INTO thirds t USING (VALUES (1), (2)) s (id) ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.id / 3.0::float8 + 0 * nextval('rev')) RETURNING t.*;

MERGE INTO acc a USING (SELECT i AS id FROM generate_series(19, 35) i) s ON a.id = s.id WHEN MATCHED AND a.id > 30 THEN DELETE WHEN NOT MATCHED AND s.id < 25 THEN INSERT (id, n, v) VALUES (s.id, nextval('rev'), s.id || 'x') WHEN NOT MATCHED THEN INSERT (id, n) VALUES (s.id, 0) RETURNING merge_action(), s.id, a.v;

PREPARE m (int, text) AS MERGE INTO txt t USING (VALUES ($1)) s (n) ON t.n = s.n WHEN NOT MATCHED THEN INSERT (k, n) VALUES ($2 || gen_random_uuid(), s.n) RETURNING left(k, 2), n;

EXECUTE m (71, 'qq');

EXECUTE m (71, 'qq');

DEALLOCATE m;

MERGE INTO acc a USING (VALUES (1, 2), (51, 3)) s (id, x) ON merge_keys.a.id = s.id WHEN MATCHED THEN DELETE;

MERGE INTO acc USING (VALUES (1, 2), (2, 3), (52, 3)) s (id, x) ON merge_keys.acc.id = s.id WHEN MATCHED THEN UPDATE SET n = merge_keys.acc.n + s.x RETURNING merge_keys.acc.id, merge_keys.acc.n;

-- # parts of columns
MERGE INTO acc a USING (VALUES (1, 10), (41, 11), (42, 12)) s (id, x) ON a.id = s.id WHEN NOT MATCHED THEN INSERT (id, p.x) VALUES (s.id, s.x) RETURNING id, p, num > 0;

MERGE INTO acc a USING (VALUES (1, 10), (43, 11), (44, 12)) s (id, x) ON a.id = s.id WHEN NOT MATCHED THEN INSERT (id, p.x, tags[1], p.y) VALUES (s.id, s.x, s.x, 'w') RETURNING s.*, a.id, n, p, tags, v;

MERGE INTO txt a USING (VALUES ('z', 10), ('y', 11)) s (id, x) ON a.k = s.id WHEN NOT MATCHED THEN INSERT (k, p.x) VALUES (s.id, s.x) RETURNING k, p, num > 0;

MERGE INTO uid a USING (VALUES (1, 10), (7, 11)) s (id, x) ON a.n = s.id WHEN NOT MATCHED THEN INSERT (k, n) VALUES (gen_random_uuid(), s.x) RETURNING n;

-- # unknown columns
MERGE INTO acc a USING (VALUES (1, 10)) s (id, x) ON a.id = s.id WHEN MATCHED THEN UPDATE SET id = s.x + 100, nosuch = 1;

MERGE INTO acc a USING (VALUES (1, 10)) s (id, x) ON a.id = s.id WHEN MATCHED THEN UPDATE SET id = s.x + 100, n = s.nosuch;

MERGE INTO acc a USING (VALUES (1, 10)) s (id, x) ON a.id = s.nosuch WHEN MATCHED THEN UPDATE SET id = s.x + 100;

MERGE INTO acc a USING (VALUES (1, 10)) s (id, x) ON a.id = s.id WHEN NOT MATCHED THEN INSERT (id, nosuch) VALUES (s.id, 1);

MERGE INTO acc a USING (VALUES (1, 10)) s (id, x) ON a.id = s.id WHEN MATCHED AND a.nosuch THEN UPDATE SET id = s.x + 100;

MERGE INTO acc a USING (VALUES (1, 10)) s (id, x) ON a.id = s.id WHEN MATCHED THEN UPDATE SET id = s.x + 100 RETURNING nosuch;

UPDATE acc SET id = id + 100, nosuch = 1 WHERE id = 3;

UPDATE acc SET id = id + 100, n = nosuch WHERE id = 3;

-- # temporary sources of the target's name
CREATE TEMP TABLE acc (id int, n int);

INSERT INTO pg_temp.acc VALUES (1, 100), (2, 200), (51, 300);

MERGE INTO merge_keys.acc USING acc s ON merge_keys.acc.id = s.id WHEN MATCHED THEN UPDATE SET n = s.n WHEN NOT MATCHED THEN INSERT (id, n, num) VALUES (s.id, s.n, 0);

MERGE INTO merge_keys.acc USING pg_temp.acc ON merge_keys.acc.id = pg_temp.acc.id WHEN MATCHED THEN UPDATE SET n = pg_temp.acc.n + 1 RETURNING merge_keys.acc.id, merge_keys.acc.n;

MERGE INTO merge_keys.acc a USING pg_temp.acc ON a.id = pg_temp.acc.id WHEN MATCHED THEN UPDATE SET n = pg_temp.acc.n + 2 RETURNING a.id, a.n;

MERGE INTO merge_keys.acc a USING acc ON a.id = acc.id WHEN MATCHED THEN UPDATE SET n = acc.n + 3 RETURNING a.id, a.n, acc.n;

SELECT id, n FROM merge_keys.acc WHERE id IN (1, 2, 51) ORDER BY id;

DROP TABLE pg_temp.acc;

-- # the rows are alike
DELETE FROM uid;

DELETE FROM txt;

DELETE FROM acc WHERE id > 20;
