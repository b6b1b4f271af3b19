-- # tables
CREATE TABLE acc (id int PRIMARY KEY, owner text, town text COLLATE "C", v numeric(12,2) NOT NULL DEFAULT 5, made timestamptz DEFAULT '2024-01-01 10:00+00', note varchar(20));
-- weft
SELECT create_distributed_table('acc', 'id');
CREATE TABLE item (acc_id int, n int, what text, price numeric NOT NULL CHECK (price >= 0), twice numeric GENERATED ALWAYS AS (price * 2) STORED, tags text[], f double precision, PRIMARY KEY (acc_id, n));
-- weft
SELECT create_distributed_table('item', 'acc_id');
ALTER TABLE item ADD FOREIGN KEY (acc_id) REFERENCES acc;
CREATE TABLE town (name text PRIMARY KEY, country text);
-- weft
SELECT create_reference_table('town');
CREATE TABLE plain (town text, factor int);
INSERT INTO town VALUES ('a', 'x'), ('b', 'y'), ('c', NULL);
INSERT INTO plain VALUES ('a', 1), ('b', 2), (NULL, 3);
INSERT INTO acc SELECT g, 'o' || g % 7, (ARRAY['a', 'b', 'c', NULL])[g % 4 + 1], g * 1.25, '2024-01-01'::timestamptz + g * interval '1 day', repeat('z', g % 5) FROM generate_series(1, 60) g;
INSERT INTO item (acc_id, n, what, price, tags, f) SELECT g % 60 + 1, g, 'w' || g % 5, g / 3.0, ARRAY['t' || g % 3, NULL], g / 7.0 FROM generate_series(1, 200) g;

-- # made and read
CREATE MATERIALIZED VIEW of_town AS SELECT town, count(*) AS n, sum(v) AS total, min(made), max(note) FROM acc GROUP BY town;
SELECT * FROM of_town ORDER BY 1;
CREATE MATERIALIZED VIEW all_acc AS SELECT * FROM acc;
SELECT * FROM all_acc ORDER BY id;
CREATE MATERIALIZED VIEW joined (who, what, sums, twices) AS SELECT a.owner, i.what, sum(i.price), sum(i.twice) FROM acc a JOIN item i ON i.acc_id = a.id GROUP BY 1, 2;
SELECT * FROM joined ORDER BY 1, 2;
CREATE MATERIALIZED VIEW off_key AS SELECT a.id AS a, b.id AS b FROM acc a JOIN acc b ON a.owner = b.owner AND a.id < b.id WHERE a.v < 20;
SELECT count(*), sum(a), sum(b) FROM off_key;
CREATE MATERIALIZED VIEW beside AS SELECT a.town, t.country, p.factor, count(*) FROM acc a LEFT JOIN town t ON t.name = a.town LEFT JOIN plain p ON p.town = a.town GROUP BY 1, 2, 3;
SELECT * FROM beside ORDER BY 1, 2, 3;
CREATE MATERIALIZED VIEW whole AS SELECT i, i.tags, i.f, row_number() OVER (ORDER BY i.n) FROM item i;
SELECT * FROM whole ORDER BY row_number;
CREATE MATERIALIZED VIEW one_key AS SELECT * FROM item WHERE acc_id = 7;
SELECT * FROM one_key ORDER BY n;
CREATE MATERIALIZED VIEW no_rows AS SELECT id FROM acc WHERE false;
SELECT * FROM no_rows;
CREATE MATERIALIZED VIEW nested AS WITH w AS (SELECT owner, sum(v) AS s FROM acc GROUP BY 1) SELECT w.*, (SELECT count(*) FROM item i JOIN acc a ON a.id = i.acc_id WHERE a.owner = w.owner) AS n FROM w WHERE EXISTS (SELECT FROM acc WHERE acc.owner = w.owner AND id > 5) UNION ALL SELECT 'none', 1.50, 2;
SELECT * FROM nested ORDER BY 1;
CREATE MATERIALIZED VIEW tops AS SELECT DISTINCT ON (town) town, id, v FROM acc ORDER BY town, v DESC, id LIMIT 3;
SELECT * FROM tops ORDER BY 1;
CREATE MATERIALIZED VIEW "Odd ""name" AS SELECT id AS "Id", town AS "a b" FROM acc WHERE town = 'a''b' OR id < 4;
SELECT * FROM "Odd ""name" ORDER BY 1;
REFRESH MATERIALIZED VIEW "Odd ""name";
CREATE MATERIALIZED VIEW filled WITH (fillfactor = 70) AS SELECT id, v FROM acc;
SELECT reloptions FROM pg_class WHERE oid = 'filled'::regclass;
SELECT o.country, sum(a.v) FROM acc a JOIN of_town m ON m.town = a.town JOIN town o ON o.name = m.town GROUP BY 1 ORDER BY 1;

-- # refreshed
UPDATE acc SET v = v + 1 WHERE id % 3 = 0;
INSERT INTO acc (id, owner) VALUES (1001, 'new'), (1002, 'new'), (1003, NULL);
DELETE FROM item WHERE n > 190;
SELECT * FROM of_town ORDER BY 1;
REFRESH MATERIALIZED VIEW of_town;
SELECT * FROM of_town ORDER BY 1;
REFRESH MATERIALIZED VIEW all_acc WITH DATA;
SELECT * FROM all_acc ORDER BY id;
REFRESH MATERIALIZED VIEW joined;
SELECT * FROM joined ORDER BY 1, 2;
REFRESH MATERIALIZED VIEW beside;
SELECT * FROM beside ORDER BY 1, 2, 3;
REFRESH MATERIALIZED VIEW nested;
SELECT * FROM nested ORDER BY 1;
REFRESH MATERIALIZED VIEW all_acc WITH NO DATA;
SELECT * FROM all_acc;
SELECT relispopulated FROM pg_class WHERE oid = 'all_acc'::regclass;
REFRESH MATERIALIZED VIEW all_acc;
SELECT count(*), sum(v) FROM all_acc;
REFRESH MATERIALIZED VIEW nowhere;
REFRESH MATERIALIZED VIEW acc;
REFRESH MATERIALIZED VIEW plain;

-- # with no data, and where there is one
CREATE MATERIALIZED VIEW later AS SELECT id, v FROM acc WITH NO DATA;
SELECT * FROM later;
REFRESH MATERIALIZED VIEW CONCURRENTLY later;
REFRESH MATERIALIZED VIEW later;
SELECT count(*), sum(v) FROM later;
CREATE MATERIALIZED VIEW later AS SELECT id FROM acc;
CREATE MATERIALIZED VIEW IF NOT EXISTS later AS SELECT id FROM acc;
CREATE MATERIALIZED VIEW IF NOT EXISTS later2 AS SELECT id FROM acc WHERE id < 5;
CREATE MATERIALIZED VIEW plain AS SELECT id FROM acc;
CREATE MATERIALIZED VIEW not_there.later AS SELECT id FROM acc;
CREATE MATERIALIZED VIEW wrong AS SELECT nothing FROM acc;
CREATE MATERIALIZED VIEW wrong AS SELECT id / 0 FROM acc;
CREATE MATERIALIZED VIEW wrong (a, b) AS SELECT id FROM acc;
CREATE MATERIALIZED VIEW wrong AS SELECT id, id FROM acc;
SELECT to_regclass('wrong');

-- # concurrently
REFRESH MATERIALIZED VIEW CONCURRENTLY of_town;
CREATE UNIQUE INDEX ON of_town (town);
CREATE INDEX of_town_n ON of_town (n DESC);
UPDATE acc SET town = 'c' WHERE id IN (3, 7);
INSERT INTO acc (id, town) VALUES (2001, 'd');
REFRESH MATERIALIZED VIEW CONCURRENTLY of_town;
SELECT * FROM of_town ORDER BY 1;
DELETE FROM acc WHERE town = 'd';
REFRESH MATERIALIZED VIEW CONCURRENTLY of_town;
SELECT * FROM of_town ORDER BY 1;
REFRESH MATERIALIZED VIEW CONCURRENTLY of_town WITH NO DATA;
CREATE UNIQUE INDEX ON later (id);
REFRESH MATERIALIZED VIEW CONCURRENTLY later;
SELECT count(*), sum(v), max(id) FROM later;

-- # definition, name, owner, schema
SELECT pg_get_viewdef('joined'::regclass);
SELECT matviewname, hasindexes, ispopulated, definition FROM pg_matviews WHERE schemaname = 'matviews' ORDER BY 1;
COMMENT ON MATERIALIZED VIEW joined IS 'sums';
ALTER MATERIALIZED VIEW joined RENAME TO joined2;
ALTER MATERIALIZED VIEW joined2 RENAME COLUMN who TO owner;
CREATE SCHEMA matviews_other;
ALTER MATERIALIZED VIEW joined2 SET SCHEMA matviews_other;
REFRESH MATERIALIZED VIEW matviews_other.joined2;
SELECT owner, sum(sums) FROM matviews_other.joined2 GROUP BY 1 ORDER BY 1;
DROP SCHEMA matviews_other;
DROP SCHEMA matviews_other CASCADE;
ALTER MATERIALIZED VIEW filled SET (fillfactor = 90);
ALTER MATERIALIZED VIEW filled ALTER COLUMN v SET STATISTICS 10;
DROP MATERIALIZED VIEW filled, tops;
DROP MATERIALIZED VIEW filled;
DROP MATERIALIZED VIEW IF EXISTS filled;
INSERT INTO of_town (town) VALUES ('q');
ANALYZE of_town;

-- # views between, and views over
CREATE VIEW rich AS SELECT * FROM acc WHERE v > 30;
CREATE MATERIALIZED VIEW of_rich AS SELECT owner, count(*) FROM rich GROUP BY 1;
SELECT * FROM of_rich ORDER BY 1;
CREATE MATERIALIZED VIEW of_of AS SELECT m.owner, a.id FROM of_rich m JOIN acc a USING (owner) WHERE a.id < 20;
SELECT * FROM of_of ORDER BY 1, 2;
UPDATE acc SET v = 100 WHERE id = 2;
REFRESH MATERIALIZED VIEW of_rich;
REFRESH MATERIALIZED VIEW of_of;
SELECT * FROM of_rich ORDER BY 1;
SELECT * FROM of_of ORDER BY 1, 2;
CREATE OR REPLACE VIEW rich AS SELECT * FROM acc WHERE v > 60;
REFRESH MATERIALIZED VIEW of_rich;
SELECT * FROM of_rich ORDER BY 1;
DROP VIEW rich;
DROP TABLE item;
ALTER TABLE acc DROP COLUMN owner;
ALTER TABLE acc ALTER COLUMN v TYPE text;

-- # changed tables
ALTER TABLE acc ADD COLUMN extra text DEFAULT 'e';
ALTER TABLE acc RENAME COLUMN note TO remark;
ALTER TABLE acc DROP COLUMN made CASCADE;
REFRESH MATERIALIZED VIEW off_key;
SELECT count(*), sum(a), sum(b) FROM off_key;
CREATE MATERIALIZED VIEW wide AS SELECT * FROM acc;
SELECT * FROM wide ORDER BY id;
ALTER TABLE acc RENAME TO account;
REFRESH MATERIALIZED VIEW wide;
SELECT count(*), max(extra) FROM wide;
ALTER TABLE account RENAME TO acc;
ALTER TABLE acc ADD CHECK (v < 1000000);
ALTER TABLE acc ADD CONSTRAINT later_checked CHECK (id > 2) NOT VALID;
-- refused materialized_view
REFRESH MATERIALIZED VIEW wide;
ALTER TABLE acc DROP CONSTRAINT later_checked;
REFRESH MATERIALIZED VIEW wide;

-- # a view made before its table was sharded
CREATE TABLE early (id int PRIMARY KEY, v int);
INSERT INTO early SELECT g, g * g FROM generate_series(1, 50) g;
CREATE MATERIALIZED VIEW early_sum AS SELECT count(*), sum(v) FROM early;
-- weft
SELECT create_distributed_table('early', 'id');
SELECT * FROM early_sum;
INSERT INTO early VALUES (100, 1);
REFRESH MATERIALIZED VIEW early_sum;
SELECT * FROM early_sum;
-- weft
SELECT undistribute_table('early');
REFRESH MATERIALIZED VIEW early_sum;
SELECT * FROM early_sum;
-- weft
SELECT create_distributed_table('early', 'id');
REFRESH MATERIALIZED VIEW early_sum;
SELECT * FROM early_sum;
CREATE TABLE heir (more text) INHERITS (early);
INSERT INTO heir VALUES (200, 1, 'm');
-- refused materialized_view
REFRESH MATERIALIZED VIEW early_sum;
DROP TABLE heir;
REFRESH MATERIALIZED VIEW early_sum;
SELECT * FROM early_sum;
DROP TABLE early;
DROP TABLE early CASCADE;
SELECT to_regclass('early_sum');

-- # in blocks
BEGIN;
CREATE MATERIALIZED VIEW in_block AS SELECT town, sum(v) FROM acc GROUP BY 1;
SELECT * FROM in_block ORDER BY 1;
INSERT INTO acc (id, town, v) VALUES (3001, 'zz', 1), (3002, 'zz', 2), (3003, 'zz', 3);
REFRESH MATERIALIZED VIEW in_block;
SELECT * FROM in_block ORDER BY 1;
COMMIT;
SELECT * FROM in_block ORDER BY 1;
BEGIN;
UPDATE acc SET v = 0 WHERE town = 'zz';
REFRESH MATERIALIZED VIEW in_block;
SELECT * FROM in_block ORDER BY 1;
ROLLBACK;
SELECT * FROM in_block ORDER BY 1;
BEGIN ISOLATION LEVEL REPEATABLE READ;
DELETE FROM acc WHERE town = 'zz';
SELECT count(*) FROM acc;
REFRESH MATERIALIZED VIEW in_block;
SELECT * FROM in_block ORDER BY 1;
COMMIT;
SELECT * FROM in_block ORDER BY 1;
BEGIN;
CREATE TABLE fresh (id int PRIMARY KEY, v int);
-- weft
SELECT create_distributed_table('fresh', 'id');
INSERT INTO fresh SELECT g, g FROM generate_series(1, 30) g;
CREATE MATERIALIZED VIEW of_fresh AS SELECT sum(v) FROM fresh;
SAVEPOINT s;
INSERT INTO fresh VALUES (100, 100);
REFRESH MATERIALIZED VIEW of_fresh;
SELECT * FROM of_fresh;
ROLLBACK TO s;
SELECT * FROM of_fresh;
REFRESH MATERIALIZED VIEW of_fresh;
SELECT * FROM of_fresh;
COMMIT;
REFRESH MATERIALIZED VIEW of_fresh;
SELECT * FROM of_fresh;
BEGIN;
UPDATE town SET country = 'new' WHERE name = 'a';
UPDATE item SET price = 1 WHERE acc_id < 5;
CREATE MATERIALIZED VIEW of_several AS SELECT a.town, t.country, p.factor, sum(i.price) FROM acc a JOIN item i ON i.acc_id = a.id LEFT JOIN town t ON t.name = a.town LEFT JOIN plain p USING (town) GROUP BY 1, 2, 3;
SELECT * FROM of_several ORDER BY 1, 2, 3;
REFRESH MATERIALIZED VIEW of_several;
COMMIT;
SELECT * FROM of_several ORDER BY 1, 2, 3;
BEGIN;
CREATE MATERIALIZED VIEW gone AS SELECT id FROM fresh;
ROLLBACK;
SELECT to_regclass('gone');
BEGIN READ ONLY;
REFRESH MATERIALIZED VIEW of_fresh;
ROLLBACK;
BEGIN;
CREATE MATERIALIZED VIEW failing AS SELECT 1 / (id - 3) FROM fresh;
SELECT 1;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM acc;
CREATE UNIQUE INDEX ON in_block (town);
REFRESH MATERIALIZED VIEW CONCURRENTLY in_block;
COMMIT;
BEGIN;
UPDATE acc SET v = 7 WHERE town = 'zz';
REFRESH MATERIALIZED VIEW CONCURRENTLY in_block;
SELECT * FROM in_block ORDER BY 1;
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE acc SET v = v + 1 WHERE id < 10;
REFRESH MATERIALIZED VIEW in_block;
COMMIT;
SELECT * FROM in_block ORDER BY 1;
SELECT count(*) FROM pg_class WHERE relname LIKE 'weft\_rows%';

-- # whose name matters
CREATE MATERIALIZED VIEW item2 AS SELECT * FROM item;
CREATE SCHEMA matviews_b;
SET search_path = matviews_b, matviews;
CREATE MATERIALIZED VIEW item AS SELECT 'mine' AS what, count(*) FROM matviews.item;
SELECT * FROM item;
REFRESH MATERIALIZED VIEW item;
SELECT * FROM item;
DROP MATERIALIZED VIEW item;
SELECT count(*) FROM item;
SET search_path = matviews;
DROP SCHEMA matviews_b CASCADE;

-- # row types, enums, domains, quoted names
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN small AS int CHECK (VALUE < 1000);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE "Odd Table" ("Key" bigint PRIMARY KEY, m mood, s small, p pair, "a ""b" char(5), r int4range, j jsonb, b bytea, d date, ms mood[]);
-- weft
SELECT create_distributed_table('"Odd Table"', 'Key');
INSERT INTO "Odd Table" SELECT g, (ARRAY['sad', 'ok', 'happy', NULL]::mood[])[g % 4 + 1], g, (g, E'x\ty\\' || g)::pair, 'c' || g, int4range(g, g + 5), jsonb_build_object('k', g, 'n', NULL), decode(lpad(to_hex(g), 4, '0'), 'hex'), '2024-02-28'::date + g, ARRAY['ok', NULL]::mood[] FROM generate_series(1, 40) g;
CREATE MATERIALIZED VIEW odd AS SELECT * FROM "Odd Table";
SELECT "Key", m::text, s, p::text, "a ""b", r, j, b, d, ms::text FROM odd ORDER BY 1;
SET DateStyle = 'German';
SET extra_float_digits = -5;
REFRESH MATERIALIZED VIEW odd;
CREATE MATERIALIZED VIEW floats AS SELECT f FROM item;
RESET DateStyle;
RESET extra_float_digits;
SELECT "Key", m::text, s, p::text, "a ""b", r, j, b, d, ms::text FROM odd ORDER BY 1;
SELECT count(*), sum(f::numeric) FROM floats;

-- # functions
CREATE FUNCTION plus(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT x + 1';
CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT count(*) FROM matviews.plain); END';
CREATE MATERIALIZED VIEW with_code AS SELECT plus(id) AS p, counted() AS c FROM acc WHERE id < 10;
SELECT * FROM with_code ORDER BY 1;
REFRESH MATERIALIZED VIEW with_code;
SELECT * FROM with_code ORDER BY 1;
CREATE MATERIALIZED VIEW kept AS SELECT id, xid FROM acc CROSS JOIN (SELECT 1 AS xid) x;

-- # refused
-- refused materialized_view
CREATE MATERIALIZED VIEW no AS SELECT tableoid::regclass, id FROM acc;
-- refused materialized_view
CREATE MATERIALIZED VIEW no AS SELECT ctid FROM acc;
-- refused materialized_view
CREATE MATERIALIZED VIEW no AS SELECT id FROM ONLY acc;
-- refused materialized_view
CREATE MATERIALIZED VIEW no AS SELECT id FROM acc FOR UPDATE;
CREATE TABLE parts (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parts_24 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
-- weft
SELECT create_distributed_table('parts', 'id');
-- refused materialized_view
CREATE MATERIALIZED VIEW no AS SELECT id FROM parts;
-- refused materialized_view
CREATE MATERIALIZED VIEW no AS SELECT id FROM parts_24;
-- refused materialized_view
CREATE MATERIALIZED VIEW no AS SELECT id FROM parts WITH NO DATA;
-- refused materialized_view
EXPLAIN CREATE MATERIALIZED VIEW no AS SELECT id FROM acc;
-- refused materialized_view
EXPLAIN ANALYZE CREATE MATERIALIZED VIEW no AS SELECT id FROM acc;
CREATE TEMP TABLE tmp (id int);
CREATE MATERIALIZED VIEW no AS SELECT id FROM acc JOIN tmp USING (id);
-- refused materialized_view
CREATE MATERIALIZED VIEW no WITH (shard_key = 'id') AS SELECT id FROM acc;
SELECT count(*) FROM pg_class WHERE relname LIKE 'weft\_rows%';

-- # attached after it was read
CREATE TABLE part_b (id int, at date, PRIMARY KEY (id, at));
-- weft
SELECT create_distributed_table('part_b', 'id', colocate_with => 'parts');
INSERT INTO part_b SELECT g, '2025-03-01' FROM generate_series(1, 20) g;
CREATE MATERIALIZED VIEW of_b AS SELECT count(*) FROM part_b;
SELECT * FROM of_b;
ALTER TABLE parts ATTACH PARTITION part_b FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO parts SELECT g, '2025-03-02' FROM generate_series(1, 20) g;
SELECT count(*) FROM parts;
-- refused materialized_view
REFRESH MATERIALIZED VIEW of_b;
ALTER TABLE parts DETACH PARTITION part_b;
REFRESH MATERIALIZED VIEW of_b;
SELECT * FROM of_b;
