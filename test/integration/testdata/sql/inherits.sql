-- # a table that inherits from a sharded one
CREATE TABLE ref (code int PRIMARY KEY, label text) WITH (reference);

INSERT INTO ref SELECT i, 'label ' || i FROM generate_series(0, 9) i;

CREATE TABLE users (id int PRIMARY KEY, name text) WITH (shard_key = 'id');

INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 30) i;

CREATE TABLE cities (id int NOT NULL, name text, people int DEFAULT 1, n bigserial, CHECK (people >= 0)) WITH (shard_key = 'id', colocate_with = 'users');

INSERT INTO cities (id, name, people) SELECT i, 'city ' || i, i * 10 FROM generate_series(1, 20) i;

CREATE TABLE capitals (state text, PRIMARY KEY (id)) INHERITS (cities);

CREATE TABLE IF NOT EXISTS capitals (state text) INHERITS (cities);

CREATE TABLE seaports (id int, harbour text CHECK (harbour <> '')) INHERITS (cities);

CREATE TABLE sea_capitals (flag text DEFAULT 'none') INHERITS (capitals, seaports);

INSERT INTO capitals (id, name, people, state) SELECT 100 + i, 'capital ' || i, i * 100, 's' || i FROM generate_series(1, 10) i;

INSERT INTO seaports (id, name, people, harbour) VALUES (201, 'port 1', 5, 'h1'), (202, 'port 2', 6, 'h2'), (3, 'port 3', 7, 'h3') RETURNING id, name, people, harbour;

INSERT INTO sea_capitals (id, name, state, harbour) VALUES (301, 'both', 's', 'h'), (302, 'both too', 't', 'i') RETURNING id, name, flag;

INSERT INTO capitals (id, name) VALUES (101, 'again');

INSERT INTO capitals (id, name, people) VALUES (102, 'upsert', 5) ON CONFLICT (id) DO UPDATE SET people = EXCLUDED.people RETURNING id, name, people;

INSERT INTO seaports (id, name, harbour) VALUES (5, 'none', '');

INSERT INTO cities (id, name, people) VALUES (6, 'negative', -1);

SELECT id, name, people FROM cities ORDER BY id, name;

SELECT id, name FROM ONLY cities ORDER BY id;

SELECT * FROM ONLY capitals WHERE id = 103;

SELECT id, name, state FROM capitals ORDER BY id DESC LIMIT 4;

SELECT id, name FROM cities WHERE id = 3 ORDER BY name;

SELECT id, name FROM cities* WHERE id = 301;

SELECT count(*), sum(people), max(name) FROM cities;

SELECT people % 3, count(*) FROM cities GROUP BY 1 ORDER BY 1;

SELECT u.name, c.name FROM users u JOIN cities c ON c.id = u.id ORDER BY 1, 2;

SELECT c.name, r.label FROM capitals c JOIN ref r ON r.code = c.people / 100 ORDER BY 1;

SELECT a.name, b.name FROM cities a JOIN seaports b ON b.people = a.people ORDER BY 1, 2;

SELECT name FROM cities WHERE people > (SELECT avg(people) FROM capitals) ORDER BY name;

SELECT tableoid::regclass::text, name FROM cities WHERE id = 301;

-- # what is written through the parent
UPDATE cities SET people = people + 1 WHERE id = 301 RETURNING id, name, people;

UPDATE cities SET people = people + 1 WHERE id IN (3, 103) RETURNING id, name, people;

UPDATE ONLY cities SET people = 0 WHERE id = 3 RETURNING id, name, people;

UPDATE cities SET name = upper(name) WHERE people > (SELECT avg(people) FROM cities) RETURNING id, name;

UPDATE cities c SET name = c.name || u.name FROM users u WHERE u.id = c.id AND u.id < 4 RETURNING c.id, c.name;

UPDATE cities SET people = -5 WHERE id = 201;

DELETE FROM cities WHERE id = 302 RETURNING id, name;

DELETE FROM ONLY cities WHERE id = 103;

DELETE FROM seaports WHERE people = (SELECT min(people) FROM seaports) RETURNING id;

-- refused rows_moved
UPDATE cities SET id = id + 1000 WHERE id = 104;

UPDATE ONLY cities SET id = id + 1000 WHERE id = 7 RETURNING id, name;

UPDATE sea_capitals SET id = 400 WHERE id = 301 RETURNING id, name, flag;

SELECT id, name FROM cities WHERE people > 50 ORDER BY people, id LIMIT 3 FOR UPDATE;

COPY seaports (id, name, people, harbour) FROM STDIN;
501	copied	1	h5
502	copied	2	h6
\.

COPY cities (id, name, people) TO STDOUT;

COPY (SELECT id, name FROM cities WHERE people < 5 ORDER BY id, name) TO STDOUT;

WITH gone AS (DELETE FROM capitals WHERE id > 107 RETURNING id, name) SELECT * FROM gone ORDER BY id;

WITH gone AS (DELETE FROM capitals WHERE id > 105 RETURNING id) SELECT count(*) FROM cities, gone;

BEGIN;

DELETE FROM capitals;

SELECT count(*) FROM cities;

ROLLBACK;

BEGIN;

TRUNCATE cities;

SELECT count(*) FROM seaports;

ROLLBACK;

SELECT count(*), sum(people) FROM cities;

-- # definitions
ALTER TABLE cities ADD COLUMN country text DEFAULT 'x';

SELECT id, country FROM sea_capitals;

ALTER TABLE cities RENAME COLUMN people TO inhabitants;

SELECT sum(inhabitants) FROM seaports;

ALTER TABLE cities ADD CONSTRAINT small CHECK (inhabitants < 100000);

INSERT INTO seaports (id, inhabitants, harbour) VALUES (600, 100000, 'h');

ALTER TABLE seaports NO INHERIT cities;

SELECT count(*) FROM cities;

SELECT count(*) FROM seaports;

INSERT INTO seaports (id, inhabitants, harbour) VALUES (601, 1, 'h'), (602, 1, 'h');

ALTER TABLE seaports INHERIT cities;

SELECT count(*) FROM cities;

CREATE TABLE villages (id int NOT NULL, name text) WITH (shard_key = 'id', colocate_with = 'users');

ALTER TABLE villages INHERIT cities;

ALTER TABLE villages ADD COLUMN inhabitants int CHECK (inhabitants >= 0), ADD COLUMN n bigint NOT NULL, ADD COLUMN country text, ADD CONSTRAINT small CHECK (inhabitants < 100000);

ALTER TABLE villages RENAME CONSTRAINT villages_inhabitants_check TO cities_people_check;

ALTER TABLE villages INHERIT cities;

INSERT INTO villages VALUES (1, 'v1', 1, 1), (2, 'v2', 2, 2);

SELECT id, name FROM cities WHERE id < 3 ORDER BY id, name;

CREATE VIEW all_cities AS SELECT id, name, inhabitants FROM cities WHERE inhabitants > 0;

SELECT count(*) FROM all_cities;

SELECT * FROM all_cities WHERE id = 501;

CREATE FUNCTION first_name(i int) RETURNS text LANGUAGE sql AS 'SELECT min(name) FROM capitals WHERE id = i';

-- refused function_names_table
SELECT first_name(101);

-- refused foreign_key_across_shards
CREATE TABLE islands (near int REFERENCES capitals) INHERITS (cities);

-- refused unique_without_key
CREATE TABLE islands (sand text PRIMARY KEY) INHERITS (cities);

-- refused sequence_default
CREATE TABLE islands (n2 serial) INHERITS (cities);

CREATE TABLE plain (id int);

-- refused inherits
CREATE TABLE islands () INHERITS (cities, plain);

-- refused inherits
CREATE TEMP TABLE islands () INHERITS (cities);

-- refused partition_unlike
ALTER TABLE plain INHERIT cities;

CREATE TABLE codes () INHERITS (ref);

CREATE TABLE far (k int NOT NULL, id int NOT NULL) WITH (shard_key = 'k', colocate_with = 'none');

-- refused inherits
CREATE TABLE islands () INHERITS (cities, far);

CREATE INDEX ON cities (name);

CREATE INDEX ON seaports (name);

DROP TABLE capitals;

DROP TABLE seaports CASCADE;

SELECT count(*), sum(inhabitants) FROM cities;

DROP TABLE cities CASCADE;

SELECT count(*) FROM villages;

CREATE TABLE roots (id int NOT NULL, v int) WITH (shard_key = 'id');

-- refused function_names_table
DO $$ BEGIN CREATE TABLE twigs () INHERITS (roots); INSERT INTO twigs VALUES (1, 1), (2, 2), (3, 3), (4, 4); END $$;

-- refused function_names_table
DO $$ BEGIN CREATE TABLE twigs () INHERITS (roots); END $$;

SELECT count(*) FROM roots;
