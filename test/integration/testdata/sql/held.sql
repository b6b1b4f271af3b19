-- # tables
CREATE TABLE ev (id int PRIMARY KEY, grp int, n int, v text, at timestamptz DEFAULT '2024-01-01Z') WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE seen (k int PRIMARY KEY, ev_id int, w text) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE pairs (a int, "B b" text COLLATE "C", n int, f float8, PRIMARY KEY (a, "B b")) WITH (shard_key = 'a', colocate_with = 'none');

CREATE TABLE kind (code int PRIMARY KEY, label text) WITH (reference);

CREATE TABLE bare (k int, n int) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE whole (id int PRIMARY KEY, n int) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE part (more int) INHERITS (whole);

INSERT INTO whole VALUES (1, 1), (2, 2);

INSERT INTO part VALUES (1, 1, 1), (3, 3, 3);

INSERT INTO ev SELECT i, i % 7, i, 'v' || i FROM generate_series(1, 40) i;

INSERT INTO seen SELECT i, i % 30 + 1, 'w' || i FROM generate_series(1, 60) i;

INSERT INTO pairs SELECT i % 9, 'b' || i, i, i / 3.0 FROM generate_series(1, 36) i;

INSERT INTO kind SELECT i, 'kind ' || i FROM generate_series(0, 6) i;

INSERT INTO bare SELECT i, i FROM generate_series(1, 9) i;

-- # LIMIT in what an UPDATE or DELETE joins
BEGIN;

INSERT INTO ev VALUES (100, 3, 0, 'own');

INSERT INTO seen VALUES (0, 100, 'own');

UPDATE ev SET v = s.w FROM (SELECT * FROM seen ORDER BY k LIMIT 5) s WHERE s.ev_id = ev.id RETURNING ev.*, s.*;

UPDATE ev e SET n = e.n + t.c, v = DEFAULT FROM (SELECT grp, count(*) AS c FROM ev GROUP BY grp ORDER BY grp DESC LIMIT 2) t WHERE t.grp = e.grp AND e.n > 10;

DELETE FROM ev USING (SELECT ev_id FROM seen ORDER BY k DESC FETCH FIRST 3 ROWS ONLY) s WHERE s.ev_id = ev.id RETURNING ev.id;

WITH top AS (SELECT id FROM ev ORDER BY n DESC, id LIMIT 3), low AS (SELECT id FROM ev ORDER BY n, id LIMIT 2) UPDATE ev SET n = -1 FROM (TABLE top UNION ALL TABLE low) x WHERE x.id = ev.id RETURNING ev.id;

UPDATE pairs SET n = s.k, f = s.k / 7.0 FROM (SELECT k, ev_id FROM seen ORDER BY k LIMIT 9) s, kind WHERE s.ev_id = pairs.a AND kind.code = pairs.a RETURNING a, "B b", n;

-- params: 2 | x
UPDATE pairs SET n = n + 1, f = NULL FROM (SELECT k FROM seen ORDER BY k OFFSET 1 LIMIT $1) s WHERE s.k = pairs.a AND "B b" <> $2;

UPDATE ev SET n = (SELECT max(k) FROM seen WHERE seen.ev_id = ev.id) FROM (SELECT k FROM seen ORDER BY k LIMIT 1) s WHERE ev.grp = s.k RETURNING id, n;

UPDATE ev SET v = 'none' FROM (SELECT k FROM seen WHERE false LIMIT 1) s WHERE s.k = ev.id RETURNING *;

UPDATE ev SET id = ev.id + 1000 FROM (SELECT ev_id FROM seen ORDER BY k LIMIT 2) s WHERE s.ev_id = ev.id RETURNING ev.id;

UPDATE kind SET label = s.w FROM (SELECT ev_id, w FROM seen ORDER BY k LIMIT 4) s WHERE s.ev_id = kind.code;

SELECT * FROM kind;

SAVEPOINT r;

-- refused limited_write
UPDATE ev SET v = s.w || kind.label FROM seen s JOIN LATERAL (SELECT label FROM kind WHERE kind.code = s.k LIMIT 1) kind ON true WHERE s.ev_id = ev.id;

ROLLBACK TO r;

SAVEPOINT r;

-- refused limited_write
UPDATE bare SET n = 0 FROM (SELECT k FROM seen ORDER BY k LIMIT 2) s WHERE s.k = bare.n;

ROLLBACK TO r;

SAVEPOINT r;

-- refused limited_write
UPDATE whole SET n = 0 FROM (SELECT k FROM seen ORDER BY k LIMIT 2) s WHERE s.k = whole.n;

ROLLBACK TO r;

SELECT * FROM ev;

SELECT * FROM pairs;

SAVEPOINT s;

UPDATE ev SET v = 1 / (s.k - 2) FROM (SELECT k FROM seen ORDER BY k LIMIT 4) s WHERE s.k = ev.grp;

ROLLBACK TO s;

UPDATE ev SET n = s.x FROM (SELECT nothing AS x FROM seen LIMIT 1) s;

ROLLBACK TO s;

UPDATE ev SET v = 'again' FROM (SELECT k FROM seen ORDER BY k LIMIT 2) s WHERE s.k = ev.grp;

COMMIT;

SELECT id, n, v FROM ev;

BEGIN READ ONLY;

UPDATE ev SET v = 'ro' FROM (SELECT k FROM seen ORDER BY k LIMIT 2) s WHERE s.k = ev.grp;

ROLLBACK;

-- # rows that nothing joins
BEGIN;

INSERT INTO ev VALUES (200, 3, 0, 'own'), (201, 4, 40, 'own');

MERGE INTO ev e USING (VALUES (1, 1), (3, 3), (900, 9)) v (id, n) ON e.id = v.id WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (v.id, v.n) WHEN NOT MATCHED BY SOURCE AND e.id > 30 THEN DELETE WHEN NOT MATCHED BY SOURCE AND e.n > 3 THEN UPDATE SET v = 'none' RETURNING merge_action(), e.id, e.n, e.v, v.*;

MERGE INTO ev USING seen ON ev.id = seen.ev_id AND seen.k <= 30 WHEN MATCHED AND seen.k % 2 = 0 THEN UPDATE SET v = seen.w WHEN NOT MATCHED AND seen.k < 3 THEN INSERT (id, grp, v) VALUES (seen.k + 5000, 1, seen.w) WHEN NOT MATCHED BY SOURCE AND ev.id < 10 THEN DO NOTHING WHEN NOT MATCHED BY SOURCE AND ev.n IN (SELECT code FROM kind) THEN DELETE RETURNING merge_action(), ev.id, seen.k;

MERGE INTO pairs USING (SELECT k, w FROM seen WHERE k < 5) s ON pairs.a = s.k WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING pairs.*;

MERGE INTO pairs USING (SELECT ev_id, count(*)::int AS c FROM seen GROUP BY ev_id) s ON pairs.a = s.ev_id AND pairs.n > 20 WHEN MATCHED THEN UPDATE SET n = s.c WHEN NOT MATCHED AND s.ev_id > 20 THEN INSERT VALUES (s.ev_id, 'new', s.c, 0.1) WHEN NOT MATCHED BY SOURCE THEN UPDATE SET f = f + 1 RETURNING merge_action(), pairs.*;

-- params: 3 | p
MERGE INTO ev USING (VALUES (1), (2)) v (k) ON ev.grp = v.k WHEN NOT MATCHED BY SOURCE AND ev.grp = $1 THEN UPDATE SET v = $2 RETURNING ev.id;

SAVEPOINT r;

-- refused merge
MERGE INTO bare USING (VALUES (1), (2)) v (k) ON bare.k = v.k WHEN NOT MATCHED BY SOURCE THEN DELETE;

ROLLBACK TO r;

SAVEPOINT s;

MERGE INTO ev USING (VALUES (1), (1)) v (k) ON ev.grp = v.k WHEN MATCHED THEN UPDATE SET n = 1 WHEN NOT MATCHED BY SOURCE THEN DELETE;

ROLLBACK TO s;

-- refused merge
MERGE INTO ev USING (VALUES (1)) v (k) ON ev.id = v.k WHEN NOT MATCHED BY SOURCE AND random() >= 0 THEN DELETE;

ROLLBACK TO s;

SELECT id, grp, n, v FROM ev;

SELECT * FROM pairs;

COMMIT;

-- # MERGE from tables
BEGIN;

INSERT INTO seen VALUES (300, 77, 'own'), (301, 1, NULL);

INSERT INTO ev VALUES (78, 1, 1, 'own');

MERGE INTO ev USING seen s ON ev.id = s.ev_id AND s.k > 290 WHEN MATCHED THEN UPDATE SET v = s.w WHEN NOT MATCHED AND s.k > 290 THEN INSERT (id, v) VALUES (s.ev_id, s.w) RETURNING merge_action(), ev.id, ev.v, s.*;

MERGE INTO ev USING (SELECT a, sum(n)::int AS n, min(n) AS b FROM pairs GROUP BY a) p ON ev.grp = p.a AND ev.n > p.n WHEN MATCHED AND p.a = 3 THEN DELETE WHEN MATCHED AND p.a < 3 THEN UPDATE SET n = p.n, v = p.b WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id, grp) VALUES (p.a + 7000, p.a) RETURNING merge_action(), ev.id, ev.n, ev.v;

SAVEPOINT r;

-- refused run_first
MERGE INTO ev USING (SELECT a, sum(n)::int AS n, max("B b") AS b FROM pairs GROUP BY a) p ON ev.grp = p.a AND ev.n > p.n WHEN MATCHED AND p.a = 3 THEN DELETE WHEN MATCHED AND p.a < 3 THEN UPDATE SET n = p.n, v = p.b WHEN MATCHED THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (id, grp) VALUES (p.a + 7000, p.a) RETURNING merge_action(), ev.id, ev.n, ev.v;

ROLLBACK TO r;

MERGE INTO ev USING ev AS other ON other.id = ev.grp AND other.id <> ev.id WHEN MATCHED THEN UPDATE SET n = other.n * 100 RETURNING ev.id, ev.n;

MERGE INTO pairs USING seen ON pairs.a = seen.ev_id AND pairs."B b" = 'b' || seen.k WHEN MATCHED THEN UPDATE SET "B b" = pairs."B b" || '!', n = seen.k RETURNING pairs.*;

SAVEPOINT r;

MERGE INTO kind USING (SELECT grp, count(*) AS c FROM ev GROUP BY grp) e ON kind.code = e.grp WHEN MATCHED THEN UPDATE SET label = e.c::text WHEN NOT MATCHED AND e.grp IS NOT NULL THEN INSERT VALUES (e.grp, 'new') RETURNING merge_action(), kind.*;

ROLLBACK TO r;

SAVEPOINT r;

MERGE INTO bare USING seen ON bare.k = seen.ev_id AND seen.k < 5 WHEN MATCHED THEN UPDATE SET n = seen.k RETURNING bare.*;

ROLLBACK TO r;

SELECT id, grp, n, v FROM ev;

SELECT * FROM pairs;

SELECT * FROM kind;

COMMIT;

-- # beside code that reads tables
CREATE TABLE owners (id int PRIMARY KEY, who text) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE things (id int NOT NULL, n int, grp int, note text) WITH (shard_key = 'id', colocate_with = 'owners');

CREATE TABLE others (k int PRIMARY KEY, n int) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO owners SELECT i, CASE WHEN i % 3 = 0 THEN 'held_ann' ELSE 'held_bob' END FROM generate_series(1, 30) i;

INSERT INTO things SELECT i, i, i % 5, 'thing' FROM generate_series(1, 30) i;

INSERT INTO others SELECT i, i * 2 FROM generate_series(1, 20) i;

CREATE FUNCTION named() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  NEW.note := (SELECT who FROM owners WHERE id = NEW.id);
  RETURN NEW;
END $$;

CREATE TRIGGER names BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION named();

UPDATE things SET n = s.n FROM (SELECT k, n FROM others ORDER BY k LIMIT 3) s WHERE s.k = things.grp RETURNING things.*;

MERGE INTO things USING others o ON o.n = things.id WHEN MATCHED THEN UPDATE SET n = o.k WHEN NOT MATCHED BY SOURCE AND things.id > 25 THEN DELETE RETURNING merge_action(), things.*;

MERGE INTO things USING (VALUES (1), (100)) v (id) ON v.id = things.id WHEN MATCHED THEN UPDATE SET n = -1 WHEN NOT MATCHED THEN INSERT (id, n) VALUES (v.id, 0) WHEN NOT MATCHED BY SOURCE AND things.id < 4 THEN UPDATE SET n = -2 RETURNING merge_action(), things.*;

MERGE INTO things USING (SELECT n FROM others WHERE k < 4) v ON v.n = things.grp AND things.id < 20 WHEN MATCHED THEN UPDATE SET n = v.n + 50 RETURNING things.*;

SELECT * FROM things;

CREATE ROLE held_ann;

GRANT USAGE ON SCHEMA held TO held_ann;

GRANT SELECT ON owners, things, others TO held_ann;

GRANT DELETE ON things TO held_ann;

ALTER TABLE things ENABLE ROW LEVEL SECURITY;

CREATE POLICY seen ON things FOR SELECT USING (EXISTS (SELECT FROM owners o WHERE o.id = things.id));

CREATE POLICY taken ON things FOR DELETE USING (EXISTS (SELECT FROM owners o WHERE o.id = things.id AND o.who = current_user));

SET ROLE held_ann;

DELETE FROM things USING others o WHERE o.n = things.id AND things.n < 60 RETURNING things.*;

DELETE FROM things WHERE id IN (SELECT k + 2 FROM others WHERE k < 12);

SELECT * FROM things;

BEGIN;

-- refused row_security
DELETE FROM things USING others o WHERE o.n = things.id;

ROLLBACK;

RESET ROLE;

SELECT * FROM things;

DROP OWNED BY held_ann;

DROP ROLE held_ann;

-- # temporary tables
CREATE TABLE staged (id int PRIMARY KEY, n int, v text) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TEMPORARY TABLE batch (id int, n int);

INSERT INTO staged SELECT i, i, 'v' || i FROM generate_series(1, 24) i;

INSERT INTO batch SELECT i, i * 10 FROM generate_series(20, 30) i;

INSERT INTO batch VALUES (NULL, 1), (3, NULL);

MERGE INTO staged s USING batch b ON s.id = b.id WHEN MATCHED AND b.n IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET n = b.n
WHEN NOT MATCHED AND b.id IS NOT NULL THEN INSERT (id, n, v) VALUES (b.id, b.n, 'new') RETURNING merge_action(), s.*;

MERGE INTO staged s USING batch b ON s.id = b.id WHEN MATCHED THEN UPDATE SET v = 'both'
WHEN NOT MATCHED BY SOURCE AND s.id < 12 THEN UPDATE SET v = 'one' RETURNING s.*;

UPDATE staged SET v = v || b.n FROM (SELECT * FROM batch ORDER BY n LIMIT 2) b WHERE staged.id < 15 AND b.id IS NOT NULL RETURNING staged.*;

DELETE FROM staged USING (SELECT * FROM batch ORDER BY n LIMIT 4) b WHERE staged.id > 16 AND staged.id <> b.id RETURNING staged.*;

WITH b AS (SELECT * FROM batch ORDER BY n DESC LIMIT 3) UPDATE staged SET n = b.n FROM b WHERE staged.id + 18 <> b.id;

UPDATE staged SET n = 1 / (staged.id - 5) FROM (SELECT * FROM batch ORDER BY n LIMIT 2) b WHERE staged.n <> b.n;

SELECT * FROM staged;

BEGIN;

UPDATE staged SET v = 'in block' FROM (SELECT * FROM batch ORDER BY n LIMIT 2) b WHERE staged.id <> b.id;

DELETE FROM staged USING (SELECT * FROM batch JOIN staged USING (id) ORDER BY id LIMIT 1) b WHERE staged.id = b.id - 8 RETURNING staged.*;

COMMIT;

SELECT * FROM staged;

DROP TABLE batch;
