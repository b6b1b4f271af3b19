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
