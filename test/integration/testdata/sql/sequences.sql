-- # texts that differ in their literals share a plan
CREATE TABLE notes (k int, id bigserial, v text, n numeric DEFAULT 0, PRIMARY KEY (k, id)) WITH (shard_key = 'k');

CREATE TABLE always (k text, id int GENERATED ALWAYS AS IDENTITY, v text) WITH (shard_key = 'k');

CREATE TABLE keyed (id serial PRIMARY KEY, v text) WITH (shard_key = 'id');

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING *;

INSERT INTO notes (k, v) VALUES (12345, 'a longer one, with '' in it') RETURNING *;

INSERT INTO notes (k, v) VALUES (7, 'żółć 🦆 ÿ') RETURNING k, id, v, 'ü';

INSERT INTO notes (k, v) VALUES (12, 'ä') RETURNING k, id, v, 'longer';

INSERT INTO notes (k, v) VALUES (-1, 'negative') RETURNING *;

INSERT INTO notes (k, v) VALUES (-100, '') RETURNING *;

INSERT INTO notes (id, k, v) VALUES (DEFAULT, 2, 'first') RETURNING *;

INSERT INTO notes (id, k, v) VALUES (DEFAULT, 2000000, 'as a default; it''s (here), $1') RETURNING *;

INSERT INTO notes VALUES (3, DEFAULT, 'all', 1.5) RETURNING *;

INSERT INTO notes VALUES (33, DEFAULT, 'all of them', 1000.25) RETURNING *;

INSERT INTO notes AS o (k, v) VALUES (4, 'x') ON CONFLICT (k, id) DO UPDATE SET v = o.v || 'y' RETURNING *;

INSERT INTO notes AS o (k, v) VALUES (44, 'xx') ON CONFLICT (k, id) DO UPDATE SET v = o.v || 'yyy' RETURNING *;

INSERT INTO always (k, v) VALUES ('a', 'b') RETURNING *;

INSERT INTO always (k, v) VALUES ('aaaa', 'bbbbbb') RETURNING *;

INSERT INTO always VALUES ('c', DEFAULT, 'd') RETURNING *;

INSERT INTO always VALUES ('cccccccccccc', DEFAULT, E'd\n') RETURNING *;

INSERT INTO keyed (v) VALUES ('a') RETURNING *;

INSERT INTO keyed (v) VALUES ('another') RETURNING *;

INSERT INTO keyed VALUES (DEFAULT, 'a') RETURNING *;

INSERT INTO keyed VALUES (DEFAULT, 'another') RETURNING *;

INSERT INTO notes (k, v, n) VALUES (1, 'a', 1), (22, 'bb', 22) RETURNING *;

INSERT INTO notes (k, v, n) VALUES (333, 'ccc', 333), (4444, 'dddd', 4444) RETURNING *;

SELECT * FROM notes ORDER BY k, id;

INSERT INTO notes (k, v) VALUES ('abc', 'x');

INSERT INTO notes (k, v) VALUES (1, 1 / 0);

INSERT INTO notes (k, n) VALUES (1, 1.5 / 0.0);

INSERT INTO notes (k, v) VALUES (99999999999, 'x');

-- # what changes a sequence is seen by the next draw
SELECT setval('notes_id_seq', 100);

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

SELECT setval('notes_id_seq', 200, false);

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

SELECT last_value, is_called FROM notes_id_seq;

SELECT nextval('notes_id_seq');

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

ALTER SEQUENCE notes_id_seq RESTART WITH 1000 INCREMENT 10;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

ALTER SEQUENCE notes_id_seq INCREMENT -5;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

ALTER SEQUENCE notes_id_seq MINVALUE 995 MAXVALUE 2000 INCREMENT -5 NO CYCLE;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

INSERT INTO notes (k, v) VALUES (1, 'a'), (2, 'b') RETURNING id;

ALTER SEQUENCE notes_id_seq CYCLE;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

ALTER SEQUENCE notes_id_seq CACHE 5 NO MINVALUE NO MAXVALUE INCREMENT 1 RESTART 5000;

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

SELECT setval('notes_id_seq', 6000);

INSERT INTO notes (k, v) VALUES (1, 'a') RETURNING id;

ALTER SEQUENCE notes_id_seq CACHE 1;

ALTER SEQUENCE keyed_id_seq RENAME TO other_name;

INSERT INTO keyed (v) VALUES ('renamed') RETURNING *;

TRUNCATE keyed RESTART IDENTITY;

INSERT INTO keyed (v) VALUES ('again') RETURNING *;

DROP TABLE keyed;

CREATE TABLE keyed (id serial PRIMARY KEY, v text) WITH (shard_key = 'id');

INSERT INTO keyed (v) VALUES ('anew') RETURNING *;

INSERT INTO keyed (v) VALUES ('anew') RETURNING *;

-- # in transactions
BEGIN;

ALTER SEQUENCE keyed_id_seq RESTART 50;

INSERT INTO keyed (v) VALUES ('sees it') RETURNING *;

ROLLBACK;

INSERT INTO keyed (v) VALUES ('as before') RETURNING *;

BEGIN;

CREATE TABLE within (k int, id serial) WITH (shard_key = 'k');

INSERT INTO within (k) VALUES (1) RETURNING *;

TRUNCATE keyed RESTART IDENTITY;

INSERT INTO keyed (v) VALUES ('restarted') RETURNING *;

COMMIT;

INSERT INTO keyed (v) VALUES ('goes on') RETURNING *;

BEGIN;

INSERT INTO keyed (v) VALUES ('given up') RETURNING *;

SAVEPOINT p;

INSERT INTO keyed (v) VALUES ('given up') RETURNING *;

ROLLBACK TO p;

INSERT INTO keyed (v) VALUES ('given up') RETURNING *;

SELECT currval('keyed_id_seq'), lastval();

ROLLBACK;

SELECT currval('keyed_id_seq'), lastval();

INSERT INTO keyed (v) VALUES ('after gaps') RETURNING *;

BEGIN ISOLATION LEVEL REPEATABLE READ;

INSERT INTO notes (k, v) VALUES (1, 'one snapshot') RETURNING id;

COMMIT;

BEGIN READ ONLY;

INSERT INTO keyed (v) VALUES ('not allowed');

ROLLBACK;

-- # roles
CREATE ROLE sequences_user;

GRANT USAGE ON SCHEMA sequences TO sequences_user;

GRANT SELECT, INSERT ON notes, always TO sequences_user;

SET ROLE sequences_user;

INSERT INTO notes (k, v) VALUES (1, 'no right to draw') RETURNING id;

INSERT INTO notes (k, id, v) VALUES (1, -1, 'nothing is drawn') RETURNING id;

INSERT INTO always (k, v) VALUES ('x', 'an identity needs no right') RETURNING v;

INSERT INTO always (k, v) VALUES ('y', 'two'), ('z', 'of them') RETURNING v;

INSERT INTO always (k, v) SELECT 'w', 'of a query';

RESET ROLE;

GRANT USAGE ON SEQUENCE notes_id_seq TO sequences_user;

SET ROLE sequences_user;

SELECT max(id) > 0 FROM notes;

INSERT INTO notes (k, v) VALUES (1, 'may draw') RETURNING v;

RESET ROLE;

REVOKE USAGE ON SEQUENCE notes_id_seq FROM sequences_user;

SET ROLE sequences_user;

INSERT INTO notes (k, v) VALUES (1, 'no right any more') RETURNING id;

RESET ROLE;

DROP OWNED BY sequences_user;

DROP ROLE sequences_user;

-- # what the session has drawn last
INSERT INTO notes (k, v) VALUES (1, 'drawn by the coordinator') RETURNING id;

INSERT INTO keyed (v) SELECT 'of a query' FROM generate_series(1, 3);

SELECT lastval(), currval('keyed_id_seq');

INSERT INTO always (k, v) VALUES ('x', 'after it');

SELECT lastval(), currval('always_id_seq');

COPY keyed (v) FROM STDIN;
copied
\.

SELECT lastval(), currval('keyed_id_seq');

INSERT INTO notes (k, v) VALUES (1, 'after it'), (2, 'after it');

SELECT lastval(), currval('notes_id_seq');
