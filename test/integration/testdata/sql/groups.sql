-- # tables
CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');

CREATE DOMAIN small AS int CHECK (VALUE < 100000);

CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

CREATE TABLE sales (shop int, id int, region text, item text, qty int, big bigint, tiny smallint, price numeric(10,2), rate numeric,
  weight float8, light float4, at timestamptz, day date, ok bool, bits bit(4), gone interval, feel mood, lim small, co text COLLATE "C",
  nc text COLLATE nocase, code char(4), tags int[], pay money, uid uuid, js jsonb, PRIMARY KEY (shop, id)) WITH (shard_key = 'shop');

CREATE TABLE lines (shop int, sale int, line int, sku text, n int, PRIMARY KEY (shop, sale, line)) WITH (shard_key = 'shop', colocate_with = 'sales');

CREATE TABLE others (k text PRIMARY KEY, region text, n int) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE regions (region text PRIMARY KEY, label text, pop int) WITH (reference = true);

CREATE TABLE empty (k int PRIMARY KEY, g int, x numeric, t text) WITH (shard_key = 'k');

CREATE TABLE odd (k int PRIMARY KEY, g int, n numeric, f float8, i int8) WITH (shard_key = 'k');

INSERT INTO sales SELECT i % 13, i, (ARRAY['north', 'south', 'east', NULL])[1 + i % 4], 'item' || i % 7, nullif(i % 11, 4), i * 1000000000000, i % 5,
  i * 1.25, i / 3.0, i / 7.0, i / 2.0, '2024-01-01 00:00+00'::timestamptz + i * interval '7 hours', '2024-01-01'::date + i % 40, i % 3 = 0, (i % 16)::bit(4),
  i * interval '1 minute', (ARRAY['sad', 'ok', 'glad'])[1 + i % 3]::mood, i % 6, (ARRAY['b', 'B', 'a', 'Ä', 'z'])[1 + i % 5], (ARRAY['x', 'X', 'y'])[1 + i % 3],
  'c' || i % 3, ARRAY[i % 2, 1], (i % 9)::text::money, ('00000000-0000-0000-0000-00000000000' || i % 8)::uuid, jsonb_build_object('a', i % 3)
  FROM generate_series(1, 150) i;

INSERT INTO lines SELECT i % 13, i, l, 'sku' || (i + l) % 5, i % 4 + l FROM generate_series(1, 150) i, generate_series(1, 3) l;

INSERT INTO others SELECT 'k' || i, (ARRAY['north', 'west'])[1 + i % 2], i FROM generate_series(1, 20) i;

INSERT INTO regions VALUES ('north', 'The North', 10), ('south', NULL, 20), ('west', 'West', 30);

INSERT INTO odd SELECT i, i % 3, CASE i % 10 WHEN 3 THEN 'NaN' WHEN 7 THEN '1.00' WHEN 8 THEN '1.0' ELSE (i / 7.0)::numeric(30, 12)::text END::numeric,
  CASE i % 6 WHEN 0 THEN '-0' WHEN 1 THEN '0' WHEN 2 THEN 'NaN' WHEN 3 THEN '-Infinity' ELSE '1.5' END::float8, i * 400000000000000000 FROM generate_series(1, 20) i;

-- # groups that are not by the key
SELECT region, count(*) FROM sales GROUP BY region;

SELECT region, count(*), count(qty), sum(qty), sum(big), sum(tiny), sum(price), sum(rate), avg(qty), avg(big), avg(tiny), avg(price), avg(rate)
  FROM sales GROUP BY region ORDER BY region;

SELECT item, min(qty), max(price), min(at), max(day), min(region), max(co), lower(min(nc)), max(code), min(gone), min(pay), max(feel), min(lim), min(tags)
  FROM sales GROUP BY item ORDER BY 1;

SELECT region, sum(gone), avg(gone), sum(pay) FROM sales GROUP BY 1 ORDER BY 1;

SELECT item, bool_and(ok), bool_or(ok), every(qty > 0), bit_and(bits), bit_or(qty), bit_xor(big), bit_xor(tiny) FROM sales GROUP BY item ORDER BY item;

SELECT item, variance(qty), var_samp(tiny), var_pop(price), stddev(big), stddev_samp(rate), stddev_pop(qty), stddev(price) FROM sales GROUP BY item ORDER BY item;

SELECT variance(qty), var_pop(rate), stddev(rate), stddev_pop(big), stddev(tiny) FROM sales;

SELECT shop % 3, stddev(price), variance(rate), stddev_pop(big) FROM sales GROUP BY 1 ORDER BY 1;

SELECT stddev(price) FROM sales WHERE id = 3;

SELECT stddev_pop(price), stddev(price), variance(price) FROM sales WHERE id < 0;

SELECT stddev_pop(1.10::numeric), var_pop(tiny) FILTER (WHERE tiny = 1) FROM sales;

SELECT item, round(variance(weight)::numeric, 6), round(avg(weight)::numeric, 6), round(sum(light)::numeric, 1), round(corr(qty, tiny)::numeric, 6), regr_count(qty, tiny)
  FROM sales GROUP BY item ORDER BY item;

SELECT region, count(*) FILTER (WHERE qty > 3), sum(qty) FILTER (WHERE ok), avg(price) FILTER (WHERE qty IS NULL) FROM sales GROUP BY region ORDER BY region;

SELECT count(DISTINCT item), count(DISTINCT region), sum(DISTINCT qty), avg(DISTINCT tiny), min(DISTINCT price), sum(qty), count(*) FROM sales;

SELECT region, count(DISTINCT item), sum(qty), array_agg(DISTINCT item), string_agg(DISTINCT item, ',') FROM sales GROUP BY region ORDER BY region;

SELECT region, count(DISTINCT item) FILTER (WHERE qty > 3), avg(price), count(DISTINCT (qty, tiny)) FROM sales GROUP BY region ORDER BY region;

SELECT region, count(DISTINCT nc), count(DISTINCT co), count(DISTINCT code) FROM sales GROUP BY region ORDER BY region;

SELECT count(DISTINCT nc) FROM sales;

SELECT nc COLLATE "C" IS NOT NULL, count(*) FROM sales GROUP BY nc, 1;

SELECT count(*) FROM (SELECT nc FROM sales GROUP BY nc) g;

SELECT co, count(*) FROM sales GROUP BY co ORDER BY co;

SELECT upper(co), count(*) FROM sales GROUP BY upper(co) ORDER BY upper(co);

SELECT co COLLATE "C" AS c, count(*) FROM sales GROUP BY c ORDER BY c;

SELECT code, count(*), max(code), pg_typeof(code)::text, pg_typeof(max(code))::text FROM sales GROUP BY code ORDER BY code;

SELECT lim, count(*), pg_typeof(lim)::text, pg_typeof(min(lim))::text FROM sales GROUP BY lim ORDER BY lim;

SELECT lim + 1, count(*) FROM sales GROUP BY lim + 1 ORDER BY 1;

SELECT coalesce(lim, lim), count(*), pg_typeof(coalesce(lim, lim))::text FROM sales GROUP BY coalesce(lim, lim) ORDER BY 1;

SELECT feel, count(*), pg_typeof(feel)::text, max(feel) FROM sales GROUP BY feel ORDER BY feel DESC;

SELECT tags, count(*) FROM sales GROUP BY tags ORDER BY tags;

SELECT uid, count(*), sum(qty) FROM sales GROUP BY uid ORDER BY uid;

SELECT js, count(*) FROM sales GROUP BY js ORDER BY js;

SELECT js ->> 'a', count(*) FROM sales GROUP BY js ->> 'a' ORDER BY 1;

SELECT price, count(*) FROM sales WHERE id < 20 GROUP BY price ORDER BY price;

SELECT rate, pg_typeof(rate)::text FROM sales WHERE id < 20 GROUP BY rate ORDER BY rate;

SELECT any_value(region) FROM sales WHERE region = 'north';

-- # expressions
SELECT date_trunc('month', at) AS month, sum(price) / count(*) AS mean, max(qty) - min(qty) FROM sales GROUP BY month ORDER BY month;

SELECT extract(month FROM day), to_char(sum(price), '999G999D00'), round(avg(qty), 2)::text || '!' FROM sales GROUP BY 1 ORDER BY 1 DESC;

SELECT lower(region) || item AS k, count(*) FROM sales GROUP BY lower(region) || item ORDER BY k NULLS FIRST LIMIT 5 OFFSET 2;

SELECT CASE WHEN qty > 5 THEN 'many' ELSE 'few' END AS class, count(*), sum(CASE WHEN ok THEN 1 ELSE 0 END) FROM sales GROUP BY class ORDER BY class;

SELECT region, count(*) FROM sales WHERE qty > 2 AND item <> 'item3' GROUP BY region HAVING count(*) > 3 AND max(price) > 100 ORDER BY count(*) DESC, region;

SELECT region IS NULL, sum(qty + tiny), sum(qty * 2), sum(price * qty), avg(qty + 0.5) FROM sales GROUP BY region IS NULL ORDER BY 1;

SELECT s.region, sum(sales.qty) FROM sales, LATERAL (SELECT sales.region) s GROUP BY s.region ORDER BY 1;

SELECT region AS r, item AS region, count(*) FROM sales GROUP BY region, item ORDER BY 1, 2, 3;

SELECT region, region, count(*), count(*) FROM sales GROUP BY 2 ORDER BY 1;

SELECT 'x', 5, count(*) FROM sales GROUP BY 1, 2;

SELECT count(*) FROM sales GROUP BY region ORDER BY min(id);

SELECT region FROM sales GROUP BY region ORDER BY sum(qty), region;

SELECT sum(qty) + 1, -count(*), count(*) * 2.5 FROM sales;

SELECT count(*) FROM sales HAVING count(*) > 1000;

SELECT 1 FROM sales HAVING max(qty) > 3;

SELECT sum(qty) FROM sales ORDER BY 1 LIMIT 1;

SELECT region, rank() OVER (ORDER BY sum(qty) DESC, region), sum(sum(qty)) OVER (), count(*) FROM sales GROUP BY region ORDER BY 2;

SELECT region, item, sum(qty), sum(sum(qty)) OVER w, row_number() OVER (PARTITION BY item ORDER BY region) FROM sales GROUP BY region, item
  WINDOW w AS (PARTITION BY region ORDER BY item) ORDER BY region, item;

SELECT DISTINCT ON (region) region, item, sum(qty) FROM sales GROUP BY region, item ORDER BY region, sum(qty) DESC, item;

SELECT DISTINCT count(*) FROM sales GROUP BY region ORDER BY 1;

SELECT region, count(*) FROM sales GROUP BY region HAVING sum(qty) > (SELECT avg(n) FROM others) ORDER BY region;

SELECT region, sum(qty) > (SELECT sum(n) FROM lines), (SELECT max(label) FROM regions) FROM sales GROUP BY region ORDER BY region;

SELECT region, (SELECT label FROM regions r WHERE r.region = s.region) FROM sales s GROUP BY region ORDER BY region;

SELECT region, count(*) FROM sales GROUP BY region ORDER BY count(*) DESC, region FETCH FIRST 2 ROWS WITH TIES;

SELECT region, count(*) FROM sales GROUP BY DISTINCT region, region ORDER BY 1;

-- # grouping sets
SELECT region, item, count(*), sum(price), grouping(region, item) FROM sales GROUP BY ROLLUP (region, item) ORDER BY grouping(region, item), region, item;

SELECT region, ok, count(*), avg(qty), count(DISTINCT item) FROM sales GROUP BY CUBE (region, ok) ORDER BY grouping(region, ok), region, ok;

SELECT region, item, max(price) FROM sales GROUP BY GROUPING SETS ((region), (item), ()) ORDER BY region, item, max(price);

SELECT region, item, count(*) FROM sales GROUP BY region, GROUPING SETS ((item), (ok), ()) ORDER BY 1, 2, 3;

SELECT region, item, count(*), sum(qty) FROM sales GROUP BY DISTINCT ROLLUP (region, item), ROLLUP (region) ORDER BY 1, 2, 3;

SELECT shop, region, count(*) FROM sales GROUP BY DISTINCT shop, region, shop ORDER BY 1, 2;

SELECT s.region, o.n, count(*), array_agg(s.id ORDER BY s.id) FROM sales s JOIN others o ON o.n = s.id GROUP BY DISTINCT CUBE (s.region, o.n), GROUPING SETS (s.region, ()) ORDER BY 1, 2, 3;

SELECT qty % 2, tiny, sum(qty) FROM sales GROUP BY ROLLUP (1, (tiny, qty % 2)) ORDER BY 1, 2, 3;

SELECT coalesce(region, 'all'), count(*) FROM sales GROUP BY ROLLUP (region) HAVING grouping(region) = 1 OR region = 'north' ORDER BY 2;

SELECT region, region, count(*) FROM sales GROUP BY ROLLUP (1, 2) ORDER BY 1, 2;

SELECT count(*) FROM sales GROUP BY ();

SELECT g, count(*), sum(x) FROM empty GROUP BY ROLLUP (g);

SELECT (region, item), count(*) FROM sales GROUP BY (region, item) ORDER BY 1;

-- # parameters
-- params: 3::int4 | north::text
SELECT region, count(*), sum(qty + $1) FROM sales WHERE region <> $2 GROUP BY region ORDER BY region;

-- params: 3 | 2
SELECT qty % 3, sum(price) * $1 FROM sales WHERE tiny > $2 GROUP BY 1 ORDER BY 1;

-- params: 4::int4 | 1::int8
SELECT qty % $1 AS k, count(*) FROM sales GROUP BY qty % $1 HAVING count(*) > $2 ORDER BY k;

-- params: month
SELECT date_trunc($1, at), count(*) FROM sales GROUP BY date_trunc($1, at) ORDER BY 1;

-- params: 2 | 1
SELECT region, avg(price) FROM sales GROUP BY region ORDER BY region LIMIT $1 OFFSET $2;

-- params: 5::int4
SELECT s.id, l.line FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id WHERE l.n > 2 ORDER BY s.id, l.line LIMIT $1;

-- params: item1 | item2
SELECT item FROM sales WHERE item = $1 UNION SELECT sku FROM lines WHERE sku <> $2 ORDER BY 1;

-- # no rows
SELECT count(*), count(x), sum(x), avg(x), min(t), max(g), variance(x), stddev_pop(x), bool_and(g > 1), bit_or(g), count(DISTINCT g) FROM empty;

SELECT g, count(*), sum(x) FROM empty GROUP BY g;

SELECT count(*), sum(qty), max(price) FROM sales WHERE shop = 1 AND id = 2 OR item = 'none';

-- # values that look alike, or are none
SELECT n = n, count(*), sum(n)::text, avg(n)::text, min(n)::text, max(n)::text FROM odd GROUP BY 1;

SELECT g, sum(n), variance(n), stddev(n), count(n) FROM odd WHERE n <> 'NaN' GROUP BY g ORDER BY g;

SELECT count(*) FROM odd WHERE n = 1 GROUP BY n;

SELECT f = 0, count(*) FROM odd GROUP BY f = 0 ORDER BY 1;

SELECT abs(f), count(*), min(f) = max(f) FROM odd GROUP BY abs(f) ORDER BY 1;

SELECT f + 0, count(*) FROM odd GROUP BY f + 0 ORDER BY 1;

SELECT sum(i), avg(i), stddev(i), min(i), bit_xor(i) FROM odd;

SELECT g, sum(i), avg(i), variance(i) FROM odd GROUP BY g ORDER BY g;

SELECT sum(i::int8)::int8 FROM odd;

SELECT sum(n), stddev(n), var_pop(n) FROM odd;

-- # joins
SELECT s.region, count(*), sum(l.n) FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id GROUP BY s.region ORDER BY 1;

SELECT r.label, count(*), sum(s.qty) FROM sales s LEFT JOIN regions r ON r.region = s.region GROUP BY r.label ORDER BY 1;

SELECT r.region, r.label, r.pop, count(*) FROM sales s JOIN regions r ON r.region = s.region GROUP BY r.region ORDER BY 1;

SELECT sku, count(DISTINCT s.region), max(price) FROM sales s JOIN lines l USING (shop) WHERE l.sale = s.id AND s.qty > 2 GROUP BY sku ORDER BY sku;

SELECT shop, sum(n) FROM sales s JOIN lines l USING (shop) WHERE l.sale = s.id GROUP BY shop ORDER BY shop;

SELECT shop % 2, count(l.line), count(*) FROM sales s LEFT JOIN lines l USING (shop) GROUP BY 1 ORDER BY 1;

SELECT s.id, l.line, s.price * l.n AS total, l.sku FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id ORDER BY total DESC, s.id, l.line LIMIT 7;

SELECT s.id, l.line FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id WHERE l.sku = 'sku1' ORDER BY s.id OFFSET 3 LIMIT 4;

SELECT l.sku, percentile_cont(0.5) WITHIN GROUP (ORDER BY s.price), string_agg(s.item, ',' ORDER BY s.id, l.line) FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id
  WHERE s.id < 20 GROUP BY l.sku ORDER BY 1;

SELECT s.region, o.n, sum(s.qty) FROM sales s JOIN others o ON o.region = s.region GROUP BY s.region, o.n ORDER BY 1, 2 LIMIT 5;

SELECT count(*), sum(l.n) FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id;

SELECT rank() OVER (ORDER BY s.price DESC, l.line), s.id, l.line FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id WHERE s.id > 140 ORDER BY 1;

SELECT DISTINCT s.region, l.sku FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id ORDER BY 1, 2;

CREATE TABLE named (shop int PRIMARY KEY, c0 int, c1 int) WITH (shard_key = 'shop', colocate_with = 'sales');

INSERT INTO named SELECT i, 100 - i, i % 3 FROM generate_series(0, 12) i;

SELECT c1, line, sale FROM named JOIN lines USING (shop) ORDER BY c0 DESC, sale, line LIMIT 5;

SELECT c1 AS c0, max(c0), count(*) FROM named GROUP BY c1 ORDER BY c0;

-- # subqueries and WITH
SELECT * FROM (SELECT region, sum(qty) AS q FROM sales GROUP BY region) g WHERE q > 10 ORDER BY q;

SELECT g.region, g.q, r.label FROM (SELECT region, sum(qty) AS q FROM sales GROUP BY region) g JOIN regions r ON r.region = g.region ORDER BY 1;

SELECT avg(q), max(region) FROM (SELECT region, sum(qty) AS q FROM sales GROUP BY region) g;

SELECT * FROM (SELECT shop, count(*) AS n, percentile_disc(0.5) WITHIN GROUP (ORDER BY qty) FROM sales GROUP BY shop) g ORDER BY n DESC, shop LIMIT 3;

SELECT n, count(*) FROM (SELECT shop, count(*) AS n FROM sales GROUP BY shop) g GROUP BY n ORDER BY n;

SELECT max(q) FROM (SELECT shop, sum(qty) AS q, rank() OVER (PARTITION BY shop ORDER BY sum(qty)) FROM sales GROUP BY shop, region) g;

WITH g AS (SELECT region, sum(qty) AS q FROM sales GROUP BY region) SELECT a.region, a.q FROM g a WHERE a.q = (SELECT max(b.q) FROM g b);

WITH g AS MATERIALIZED (SELECT item, count(*) AS n FROM sales GROUP BY item), h AS (SELECT n, count(*) FROM g GROUP BY n) SELECT * FROM h ORDER BY 1;

SELECT id FROM sales WHERE qty = (SELECT max(qty) FROM sales) ORDER BY id;

SELECT id FROM sales WHERE price > (SELECT 2 * avg(price) FROM sales WHERE ok) ORDER BY id LIMIT 5;

SELECT region FROM regions WHERE region IN (SELECT region FROM sales WHERE qty > 9) ORDER BY 1;

SELECT id FROM sales WHERE region IN (SELECT region FROM others GROUP BY region HAVING count(*) > 3) AND id < 12 ORDER BY 1;

SELECT y FROM (SELECT 100 / (id - 3) AS y, id FROM sales) s WHERE id <> 3 ORDER BY y DESC LIMIT 3;

SELECT * FROM (SELECT region, sum(100 / (id - 3)) AS y FROM sales WHERE id <> 3 GROUP BY region) s ORDER BY 1;

SELECT item, sum(q) FROM (SELECT item, qty AS q FROM sales UNION ALL SELECT sku, n FROM lines) u GROUP BY item ORDER BY item;

SELECT c, count(*) FROM (SELECT upper(co) AS c FROM sales) s GROUP BY c ORDER BY c;

SELECT l, pg_typeof(l)::text, count(*) FROM (SELECT lim AS l FROM sales) s GROUP BY l ORDER BY l;

-- # what a subquery computes for rows that nobody asks for does not fail
SELECT * FROM (SELECT DISTINCT qty * 500000000 AS x, qty FROM sales) s WHERE qty < 4 ORDER BY qty;

SELECT * FROM (SELECT qty, sum(qty * 500000000) AS x FROM sales GROUP BY qty) s WHERE qty < 4 ORDER BY qty;

SELECT region FROM (SELECT region, sum(id * 2000000000) FROM sales GROUP BY region) s ORDER BY region;

SELECT * FROM (SELECT region, sum(region::numeric) FROM sales GROUP BY region) s WHERE region < 'a';

SELECT * FROM (SELECT region, sum(rate::numeric(5,4)), max(rate * qty) FROM sales GROUP BY region) s WHERE region < 'a';

-- # WITH queries that have tables' names
WITH sales AS (SELECT * FROM sales WHERE qty > 3) SELECT region, count(*) FROM sales GROUP BY region ORDER BY region;

WITH sales AS (SELECT * FROM lines), l AS (SELECT * FROM sales) SELECT sku, sum(n) FROM l GROUP BY sku ORDER BY sku;

WITH regions AS (SELECT region, sum(qty) AS q FROM sales GROUP BY region) SELECT r.region, r.q, x.label FROM regions r JOIN groups.regions x USING (region) ORDER BY 1;

WITH others AS (SELECT DISTINCT region FROM sales) SELECT o.region, x.c FROM others o
  JOIN (WITH others AS (SELECT region, count(*) AS c FROM others GROUP BY region) SELECT * FROM others) x USING (region) ORDER BY 1;

SELECT region, (WITH sales AS (SELECT max(n) AS m FROM others) SELECT m FROM sales) FROM sales GROUP BY region ORDER BY region;

WITH RECURSIVE others (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM others WHERE n < 3) SELECT n, count(*) FROM others JOIN lines l USING (n) GROUP BY n ORDER BY n;

-- # DISTINCT and set operations
SELECT DISTINCT region FROM sales ORDER BY region;

SELECT DISTINCT region, item, 'x', NULL FROM sales ORDER BY 1, 2 LIMIT 6;

SELECT DISTINCT lower(region) || 'x' AS l FROM sales ORDER BY l DESC NULLS LAST;

SELECT DISTINCT nc IS NULL, lim, feel, code FROM sales ORDER BY 2, 3, 4 LIMIT 9;

SELECT region FROM sales UNION SELECT region FROM others ORDER BY 1;

SELECT region, NULL FROM sales UNION SELECT region, n FROM others WHERE n < 3 ORDER BY 1, 2;

SELECT region FROM sales INTERSECT SELECT region FROM others ORDER BY 1;

SELECT region FROM sales EXCEPT SELECT region FROM others ORDER BY 1;

SELECT region FROM sales INTERSECT ALL SELECT region FROM others ORDER BY 1;

SELECT region FROM sales EXCEPT ALL SELECT region FROM others ORDER BY 1;

SELECT region, count(*) FROM sales GROUP BY region UNION ALL SELECT sku, sum(n) FROM lines GROUP BY sku ORDER BY 1, 2;

SELECT qty FROM sales UNION SELECT price FROM sales WHERE id < 4 ORDER BY 1;

SELECT code FROM sales UNION SELECT item FROM sales ORDER BY 1;

SELECT nc COLLATE "C" FROM sales UNION SELECT region FROM regions ORDER BY 1;

(SELECT region FROM sales ORDER BY id LIMIT 3) UNION SELECT region FROM regions ORDER BY 1;

SELECT shop FROM sales UNION SELECT shop FROM lines ORDER BY 1;

(SELECT region FROM sales UNION ALL SELECT region FROM others) EXCEPT SELECT region FROM regions ORDER BY 1;

-- # code of users
CREATE FUNCTION plus(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + 1';

CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');

CREATE AGGREGATE sum(text) (SFUNC = textcat, STYPE = text, INITCOND = '');

SELECT plus(qty), count(*) FROM sales GROUP BY plus(qty) ORDER BY 1;

SELECT region, total(qty), total(DISTINCT tiny) FROM sales GROUP BY region ORDER BY region;

SELECT qty, total(qty) FROM sales GROUP BY qty ORDER BY 1;

SELECT region, length(sum(item)), sum(qty) FROM sales GROUP BY region ORDER BY region;

SELECT region, plus(count(*)::int), pg_catalog.sum(qty) FROM sales GROUP BY region ORDER BY region;

DROP AGGREGATE sum(text);

-- # volatile, and times
SELECT count(*) FROM (SELECT DISTINCT region, random() FROM sales) x;

SELECT count(*) FROM (SELECT region, random() FROM sales UNION SELECT region, 2 FROM others) x;

SELECT count(*) FROM (SELECT DISTINCT region, now() FROM sales) x;

SELECT region, count(*), random() BETWEEN 0 AND 1 FROM sales GROUP BY region ORDER BY region;

SELECT region, count(*) FROM sales WHERE random() >= 0 GROUP BY region ORDER BY region;

SELECT at > now() - interval '1000 years' AS late, count(*) FROM sales GROUP BY 1;

SELECT region, count(*), now() IS NOT NULL FROM sales WHERE at < now() GROUP BY region ORDER BY region;

-- # as the source of other statements
CREATE TABLE copied AS SELECT region, code, lim, feel, co, count(*), sum(qty) AS q, avg(price) FROM sales GROUP BY region, code, lim, feel, co;

SELECT * FROM copied ORDER BY region, code, lim, feel, co;

SELECT attname, format_type(atttypid, atttypmod), attcollation = (SELECT oid FROM pg_collation WHERE collname = 'C')
  FROM pg_attribute WHERE attrelid = 'copied'::regclass AND attnum > 0 ORDER BY attnum;

INSERT INTO copied (region, q) SELECT item, sum(qty) FROM sales GROUP BY item;

SELECT region, q FROM copied WHERE code IS NULL ORDER BY 1;

INSERT INTO others SELECT 'g' || row_number() OVER (ORDER BY region), region, count(*) FROM sales GROUP BY region;

SELECT * FROM others WHERE k LIKE 'g%' ORDER BY 1;

COPY (SELECT region, count(*), avg(price) FROM sales GROUP BY region ORDER BY region) TO STDOUT;

COPY (SELECT region, feel, lim, tags, count(*) FROM sales GROUP BY region, feel, lim, tags ORDER BY 1, 2, 3, 4) TO STDOUT (FORMAT csv, HEADER);

BEGIN;

DECLARE c SCROLL CURSOR FOR SELECT region, count(*) FROM sales GROUP BY region ORDER BY region;

FETCH 2 FROM c;

FETCH BACKWARD 1 FROM c;

UPDATE sales SET qty = 77 WHERE id = 5 AND shop = 5;

SELECT max(qty), count(*) FROM sales WHERE qty > 20 GROUP BY qty;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

SELECT region, sum(qty) FROM sales GROUP BY region ORDER BY region;

COMMIT;

-- # what is wrong is said in Postgres' words
SELECT region, count(*) FROM sales GROUP BY regio;

SELECT region, item, count(*) FROM sales GROUP BY region;

SELECT region, suma(qty) FROM sales GROUP BY region;

SELECT region, sum(region) FROM sales GROUP BY region;

SELECT region, sum(count(*)) FROM sales GROUP BY region;

SELECT region FROM sales GROUP BY 7;

SELECT region, count(*) FROM sales GROUP BY region ORDER BY qty;

SELECT sum(1 / (id - 3)) FROM sales GROUP BY region;

SELECT region, count(*) FROM sales GROUP BY region HAVING qty > 1;

-- # a constant, once, of no rows
SELECT min(DISTINCT ''), count(*), min('') FROM empty;

SELECT min(DISTINCT 1 + 1), count(DISTINCT 'x'), count(DISTINCT k), count(*) FROM empty;

SELECT min(DISTINCT 'x') FILTER (WHERE g = 1), count(*) FROM empty;

SELECT g, min(DISTINCT 'x'), count(*) FROM empty GROUP BY g;

SELECT min(DISTINCT 'x') FILTER (WHERE qty > 1000), count(*), count(DISTINCT 7) FILTER (WHERE qty > 2) FROM sales;

-- # of LIMIT 0 nothing is computed
SELECT DISTINCT 1 / (id - 3) FROM sales LIMIT 0;

SELECT 1 / (id - 3) AS x, count(*) FROM sales GROUP BY 1 ORDER BY 2 LIMIT 0 OFFSET 3;

SELECT region, array_agg(1 / (id - 3)) FROM sales WHERE 1 / (id - 4) > 0 GROUP BY region FETCH FIRST 0 ROWS ONLY;

SELECT s.id, o.n FROM sales s JOIN others o ON 1 / (s.id - 3) = o.n AND 1 / (o.n - 1) > 0 LIMIT 0;

SELECT 1 / (id - 3) FROM sales WHERE 1 / (id - 4) > 0 UNION SELECT 1 / (n - 1) FROM others LIMIT 0;

SELECT s.item, count(*) FROM sales s LEFT JOIN (SELECT DISTINCT 1 / (n - 1) AS x FROM others WHERE 1 / (n - 2) > 0 LIMIT 0) o ON o.x = s.id GROUP BY 1 ORDER BY 1;

WITH w AS (SELECT DISTINCT 1 / (n - 1) AS x FROM others LIMIT 0) SELECT count(*), max(x) FROM w;

SELECT sum(1 / (id - 3)), now() - now() FROM sales LIMIT 0;

SELECT 1 / (id - 3), 'a' AS t FROM sales ORDER BY 1 FETCH FIRST 0 ROWS WITH TIES;

SELECT nothing FROM sales ORDER BY 1 LIMIT 0;

-- # lists of lists
CREATE TABLE listed (k int PRIMARY KEY, g int, i int, b bigint, s smallint, n numeric(9,3), t text, v varchar(5), c char(4), d date, ts timestamp, tz timestamptz,
  ok bool, u uuid, f float8, by bytea, nm name, j json, jb jsonb, tags int[], feel mood, co text COLLATE "C") WITH (shard_key = 'k');

INSERT INTO listed SELECT x, nullif(x % 4, 3), nullif(x % 7, 2), x * 10000000000, -x, x / 8.0, (ARRAY['a', 'b"c', 'x,y', E'back\\slash', '', 'NULL', '{"ä"}', E'new\nline', NULL])[1 + x % 9],
  'v' || x, 'c' || x % 3, '2024-01-01'::date + x, '2024-01-01 10:00'::timestamp + x * interval '1 hour 1.25 second', '1884-01-01 10:00+00'::timestamptz + x * interval '9000 days',
  x % 3 = 0, ('00000000-0000-0000-0000-0000000000' || 10 + x)::uuid, x / 7.0, convert_to('b' || x, 'UTF8'), 'n' || x, json_build_object('x', x), jsonb_build_object('y', x), ARRAY[x, x % 2],
  'ok', 'co' || x FROM generate_series(1, 40) x;

INSERT INTO listed (k, g, n, d, ts, tz) VALUES (101, 7, 'NaN', 'infinity', '-infinity', 'infinity'), (102, 7, 0.5, '0044-03-15 BC', '0044-03-15 10:00 BC', '12044-03-15 10:00');

SELECT g, array(SELECT unnest(string_to_array(a1, '|')) ORDER BY 1) FROM (SELECT g, string_agg(t, '|') AS a1 FROM listed GROUP BY g) s ORDER BY g;

SELECT g, length(string_agg(t, ', ')), length(string_agg(v, '')), length(string_agg(c, NULL)), length(string_agg(i::text, ' -''- ')) FROM listed GROUP BY g ORDER BY g;

SELECT g, length(string_agg(by, '\x00ff')), length(string_agg(by, NULL)), pg_typeof(string_agg(by, '')), pg_typeof(string_agg(t, '')) FROM listed GROUP BY g ORDER BY g;

SELECT string_agg(t, ',') FILTER (WHERE k < 0), array_agg(i) FILTER (WHERE k < 0), json_agg(i) FILTER (WHERE k < 0), jsonb_agg(i) FILTER (WHERE k < 0), count(*) FROM listed;

SELECT string_agg(t, ','), array_agg(i), json_agg(i), jsonb_agg(i) FROM listed WHERE k < 0;

SELECT g, string_agg(t, ','), array_agg(i), json_agg(i), jsonb_agg(i) FROM listed WHERE k < 0 GROUP BY g;

SELECT string_agg(t, ',') FILTER (WHERE k = 3), array_agg(t) FILTER (WHERE k = 8), json_agg(t) FILTER (WHERE k = 7), jsonb_agg(t) FILTER (WHERE k = 6) FROM listed;

SELECT string_agg(NULL::text, ','), array_agg(NULL::int) FILTER (WHERE k = 1), json_agg(NULL::text) FILTER (WHERE k = 1) FROM listed;

SELECT g, array(SELECT unnest(a1) ORDER BY 1), array(SELECT unnest(a2) ORDER BY 1), array(SELECT unnest(a3) ORDER BY 1),
  array(SELECT unnest(a4) ORDER BY 1), array(SELECT unnest(a5) ORDER BY 1), array(SELECT unnest(a6) ORDER BY 1), array(SELECT unnest(a7) ORDER BY 1)
  FROM (SELECT g, array_agg(i) AS a1, array_agg(b) AS a2, array_agg(s) AS a3, array_agg(n) AS a4, array_agg(t) AS a5, array_agg(v) AS a6, array_agg(c) AS a7 FROM listed GROUP BY g) s ORDER BY g;

SELECT g, array(SELECT unnest(a1) ORDER BY 1), array(SELECT unnest(a2) ORDER BY 1), array(SELECT unnest(a3) ORDER BY 1),
  array(SELECT unnest(a4) ORDER BY 1), array(SELECT unnest(a5) ORDER BY 1), array(SELECT unnest(a6) ORDER BY 1), cardinality(a7)
  FROM (SELECT g, array_agg(d) AS a1, array_agg(ts) AS a2, array_agg(tz) AS a3, array_agg(ok) AS a4, array_agg(u) AS a5, array_agg(f) AS a6, array_agg(feel) AS a7 FROM listed GROUP BY g) s ORDER BY g;

SELECT g, pg_typeof(array_agg(i)), pg_typeof(array_agg(v)), pg_typeof(array_agg(c)), pg_typeof(array_agg(d::timestamp)), pg_typeof(array_agg(i + 1.5)), pg_typeof(array_agg(tags)),
  array_ndims(array_agg(i)), array_lower(array_agg(t), 1), array_length(array_agg(t), 1), array_ndims(array_agg(tags)) FROM listed GROUP BY g ORDER BY g;

SELECT g, array(SELECT e::text FROM json_array_elements(a1) e ORDER BY 1), array(SELECT e::text FROM json_array_elements(a2) e ORDER BY 1),
  array(SELECT e FROM jsonb_array_elements(a3) e ORDER BY 1), array(SELECT e FROM jsonb_array_elements(a4) e ORDER BY 1),
  array(SELECT e::text FROM json_array_elements(a5) e ORDER BY 1),
  array(SELECT e::text FROM json_array_elements(a6) e ORDER BY 1) FROM (SELECT g, json_agg(i) AS a1, json_agg(t) AS a2, jsonb_agg(j) AS a3, jsonb_agg(tags) AS a4, json_agg(json_build_object('k', k, 't', t, 'd', d)) AS a5, json_agg(jb) AS a6 FROM listed GROUP BY g) s ORDER BY g;

SELECT g, length(json_agg(i)::text), length(json_agg(t)::text), length(json_agg(tags)::text), length(json_agg(j)::text), length(json_agg(to_json(tags))::text), length(json_agg(f)::text),
  length(json_agg(l)::text), length(json_agg(tz)::text), length(jsonb_agg(tz)::text), pg_typeof(json_agg(i)), pg_typeof(jsonb_agg(i)) FROM listed l GROUP BY g ORDER BY g;

SELECT g, (SELECT count(*) FROM unnest(array_agg(k), array_agg(t)) AS u (k, t) JOIN listed l ON l.k = u.k AND l.t IS NOT DISTINCT FROM u.t) FROM listed GROUP BY g ORDER BY g;

SELECT array_agg(x), string_agg(x::text, ',') FROM (SELECT k AS x FROM listed WHERE k < 9 ORDER BY k DESC) s;

SELECT array_agg(DISTINCT i), string_agg(DISTINCT v, ',' ORDER BY v), array_agg(k ORDER BY k) FILTER (WHERE k < 5) FROM listed;

SELECT g, cardinality(array_agg(k)) FROM listed GROUP BY ROLLUP (g) HAVING cardinality(array_agg(i)) > 2 ORDER BY 1, 2;

SELECT g, i, length(string_agg(v, ',')), sum(k) FROM listed GROUP BY GROUPING SETS ((g), (i), ()) ORDER BY 1, 2, 3;

SELECT l.g, length(string_agg(s.item, ',')) FROM listed l JOIN sales s ON s.shop = l.k GROUP BY l.g ORDER BY 1;

SELECT region, cardinality(array_agg(l.n)), length(string_agg(l.sku, '; ')) FROM sales s JOIN lines l ON l.shop = s.shop AND l.sale = s.id GROUP BY region ORDER BY region;

SELECT g, length(string_agg(nm, ',')), max(length(string_agg(co, ','))) OVER () FROM listed GROUP BY g ORDER BY string_agg(co, ',') IS NULL, g;

SELECT string_agg(co, ',') FROM listed GROUP BY g HAVING string_agg(co, ',') < 'z' AND g = 9;

-- params: 5
SELECT g, (SELECT string_agg(x, '' ORDER BY x) FROM unnest(array_agg(v)) x) FROM listed WHERE k < $1 GROUP BY g ORDER BY g;

SELECT array_agg(k) FROM listed GROUP BY g HAVING 1 / (count(*) - 10) > 5;

-- error
SELECT array_agg(1 / (k - 5)) FROM listed;

SET extra_float_digits = 0;

SET datestyle = 'German';

SELECT g, array(SELECT unnest(a1) ORDER BY 1), array(SELECT unnest(a2) ORDER BY 1), array(SELECT unnest(a3) ORDER BY 1), length(a4::text)
  FROM (SELECT g, array_agg(i) AS a1, array_agg(d) AS a2, array_agg(tz) AS a3, json_agg(tz) AS a4 FROM listed GROUP BY g) s ORDER BY g;

RESET extra_float_digits;

RESET datestyle;

SET timezone = 'Asia/Kolkata';

SET array_nulls = off;

SELECT g, array(SELECT unnest(a1) ORDER BY 1), array(SELECT unnest(a2) ORDER BY 1) FROM (SELECT g, array_agg(tz) AS a1, array_agg(i) AS a2 FROM listed GROUP BY g) s ORDER BY g;

RESET array_nulls;

RESET timezone;

SET standard_conforming_strings = off;

SELECT g, length(string_agg(v, '\\')), length(string_agg(v, '\'')) FROM listed GROUP BY g ORDER BY g;

RESET standard_conforming_strings;
