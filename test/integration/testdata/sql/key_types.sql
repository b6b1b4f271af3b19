-- # a domain
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%') DEFAULT 'none@x';

CREATE DOMAIN work_email AS email;

CREATE DOMAIN price AS numeric(6, 2);

CREATE TABLE people (mail work_email PRIMARY KEY, name text, n int) WITH (shard_key = 'mail');

CREATE TABLE letters (mail text NOT NULL, id int, body text, PRIMARY KEY (mail, id)) WITH (shard_key = 'mail');

CREATE TABLE prices (p price PRIMARY KEY, what text) WITH (shard_key = 'p');

INSERT INTO people SELECT 'p' || i || '@x', 'name ' || i, i FROM generate_series(1, 30) i;

INSERT INTO people VALUES ('a@x', 'a', 1), ('b@x', 'b', 2), ('c' || '@x', 'c', 3) RETURNING *;

INSERT INTO people (name) VALUES ('default');

-- params: d@x::text | 4::int4
INSERT INTO people VALUES ($1, 'd', $2);

INSERT INTO people VALUES ('nobody', 'nobody', 0);

INSERT INTO people VALUES ('a@x', 'again', 0) ON CONFLICT (mail) DO UPDATE SET name = EXCLUDED.name, n = people.n + 1 RETURNING *;

INSERT INTO letters SELECT mail, n, 'to ' || mail FROM people WHERE n < 9;

SELECT * FROM people WHERE mail = 'a@x';

-- params: d@x
SELECT * FROM people WHERE mail = $1;

SELECT * FROM people WHERE mail IN ('a@x', 'b@x', 'p3@x');

SELECT p.name, l.body FROM people p JOIN letters l ON l.mail = p.mail WHERE p.mail = 'p3@x';

SELECT p.name, l.id FROM people p JOIN letters l USING (mail) ORDER BY 1, 2 LIMIT 5;

SELECT mail, count(*) FROM people GROUP BY mail ORDER BY 1 LIMIT 3;

SELECT * FROM people WHERE mail = 'a@x'::email;

UPDATE people SET n = 100 WHERE mail = 'b@x';

UPDATE people SET mail = 'moved@x' WHERE mail = 'p7@x' RETURNING *;

UPDATE people SET mail = 'nowhere' WHERE mail = 'p8@x';

DELETE FROM people WHERE mail = 'c@x';

INSERT INTO prices VALUES (1.005, 'rounded'), ('2.5', 'b'), (3, 'c');

INSERT INTO prices VALUES (12345, 'too large');

SELECT * FROM prices WHERE p = 1.01;

SELECT * FROM prices WHERE p = 2.500;

INSERT INTO prices SELECT n + 0.125, 'from ' || name FROM people WHERE n BETWEEN 10 AND 20;

SELECT * FROM prices ORDER BY p;

COPY prices FROM STDIN;
7.777	copied
8.1	copied
\.

SELECT * FROM prices WHERE p = 7.78;

ALTER DOMAIN email ADD CONSTRAINT short CHECK (length(VALUE) < 8);

ALTER DOMAIN email DROP CONSTRAINT IF EXISTS short;

ALTER TABLE letters ADD CONSTRAINT who FOREIGN KEY (mail) REFERENCES people;

DROP DOMAIN work_email;

BEGIN;

-- refused key_dropped
DROP DOMAIN work_email CASCADE;

ROLLBACK;

SELECT count(*), sum(n) FROM people;

-- # an enum
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'o''k');

CREATE TABLE moods (m mood NOT NULL, id int, note text, PRIMARY KEY (m, id)) WITH (shard_key = 'm');

INSERT INTO moods VALUES ('sad', 1, 'one'), ('ok', 2, 'two'), ('happy', 3, 'three'), ('o''k', 4, 'four');

INSERT INTO moods VALUES ('glad', 1, 'one');

INSERT INTO moods SELECT (enum_range(NULL::mood))[1 + i % 4], 10 + i, 'i' || i FROM generate_series(1, 20) i;

INSERT INTO moods VALUES (CASE WHEN random() < 2 THEN 'ok' ELSE 'sad' END::mood, 100, 'computed') RETURNING *;

SELECT * FROM moods WHERE m = 'ok' ORDER BY id;

SELECT * FROM moods WHERE m = 'sad'::mood ORDER BY id;

SELECT * FROM moods WHERE m = 'glad';

SELECT * FROM moods WHERE m = 'glad'::mood;

SELECT * FROM moods WHERE m IN ('sad'::mood, 'ok') ORDER BY id;

SELECT * FROM moods WHERE m = ANY (ARRAY['sad', 'happy']::mood[]) ORDER BY id;

SELECT * FROM moods WHERE m = CAST('happy'::text AS mood) ORDER BY id;

SELECT * FROM moods WHERE m = 'happy'::key_types.mood ORDER BY id;

SELECT * FROM moods WHERE m = NULL::mood;

SELECT * FROM moods WHERE m = 5::mood;

SELECT * FROM moods WHERE note = 'happy'::mood;

CREATE TYPE "Other mood" AS ENUM ('sad');

SELECT * FROM moods WHERE m = 'sad'::"Other mood";

-- params: sad
SELECT * FROM moods WHERE m = $1::mood ORDER BY id;

-- params: happy::text
SELECT * FROM moods WHERE m = CAST($1::text AS key_types.mood) ORDER BY id;

-- params: glad
SELECT * FROM moods WHERE m = $1::mood ORDER BY id;

-- params: sad | 900
INSERT INTO moods VALUES ($1::mood, $2, 'cast') ON CONFLICT DO NOTHING RETURNING *;

INSERT INTO moods VALUES ('sad'::mood, 901, 'cast'), ('ok'::mood, 901, 'cast') RETURNING *;

-- params: sad | 900
UPDATE moods SET note = note || '.' WHERE m = $1::mood AND id = $2 RETURNING *;

-- params: happy
SELECT * FROM moods WHERE m = $1;

SELECT m, count(*) FROM moods GROUP BY m ORDER BY m;

SELECT a.id, b.id FROM moods a JOIN moods b ON a.m = b.m AND a.id < b.id WHERE a.m = 'happy';

SELECT * FROM moods WHERE m > 'ok' ORDER BY m, id;

UPDATE moods SET m = 'happy' WHERE m = 'sad' AND id < 15 RETURNING *;

COPY moods FROM STDIN;
sad	200	copied
happy	201	copied
\.

DELETE FROM moods WHERE m = 'happy' AND id = 201 RETURNING *;

ALTER TYPE mood ADD VALUE 'glad' BEFORE 'happy';

INSERT INTO moods VALUES ('glad', 1, 'now');

SELECT * FROM moods WHERE m = 'glad';

-- refused key_dropped
ALTER TYPE mood RENAME VALUE 'sad' TO 'blue';

ALTER TYPE mood RENAME TO feeling;

INSERT INTO moods VALUES ('sad', 300, 'renamed');

SELECT * FROM moods WHERE m = 'sad' ORDER BY id;

DROP TYPE feeling;

-- refused key_dropped
DROP TYPE feeling CASCADE;

SELECT count(*) FROM moods;

-- # char(n), citext, float8
CREATE TABLE codes (c char(5) PRIMARY KEY, v int) WITH (shard_key = 'c');

INSERT INTO codes VALUES ('a', 1), ('b  ', 2), ('abcde', 3), ('ab   ', 4);

INSERT INTO codes VALUES ('a     ', 5);

INSERT INTO codes VALUES ('abcdef', 5);

INSERT INTO codes VALUES ('abcde   ', 9) ON CONFLICT (c) DO UPDATE SET v = EXCLUDED.v;

SELECT c, v, length(c) FROM codes WHERE c = 'a';

SELECT * FROM codes WHERE c = 'ab    ';

SELECT * FROM codes WHERE c = 'a '::text;

-- params: b
SELECT * FROM codes WHERE c = $1;

-- params: b ::bpchar
SELECT * FROM codes WHERE c = $1;

UPDATE codes SET c = 'z' WHERE c = 'b' RETURNING *;

SELECT * FROM codes ORDER BY c;

CREATE EXTENSION citext;

CREATE TABLE users (login citext PRIMARY KEY, n int) WITH (shard_key = 'login');

INSERT INTO users VALUES ('Ann', 1), ('BOB', 2), ('Zoë', 3), ('ÄGIDIUS', 4), ('plain', 5);

INSERT INTO users VALUES ('ANN', 9);

INSERT INTO users VALUES ('aNN', 9) ON CONFLICT (login) DO UPDATE SET n = EXCLUDED.n RETURNING *;

SELECT * FROM users WHERE login = 'ann';

SELECT * FROM users WHERE login = 'ANN';

SELECT * FROM users WHERE login = 'ZOË';

SELECT * FROM users WHERE login IN ('bob', 'PLAIN');

SELECT * FROM users WHERE login = 'ann'::text;

SELECT * FROM users WHERE login = 'Ann'::text;

-- params: Bob
SELECT * FROM users WHERE login = $1;

-- params: PLAIN::text
SELECT * FROM users WHERE login = $1;

SELECT * FROM users ORDER BY login;

UPDATE users SET login = 'Carl' WHERE login = 'BOB' RETURNING *;

DELETE FROM users WHERE login = 'carl' RETURNING *;

COPY users FROM STDIN;
Dora	6
dave	7
\.

SELECT * FROM users WHERE login = 'DAVE';

-- refused key_dropped
DROP EXTENSION citext CASCADE;

CREATE TABLE readings (at float8 PRIMARY KEY, n int) WITH (shard_key = 'at');

INSERT INTO readings VALUES (0, 1), (0.1, 2), (1e300, 3), ('NaN', 4), ('-Infinity', 5), (2.5, 6);

INSERT INTO readings VALUES (-0.0, 1);

INSERT INTO readings VALUES ('-0', 1);

INSERT INTO readings VALUES ('nan', 1);

INSERT INTO readings VALUES (pi() / 3, 7) RETURNING *;

SELECT * FROM readings WHERE at = 0;

SELECT * FROM readings WHERE at = '-0';

SELECT * FROM readings WHERE at = 0.10;

SELECT * FROM readings WHERE at = 'NaN';

-- params: 2.5::float8
SELECT * FROM readings WHERE at = $1;

-- params: 2.5::float4
SELECT * FROM readings WHERE at = $1;

SELECT * FROM readings ORDER BY at;

INSERT INTO readings SELECT at + 1, n FROM readings WHERE n IN (2, 6);

SELECT * FROM readings ORDER BY at;

-- # others, and what is no key
CREATE TABLE hosts (ip inet PRIMARY KEY, name text) WITH (shard_key = 'ip');

INSERT INTO hosts VALUES ('10.0.0.1', 'a'), ('10.0.0.0/8', 'b'), ('2001:db8::1', 'c'), ('::ffff:1.2.3.4', 'd');

INSERT INTO hosts VALUES ('10.0.0.1/32', 'again');

SELECT * FROM hosts WHERE ip = '10.0.0.1';

SELECT * FROM hosts WHERE ip = cidr '10/8';

SELECT * FROM hosts WHERE ip = '2001:DB8:0::1';

SELECT * FROM hosts ORDER BY ip;

CREATE TABLE slots (at timetz PRIMARY KEY, n int) WITH (shard_key = 'at');

INSERT INTO slots VALUES ('12:00+00', 1), ('13:00+01', 2);

SELECT * FROM slots WHERE at = '12:00:00+00';

-- refused time_word_key
SELECT * FROM slots WHERE at = '12:00:00';

CREATE TABLE oids (o oid PRIMARY KEY, n int) WITH (shard_key = 'o');

INSERT INTO oids VALUES (1, 1), (4294967295, 2), ('17', 3);

SELECT * FROM oids WHERE o = -1;

SELECT * FROM oids WHERE o = 17;

-- refused key_type
CREATE TABLE js (k jsonb PRIMARY KEY, n int) WITH (shard_key = 'k');

-- refused key_type
CREATE TABLE iv (k interval PRIMARY KEY, n int) WITH (shard_key = 'k');

-- refused key_type
CREATE TABLE ar (k int[] PRIMARY KEY, n int) WITH (shard_key = 'k');
