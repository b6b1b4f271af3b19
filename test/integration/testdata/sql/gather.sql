-- # tables
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');

CREATE DOMAIN small AS int CHECK (VALUE < 1000);

CREATE TYPE pair AS (a int, b text);

CREATE TABLE sales (shop int, id int, at timestamptz, price numeric(8,2), item text, code char(4), name varchar(6),
  PRIMARY KEY (shop, id)) WITH (shard_key = 'shop');

CREATE TABLE items (name text PRIMARY KEY, kind text, weight float8) WITH (shard_key = 'name', colocate_with = 'none');

CREATE TABLE kinds (kind text PRIMARY KEY, label text) WITH (reference = true);

CREATE TABLE things (k int PRIMARY KEY, b bool, by bytea, c "char", n name, i8 int8, i2 int2, o oid, j json, jb jsonb, f4 float4,
  f8 float8, m money, mac macaddr, ip inet, net cidr, bp char(3), vc varchar(3), d date, t time(2), ts timestamp(1), iv interval,
  tz timetz, bi bit(3), vb varbit(5), num numeric, u uuid, r int4range, p point, arr int[], ftw float8[][], mo mood, mos mood[],
  sm small, pa pair, co text COLLATE "C", tsv tsvector, x xml) WITH (shard_key = 'k');

INSERT INTO sales SELECT i % 9, i, '2024-03-30 22:00+00'::timestamptz + i * interval '1 hour', i * 1.25, 'item' || i % 7, 'c' || i % 4,
  CASE WHEN i % 5 <> 0 THEN 'n' || i % 3 END FROM generate_series(1, 60) i;

INSERT INTO items SELECT 'item' || i, (ARRAY['x', 'y', NULL])[1 + i % 3], i / 3.0 FROM generate_series(0, 9) i;

INSERT INTO kinds VALUES ('x', 'ex'), ('y', 'why'), ('z', NULL);

INSERT INTO things SELECT i, i % 2 = 0, '\x00ff'::bytea, 'a', 'nm' || i, i, i, i, '{"a": 1}', '{"b": [1, null]}', 0.1 * i, 0.1 * i, 12.34,
  '08:00:2b:01:02:03', '10.0.0.1/24', '10.0.0.0/8', 'b', 'v' || i, '2020-02-29', '01:02:03.456', '2020-01-01 00:00:00.55', '1 mon 2 days 3 sec',
  '04:05:06+07', B'101', B'11', 10 ^ i, '00000000-0000-0000-0000-00000000000' || i, int4range(i, i + 5), point(i, 2), ARRAY[i, NULL], ARRAY[[0.1, 2], [3, 4]],
  (ARRAY['sad', 'ok', 'glad'])[1 + i % 3]::mood, ARRAY['ok', 'sad']::mood[], i, ROW(i, 'a,"b')::pair, 'C' || i, 'a b'::tsvector, '<a/>'::xml
  FROM generate_series(1, 6) i;

INSERT INTO things (k) VALUES (50), (51);

-- # every type comes back as it was
SELECT * FROM things ORDER BY k;

SELECT * FROM things ORDER BY k DESC LIMIT 3 OFFSET 1;

SELECT mo, count(*), array_agg(k ORDER BY k), max(sm), min(num) FROM things GROUP BY mo ORDER BY mo;

SELECT DISTINCT bp, vc, co FROM things ORDER BY co, vc;

SELECT pg_typeof(mo)::text, pg_typeof(pa)::text, pg_typeof(bp)::text, pg_typeof(mos)::text FROM things ORDER BY k LIMIT 1;

SELECT max(co), min(vc), string_agg(co, ',' ORDER BY co DESC) FROM things WHERE co < 'C4';

SELECT (pa).a, (pa).b, jb -> 'b', arr[1], ftw[2][1] FROM things WHERE i8 > 2 ORDER BY k;

SELECT json_agg(t ORDER BY k) FROM things t WHERE k < 3;

SELECT count(t), row_to_json(t) IS NULL FROM things t GROUP BY t.k HAVING count(*) > 0 ORDER BY 2, 1;

-- # what text may lose
SET extra_float_digits = 0;

-- refused
SELECT ftw FROM things ORDER BY k;

SELECT f8, ts, iv FROM things ORDER BY k;

SET extra_float_digits = 1;

SET DateStyle = 'German';

SELECT at, count(*) OVER () FROM sales ORDER BY at LIMIT 2;

-- refused
SELECT mos FROM things ORDER BY k;

-- # a time zone and its changes
SET TimeZone = 'Europe/Berlin';

SELECT date_trunc('day', at), count(*), min(at) FROM sales GROUP BY 1 ORDER BY 1;

SELECT at::date, sum(price) FROM sales WHERE at >= '2024-03-31 00:00' GROUP BY at::date ORDER BY 1;

-- # order and limits
SELECT id FROM sales ORDER BY price DESC, id LIMIT 4;

SELECT id AS price FROM sales ORDER BY price LIMIT 4;

SELECT id, price * -1 AS p FROM sales ORDER BY 2 LIMIT 3 OFFSET 2;

SELECT name, id FROM sales ORDER BY name NULLS FIRST, id DESC LIMIT 5;

SELECT name, id FROM sales ORDER BY name DESC NULLS LAST, id FETCH FIRST 14 ROWS ONLY;

-- refused
SELECT item FROM sales ORDER BY item FETCH FIRST 3 ROWS WITH TIES;

SELECT id FROM sales WHERE price > 10 AND item <> 'item3' ORDER BY lower(item), id LIMIT ALL OFFSET 40;

SELECT id FROM sales ORDER BY id LIMIT NULL OFFSET 55;

SELECT code || '|', name FROM sales WHERE code = 'c1' ORDER BY code, id LIMIT 2;

SELECT id FROM sales ORDER BY id LIMIT 0;

SELECT id FROM sales ORDER BY (SELECT 1), id LIMIT 2;

-- params: 3::int8 | 2::int8
SELECT id FROM sales ORDER BY id LIMIT $1 OFFSET $2;

-- params: 2::int8 | 10::numeric
SELECT id FROM sales WHERE price > $2 ORDER BY id LIMIT $1;

-- params: item3::text | 4::int4
SELECT item, count(*) FILTER (WHERE id > $2), $2 + count(*) FROM sales WHERE item = $1 GROUP BY item;

SELECT id FROM sales ORDER BY id LIMIT -1;

SELECT * FROM sales ORDER BY nothing;

SELECT id FROM sales ORDER BY id LIMIT 'x';

-- # groups
SELECT item, count(*), sum(price), avg(price), min(at), max(code) FROM sales GROUP BY item ORDER BY item;

SELECT s.*, count(*) FROM sales s GROUP BY s.shop, s.id ORDER BY id LIMIT 2;

SELECT shop, id, item FROM sales GROUP BY 1, 2 HAVING id < 4 ORDER BY id;

SELECT s.item, i.weight, count(*) FROM sales s JOIN items i ON i.name = s.item GROUP BY s.item, i.name ORDER BY 1;

SELECT s.item, i.weight, count(*) FROM sales s LEFT JOIN items i ON i.name = s.item GROUP BY s.item, i.weight ORDER BY 1;

SELECT item, name, count(*) FROM sales GROUP BY item;

SELECT count(*) FROM sales GROUP BY item HAVING sum(price) > 150 ORDER BY 1;

SELECT code, name, grouping(code, name), count(*) FROM sales GROUP BY CUBE (code, name) ORDER BY 3, 1, 2;

SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY price), mode() WITHIN GROUP (ORDER BY item), count(DISTINCT item), stddev(id) FROM sales;

SELECT bool_or(id > 5), every(id > 5), bit_and(id), array_agg(DISTINCT code ORDER BY code DESC) FROM sales;

SELECT item, 1 / (count(*) - 9) FROM sales GROUP BY item;

-- # windows
SELECT id, row_number() OVER (ORDER BY price DESC), lag(id) OVER w, sum(price) OVER (w ROWS 2 PRECEDING) FROM sales
  WHERE shop < 3 WINDOW w AS (PARTITION BY item ORDER BY id) ORDER BY id;

SELECT * FROM (SELECT id, rank() OVER (PARTITION BY item ORDER BY id) AS r FROM sales) x WHERE r = 1 ORDER BY id;

-- # joins
SELECT s.id, i.kind, k.label FROM sales s JOIN items i ON i.name = s.item JOIN kinds k USING (kind) WHERE s.id < 10 ORDER BY s.id;

SELECT k.label, count(s.id) FROM kinds k LEFT JOIN items i ON i.kind = k.kind LEFT JOIN sales s ON s.item = i.name GROUP BY k.label ORDER BY 1;

SELECT i.name, s.id FROM items i FULL JOIN sales s ON s.item = i.name AND s.id > 55 WHERE s.id IS NULL OR s.id > 50 ORDER BY 1, 2;

SELECT i.name FROM items i LEFT JOIN sales s ON s.item = i.name WHERE s.id IS NULL ORDER BY 1;

SELECT a.id, b.id FROM sales a, sales b WHERE a.item = b.item AND a.id < b.id AND b.id < 12 ORDER BY 1, 2;

SELECT * FROM items NATURAL JOIN kinds ORDER BY name;

SELECT a.x, b.y FROM items AS a (x, z, w), items AS b (y) WHERE a.x = b.y AND a.w > 1 ORDER BY 1;

SELECT j.y FROM (items JOIN kinds ON kinds.kind = items.kind) AS j (x, y, z, u) WHERE j.x = 'item3' AND j.u = 'x' ORDER BY j.z;

SELECT j::text FROM (items JOIN kinds USING (kind)) AS j ORDER BY j.name;

SELECT i.name, l.id FROM items i CROSS JOIN LATERAL (SELECT id FROM sales s WHERE s.item = i.name ORDER BY id DESC LIMIT 1) l ORDER BY 1;

SELECT gather.sales.id FROM gather.sales JOIN items ON items.name = gather.sales.item WHERE gather.sales.id < 4 ORDER BY gather.sales.id;

SELECT g, count(s.id) FROM generate_series(1, 3) g LEFT JOIN sales s ON s.shop = g GROUP BY g ORDER BY g;

-- # subqueries
SELECT id FROM sales WHERE item IN (SELECT name FROM items WHERE weight > 1) ORDER BY id LIMIT 5;

SELECT id FROM sales WHERE price > (SELECT avg(price) FROM sales) ORDER BY id LIMIT 3;

SELECT name, (SELECT count(*) FROM sales s WHERE s.item = i.name) FROM items i ORDER BY 1;

SELECT name FROM items i WHERE NOT EXISTS (SELECT FROM sales s WHERE s.item = i.name) ORDER BY 1;

SELECT name FROM items WHERE name NOT IN (SELECT item FROM sales WHERE item IS NOT NULL) ORDER BY 1;

SELECT ARRAY(SELECT id FROM sales ORDER BY id LIMIT 3), (SELECT count(*) FROM items);

SELECT CASE WHEN EXISTS (SELECT FROM sales WHERE id = 3) THEN 'yes' END FROM kinds ORDER BY kind;

-- # WITH and sets
WITH t AS (SELECT item, sum(price) AS s FROM sales GROUP BY item) SELECT * FROM t WHERE s > (SELECT avg(s) FROM t) ORDER BY 1;

WITH t AS MATERIALIZED (SELECT * FROM sales) SELECT a.id FROM t a JOIN t b ON a.id = b.id + 1 WHERE a.shop = 3 ORDER BY 1;

WITH RECURSIVE r AS (SELECT id, 1 AS n FROM sales WHERE id = 1 UNION ALL SELECT s.id, n + 1 FROM r JOIN sales s ON s.id = r.id + 1 WHERE n < 5)
  SELECT * FROM r ORDER BY n;

SELECT item FROM sales UNION SELECT name FROM items ORDER BY 1;

SELECT item FROM sales INTERSECT ALL SELECT name FROM items ORDER BY 1;

SELECT name FROM items EXCEPT SELECT item FROM sales ORDER BY 1;

(SELECT id FROM sales ORDER BY id DESC LIMIT 2) UNION ALL (SELECT 0) ORDER BY 1;

SELECT count(*) FROM (SELECT id FROM sales UNION ALL SELECT 1 FROM items) x;

-- # in a transaction, with what it wrote
BEGIN;

INSERT INTO sales (shop, id, item, price) VALUES (1, 100, 'new', 5), (2, 101, 'new', 6);

DELETE FROM sales WHERE item = 'item1';

SELECT item, count(*), sum(price) FROM sales GROUP BY item ORDER BY item;

SELECT nothing, count(*) FROM sales GROUP BY 1;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

SELECT item, count(*) FROM sales GROUP BY item ORDER BY item LIMIT 2;

SELECT count(DISTINCT item) FROM sales;

COMMIT;

-- # prepared
PREPARE top (int) AS SELECT id, item FROM sales WHERE id > $1 ORDER BY id DESC LIMIT 2;

EXECUTE top (10);

EXECUTE top (59);

-- # what has no exact meaning this way, or is not known well enough
-- refused
SELECT count(*) FROM sales GROUP BY ctid;

-- refused
SELECT s FROM sales s ORDER BY id;

-- refused
SELECT id FROM sales ORDER BY id LIMIT 1 FOR UPDATE;

-- refused
SELECT item FROM sales TABLESAMPLE SYSTEM (100) GROUP BY item;

SELECT 1 FROM sales WHERE nothing = 1 GROUP BY item;

SELECT sum(item) FROM sales GROUP BY shop;
