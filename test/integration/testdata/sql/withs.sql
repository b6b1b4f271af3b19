-- # tables
CREATE TABLE t (id bigint PRIMARY KEY, grp int, v text, n int DEFAULT 0) WITH (shard_key = 'id');

CREATE TABLE names (name text PRIMARY KEY, id uuid DEFAULT gen_random_uuid(), seen int DEFAULT 1) WITH (shard_key = 'name');

CREATE TABLE q (id int PRIMARY KEY, job text, prio int) WITH (shard_key = 'id');

CREATE TABLE parents (id bigserial PRIMARY KEY, name text UNIQUE) WITH (reference);

CREATE TABLE owners (id bigint PRIMARY KEY, name text) WITH (shard_key = 'id');

CREATE TABLE kids (owner_id bigint REFERENCES owners ON DELETE CASCADE, n int, what text, PRIMARY KEY (owner_id, n)) WITH (shard_key = 'owner_id', colocate_with = 'owners');

CREATE TABLE tags (id int PRIMARY KEY, label text, n int DEFAULT 0) WITH (reference);

CREATE TABLE loc (id int PRIMARY KEY, label text);

INSERT INTO t SELECT i, i % 5, 'v' || i, i FROM generate_series(1, 40) i;

INSERT INTO q SELECT i, 'job' || i, i % 4 FROM generate_series(1, 20) i;

INSERT INTO owners SELECT i, 'o' || i FROM generate_series(1, 10) i;

INSERT INTO kids SELECT i, 1, 'k' FROM generate_series(1, 10) i;

INSERT INTO tags SELECT i, 'l' || i FROM generate_series(1, 5) i;

INSERT INTO loc SELECT i, 'l' || i FROM generate_series(1, 6) i;

-- # the upsert of old
WITH upd AS (UPDATE t SET n = n + 1 WHERE id = ANY (ARRAY[1, 2, 100]) RETURNING *) INSERT INTO t (id, v) SELECT x, 'new' FROM unnest(ARRAY[1, 2, 100]) x WHERE NOT EXISTS (SELECT FROM upd WHERE upd.id = x);

WITH upd AS (UPDATE t SET n = n + 1 WHERE id = 101 RETURNING *) INSERT INTO t (id, grp, v) SELECT 101, 7, 'one' WHERE NOT EXISTS (SELECT * FROM upd);

WITH upd AS (UPDATE t SET n = n + 1 WHERE id = 101 RETURNING *) INSERT INTO t (id, grp, v) SELECT 101, 7, 'one' WHERE NOT EXISTS (SELECT * FROM upd) RETURNING *;

WITH new (id, v) AS (VALUES (3::bigint, 'three'), (103, 'hundred'), (104, 'more')), upd AS (UPDATE t SET v = new.v FROM new WHERE t.id = new.id RETURNING t.id) INSERT INTO t (id, v) SELECT id, v FROM new WHERE NOT EXISTS (SELECT 1 FROM upd WHERE upd.id = new.id) RETURNING id, v;

-- params: 105::int8 | given::text
WITH upd AS (UPDATE t SET v = $2 WHERE id = $1 RETURNING *) INSERT INTO t (id, v) SELECT $1, $2 WHERE NOT EXISTS (SELECT * FROM upd);

-- params: 105::int8 | again::text
WITH upd AS (UPDATE t SET v = $2 WHERE id = $1 RETURNING *) INSERT INTO t (id, v) SELECT $1, $2 WHERE NOT EXISTS (SELECT * FROM upd);

WITH upd AS (UPDATE t SET n = n + 1 WHERE grp = 2 RETURNING id) INSERT INTO t (id, v) SELECT id + 1000, v FROM t WHERE grp = 2 AND id NOT IN (SELECT id FROM upd WHERE id < 20);

WITH upd AS (UPDATE t SET n = n + 1000 WHERE grp = 3 RETURNING id) INSERT INTO t (id, v, n) SELECT t.id + 2000, t.v, t.n FROM t JOIN upd USING (id) RETURNING *;

TABLE t;

-- # get or create
WITH ins AS (INSERT INTO names (name, id) VALUES ('ann', '11111111-1111-1111-1111-111111111111') ON CONFLICT DO NOTHING RETURNING id) SELECT id FROM ins UNION ALL SELECT id FROM names WHERE name = 'ann';

WITH ins AS (INSERT INTO names (name, id) VALUES ('ann', '21111111-1111-1111-1111-111111111111') ON CONFLICT DO NOTHING RETURNING id) SELECT id FROM ins UNION ALL SELECT id FROM names WHERE name = 'ann';

WITH ins AS (INSERT INTO names (name, id) VALUES ('ann', NULL), ('bob', '31111111-1111-1111-1111-111111111111'), ('cat', NULL) ON CONFLICT (name) DO NOTHING RETURNING name, id) SELECT 'new' AS how, * FROM ins UNION ALL SELECT 'old', name, id FROM names WHERE name IN ('ann', 'bob', 'cat');

-- params: dan::text
WITH ins AS (INSERT INTO names (name, id) VALUES ($1, '41111111-1111-1111-1111-111111111111') ON CONFLICT DO NOTHING RETURNING id) SELECT id, true AS made FROM ins UNION ALL SELECT id, false FROM names WHERE name = $1 LIMIT 1;

-- params: dan::text
WITH ins AS (INSERT INTO names (name, id) VALUES ($1, '51111111-1111-1111-1111-111111111111') ON CONFLICT DO NOTHING RETURNING id) SELECT id, true AS made FROM ins UNION ALL SELECT id, false FROM names WHERE name = $1 LIMIT 1;

WITH ins AS (INSERT INTO names (name, id, seen) VALUES ('eve', NULL, 3) ON CONFLICT (name) DO UPDATE SET seen = names.seen + 1 RETURNING *) SELECT ins.*, (SELECT count(*) FROM names) AS before FROM ins;

WITH input (name) AS (VALUES ('ann'), ('fay'), ('guy')), ins AS (INSERT INTO names (name, id) SELECT name, NULL FROM input ON CONFLICT DO NOTHING RETURNING name, seen) SELECT name, seen FROM ins UNION ALL SELECT n.name, n.seen FROM input JOIN names n USING (name) ORDER BY 1;

WITH sel AS (SELECT id, name FROM names WHERE name = 'hal'), ins AS (INSERT INTO names (name, id) SELECT 'hal', '61111111-1111-1111-1111-111111111111' WHERE NOT EXISTS (SELECT FROM sel) RETURNING id, name) SELECT id, name FROM ins UNION ALL SELECT id, name FROM sel;

WITH sel AS (SELECT id, name FROM names WHERE name = 'hal'), ins AS (INSERT INTO names (name, id) SELECT 'hal', '71111111-1111-1111-1111-111111111111' WHERE NOT EXISTS (SELECT FROM sel) RETURNING id, name) SELECT id, name FROM ins UNION ALL SELECT id, name FROM sel;

TABLE names;

-- # what was there before
WITH del AS (DELETE FROM q WHERE prio = 3 RETURNING *) SELECT del.id, del.job, (SELECT count(*) FROM q) AS before FROM del ORDER BY id;

WITH del AS (DELETE FROM q WHERE prio = 2 RETURNING *) SELECT count(*) AS gone, (SELECT count(*) FROM q) AS before, (SELECT max(id) FROM q WHERE prio = 2) FROM del;

WITH u AS (UPDATE q SET prio = prio + 10 RETURNING id, prio) SELECT q.id, q.prio AS old, u.prio AS new FROM q JOIN u USING (id) ORDER BY 1;

WITH u AS (UPDATE q SET prio = prio - 10 WHERE id < 5 RETURNING *) SELECT * FROM q EXCEPT SELECT * FROM u ORDER BY id;

WITH u AS (UPDATE q SET prio = 0 WHERE id = 1) SELECT * FROM q ORDER BY id LIMIT 3;

WITH u AS (UPDATE q SET prio = 5 WHERE id = 1) TABLE q;

WITH i AS (INSERT INTO q SELECT i, 'more', 7 FROM generate_series(50, 55) i) SELECT count(*) FROM q;

WITH i AS (INSERT INTO q VALUES (60, 'x', 7)) SELECT count(*), sum(prio) FROM q;

SELECT count(*) FROM q;

WITH u AS (UPDATE q SET prio = 1 WHERE id = 60 RETURNING *) SELECT q.* FROM q WHERE EXISTS (SELECT FROM u WHERE u.id = q.id);

WITH d AS (DELETE FROM q WHERE id > 50 RETURNING id), c AS (SELECT count(*) AS n FROM q) SELECT d.id, c.n FROM d, c ORDER BY 1;

WITH c AS (SELECT count(*) AS n FROM q), d AS (DELETE FROM q WHERE id > 40 RETURNING id) SELECT d.id, c.n FROM d, c ORDER BY 1;

WITH u AS (UPDATE q SET job = 'done' WHERE prio > 5 RETURNING id, job) SELECT job, count(*), (SELECT array_agg(DISTINCT job ORDER BY job) FROM q WHERE q.id IN (SELECT id FROM u)) FROM u GROUP BY job;

TABLE q;

-- # writes of the same table twice
WITH u AS (UPDATE t SET n = 100 WHERE grp = 0 RETURNING id) UPDATE t SET v = 'other' FROM u WHERE t.id = u.id + 1 RETURNING t.id, t.v, t.n;

WITH u AS (UPDATE t SET n = 101 WHERE grp = 0 RETURNING id) UPDATE t SET v = 'none' FROM u WHERE t.id = u.id;

WITH d AS (DELETE FROM t WHERE grp = 1 RETURNING *) INSERT INTO t SELECT id, grp + 20, v, n FROM d RETURNING id, grp;

WITH d AS (DELETE FROM t WHERE id = 4 RETURNING *) UPDATE t SET n = t.n + d.n FROM d WHERE t.id = d.id + 1 RETURNING t.*;

WITH a AS (UPDATE t SET n = 1 WHERE id = 7 RETURNING n), b AS (UPDATE t SET n = 2 WHERE id = 8 RETURNING n) SELECT a.n, b.n, (SELECT sum(n) FROM t WHERE id IN (7, 8)) FROM a, b;

-- refused with_write
WITH i AS (INSERT INTO t (id, v) VALUES (500, 'i') RETURNING id) UPDATE t SET v = 'seen' WHERE id >= 500 AND id < 600;

WITH i AS (INSERT INTO t (id, v) VALUES (501, 'i') RETURNING id) DELETE FROM t USING i WHERE t.id >= 500 AND t.id < 600 RETURNING t.id;

TABLE t;

-- # writes that nobody reads, beside an INSERT into the same table: they come last
CREATE TABLE seats (id int PRIMARY KEY, grp int, who text) WITH (shard_key = 'id');

INSERT INTO seats SELECT i, i % 3, 'w' || i FROM generate_series(1, 9) i;

WITH d AS (DELETE FROM seats WHERE grp = 1) INSERT INTO seats VALUES (4, 1, 'again'), (20, 1, 'new');

WITH d AS (DELETE FROM seats WHERE grp = 1) INSERT INTO seats VALUES (4, 1, 'again'), (20, 1, 'new') ON CONFLICT DO NOTHING RETURNING *;

SELECT * FROM seats ORDER BY id;

WITH d AS (DELETE FROM seats WHERE grp = 2 RETURNING who) INSERT INTO seats SELECT id + 30, grp, who FROM seats RETURNING id;

WITH u AS (UPDATE seats SET who = 'u' || id WHERE grp IN (SELECT n FROM tags UNION SELECT 0)) INSERT INTO seats VALUES (40, 0, 'forty'), (41, 2, 'one') RETURNING *;

SELECT * FROM seats ORDER BY id;

BEGIN;

WITH d AS (DELETE FROM seats WHERE grp = 0) INSERT INTO seats SELECT id + 100, grp, who FROM seats WHERE grp = 0;

SELECT * FROM seats ORDER BY id;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

WITH d AS (DELETE FROM seats WHERE grp = 0) INSERT INTO seats SELECT id + 100, grp, who FROM seats WHERE grp = 0 RETURNING id;

SELECT * FROM seats ORDER BY id;

ROLLBACK;

WITH d AS (DELETE FROM seats WHERE grp = 0), e AS (UPDATE owners SET name = name || '!' WHERE id > 1) INSERT INTO seats SELECT id + 100, grp, who FROM seats WHERE grp = 0 RETURNING id;

TABLE seats;

TABLE owners;

DROP TABLE seats;

-- # parents and children
WITH o AS (INSERT INTO owners (id, name) VALUES (20, 'twenty') RETURNING id) INSERT INTO kids SELECT id, 1, 'first' FROM o RETURNING *;

WITH o AS (INSERT INTO owners (id, name) VALUES (21, 'x'), (22, 'y') RETURNING id) INSERT INTO kids SELECT id, n, 'kid' FROM o, generate_series(1, 2) n RETURNING *;

WITH o AS (INSERT INTO owners (id, name) VALUES (23, 'z') RETURNING id), k AS (INSERT INTO kids SELECT id, 1, 'z' FROM o RETURNING owner_id, n) SELECT o.id, k.n, (SELECT count(*) FROM owners) FROM o JOIN k ON k.owner_id = o.id;

WITH p AS (DELETE FROM kids WHERE owner_id > 20 RETURNING owner_id) DELETE FROM owners WHERE id IN (SELECT owner_id FROM p) RETURNING *;

WITH p AS (INSERT INTO parents (name) VALUES ('p1') RETURNING id) SELECT id FROM p;

WITH p AS (INSERT INTO parents (name) VALUES ('p1'), ('p2') ON CONFLICT (name) DO NOTHING RETURNING id, name) SELECT id, name FROM p UNION ALL SELECT id, name FROM parents WHERE name IN ('p1', 'p2') ORDER BY name;

WITH p AS (INSERT INTO parents (name) VALUES ('p3') RETURNING id) INSERT INTO t (id, v) SELECT id + 700, 'of parent' FROM p RETURNING v;

-- # what foreign keys write to, and what they do not
CREATE TABLE notes (owner_id bigint, n int, k int, FOREIGN KEY (owner_id, n) REFERENCES kids ON DELETE CASCADE) WITH (shard_key = 'owner_id', colocate_with = 'owners');

INSERT INTO notes SELECT owner_id, n, k FROM kids, generate_series(1, 2) k;

WITH gone AS (DELETE FROM owners WHERE id IN (SELECT owner_id FROM kids WHERE n = 2) AND id > 20 RETURNING id, name) INSERT INTO loc SELECT id + 500, name FROM gone RETURNING *;

WITH gone AS (DELETE FROM kids WHERE owner_id = 20 RETURNING *) INSERT INTO tags SELECT owner_id + 70, what FROM gone RETURNING *;

-- refused with_write
WITH gone AS (DELETE FROM owners RETURNING id) INSERT INTO notes SELECT id, 1, 1 FROM gone;

-- refused with_write
WITH gone AS (DELETE FROM owners WHERE id IN (SELECT n FROM tags) RETURNING id) UPDATE notes SET k = k + 1 FROM gone WHERE owner_id <> gone.id;

WITH seen AS (UPDATE owners SET name = name || '?' RETURNING id) UPDATE notes SET k = k + 1 FROM seen WHERE owner_id = seen.id + 1;

TABLE owners;

TABLE kids;

TABLE notes;

DROP TABLE notes;

CREATE TABLE marks (id int PRIMARY KEY, label text) WITH (reference);

CREATE TABLE marked (id int PRIMARY KEY, mark int REFERENCES marks ON UPDATE CASCADE, n int) WITH (shard_key = 'id');

INSERT INTO marks VALUES (1, 'one'), (2, 'two');

INSERT INTO marked SELECT i, 1 + i % 2, 0 FROM generate_series(1, 6) i;

WITH m AS (INSERT INTO marks VALUES (1, 'uno'), (3, 'tres') ON CONFLICT (id) DO UPDATE SET label = excluded.label RETURNING id) INSERT INTO marked SELECT 10 + id, id, 1 FROM m RETURNING *;

-- refused with_write
WITH m AS (INSERT INTO marks VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET id = marks.id + 100 RETURNING id) UPDATE marked SET n = n + 1 FROM m WHERE mark <> m.id RETURNING *;

TABLE marked;

DROP TABLE marked, marks;

-- # beside recursive ones
CREATE TABLE branches (id int PRIMARY KEY, parent int, name text) WITH (shard_key = 'id');

INSERT INTO branches SELECT i, nullif(i / 2, 0), 'b' || i FROM generate_series(1, 20) i;

WITH RECURSIVE below AS (SELECT id FROM branches WHERE id = 5 UNION ALL SELECT b.id FROM branches b JOIN below u ON b.parent = u.id), gone AS (DELETE FROM branches WHERE id IN (SELECT id FROM below) RETURNING id, name) SELECT count(*), min(name), (SELECT count(*) FROM below) FROM gone;

WITH RECURSIVE n (i) AS (VALUES (30) UNION ALL SELECT i + 1 FROM n WHERE i < 33), made AS (INSERT INTO branches SELECT i, 1, 'n' || i FROM n RETURNING id) SELECT * FROM made ORDER BY id;

WITH RECURSIVE up (id, root) AS (SELECT id, id FROM branches WHERE parent = 1 UNION ALL SELECT b.id, up.root FROM branches b JOIN up ON b.parent = up.id), named AS (UPDATE branches b SET name = b.name || '/' || up.root FROM up WHERE up.id = b.id AND b.id < 12 RETURNING b.id, b.name) INSERT INTO tags SELECT id + 900, name FROM named RETURNING *;

TABLE branches;

-- refused with_write
WITH a AS (DELETE FROM branches WHERE parent = 3 RETURNING *), b AS (INSERT INTO owners SELECT id + 700, name FROM a RETURNING *), c AS (UPDATE branches SET name = 'x') SELECT count(*) FROM b;

DELETE FROM tags WHERE id > 900;

DROP TABLE branches;

-- # reference tables
WITH u AS (UPDATE tags SET n = n + 1 WHERE id < 3 RETURNING id, n) SELECT * FROM u ORDER BY id;

WITH u AS (UPDATE tags SET n = n + 1 WHERE id < 3 RETURNING id, n) SELECT u.id, u.n, tags.n AS old FROM u JOIN tags USING (id) ORDER BY id;

WITH d AS (DELETE FROM q WHERE id = 1 RETURNING id), u AS (UPDATE tags SET n = n + (SELECT count(*) FROM d) RETURNING *) SELECT count(*) FROM u;

WITH i AS (INSERT INTO tags VALUES (9, 'nine') RETURNING *) SELECT i.*, (SELECT count(*) FROM tags) FROM i;

WITH d AS (DELETE FROM tags WHERE id = 9 RETURNING *) INSERT INTO t (id, v) SELECT id + 800, label FROM d RETURNING *;

WITH u AS (UPDATE t SET n = 0 WHERE grp = 3 RETURNING id) UPDATE tags SET n = (SELECT count(*) FROM u);

TABLE tags;

-- # before INSERT … VALUES
WITH d AS (DELETE FROM q WHERE id = 2 RETURNING job) INSERT INTO t (id, v) VALUES (900, (SELECT job FROM d)) RETURNING *;

WITH d AS (DELETE FROM q WHERE id = 3 RETURNING job) INSERT INTO t (id, v) VALUES (901, (SELECT job FROM d)), (902, (SELECT count(*)::text FROM q));

WITH c AS (SELECT count(*) AS n FROM q) INSERT INTO t (id, n) VALUES (903, (SELECT n FROM c)), (904, (SELECT n + 1 FROM c)) RETURNING id, n;

WITH l AS (INSERT INTO loc VALUES (50, 'fifty') RETURNING label) INSERT INTO t (id, v) SELECT 905, label FROM l;

WITH l AS (INSERT INTO t (id, v) VALUES (906, 'moved') RETURNING id, v) INSERT INTO loc SELECT id, v FROM l RETURNING *;

WITH l AS (DELETE FROM t WHERE id = 906 RETURNING id) SELECT loc.* FROM loc JOIN l USING (id);

SELECT * FROM t WHERE id >= 900;

-- # in blocks which have written
BEGIN;

INSERT INTO q VALUES (200, 'block', 1);

WITH del AS (DELETE FROM q WHERE prio = 1 RETURNING *) SELECT del.id, del.job, (SELECT count(*) FROM q) AS before FROM del ORDER BY id;

WITH ins AS (INSERT INTO names (name, id) VALUES ('ina', NULL) ON CONFLICT DO NOTHING RETURNING name) SELECT name FROM ins UNION ALL SELECT name FROM names WHERE name = 'ina';

WITH upd AS (UPDATE t SET n = n + 1 WHERE id = 910 RETURNING *) INSERT INTO t (id, grp, v) SELECT 910, 7, 'one' WHERE NOT EXISTS (SELECT * FROM upd);

WITH u AS (UPDATE t SET n = n + 1 WHERE grp = 2 RETURNING id, n) SELECT u.id, u.n, t.n AS old FROM u JOIN t USING (id) ORDER BY 1;

WITH u AS (UPDATE t SET n = t.n + q.prio FROM q WHERE q.id = t.grp RETURNING t.id, t.n) SELECT u.id, u.n, t.n AS old, (SELECT count(*) FROM q) FROM u JOIN t USING (id) ORDER BY 1;

-- refused with_write
WITH l AS (SELECT id FROM q ORDER BY id LIMIT 3 FOR UPDATE) SELECT l.id, t.v FROM l JOIN t USING (id) ORDER BY 1;

WITH d AS (DELETE FROM kids RETURNING owner_id) SELECT count(*), (SELECT count(*) FROM owners) FROM d;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

WITH del AS (DELETE FROM q WHERE prio = 0 RETURNING *) SELECT del.id, del.job, (SELECT count(*) FROM q) AS before FROM del ORDER BY id;

WITH upd AS (UPDATE t SET n = n + 1 WHERE id = 910 RETURNING *) INSERT INTO t (id, grp, v) SELECT 910, 7, 'one' WHERE NOT EXISTS (SELECT * FROM upd);

COMMIT;

-- # views, triggers, errors
WITH u AS (UPDATE q SET prio = 1 / 0 RETURNING id) SELECT u.id, q.prio FROM u JOIN q USING (id);

WITH u AS (UPDATE q SET prio = 1 RETURNING id) SELECT u.id, q.nothing FROM u JOIN q USING (id);

WITH u AS (UPDATE q SET prio = 1 RETURNING id) SELECT u.id, 1 / (q.prio - q.prio) FROM u JOIN q USING (id);

WITH ins AS (INSERT INTO t (id) VALUES (1) RETURNING id) SELECT id FROM ins UNION ALL SELECT count(*) FROM t;

SELECT count(*), sum(prio) FROM q;

TABLE t;

-- # values that are read
INSERT INTO t (id, v) VALUES ((SELECT max(id) + 10000 FROM t), 'a'), (1001, (SELECT v FROM t WHERE id = 2)) RETURNING *;

INSERT INTO t (id, v, n) VALUES (1002, (SELECT v FROM t WHERE id = 3), (SELECT count(*) FROM q)), (1003, 'b', 4), (1004, (SELECT v FROM t WHERE id = -1), NULL) RETURNING *;

INSERT INTO t (id, n) VALUES (1005, CASE WHEN EXISTS (SELECT FROM q WHERE prio > 100) THEN 1 ELSE 2 END), (1006, 3 + (SELECT n FROM t WHERE id = 1005)) RETURNING *;

INSERT INTO t (id, v) VALUES (1007, (SELECT v FROM t WHERE id < 5)), (1008, 'x');

INSERT INTO t (id, n) VALUES (1009, (SELECT v FROM t WHERE id = 2)), (1010, 1);

-- params: 1011::int8 | 3::int8
INSERT INTO t (id, v) VALUES ($1, (SELECT v FROM t WHERE id = $2)), ($1 + 1, (SELECT job FROM q WHERE id = $2));

INSERT INTO t (id, v) VALUES (1020, (SELECT label FROM loc WHERE id = 1)), (1021, (SELECT label FROM tags WHERE id = 2)) ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING *;

INSERT INTO loc VALUES (80, (SELECT v FROM t WHERE id = 2)), (81, (SELECT max(v) FROM t)) RETURNING *;

INSERT INTO tags VALUES (80, (SELECT v FROM t WHERE id = 2)), (81, (SELECT max(v) FROM t)) RETURNING *;

SELECT * FROM t WHERE id > 1000;
