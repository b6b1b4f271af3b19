-- # a partitioned table, and its partitions
CREATE TABLE ref (code int PRIMARY KEY, label text) WITH (reference);

INSERT INTO ref SELECT i, 'label ' || i FROM generate_series(0, 9) i;

CREATE TABLE users (id int PRIMARY KEY, name text) WITH (shard_key = 'id');

INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 40) i;

CREATE TABLE far (k int PRIMARY KEY, day date, v int) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO far SELECT i, '2024-01-01'::date + i * 7, i % 9 FROM generate_series(1, 60) i;

CREATE TABLE ev (user_id int NOT NULL, day date NOT NULL, n bigserial, v int, note text DEFAULT 'none', PRIMARY KEY (user_id, day, n))
  PARTITION BY RANGE (day) WITH (shard_key = 'user_id', colocate_with = 'users');

SELECT count(*) FROM ev;

INSERT INTO ev (user_id, day, v) VALUES (1, '2024-01-05', 1);

CREATE TABLE ev_24a PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');

CREATE TABLE ev_24b PARTITION OF ev FOR VALUES FROM ('2024-07-01') TO ('2025-01-01') PARTITION BY RANGE (user_id);

CREATE TABLE ev_24b_low PARTITION OF ev_24b FOR VALUES FROM (MINVALUE) TO (20);

CREATE TABLE ev_24b_rest PARTITION OF ev_24b (CHECK (v IS NOT NULL)) DEFAULT;

CREATE SCHEMA old;

CREATE TABLE old.ev_23 PARTITION OF ev FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');

CREATE TABLE IF NOT EXISTS ev_24a PARTITION OF ev FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');

CREATE TABLE ev_24x PARTITION OF ev FOR VALUES FROM ('2024-03-01') TO ('2024-09-01');

CREATE TABLE ev_rest PARTITION OF ev DEFAULT;

INSERT INTO ev (user_id, day, v) SELECT u, '2023-06-01'::date + u * 11 + d, u % 9 FROM generate_series(1, 40) u, generate_series(1, 200, 20) d;

INSERT INTO ev (user_id, day, v, note) VALUES (1, '2024-01-05', 1, 'a'), (2, '2024-08-01', 2, 'b'), (3, '2031-01-01', 3, 'c'), (4, '2023-01-01', NULL, 'd') RETURNING user_id, day, v, note, tableoid::regclass;

INSERT INTO ev (user_id, day, v) VALUES (2, '2024-09-09', NULL);

INSERT INTO ev_24a (user_id, day, v) VALUES (7, '2024-02-02', 7), (8, '2024-03-03', 8) RETURNING *;

INSERT INTO ev_24a (user_id, day, v) VALUES (7, '2025-02-02', 7);

INSERT INTO old.ev_23 VALUES (11, '2023-02-02', 100000, 11, 'eleven') ON CONFLICT (user_id, day, n) DO UPDATE SET note = 'again';

INSERT INTO ev VALUES (11, '2023-02-02', 100000, 11, 'eleven'), (12, '2023-02-02', 100001, 12, 'twelve') ON CONFLICT (user_id, day, n) DO UPDATE SET note = 'again' RETURNING *;

INSERT INTO ev VALUES (11, '2023-02-02', 100000, 11, 'eleven'), (12, '2023-02-02', 100001, 12, 'twelve') ON CONFLICT (user_id, day, n) DO UPDATE SET user_id = EXCLUDED.user_id, note = EXCLUDED.note RETURNING *;

MERGE INTO ev e USING (VALUES (11, '2023-02-02'::date, 1), (12, '2035-02-02', 2)) v (id, day, v) ON e.user_id = v.id AND e.day = v.day WHEN MATCHED THEN UPDATE SET user_id = v.id, note = 'merged' WHEN NOT MATCHED THEN INSERT (user_id, day, v) VALUES (v.id, v.day, v.v) RETURNING merge_action(), e.*, v.id;

BEGIN;

UPDATE ev SET user_id = ev.user_id + 500, day = ev.day + 400 FROM far WHERE far.k = ev.user_id AND ev.user_id < 5 RETURNING old.*, new.day, far.v;

ROLLBACK;

-- # reads
SELECT * FROM ev;

SELECT * FROM ev_24a;

SELECT * FROM ONLY ev;

SELECT * FROM ev_24b WHERE user_id = 20;

SELECT tableoid::regclass::text, user_id, day FROM ev WHERE user_id = 12 ORDER BY day;

-- refused system_column
SELECT tableoid::regclass::text, count(*), min(day), max(day) FROM ev GROUP BY 1 ORDER BY 1;

SELECT count(*), sum(v), avg(v) FROM ev WHERE day BETWEEN '2024-01-01' AND '2024-12-31';

SELECT date_trunc('month', day), count(*) FROM ev GROUP BY 1 ORDER BY 1;

SELECT user_id, count(*), max(day) FROM ev GROUP BY user_id ORDER BY user_id;

SELECT user_id, day FROM ev ORDER BY day DESC, user_id, n LIMIT 7;

SELECT u.name, count(*) FROM users u JOIN ev USING (id) GROUP BY 1;

SELECT u.name, count(*), min(e.day) FROM users u JOIN ev e ON e.user_id = u.id GROUP BY u.name ORDER BY u.name;

SELECT e.user_id, r.label, o.day FROM ev_24a e JOIN ref r ON r.code = e.v JOIN old.ev_23 o USING (user_id) ORDER BY 1, 2, 3;

SELECT e.user_id, e.day, f.k FROM ev e JOIN far f ON f.day = e.day ORDER BY 1, 2, 3;

SELECT count(*) FROM ev e WHERE v > (SELECT avg(v) FROM ev_24a);

SELECT DISTINCT v FROM ev_24b ORDER BY v;

WITH m AS (SELECT user_id, max(day) AS day FROM ev GROUP BY user_id) SELECT count(*) FROM m JOIN far USING (day);

SELECT (SELECT count(*) FROM ONLY ev), (SELECT count(*) FROM ev_24b), (SELECT count(*) FROM ONLY far);

-- # writes: where rows of partitions have the same places
SELECT count(*) FROM (SELECT ctid FROM ev WHERE user_id = 5 GROUP BY ctid HAVING count(*) > 1) s WHERE false;

UPDATE ev SET note = 'month' WHERE day BETWEEN '2024-01-01' AND '2024-01-31' RETURNING user_id, day, note;

UPDATE ev SET note = 'one' WHERE user_id = 9 RETURNING *;

UPDATE ev SET note = 'far' WHERE day IN (SELECT day FROM far WHERE v < 5) RETURNING user_id, day, note;

UPDATE ev_24a SET note = 'far part' FROM far WHERE far.day = ev_24a.day RETURNING user_id, ev_24a.day, far.k;

UPDATE ev SET day = day + 200 WHERE v = (SELECT max(v) FROM far WHERE k < 4) RETURNING user_id, day;

UPDATE ev SET day = '2024-12-12' WHERE user_id = 14 AND day = (SELECT min(day) FROM ev WHERE user_id = 14) RETURNING tableoid::regclass, user_id, day;

-- refused system_column
UPDATE ev SET v = v + 1 WHERE user_id IN (3, 4, 5) AND day > '2024-07-01' RETURNING tableoid::regclass, *;

UPDATE ev SET v = v + 1 WHERE user_id IN (3, 4, 5) AND day > '2024-07-01' RETURNING *;

UPDATE ev SET note = 'few' WHERE (user_id, day, n) IN (SELECT user_id, day, n FROM ev ORDER BY day, user_id, n LIMIT 5) RETURNING user_id, day;

UPDATE ONLY ev SET note = 'nothing';

UPDATE ONLY ev SET note = 'nothing' WHERE day IN (SELECT day FROM far);

DELETE FROM ONLY ev WHERE day IN (SELECT day FROM far);

DELETE FROM ev WHERE day IN (SELECT day FROM far WHERE v = 6) RETURNING user_id, day;

DELETE FROM ev_24b USING far WHERE far.day = ev_24b.day AND far.v = 4 RETURNING user_id, ev_24b.day;

-- refused system_column
DELETE FROM ev WHERE ctid IN (SELECT ctid FROM ev WHERE false);

DELETE FROM ev WHERE user_id = 30 RETURNING user_id, day;

MERGE INTO ev e USING far f ON f.day = e.day WHEN MATCHED AND f.v = 3 THEN DELETE WHEN MATCHED AND f.v < 3 THEN UPDATE SET note = 'merged';

MERGE INTO ev e USING (VALUES (1, '2024-01-05'::date), (50, '2024-01-06')) x (id, day) ON e.user_id = x.id AND e.day = x.day
  WHEN MATCHED THEN UPDATE SET v = 99 WHEN NOT MATCHED THEN INSERT (user_id, day, v) VALUES (x.id, x.day, 98);

INSERT INTO ev (user_id, day, v, note) SELECT user_id, day - 365, v, 'copied' FROM ev_24a WHERE user_id < 9 RETURNING user_id, day, tableoid::regclass;

INSERT INTO ev (user_id, day, v, note) SELECT k, day, v, 'from far' FROM far WHERE v < 3;

INSERT INTO far SELECT 1000 + user_id, max(day), 1 FROM ev_24a GROUP BY user_id;

SELECT user_id, day, v, note FROM ev;

WITH gone AS (DELETE FROM old.ev_23 WHERE user_id < 4 RETURNING *) SELECT user_id, day FROM gone;

WITH gone AS (DELETE FROM ev WHERE user_id = 6 RETURNING *) INSERT INTO users SELECT 600, min(note) FROM gone HAVING count(*) > 0;

UPDATE ev SET user_id = 7 WHERE user_id = 8 AND day = '2024-03-03';

UPDATE ev SET user_id = user_id + 60, day = day + 300 WHERE day < '2023-07-15' RETURNING user_id, day, v, note;

UPDATE ev SET user_id = user_id - 60 WHERE user_id > 60;

UPDATE ev_24a SET user_id = user_id + 1000 WHERE user_id IN (14, 15, 16) RETURNING user_id, day;

UPDATE ev_24a SET user_id = user_id - 1000 WHERE user_id > 1000;

UPDATE old.ev_23 SET user_id = user_id + 1, day = day + 400 WHERE user_id < 10;

SELECT user_id, day, v, note FROM ev;

-- # rows locked
BEGIN;

SELECT user_id, day FROM ev WHERE user_id = 9 ORDER BY day FOR UPDATE;

SELECT user_id, day FROM ev WHERE day < '2023-09-01' FOR UPDATE;

SELECT user_id, e.day FROM ev e JOIN far f ON f.day = e.day FOR UPDATE OF e;

SELECT user_id, day FROM ev ORDER BY day, user_id, n LIMIT 3 FOR UPDATE SKIP LOCKED;

COMMIT;

-- # COPY
COPY ev (user_id, day, v, note) FROM STDIN;
21	2024-01-31	1	copy
22	2024-10-31	2	copy
23	2031-10-31	3	copy
24	2023-10-31	4	copy
\.

COPY ev_24a (user_id, day, v, note) FROM STDIN;
21	2024-01-30	1	copy
22	2024-01-30	2	copy
\.

COPY ev_24a (user_id, day, v, note) FROM STDIN;
21	2024-01-30	1	copy
22	2025-01-30	2	copy
\.

SELECT user_id, day, v, note FROM ev WHERE note = 'copy' ORDER BY 1, 2;

COPY (SELECT user_id, day, note FROM ev WHERE note = 'copy' ORDER BY 1, 2) TO STDOUT;

-- weft
COPY ev TO STDOUT;

-- # indexes, columns, constraints
CREATE INDEX ev_v ON ev (v);

CREATE INDEX ev_note ON ONLY ev (note);

SELECT indisvalid FROM pg_index WHERE indexrelid = 'ev_note'::regclass;

CREATE INDEX ev_24a_note ON ev_24a (note);

ALTER INDEX ev_note ATTACH PARTITION ev_24a_note;

ALTER INDEX ev_note ATTACH PARTITION nothing_there;

CREATE UNIQUE INDEX ev_u ON ev (user_id, n, day);

-- refused unique_without_key
CREATE UNIQUE INDEX ev_u2 ON ev (day);

-- refused unique_without_key
CREATE UNIQUE INDEX ev_u2 ON ev_24a (day);

ALTER TABLE ev ADD COLUMN extra int DEFAULT 5, ADD CONSTRAINT positive CHECK (v >= 0);

ALTER TABLE ev_24a ADD COLUMN nope int;

ALTER TABLE ev_24a DROP CONSTRAINT positive;

INSERT INTO ev (user_id, day, v) VALUES (1, '2024-01-05', -1);

SELECT count(*), sum(extra) FROM ev;

ALTER TABLE ev DROP COLUMN extra;

-- refused key_altered
ALTER TABLE ev_24a DROP COLUMN user_id;

ALTER TABLE ev RENAME COLUMN user_id TO uid;

SELECT uid, day FROM ev_24a WHERE uid = 21 ORDER BY day;

ALTER TABLE ev RENAME COLUMN uid TO user_id;

ALTER TABLE ev_24a RENAME TO ev_first;

SELECT count(*) FROM ev_first WHERE user_id = 21;

ALTER TABLE ev_first RENAME TO ev_24a;

SELECT relid::text, parentrelid::text, isleaf, level FROM pg_partition_tree('ev') ORDER BY 1::text;

SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 'ev_24a';

-- # foreign keys
ALTER TABLE ev ADD CONSTRAINT ev_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE NOT VALID;

ALTER TABLE ev ADD CONSTRAINT ev_ref FOREIGN KEY (v) REFERENCES ref (code);

DELETE FROM ev WHERE v > 9 OR user_id NOT IN (SELECT id FROM users);

ALTER TABLE ev ADD CONSTRAINT ev_ref FOREIGN KEY (v) REFERENCES ref (code);

ALTER TABLE ev VALIDATE CONSTRAINT ev_user;

INSERT INTO ev (user_id, day, v) VALUES (77, '2024-01-05', 1);

DELETE FROM users WHERE id = 21;

SELECT count(*) FROM ev WHERE user_id = 21;

DELETE FROM users WHERE name IN (SELECT 'u' || k FROM far WHERE v = 8) RETURNING id;

SELECT count(*) FROM ev;

-- refused foreign_key_across_shards
ALTER TABLE ev ADD FOREIGN KEY (v) REFERENCES users (id);

CREATE TABLE detail (user_id int, day date, n bigint, what text, FOREIGN KEY (user_id, day, n) REFERENCES ev (user_id, day, n) ON DELETE CASCADE)
  WITH (shard_key = 'user_id');

INSERT INTO detail SELECT user_id, day, n, 'x' FROM ev_24a;

INSERT INTO detail VALUES (1, '2000-01-01', 1, 'y');

UPDATE ev_24a SET user_id = user_id + 2 WHERE day < '2024-02-20';

UPDATE ev_24b SET user_id = user_id + 4 WHERE user_id < 9 AND day < '2024-09-20';

DELETE FROM ev WHERE user_id = 12;

SELECT count(*) FROM detail;

DROP TABLE ev_24a;

DROP TABLE detail;

-- # code, and what it reaches
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := upper(NEW.note); RETURN NEW; END $$;

CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON ev FOR EACH ROW EXECUTE FUNCTION shout();

INSERT INTO ev (user_id, day, v, note) VALUES (1, '2024-01-06', 1, 'loud'), (2, '2024-08-06', 2, 'louder'), (3, '2031-08-06', 2, 'loudest') RETURNING user_id, day, note;

UPDATE ev_24a SET note = 'quiet' WHERE user_id = 1 RETURNING user_id, day, note;

UPDATE ev SET note = note || '!' WHERE day IN (SELECT day FROM far) RETURNING user_id, day, note;

CREATE FUNCTION dyn(which text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE how_many bigint; BEGIN EXECUTE 'SELECT count(*) FROM ' || which INTO how_many; RETURN how_many; END $$;

SELECT user_id, dyn('ref') FROM ev WHERE user_id = 2;

SELECT user_id, dyn('ref') FROM ev_24a WHERE user_id = 2;

UPDATE ev SET note = dyn('ref')::text WHERE user_id = 1 RETURNING user_id, day, note;

UPDATE ev_24a SET note = dyn('ref')::text WHERE user_id = 2 RETURNING user_id, day, note;

INSERT INTO ev (user_id, day, n, v) SELECT user_id, day, n + 900000, dyn('ref') - 5 FROM ev_24a WHERE user_id = 3;

-- refused code_reaches_shards
INSERT INTO ev (user_id, day, note) VALUES (2, '2024-02-02', dyn('ev')::text);

-- refused code_reaches_shards
INSERT INTO ev_24a (user_id, day, note) VALUES (2, '2024-02-02', dyn('ev_24b')::text);

-- refused code_reaches_shards
UPDATE ev_24a SET note = dyn('ev_24b')::text WHERE user_id = 2;

UPDATE ev SET day = day + 200 WHERE user_id = 2 AND dyn('ref') > 0 RETURNING day;

-- refused code_reaches_shards
SELECT dyn('ev');

CREATE FUNCTION counts() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := (SELECT count(*) FROM ev); RETURN NEW; END $$;

CREATE TRIGGER counts BEFORE INSERT ON ev_24a FOR EACH ROW EXECUTE FUNCTION counts();

-- refused trigger_reads_table
UPDATE ev SET user_id = user_id + 1 WHERE day > '2024-10-01';

-- refused trigger_reads_table
INSERT INTO ev_24a (user_id, day, v) VALUES (2, '2024-02-02', 1);

-- refused trigger_reads_table
INSERT INTO ev (user_id, day, v) VALUES (2, '2024-02-02', 1);

DROP TRIGGER counts ON ev_24a;

CREATE FUNCTION newest() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := (SELECT count(*) FROM ev WHERE user_id = NEW.user_id); RETURN NEW; END $$;

CREATE TRIGGER newest BEFORE INSERT ON ev FOR EACH ROW EXECUTE FUNCTION newest();

INSERT INTO ev_24a (user_id, day, v) VALUES (2, '2024-02-02', 1), (3, '2024-02-02', 1) RETURNING user_id, v;

INSERT INTO ev (user_id, day, v) VALUES (2, '2024-09-02', 1), (3, '2025-02-02', 1) RETURNING user_id, v;

DROP TRIGGER newest ON ev;

DROP TRIGGER shout ON ev;

DROP FUNCTION dyn(text);

-- # attach, detach, drop
CREATE TABLE ev_25 (LIKE ev INCLUDING ALL) WITH (shard_key = 'user_id', colocate_with = 'ev');

INSERT INTO ev_25 (user_id, day, v) SELECT id, '2025-05-05', id % 9 FROM users;

ALTER TABLE ev ATTACH PARTITION ev_25 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');

SELECT count(*) FROM ev WHERE day > '2025-01-01';

SELECT count(*) FROM ev_25;

INSERT INTO ev_25 (user_id, day, v) VALUES (1, '2027-01-01', 1);

ALTER TABLE ev DETACH PARTITION ev_25;

INSERT INTO ev_25 (user_id, day, v) VALUES (1, '2027-01-01', 1) RETURNING user_id, day, v;

SELECT count(*) FROM ev WHERE day > '2025-01-01';

SELECT count(*) FROM ev_25 WHERE user_id < 20;

ALTER TABLE ev ATTACH PARTITION ev_25 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');

DROP TABLE ev_25;

CREATE TABLE lone (LIKE ev INCLUDING CONSTRAINTS);

-- refused partition_unlike
ALTER TABLE ev ATTACH PARTITION lone FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');

ALTER TABLE ev ATTACH PARTITION missing FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');

CREATE TABLE otherwise (LIKE ev) WITH (shard_key = 'n');

-- refused partition_unlike
ALTER TABLE ev ATTACH PARTITION otherwise FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');

-- refused partition_unlike
ALTER TABLE ev ATTACH PARTITION ref FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');

-- refused detach_concurrently
ALTER TABLE ev DETACH PARTITION ev_24a CONCURRENTLY;

ALTER TABLE ev DETACH PARTITION ev_24a FINALIZE;

-- refused partition_bounds
CREATE TABLE ev_now PARTITION OF ev FOR VALUES FROM (now()) TO ('2040-01-01');

-- refused partition_bounds
CREATE TABLE ev_now PARTITION OF ev FOR VALUES FROM ('today') TO ('2040-01-01');

CREATE TABLE IF NOT EXISTS lone PARTITION OF ev FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');

-- refused table_kind
CREATE UNLOGGED TABLE ev_28 PARTITION OF ev FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');

-- refused partition_unlike
CREATE TABLE ev_28 PARTITION OF ev FOR VALUES FROM ('2028-01-01') TO ('2029-01-01') WITH (shard_key = 'day');

-- refused unique_without_key
CREATE TABLE ev_28 PARTITION OF ev (UNIQUE (day)) FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');

CREATE TABLE kid () INHERITS (ev_24a);

CREATE SCHEMA kids CREATE TABLE kid PARTITION OF partitions.ev FOR VALUES FROM ('2028-01-01') TO ('2029-01-01');

CREATE TABLE lparted (id int, at date) PARTITION BY RANGE (at);

-- refused partition_unlike
CREATE TABLE lparted_1 PARTITION OF lparted FOR VALUES FROM ('2028-01-01') TO ('2029-01-01') WITH (shard_key = 'id');

-- refused partition_unlike
ALTER TABLE lparted ATTACH PARTITION ev_24a DEFAULT;

TRUNCATE ev_24b;

TRUNCATE ONLY ev;

SELECT tableoid::regclass::text, user_id FROM ev WHERE user_id = 9;

BEGIN;

CREATE TABLE ev_30 PARTITION OF ev FOR VALUES FROM ('2040-01-01') TO ('2041-01-01');

INSERT INTO ev_30 (user_id, day, v) VALUES (1, '2040-01-05', 1), (2, '2040-01-05', 1), (3, '2040-01-05', 1) RETURNING user_id;

SELECT count(*) FROM ev_30;

ROLLBACK;

SELECT count(*) FROM ev_30;

DROP TABLE old.ev_23;

SELECT count(*) FROM ev;

TRUNCATE ev;

SELECT count(*) FROM ev;

VACUUM ev;

ANALYZE ev, ev_24b;

DROP TABLE ev;

SELECT count(*) FROM ev_24a;

CREATE TABLE ev_24a (id int);

-- # by list, by hash, identities
CREATE TABLE regions (id int, region text, v int GENERATED ALWAYS AS IDENTITY, PRIMARY KEY (id, region)) PARTITION BY LIST (region) WITH (shard_key = 'id');

CREATE TABLE regions_eu PARTITION OF regions FOR VALUES IN ('de', 'fr', NULL);

CREATE TABLE regions_us PARTITION OF regions FOR VALUES IN ('us') PARTITION BY HASH (id);

CREATE TABLE regions_us_0 PARTITION OF regions_us FOR VALUES WITH (MODULUS 2, REMAINDER 0);

CREATE TABLE regions_us_1 PARTITION OF regions_us FOR VALUES WITH (MODULUS 2, REMAINDER 1);

INSERT INTO regions (id, region) VALUES (1, 'de'), (2, 'us'), (3, 'us'), (4, 'fr'), (5, 'us');

INSERT INTO regions_us (id, region) VALUES (6, 'us') RETURNING *;

INSERT INTO regions_eu (id, region) VALUES (7, 'de'), (8, 'fr') RETURNING *;

INSERT INTO regions (id, region) VALUES (9, 'it');

SELECT tableoid::regclass::text, * FROM regions WHERE id = 2;

UPDATE regions SET region = 'us' WHERE region = 'fr' RETURNING *;

SELECT * FROM regions_us;

SELECT r.id, r.v, s.region FROM regions r JOIN regions_us s ON s.v = r.v + 1 ORDER BY 1;

DROP TABLE regions_eu;

SELECT * FROM regions ORDER BY id;

-- # a table that is there, with its rows
CREATE TABLE grown (id int, at date, v text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);

CREATE TABLE grown_1 (v text, at date NOT NULL, id int NOT NULL);

ALTER TABLE grown ATTACH PARTITION grown_1 FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');

CREATE TABLE grown_2 PARTITION OF grown FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY HASH (id);

CREATE TABLE grown_2_rest PARTITION OF grown_2 FOR VALUES WITH (MODULUS 1, REMAINDER 0);

CREATE TABLE grown_3 PARTITION OF grown DEFAULT;

CREATE INDEX grown_v ON grown (v);

CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v || '.'; RETURN NEW; END $$;

CREATE TRIGGER noted BEFORE INSERT ON grown FOR EACH ROW EXECUTE FUNCTION noted();

INSERT INTO grown SELECT i, '2020-06-01'::date + i * 20, 'v' || i FROM generate_series(1, 60) i;

SELECT * FROM grown;

-- weft
SELECT create_distributed_table('grown', 'id');

SELECT * FROM grown;

SELECT * FROM grown_1;

SELECT * FROM grown_2 WHERE id = 20;

INSERT INTO grown VALUES (100, '2020-02-02', 'new'), (101, '2021-02-02', 'new'), (102, '2029-02-02', 'new');

INSERT INTO grown_1 VALUES ('new', '2020-03-03', 103), ('new', '2020-03-03', 104);

UPDATE grown SET at = at + 400 WHERE v LIKE 'v2%' RETURNING *;

SELECT tableoid::regclass::text, id FROM grown WHERE id = 20;

INSERT INTO grown VALUES (100, '2020-02-02', 'twice');

CREATE INDEX grown_at ON grown (at);

-- weft
SELECT undistribute_table('grown');

SELECT * FROM grown;

SELECT * FROM grown_1;

INSERT INTO grown VALUES (200, '2020-02-02', 'local');

DROP TABLE grown;
