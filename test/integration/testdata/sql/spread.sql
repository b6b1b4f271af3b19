-- # tables
CREATE DOMAIN small AS int CHECK (VALUE < 100000);

CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

CREATE TABLE sales (shop int, id int, customer text, qty int, price numeric(10,2), at timestamptz, nc text COLLATE nocase, code char(4),
  lim small, tags int[], weight float8, js json, PRIMARY KEY (shop, id)) WITH (shard_key = 'shop');

CREATE TABLE shops (shop int PRIMARY KEY, town text, opened date) WITH (shard_key = 'shop', colocate_with = 'sales');

CREATE TABLE customers (name text PRIMARY KEY, town text, since date, rating int, nc text COLLATE nocase, code char(4), lim small, tags int[])
  WITH (shard_key = 'name', colocate_with = 'none');

CREATE TABLE visits (at int PRIMARY KEY, customer text, shop int, minutes int) WITH (shard_key = 'at', colocate_with = 'none');

CREATE TABLE nobody (k int PRIMARY KEY, customer text, x numeric) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE towns (town text PRIMARY KEY, pop int) WITH (reference = true);

CREATE TABLE bonus (town text, points int);

INSERT INTO sales SELECT i % 13, i, nullif('c' || i % 17, 'c3'), nullif(i % 11, 4), i * 1.25, '2024-01-01 00:00+00'::timestamptz + i * interval '7 hours',
  (ARRAY['x', 'X', 'y'])[1 + i % 3], 'k' || i % 5, i % 6, ARRAY[i % 2, 1], i / 7.0, json_build_object('a', i % 3) FROM generate_series(1, 150) i;

INSERT INTO shops SELECT i, (ARRAY['north', 'south', NULL])[1 + i % 3], '2020-01-01'::date + i FROM generate_series(0, 14) i;

INSERT INTO customers SELECT 'c' || i, (ARRAY['north', 'south', 'west', NULL])[1 + i % 4], '2021-01-01'::date + i, i % 5, (ARRAY['x', 'Y', 'z'])[1 + i % 3],
  'k' || i % 7, i % 4, ARRAY[i % 2, 1] FROM generate_series(0, 24) i;

INSERT INTO visits SELECT i, 'c' || i % 20, i % 15, nullif(i % 9, 2) FROM generate_series(1, 60) i;

INSERT INTO towns VALUES ('north', 10), ('south', 20), ('east', 30);

INSERT INTO bonus VALUES ('north', 1), ('west', 3), (NULL, 7);

-- # every kind of join, grouped
SET weft.spread = 'always';

SELECT c.town, count(*), sum(s.qty), avg(s.price), min(s.at), max(s.code) FROM sales s JOIN customers c ON c.name = s.customer GROUP BY c.town ORDER BY 1;

SELECT c.town, count(*), count(c.name), sum(s.qty) FROM sales s LEFT JOIN customers c ON c.name = s.customer GROUP BY c.town ORDER BY 1;

SELECT c.town, count(*), count(s.id), sum(c.rating) FROM sales s RIGHT JOIN customers c ON c.name = s.customer GROUP BY c.town ORDER BY 1;

SELECT c.town, count(*), count(s.id), count(c.name) FROM sales s FULL JOIN customers c ON c.name = s.customer GROUP BY c.town ORDER BY 1;

SELECT count(*), sum(s.qty) FROM sales s CROSS JOIN customers c;

SELECT count(*) FROM sales s, customers c WHERE s.qty > c.rating;

SELECT c.town, count(*) FROM sales s JOIN customers c ON c.name = s.customer AND s.qty > c.rating WHERE c.town <> 'west' GROUP BY c.town HAVING count(*) > 2 ORDER BY 2, 1;

SELECT s.shop, count(*), sum(c.rating) FROM sales s JOIN customers c ON c.name = s.customer GROUP BY s.shop ORDER BY s.shop;

SELECT s.shop, s.id, c.town FROM sales s JOIN customers c ON c.name = s.customer WHERE c.rating = 4 ORDER BY s.at, s.id LIMIT 7;

SELECT s.shop, s.id, c.town FROM sales s LEFT JOIN customers c ON c.name = s.customer ORDER BY c.rating DESC NULLS LAST, s.id LIMIT 5 OFFSET 3;

SELECT s.id, c.rating FROM sales s JOIN customers c ON c.name = s.customer;

SELECT town, count(*) FROM sales JOIN customers ON name = customer GROUP BY town ORDER BY 1;

SELECT lower(nc), count(*) FROM sales JOIN customers USING (nc) GROUP BY nc ORDER BY 1;

SELECT lim, tags, count(*) FROM sales JOIN customers USING (lim, tags) GROUP BY lim, tags ORDER BY 1, 2;

SELECT code, count(*) FROM sales NATURAL JOIN (SELECT code, rating FROM customers) c GROUP BY code ORDER BY 1;

SELECT count(DISTINCT c.town), count(DISTINCT s.shop), stddev(s.qty), bool_or(c.rating > 3) FROM sales s JOIN customers c ON c.name = s.customer;

SELECT DISTINCT c.town, s.qty FROM sales s JOIN customers c ON c.name = s.customer ORDER BY 1, 2;

SELECT c.town, s.qty % 2, count(*) FROM sales s JOIN customers c ON c.name = s.customer GROUP BY GROUPING SETS ((c.town), (s.qty % 2), ()) ORDER BY 1, 2, 3;

SELECT c.name, c.rating, count(*) FROM sales s JOIN customers c ON c.name = s.customer GROUP BY c.name ORDER BY c.name;

SELECT c.name, max(c.since), sum(s.qty) FROM sales s JOIN customers c ON c.name = s.customer GROUP BY c.name HAVING sum(s.qty) > 20 ORDER BY 1;

SELECT a.qty, count(*) FROM sales a JOIN sales b ON a.customer = b.customer AND a.id < b.id GROUP BY a.qty ORDER BY 1;

SELECT count(*) FROM sales s JOIN nobody n ON n.customer = s.customer;

SELECT count(*), sum(n.x) FROM sales s LEFT JOIN nobody n ON n.customer = s.customer;

SELECT count(*), max(s.qty) FROM nobody n JOIN sales s ON n.customer = s.customer GROUP BY n.customer;

-- # rows of a join that has one row at most for each that stays
SET weft.spread = 'always';

SELECT s.id, c.town, c.since FROM sales s JOIN customers c ON c.name = s.customer WHERE c.rating = 3;

SELECT s.*, c.* FROM sales s LEFT JOIN customers c ON c.name = s.customer AND c.rating = 3 WHERE s.qty > 8 OR c.town IS NULL;

SELECT s.id, c.name, v.minutes FROM sales s LEFT JOIN visits v ON v.at = s.id JOIN customers c ON c.name = v.customer AND c.rating > 2 ORDER BY 1 DESC;

SELECT s.id, a.town, b.town FROM sales s, customers a, customers b WHERE a.name = s.customer AND b.name = 'c' || a.rating AND b.town <> 'west' ORDER BY s.price;

SELECT s.id, s.lim, c.lim, c.tags, c.nc || '!' FROM customers c JOIN sales s ON s.customer = c.name WHERE c.nc = 'X' ORDER BY c.nc, s.id LIMIT 12;

SELECT json_agg(x ORDER BY x.id) FROM (SELECT s.id, c.town FROM sales s JOIN customers c ON c.name = s.customer WHERE c.rating < 2) x;

SELECT x.town, lag(x.qty) OVER (PARTITION BY x.town ORDER BY x.id) FROM (SELECT s.id, s.qty, c.town FROM sales s JOIN customers c ON c.name = s.customer AND c.rating = 1) x
  ORDER BY x.id;

SELECT count(*) FROM (SELECT s.id FROM sales s JOIN customers c ON c.name = s.customer WHERE c.rating = 0 UNION SELECT v.shop FROM visits v) u;

-- # three tables and more
SET weft.spread = 'always';

SELECT h.town, c.town, count(*) FROM sales s JOIN shops h ON h.shop = s.shop JOIN customers c ON c.name = s.customer GROUP BY 1, 2 ORDER BY 1, 2;

SELECT h.town, count(*), sum(v.minutes) FROM sales s JOIN shops h USING (shop) JOIN customers c ON c.name = s.customer JOIN visits v ON v.customer = c.name
  GROUP BY h.town ORDER BY 1;

SELECT t.pop, count(*) FROM sales s JOIN customers c ON c.name = s.customer JOIN towns t ON t.town = c.town GROUP BY t.pop ORDER BY 1;

SELECT b.points, count(*) FROM sales s JOIN customers c ON c.name = s.customer JOIN bonus b ON b.town = c.town GROUP BY 1 ORDER BY 1;

SELECT x.town, x.n, b.points FROM (SELECT c.town, count(*) AS n FROM sales s JOIN customers c ON c.name = s.customer GROUP BY c.town) x JOIN bonus b USING (town) ORDER BY 1;

SELECT count(*) FROM sales s LEFT JOIN customers c ON c.name = s.customer LEFT JOIN visits v ON v.customer = c.name AND v.shop = s.shop WHERE v.at IS NULL;

SELECT c.town, count(*) FROM (sales s JOIN shops h ON h.shop = s.shop) LEFT JOIN (customers c JOIN visits v ON v.customer = c.name) ON c.name = s.customer GROUP BY 1 ORDER BY 1;

-- # subqueries
SET weft.spread = 'always';

SELECT s.shop, s.id FROM sales s WHERE EXISTS (SELECT FROM customers c WHERE c.name = s.customer AND c.town = 'west') ORDER BY 1, 2;

SELECT count(*) FROM sales s WHERE NOT EXISTS (SELECT FROM customers c WHERE c.name = s.customer AND c.rating > 1);

SELECT count(*), sum(qty) FROM sales WHERE customer IN (SELECT name FROM customers WHERE town = 'south');

SELECT count(*) FROM sales WHERE customer NOT IN (SELECT name FROM customers WHERE town = 'south');

SELECT count(*) FROM sales WHERE customer NOT IN (SELECT town FROM customers);

SELECT count(*) FROM visits WHERE (customer, shop) NOT IN (SELECT customer, shop FROM sales WHERE qty > 5);

SELECT s.id FROM sales s WHERE s.qty > (SELECT avg(c.rating) + 5 FROM customers c WHERE c.name <> s.customer) ORDER BY 1;

SELECT s.id, (SELECT c.town FROM customers c WHERE c.name = s.customer) FROM sales s WHERE s.qty = 9 ORDER BY 1;

SELECT count(*) FROM sales s WHERE s.qty = ANY (SELECT rating FROM customers) AND s.price > ALL (SELECT minutes FROM visits WHERE minutes IS NOT NULL);

SELECT c.town, sum(x.n) FROM customers c JOIN (SELECT customer, count(*) AS n FROM sales GROUP BY customer) x ON x.customer = c.name GROUP BY 1 ORDER BY 1;

SELECT s.shop, l.town FROM sales s, LATERAL (SELECT c.town FROM customers c WHERE c.name = s.customer AND c.rating > 2) l ORDER BY 1, 2;

SELECT count(*), sum(l.m) FROM sales s CROSS JOIN LATERAL (SELECT max(v.minutes) AS m FROM visits v WHERE v.customer = s.customer) l;

WITH w AS (SELECT name FROM customers WHERE rating > 2) SELECT count(*) FROM sales JOIN w ON name = customer;

WITH w AS MATERIALIZED (SELECT c.town, count(*) AS n FROM sales s JOIN customers c ON c.name = s.customer GROUP BY 1) SELECT sum(a.n), count(*) FROM w a, w b;

SELECT town FROM customers INTERSECT SELECT c.town FROM sales s JOIN customers c ON c.name = s.customer ORDER BY 1;

SELECT count(*) FROM sales s JOIN customers c ON c.name = s.customer UNION ALL SELECT count(*) FROM visits UNION ALL SELECT sum(minutes) FROM visits v JOIN sales s ON s.id = v.at ORDER BY 1;

SELECT c.town, sum(sum(s.qty)) OVER (ORDER BY c.town) FROM sales s JOIN customers c ON c.name = s.customer GROUP BY c.town ORDER BY 1;

SELECT * FROM (SELECT s.shop, rank() OVER (PARTITION BY s.shop ORDER BY c.rating DESC, s.id) AS r, c.name FROM sales s JOIN customers c ON c.name = s.customer) x WHERE r = 1 ORDER BY 1;

-- # errors come as they do, and nothing is left of them
SET weft.spread = 'always';

SELECT sum(1 / (c.rating - 3)) FROM sales s JOIN customers c ON c.name = s.customer;

SELECT sum(1 / (s.qty - 5)), c.town FROM sales s JOIN customers c ON c.name = s.customer GROUP BY c.town;

SELECT c.town, s.qty FROM sales s JOIN customers c ON c.name = s.customer GROUP BY c.town;

SELECT count(*) FROM sales s JOIN customers c ON c.name = s.qty;

SELECT count(*) FROM sales s JOIN customers c ON c.nome = s.customer;

SELECT count(*) FROM sales s JOIN customers c ON c.name = s.customer;

-- # in blocks
SET weft.spread = 'always';

BEGIN;

INSERT INTO sales (shop, id, customer) VALUES (1, 1000, 'c1'), (2, 1001, 'c2');

SELECT count(*), max(s.id) FROM sales s JOIN customers c ON c.name = s.customer;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

INSERT INTO sales (shop, id, customer) VALUES (1, 1000, 'c1'), (2, 1001, 'c2');

UPDATE customers SET town = 'moon' WHERE name IN ('c1', 'c5');

SELECT c.town, count(*), max(s.id) FROM sales s JOIN customers c ON c.name = s.customer GROUP BY 1 ORDER BY 1;

ROLLBACK;

BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;

SELECT c.town, count(*), max(s.id) FROM sales s JOIN customers c ON c.name = s.customer GROUP BY 1 ORDER BY 1;

SELECT sum(1 / (c.rating - 3)) FROM sales s JOIN customers c ON c.name = s.customer;

SELECT 1;

ROLLBACK;

SELECT current_setting('transaction_isolation'), count(*) FROM sales s JOIN customers c ON c.name = s.customer;
