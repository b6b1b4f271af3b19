-- # rows without a shard key
CREATE TABLE t (id int PRIMARY KEY, v text DEFAULT 'd', n bigserial) WITH (shard_key = 'id');

CREATE TABLE src (id int PRIMARY KEY, k int) WITH (shard_key = 'id');

CREATE TABLE nums (id int PRIMARY KEY, k int);

INSERT INTO src VALUES (1, 10), (2, NULL), (3, 30);

INSERT INTO t VALUES (NULL, 'x', 1);

INSERT INTO t (v, n) VALUES ('x', 1);

INSERT INTO t (v, n) VALUES ('x', 1), ('y', 2);

INSERT INTO t (id, v, n) VALUES (1, 'x', 1), (NULL, 'y', 2);

-- params: NULL::int4
INSERT INTO t (id, v, n) VALUES ($1, 'x', 1);

INSERT INTO t (v, n) SELECT 'x', 1;

INSERT INTO t (v, n) SELECT 'x', 1 WHERE false;

INSERT INTO t (v, n) SELECT 'x', k FROM src WHERE k = 10;

INSERT INTO t (v, n) SELECT 'x', k FROM nums;

INSERT INTO t (id, v, n) SELECT k, 'x', 1 FROM src WHERE id = 2;

INSERT INTO t (id, v, n) SELECT k, 'x', 1 FROM src WHERE id = 2 ON CONFLICT DO NOTHING RETURNING *;

INSERT INTO t VALUES (5, 'five', 5);

UPDATE t SET id = NULL WHERE id = 5;

UPDATE t SET id = NULL;

UPDATE t SET id = k FROM src WHERE src.id = 2;

MERGE INTO t USING src s ON t.id = s.k + 1000 WHEN NOT MATCHED AND s.k IS NULL THEN INSERT (id, v, n) VALUES (s.k, 'm', 1);

MERGE INTO t USING (SELECT 1 AS a) s ON t.id = 77 WHEN NOT MATCHED THEN INSERT (v, n) VALUES ('m', 1);

INSERT INTO t (id, v, n) VALUES (5, 'x', 1) ON CONFLICT (id) DO UPDATE SET v = NULL, n = NULL;

SELECT * FROM t ORDER BY id;

CREATE TABLE drawn (id int PRIMARY KEY, v text) WITH (shard_key = 'id');

INSERT INTO drawn DEFAULT VALUES;

CREATE VIEW of_t AS SELECT v, n FROM t;

-- refused write_through_view
INSERT INTO of_t VALUES ('x', 1);
