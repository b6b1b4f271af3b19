-- # tables
CREATE TABLE ev (id int PRIMARY KEY, grp int, v text, n int, at timestamptz DEFAULT '2024-05-06') WITH (shard_key = 'id');

CREATE TABLE seen (k int PRIMARY KEY, ev_id int, w text) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE kind (code int PRIMARY KEY, label text) WITH (reference);

CREATE TABLE own (id int PRIMARY KEY, note text);

INSERT INTO ev (id, grp, v, n) SELECT i, i % 4, 'v' || i % 6, i * 10 FROM generate_series(1, 30) i;

INSERT INTO ev (id, grp, v, n, at) SELECT i, i % 4, 'late', i, '2999-01-01' FROM generate_series(101, 110) i;

INSERT INTO seen SELECT i, i % 12, 'w' || i FROM generate_series(1, 20) i;

INSERT INTO kind VALUES (0, 'zero'), (1, 'one'), (2, NULL);

INSERT INTO own SELECT i, 'own' || i FROM generate_series(1, 6) i;

-- # times in FROM
SELECT id, c > '2020-01-01', date_trunc('second', c) - c < '1 s' FROM ev, CURRENT_TIMESTAMP(2) c WHERE id < 5;

SELECT count(*), count(DISTINCT c), bool_and(c > '2020-01-01'), pg_typeof(min(c)) FROM ev, CURRENT_TIMESTAMP(0) c;

SELECT count(DISTINCT "current_timestamp") FROM ev, CURRENT_TIMESTAMP(0);

SELECT count(DISTINCT "localtimestamp"), max(ordinality) FROM ev, LOCALTIMESTAMP(3) WITH ORDINALITY;

SELECT count(DISTINCT x.a), max(x.b) FROM ev, LATERAL LOCALTIME(1) WITH ORDINALITY AS x (a, b) GROUP BY grp;

SELECT pg_typeof(a), pg_typeof(b), pg_typeof(c), pg_typeof(d) FROM CURRENT_TIME(2) a, LOCALTIME(0) b, LOCALTIMESTAMP(6) c, CURRENT_TIMESTAMP(1) AS d, ev WHERE id = 3;

SELECT max(a) = max(b) FROM ROWS FROM (CURRENT_TIMESTAMP, CURRENT_DATE) AS x (a, b), ev WHERE false;

-- refused time_in_from
SELECT count(*) FROM ROWS FROM (CURRENT_TIMESTAMP(2), generate_series(1, 2)) x, ev;

-- # views that tell a time
CREATE VIEW recent AS SELECT id, grp, v, at FROM ev WHERE at > now() - interval '1 day';

CREATE VIEW today AS SELECT v, count(*) AS n, CURRENT_DATE AS day FROM ev WHERE at::date <> CURRENT_DATE GROUP BY v;

CREATE VIEW above AS SELECT r.id, r.at, s.k FROM recent r JOIN seen s ON s.k = r.id - 100;

SELECT * FROM recent;

SELECT count(*), max(id) FROM recent WHERE id > 104;

SELECT r.grp, count(*) FROM recent AS r GROUP BY r.grp ORDER BY 1;

SELECT v, n FROM today ORDER BY v;

SELECT count(DISTINCT day), bool_and(day = CURRENT_DATE) FROM today;

SELECT * FROM above ORDER BY id;

SELECT r.id, o.note FROM recent r JOIN own o ON o.id = r.id - 100 ORDER BY 1;

SELECT id FROM recent WHERE id = 105;

SELECT id FROM ev WHERE id IN (SELECT id FROM recent WHERE grp = 1) ORDER BY id LIMIT 2;

-- params: 103
SELECT id FROM recent WHERE id < $1 ORDER BY id;

UPDATE ev SET v = 'now' FROM recent r WHERE r.id = ev.n AND ev.id > 100;

SELECT id, v FROM ev WHERE v = 'now';

DELETE FROM seen WHERE k IN (SELECT id - 95 FROM recent);

SELECT count(*) FROM seen;

BEGIN;

SELECT count(*) FROM recent;

INSERT INTO ev (id, at) VALUES (111, '2999-01-01'), (112, '1999-01-01');

SELECT count(*) FROM recent;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

SELECT count(*) FROM recent WHERE grp <> 1;

COMMIT;

-- refused local_with_sharded
INSERT INTO own SELECT id, v FROM recent WHERE id > 108;

SELECT * FROM own WHERE id > 100;

CREATE VIEW owned AS SELECT id, now() > '2020-01-01' AS told FROM own;

SELECT o.told, count(*) FROM owned o JOIN ev ON ev.grp = o.id GROUP BY 1;

CREATE VIEW safe WITH (security_barrier) AS SELECT id FROM ev WHERE at > now();

-- refused view_time
SELECT count(*) FROM safe;

SET weft.pushdown = off;

SELECT * FROM recent;

SELECT count(*), max(id) FROM recent WHERE id > 104;

RESET weft.pushdown;

-- # OFFSET by a parameter
-- params: 3
SELECT count(*) FROM (SELECT * FROM ev OFFSET $1) o;

-- params: 0
SELECT * FROM ev OFFSET $1;

-- params: 40
SELECT * FROM ev OFFSET $1;

-- params: 38
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM ev OFFSET $1) x;

-- params: NULL
SELECT id FROM ev OFFSET $1;

-- params: 1
SELECT count(*), sum(n) FROM ev OFFSET $1;

-- params: 1 | 35
SELECT $1::int, sum(c) FROM (SELECT grp, count(*) AS c FROM (SELECT grp FROM ev OFFSET $2) x GROUP BY grp) y;

-- params: 7
SELECT count(*) FROM (SELECT id FROM ev UNION ALL SELECT k FROM seen OFFSET $1) x;

-- error
-- params: -1
SELECT id FROM ev OFFSET $1;

-- # GROUP BY a primary key, with columns that have no equality
CREATE TABLE docs (id int PRIMARY KEY, doc json, place point, title text, body xml) WITH (shard_key = 'id', colocate_with = 'none');

INSERT INTO docs SELECT i, json_build_object('i', i), point(i, -i), 't' || i % 3, ('<b>' || i || '</b>')::xml FROM generate_series(1, 8) i;

SELECT d.id, d.doc, count(*) FROM docs d JOIN seen s ON s.ev_id = d.id GROUP BY d.id;

SELECT d.id, doc, place[0], d.title, body, count(*) AS n FROM docs d JOIN seen s ON s.ev_id = d.id GROUP BY d.id ORDER BY n DESC, d.id;

SELECT d.*, sum(s.k) FROM docs d JOIN seen s ON s.ev_id = d.id GROUP BY d.id HAVING (d.doc ->> 'i')::int > 3 ORDER BY d.doc ->> 'i';

SELECT title AS doc, d.doc, max(s.k) FROM docs d JOIN seen s ON s.ev_id = d.id GROUP BY d.id, s.w ORDER BY doc, d.id, s.w;

SELECT d.doc, (SELECT count(*) FROM seen) + count(s.k) AS c FROM docs d LEFT JOIN seen s ON s.ev_id = d.id AND s.k > 4 GROUP BY d.id ORDER BY d.id LIMIT 3;

-- refused group_by_primary_key
SELECT (d).title, row_to_json(d), count(*) FROM docs d JOIN seen s ON s.ev_id = d.id GROUP BY d.id;

SELECT doc ->> 'i' AS i, rank() OVER (ORDER BY count(*) DESC, d.id) FROM docs d JOIN seen s ON s.ev_id = d.id GROUP BY d.id ORDER BY 2;

-- # values of a server
SELECT current_database() = current_catalog AS same, v, count(*) FROM ev GROUP BY v ORDER BY v;

SELECT id, 'ev'::regclass::text, 'int4'::regtype, 'now()'::regprocedure FROM ev WHERE id < 5;

SELECT count(*), max(to_regclass('answered.ev')::text), min(v) FROM ev WHERE 'ev'::regclass IS NOT NULL;

SELECT v FROM ev WHERE v = ANY (ARRAY['v1', 'ev'::regclass::text]) ORDER BY id LIMIT 3;

SELECT c.relname, count(*) FROM ev JOIN pg_class c ON c.oid = CASE WHEN ev.id % 2 = 0 THEN 'ev'::regclass ELSE 'seen'::regclass END GROUP BY 1 ORDER BY 1;

SELECT a.attname, e.id FROM pg_attribute a JOIN ev e ON e.id = a.attnum WHERE a.attrelid = 'ev'::regclass AND a.attnum > 0 ORDER BY 2;

SELECT length(version()) > 0, inet_server_port() IS NULL OR inet_server_port() > 0, count(*) FROM ev GROUP BY 1, 2;

-- error
SELECT id, 'nowhere'::regclass FROM ev;

SELECT (SELECT current_database() IS NOT NULL), count(*) FROM ev WHERE id IN (SELECT k FROM seen);

INSERT INTO own SELECT 200 + id, 'ev'::regclass::text FROM ev WHERE id < 3;

SELECT * FROM own WHERE id > 200;

-- refused system_column
SELECT tableoid::regclass, id FROM ev;

-- refused server_value
UPDATE ev SET v = 'cat' WHERE v = 'ev'::regclass::text AND grp IN (SELECT k FROM seen);

-- # row locks of what has no rows
-- error
SELECT id FROM ev UNION SELECT k FROM seen FOR UPDATE;

-- error
SELECT grp FROM ev GROUP BY grp FOR SHARE;

-- error
SELECT DISTINCT v FROM ev FOR NO KEY UPDATE;

-- error
SELECT count(*) FROM ev FOR UPDATE;

-- error
SELECT id, row_number() OVER (ORDER BY id) FROM ev FOR UPDATE;

-- error
SELECT id FROM ev HAVING true FOR KEY SHARE;

-- error
SELECT generate_series(1, id) FROM ev FOR UPDATE;

-- error
SELECT * FROM (SELECT v FROM ev GROUP BY v FOR UPDATE) x;

-- error
UPDATE ev SET n = 1 WHERE id IN (SELECT k FROM seen UNION SELECT 1 FOR UPDATE);

-- error
INSERT INTO own SELECT max(id) FROM ev FOR UPDATE;

-- # writes that join a query with a LIMIT
UPDATE ev SET v = s.w FROM (SELECT * FROM seen ORDER BY k LIMIT 5) s WHERE s.ev_id = ev.grp AND ev.id < 10;

SELECT id, v FROM ev WHERE id < 10;

DELETE FROM ev USING (SELECT ev_id FROM seen ORDER BY k DESC FETCH FIRST 2 ROWS ONLY) s WHERE s.ev_id = ev.id AND ev.id > 0;

WITH top AS (SELECT id FROM ev ORDER BY n DESC LIMIT 3) UPDATE ev SET n = 0 FROM top WHERE top.id = ev.id RETURNING ev.id;

UPDATE ev SET n = x.c FROM (SELECT grp, c FROM (SELECT grp, count(*) AS c FROM ev GROUP BY grp ORDER BY grp LIMIT 2) y) x WHERE x.grp = ev.grp AND ev.id > 20;

SELECT id, n FROM ev;

-- params: 2
UPDATE ev SET v = 'p' FROM (SELECT k FROM seen ORDER BY k LIMIT $1) s WHERE s.k = ev.grp;

BEGIN ISOLATION LEVEL REPEATABLE READ;

UPDATE ev SET v = 'rr' FROM (SELECT k FROM seen ORDER BY k LIMIT 1) s WHERE s.k = ev.grp;

COMMIT;

BEGIN;

UPDATE ev SET v = 'rc' FROM (SELECT k FROM seen ORDER BY k LIMIT 1) s WHERE s.k = ev.grp;

ROLLBACK;

BEGIN;

UPDATE ev SET v = 'locked' FROM (SELECT k FROM seen ORDER BY k LIMIT 1 FOR SHARE) s WHERE s.k = ev.grp;

COMMIT;

UPDATE kind SET label = s.w FROM (SELECT k, w FROM seen ORDER BY k LIMIT 1) s WHERE s.k = kind.code;

SELECT * FROM kind;

DELETE FROM own USING (SELECT id FROM ev ORDER BY id DESC LIMIT 2) s WHERE s.id - 100 = own.id;

SELECT id, v FROM ev;

SET extra_float_digits = 0;

UPDATE ev SET v = 'exact' FROM (SELECT k / 3.0 AS x FROM seen ORDER BY k LIMIT 3) s WHERE s.x = ev.id;

-- refused inexact_text
UPDATE ev SET v = s.x::text FROM (SELECT k / 3.0::float8 AS x FROM seen ORDER BY k LIMIT 3) s WHERE s.x = ev.id;

RESET extra_float_digits;

-- # volatile conditions of writes
DELETE FROM ev WHERE random() < 2 AND id IN (SELECT k FROM seen WHERE k > 18);

UPDATE ev SET v = 'drawn' WHERE grp IN (SELECT k FROM seen) AND random() >= 0 RETURNING id, random() < 1;

DELETE FROM ev WHERE random() > 1 OR grp IN (SELECT ev_id + 90 FROM seen);

UPDATE ev SET v = 'a' WHERE id IN (SELECT k FROM seen WHERE random() < 1) AND clock_timestamp() > '2020-01-01';

DELETE FROM own WHERE random() < 2 AND id IN (SELECT id FROM ev);

UPDATE kind SET label = 'x' WHERE random() < 2 AND code IN (SELECT grp FROM ev);

-- refused volatile_write
UPDATE ev SET v = 'b' FROM seen s WHERE s.ev_id = ev.grp AND random() < 1;

SELECT id, v FROM ev;

SELECT * FROM kind;

SELECT id FROM own;
