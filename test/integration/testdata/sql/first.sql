-- # tables
CREATE TYPE job_state AS ENUM ('new', 'busy', 'done');

CREATE TABLE jobs (id bigint PRIMARY KEY, queue text, prio int, state job_state DEFAULT 'new', at timestamptz DEFAULT '2024-05-06', tries int DEFAULT 0, data jsonb, tags text[]) WITH (shard_key = 'id');

CREATE TABLE log (job_id bigint, n int, what text, PRIMARY KEY (job_id, n)) WITH (shard_key = 'job_id', colocate_with = 'jobs');

CREATE TABLE arch (k bigint PRIMARY KEY, queue text, data jsonb, state job_state) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE queues (name text PRIMARY KEY, busy int DEFAULT 0, owner text) WITH (shard_key = 'name');

CREATE TABLE loc (id int PRIMARY KEY, job_id bigint, tag text);

CREATE TABLE kinds (name text PRIMARY KEY, weight int) WITH (reference);

INSERT INTO jobs (id, queue, prio, data, tags) SELECT i, 'q' || i % 3, i % 7, jsonb_build_object('n', i, 't', 'it''s \ "so"'), ARRAY['a' || i, NULL, 'b"\'] FROM generate_series(1, 90) i;

INSERT INTO queues SELECT 'q' || i FROM generate_series(0, 4) i;

INSERT INTO loc SELECT i, i * 2, 't' || i % 3 FROM generate_series(1, 30) i;

INSERT INTO kinds VALUES ('q0', 1), ('q1', 2), ('q2', 3);

-- # as libraries of queues write it
UPDATE jobs SET state = 'busy', tries = tries + 1 WHERE id = (SELECT id FROM jobs WHERE state = 'new' ORDER BY prio DESC, id FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING *;

UPDATE jobs SET state = 'busy' WHERE id IN (SELECT id FROM jobs WHERE state = 'new' AND queue = 'q1' ORDER BY prio DESC, id FOR UPDATE SKIP LOCKED LIMIT 4) RETURNING id, state, data, tags;

WITH next AS (SELECT id FROM jobs WHERE state < 'busy' AND at < now() ORDER BY prio DESC, at, id LIMIT 3 FOR UPDATE SKIP LOCKED) UPDATE jobs j SET state = 'busy', tries = CASE WHEN j.tries > 0 THEN tries + 1 ELSE tries END FROM next WHERE j.id = next.id RETURNING j.*;

WITH locked_jobs AS (SELECT * FROM jobs WHERE state = 'new' ORDER BY prio, id LIMIT 3 FOR UPDATE SKIP LOCKED) UPDATE jobs SET state = 'busy', data = locked_jobs.data || '{"x": 1}', tags = locked_jobs.tags FROM locked_jobs WHERE jobs.id = locked_jobs.id RETURNING jobs.*;

UPDATE jobs AS j SET state = 'done' FROM (SELECT s.id FROM jobs s WHERE s.state = 'busy' ORDER BY s.id LIMIT 2 FOR UPDATE SKIP LOCKED) AS f WHERE f.id = j.id RETURNING j.id, j.state;

DELETE FROM jobs USING (SELECT id FROM jobs WHERE state = 'done' ORDER BY id LIMIT 5 FOR UPDATE SKIP LOCKED) gone WHERE gone.id = jobs.id RETURNING jobs.id, jobs.state;

DELETE FROM jobs WHERE id = (SELECT id FROM jobs WHERE state = 'busy' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, queue, data;

UPDATE jobs SET state = 'busy' WHERE id = ANY (ARRAY(SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED)) RETURNING id;

UPDATE jobs SET state = 'busy' WHERE id = (SELECT id FROM jobs WHERE state = 'new' AND queue = 'none' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING *;

UPDATE jobs SET state = 'busy' WHERE id IN (SELECT id FROM jobs WHERE queue = 'none' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED);

-- params: q0 | 2
WITH next AS (SELECT id FROM jobs WHERE queue = $1 AND state = 'new' ORDER BY prio DESC, id LIMIT $2 FOR UPDATE SKIP LOCKED) UPDATE jobs j SET tries = tries + 1, at = at + (now() - now()) FROM next WHERE queue = $1 AND j.id = next.id RETURNING j.id, j.tries, now() > next.id * interval '1 day' + j.at AS new;

-- params: 3::int4 | q2::text | x::text
UPDATE jobs SET tags = tags || $3, tries = tries + $1 WHERE id IN (SELECT id FROM jobs WHERE queue = $2 ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id, tries, tags;

WITH j AS (SELECT id, queue FROM jobs WHERE state = 'new' ORDER BY prio, id LIMIT 1 FOR UPDATE SKIP LOCKED), q AS (UPDATE queues SET busy = busy + 1, owner = 'me' FROM j WHERE queues.name = j.queue) UPDATE jobs SET tries = tries + 1, state = 'busy' FROM j WHERE jobs.id = j.id RETURNING jobs.*;

TABLE queues;

WITH c AS (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED), u AS (UPDATE jobs SET state = 'busy' FROM c WHERE jobs.id = c.id RETURNING jobs.id, jobs.queue) SELECT id, queue FROM u ORDER BY id;

SELECT * FROM jobs;

-- # locks of other tables, and of several levels
UPDATE jobs SET tries = 9 WHERE id IN (SELECT job_id FROM loc WHERE tag = 't1' ORDER BY id LIMIT 3 FOR UPDATE) RETURNING id;

INSERT INTO log SELECT id, 1, queue FROM jobs WHERE queue = 'q1' ORDER BY (id) LIMIT 4 FOR UPDATE RETURNING *;

INSERT INTO arch (k, queue, state) SELECT id, queue, state FROM jobs ORDER BY id DESC LIMIT 3 FOR SHARE SKIP LOCKED;

INSERT INTO loc SELECT id + 1000, id, queue FROM jobs WHERE queue = 'none' ORDER BY id LIMIT 3 FOR UPDATE;

SELECT (SELECT queue FROM jobs ORDER BY id LIMIT 1 FOR UPDATE) AS q, ARRAY(SELECT id FROM jobs ORDER BY id LIMIT 2 FOR UPDATE) AS ids, EXISTS (SELECT FROM jobs ORDER BY id LIMIT 1 FOR UPDATE) AS some;

SELECT x.id, x.queue FROM (SELECT * FROM jobs ORDER BY id LIMIT 3 FOR UPDATE) x WHERE x.id > 4 ORDER BY 1;

SELECT name FROM queues WHERE name IN (SELECT queue FROM jobs ORDER BY id LIMIT 1 FOR UPDATE) ORDER BY name LIMIT 1 FOR UPDATE;

SELECT id FROM jobs WHERE queue = (SELECT queue FROM jobs ORDER BY id, prio LIMIT 3 FOR UPDATE);

WITH a AS (SELECT id FROM jobs ORDER BY id LIMIT 3 FOR UPDATE), b AS (SELECT id FROM a WHERE id > 4), c AS (SELECT name FROM queues WHERE name IN (SELECT queue FROM jobs JOIN b USING (id)) ORDER BY name LIMIT 1 FOR UPDATE) SELECT b.id, c.name FROM b, c ORDER BY 1;

-- # what a WITH query has written
WITH moved AS (DELETE FROM jobs WHERE queue = 'q2' AND prio = 3 RETURNING *) INSERT INTO arch SELECT id, queue, data, state FROM moved;

TABLE arch;

WITH moved AS (DELETE FROM arch WHERE k > 50 RETURNING *) INSERT INTO jobs (id, queue, data, state) SELECT k + 1000, queue, data, state FROM moved RETURNING *;

WITH u AS (UPDATE jobs SET tries = tries + 1 WHERE queue = 'q0' RETURNING id, tries, data, tags) SELECT * FROM u ORDER BY id;

WITH u AS (UPDATE jobs SET tries = tries + 1 WHERE queue = 'q0' RETURNING *) SELECT state, count(*), sum(tries), min(at) FROM u GROUP BY state ORDER BY state;

WITH i AS (INSERT INTO arch SELECT i + 5000, 'new', NULL, 'done' FROM generate_series(1, 6) i RETURNING k, queue) INSERT INTO log SELECT k, 7, queue FROM i RETURNING *;

WITH i AS (INSERT INTO arch (k) VALUES (6001), (6002), (6003) RETURNING k), l AS (INSERT INTO log SELECT k, 1, 'i' FROM i RETURNING job_id) SELECT count(*) FROM l;

WITH d AS (DELETE FROM log WHERE n = 7 RETURNING job_id), u AS (UPDATE queues SET busy = busy + (SELECT count(*) FROM d) RETURNING name, busy) SELECT * FROM u ORDER BY name;

WITH src AS (SELECT id, tries FROM jobs WHERE queue = 'q1' AND prio = 2), u AS (UPDATE log SET what = 'seen' FROM src WHERE log.job_id = src.id RETURNING job_id) INSERT INTO log SELECT id, 8, 'added' FROM src WHERE id NOT IN (SELECT job_id FROM u) RETURNING *;

WITH d AS (DELETE FROM loc WHERE job_id IN (SELECT id FROM jobs WHERE queue = 'q0') RETURNING id, job_id) UPDATE jobs SET prio = 77 FROM d WHERE d.job_id = jobs.id RETURNING jobs.id, d.id, prio;

WITH gone AS (DELETE FROM jobs WHERE queue = 'none' RETURNING id) SELECT count(*) FROM gone;

WITH a AS (DELETE FROM jobs WHERE id < 5), b AS (UPDATE queues SET busy = 0) SELECT 1 AS one;

-- params: q1 | 5
WITH u AS (UPDATE jobs SET tries = tries + $2 WHERE queue = $1 AND prio < 3 RETURNING id, tries) SELECT id, tries, $1::text AS q FROM u WHERE id > $2 ORDER BY id LIMIT $2;

WITH k AS (INSERT INTO queues (name) VALUES ('q7'), ('q8'), ('q9') ON CONFLICT DO NOTHING RETURNING name) SELECT * FROM k ORDER BY name;

SELECT * FROM jobs;

TABLE log;

TABLE arch;

TABLE queues;

-- # in transactions
BEGIN;

UPDATE jobs SET state = 'done' WHERE id IN (SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED) RETURNING id;

WITH u AS (UPDATE jobs SET tries = 0 WHERE state = 'done' RETURNING id, tries) SELECT * FROM u;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

WITH l AS (SELECT id FROM jobs ORDER BY id DESC LIMIT 5 FOR UPDATE) SELECT l.id, k.weight FROM l JOIN jobs USING (id) JOIN kinds k ON k.name = jobs.queue ORDER BY 1;

WITH u AS (UPDATE queues SET busy = busy + 1 RETURNING name) SELECT count(*) FROM jobs WHERE queue IN (SELECT name FROM u);

COMMIT;

WITH u AS (UPDATE queues SET busy = busy + 1 RETURNING name) SELECT count(*) FROM jobs WHERE queue IN (SELECT name FROM u);

TABLE queues;

-- # collations
CREATE TABLE coll (k int PRIMARY KEY, c text COLLATE "C", d text) WITH (shard_key = 'k');

INSERT INTO coll VALUES (1, 'a', 'a'), (2, 'B', 'B'), (3, 'c', 'c'), (4, 'D', 'D');

WITH u AS (UPDATE coll SET d = d RETURNING k, c) SELECT c FROM u ORDER BY c;

-- refused run_first
WITH u AS (UPDATE coll SET d = d RETURNING upper(c) AS u) SELECT u FROM u ORDER BY u;

-- # what is wrong is told as by one Postgres
WITH next AS (SELECT id FROM jobs WHERE nothing = 1 LIMIT 3 FOR UPDATE) UPDATE jobs SET tries = 0 FROM next WHERE next.id = jobs.id;

WITH next AS (SELECT id FROM jobs ORDER BY id LIMIT 3 FOR UPDATE) UPDATE jobs SET nothing = 0 FROM next WHERE next.id = jobs.id;

UPDATE jobs SET tries = 0 WHERE id = (SELECT id FROM jobs ORDER BY id LIMIT 2 FOR UPDATE);

WITH u AS (UPDATE jobs SET tries = 1 / (tries - tries) RETURNING id) SELECT count(*) FROM u;

WITH i AS (INSERT INTO arch (k) VALUES (6001), (7777) RETURNING k) SELECT count(*) FROM i;

WITH l AS (SELECT count(*) FROM jobs FOR UPDATE) SELECT * FROM l;

SELECT count(*) FROM arch;

-- # keys between tables
CREATE TABLE par (id int PRIMARY KEY, n int) WITH (shard_key = 'id');

CREATE TABLE chi (par_id int REFERENCES par ON DELETE CASCADE, n int, PRIMARY KEY (par_id, n)) WITH (shard_key = 'par_id', colocate_with = 'par');

WITH p AS (INSERT INTO par SELECT i, i FROM generate_series(1, 9) i RETURNING id) INSERT INTO chi SELECT id, 1 FROM p RETURNING *;

WITH p AS (UPDATE par SET n = n + 1 WHERE n > 4 RETURNING id) INSERT INTO chi SELECT id, 2 FROM p RETURNING *;

WITH c AS (DELETE FROM chi WHERE n = 2 RETURNING par_id) DELETE FROM par WHERE id IN (SELECT par_id FROM c) RETURNING *;

-- refused with_write
WITH p AS (DELETE FROM par RETURNING id) DELETE FROM chi WHERE n > 1;

-- refused with_write
WITH c AS (INSERT INTO chi SELECT i, 2 FROM generate_series(50, 53) i RETURNING par_id) INSERT INTO par SELECT par_id, 0 FROM c;

TABLE par;

TABLE chi;

-- # what has no exact meaning this way
WITH u AS (UPDATE jobs SET tries = 100 WHERE queue = 'q0' RETURNING id) SELECT sum(tries) FROM jobs;

WITH u AS (UPDATE jobs SET tries = 100 WHERE queue = 'q0' RETURNING id) UPDATE jobs SET prio = 0 FROM u WHERE u.id = jobs.id;

-- refused run_first
SELECT id, (SELECT what FROM log WHERE log.job_id = jobs.prio LIMIT 1 FOR UPDATE) FROM jobs;

BEGIN;

-- refused with_write
WITH l AS (SELECT id FROM jobs ORDER BY id LIMIT 5 FOR UPDATE) SELECT l.id, q.busy FROM l, queues q;

ROLLBACK;
