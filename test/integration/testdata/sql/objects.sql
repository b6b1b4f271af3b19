-- # generated columns, checks, composite types, arrays
CREATE TYPE point3 AS (x int, y int, z int);

CREATE TYPE money_of AS (amount numeric(10, 2), currency char(3));

CREATE FUNCTION length2(p point3) RETURNS int IMMUTABLE LANGUAGE sql AS $$SELECT p.x * p.x + p.y * p.y + p.z * p.z$$;

CREATE TABLE shapes (id int, at point3, price money_of, tags text[] DEFAULT '{}', w int CHECK (w > 0), h int,
  area int GENERATED ALWAYS AS (w * h) STORED, label text GENERATED ALWAYS AS ('#' || coalesce(h::text, '')) STORED, PRIMARY KEY (id)) WITH (shard_key = 'id');

INSERT INTO shapes (id, at, price, tags, w, h) SELECT i, ROW(i, i + 1, i + 2), ROW(i * 1.5, 'EUR'), ARRAY['t' || i, 'all'], i, 2 * i FROM generate_series(1, 20) i;

INSERT INTO shapes (id, at, price, w, h) VALUES (21, '(1,2,3)', '(9.99,USD)', 3, 4), (22, ROW(4, 5, 6)::point3, ROW(1, 'USD'), 5, 6) RETURNING *;

INSERT INTO shapes (id, w, h) VALUES (23, 0, 1);

INSERT INTO shapes (id, w, h, area) VALUES (23, 1, 1, 5);

INSERT INTO shapes (id, w, h, area) VALUES (23, 1, 1, DEFAULT), (24, 2, NULL, DEFAULT) RETURNING id, area, label;

SELECT id, (at).x, (price).amount, (price).currency, area FROM shapes WHERE id = 21;

SELECT (price).currency, sum((price).amount), sum(area) FROM shapes GROUP BY (price).currency ORDER BY 1;

SELECT id, length2(at) FROM shapes WHERE id IN (1, 21) ORDER BY 1;

SELECT at, count(*) FROM shapes GROUP BY at ORDER BY at NULLS LAST LIMIT 4;

SELECT id FROM shapes WHERE at = ROW(1, 2, 3)::point3 ORDER BY id;

SELECT id, price FROM shapes ORDER BY price DESC NULLS LAST, id LIMIT 5;

SELECT id FROM shapes WHERE tags @> ARRAY['all'] AND area > 500 ORDER BY id;

SELECT tag, count(*) FROM shapes, unnest(tags) AS tag GROUP BY tag ORDER BY 2 DESC, 1 LIMIT 3;

UPDATE shapes SET w = w + 1 WHERE area < 50 RETURNING id, w, area;

UPDATE shapes SET at.y = 100 WHERE id = 3 RETURNING at;

UPDATE shapes SET price.currency = 'GBP' WHERE (price).amount > 25 RETURNING id, price;

UPDATE shapes SET tags[3] = 'third', area = DEFAULT WHERE id = 4 RETURNING tags, area;

UPDATE shapes SET w = -1 WHERE id > 5;

ALTER TYPE point3 ADD ATTRIBUTE t int CASCADE;

SELECT at FROM shapes WHERE id = 3;

ALTER TABLE shapes ADD COLUMN twice int GENERATED ALWAYS AS (h * 2) STORED;

SELECT sum(twice), max(label), min(area) FROM shapes;

ALTER TABLE shapes ADD CONSTRAINT flat CHECK (h < 1000) NOT VALID;

ALTER TABLE shapes VALIDATE CONSTRAINT flat;

INSERT INTO shapes (id, w, h) VALUES (30, 1, 5000);

COPY shapes (id, w, h, tags) FROM STDIN;
40	1	2	{a,b}
41	3	4	{}
\.

COPY (SELECT id, area, twice, label FROM shapes WHERE id >= 40 ORDER BY id) TO STDOUT;

SELECT * FROM shapes WHERE id = 40;

-- # triggers
CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL, note text, changed int DEFAULT 0) WITH (shard_key = 'id');

CREATE TABLE history (account int, seq int, was int, is_now int, op text, PRIMARY KEY (account, seq)) WITH (shard_key = 'account');

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.changed := coalesce(OLD.changed, 0) + 1;
  IF NEW.balance < 0 THEN RAISE EXCEPTION 'overdrawn' USING ERRCODE = '23514'; END IF;
  RETURN NEW;
END $$;

CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    INSERT INTO history VALUES (OLD.id, OLD.changed + 1, OLD.balance, NULL, TG_OP);
    RETURN OLD;
  END IF;
  INSERT INTO history VALUES (NEW.id, NEW.changed, CASE WHEN TG_OP = 'UPDATE' THEN OLD.balance END, NEW.balance, TG_OP);
  RETURN NEW;
END $$;

CREATE TRIGGER a_touch BEFORE INSERT OR UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION touch();

CREATE TRIGGER b_remember AFTER INSERT OR UPDATE OF balance OR DELETE ON accounts FOR EACH ROW EXECUTE FUNCTION remember();

INSERT INTO accounts (id, balance) SELECT i, 10 * i FROM generate_series(1, 12) i;

INSERT INTO accounts (id, balance) VALUES (20, 5), (21, 6) RETURNING *;

INSERT INTO accounts (id, balance) VALUES (22, -5);

UPDATE accounts SET balance = balance - 50 WHERE id = 6 RETURNING *;

UPDATE accounts SET balance = balance - 50 WHERE id = 4;

UPDATE accounts SET note = 'n' WHERE id < 3;

UPDATE accounts SET balance = balance + 1 WHERE id BETWEEN 7 AND 9 RETURNING id, balance, changed;

UPDATE accounts SET balance = balance - 85;

DELETE FROM accounts WHERE id IN (1, 2) RETURNING id;

INSERT INTO accounts (id, balance) VALUES (3, 1) ON CONFLICT (id) DO UPDATE SET balance = accounts.balance + EXCLUDED.balance RETURNING *;

SELECT * FROM accounts ORDER BY id;

SELECT * FROM history ORDER BY account, seq;

SELECT op, count(*) FROM history GROUP BY op ORDER BY op;

ALTER TABLE accounts DISABLE TRIGGER b_remember;

UPDATE accounts SET balance = 1 WHERE id = 5;

ALTER TABLE accounts ENABLE TRIGGER b_remember;

CREATE TRIGGER only_large BEFORE UPDATE ON accounts FOR EACH ROW WHEN (NEW.balance > 1000) EXECUTE FUNCTION suppress_redundant_updates_trigger();

UPDATE accounts SET balance = 2000 WHERE id = 5 RETURNING changed;

CREATE CONSTRAINT TRIGGER later AFTER INSERT ON accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION remember();

BEGIN;

INSERT INTO accounts (id, balance) VALUES (31, 1);

SELECT count(*) FROM history WHERE account = 31;

COMMIT;

DROP TRIGGER later ON accounts;

BEGIN;

INSERT INTO accounts (id, balance) VALUES (32, 1);

INSERT INTO accounts (id, balance) VALUES (33, 1);

UPDATE accounts SET balance = balance + 1 WHERE id IN (32, 33);

ROLLBACK;

SELECT count(*), sum(balance), sum(changed) FROM accounts;

SELECT count(*) FROM history;

-- # exclusion, deferred and partial uniques
CREATE EXTENSION btree_gist;

CREATE TABLE bookings (room int, during int4range, who text, EXCLUDE USING gist (room WITH =, during WITH &&)) WITH (shard_key = 'room');

INSERT INTO bookings VALUES (1, '[1,5)', 'a'), (1, '[5,9)', 'b'), (2, '[1,9)', 'c'), (3, '[1,2)', 'd');

INSERT INTO bookings VALUES (1, '[4,6)', 'x');

INSERT INTO bookings VALUES (4, '[1,2)', 'e'), (2, '[8,10)', 'x');

INSERT INTO bookings VALUES (2, '[8,10)', 'x') ON CONFLICT DO NOTHING RETURNING *;

UPDATE bookings SET during = '[1,6)' WHERE who = 'a';

SELECT * FROM bookings ORDER BY room, during;

-- refused unique_without_key
CREATE TABLE halls (room int, during int4range, EXCLUDE USING gist (during WITH &&)) WITH (shard_key = 'room');

CREATE TABLE seats (hall int, seat int, who text, UNIQUE (hall, seat) DEFERRABLE INITIALLY DEFERRED) WITH (shard_key = 'hall');

INSERT INTO seats SELECT h, s, 'w' || s FROM generate_series(1, 5) h, generate_series(1, 4) s;

UPDATE seats SET seat = 5 - seat WHERE hall = 2;

UPDATE seats SET seat = 5 - seat;

UPDATE seats SET seat = 1;

CREATE UNIQUE INDEX one_vip ON seats (hall) WHERE who = 'vip';

UPDATE seats SET who = 'vip' WHERE seat = 1;

UPDATE seats SET who = 'vip' WHERE seat = 2 AND hall = 3;

SELECT hall, string_agg(who, ',' ORDER BY seat) FROM seats GROUP BY hall ORDER BY hall;

-- # rules
CREATE RULE no_delete AS ON DELETE TO seats DO INSTEAD NOTHING;

DELETE FROM seats WHERE hall = 1;

DELETE FROM seats;

DELETE FROM seats USING bookings WHERE hall = room RETURNING who;

DELETE FROM seats USING (VALUES (1), (2)) v (n) WHERE hall = n;

EXPLAIN DELETE FROM seats;

DELETE FROM seats WHERE nothing = 1;

WITH gone AS (DELETE FROM seats RETURNING who) SELECT * FROM gone;

WITH gone AS (DELETE FROM seats) INSERT INTO bookings VALUES (9, '[1,2)', 'n');

WITH b AS (DELETE FROM bookings WHERE room = 1 RETURNING room) DELETE FROM seats USING b WHERE hall = room;

MERGE INTO seats USING (VALUES (1)) v (n) ON hall = n WHEN MATCHED THEN UPDATE SET who = 'm';

UPDATE seats SET who = 'seen' WHERE hall = 2 AND seat = 1 RETURNING who;

UPDATE seats SET who = 'all' WHERE seat = 4;

PREPARE del (int) AS DELETE FROM seats WHERE hall = $1;

EXECUTE del (2);

DEALLOCATE del;

CREATE RULE no_update AS ON UPDATE TO seats DO INSTEAD NOTHING;

UPDATE seats SET who = 'never' WHERE hall = 2;

UPDATE seats SET who = (SELECT max(who) FROM bookings);

UPDATE seats SET hall = hall + 1;

INSERT INTO seats VALUES (6, 2, 'new') ON CONFLICT (hall) WHERE who = 'vip' DO UPDATE SET who = 'x';

ALTER TABLE seats DISABLE RULE no_update;

UPDATE seats SET who = 'again' WHERE hall = 2 AND seat = 2 RETURNING who;

ALTER TABLE seats ENABLE RULE no_update;

UPDATE seats SET who = 'never' WHERE hall = 2 AND seat = 2;

DROP RULE no_update ON seats;

CREATE RULE no_insert AS ON INSERT TO seats DO INSTEAD NOTHING;

INSERT INTO seats VALUES (7, 1, 'x'), (8, 1, 'y');

INSERT INTO seats SELECT g, 1, 'z' FROM generate_series(10, 30) g;

INSERT INTO seats SELECT room, 1, who FROM bookings;

COPY seats FROM STDIN;
41	1	copied
42	1	copied
\.

SELECT hall, seat, who FROM seats ORDER BY 1, 2;

ALTER RULE no_insert ON seats RENAME TO none_more;

SELECT rulename, definition FROM pg_rules WHERE tablename = 'seats' ORDER BY 1;

DROP RULE none_more ON seats;

DROP RULE no_delete ON seats;

DELETE FROM seats WHERE hall > 40;

CREATE VIEW vips AS SELECT hall, seat, who FROM seats WHERE who = 'vip';

CREATE RULE quiet AS ON DELETE TO seats DO INSTEAD NOTHING;

DELETE FROM vips;

BEGIN;

DROP RULE quiet ON seats;

DELETE FROM seats WHERE hall = 5;

SELECT count(*) FROM seats;

ROLLBACK;

DELETE FROM seats WHERE hall = 5;

SELECT count(*) FROM seats;

DROP RULE quiet ON seats;

CREATE TABLE coins (code text PRIMARY KEY, n int) WITH (reference = true);

INSERT INTO coins VALUES ('a', 1), ('b', 2);

CREATE RULE keep AS ON DELETE TO coins DO INSTEAD NOTHING;

DELETE FROM coins;

DELETE FROM coins WHERE n > (SELECT count(*) FROM seats WHERE hall = 77);

UPDATE coins SET n = n + 1;

SELECT * FROM coins ORDER BY 1;

SET session_replication_role = replica;

-- refused rule
DELETE FROM coins;

RESET session_replication_role;

-- refused rule
CREATE RULE more AS ON UPDATE TO coins DO ALSO DELETE FROM coins;

CREATE TABLE ruled (id int PRIMARY KEY);

CREATE RULE kept AS ON DELETE TO ruled DO INSTEAD NOTHING;

-- refused rule
SELECT create_distributed_table('ruled', 'id');

-- # row level security
CREATE TABLE notes (owner_id int, id int, body text, secret bool DEFAULT false, PRIMARY KEY (owner_id, id)) WITH (shard_key = 'owner_id');

INSERT INTO notes SELECT o, i, 'note ' || i, i % 2 = 0 FROM generate_series(1, 8) o, generate_series(1, 3) i;

CREATE ROLE objects_reader;

GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO objects_reader;

ALTER TABLE notes ENABLE ROW LEVEL SECURITY;

CREATE POLICY seen ON notes FOR SELECT TO objects_reader USING (NOT secret OR owner_id = current_setting('my.id')::int);

CREATE POLICY own ON notes FOR ALL TO objects_reader USING (owner_id = current_setting('my.id')::int) WITH CHECK (owner_id = current_setting('my.id')::int AND body <> 'bad');

SET ROLE objects_reader;

SET my.id = 3;

SELECT count(*) FROM notes;

SELECT * FROM notes WHERE owner_id = 3 ORDER BY id;

SELECT owner_id, count(*) FROM notes GROUP BY owner_id ORDER BY 1;

SELECT * FROM notes ORDER BY body DESC, owner_id LIMIT 4;

UPDATE notes SET body = body || '!' WHERE owner_id = 3 RETURNING *;

UPDATE notes SET body = body || '?' RETURNING owner_id, id, body;

UPDATE notes SET body = 'bad' WHERE id = 1;

INSERT INTO notes VALUES (3, 9, 'mine', false);

INSERT INTO notes VALUES (4, 9, 'not mine', false);

DELETE FROM notes WHERE id = 2 RETURNING owner_id;

SET my.id = 5;

SELECT count(*), sum(id) FROM notes WHERE secret;

SELECT a.owner_id, b.id FROM notes a JOIN notes b ON a.id = b.owner_id WHERE a.secret ORDER BY 1, 2;

RESET ROLE;

SELECT count(*) FROM notes;

ALTER TABLE notes FORCE ROW LEVEL SECURITY;

SELECT count(*) FROM notes;

DROP TABLE notes;

DROP ROLE objects_reader;

-- # views in whose place Weft tells of the session
BEGIN;

DECLARE told CURSOR FOR SELECT 1;

SELECT name, statement, is_holdable FROM pg_cursors;

SELECT c.name AS n, upper(c.name) AS up, c.is_scrollable FROM pg_catalog.pg_cursors c ORDER BY 1;

TABLE pg_prepared_statements;

SELECT pid, usename, 1 AS one FROM pg_stat_activity WHERE pid = 0;

SELECT locktype, mode FROM pg_locks WHERE pid = 0;

ROLLBACK;
