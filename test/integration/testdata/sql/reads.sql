-- # tables
CREATE TABLE customers (id bigint PRIMARY KEY, name text, region text, credit numeric(10,2)) WITH (shard_key = 'id');

CREATE TABLE orders (customer_id bigint NOT NULL, id int NOT NULL, qty int, price numeric(10,2), weight float8,
  note text, placed timestamptz, PRIMARY KEY (customer_id, id)) WITH (shard_key = 'customer_id', colocate_with = 'customers');

CREATE TABLE items (customer_id bigint, order_id int, sku text, amount int) WITH (shard_key = 'customer_id', colocate_with = 'orders');

CREATE TABLE events (id int, kind text, at timestamptz) WITH (shard_key = 'kind', colocate_with = 'none');

CREATE TABLE countries (code text PRIMARY KEY, name text, pop bigint) WITH (reference = true);

CREATE TABLE notes (id int PRIMARY KEY, customer_id bigint, body text);

CREATE TABLE empty (id int, v text) WITH (shard_key = 'id');

INSERT INTO customers VALUES (1, 'Ann', 'north', 10.50), (2, 'Bob', 'south', 20.00), (3, 'Cid', NULL, 0.00),
  (4, 'Dan', 'north', NULL), (5, 'Eve', 'east', 99.99), (6, 'émile', 'east', 1.01), (7, 'Zoe', 'south', -5.00);

INSERT INTO orders (customer_id, id, qty, price, weight, note, placed) VALUES
  (1, 1, 5, 1.10, 0.1, 'first', '2020-01-01 00:00+00'), (1, 2, NULL, 2.20, 0.2, NULL, '2020-01-02 00:00+00'),
  (2, 1, 7, 3.30, 0.3, 'x', '2020-02-01 12:00+00'), (2, 2, 7, 3.30, NULL, 'X', NULL),
  (3, 1, 0, NULL, 1e10, '', '2021-01-01 00:00+00'), (5, 1, 2, 10.00, -1.5, 'é', '2019-06-01 00:00+02'),
  (5, 2, 3, 0.01, 'NaN', 'ö', '2019-06-02 00:00+02'), (5, 3, 2, 5, 'Infinity', 'z', '2019-06-03 00:00+02'),
  (6, 1, 1, 1, 1, 'Z', '2022-02-22 22:22:22.222222+00'), (9, 1, 100, 12345678.90, 3, 'orphan', '2030-01-01 00:00+00');

INSERT INTO items VALUES (1, 1, 'a', 1), (1, 1, 'b', 2), (1, 2, 'a', 3), (2, 1, 'c', 4), (3, 1, NULL, NULL),
  (5, 1, 'a', 5), (5, 3, 'b', 6), (6, 9, 'x', 7), (8, 1, 'y', 8);

INSERT INTO events SELECT i, (ARRAY['click', 'view', 'buy', 'Läuft', ''])[1 + i % 5], '2020-01-01 00:00+00'::timestamptz + i * interval '1 hour'
  FROM generate_series(1, 50) i;

INSERT INTO countries VALUES ('de', 'Germany', 83000000), ('fr', 'France', 67000000), ('is', 'Iceland', 370000), ('xx', NULL, NULL);

INSERT INTO notes VALUES (1, 1, 'hello'), (2, 1, 'again'), (3, 5, NULL), (4, NULL, 'nobody');

CREATE VIEW big_orders AS SELECT * FROM orders WHERE qty > 2;

CREATE VIEW customer_orders AS SELECT c.id AS customer, c.name, o.id AS order_id, o.qty FROM customers c JOIN orders o ON o.customer_id = c.id;

CREATE VIEW one_customer AS SELECT * FROM customers WHERE id = 5;

CREATE VIEW totals AS SELECT customer_id, sum(qty) AS total, count(*) AS n FROM orders GROUP BY customer_id;

CREATE VIEW all_total AS SELECT sum(qty) AS total FROM orders;

CREATE VIEW land AS SELECT code, name FROM countries WHERE pop > 1000000;

CREATE VIEW renamed (a, b) AS SELECT customer_id, id FROM orders;

-- # key equality
SELECT * FROM customers WHERE id = 1;

SELECT * FROM customers WHERE 2 = id;

SELECT * FROM customers WHERE id = 1 + 1;

SELECT * FROM customers WHERE id = '3';

SELECT * FROM customers WHERE id = 3::int;

SELECT * FROM customers WHERE id = '4'::text::bigint;

SELECT * FROM customers WHERE id = 4.0;

SELECT * FROM customers WHERE id = 4.5;

SELECT * FROM customers WHERE id = 4e0;

SELECT * FROM customers WHERE id = -4;

SELECT * FROM customers WHERE id = - -4;

SELECT * FROM customers WHERE id = +5;

SELECT * FROM customers WHERE id = (5);

SELECT * FROM customers WHERE id = 99999999999999999999;

SELECT * FROM customers WHERE id = '99999999999999999999';

SELECT * FROM customers WHERE id = 'abc';

SELECT * FROM customers WHERE id = NULL;

SELECT * FROM customers WHERE id IS NULL;

SELECT * FROM customers WHERE id IS NOT DISTINCT FROM 5;

SELECT * FROM customers WHERE id IN (1);

SELECT * FROM customers WHERE id IN (1, 2, 3, NULL);

SELECT * FROM customers WHERE id IN (1, 1, 1);

SELECT * FROM customers WHERE id NOT IN (1, 2);

SELECT * FROM customers WHERE id = ANY (ARRAY[1, 2, 7]);

SELECT * FROM customers WHERE id = ANY ('{1,2,7}');

SELECT * FROM customers WHERE id = ANY ('{1,2,7}'::bigint[]);

SELECT * FROM customers WHERE id = SOME (ARRAY[5, NULL]);

SELECT * FROM customers WHERE id = ALL (ARRAY[5]);

SELECT * FROM customers WHERE id = 1 OR id = 2;

SELECT * FROM customers WHERE id = 1 OR name = 'Bob';

SELECT * FROM customers WHERE (id = 1 OR id = 2) AND (id = 2 OR id = 3);

SELECT * FROM customers WHERE id = 1 AND id = 2;

SELECT * FROM customers WHERE id = 1 AND region = 'north';

SELECT * FROM customers WHERE id = 1 AND (region = 'x' OR name = 'Ann');

SELECT * FROM customers WHERE NOT id = 1;

SELECT * FROM customers WHERE NOT (id <> 1);

SELECT * FROM customers WHERE id BETWEEN 2 AND 2;

SELECT * FROM customers WHERE id BETWEEN 2 AND 4;

SELECT * FROM customers WHERE id > 5;

SELECT * FROM customers WHERE (id, name) = (1, 'Ann');

SELECT * FROM customers WHERE (id, name) IN ((1, 'Ann'), (2, 'nope'));

SELECT * FROM customers WHERE ROW(id) = ROW(1);

SELECT * FROM customers WHERE id = id;

SELECT * FROM customers WHERE true;

SELECT * FROM customers WHERE false;

SELECT * FROM customers WHERE id = (SELECT 5);

SELECT * FROM customers WHERE id = (SELECT id FROM customers WHERE id = 5);

SELECT * FROM customers WHERE id IN (SELECT 1 UNION SELECT 2);

SELECT * FROM customers WHERE id IN (VALUES (1), (2));

SELECT * FROM customers WHERE CASE WHEN id = 1 THEN true ELSE false END;

SELECT * FROM customers WHERE coalesce(id, 0) = 1;

SELECT * FROM customers WHERE id::text = '1';

SELECT * FROM customers WHERE id = 1 IS TRUE;

SELECT * FROM customers WHERE (id = 1) = true;

SELECT * FROM customers WHERE id =1 ORDER BY name DESC LIMIT 1;

SELECT * FROM ONLY customers WHERE id = 1;

SELECT c.*, c.id FROM customers AS c WHERE c.id = 2;

SELECT x.a FROM customers x (a, b) WHERE x.a = 2;

SELECT "id" FROM "customers" WHERE "id" = 2;

SELECT reads.customers.id FROM reads.customers WHERE reads.customers.id = 2;

SELECT customers FROM customers WHERE id = 2;

SELECT (customers).name FROM customers WHERE (customers).id = 2;

SELECT * FROM events WHERE kind = 'click' AND id < 20;

SELECT * FROM events WHERE kind = 'Läuft';

SELECT * FROM events WHERE kind = U&'L\00e4uft';

SELECT id FROM events WHERE kind = 'cl' -- in two
  'ick';

SELECT id FROM events WHERE kind IN ('bu'
 -- one 'more'

 -- two
 'y', 'x');

SELECT * FROM events WHERE kind = E'L\u00e4uft' AND id < 10;

SELECT * FROM events WHERE kind = $$click$$ AND id = 5;

SELECT * FROM events WHERE kind = '' AND id < 10;

SELECT * FROM events WHERE kind = 'cl' 'ick';

SELECT * FROM events WHERE kind = 'cl'
'ick' AND id = 5;

SELECT * FROM events WHERE kind = 'cl' || 'ick' AND id = 5;

SELECT * FROM events WHERE kind = 'click'::varchar AND id = 5;

SELECT * FROM events WHERE kind = 'click  '::char(8) AND id = 5;

SELECT * FROM events WHERE kind = 'click'::name AND id = 5;

SELECT * FROM events WHERE kind LIKE 'cli%' AND id < 10;

SELECT * FROM events WHERE kind COLLATE "C" = 'click' AND id < 10;

SELECT * FROM events WHERE kind = upper('x');

SELECT * FROM events WHERE lower(kind) = 'click' AND id < 10;

SELECT nope FROM customers WHERE id = 1;

SELECT * FROM nope WHERE id = 1;

SELECT * FROM customers WHERE id = 1 AND nope = 2;

SELECT name || 1/0 FROM customers WHERE id = 1;

SELECT 1/0 FROM customers;

-- # parameters
-- params: 1::int8
SELECT * FROM customers WHERE id = $1;

-- params: 1::int4
SELECT * FROM customers WHERE id = $1;

-- params: 1::int2
SELECT * FROM customers WHERE id = $1;

-- params: 1::numeric
SELECT * FROM customers WHERE id = $1;

-- params: 1.5::numeric
SELECT * FROM customers WHERE id = $1::numeric;

-- params: 1::text
SELECT * FROM customers WHERE id = $1::bigint;

-- params: 1
SELECT * FROM customers WHERE id = $1::text::int;

-- params: NULL
SELECT * FROM customers WHERE id = $1;

-- params: 1::int8 | 2::int8
SELECT * FROM customers WHERE id IN ($1, $2);

-- params: 1::int8 | NULL::int8
SELECT * FROM customers WHERE id IN ($1, $2);

-- params: 1::int8 | Ann::text
SELECT * FROM customers WHERE id = $1 AND name = $2;

-- params: 1::int8
SELECT $1 + id FROM customers WHERE id = $1;

-- params: 1::int4
SELECT $1::int, name FROM customers WHERE id = $1;

-- params: 2::text
SELECT $1::text, name FROM customers WHERE id = $1::bigint;

-- params: {1,2}::int8[]
SELECT * FROM customers WHERE id = ANY ($1);

-- params: {1,NULL,7}::int8[]
SELECT * FROM customers WHERE id = ANY ($1::bigint[]);

-- params: click::text
SELECT count(*) FROM events WHERE kind = $1;

-- params: click::varchar
SELECT count(*) FROM events WHERE kind = $1;

-- params: 2::int8
SELECT * FROM orders WHERE customer_id = $1 ORDER BY id;

-- params: 5::int8 | 2::int4
SELECT * FROM orders WHERE customer_id = $1 AND qty = $2 ORDER BY id;

-- params: 2::int8
SELECT count(*), sum(qty) FROM orders WHERE customer_id <> $1;

-- params: 1::int8 | 1::int8 | 0::int8
SELECT count(*), sum(qty) FROM orders WHERE customer_id <> $1 LIMIT $2 OFFSET $3;

-- params: 1::int8 | 1::int8
SELECT count(*), sum(qty) FROM orders WHERE customer_id <> $1 OFFSET $2;

SELECT max(placed), avg(price), max(note) FROM orders LIMIT 0;

SELECT count(*) FROM orders LIMIT ALL OFFSET 0;

SELECT count(*) FROM orders LIMIT 1 OFFSET NULL;

SELECT count(*) FROM orders FETCH FIRST ROW ONLY;

SELECT count(*) FROM orders LIMIT -1;

-- params: 3::int4 | 1::int8
SELECT sum(qty * $1) FROM orders WHERE customer_id > $2;

-- params: abc
SELECT * FROM customers WHERE id = $1;

-- params: 1::int8 | x::text
SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.id = $1 AND o.note IS DISTINCT FROM $2;

-- params: 10::int4
SELECT id FROM orders WHERE customer_id = 5 ORDER BY id LIMIT $1;

-- params: 1::int8
SELECT * FROM customers WHERE id = $1 OR id = $1 + 1;

-- # joins on the key
SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.id;

SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 1;

SELECT c.name, o.id FROM customers c JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 1;

SELECT c.name, o.id FROM customers c, orders o WHERE o.customer_id = c.id AND c.id IN (1, 5);

SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id;

SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND o.customer_id = 1;

SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id AND c.id = 1;

SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 1;

SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id IS NULL;

SELECT c.name, o.id FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE c.id = 4;

SELECT c.name, o.id FROM customers c RIGHT JOIN orders o ON o.customer_id = c.id;

SELECT c.name, o.id FROM customers c RIGHT JOIN orders o ON o.customer_id = c.id WHERE o.customer_id = 9;

SELECT c.name, o.id FROM customers c FULL JOIN orders o ON o.customer_id = c.id;

SELECT c.name, o.id FROM customers c FULL JOIN orders o ON o.customer_id = c.id WHERE c.id = 4 OR o.customer_id = 4;

SELECT c.name, o.id FROM customers c FULL JOIN orders o ON o.customer_id = c.id AND c.id = 5;

SELECT * FROM orders JOIN items USING (customer_id);

SELECT * FROM orders JOIN items USING (customer_id) WHERE customer_id = 1;

SELECT * FROM orders LEFT JOIN items USING (customer_id) WHERE customer_id = 6;

SELECT * FROM orders FULL JOIN items USING (customer_id);

SELECT * FROM orders FULL JOIN items USING (customer_id) WHERE customer_id = 8;

SELECT customer_id, count(*) FROM orders FULL JOIN items USING (customer_id) GROUP BY customer_id;

SELECT * FROM orders NATURAL JOIN items;

SELECT * FROM orders NATURAL LEFT JOIN items;

SELECT * FROM orders o NATURAL JOIN (SELECT customer_id, sku FROM items) i WHERE o.customer_id = 5;

SELECT * FROM orders o JOIN items i USING (customer_id) AS j WHERE j.customer_id = 1;

SELECT c.name, o.id, i.sku FROM customers c JOIN orders o ON o.customer_id = c.id JOIN items i ON i.customer_id = o.customer_id AND i.order_id = o.id;

SELECT c.name, o.id, i.sku FROM customers c LEFT JOIN (orders o LEFT JOIN items i ON i.customer_id = o.customer_id AND i.order_id = o.id) ON o.customer_id = c.id;

SELECT c.name, o.id, i.sku FROM customers c LEFT JOIN (orders o JOIN items i ON i.order_id = o.id) ON o.customer_id = c.id AND i.customer_id = c.id;

SELECT c.name, n.body FROM customers c JOIN notes n ON n.customer_id = c.id;

SELECT c.name, n.body FROM customers c JOIN notes n ON n.customer_id = c.id WHERE c.id = 1;

SELECT c.name, k.name FROM customers c CROSS JOIN countries k WHERE c.id = 1;

SELECT c.name, k.name FROM customers c CROSS JOIN countries k;

SELECT c.name, k.name FROM customers c LEFT JOIN countries k ON k.code = 'de';

SELECT c.name, k.name FROM countries k LEFT JOIN customers c ON k.code = 'de';

SELECT c.name, k.name FROM countries k LEFT JOIN customers c ON k.code = 'de' AND c.id = 2;

SELECT c.name, k.name FROM countries k LEFT JOIN customers c ON k.code = 'de' WHERE c.id = 2;

SELECT c.name, k.name FROM customers c RIGHT JOIN countries k ON k.code = 'de' AND c.id = 2;

SELECT c.name, k.name FROM customers c FULL JOIN countries k ON k.code = c.region;

SELECT a.name, b.name FROM customers a JOIN customers b ON a.id = b.id;

SELECT a.name, b.name FROM customers a JOIN customers b ON a.region = b.region;

SELECT a.name, b.name FROM customers a JOIN customers b ON a.id = b.id + 1 WHERE a.id = 2;

SELECT a.name, b.name FROM customers a, customers b WHERE a.id = 1 AND b.id = 1;

SELECT a.name, b.name FROM customers a, customers b WHERE a.id = 1 AND b.id = 2;

SELECT c.name, x.id FROM customers c, LATERAL (SELECT o.id FROM orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 1) x;

SELECT c.name, x.id FROM customers c LEFT JOIN LATERAL (SELECT o.id FROM orders o WHERE o.customer_id = c.id ORDER BY o.id DESC LIMIT 1) x ON true;

SELECT c.name, x.n FROM customers c, LATERAL (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.id) x;

SELECT c.name, x.n FROM customers c, LATERAL (SELECT count(*) AS n FROM orders o WHERE o.qty > c.id) x;

SELECT c.name, x.n FROM customers c, LATERAL (SELECT count(*) AS n FROM orders o WHERE o.customer_id = c.id) x WHERE c.id = 5;

SELECT c.name, g FROM customers c, generate_series(1, 2) g WHERE c.id = 1;

SELECT c.name, g FROM customers c, generate_series(1, c.id) g;

SELECT c.name, g FROM customers c RIGHT JOIN generate_series(1, 9) g ON g = c.id;

SELECT c.name, v.x FROM customers c JOIN (VALUES (1, 'a'), (5, 'b')) v (id, x) ON v.id = c.id;

SELECT c.name, v.x FROM (VALUES (1, 'a'), (50, 'b')) v (id, x) LEFT JOIN customers c ON v.id = c.id;

SELECT e.id, c.id FROM events e JOIN customers c ON c.id = e.id;

SELECT e.id, c.id FROM events e, customers c WHERE e.kind = 'buy' AND c.id = 1 AND e.id < 10;

SELECT 1 FROM customers c JOIN orders o ON c.id = o.customer_id AND c.id > o.customer_id;

-- # subqueries
SELECT name, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) FROM customers c;

SELECT name, (SELECT max(qty) FROM orders) FROM customers c;

SELECT name, (SELECT max(qty) FROM orders o WHERE o.customer_id = 5) FROM customers c WHERE id = 5;

SELECT name, (SELECT max(qty) FROM orders o WHERE o.customer_id = 2) FROM customers c WHERE id = 5;

SELECT name, (SELECT max(pop) FROM countries) FROM customers;

SELECT name, (SELECT body FROM notes WHERE notes.id = 1) FROM customers WHERE id = 1;

SELECT * FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id);

SELECT * FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id);

SELECT * FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.qty > 50);

SELECT * FROM customers c WHERE id IN (SELECT customer_id FROM orders);

SELECT * FROM customers c WHERE id IN (SELECT customer_id FROM orders WHERE qty > 4);

SELECT * FROM customers c WHERE id NOT IN (SELECT customer_id FROM orders);

SELECT * FROM customers c WHERE id IN (SELECT o.id FROM orders o);

SELECT * FROM customers c WHERE id IN (SELECT customer_id FROM orders WHERE customer_id = 5);

SELECT * FROM customers c WHERE id IN (SELECT customer_id FROM notes);

SELECT * FROM customers c WHERE id = 1 AND id IN (SELECT customer_id FROM orders);

SELECT * FROM customers WHERE (id, 1) IN (SELECT customer_id, id FROM orders);

SELECT * FROM customers WHERE id > ALL (SELECT customer_id FROM orders WHERE customer_id < 5);

SELECT * FROM customers WHERE region = (SELECT region FROM customers WHERE id = 1);

SELECT * FROM (SELECT * FROM customers) c WHERE id = 1;

SELECT * FROM (SELECT id AS x, name FROM customers) c WHERE x = 1;

SELECT * FROM (SELECT id + 1 AS id FROM customers) c WHERE id = 2;

SELECT * FROM (SELECT * FROM customers WHERE id = 1) c;

SELECT * FROM (SELECT * FROM customers ORDER BY id LIMIT 2) c;

SELECT * FROM (SELECT * FROM customers WHERE id = 1 ORDER BY id LIMIT 2) c;

SELECT * FROM (SELECT * FROM customers ORDER BY id LIMIT 2) c WHERE id = 1;

SELECT * FROM (SELECT *, row_number() OVER (ORDER BY name) AS rn FROM customers) c WHERE id = 5;

SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY id) AS rn FROM orders) c WHERE customer_id = 5 ORDER BY rn;

SELECT * FROM (SELECT DISTINCT ON (region) region, id FROM customers ORDER BY region, id) c WHERE id = 5;

SELECT * FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) c WHERE customer_id = 5;

SELECT * FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) c WHERE n > 1;

SELECT sum(n) FROM (SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id) c;

SELECT sum(n) FROM (SELECT count(*) AS n FROM orders) c;

SELECT * FROM (SELECT 1 AS one) a, customers WHERE id = one;

SELECT * FROM customers WHERE id = (SELECT max(id) FROM customers);

SELECT ARRAY(SELECT o.id FROM orders o WHERE o.customer_id = c.id ORDER BY 1) FROM customers c;

SELECT ARRAY(SELECT id FROM customers ORDER BY id);

SELECT (SELECT count(*) FROM customers), (SELECT count(*) FROM orders);

SELECT EXISTS (SELECT 1 FROM customers WHERE id = 7);

SELECT EXISTS (SELECT 1 FROM customers);

SELECT 1 WHERE EXISTS (SELECT FROM customers WHERE id = 7);

SELECT 1 WHERE NOT EXISTS (SELECT FROM customers WHERE id = 77);

SELECT CASE WHEN EXISTS (SELECT FROM customers WHERE id = 7) THEN 'yes' END;

SELECT count(*) FROM countries WHERE EXISTS (SELECT FROM customers WHERE id = 7);

SELECT code, (SELECT name FROM customers WHERE id = 7) FROM countries;

SELECT code, (SELECT count(*) FROM customers) FROM countries;

SELECT id, (SELECT name FROM customers c WHERE c.id = n.customer_id) FROM notes n;

-- # with
WITH c AS (SELECT * FROM customers WHERE id = 1) SELECT * FROM c;

WITH c AS (SELECT * FROM customers) SELECT * FROM c WHERE id = 1;

WITH c AS MATERIALIZED (SELECT * FROM customers) SELECT * FROM c WHERE id = 1;

WITH c AS (SELECT * FROM customers) SELECT * FROM c;

WITH c AS (SELECT * FROM customers) SELECT a.id, b.id FROM c a, c b;

WITH c AS (SELECT * FROM customers) SELECT a.id, b.id FROM c a JOIN c b ON a.id = b.id;

WITH c AS (SELECT 1 AS id) SELECT * FROM customers JOIN c USING (id);

WITH c AS (SELECT 1 AS id) SELECT * FROM customers WHERE id = (SELECT id FROM c);

WITH c AS (SELECT count(*) AS n FROM orders) SELECT * FROM c;

WITH c AS (SELECT count(*) AS n FROM orders WHERE customer_id = 5) SELECT * FROM c;

WITH c AS (SELECT customer_id FROM orders WHERE customer_id = 5), d AS (SELECT * FROM customers WHERE id = 5) SELECT * FROM c, d WHERE c.customer_id = d.id;

WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n, name FROM r JOIN customers ON id = n;

WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n, name FROM r LEFT JOIN customers ON id = n;

WITH RECURSIVE r AS (SELECT id, name FROM customers WHERE id = 1 UNION SELECT c.id, c.name FROM customers c JOIN r ON c.id = r.id + 1) SELECT * FROM r;

WITH RECURSIVE r AS (SELECT id, 1 AS depth FROM customers WHERE id = 1 UNION SELECT c.id, depth + 1 FROM customers c JOIN r ON c.id = r.id WHERE depth < 3) SELECT * FROM r;

WITH RECURSIVE r AS (SELECT id, 1 AS depth FROM customers UNION SELECT c.id, depth + 1 FROM customers c JOIN r ON c.id = r.id WHERE depth < 3) SELECT * FROM r;

WITH customers AS (SELECT 42 AS id) SELECT * FROM customers;

WITH customers AS (SELECT * FROM customers WHERE id = 2) SELECT * FROM customers;

WITH x AS (WITH y AS (SELECT * FROM customers WHERE id = 3) SELECT * FROM y) SELECT * FROM x;

-- # set operations
SELECT id FROM customers WHERE id = 1 UNION SELECT customer_id FROM orders WHERE customer_id = 1;

SELECT id FROM customers WHERE id = 1 UNION ALL SELECT customer_id FROM orders WHERE customer_id = 1;

SELECT id FROM customers UNION ALL SELECT customer_id FROM orders;

SELECT id FROM customers UNION SELECT customer_id FROM orders;

SELECT id FROM customers EXCEPT SELECT customer_id FROM orders;

SELECT id FROM customers INTERSECT SELECT customer_id FROM orders;

SELECT id FROM customers EXCEPT ALL SELECT customer_id FROM orders;

SELECT id FROM customers INTERSECT ALL SELECT customer_id FROM orders;

SELECT name FROM customers EXCEPT SELECT note FROM orders;

SELECT name FROM customers UNION SELECT region FROM customers;

SELECT id FROM customers WHERE id = 1 UNION SELECT id FROM customers WHERE id = 2;

SELECT id FROM customers WHERE id = 1 UNION ALL SELECT id FROM customers WHERE id = 2;

SELECT id FROM customers WHERE id = 1 UNION SELECT 100;

SELECT id FROM customers UNION SELECT 100;

SELECT id FROM customers UNION ALL SELECT 100;

SELECT id::text FROM customers UNION ALL SELECT code FROM countries;

SELECT code FROM countries UNION ALL SELECT name FROM countries;

SELECT body FROM notes UNION ALL SELECT code FROM countries;

(SELECT id FROM customers WHERE id = 1 ORDER BY 1) UNION ALL (SELECT customer_id FROM orders WHERE customer_id = 1 ORDER BY 1 LIMIT 1);

SELECT * FROM (SELECT id FROM customers UNION ALL SELECT customer_id FROM orders) u WHERE id = 5;

SELECT * FROM (SELECT id FROM customers UNION SELECT customer_id FROM orders) u WHERE id = 5;

SELECT count(*) FROM (SELECT id FROM customers UNION ALL SELECT customer_id FROM orders) u;

SELECT count(*) FROM (SELECT id FROM customers UNION SELECT customer_id FROM orders) u;

VALUES (1, 'x'), (2, NULL);

VALUES ((SELECT name FROM customers WHERE id = 1));

-- # aggregates
SELECT count(*) FROM customers;

SELECT count(*) FROM empty;

SELECT count(*), sum(id), min(id), max(id), avg(id) FROM empty;

SELECT count(v), min(v), max(v) FROM empty;

SELECT count(region), count(*), count(DISTINCT region) FROM customers;

SELECT count(region), count(*) FROM customers;

SELECT sum(id), min(id), max(id), avg(id) FROM customers;

SELECT sum(qty), min(qty), max(qty), avg(qty) FROM orders;

SELECT sum(price), min(price), max(price), avg(price) FROM orders;

SELECT sum(weight) FROM orders;

SELECT avg(weight) FROM orders WHERE qty > 2;

SELECT min(weight), max(weight) FROM orders;

SELECT sum(qty::int2), avg(qty::int2), sum(qty::numeric), avg(qty::numeric), sum(qty::float4), avg(qty::float4) FROM orders;

SELECT min(qty::float4), max(qty::float4) FROM orders;

SELECT min(name), max(name) FROM customers;

SELECT min(note), max(note) FROM orders;

SELECT min(note COLLATE "C"), max(note COLLATE "C") FROM orders;

SELECT min(note COLLATE "unicode"), max(note COLLATE "unicode") FROM orders;

SELECT min(lower(note)), max(upper(note)) FROM orders;

SELECT min(placed), max(placed) FROM orders;

SELECT min(placed::date), max(placed::date), max(placed::timestamp), max(placed::time) FROM orders;

SELECT sum(placed - '2020-01-01'), avg(placed - '2020-01-01'), min(placed - '2020-01-01'), max(placed - '2020-01-01') FROM orders;

SELECT avg(qty * interval '1 month'), sum(qty * interval '1 day') FROM orders;

SELECT avg(price * 3.0000), sum(price / 7) FROM orders;

SELECT avg(credit)::numeric(20,10), round(avg(credit), 3), sum(credit) / count(*) FROM customers;

SELECT count(*) FILTER (WHERE qty > 2), sum(qty) FILTER (WHERE qty > 1000), avg(qty) FILTER (WHERE note IS NULL) FROM orders;

SELECT count(*) + 1, 'x', sum(qty) * 2 FROM orders;

SELECT coalesce(sum(qty), 0) AS total, count(*) > 5 AS many FROM orders WHERE qty > 1000;

SELECT count(*) AS "Number of" FROM orders;

SELECT count(*) FROM orders HAVING count(*) > 3;

SELECT count(*) FROM orders HAVING count(*) > 300;

SELECT sum(qty) FROM orders WHERE customer_id IN (1, 2, 5);

SELECT sum(qty) FROM orders WHERE customer_id = 5;

SELECT avg(qty), count(*) FROM orders WHERE customer_id = 55;

SELECT count(*) FROM customers c JOIN orders o ON o.customer_id = c.id;

SELECT count(*), sum(o.qty), max(i.sku) FROM orders o LEFT JOIN items i ON i.customer_id = o.customer_id AND i.order_id = o.id;

SELECT count(*) FROM customers, countries;

SELECT count(*) FROM countries;

SELECT sum(pop), avg(pop), min(code) FROM countries;

SELECT max(body) FROM notes;

SELECT count(DISTINCT customer_id) FROM orders;

SELECT array_agg(id) FROM customers WHERE id = 1;

SELECT array_agg(id ORDER BY id) FROM customers;

SELECT string_agg(name, ',' ORDER BY name) FROM customers;

SELECT string_agg(note, ',' ORDER BY id) FROM orders WHERE customer_id = 5;

SELECT bool_and(qty > 0), bool_or(qty > 5), every(qty IS NOT NULL) FROM orders;

SELECT bit_and(qty), bit_or(qty), bit_xor(qty) FROM orders;

SELECT stddev(qty), variance(qty) FROM orders;

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY qty) FROM orders;

SELECT mode() WITHIN GROUP (ORDER BY qty) FROM orders WHERE customer_id = 5;

SELECT round(corr(qty, price)::numeric, 10) FROM orders;

SELECT any_value(1) FROM orders;

SELECT json_agg(id) FROM customers WHERE id = 3;

SELECT count(*) FROM orders LIMIT 1;

SELECT count(*) FROM orders LIMIT 0;

SELECT count(*) FROM orders LIMIT (SELECT 1);

SELECT count(*) FROM orders ORDER BY 1;

SELECT DISTINCT count(*) FROM orders;

SELECT count(*), random() < 2 FROM orders;

SELECT max(ARRAY[qty]) FROM orders;

SELECT min(ROW(qty, id)::text) FROM orders;

SELECT max('10.0.0.1'::inet), min('x'::bytea) FROM orders;

SELECT max(code::char(3)), min(code::char(3)) FROM countries;

SELECT max(name::char(6)), min(name::varchar(2)) FROM customers;

SELECT min(b), max(b) FROM (SELECT qty > 3 AS b FROM orders) x;

SELECT sum(count(*)) OVER () FROM orders;

SELECT count(*) OVER () FROM orders WHERE customer_id = 5;

SELECT count(*) OVER () FROM orders;

SELECT sum(qty) FROM orders WHERE note = 'x' OR note = 'X';

SELECT sum(qty) + max(qty) - min(qty), avg(qty) + avg(price) FROM orders;

SELECT sum(DISTINCT qty) FROM orders;

SELECT max(DISTINCT qty), min(DISTINCT qty) FROM orders;

SELECT count(*) FROM orders o WHERE EXISTS (SELECT FROM items i WHERE i.customer_id = o.customer_id);

SELECT sum((SELECT count(*) FROM items i WHERE i.customer_id = o.customer_id)) FROM orders o;

SELECT sum(qty), (SELECT max(pop) FROM countries) FROM orders;

SELECT sum(qty)::text || '!' FROM orders;

SELECT CASE WHEN count(*) > 3 THEN 'many' ELSE 'few' END FROM orders;

SELECT -sum(qty), +count(*), NOT bool_or(qty = 3) FROM orders;

SELECT greatest(max(qty), 3), least(min(qty), 100), nullif(count(*), 10) FROM orders;

SELECT ARRAY[min(qty), max(qty)], ROW(min(qty), max(qty)) FROM orders;

-- # group by, order by, limit, distinct
SELECT customer_id, count(*) FROM orders GROUP BY customer_id;

SELECT customer_id, count(*), sum(qty) FROM orders GROUP BY customer_id HAVING count(*) > 1;

SELECT customer_id, id, count(*) FROM orders GROUP BY 1, 2;

SELECT customer_id AS c, avg(price) FROM orders GROUP BY c;

SELECT customer_id % 2, count(*) FROM orders GROUP BY 1;

SELECT region, count(*) FROM customers GROUP BY region;

SELECT region, count(*) FROM customers WHERE id = 1 GROUP BY region;

SELECT id, count(*) FROM customers GROUP BY id ORDER BY id;

SELECT c.id, c.name, count(o.id) FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id;

SELECT customer_id, count(*) FROM orders GROUP BY ROLLUP (customer_id);

SELECT customer_id, count(*) FROM orders WHERE customer_id = 5 GROUP BY ROLLUP (customer_id);

SELECT customer_id, id, count(*) FROM orders GROUP BY GROUPING SETS ((customer_id, id), (customer_id));

SELECT DISTINCT id FROM customers;

SELECT DISTINCT region FROM customers;

SELECT DISTINCT customer_id, qty FROM orders;

SELECT DISTINCT ON (customer_id) customer_id, id FROM orders ORDER BY customer_id, id;

SELECT DISTINCT ON (customer_id) customer_id, id FROM orders WHERE customer_id = 5 ORDER BY customer_id, id;

SELECT * FROM customers ORDER BY id;

SELECT * FROM customers ORDER BY id LIMIT 3;

SELECT * FROM customers LIMIT 0;

SELECT * FROM customers OFFSET 100;

SELECT * FROM orders WHERE customer_id = 5 ORDER BY qty, id DESC;

SELECT * FROM orders WHERE customer_id = 5 ORDER BY note COLLATE "C" DESC NULLS FIRST;

SELECT id FROM orders WHERE customer_id = 5 ORDER BY id FETCH FIRST 2 ROWS ONLY;

SELECT id FROM orders WHERE customer_id = 5 ORDER BY id OFFSET 1;

SELECT customer_id, id, rank() OVER (PARTITION BY customer_id ORDER BY qty) FROM orders;

SELECT customer_id, id, rank() OVER (ORDER BY qty) FROM orders;

SELECT id, sum(qty) OVER w FROM orders WHERE customer_id = 5 WINDOW w AS (ORDER BY id) ORDER BY id;

SELECT customer_id, sum(qty) OVER w FROM orders WINDOW w AS (PARTITION BY customer_id);

SELECT unnest(ARRAY[1, 2]), id FROM customers;

SELECT generate_series(1, 2), count(*) FROM orders;

SELECT * FROM orders OFFSET 0;

SELECT * FROM orders ORDER BY customer_id, id OFFSET 2;

SELECT * FROM orders LIMIT ALL OFFSET 0;

SELECT count(*) FROM orders LIMIT NULL OFFSET NULL;

-- params: 0
SELECT * FROM orders OFFSET $1;

-- params: NULL
SELECT * FROM orders OFFSET $1;

-- params: 3
SELECT count(*) FROM (SELECT * FROM orders OFFSET $1) o;

SELECT count(*) FROM (SELECT * FROM orders OFFSET 0) o;

-- # views
SELECT * FROM big_orders;

SELECT * FROM big_orders WHERE customer_id = 5;

SELECT count(*) FROM big_orders;

SELECT * FROM customer_orders;

SELECT * FROM customer_orders WHERE customer = 5;

SELECT name FROM customer_orders WHERE order_id = 1;

SELECT * FROM one_customer;

SELECT * FROM one_customer JOIN orders ON customer_id = one_customer.id;

SELECT * FROM totals;

SELECT * FROM totals WHERE customer_id = 1;

SELECT sum(total), sum(n) FROM totals;

SELECT * FROM all_total;

SELECT * FROM land;

SELECT * FROM land, customers WHERE id = 1;

SELECT * FROM renamed WHERE a = 5;

SELECT a.a, b.b FROM renamed a JOIN renamed b ON a.a = b.a;

SELECT v FROM one_customer v;

-- # reference and local tables, no tables
SELECT * FROM countries;

SELECT * FROM countries WHERE code = 'de';

SELECT * FROM countries ORDER BY pop DESC NULLS LAST LIMIT 2;

SELECT count(*), sum(pop) FROM countries WHERE code > 'a';

SELECT n.body, k.name FROM notes n, countries k ORDER BY 1, 2;

SELECT 1, 'a', NULL, 1.5, true;

SELECT 1 AS x WHERE false;

SELECT;

SELECT FROM customers WHERE id = 1;

SELECT FROM customers;

SELECT * FROM generate_series(1, 3);

SELECT current_schema(), current_user;

SELECT relname FROM pg_class WHERE relname = 'customers' AND relnamespace = 'reads'::regnamespace;

SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'orders' AND table_schema = 'reads' ORDER BY ordinal_position;

SELECT 'customers'::regclass::text;

SELECT c.id, 'customers'::regclass::text FROM customers c WHERE id = 1;

SELECT tableoid::regclass::text, id FROM customers WHERE id = 1;

-- refused system_column
SELECT tableoid::regclass, id FROM customers;

SELECT pg_typeof(id), pg_typeof(name) FROM customers;

SELECT id, current_user, current_schema() FROM customers;

SELECT id, now() = now() FROM customers;

SELECT id, current_setting('TimeZone') FROM customers;

-- # samples: each shard's part of it
SELECT id FROM customers TABLESAMPLE SYSTEM (100);

SELECT count(*) FROM customers TABLESAMPLE BERNOULLI (100) REPEATABLE (3);

SELECT count(*) FROM customers TABLESAMPLE BERNOULLI (0);

SELECT count(*) FROM customers TABLESAMPLE BERNOULLI (101);

-- refused sample
SELECT count(*) FROM customers TABLESAMPLE own_method (1);

SELECT id FROM customers WHERE id = 1 FOR UPDATE;

SELECT id FROM customers FOR UPDATE;

SELECT id FROM customers FOR SHARE SKIP LOCKED;

SELECT count(*) FROM customers FOR UPDATE;

SELECT code FROM countries FOR UPDATE;

SELECT code FROM countries WHERE code = 'de' FOR SHARE;

TABLE customers;

TABLE countries;

-- # in a transaction
BEGIN;

SELECT count(*) FROM customers;

SELECT * FROM customers WHERE id = 1;

INSERT INTO customers VALUES (100, 'new'), (101, 'newer'), (102, 'newest');

SELECT count(*) FROM customers;

SELECT * FROM customers WHERE id = 101;

SELECT * FROM customers WHERE id IN (100, 102);

SAVEPOINT a;

DELETE FROM customers WHERE id >= 100;

SELECT count(*) FROM customers;

ROLLBACK TO a;

SELECT count(*), max(id) FROM customers;

ROLLBACK;

SELECT count(*) FROM customers;

BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

SELECT * FROM customers WHERE id = 1;

SELECT count(*) FROM orders WHERE customer_id = 1;

INSERT INTO customers VALUES (100, 'new');

ROLLBACK;

BEGIN;

SELECT nope;

SELECT * FROM customers WHERE id = 1;

COMMIT;

-- # odd settings
SET extra_float_digits = 0;

SET DateStyle = 'Postgres, DMY';

SET TimeZone = 'Asia/Kolkata';

SET IntervalStyle = 'sql_standard';

SET bytea_output = 'escape';

SELECT min(weight / 3), max(weight / 7), min(placed), max(placed), min(weight::float4 / 3) FROM orders WHERE weight <> 'NaN' AND weight < 1000;

SELECT max(qty * interval '-1 month 2 days -03:00') FROM orders;

SELECT min(note::bytea), max(note::bytea) FROM orders;

SELECT * FROM orders WHERE customer_id = 5;

SELECT * FROM orders;

SET TimeZone = 'America/St_Johns';

SELECT min(placed), max(placed), max(placed::date) FROM orders;

SET extra_float_digits = -10;

SELECT min(weight / 3), max(weight / 7) FROM orders WHERE weight <> 'NaN' AND weight < 1000;

RESET ALL;

SET lc_monetary = 'C';

SELECT sum(qty::money), min(qty::money), max(qty::money) FROM orders;

SHOW extra_float_digits;

-- # extensions whose functions have the names of Postgres' own
CREATE EXTENSION citext;

CREATE TABLE words (id bigint PRIMARY KEY, word citext, plain text, n int) WITH (shard_key = 'id');

INSERT INTO words SELECT i, chr(64 + i) || 'x', chr(64 + i), i FROM generate_series(1, 20) i;

SELECT min(n), max(n), min(plain), max(plain), count(*) FROM words;

SELECT min(word), max(word) FROM words;

SELECT id, replace(plain, 'A', 'B'), replace(word, 'a', 'b') FROM words WHERE strpos(plain, 'A') = 1;

UPDATE words SET plain = translate(plain, 'B', 'C') WHERE n < 5;

SELECT id FROM words WHERE word = 'AX';

DROP TABLE words;

DROP EXTENSION citext;
