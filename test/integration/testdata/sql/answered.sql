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
