-- # tables
CREATE TABLE acc (id int PRIMARY KEY, grp int, owner text DEFAULT 'nobody', bal numeric(10, 2) DEFAULT 0 CHECK (bal < 100000), at timestamptz, tags text[], twice int GENERATED ALWAYS AS (grp * 2) STORED) WITH (shard_key = 'id');

CREATE TABLE ent (acc_id int, n int, amount numeric(10, 2), PRIMARY KEY (acc_id, n)) WITH (shard_key = 'acc_id', colocate_with = 'acc');

CREATE TABLE free (k bigint, v varchar(8), w "char", d interval(0)) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE words (w varchar(5) NOT NULL DEFAULT 'none', n int, PRIMARY KEY (w)) WITH (shard_key = 'w', colocate_with = 'none');

CREATE TABLE cur (code text PRIMARY KEY, rate numeric) WITH (reference);

CREATE TABLE loc (id int PRIMARY KEY, k int, tag text);

INSERT INTO acc (id, grp, owner, bal, tags) SELECT i, i % 7, 'o' || i % 5, i * 10, ARRAY['t' || i, 'a"b\c'] FROM generate_series(1, 60) i;

INSERT INTO ent SELECT i, j, i * j FROM generate_series(1, 40) i, generate_series(1, 2) j;

INSERT INTO free SELECT i % 20, 'v' || i, 'x', make_interval(secs => i) FROM generate_series(1, 60) i;

INSERT INTO words SELECT 'w' || i, i FROM generate_series(1, 20) i;

INSERT INTO cur VALUES ('eur', 1), ('usd', 1.1), ('o1', 2), ('o2', 3);

INSERT INTO loc SELECT i, i + 100, 't' || i % 3 FROM generate_series(1, 30) i;

-- # one row
UPDATE acc SET id = 101 WHERE id = 1;

SELECT * FROM acc WHERE id IN (1, 101);

UPDATE acc SET id = 102, tags[2] = 'x' WHERE id = 2;

UPDATE acc SET id = 102, owner = 'moved' WHERE id = 2 RETURNING *;

UPDATE acc SET id = 103 WHERE id = 3 AND grp = 99;

UPDATE acc SET id = 104 WHERE id = 999 RETURNING id;

UPDATE acc AS a SET id = a.id + 100 WHERE a.id = 5 RETURNING a.id, twice, (SELECT count(*) FROM cur);

UPDATE acc SET id = 6 WHERE id = 6;

UPDATE acc SET (id, grp) = (106, 3) WHERE id = 6 RETURNING id, grp, twice;

UPDATE acc SET (id, grp) = ROW(107, DEFAULT) WHERE id = 7 RETURNING id, grp;

UPDATE acc SET (id, owner) = (SELECT 108, max(code) FROM cur) WHERE id = 8 RETURNING id, owner;

-- # many rows
UPDATE free SET k = k + 1;

UPDATE free SET k = -k, v = v || '!' WHERE k % 2 = 0 RETURNING k, v, d;

SELECT * FROM free;

UPDATE acc SET id = id + 1000 WHERE grp = 4 RETURNING id, owner;

UPDATE acc SET id = id * 10000, bal = bal / 3 WHERE id BETWEEN 20 AND 40;

SELECT * FROM acc;

UPDATE acc SET id = id + 1 WHERE id > 1000000;

UPDATE free SET k = 7;

UPDATE free SET k = 8 WHERE k = 7 AND v < 'v3' RETURNING k, v;

UPDATE words SET w = 'v' || n WHERE n > 10 RETURNING *;

UPDATE words SET w = upper(w) RETURNING w;

-- # from others
UPDATE acc SET id = loc.k + 500 FROM loc WHERE loc.id = acc.id;

UPDATE acc SET id = acc.id + 7000, owner = w.w FROM words w WHERE w.n = acc.grp AND acc.id < 1000 RETURNING acc.id, owner, bal;

UPDATE acc SET id = (SELECT max(n) FROM words) + 20000 + id WHERE grp IN (SELECT n FROM words WHERE n < 3) RETURNING id, (SELECT min(code) FROM cur);

WITH big AS (SELECT id + 3 AS id FROM acc WHERE bal > 200) UPDATE acc SET id = 900000 + acc.id WHERE acc.id IN (SELECT id FROM big) RETURNING acc.id;

WITH moved AS (UPDATE words SET w = 'x' || n WHERE n = 1 RETURNING w, n) SELECT * FROM moved;

SELECT * FROM acc;

SELECT * FROM words;

UPDATE free SET k = free.k + c.n FROM (VALUES (3), (3), (3)) AS c (n) WHERE free.k % 2 = 0 RETURNING k;

UPDATE acc SET id = acc.id + c.n FROM (SELECT 3 AS n FROM words WHERE n < 4) AS c WHERE acc.grp = 5 RETURNING id;

-- # what is returned of others, and of old rows
CREATE TABLE ret (id int PRIMARY KEY, n int, note varchar(6) DEFAULT 'new', twice int GENERATED ALWAYS AS (n * 2) STORED, d date) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE oth (k int PRIMARY KEY, ret_id int, label text) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO ret (id, n, d) SELECT i, i % 5, date '2024-01-01' + i FROM generate_series(1, 30) i;

INSERT INTO oth SELECT i, i * 2, 'l' || i FROM generate_series(1, 20) i;

UPDATE ret SET id = id + 100, n = n + 1 WHERE n = 1 RETURNING old.id, new.id, id, old.n, n, old.twice, twice;

UPDATE ret SET id = id + 100, n = n + 1 WHERE n = 2 AND id < 100 RETURNING old.*, new.*;

UPDATE ret SET id = id + 1000 WHERE n = 3 RETURNING WITH (OLD AS o, NEW AS nw) o.id AS was, nw.id - o.id AS by, nw.*, o.note || nw.note;

UPDATE ret AS r SET id = o.k + 500, note = o.label FROM oth o WHERE o.ret_id = r.id RETURNING r.id, o.k, o.label, old.id, r.note = o.label AS same;

UPDATE ret SET id = ret.id + 2000 FROM oth WHERE oth.k + 500 = ret.id RETURNING *;

UPDATE ret r SET id = r.id + 10000 FROM oth AS o, (VALUES (1, 'x'), (2, 'y')) AS v (n, w) WHERE o.k + 2500 = r.id AND v.n = o.k % 2 + 1 RETURNING v.*, o.*, r.*, label, w;

UPDATE ret r SET id = r.id + 20000 FROM oth AS o JOIN generate_series(1, 3) AS g ON g = o.k WHERE o.k + 12500 = r.id RETURNING g, o.k, r.id, o.label;

UPDATE ret r SET id = -1 - r.id FROM oth a JOIN oth b USING (k) WHERE a.k = r.id RETURNING r.id, k, a.label, b.ret_id;

-- refused key_change
UPDATE ret r SET id = r.id + 1 FROM oth a JOIN oth b USING (k) WHERE a.k = r.id RETURNING *;

WITH w AS (SELECT k, label FROM oth WHERE k < 4) UPDATE ret r SET id = r.id * 3 FROM w WHERE w.k = r.n RETURNING w.label, r.n, w.k, upper(w.label || r.note);

UPDATE ret SET id = id * 7 FROM oth WHERE false RETURNING ret.id, oth.label, old.id;

UPDATE ret SET id = ret.id + c.n FROM (VALUES (40000), (40000), (40000)) AS c (n) WHERE ret.n = 4 RETURNING ret.id, c.n, old.id;

UPDATE ret SET id = NULL FROM oth WHERE oth.k = ret.n RETURNING oth.k;

UPDATE ret SET id = 5, note = oth.label || ' too long' FROM oth WHERE oth.k = ret.n AND oth.k = 3 RETURNING oth.k, old.id;

-- refused key_change
UPDATE ret SET id = ret.id + 1 FROM oth WHERE oth.k = ret.n RETURNING (SELECT oth.k);

-- params: 3::int4 | p
UPDATE ret SET id = ret.id + 70000 + $1, note = $2 FROM oth WHERE oth.k = ret.n AND oth.k = $1 RETURNING oth.label || $2, old.note, new.id - $1;

-- params: 1::int4
UPDATE ret SET id = $1 WHERE id = -77 RETURNING old.id, new.id;

BEGIN;

UPDATE ret SET id = ret.id + 90000 FROM oth WHERE oth.k = ret.n RETURNING oth.label, old.id, new.id;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

UPDATE ret SET id = ret.id + 90000 FROM oth WHERE oth.k = ret.n RETURNING old.id, new.id, oth.k;

COMMIT;

SELECT * FROM ret;

-- # what is wrong
UPDATE acc SET id = 8888 WHERE id IN (SELECT id FROM acc ORDER BY id LIMIT 2);

UPDATE words SET w = 'same';

UPDATE words SET w = (SELECT w FROM words WHERE n = 3) WHERE n = 2;

UPDATE words SET w = NULL WHERE n = 3;

UPDATE words SET w = w || '-far-too-long' WHERE n = 3;

UPDATE words SET w = DEFAULT WHERE n = 3 RETURNING w;

UPDATE words SET w = DEFAULT WHERE n = 4;

UPDATE acc SET id = 700001, bal = 200000 WHERE id = (SELECT min(id) FROM acc);

UPDATE acc SET id = 'x' WHERE grp = 2;

UPDATE acc SET id = now() WHERE grp = 2;

UPDATE acc SET id = id / 0 WHERE grp = 2;

UPDATE acc SET nothing = 1, id = 2 WHERE grp = 2;

UPDATE acc SET id = id + 1, twice = 5 WHERE grp = 2;

SELECT * FROM acc;

SELECT * FROM words;

-- # in blocks
BEGIN;

UPDATE free SET k = k + 100;

SELECT count(*), sum(k) FROM free;

UPDATE free SET k = k + 100 WHERE v > 'v3' RETURNING k;

SAVEPOINT s;

UPDATE free SET k = 1;

ROLLBACK TO s;

SELECT count(*), sum(k) FROM free;

COMMIT;

BEGIN ISOLATION LEVEL REPEATABLE READ;

UPDATE free SET k = k + 1000;

UPDATE free SET k = k - 500 WHERE v LIKE 'v1%' RETURNING k;

COMMIT;

BEGIN ISOLATION LEVEL SERIALIZABLE;

UPDATE free SET k = k * 2;

SELECT count(*), sum(k) FROM free;

COMMIT;

BEGIN;

UPDATE free SET k = 3;

ROLLBACK;

BEGIN READ ONLY;

UPDATE free SET k = k + 1;

ROLLBACK;

SELECT * FROM free;

-- # foreign keys
CREATE TABLE par (k int, id int, x int, PRIMARY KEY (k, id)) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE kid (k int, par_id int, n int, code text REFERENCES cur, FOREIGN KEY (k, par_id) REFERENCES par (k, id)) WITH (shard_key = 'k', colocate_with = 'par');

CREATE TABLE pet (k int, par_id int, CONSTRAINT pet_of FOREIGN KEY (k, par_id) REFERENCES par (k, id) ON DELETE CASCADE) WITH (shard_key = 'k', colocate_with = 'par');

CREATE TABLE tree (k int, id int, up int, PRIMARY KEY (k, id), FOREIGN KEY (k, up) REFERENCES tree (k, id) DEFERRABLE) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO par SELECT i, i, 0 FROM generate_series(1, 20) i;

INSERT INTO kid VALUES (1, 1, 1, 'eur'), (2, 2, 1, 'usd');

INSERT INTO pet VALUES (3, 3), (4, 4);

INSERT INTO tree SELECT k, id, NULLIF(id - 1, 0) FROM generate_series(1, 4) k, generate_series(1, 3) id;

UPDATE par SET k = 50 WHERE k = 1;

UPDATE par SET k = 50 WHERE k = 3;

UPDATE par SET k = k + 50 WHERE k > 3;

UPDATE par SET k = k + 50 WHERE k > 10 RETURNING *;

UPDATE kid SET k = 3, par_id = 3 WHERE n = 1 AND k = 1;

UPDATE kid SET k = 99 WHERE k = 2;

UPDATE kid SET code = 'nope', k = 5, par_id = 5 WHERE k = 2;

UPDATE tree SET k = k + 70 WHERE k > 2 RETURNING *;

UPDATE tree SET k = 90 WHERE k = 1 AND id = 1;

UPDATE tree SET k = 91 WHERE k = 1 AND id = 3;

BEGIN;

SET CONSTRAINTS ALL DEFERRED;

UPDATE tree SET k = 92 WHERE k = 2 AND id = 1;

UPDATE tree SET k = 92 WHERE k = 2;

COMMIT;

BEGIN;

SET CONSTRAINTS ALL DEFERRED;

UPDATE tree SET k = 93 WHERE k = 1 AND id = 1;

COMMIT;

SELECT * FROM par;

SELECT * FROM kid;

SELECT * FROM pet;

SELECT * FROM tree;

-- # policies
CREATE TABLE own (k int PRIMARY KEY, who text, v int) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO own SELECT i, CASE WHEN i < 8 THEN 'moves_bob' ELSE 'other' END, i FROM generate_series(1, 12) i;

ALTER TABLE own ENABLE ROW LEVEL SECURITY;

CREATE POLICY mine ON own USING (who = current_user);

CREATE ROLE moves_bob;

GRANT USAGE ON SCHEMA moves TO moves_bob;

GRANT SELECT, INSERT, UPDATE, DELETE ON own TO moves_bob;

SET ROLE moves_bob;

UPDATE own SET k = k + 100 RETURNING *;

UPDATE own SET k = k + 100, who = 'other' WHERE v = 3;

RESET ROLE;

CREATE POLICY mine_too ON own FOR UPDATE USING (v < 3);

SET ROLE moves_bob;

-- refused rows_moved
UPDATE own SET k = k + 100 WHERE k > 0;

RESET ROLE;

REVOKE DELETE, UPDATE ON own FROM moves_bob;

SET ROLE moves_bob;

UPDATE own SET k = k + 100 WHERE k > 0;

RESET ROLE;

SELECT * FROM own;

DROP OWNED BY moves_bob;

DROP ROLE moves_bob;

-- # identity columns, and what tells an UPDATE from a DELETE and an INSERT
CREATE TABLE gen (k int PRIMARY KEY, id int GENERATED ALWAYS AS IDENTITY, v int) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO gen (k, v) SELECT i, i FROM generate_series(1, 10) i;

UPDATE gen SET k = k + 100, v = v + 1 RETURNING *;

UPDATE gen SET k = 7, id = 5 WHERE k = 101;

-- refused unstable_default
UPDATE gen SET k = k + 1, id = DEFAULT WHERE k = 105;

CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := NEW.v + 1; RETURN NEW; END $$;

CREATE TRIGGER gen_noted BEFORE UPDATE ON gen FOR EACH ROW EXECUTE FUNCTION noted();

-- refused rows_moved
UPDATE gen SET k = k + 200;

UPDATE gen SET k = k + 0 RETURNING k, v;

UPDATE gen SET k = 33 WHERE k = 2;

ALTER TABLE gen DISABLE TRIGGER gen_noted;

UPDATE gen SET k = k + 200 RETURNING k, v;

SELECT * FROM gen;
