-- # tables
CREATE TABLE stock (id bigint PRIMARY KEY, name text, n int DEFAULT 1, at timestamptz DEFAULT '2024-05-06', note varchar(8)) WITH (shard_key = 'id');

CREATE TABLE words (w varchar(6) PRIMARY KEY, n int) WITH (shard_key = 'w');

CREATE TABLE feed (k int PRIMARY KEY, stock_id bigint, n int, name text) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE loc (id int PRIMARY KEY, n int, name text);

CREATE TABLE seq (id int PRIMARY KEY, s serial) WITH (shard_key = 'id');

CREATE TABLE cur (code text PRIMARY KEY, rate numeric) WITH (reference);

INSERT INTO stock (id, name, n) SELECT i, 's' || i, i % 5 FROM generate_series(1, 40) i;

INSERT INTO feed SELECT i, i * 3, i % 7, 'f' || i FROM generate_series(1, 30) i;

INSERT INTO loc SELECT i, i, 'l' || i FROM generate_series(31, 50) i;

INSERT INTO words VALUES ('a', 1), ('b', 2);

INSERT INTO cur VALUES ('a', 1), ('zz', 2);

-- # from constants
MERGE INTO stock s USING (VALUES (1, 10), (2, 20), (100, 1), (101, 2)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = s.n + v.n WHEN NOT MATCHED THEN INSERT (id, name, n) VALUES (v.id, 'new', v.n);

SELECT * FROM stock WHERE id IN (1, 2, 100, 101);

MERGE INTO stock s USING (VALUES (1, 10), (2, 20), (100, 1), (102, 2)) v (id, n) ON s.id = v.id WHEN MATCHED AND s.n > 20 THEN DELETE WHEN MATCHED AND v.n = 10 THEN DO NOTHING WHEN MATCHED THEN UPDATE SET n = 0, note = 'zero' WHEN NOT MATCHED AND v.n > 5 THEN INSERT VALUES (v.id, 'big') WHEN NOT MATCHED THEN INSERT (id, note) VALUES (v.id, 'small') RETURNING merge_action(), s.*, v.n;

MERGE INTO stock USING (SELECT i AS id FROM generate_series(35, 45) i) v ON v.id = stock.id WHEN NOT MATCHED THEN INSERT (id, name) VALUES (id, 'gap') RETURNING merge_action(), stock.id, name;

MERGE INTO stock USING (SELECT i AS id FROM generate_series(38, 43) i) v ON v.id = stock.id WHEN MATCHED THEN DELETE RETURNING stock.id, v.id;

MERGE INTO stock s USING (VALUES (1), (1)) v (id) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = 5;

MERGE INTO stock s USING (VALUES (1), (2), (1)) v (id) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = 5;

MERGE INTO stock s USING (VALUES (7, 1), (8, 2)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET (n, name) = (SELECT v.n, 'multi') RETURNING s.id, s.n, s.name;

MERGE INTO words USING (VALUES ('a'), ('c'), ('dd')) v (w) ON v.w = words.w WHEN MATCHED THEN UPDATE SET n = words.n + 1 WHEN NOT MATCHED THEN INSERT VALUES (v.w, 1) RETURNING merge_action(), words.*;

MERGE INTO words USING (VALUES ('a'), ('much too long')) v (w) ON v.w = words.w WHEN NOT MATCHED THEN INSERT VALUES (v.w, 1);

MERGE INTO stock s USING (VALUES (500::bigint), (NULL)) v (id) ON s.id = v.id WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id);

MERGE INTO stock s USING (VALUES (500), (501)) v (id) ON s.n = v.id WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id + 100) RETURNING s.id, v.id;

MERGE INTO stock s USING (VALUES (3), (4)) v (n) ON s.n = v.n WHEN MATCHED THEN UPDATE SET note = 'by n' RETURNING s.id, s.note;

-- params: 5::int8 | 7::int4 | p
MERGE INTO stock s USING (VALUES ($1::int8, $2::int), ($1 + 1000, $2 + 1)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = v.n, name = $3 WHEN NOT MATCHED THEN INSERT (id, n, name) VALUES (v.id, v.n, $3) RETURNING merge_action(), s.id, s.n, s.name;

SELECT * FROM stock;

TABLE words;

-- # from tables
MERGE INTO stock s USING feed f ON s.id = f.stock_id WHEN MATCHED THEN UPDATE SET n = f.n, name = f.name WHEN NOT MATCHED THEN INSERT (id, n, name) VALUES (f.stock_id, f.n, f.name);

SELECT * FROM stock;

MERGE INTO stock AS s USING (SELECT stock_id, count(*) AS c FROM feed WHERE n < 4 GROUP BY stock_id) f ON s.id = f.stock_id WHEN MATCHED AND f.c > 0 AND s.n > 1 THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'seen' RETURNING merge_action(), s.id, f.*;

MERGE INTO stock USING loc ON stock.id = loc.id WHEN MATCHED THEN UPDATE SET n = loc.n WHEN NOT MATCHED AND loc.id % 2 = 0 THEN INSERT (id, name) VALUES (loc.id, loc.name) WHEN NOT MATCHED THEN DO NOTHING RETURNING merge_action(), stock.id, loc.id;

MERGE INTO loc USING stock ON loc.id = stock.id WHEN MATCHED THEN UPDATE SET name = stock.name WHEN NOT MATCHED THEN INSERT VALUES (stock.id, stock.n, 'from');

TABLE loc;

WITH top AS (SELECT stock_id, n FROM feed ORDER BY n DESC, k LIMIT 4) MERGE INTO stock s USING top ON top.stock_id = s.id WHEN MATCHED THEN UPDATE SET n = 1000 + top.n RETURNING s.id, s.n;

MERGE INTO stock s USING (SELECT id FROM stock WHERE n > 1000) o ON o.id = s.id WHEN MATCHED THEN UPDATE SET note = 'own' RETURNING s.id, s.note;

SELECT * FROM stock;

-- # the shard key set to what it is
MERGE INTO stock s USING (VALUES (1, 10), (2, 20), (700, 1)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET id = v.id, n = v.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (v.id, v.n) RETURNING merge_action(), s.id, s.n;

MERGE INTO stock AS s USING feed AS f ON f.stock_id = s.id AND f.n = 3 WHEN MATCHED THEN UPDATE SET (id, n) = (f.stock_id, -1) RETURNING s.id, s.n;

MERGE INTO stock USING (VALUES (5::numeric)) v (id) ON stock.id = v.id WHEN MATCHED THEN UPDATE SET id = v.id, note = 'num' RETURNING stock.id, note;

MERGE INTO words AS w USING (VALUES ('a'::char(4))) v (w) ON w.w = v.w WHEN MATCHED THEN UPDATE SET w = v.w, n = 9 RETURNING w.*;

MERGE INTO stock s USING (SELECT id FROM stock WHERE id < 3) o ON o.id = s.id WHEN MATCHED THEN UPDATE SET id = s.id, note = 'kept' RETURNING s.id, s.note;

MERGE INTO stock s USING (SELECT 3::bigint AS id) v ON s.id = v.id AND s.id = 3 WHEN MATCHED THEN UPDATE SET id = v.id, note = 'three' RETURNING s.id, s.note;

-- # rows that nothing joins
MERGE INTO stock s USING (VALUES (1, 1), (3, 3), (900, 9)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (v.id, v.n) WHEN NOT MATCHED BY SOURCE AND s.id > 30 THEN DELETE WHEN NOT MATCHED BY SOURCE AND s.n > 3 THEN UPDATE SET note = 'none' RETURNING merge_action(), s.*, v.*;

SELECT * FROM stock;

BEGIN;

MERGE INTO stock s USING (VALUES (1, 1), (3, 3)) v (id, n) ON s.id = v.id WHEN NOT MATCHED BY SOURCE THEN DELETE;

ROLLBACK;

MERGE INTO stock s USING feed f ON s.id = f.stock_id AND f.n > 2 WHEN MATCHED THEN UPDATE SET note = 'fed' WHEN NOT MATCHED BY SOURCE AND s.id % 3 = 1 THEN DELETE RETURNING merge_action(), s.id;

MERGE INTO stock s USING (SELECT stock_id AS id, n FROM feed UNION ALL VALUES (990, 1)) v ON s.id = v.id AND v.n < 3 WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED AND v.id > 900 THEN INSERT (id, n) VALUES (v.id, v.n) RETURNING merge_action(), s.id, s.n;

-- # in transactions
BEGIN;

INSERT INTO stock (id, n) VALUES (2000, 1);

MERGE INTO stock s USING (VALUES (2000, 5), (2001, 6)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = s.n + v.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (v.id, v.n) RETURNING merge_action(), s.id, s.n;

MERGE INTO stock s USING (VALUES (2000, 5), (2001, 6)) v (id, n) ON s.id = v.id WHEN MATCHED THEN DELETE RETURNING s.id;

COMMIT;

BEGIN ISOLATION LEVEL REPEATABLE READ;

MERGE INTO stock s USING feed f ON s.id = f.stock_id WHEN MATCHED THEN UPDATE SET n = -f.n WHEN NOT MATCHED THEN INSERT (id, n) VALUES (f.stock_id, f.n) WHEN NOT MATCHED BY SOURCE THEN DELETE;

SELECT * FROM stock;

ROLLBACK;

SELECT count(*), sum(n) FROM stock;

-- # into reference tables
CREATE TABLE wide (code text, n int, name varchar(8), at timestamptz DEFAULT '2024-05-06', no serial, PRIMARY KEY (code, n)) WITH (reference);

CREATE TABLE bare (v int, w text) WITH (reference);

MERGE INTO cur USING (VALUES ('a', 5), ('b', 6), ('c', 7)) v (code, rate) ON cur.code = v.code WHEN MATCHED THEN UPDATE SET rate = cur.rate + v.rate WHEN NOT MATCHED THEN INSERT VALUES (v.code, v.rate);

TABLE cur;

MERGE INTO cur USING feed ON cur.code = feed.name WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (feed.name, feed.n);

MERGE INTO cur USING (SELECT name, sum(n) AS n FROM feed WHERE n > 2 GROUP BY name) f ON cur.code = f.name WHEN MATCHED AND f.n > 5 THEN DELETE WHEN MATCHED AND f.n = 4 THEN DO NOTHING WHEN MATCHED THEN UPDATE SET rate = -f.n RETURNING merge_action(), cur.*, f.*;

MERGE INTO cur c USING loc ON c.code = loc.name WHEN NOT MATCHED AND loc.n % 2 = 0 THEN INSERT (code, rate) VALUES (loc.name, loc.n) WHEN NOT MATCHED THEN DO NOTHING RETURNING merge_action(), c.code;

MERGE INTO cur USING words ON cur.code = words.w WHEN MATCHED THEN UPDATE SET (code, rate) = (SELECT upper(words.w), words.n) WHEN NOT MATCHED THEN INSERT VALUES (words.w, 0) RETURNING *;

WITH few AS (SELECT name, n FROM feed WHERE k < 5) MERGE INTO cur USING few ON few.name = cur.code WHEN MATCHED THEN UPDATE SET rate = few.n WHEN NOT MATCHED THEN INSERT VALUES (few.name) RETURNING cur.*;

-- params: f1 | 7::int4
MERGE INTO cur USING (VALUES ($1, $2), ($1 || 'x', $2 + 1)) v (code, n) ON cur.code = v.code WHEN MATCHED THEN UPDATE SET rate = v.n WHEN NOT MATCHED THEN INSERT VALUES (v.code, v.n) RETURNING merge_action(), cur.*;

MERGE INTO cur USING (VALUES ('f1'), ('f1')) v (code) ON cur.code = v.code WHEN MATCHED THEN UPDATE SET rate = 1;

MERGE INTO cur USING (VALUES ('n1'), ('n1')) v (code) ON cur.code = v.code WHEN NOT MATCHED THEN INSERT VALUES (v.code);

MERGE INTO cur USING cur AS own ON own.code = cur.code AND own.rate < 3 WHEN MATCHED THEN UPDATE SET rate = own.rate + 10 RETURNING cur.*;

MERGE INTO wide USING feed ON wide.code = feed.name AND wide.n = feed.n WHEN NOT MATCHED THEN INSERT (code, n, name, no) VALUES (feed.name, feed.n, 'w' || feed.k, feed.k);

MERGE INTO wide USING feed ON wide.code = feed.name AND wide.n = feed.n WHEN MATCHED AND feed.k % 3 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'again', n = wide.n + 100 RETURNING wide.*;

MERGE INTO wide USING (VALUES (1)) v (n) ON wide.no = v.n WHEN MATCHED THEN UPDATE SET name = 'too long a name';

MERGE INTO wide USING feed ON wide.code = feed.name WHEN MATCHED AND wide.no < 5 THEN DELETE WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING wide.no;

TABLE wide;

BEGIN;

INSERT INTO cur VALUES ('mine', 1);

MERGE INTO cur USING (SELECT code, 1 AS rate FROM cur UNION SELECT name, 1 FROM feed) s ON cur.code = s.code WHEN MATCHED THEN UPDATE SET rate = cur.rate + 1 WHEN NOT MATCHED THEN INSERT VALUES (s.code, s.rate);

MERGE INTO cur USING feed ON cur.code = feed.name WHEN NOT MATCHED BY SOURCE THEN DELETE;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

MERGE INTO cur USING feed ON cur.code = feed.name WHEN MATCHED THEN UPDATE SET rate = feed.n WHEN NOT MATCHED THEN INSERT VALUES (feed.name, 1) WHEN NOT MATCHED BY SOURCE THEN UPDATE SET rate = -1;

COMMIT;

TABLE cur;

-- refused reference_merge
MERGE INTO bare USING feed ON bare.v = feed.n WHEN MATCHED THEN DELETE;

MERGE INTO wide USING feed ON wide.code = feed.name WHEN NOT MATCHED THEN INSERT (code, n) VALUES (feed.name, 1) RETURNING wide.code, wide.no > 0;

SELECT count(*), count(DISTINCT no) FROM wide;

DELETE FROM wide;

-- refused reference_write_unstable
MERGE INTO cur USING feed ON cur.code = feed.name WHEN MATCHED THEN UPDATE SET rate = random();

-- # what is wrong, and what has no exact meaning this way
MERGE INTO stock s USING (VALUES (1, 1), (2, 3)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET nothing = v.n;

MERGE INTO stock s USING (VALUES (1, 1), (2, 3)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = 1 / (v.n - v.n);

MERGE INTO stock s USING (VALUES (1, 1), (2, 3)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET id = v.n;

MERGE INTO stock s USING (VALUES (1, 1), (2, 3)) v (id, n) ON s.id = v.id WHEN NOT MATCHED THEN INSERT (n) VALUES (v.n);

MERGE INTO seq s USING (VALUES (1, 1), (2, 3)) v (id, n) ON s.id = v.id WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id);

MERGE INTO stock s USING (VALUES (1, 1), (2, 3)) v (id, n) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = random() * 0;

SELECT count(*), sum(n) FROM stock;

-- # defaults that draw from sequences
CREATE TABLE item (id bigserial PRIMARY KEY, name text, n int) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE line (k int PRIMARY KEY, no bigserial, name text DEFAULT 'none', at int GENERATED BY DEFAULT AS IDENTITY, v int) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE strict (k int PRIMARY KEY, id int GENERATED ALWAYS AS IDENTITY, v int) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE fixed (k uuid DEFAULT '00000000-0000-0000-0000-000000000007', v int) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE code (id serial PRIMARY KEY, name text UNIQUE, n int DEFAULT 3) WITH (reference);

MERGE INTO line USING (VALUES (1, 'a'), (2, 'b'), (3, 'c')) v (k, name) ON line.k = v.k WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (k, name) VALUES (v.k, v.name) RETURNING merge_action(), line.*;

MERGE INTO line USING (VALUES (3, 'C'), (5, 'e'), (NULL, 'x')) v (k, name) ON line.k = v.k WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED AND v.k > 4 THEN INSERT (k, no, name) VALUES (v.k, DEFAULT, v.name) WHEN NOT MATCHED AND v.k IS NULL THEN DO NOTHING WHEN NOT MATCHED THEN INSERT (k, at) VALUES (v.k, 100) RETURNING *;

MERGE INTO line AS l USING (VALUES (7, 'g'), (8, 'h')) AS v (k, "A name") ON l.k = v.k WHEN NOT MATCHED THEN INSERT (k, name) VALUES (v.*) RETURNING v.*, l.*;

-- params: 11::int4 | p
MERGE INTO line USING (VALUES ($1::int, $2), ($1 + 1, $2 || '2')) v (k, name) ON line.k = v.k WHEN NOT MATCHED THEN INSERT (k, name) VALUES (v.k, v.name) RETURNING line.k, no, line.name;

MERGE INTO line USING (VALUES (11, 'p')) v (k, name) ON line.k = v.k AND line.k = 11 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (k, name) VALUES (11, v.name) RETURNING merge_action(), no;

MERGE INTO line USING (VALUES (11, 'p')) v (k, name) ON line.k = v.k AND line.k = 11 WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (k, name) VALUES (11, v.name) RETURNING merge_action(), no;

MERGE INTO line USING unnest('{21,22,3}'::int[], '{x,y,z}'::text[]) AS s (k, name) ON line.k = s.k WHEN MATCHED THEN UPDATE SET v = 1 WHEN NOT MATCHED THEN INSERT (k, name) VALUES (s.k, s.name) RETURNING merge_action(), s.*, line.no;

MERGE INTO line USING generate_series(21, 24) AS g ON line.k = g WHEN NOT MATCHED THEN INSERT (k, v) VALUES (g, g) RETURNING line.k, line.no > 0;

MERGE INTO line USING (VALUES (31), (31)) v (k) ON line.k = v.k WHEN NOT MATCHED THEN INSERT (k) VALUES (v.k);

MERGE INTO line USING (VALUES (31)) v (k) ON line.k = v.k WHEN NOT MATCHED THEN INSERT (k) VALUES (v.k) RETURNING line.no > 10;

MERGE INTO line USING (VALUES (32)) v (k) ON line.k = v.k WHEN NOT MATCHED AND v.k > 100 THEN INSERT (k) VALUES (v.k);

MERGE INTO line USING (SELECT k, n FROM feed ORDER BY k LIMIT 3) f ON line.k = f.k + 40 WHEN NOT MATCHED THEN INSERT (k, v) VALUES (f.k + 40, f.n) RETURNING line.k, line.v, f.n;

MERGE INTO line USING feed ON line.k = feed.k + 50 AND feed.k < 3 WHEN NOT MATCHED AND feed.k < 3 THEN INSERT (k, v) VALUES (feed.k + 50, feed.n);

MERGE INTO line USING (SELECT DISTINCT v FROM (VALUES (61), (61), (62)) x (v)) s ON line.k = s.v WHEN NOT MATCHED THEN INSERT (k) VALUES (s.v) RETURNING line.k;

MERGE INTO line USING (VALUES (71)) v (k) ON line.k = v.k WHEN NOT MATCHED THEN INSERT (k, v) VALUES (v.k, 1) WHEN NOT MATCHED BY SOURCE AND line.k > 60 THEN DELETE RETURNING merge_action(), line.k;

SELECT count(*), count(DISTINCT no), count(DISTINCT at) FROM line;

SELECT * FROM line WHERE k < 20;

DELETE FROM line WHERE k > 20;

MERGE INTO strict USING (VALUES (1), (2), (3)) v (k) ON strict.k = v.k WHEN NOT MATCHED THEN INSERT (k, v) VALUES (v.k, 1);

MERGE INTO strict USING (VALUES (2), (4)) v (k) ON strict.k = v.k WHEN MATCHED THEN UPDATE SET v = strict.v + 1 WHEN NOT MATCHED THEN INSERT VALUES (v.k) RETURNING merge_action(), strict.*;

MERGE INTO strict USING (VALUES (5)) v (k) ON strict.k = v.k WHEN NOT MATCHED THEN INSERT (k, id) VALUES (v.k, 9);

MERGE INTO strict USING (VALUES (5)) v (k) ON strict.k = v.k WHEN NOT MATCHED THEN INSERT (k, id) OVERRIDING SYSTEM VALUE VALUES (v.k, 9) RETURNING strict.*;

SELECT * FROM strict;

-- # what comes out anew each time, and other tables in clauses
CREATE TABLE tok (k uuid PRIMARY KEY, name text, t text, at timestamptz, n int) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE blocked (id int PRIMARY KEY, why text) WITH (shard_key = 'id', colocate_with = 'none');

INSERT INTO blocked VALUES (2, 'two'), (5, 'five'), (901, 'new');

MERGE INTO tok USING (VALUES ('a'), ('b'), ('c')) v (name) ON tok.name = v.name WHEN NOT MATCHED THEN INSERT (k, name, t, at) VALUES (gen_random_uuid(), v.name, md5(random()::text), clock_timestamp()) RETURNING tok.name, length(t), at >= now();

MERGE INTO tok USING (VALUES ('a'), ('d')) v (name) ON tok.name = v.name WHEN MATCHED THEN UPDATE SET t = random()::text, at = clock_timestamp() WHEN NOT MATCHED THEN INSERT (k, name, t) VALUES (gen_random_uuid(), v.name, 'x') RETURNING merge_action(), tok.name, tok.at >= now();

SELECT name, n FROM tok;

SELECT count(*), count(DISTINCT k), count(DISTINCT t) FROM tok;

DELETE FROM tok;

-- refused merge
MERGE INTO tok USING (VALUES ('a')) v (name) ON tok.name = v.name WHEN MATCHED AND random() < 2 THEN DELETE;

-- refused merge
MERGE INTO tok USING (VALUES ('a')) v (name) ON tok.name = v.name WHEN MATCHED THEN UPDATE SET n = (SELECT (random() * 0)::int);

MERGE INTO stock s USING (SELECT 1 + (random() * 0)::int AS id, clock_timestamp() AS at UNION ALL SELECT 2, now()) v ON s.id = v.id WHEN MATCHED THEN UPDATE SET note = 'rnd' RETURNING s.id, v.at >= now();

MERGE INTO code USING (VALUES ('r1'), ('r2')) v (name) ON code.name = v.name WHEN NOT MATCHED THEN INSERT (name, n) VALUES (v.name, (random() * 0)::int + 4) RETURNING code.name, code.n;

DELETE FROM code WHERE name LIKE 'r%';

MERGE INTO stock s USING (VALUES (1, 1), (2, 2), (3, 3), (900, 9), (901, 9)) v (id, n) ON s.id = v.id WHEN MATCHED AND EXISTS (SELECT FROM blocked b WHERE b.id = s.id) THEN DO NOTHING WHEN MATCHED THEN UPDATE SET note = 'free', n = (SELECT count(*) FROM blocked WHERE blocked.id > v.n) WHEN NOT MATCHED AND v.id NOT IN (SELECT id FROM blocked) THEN INSERT (id, n, name) VALUES (v.id, (SELECT max(id) FROM blocked), (SELECT code FROM cur ORDER BY code LIMIT 1)) RETURNING merge_action(), s.id, s.n, s.name, s.note;

MERGE INTO stock s USING (VALUES (1), (2), (5)) v (id) ON s.id = v.id AND s.id IN (SELECT id FROM blocked) WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN DO NOTHING RETURNING s.id;

MERGE INTO stock s USING (VALUES (1), (2)) v (id) ON s.id = v.id WHEN MATCHED THEN UPDATE SET n = (SELECT o.n FROM loc o WHERE o.id = 30 + v.id), name = (SELECT max(x.name) FROM stock x WHERE x.id > s.id) RETURNING s.id, s.n, s.name, (SELECT count(*) FROM loc);

MERGE INTO line USING (VALUES (81, 1), (82, 2)) v (k, n) ON line.k = v.k WHEN NOT MATCHED AND v.n IN (SELECT id FROM blocked) THEN INSERT (k, v) VALUES (v.k, (SELECT max(id) FROM blocked)) WHEN NOT MATCHED THEN DO NOTHING RETURNING line.k, line.v, (SELECT count(*) FROM blocked);

-- refused local_with_sharded
MERGE INTO cur USING (VALUES ('zz', 1), ('new', 2)) v (code, n) ON cur.code = v.code WHEN MATCHED THEN UPDATE SET rate = (SELECT sum(id) FROM blocked) WHEN NOT MATCHED AND EXISTS (SELECT FROM blocked WHERE id = v.n) THEN INSERT VALUES (v.code, (SELECT min(id) FROM loc)) RETURNING merge_action(), cur.*;

MERGE INTO stock s USING (VALUES (1, 1), (3, 3)) v (id, n) ON s.id = v.id AND s.id NOT IN (SELECT id FROM blocked) WHEN MATCHED THEN UPDATE SET note = 'src' WHEN NOT MATCHED BY SOURCE AND s.id IN (SELECT id FROM blocked) THEN UPDATE SET note = 'nosrc' RETURNING s.id, s.note;

MERGE INTO stock s USING feed f ON s.id = f.stock_id AND f.k IN (SELECT id FROM blocked) WHEN MATCHED THEN UPDATE SET note = (SELECT why FROM blocked WHERE id = f.k) WHEN NOT MATCHED AND false THEN INSERT (id) VALUES (f.k) RETURNING s.id, s.note, f.k;

BEGIN;

UPDATE blocked SET why = 'mine' WHERE id = 5;

MERGE INTO stock s USING (VALUES (5), (6)) v (id) ON s.id = v.id WHEN MATCHED THEN UPDATE SET note = (SELECT why FROM blocked WHERE blocked.id = s.id) RETURNING s.id, s.note;

ROLLBACK;

-- params: 2::int4 | two
MERGE INTO stock s USING (VALUES ($1), (3)) v (id) ON s.id = v.id WHEN MATCHED AND s.id IN (SELECT id FROM blocked WHERE why = $2) THEN UPDATE SET note = $2 WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id) RETURNING merge_action(), s.id, s.note;

SELECT * FROM stock WHERE id < 10 OR id >= 900;

-- # policies
CREATE TABLE own (k int PRIMARY KEY, who text, v int) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO own SELECT i, CASE WHEN i < 8 THEN 'merge_bob' ELSE 'other' END, i FROM generate_series(1, 12) i;

ALTER TABLE own ENABLE ROW LEVEL SECURITY;

CREATE POLICY mine ON own USING (who = current_user);

CREATE ROLE merge_bob;

GRANT USAGE ON SCHEMA merge TO merge_bob;

GRANT SELECT, INSERT, UPDATE, DELETE ON own TO merge_bob;

SET ROLE merge_bob;

MERGE INTO own USING (VALUES (1), (2), (100)) v (k) ON own.k = v.k WHEN MATCHED THEN UPDATE SET v = own.v + 10 WHEN NOT MATCHED THEN INSERT VALUES (v.k, 'merge_bob', 0) RETURNING merge_action(), own.*;

MERGE INTO own USING (VALUES (1), (9)) v (k) ON own.k = v.k WHEN MATCHED THEN UPDATE SET v = 0 WHEN NOT MATCHED THEN INSERT VALUES (v.k + 300, 'merge_bob', 0) RETURNING merge_action(), own.*;

MERGE INTO own USING (VALUES (1), (101)) v (k) ON own.k = v.k WHEN NOT MATCHED THEN INSERT VALUES (v.k, 'other', 0);

MERGE INTO own USING (VALUES (1), (3)) v (k) ON own.k = v.k WHEN MATCHED THEN UPDATE SET who = 'other';

RESET ROLE;

CREATE POLICY few ON own AS RESTRICTIVE FOR UPDATE USING (v < 6);

CREATE POLICY fewer ON own AS RESTRICTIVE FOR DELETE USING (v < 5);

SET ROLE merge_bob;

MERGE INTO own USING (VALUES (3), (4)) v (k) ON own.k = v.k WHEN MATCHED THEN UPDATE SET v = 4 RETURNING own.*;

MERGE INTO own USING (VALUES (3), (7)) v (k) ON own.k = v.k WHEN MATCHED THEN UPDATE SET v = 4;

MERGE INTO own USING (VALUES (3), (7)) v (k) ON own.k = v.k WHEN MATCHED AND own.v > 5 THEN DO NOTHING WHEN MATCHED THEN DELETE RETURNING own.*;

MERGE INTO own USING (VALUES (4), (7)) v (k) ON own.k = v.k WHEN MATCHED THEN DELETE;

RESET ROLE;

SELECT * FROM own;

DROP OWNED BY merge_bob;

DROP ROLE merge_bob;

-- # a key that is left to its default
MERGE INTO item USING (VALUES ('a', 1), ('b', 2)) v (name, n) ON item.name = v.name WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT (name, n) VALUES (v.name, v.n) RETURNING merge_action(), item.*;

MERGE INTO item USING (VALUES ('b', 3), ('c', 3), ('c', 3)) v (name, n) ON item.name = v.name WHEN MATCHED THEN UPDATE SET n = item.n + v.n WHEN NOT MATCHED THEN INSERT (id, name, n) VALUES (DEFAULT, v.name, v.n) RETURNING merge_action(), *;

MERGE INTO item USING (VALUES (1, 'one'), (1000, 'two')) v (id, name) ON item.id = v.id WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name) RETURNING item.id, item.name;

MERGE INTO item USING (VALUES (1), (2)) v (n) ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES RETURNING item.*;

MERGE INTO fixed USING (VALUES (1), (2)) v (v) ON fixed.v = v.v WHEN NOT MATCHED THEN INSERT (v) VALUES (v.v) RETURNING fixed.*;

MERGE INTO stock s USING (VALUES (1, 1), (2, 3)) v (id, n) ON s.id = v.id WHEN NOT MATCHED AND v.n > 5 THEN INSERT (n) VALUES (v.n);

MERGE INTO item i USING (VALUES ('z')) v (name) ON i.name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name) RETURNING v, i.id;

MERGE INTO item i USING (SELECT 'z"' || n AS name, n FROM generate_series(1, 1) n) v ON i.name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (row_to_json(v) ->> 'name') RETURNING i.id, v AS "row", to_jsonb(v), (v).n, i.name, v IS NULL;

BEGIN READ ONLY;

MERGE INTO item i USING (VALUES ('y')) v (name) ON i.name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name);

ROLLBACK;

BEGIN;

INSERT INTO item (name) VALUES ('mine');

MERGE INTO item i USING (VALUES ('mine', 1), ('yours', 2)) v (name, n) ON i.name = v.name WHEN MATCHED THEN UPDATE SET n = v.n WHEN NOT MATCHED THEN INSERT (name, n) VALUES (v.name, v.n) RETURNING i.name, i.n;

COMMIT;

SELECT count(*), count(DISTINCT id) FROM item;

-- # rights to delete or insert alone
CREATE ROLE merge_carl;

GRANT USAGE ON SCHEMA merge TO merge_carl;

CREATE TABLE due (id int PRIMARY KEY, n int) WITH (shard_key = 'id');

CREATE TABLE rates (id int PRIMARY KEY, n int) WITH (reference);

CREATE TABLE ends (k int PRIMARY KEY, id int) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO due SELECT i, i FROM generate_series(1, 30) i;

INSERT INTO rates SELECT i, i FROM generate_series(1, 30) i;

INSERT INTO ends SELECT i, i * 2 FROM generate_series(1, 30) i;

GRANT SELECT, DELETE ON due, rates TO merge_carl;

GRANT SELECT ON ends TO merge_carl;

SET ROLE merge_carl;

MERGE INTO due USING (VALUES (1), (2), (3)) v (id) ON due.id = v.id WHEN MATCHED THEN DELETE RETURNING due.id;

MERGE INTO due USING ends ON due.id = ends.id AND ends.k < 6 WHEN MATCHED THEN DELETE RETURNING due.id, ends.k;

MERGE INTO rates USING (VALUES (1), (2), (3)) v (id) ON rates.id = v.id WHEN MATCHED THEN DELETE;

MERGE INTO rates USING ends ON rates.id = ends.id AND ends.k < 6 WHEN MATCHED THEN DELETE RETURNING rates.id, ends.k;

DELETE FROM rates USING ends WHERE rates.id = ends.id AND ends.k < 8;

MERGE INTO rates USING ends ON rates.id = ends.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (ends.id, 0);

MERGE INTO due USING ends ON due.id = ends.id WHEN MATCHED THEN UPDATE SET n = 0;

BEGIN;

-- refused row_security
MERGE INTO due USING ends ON due.id = ends.id AND ends.k = 9 WHEN MATCHED THEN DELETE;

ROLLBACK;

BEGIN ISOLATION LEVEL REPEATABLE READ;

MERGE INTO due USING ends ON due.id = ends.id AND ends.k = 9 WHEN MATCHED THEN DELETE;

MERGE INTO rates USING ends ON rates.id = ends.id AND ends.k = 9 WHEN MATCHED THEN DELETE;

COMMIT;

RESET ROLE;

REVOKE DELETE ON due, rates FROM merge_carl;

GRANT INSERT ON due, rates TO merge_carl;

SET ROLE merge_carl;

MERGE INTO due USING ends ON due.id = ends.id WHEN NOT MATCHED THEN INSERT VALUES (ends.id, ends.k);

MERGE INTO rates USING ends ON rates.id = ends.id WHEN NOT MATCHED THEN INSERT VALUES (ends.id, ends.k);

BEGIN;

MERGE INTO due USING ends ON due.id = ends.k WHEN NOT MATCHED THEN INSERT VALUES (ends.k, ends.k);

COMMIT;

RESET ROLE;

SELECT count(*), sum(id), sum(n) FROM due;

SELECT count(*), sum(id), sum(n) FROM rates;

DROP TABLE due, rates, ends;

DROP OWNED BY merge_carl;

DROP ROLE merge_carl;

-- # into copies
MERGE INTO code USING (VALUES ('a'), ('b')) v (name) ON code.name = v.name WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name) RETURNING merge_action(), code.*;

MERGE INTO code USING (VALUES ('b'), ('c'), ('d')) v (name) ON code.name = v.name WHEN MATCHED THEN UPDATE SET n = code.n + 1 WHEN NOT MATCHED THEN INSERT (name, id) VALUES (v.name, DEFAULT) RETURNING merge_action(), code.*;

MERGE INTO code USING feed ON code.name = feed.name WHEN NOT MATCHED AND feed.k < 4 THEN INSERT (name, n) VALUES (feed.name, feed.n);

SELECT count(*), count(DISTINCT id), sum(n) FROM code;

DELETE FROM code WHERE id > 4;
