-- # tables
CREATE TABLE events (id bigint NOT NULL, kind text, at timestamptz, data jsonb, tags text[], n numeric(8,3) DEFAULT 1.5) WITH (shard_key = 'id');

CREATE TABLE lands (code text PRIMARY KEY, name text, serial_no serial, at date DEFAULT '2020-02-02') WITH (reference = true);

CREATE TABLE plain_local (id int, v text);

CREATE TABLE counters (id bigserial PRIMARY KEY, v text) WITH (shard_key = 'id');

-- # copy in
COPY events FROM STDIN;
1	click	2024-01-01 00:00:00+00	{"a": 1}	{x,y}	1.25
2	\N	\N	\N	\N	\N
3	tab\tnew\nline	2024-06-01 12:00:00+02	[]	{"a b","c,d"}	9.9999
4	back\\slash	\N	{}	{}	0
\.

COPY events (kind, id) FROM STDIN;
view	5
view	6
	7
\.

COPY events (id, kind) FROM STDIN (FORMAT csv, HEADER);
id,kind
8,"quoted ""text"", with comma"
9,
10,""
11,"two
lines"
\.

COPY events (id, kind) FROM STDIN WITH (FORMAT csv, DELIMITER ';', NULL 'nil', QUOTE '''', HEADER match);
id;kind
12;'it''s'
13;nil
\.

COPY events (id, kind) FROM STDIN (DELIMITER '|', NULL '');
14|a
15|
\.

COPY events (id, kind, n) FROM STDIN (FORMAT csv, FORCE_NULL (kind), FORCE_NOT_NULL (kind));
16,"",1
17,x,2
\.

COPY events (id, kind) FROM STDIN (FORMAT csv) WHERE id > 18;
18,no
19,yes
20,yes
\.

COPY events (id) FROM STDIN;
x
\.

COPY events (id) FROM STDIN;
21
22
23	too many
\.

COPY events (id, kind) FROM STDIN;
24
\.

COPY events (id) FROM STDIN;
\N
\.

COPY events (kind) FROM STDIN;
no key
\.

COPY events (nope) FROM STDIN;
1
\.

COPY events (id, id) FROM STDIN;
1	1
\.

COPY nope FROM STDIN;
1
\.

COPY events (id, n) FROM STDIN;
25	123456.7
\.

COPY lands (code, name) FROM STDIN;
de	Germany
fr	France
\.

COPY lands FROM STDIN (FORMAT csv);
it,Italy,100,2021-01-01
\.

COPY lands (code) FROM STDIN;
de
\.

COPY plain_local FROM STDIN;
1	one
2	two
\.

COPY counters (v) FROM STDIN;
a
b
c
\.

COPY counters (id, v) FROM STDIN;
100	x
101	y
\.

COPY counters (id, v) FROM STDIN;
102	x
101	dup
\.

SELECT count(*), sum(id), count(kind), max(n) FROM events;

-- # copy out
COPY events TO STDOUT;

COPY events (id, kind) TO STDOUT (FORMAT csv, HEADER);

COPY events (kind, id) TO STDOUT (FORMAT csv, FORCE_QUOTE *);

COPY (SELECT id, kind FROM events WHERE id = 3) TO STDOUT;

COPY (SELECT id FROM events) TO STDOUT;

COPY (SELECT count(*) FROM events) TO STDOUT;

COPY (SELECT id FROM events ORDER BY id) TO STDOUT;

COPY lands TO STDOUT;

COPY plain_local TO STDOUT (DELIMITER ',');

COPY counters TO STDOUT;

COPY (SELECT code FROM lands ORDER BY code) TO STDOUT;

COPY events (nope) TO STDOUT;

COPY (DELETE FROM events WHERE id = 1 RETURNING id) TO STDOUT;

COPY (VALUES (1, 'a')) TO STDOUT (FORMAT csv);

-- # in transactions
BEGIN;

COPY events (id, kind) FROM STDIN;
200	tx
201	tx
202	tx
\.

SELECT count(*) FROM events WHERE kind = 'tx';

COPY lands (code) FROM STDIN;
tx
\.

COPY events (id) TO STDOUT;

COPY events TO STDOUT (FORMAT csv, HEADER);

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

COPY events (id) TO STDOUT;

COPY events (id, kind) FROM STDIN;
200	tx
\.

COPY events (id) TO STDOUT;

ROLLBACK;

SELECT count(*) FROM events WHERE kind = 'tx';

BEGIN;

COPY events (id, kind) FROM STDIN;
200	tx
201	tx
202	tx
\.

UPDATE events SET kind = 'done' WHERE kind = 'tx';

COMMIT;

SELECT count(*) FROM events WHERE kind = 'done';

BEGIN;

SAVEPOINT a;

COPY events (id) FROM STDIN;
300
301
x
\.

ROLLBACK TO a;

COPY events (id) FROM STDIN;
302
303
\.

COMMIT;

SELECT id FROM events WHERE id IN (300, 301, 302, 303);

BEGIN;

COPY events (id) FROM STDIN;
400
oops
\.

SELECT 1;

COMMIT;

SELECT count(*) FROM events;

-- # settings
SET DateStyle = 'SQL, DMY';

SET TimeZone = 'Asia/Kolkata';

COPY events (id, at) TO STDOUT;

COPY events (id, at) FROM STDIN;
500	13/02/2024 10:00:00
501	2024-02-14 10:00:00
\.

SELECT id, at FROM events WHERE id IN (500, 501);

RESET ALL;

SELECT id, at AT TIME ZONE 'UTC' FROM events WHERE id IN (500, 501);

-- # insert select under row level security
CREATE ROLE copies_tenant;

CREATE TABLE docs (id int PRIMARY KEY, tenant text, n int DEFAULT 7) WITH (shard_key = 'id');

CREATE TABLE notes (id int PRIMARY KEY, tenant text) WITH (reference = true);

INSERT INTO docs SELECT g, (g % 2)::text FROM generate_series(1, 8) g;

GRANT ALL ON docs, notes TO copies_tenant;

GRANT USAGE ON SCHEMA copies TO copies_tenant;

ALTER TABLE docs ENABLE ROW LEVEL SECURITY;

ALTER TABLE notes ENABLE ROW LEVEL SECURITY;

CREATE POLICY own ON docs USING (tenant = '1') WITH CHECK (tenant = '1' AND id < 1000);

CREATE POLICY own ON notes USING (tenant = '1');

-- The owner is not held to it.
INSERT INTO docs SELECT g, 'x' FROM generate_series(2001, 2004) g;

SET ROLE copies_tenant;

INSERT INTO docs (id, tenant) SELECT g, '1' FROM generate_series(101, 1) g;

INSERT INTO docs (id, tenant) SELECT g, '1' FROM generate_series(101, 120) g;

INSERT INTO docs (tenant, id) SELECT tenant, id + 500 FROM docs;

INSERT INTO docs (id, tenant) SELECT g, (g % 2)::text FROM generate_series(201, 220) g;

INSERT INTO docs (id, tenant) SELECT id + 900, tenant FROM docs;

INSERT INTO notes SELECT g, '1' FROM generate_series(1, 5) g;

INSERT INTO notes SELECT g, g::text FROM generate_series(6, 9) g;

INSERT INTO notes SELECT id, tenant FROM docs WHERE id > 100;

SELECT id, tenant, n FROM docs ORDER BY id;

SELECT * FROM notes ORDER BY id;

SET row_security = off;

INSERT INTO docs (id, tenant) SELECT g, '1' FROM generate_series(301, 303) g;

RESET row_security;

RESET ROLE;

SELECT id, tenant, n FROM docs ORDER BY id;

DROP TABLE docs, notes;

REVOKE USAGE ON SCHEMA copies FROM copies_tenant;

DROP ROLE copies_tenant;
