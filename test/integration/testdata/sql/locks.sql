-- # tables
CREATE TABLE jobs (id bigint PRIMARY KEY, queue text, prio int, state text DEFAULT 'new', at timestamptz DEFAULT '2024-05-06', tries int DEFAULT 0, data jsonb) WITH (shard_key = 'id');

CREATE TABLE parts (job_id bigint, n int, size numeric, PRIMARY KEY (job_id, n)) WITH (shard_key = 'job_id', colocate_with = 'jobs');

CREATE TABLE owners (k int PRIMARY KEY, job_id bigint, name text) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE queues (name text PRIMARY KEY, weight int) WITH (reference);

CREATE TABLE loc (id int PRIMARY KEY, job_id bigint, tag text);

CREATE TABLE done (id bigint PRIMARY KEY, queue text, result text) WITH (shard_key = 'id', colocate_with = 'jobs');

INSERT INTO jobs (id, queue, prio, data) SELECT i, 'q' || i % 3, i % 7, jsonb_build_object('n', i) FROM generate_series(1, 60) i;

INSERT INTO parts SELECT i, j, i * j FROM generate_series(1, 60) i, generate_series(1, 2) j;

INSERT INTO owners SELECT i, 61 - i, 'o' || i % 4 FROM generate_series(1, 50) i;

INSERT INTO queues VALUES ('q0', 1), ('q1', 2), ('q2', 3);

INSERT INTO loc SELECT i, i * 2, 't' || i % 3 FROM generate_series(1, 30) i;

-- # rows in order, as many as are asked for
SELECT * FROM jobs WHERE state = 'new' ORDER BY prio DESC, id LIMIT 3 FOR UPDATE SKIP LOCKED;

SELECT id, queue FROM jobs WHERE queue = 'q1' ORDER BY prio, id DESC LIMIT 4 OFFSET 2 FOR NO KEY UPDATE;

SELECT id FROM jobs ORDER BY id FOR SHARE;

SELECT id, data FROM jobs ORDER BY id OFFSET 55 FOR KEY SHARE NOWAIT;

SELECT id + 1 AS next, * FROM jobs AS j ORDER BY 1 LIMIT 2 FOR UPDATE OF j NOWAIT;

SELECT j.*, id FROM jobs j WHERE id > 50 ORDER BY j.at, id DESC NULLS LAST FETCH FIRST 3 ROWS ONLY FOR UPDATE;

SELECT id FROM jobs ORDER BY prio, id FETCH FIRST 2 ROWS WITH TIES FOR UPDATE;

SELECT id FROM jobs ORDER BY id LIMIT ALL FOR UPDATE;

SELECT id FROM jobs ORDER BY id LIMIT NULL OFFSET NULL FOR UPDATE;

SELECT id FROM jobs ORDER BY id LIMIT 0 FOR UPDATE;

SELECT id FROM jobs WHERE queue = 'none' ORDER BY id LIMIT 3 FOR UPDATE SKIP LOCKED;

SELECT id FROM jobs ORDER BY id LIMIT 9223372036854775807 OFFSET 58 FOR UPDATE SKIP LOCKED;

-- refused row_lock
SELECT id FROM jobs ORDER BY id LIMIT (SELECT count(*) FROM loc WHERE tag = 't1') - 7 FOR UPDATE;

SELECT id, now() - now() AS zero FROM jobs WHERE at < now() ORDER BY id LIMIT 2 FOR UPDATE;

-- params: q1 | 2
SELECT id, data FROM jobs WHERE queue = $1 ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED;

-- params: 3::int4 | 1::int8 | 2::int8
SELECT *, $1::int + 1 AS more FROM jobs WHERE prio = $1 ORDER BY id LIMIT $2 OFFSET $3 FOR UPDATE;

-- # joins and subqueries
SELECT j.id, p.n, p.size FROM jobs j JOIN parts p ON p.job_id = j.id WHERE j.prio = 2 ORDER BY p.size, p.n LIMIT 5 FOR UPDATE;

SELECT * FROM jobs j JOIN owners o ON o.job_id = j.id WHERE o.name = 'o1' ORDER BY o.k FOR UPDATE OF j SKIP LOCKED;

SELECT j.id, o.* FROM jobs j JOIN owners o ON o.job_id = j.id WHERE o.name = 'o1' ORDER BY o.k LIMIT 4 FOR UPDATE OF j FOR SHARE OF o;

SELECT * FROM jobs NATURAL JOIN done FOR UPDATE;

SELECT * FROM owners o JOIN parts USING (job_id) WHERE o.k < 5 ORDER BY job_id, n FOR UPDATE;

SELECT j.id, q.weight FROM jobs j JOIN queues q ON q.name = j.queue ORDER BY q.weight DESC, j.id LIMIT 3 FOR UPDATE OF j;

SELECT j.id, q.weight FROM jobs j JOIN queues q ON q.name = j.queue ORDER BY q.weight DESC, j.id LIMIT 3 FOR UPDATE;

SELECT j.id, l.* FROM jobs j LEFT JOIN loc l ON l.job_id = j.id WHERE j.prio = 1 ORDER BY j.id FOR UPDATE OF j;

SELECT l.*, j.queue FROM jobs j, loc l WHERE l.job_id = j.id ORDER BY l.id LIMIT 3 FOR UPDATE;

SELECT id FROM jobs WHERE id IN (SELECT job_id FROM owners WHERE name = 'o2') ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED;

SELECT id, (SELECT max(size) FROM parts WHERE job_id = jobs.id) FROM jobs WHERE EXISTS (SELECT FROM owners WHERE job_id = jobs.id) ORDER BY id LIMIT 5 FOR UPDATE;

WITH some AS (SELECT job_id FROM owners WHERE name = 'o3' ORDER BY k LIMIT 3) SELECT j.id FROM jobs j JOIN some ON some.job_id = j.id ORDER BY 1 FOR UPDATE OF j;

SELECT a.id, b.id FROM jobs a JOIN jobs b ON b.id = a.id + 1 WHERE a.prio = 3 ORDER BY a.id FOR UPDATE OF a FOR SHARE OF b;

-- # rows as values
SELECT to_json(j), j, (j.*)::text FROM jobs j ORDER BY id LIMIT 2 FOR UPDATE;

SELECT *, j.* IS NULL FROM jobs j ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED;

SELECT row_to_json(p), j.id, q FROM jobs j JOIN parts p ON p.job_id = j.id JOIN queues q ON q.name = j.queue ORDER BY p.n, j.id LIMIT 3 FOR UPDATE OF p, j;

SELECT l.id, to_json(l), j FROM jobs j LEFT JOIN (loc l JOIN owners o ON o.job_id = l.id) ON l.job_id = j.id ORDER BY j.id LIMIT 5 FOR UPDATE OF j;

SELECT j FROM jobs j WHERE j IS NOT NULL AND EXISTS (SELECT FROM owners o WHERE o.job_id = j.id AND o IS NOT NULL) ORDER BY j LIMIT 2 FOR SHARE;

SELECT *, jobs FROM jobs ORDER BY 1 LIMIT 2 FOR UPDATE;

SELECT *, j FROM jobs j ORDER BY 1 DESC, 2 LIMIT 3 FOR SHARE OF j;

-- # of subqueries and views in FROM
SELECT * FROM (SELECT id, queue, prio FROM jobs WHERE queue = 'q1') s ORDER BY prio, id LIMIT 3 FOR UPDATE SKIP LOCKED;

SELECT s.id, s.n + 1 AS n, data FROM (SELECT *, prio * 2 AS n FROM jobs) AS s WHERE s.n > 4 ORDER BY s.n, s.id LIMIT 4 FOR UPDATE OF s;

SELECT * FROM (SELECT * FROM (SELECT id, prio FROM jobs j) a JOIN parts p ON p.job_id = a.id) b ORDER BY b.id, b.n LIMIT 4 FOR UPDATE;

SELECT s.id, o.name FROM (SELECT id, queue FROM jobs) s (id, q) JOIN owners o ON o.job_id = s.id WHERE q = 'q2' ORDER BY o.k LIMIT 3 FOR UPDATE OF s FOR SHARE OF o;

SELECT o.name, s.* FROM owners o, LATERAL (SELECT * FROM jobs WHERE id = o.job_id AND prio > 2) s ORDER BY o.k LIMIT 3 FOR NO KEY UPDATE;

SELECT s.id FROM (SELECT id, job_id FROM loc) s JOIN jobs j ON j.id = s.job_id ORDER BY s.id LIMIT 3 FOR UPDATE;

SELECT * FROM (VALUES (1), (4)) v (id) JOIN jobs j USING (id) ORDER BY id FOR UPDATE;

SELECT j.id, s FROM jobs j, (SELECT k FROM owners) s WHERE s.k = j.id ORDER BY j.id LIMIT 2 FOR UPDATE OF j;

SELECT s FROM (SELECT id, prio FROM jobs) s WHERE id < 4 ORDER BY id FOR UPDATE;

SELECT to_json(s), s.id FROM (SELECT * FROM jobs WHERE prio = 1 ORDER BY id LIMIT 2) s ORDER BY id FOR UPDATE SKIP LOCKED;

SELECT * FROM (SELECT id FROM jobs ORDER BY prio DESC, id LIMIT 3) s ORDER BY 1 FOR UPDATE;

SELECT * FROM (SELECT id FROM jobs ORDER BY prio DESC, id LIMIT 3) s JOIN (SELECT job_id FROM owners OFFSET 0) o ON o.job_id = s.id ORDER BY 1 FOR UPDATE;

SELECT * FROM (SELECT DISTINCT queue FROM jobs) s FOR UPDATE;

SELECT * FROM (SELECT queue, count(*) FROM jobs GROUP BY queue) s JOIN jobs USING (queue) FOR UPDATE;

SELECT j.id FROM jobs j LEFT JOIN (SELECT job_id FROM owners) s ON s.job_id = j.id ORDER BY 1 FOR UPDATE;

SELECT j.id, s.k FROM jobs j LEFT JOIN (SELECT k, job_id FROM owners) s ON s.job_id = j.id ORDER BY 1 LIMIT 3 FOR UPDATE OF j;

-- params: 3 | 2
SELECT s.id FROM (SELECT id, prio FROM jobs WHERE prio < $1) s ORDER BY prio, id LIMIT $2 FOR UPDATE SKIP LOCKED;

CREATE VIEW open_jobs AS SELECT id, queue, prio AS priority FROM jobs WHERE state = 'new';

CREATE VIEW urgent AS SELECT o.*, p.size FROM open_jobs o JOIN parts p ON p.job_id = o.id AND p.n = 1 WHERE priority > 3;

CREATE VIEW tagged AS SELECT id, tag FROM loc WHERE id > 3;

SELECT * FROM open_jobs ORDER BY priority DESC, id LIMIT 3 FOR UPDATE SKIP LOCKED;

SELECT u.id, u.size FROM urgent u ORDER BY size LIMIT 3 FOR UPDATE OF u;

SELECT u.id, t.tag FROM urgent u JOIN tagged t ON t.id = u.id ORDER BY u.id LIMIT 3 FOR SHARE;

SELECT id FROM open_jobs WHERE id = 7 FOR UPDATE;

CREATE VIEW counted AS SELECT queue, count(*) FROM jobs GROUP BY queue;

-- refused run_first
SELECT * FROM counted ORDER BY queue FOR UPDATE;

CREATE ROLE locks_eve;

GRANT USAGE ON SCHEMA locks TO locks_eve;

GRANT SELECT ON open_jobs TO locks_eve;

ALTER VIEW open_jobs SET (security_invoker = true);

GRANT SELECT ON jobs TO locks_eve;

SET ROLE locks_eve;

SELECT id FROM open_jobs ORDER BY id LIMIT 2 FOR UPDATE;

RESET ROLE;

GRANT UPDATE ON jobs TO locks_eve;

SET ROLE locks_eve;

SELECT id FROM open_jobs ORDER BY id LIMIT 2 FOR UPDATE;

RESET ROLE;

GRANT UPDATE ON open_jobs TO locks_eve;

SET ROLE locks_eve;

SELECT id FROM open_jobs ORDER BY id LIMIT 2 FOR UPDATE;

RESET ROLE;

ALTER VIEW open_jobs SET (security_invoker = false);

SET ROLE locks_eve;

-- refused row_lock
SELECT id FROM open_jobs ORDER BY id LIMIT 2 FOR UPDATE;

RESET ROLE;

DROP VIEW urgent, open_jobs, tagged, counted;

REVOKE ALL ON jobs FROM locks_eve;

REVOKE ALL ON SCHEMA locks FROM locks_eve;

DROP ROLE locks_eve;

-- # in cursors
DECLARE c CURSOR FOR SELECT id FROM jobs ORDER BY id FOR UPDATE;

BEGIN;

DECLARE c CURSOR FOR SELECT id, queue, data FROM jobs ORDER BY prio DESC, id LIMIT 5 FOR UPDATE SKIP LOCKED;

FETCH 2 FROM c;

FETCH c;

MOVE FORWARD 1 FROM c;

FETCH ALL FROM c;

FETCH NEXT FROM c;

CLOSE c;

DECLARE c BINARY NO SCROLL CURSOR FOR SELECT j.*, o.name FROM jobs j JOIN owners o ON o.job_id = j.id WHERE o.k < 4 ORDER BY o.k FOR SHARE OF j;

FETCH 3 FROM c;

ROLLBACK;

BEGIN;

DECLARE c CURSOR FOR SELECT upper(s.queue) AS u, s FROM (SELECT id, queue FROM jobs) s WHERE id IN (3, 4, 5) ORDER BY s.id FOR UPDATE;

FETCH ALL FROM c;

SAVEPOINT a;

FETCH BACKWARD 1 FROM c;

ROLLBACK TO a;

UPDATE jobs SET tries = 9 WHERE id = 3 AND tries = 0 RETURNING id, tries;

DECLARE c CURSOR FOR SELECT id FROM jobs ORDER BY id FOR UPDATE;

ROLLBACK;

BEGIN;

DECLARE c SCROLL CURSOR FOR SELECT id FROM jobs ORDER BY id FOR UPDATE;

ROLLBACK;

BEGIN;

DECLARE c CURSOR WITH HOLD FOR SELECT id FROM jobs ORDER BY id FOR UPDATE;

ROLLBACK;

BEGIN;

DECLARE c CURSOR FOR SELECT id FROM jobs ORDER BY id FOR UPDATE;

FETCH 2 FROM c;

-- refused current_of
UPDATE jobs SET tries = tries + 1 WHERE CURRENT OF c;

ROLLBACK;

-- # what Postgres does not do
SELECT DISTINCT queue FROM jobs ORDER BY queue FOR UPDATE;

SELECT queue, count(*) FROM jobs GROUP BY queue ORDER BY queue FOR UPDATE;

SELECT id FROM jobs UNION SELECT k FROM owners ORDER BY 1 FOR UPDATE;

SELECT id FROM jobs ORDER BY id LIMIT 3 FOR UPDATE OF nobody;

SELECT nothing FROM jobs ORDER BY id LIMIT 3 FOR UPDATE;

SELECT l.id FROM loc l LEFT JOIN jobs j ON l.job_id = j.id ORDER BY l.id FOR UPDATE;

SELECT id FROM jobs ORDER BY id LIMIT -1 FOR UPDATE;

SELECT id FROM jobs ORDER BY id OFFSET -1 FOR UPDATE;

SELECT l.id, j.queue FROM loc l LEFT JOIN jobs j ON l.job_id = j.id WHERE j.prio > 3 ORDER BY l.id FOR UPDATE;

SELECT id, 1 / (prio - prio) FROM jobs ORDER BY id LIMIT 2 FOR UPDATE;

-- # in transactions
BEGIN;

INSERT INTO jobs (id, queue, prio) VALUES (100, 'new', 99), (101, 'new', 98);

UPDATE jobs SET prio = 97 WHERE id = 5;

SELECT id, queue, prio FROM jobs ORDER BY prio DESC, id LIMIT 4 FOR UPDATE SKIP LOCKED;

UPDATE jobs SET prio = 0 WHERE id = 100;

SELECT id, queue, prio FROM jobs ORDER BY prio DESC, id LIMIT 4 FOR UPDATE;

SAVEPOINT a;

SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE OF nobody;

ROLLBACK TO a;

SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

SELECT id FROM jobs ORDER BY prio DESC, id LIMIT 4 FOR UPDATE SKIP LOCKED;

UPDATE jobs SET tries = tries + 1 WHERE id = 6;

SELECT id, tries FROM jobs ORDER BY prio DESC, id LIMIT 4 FOR UPDATE;

COMMIT;

BEGIN ISOLATION LEVEL SERIALIZABLE;

SELECT id, tries FROM jobs ORDER BY prio DESC, id LIMIT 4 FOR NO KEY UPDATE;

COMMIT;

BEGIN READ ONLY;

SELECT id FROM jobs ORDER BY id LIMIT 1 FOR SHARE;

ROLLBACK;

BEGIN READ ONLY;

SELECT id FROM jobs WHERE prio = -1 ORDER BY id LIMIT 1 FOR SHARE;

ROLLBACK;

-- # rights
CREATE ROLE locks_bob;

GRANT USAGE ON SCHEMA locks TO locks_bob;

GRANT SELECT ON jobs TO locks_bob;

SET ROLE locks_bob;

SELECT id FROM jobs ORDER BY id LIMIT 2 FOR UPDATE;

SELECT id FROM jobs WHERE prio = -1 ORDER BY id LIMIT 2 FOR UPDATE;

RESET ROLE;

GRANT UPDATE (state) ON jobs TO locks_bob;

CREATE TABLE pol (id int PRIMARY KEY, own text) WITH (shard_key = 'id');

INSERT INTO pol SELECT i, CASE WHEN i % 7 = 0 THEN 'bob' ELSE 'eve' END FROM generate_series(1, 100) i;

GRANT SELECT, UPDATE ON pol TO locks_bob;

ALTER TABLE pol ENABLE ROW LEVEL SECURITY;

CREATE POLICY a ON pol FOR SELECT USING (id <= 90);

CREATE POLICY b ON pol FOR UPDATE USING (own = 'bob');

SET ROLE locks_bob;

SELECT id FROM jobs ORDER BY id LIMIT 2 FOR UPDATE;

SELECT id FROM pol ORDER BY id LIMIT 3 FOR UPDATE;

SELECT id FROM pol ORDER BY id DESC LIMIT 3 OFFSET 1 FOR UPDATE SKIP LOCKED;

SELECT id FROM pol ORDER BY id FOR UPDATE;

RESET ROLE;

DROP TABLE pol;

REVOKE ALL ON jobs FROM locks_bob;

REVOKE ALL ON SCHEMA locks FROM locks_bob;

DROP ROLE locks_bob;

-- # partitions
CREATE TABLE parted (id int, y int, v int, PRIMARY KEY (id, y)) PARTITION BY RANGE (y);

CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);

CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);

INSERT INTO parted SELECT i, j, i + j FROM generate_series(1, 10) i, generate_series(8, 12) j;

SELECT p.*, j.prio FROM parted p JOIN jobs j ON j.id = p.id ORDER BY p.y, p.id LIMIT 12 FOR UPDATE OF p;

-- # what has no exact meaning this way
-- refused system_column
SELECT ctid FROM jobs ORDER BY id LIMIT 2 FOR UPDATE;

-- # functions over the rows that are locked
CREATE FUNCTION doubled(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';

CREATE FUNCTION told(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN 'told ' || $1; END $$;

CREATE SEQUENCE given;

SELECT doubled(id), queue FROM jobs ORDER BY id LIMIT 3 FOR UPDATE;

SELECT id, told(queue) AS said, doubled(jobs.id) + 1 FROM jobs WHERE id < 6 ORDER BY jobs.id DESC FOR NO KEY UPDATE SKIP LOCKED;

SELECT told(queue) AS queue, id AS n FROM jobs ORDER BY 2 LIMIT 2 FOR UPDATE NOWAIT;

SELECT nextval('given'), id FROM jobs ORDER BY id LIMIT 3 FOR UPDATE;

SELECT currval('given');

-- params: 2::int8 | 3::int8
SELECT doubled(id + $1), $2 AS given FROM jobs ORDER BY id LIMIT $2 FOR UPDATE;

UPDATE jobs SET queue = queue WHERE id IN (SELECT doubled(id) FROM jobs ORDER BY id LIMIT 2 FOR UPDATE) RETURNING id;

SELECT doubled(max(id)) FROM jobs FOR UPDATE;

SELECT doubled(nothing) FROM jobs FOR UPDATE;

-- refused user_function
SELECT told(queue) AS q FROM jobs ORDER BY q LIMIT 1 FOR UPDATE;

-- refused user_function
SELECT id FROM jobs WHERE doubled(id) < 8 ORDER BY id FOR UPDATE;
