-- # tables
CREATE TABLE acc (id int PRIMARY KEY, grp int, owner text, bal numeric(10, 2) DEFAULT 0, note text, at timestamptz) WITH (shard_key = 'id');

CREATE TABLE ent (acc_id int, n int, grp int, amount numeric(10, 2), PRIMARY KEY (acc_id, n)) WITH (shard_key = 'acc_id', colocate_with = 'acc');

CREATE TABLE oth (k int PRIMARY KEY, acc_id int, v int, label text) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE cur (code text PRIMARY KEY, rate numeric) WITH (reference);

CREATE TABLE loc (id int PRIMARY KEY, acc_id int, tag text, n int DEFAULT 0);

INSERT INTO acc SELECT i, i % 7, 'o' || i % 5, i * 10, 'n' || i FROM generate_series(1, 60) i;

INSERT INTO ent SELECT i, j, (i + j) % 7, i * j FROM generate_series(1, 60) i, generate_series(1, 3) j;

INSERT INTO oth SELECT i, 61 - i, i % 11, 'l' || i % 4 FROM generate_series(1, 50) i;

INSERT INTO cur VALUES ('eur', 1), ('usd', 1.1), ('o1', 2), ('o2', 3);

INSERT INTO loc SELECT i, i * 2, 't' || i % 3 FROM generate_series(1, 30) i;

-- # by subqueries off the key
UPDATE acc SET note = 'sub' WHERE grp IN (SELECT v FROM oth WHERE label = 'l1');

SELECT id, note FROM acc WHERE note = 'sub';

UPDATE acc SET bal = bal + 1 WHERE EXISTS (SELECT FROM oth WHERE oth.acc_id = acc.id AND v > 5) RETURNING id, bal;

DELETE FROM ent WHERE acc_id IN (SELECT acc_id FROM oth WHERE v = 3) RETURNING *;

DELETE FROM acc WHERE id = (SELECT max(id) FROM acc) RETURNING id, owner;

DELETE FROM acc WHERE id NOT IN (SELECT acc_id FROM oth) AND grp = 2;

UPDATE acc SET bal = (SELECT sum(v) FROM oth WHERE oth.v = acc.grp) WHERE id < 20 AND grp IN (SELECT v FROM oth);

UPDATE acc SET (note, bal) = (SELECT label, v FROM oth WHERE oth.acc_id = acc.id) WHERE id IN (SELECT acc_id FROM oth WHERE v < 4) RETURNING id, note, bal;

SELECT * FROM acc;

UPDATE acc SET note = 'none' WHERE grp IN (SELECT v FROM oth WHERE label = 'nobody') RETURNING id;

DELETE FROM acc WHERE grp IN (SELECT v FROM oth WHERE label = 'nobody');

UPDATE acc AS a SET note = 'top' WHERE (SELECT count(*) FROM acc b WHERE b.bal > a.bal) < 3 RETURNING a.*;

UPDATE acc SET note = DEFAULT, bal = DEFAULT WHERE owner IN (SELECT 'o' || v FROM oth WHERE v = 3) RETURNING *;

SELECT * FROM acc;

UPDATE acc SET note = '__weft_here()' WHERE postgres.found.acc.grp IN (SELECT v FROM oth WHERE v = 3) RETURNING found.acc.id;

-- # tables that are named at two levels
UPDATE ent SET amount = amount + 1 FROM acc WHERE ent.acc_id = acc.id AND acc.bal >= (SELECT max(bal) - 20 FROM acc) RETURNING ent.acc_id, ent.n, amount;

UPDATE ent SET amount = bal FROM found.acc WHERE ent.acc_id = found.acc.id AND acc.id IN (SELECT found.acc.id FROM found.acc ORDER BY found.acc.id LIMIT 2) RETURNING ent.acc_id, ent.n, acc;

DELETE FROM ent USING oth WHERE ent.acc_id = oth.acc_id AND oth.v = (SELECT v FROM oth WHERE oth.k = 7) RETURNING ent.acc_id, ent.n, oth.k;

DELETE FROM ent USING acc WHERE ent.acc_id = acc.id AND acc.ctid IN (SELECT ctid FROM acc ORDER BY id DESC LIMIT 1) RETURNING ent.*;

MERGE INTO ent USING (SELECT id, bal FROM acc WHERE bal > (SELECT avg(bal) + 200 FROM acc)) s ON s.id = ent.acc_id WHEN MATCHED AND EXISTS (SELECT FROM oth WHERE oth.acc_id = s.id AND oth.v < (SELECT max(v) FROM oth)) THEN UPDATE SET amount = s.bal RETURNING ent.acc_id, ent.n, amount;

SELECT oth FROM oth WHERE v > (SELECT avg(v) FROM oth) AND EXISTS (SELECT FROM ent JOIN oth ON oth.acc_id = ent.acc_id WHERE oth.k = ent.n);

-- # a choice of rows is made once
UPDATE acc SET note = 'few' WHERE id IN (SELECT acc_id FROM oth ORDER BY v, k LIMIT 5) RETURNING id;

DELETE FROM ent WHERE (acc_id, n) IN (SELECT acc_id, n FROM ent ORDER BY amount, acc_id, n LIMIT 3) RETURNING *;

WITH some AS (SELECT k, v FROM oth WHERE v < 9) UPDATE acc SET bal = (SELECT sum(v) FROM some), note = (SELECT max(tag) FROM loc) WHERE id = (SELECT max(k) FROM some) RETURNING id, bal, note;

WITH some AS (SELECT k, v FROM oth WHERE v < 9) DELETE FROM acc WHERE id = (SELECT min(k) FROM some) RETURNING (SELECT count(*) FROM some);

-- # by joins off the key
UPDATE acc SET note = o.label FROM oth o WHERE o.acc_id = acc.id AND o.v = 2 RETURNING acc.id, acc.note, o.k;

UPDATE acc a SET bal = a.bal + o.v, note = o.label || c.code FROM oth o JOIN cur c ON c.rate < o.v WHERE o.acc_id = a.id AND c.code = 'usd' AND a.grp = 4 RETURNING a.id, a.bal, a.note, o.*, c.rate;

DELETE FROM ent e USING oth o WHERE o.k = e.n AND o.v = e.grp RETURNING e.*, o.label;

DELETE FROM ent USING oth WHERE oth.acc_id = ent.acc_id AND oth.label = 'l2';

SELECT * FROM ent;

UPDATE oth SET v = s.total FROM (SELECT grp, count(*) AS total FROM acc GROUP BY grp) s WHERE s.grp = oth.v RETURNING oth.k, oth.v, s.grp;

WITH big AS (SELECT grp, max(bal) AS most FROM acc GROUP BY grp) UPDATE acc SET note = 'most' FROM big WHERE big.grp = acc.grp AND acc.bal = big.most RETURNING acc.id, acc.note, big.most;

WITH gone AS MATERIALIZED (SELECT acc_id FROM oth WHERE v < 3) DELETE FROM acc WHERE id IN (TABLE gone) RETURNING id;

SELECT * FROM acc;

SELECT * FROM oth;

-- # with local and temporary tables
UPDATE acc SET note = l.tag FROM loc l WHERE l.acc_id = acc.id AND l.tag = 't1' RETURNING acc.id, acc.note, l.id;

DELETE FROM ent WHERE acc_id IN (SELECT acc_id FROM loc WHERE tag = 't2');

UPDATE loc SET tag = a.note, n = loc.n + 1 FROM acc a WHERE a.id = loc.acc_id RETURNING loc.*, a.grp;

DELETE FROM loc WHERE id IN (SELECT grp FROM acc) RETURNING id;

UPDATE loc SET n = (SELECT count(*) FROM ent WHERE ent.acc_id = loc.acc_id) WHERE acc_id > 10;

SELECT * FROM loc;

CREATE TEMP TABLE tmp AS SELECT i AS id, 'x' AS what FROM generate_series(1, 10) i;

UPDATE tmp SET what = acc.note FROM acc WHERE acc.id = tmp.id RETURNING *;

DELETE FROM tmp WHERE id NOT IN (SELECT id FROM acc) RETURNING id;

-- # parameters and times
-- params: l1 | 5
UPDATE acc SET note = $1 WHERE grp IN (SELECT v FROM oth WHERE label = $1) AND id > $2;

-- params: 3 | zz
UPDATE acc SET note = $2 WHERE grp IN (SELECT v FROM oth WHERE v = $1) RETURNING id, note;

-- params: 7::int8 | yy
DELETE FROM acc WHERE id IN (SELECT k FROM oth WHERE v = $1) AND owner <> $2 RETURNING *;

UPDATE acc SET at = now() WHERE id IN (SELECT k FROM oth);

SELECT count(DISTINCT at), count(at) FROM acc;

UPDATE acc SET at = NULL;

-- # in transactions, with what they wrote
BEGIN;

INSERT INTO oth VALUES (1000, 1, 5, 'new'), (1001, 2, 5, 'new');

UPDATE acc SET note = 'new' WHERE id IN (SELECT acc_id FROM oth WHERE label = 'new') RETURNING id;

UPDATE acc SET note = note || '!' WHERE id IN (SELECT acc_id FROM oth WHERE label = 'new') RETURNING id, note;

DELETE FROM acc WHERE note = 'new!' AND id IN (SELECT acc_id FROM oth);

SELECT count(*) FROM acc;

ROLLBACK;

SELECT count(*) FROM acc;

BEGIN ISOLATION LEVEL REPEATABLE READ;

UPDATE acc SET note = 'rr' WHERE id IN (SELECT acc_id FROM oth WHERE v = 5);

DELETE FROM ent WHERE acc_id IN (SELECT id FROM acc WHERE note = 'rr') RETURNING acc_id, n;

COMMIT;

BEGIN ISOLATION LEVEL SERIALIZABLE;

UPDATE acc SET note = 'ser' WHERE id IN (SELECT acc_id FROM oth WHERE v = 4) RETURNING id;

COMMIT;

SELECT * FROM acc;

-- # triggers, keys and partitions
CREATE TABLE aud (id int, acc_id int, was text, PRIMARY KEY (acc_id, id)) WITH (shard_key = 'acc_id', colocate_with = 'acc');

CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := upper(NEW.note); RETURN NEW; END $$;

CREATE TRIGGER noted BEFORE UPDATE ON acc FOR EACH ROW EXECUTE FUNCTION noted();

UPDATE acc SET note = 'lower' WHERE id IN (SELECT acc_id FROM oth WHERE v = 6) RETURNING id, note;

CREATE TABLE child (acc_id int REFERENCES acc ON DELETE CASCADE, n int, PRIMARY KEY (acc_id, n)) WITH (shard_key = 'acc_id', colocate_with = 'acc');

INSERT INTO child SELECT id, 1 FROM acc;

DELETE FROM acc WHERE id IN (SELECT acc_id FROM oth WHERE v = 8);

SELECT * FROM child;

CREATE TABLE parted (id int, y int, v int, PRIMARY KEY (id, y)) PARTITION BY RANGE (y);

CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);

CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);

INSERT INTO parted SELECT i, j, 0 FROM generate_series(1, 20) i, generate_series(8, 12) j;

UPDATE parted SET v = 1 WHERE id + y IN (SELECT k FROM oth WHERE label = 'l1') RETURNING *;

DELETE FROM parted WHERE y IN (SELECT v + 4 FROM oth WHERE v = 6) AND id < 5 RETURNING *;

SELECT * FROM parted;

-- # policies
CREATE ROLE found_bob;

GRANT USAGE ON SCHEMA found TO found_bob;

CREATE TABLE pol (id int PRIMARY KEY, grp int, note text, own text) WITH (shard_key = 'id');

INSERT INTO pol SELECT i, i % 3, 'n' || i, CASE WHEN i % 2 = 0 THEN 'bob' ELSE 'eve' END FROM generate_series(1, 12) i;

GRANT SELECT, UPDATE, DELETE ON pol TO found_bob;

GRANT SELECT ON oth TO found_bob;

ALTER TABLE pol ENABLE ROW LEVEL SECURITY;

CREATE POLICY a ON pol FOR SELECT USING (id <= 9);

CREATE POLICY b ON pol FOR UPDATE USING (own = 'bob') WITH CHECK (true);

CREATE POLICY c ON pol FOR DELETE USING (true);

SET ROLE found_bob;

UPDATE pol SET note = 'x' WHERE grp IN (SELECT v FROM oth WHERE v < 3) RETURNING id;

UPDATE pol SET note = 'y' FROM oth WHERE oth.v = pol.grp AND oth.label = 'l1';

-- refused row_security
UPDATE pol SET note = 'z' WHERE EXISTS (SELECT FROM oth);

-- refused row_security
DELETE FROM pol WHERE EXISTS (SELECT FROM oth);

DELETE FROM pol WHERE grp IN (SELECT v FROM oth WHERE v = 1) RETURNING *;

BEGIN;

-- refused row_security
DELETE FROM pol WHERE grp IN (SELECT v FROM oth WHERE v < 3);

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

DELETE FROM pol USING oth WHERE grp = v AND v = 2 RETURNING id, note, label;

ROLLBACK;

DELETE FROM pol WHERE grp IN (SELECT v + 2 FROM oth) AND id % 2 = 1;

RESET ROLE;

SELECT * FROM pol;

-- # rights of a DELETE, and policies for all commands
REVOKE UPDATE ON pol FROM found_bob;

DROP POLICY a ON pol;

DROP POLICY b ON pol;

DROP POLICY c ON pol;

CREATE POLICY mine ON pol USING (own = current_setting('my.name', true));

SET ROLE found_bob;

SET my.name = 'bob';

DELETE FROM pol WHERE grp IN (SELECT v FROM oth WHERE v = 2) RETURNING id;

BEGIN;

-- refused row_security
DELETE FROM pol WHERE grp IN (SELECT v FROM oth WHERE v < 3);

ROLLBACK;

RESET ROLE;

GRANT UPDATE ON pol TO found_bob;

SET ROLE found_bob;

BEGIN;

DELETE FROM pol WHERE grp IN (SELECT v - 3 FROM oth) AND id > 6 RETURNING id;

UPDATE pol SET note = 'z' WHERE EXISTS (SELECT FROM oth);

SELECT * FROM pol ORDER BY id;

DELETE FROM pol WHERE EXISTS (SELECT FROM oth);

ROLLBACK;

RESET ROLE;

DELETE FROM pol WHERE grp IN (SELECT v FROM oth WHERE v = 1) RETURNING *;

SELECT * FROM pol;

SET default_transaction_read_only = on;

UPDATE pol SET note = 'x' WHERE grp IN (SELECT v FROM oth WHERE v < 3);

DELETE FROM acc WHERE grp IN (SELECT v FROM oth WHERE v = -1);

RESET default_transaction_read_only;

DROP TABLE pol;

REVOKE ALL ON oth FROM found_bob;

REVOKE ALL ON SCHEMA found FROM found_bob;

DROP ROLE found_bob;

-- # what fails leaves all as it was
UPDATE acc SET bal = 1 / (o.v - o.v) FROM oth o WHERE o.acc_id = acc.id;

UPDATE acc SET nothing = 1 WHERE id IN (SELECT acc_id FROM oth);

DELETE FROM acc WHERE id IN (SELECT acc_id FROM nowhere);

UPDATE acc SET bal = (SELECT v FROM oth WHERE v < 3) WHERE id IN (SELECT acc_id FROM oth);

SELECT * FROM acc;

-- # what has no exact meaning this way
-- refused rows_moved
UPDATE acc SET id = o.k FROM oth o WHERE o.acc_id = acc.id;

UPDATE acc SET note = 'r' || (random() * 0)::int, at = clock_timestamp() WHERE id IN (SELECT acc_id FROM oth WHERE v = 2) RETURNING id, note, at > now();

UPDATE acc SET at = NULL, note = o.label || left(gen_random_uuid()::text, 0) FROM oth o WHERE o.acc_id = acc.id AND o.v = 2 RETURNING acc.id, note;

UPDATE acc SET at = NULL;

-- refused volatile_write
UPDATE acc SET note = (SELECT (random() * 0)::int::text) WHERE id IN (SELECT acc_id FROM oth WHERE v = 2);

UPDATE acc SET id = id + (random() * 0)::int WHERE id IN (SELECT acc_id FROM oth WHERE v = 2);

DELETE FROM acc WHERE random() > 2 AND id IN (SELECT acc_id FROM oth);

-- refused system_column
UPDATE acc SET note = oth.label FROM oth WHERE oth.ctid = acc.ctid;

-- refused several_shards
UPDATE acc SET note = '__weft_gathered_here()' WHERE grp IN (SELECT v FROM oth);

UPDATE acc SET note = o.label FROM (SELECT * FROM oth ORDER BY k LIMIT 5) o WHERE o.acc_id = acc.id;

-- # reference tables
CREATE TABLE area (code text PRIMARY KEY, name varchar(12), n int DEFAULT 3, at timestamptz DEFAULT '2024-05-06', tags text[], no serial, twice int GENERATED ALWAYS AS (n * 2) STORED) WITH (reference);

CREATE TABLE pair (a int, b date, v numeric(6, 2), note text, PRIMARY KEY (a, b)) WITH (reference);

CREATE TABLE bare (v int, w text) WITH (reference);

INSERT INTO area (code, name, n, tags) SELECT 'l' || i, 'name ' || i, i, ARRAY['x' || i] FROM generate_series(0, 9) i;

INSERT INTO pair SELECT i % 5, date '2024-01-01' + i, i, 'p' || i FROM generate_series(1, 20) i;

INSERT INTO bare VALUES (1, 'l1'), (1, 'l1'), (2, 'l2');

UPDATE area SET n = 50 WHERE code IN (SELECT label FROM oth WHERE v > 4);

UPDATE area SET name = 'seen', n = n + 1 WHERE EXISTS (SELECT FROM oth WHERE oth.label = area.code AND v < 3) RETURNING *;

UPDATE area SET n = (SELECT count(*) FROM oth WHERE oth.label = area.code), at = now() - now() + '2024-07-01' RETURNING code, n, twice;

UPDATE area SET (n, name) = (SELECT sum(v), max(label) FROM oth WHERE oth.label = area.code) WHERE code < 'l3' RETURNING area.*;

UPDATE area a SET name = l.tag, n = a.n + 1 FROM loc l WHERE 'l' || l.id = a.code;

UPDATE area a SET name = 'of ' || l.tag FROM loc l WHERE 'l' || l.id = a.code RETURNING a.code, name, a.twice;

UPDATE area SET name = 'pair' FROM pair WHERE pair.a = area.n RETURNING area.code;

UPDATE area SET tags = ARRAY(SELECT DISTINCT label FROM oth WHERE v = area.n ORDER BY label) WHERE n < 8;

UPDATE area SET name = (SELECT note FROM acc WHERE grp = 3 ORDER BY id DESC LIMIT 1) WHERE code IN (SELECT label FROM oth ORDER BY k LIMIT 2);

UPDATE area SET code = upper(code) WHERE code IN (SELECT label FROM oth) RETURNING *;

UPDATE area SET code = lower(code) RETURNING code;

UPDATE area SET no = DEFAULT, n = DEFAULT, name = DEFAULT WHERE code = 'l5' RETURNING code, n, no;

UPDATE area SET name = 'r' || (random() * 0)::int, no = nextval('area_no_seq') WHERE code = 'l8' RETURNING no;

UPDATE area SET name = 'r' || (random() * 0)::int WHERE code > 'l7' RETURNING code, name;

UPDATE area SET name = 'much too long for it' WHERE code IN (SELECT label FROM oth);

UPDATE area SET code = 'l9' WHERE code IN (SELECT label FROM oth WHERE label = 'l2');

UPDATE area SET n = 1 / (n - n) WHERE code IN (SELECT label FROM oth);

UPDATE area SET n = 'x' WHERE code IN (SELECT label FROM oth);

UPDATE area SET twice = 5 WHERE code IN (SELECT label FROM oth);

SELECT * FROM area;

UPDATE pair SET v = s.v, note = s.label FROM (SELECT v, min(label) AS label FROM oth GROUP BY v) s WHERE s.v = pair.v;

UPDATE pair SET a = pair.a + 100, b = b + 1 FROM loc WHERE loc.id = pair.v RETURNING pair.*;

-- refused reference_write_from
UPDATE pair SET note = label FROM oth WHERE oth.v = pair.v RETURNING oth.k IS NULL;

DELETE FROM pair WHERE a IN (SELECT v FROM oth) RETURNING *;

DELETE FROM pair USING loc, acc WHERE loc.id = pair.v AND acc.id = loc.acc_id AND loc.id < 5 RETURNING pair.note, loc.tag, acc.owner;

DELETE FROM pair USING loc WHERE loc.id = pair.v AND loc.id < 12;

SELECT * FROM pair;

-- refused reference_write_from
UPDATE bare SET w = 'x' WHERE w IN (SELECT label FROM oth);

-- refused reference_write_from
DELETE FROM bare WHERE w IN (SELECT label FROM oth);

-- params: 5 | l1 | 3
UPDATE area SET n = $1, name = $2 || $3::text WHERE code IN (SELECT label FROM oth WHERE label = $2 AND v > $3) RETURNING code, n, name;

WITH big AS (SELECT label, max(v) AS v FROM oth GROUP BY label) UPDATE area SET n = big.v FROM big WHERE big.label = area.code RETURNING area.code, n, (SELECT count(*) FROM big);

WITH gone AS (DELETE FROM oth WHERE v = 7 RETURNING label) UPDATE area SET name = 'gone' WHERE code IN (SELECT label FROM gone) RETURNING code;

BEGIN;

UPDATE area SET n = n + 1 WHERE code = 'l1';

UPDATE area SET n = area.n + loc.n FROM loc WHERE 'l' || loc.id = area.code;

SAVEPOINT s;

DELETE FROM area WHERE code NOT IN (SELECT label FROM oth);

SELECT * FROM area;

ROLLBACK TO s;

COMMIT;

BEGIN ISOLATION LEVEL REPEATABLE READ;

DELETE FROM area WHERE code NOT IN (SELECT label FROM oth) AND code > 'l7' RETURNING code;

UPDATE area SET n = (SELECT count(*) FROM oth);

COMMIT;

BEGIN READ ONLY;

UPDATE area SET n = 5 WHERE code IN (SELECT label FROM oth);

ROLLBACK;

SELECT * FROM area;

-- # reference tables and foreign keys to them
CREATE TABLE lane (id int PRIMARY KEY, area_code text REFERENCES area ON UPDATE CASCADE, FOREIGN KEY (id) REFERENCES acc (id)) WITH (shard_key = 'id', colocate_with = 'acc');

INSERT INTO lane SELECT i, 'l' || i % 3 FROM generate_series(10, 20) i;

DELETE FROM area WHERE code IN (SELECT label FROM oth);

UPDATE area SET code = 'new' || code WHERE code IN (SELECT area_code FROM lane) RETURNING code;

SELECT * FROM lane;

-- # ctid: where it only tells rows from each other, the primary key does
CREATE TABLE many (id int PRIMARY KEY, grp int, v text) WITH (shard_key = 'id');

CREATE TABLE wide (a int, b text, v int, PRIMARY KEY (a, b)) WITH (shard_key = 'a');

INSERT INTO many SELECT i, i % 4, 'v' || i FROM generate_series(1, 40) i;

INSERT INTO wide SELECT i % 10, 'b' || i, i FROM generate_series(1, 40) i;

DELETE FROM many WHERE ctid IN (SELECT ctid FROM many WHERE grp = 1 ORDER BY id LIMIT 3) RETURNING *;

DELETE FROM many m WHERE m.ctid = ANY (ARRAY(SELECT ctid FROM many WHERE grp = 2 ORDER BY id DESC LIMIT 2)) RETURNING id;

DELETE FROM wide WHERE ctid IN (SELECT w.ctid FROM wide w JOIN many m ON m.id = w.v WHERE m.grp = 3 ORDER BY w.v LIMIT 4) RETURNING *;

UPDATE wide SET v = v + 100 WHERE ctid = (SELECT ctid FROM wide ORDER BY v DESC LIMIT 1) RETURNING a, b, v;

WITH next AS (SELECT ctid FROM many WHERE grp = 3 ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED) DELETE FROM many USING next WHERE many.ctid = next.ctid RETURNING many.*;

WITH next AS (SELECT ctid FROM wide WHERE v < 20 ORDER BY v LIMIT 2) UPDATE wide w SET v = 0 FROM next n WHERE n.ctid = w.ctid RETURNING w.a, w.b;

UPDATE many SET v = s.n::text FROM (SELECT ctid, row_number() OVER (ORDER BY id DESC) AS n FROM many) s WHERE s.ctid = many.ctid AND s.n < 4 RETURNING id, v;

SELECT count(*) FROM many a JOIN many b ON a.ctid = b.ctid WHERE a.grp = 0;

DELETE FROM many WHERE ctid IN (SELECT ctid FROM many WHERE id = 8) RETURNING id;

DELETE FROM wide WHERE ctid NOT IN (SELECT w.ctid FROM many m LEFT JOIN wide w ON w.v = m.id + 1000) RETURNING a, b;

DELETE FROM many WHERE id = 12 AND ctid = '(0,1000)';

-- refused system_column
DELETE FROM many a USING many b WHERE a.v = b.v AND a.ctid < b.ctid;

-- refused system_column
DELETE FROM many WHERE ctid IN (SELECT min(ctid) FROM many GROUP BY v);

-- refused system_column
SELECT ctid FROM many WHERE ctid IN (SELECT ctid FROM many LIMIT 1);

-- refused system_column
WITH c AS (SELECT ctid, id FROM many WHERE grp = 0) SELECT * FROM c JOIN many ON many.ctid = c.ctid;

-- refused system_column
WITH c (place, id) AS (SELECT ctid, id FROM many) SELECT place FROM c ORDER BY id LIMIT 3;

-- refused system_column
SELECT row_to_json(s) FROM (SELECT ctid, id FROM many) s ORDER BY s.id LIMIT 3;

TABLE many;

TABLE wide;

DROP TABLE many, wide;
