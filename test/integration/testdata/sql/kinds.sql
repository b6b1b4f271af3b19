-- # typed tables
CREATE TABLE other (k int PRIMARY KEY, v int) WITH (shard_key = 'k', colocate_with = 'none');

INSERT INTO other SELECT i, i % 7 FROM generate_series(1, 30) i;

CREATE TYPE "Person" AS (id int, name text, age numeric(5,1));

CREATE TABLE people OF "Person" (id WITH OPTIONS PRIMARY KEY, name DEFAULT 'nobody', CHECK (age >= 0)) WITH (shard_key = 'id');

CREATE TABLE ranks OF "Person" (PRIMARY KEY (id)) WITH (reference);

CREATE TABLE plain OF "Person";

INSERT INTO people SELECT i, 'p' || i, i * 1.5 FROM generate_series(1, 40) i;

INSERT INTO people (id) VALUES (101), (102), (103) RETURNING *;

INSERT INTO people VALUES (104, 'x', -1);

INSERT INTO ranks SELECT id, upper(name), age FROM people WHERE id < 6;

INSERT INTO plain VALUES (1, 'one', 1), (2, 'two', 2.25);

SELECT * FROM people WHERE age > 30 ORDER BY id;

SELECT p.name, r.name, plain.name FROM people p JOIN ranks r ON r.id = p.id JOIN plain ON plain.age = p.age / 1.5 ORDER BY 1;

SELECT p::"Person", (p::"Person").name FROM people p WHERE id < 4 ORDER BY id;

SELECT people FROM people WHERE id IN (SELECT v FROM other) ORDER BY id;

UPDATE people SET name = name || '!' WHERE id IN (SELECT v FROM other) RETURNING id, name;

UPDATE people SET id = id + 1000 WHERE id < 3 RETURNING *;

DELETE FROM ranks WHERE id IN (SELECT v FROM other WHERE v < 3) RETURNING id;

SELECT relname, reloftype::regtype::text FROM pg_class WHERE relname IN ('people', 'ranks', 'plain') AND relnamespace = 'kinds'::regnamespace ORDER BY 1;

ALTER TABLE people DROP COLUMN name;

ALTER TABLE people ADD COLUMN more int;

ALTER TYPE "Person" ADD ATTRIBUTE more int;

ALTER TYPE "Person" ADD ATTRIBUTE more int CASCADE;

INSERT INTO people (id, more) VALUES (201, 1), (202, 2) RETURNING *;

SELECT * FROM people WHERE more > 0 ORDER BY id;

ALTER TYPE "Person" ALTER ATTRIBUTE more TYPE bigint CASCADE;

ALTER TYPE "Person" RENAME ATTRIBUTE more TO less CASCADE;

SELECT id, less FROM people WHERE less IS NOT NULL ORDER BY less DESC;

ALTER TYPE "Person" RENAME ATTRIBUTE id TO "Id" CASCADE;

SELECT name FROM people WHERE "Id" = 12;

INSERT INTO people ("Id", name) VALUES (301, 'a'), (302, 'b');

ALTER TYPE "Person" RENAME ATTRIBUTE "Id" TO id CASCADE;

-- refused key_altered
ALTER TYPE "Person" ALTER ATTRIBUTE id TYPE bigint CASCADE;

-- refused key_dropped
ALTER TYPE "Person" DROP ATTRIBUTE id CASCADE;

ALTER TABLE people NOT OF;

ALTER TABLE people OF "Person";

CREATE TABLE less (id int, name text) WITH (shard_key = 'id');

ALTER TABLE less OF "Person";

-- weft
SELECT undistribute_table('people');

SELECT * FROM people ORDER BY id;

ALTER TABLE people NOT OF;

ALTER TABLE people OF "Person";

-- weft
SELECT create_distributed_table('people', 'id');

-- weft
SELECT create_reference_table('plain');

-- refused reference_write_from
UPDATE plain SET name = 'none' FROM people p WHERE p.id = plain.id + 4 RETURNING plain.*;

SELECT relname, reloftype::regtype::text FROM pg_class WHERE relname IN ('people', 'ranks', 'plain') AND relnamespace = 'kinds'::regnamespace ORDER BY 1;

CREATE TABLE parted OF "Person" PARTITION BY RANGE (id) WITH (shard_key = 'id');

CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);

INSERT INTO parted SELECT * FROM people WHERE id < 100;

SELECT count(*), sum(age) FROM parted;

DROP TYPE "Person";

DROP TYPE "Person" CASCADE;

SELECT count(*) FROM people;

-- # partitioned reference tables
CREATE TABLE codes (code int, day date, label text DEFAULT 'none', n serial, PRIMARY KEY (code, day)) PARTITION BY RANGE (day) WITH (reference);

CREATE TABLE codes_24 PARTITION OF codes FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');

CREATE TABLE codes_25 PARTITION OF codes (CHECK (code < 1000)) FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (code);

CREATE TABLE codes_25_one PARTITION OF codes_25 FOR VALUES IN (1, 2, 3);

CREATE TABLE codes_25_rest PARTITION OF codes_25 DEFAULT;

-- refused partition_unlike
CREATE TABLE codes_26 PARTITION OF codes FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') WITH (reference);

-- refused partition_bounds
CREATE TABLE codes_26 PARTITION OF codes FOR VALUES FROM (now()) TO ('2099-01-01');

-- refused table_kind
CREATE UNLOGGED TABLE codes_26 PARTITION OF codes FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

CREATE TABLE IF NOT EXISTS codes_24 PARTITION OF codes FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');

INSERT INTO codes (code, day, label) SELECT i, '2024-06-01'::date + i * 30, 'l' || i FROM generate_series(1, 15) i;

INSERT INTO codes (code, day) VALUES (100, '2024-01-01'), (2, '2025-01-02') RETURNING *;

INSERT INTO codes (code, day) VALUES (100, '2034-01-01');

INSERT INTO codes_25 (code, day) VALUES (1000, '2025-05-05');

INSERT INTO codes_25 (code, day) VALUES (3, '2025-05-05') ON CONFLICT (code, day) DO UPDATE SET label = 'again' RETURNING code, label;

INSERT INTO codes (code, day) VALUES (3, '2025-05-05') ON CONFLICT (code, day) DO UPDATE SET label = 'again' RETURNING code, label;

SELECT * FROM codes ORDER BY code, day;

SELECT o.k, c.label FROM other o JOIN codes c ON c.code = o.v AND o.k < 10 ORDER BY 1, 2;

SELECT o.k, c.label FROM other o JOIN codes_25_one c ON c.code = o.v ORDER BY 1, 2;

SELECT count(*) FROM codes_25 WHERE code IN (SELECT k FROM other);

UPDATE codes SET day = '2025-03-03' WHERE code = 1 RETURNING *;

UPDATE codes c SET label = c.label || o.k FROM other o WHERE o.k = c.code AND o.k > 12 RETURNING c.code, c.label;

UPDATE codes SET label = md5(code::text) WHERE code IN (SELECT v FROM other WHERE k < 3) RETURNING code, label;

UPDATE codes_25 SET day = '2024-02-02' WHERE code = 2;

DELETE FROM codes WHERE code IN (SELECT max(v) FROM other) RETURNING code, day;

MERGE INTO codes c USING other o ON c.code = o.k AND o.v = 0 WHEN MATCHED THEN UPDATE SET label = 'merged' WHEN NOT MATCHED AND o.k = 8 THEN INSERT (code, day, label) VALUES (o.k + 500, '2025-09-09', 'new');

SELECT code, day, label FROM codes ORDER BY code, day;

SELECT code FROM codes ORDER BY code, day LIMIT 3 FOR UPDATE;

CREATE TABLE uses (id int PRIMARY KEY, code int, day date, FOREIGN KEY (code, day) REFERENCES codes) WITH (shard_key = 'id');

INSERT INTO uses SELECT code, code, day FROM codes WHERE code > 10 AND code < 500;

INSERT INTO uses VALUES (1, 1, '2000-01-01');

DELETE FROM codes WHERE code = 100;

SELECT u.id, c.label FROM uses u JOIN codes c USING (code, day) ORDER BY 1;

CREATE TABLE lone (code int NOT NULL, day date NOT NULL, label text, n int NOT NULL);

-- refused partition_unlike
ALTER TABLE codes ATTACH PARTITION lone FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

INSERT INTO lone VALUES (1, '2026-05-05', 'lone', 7);

-- weft
SELECT create_reference_table('lone');

ALTER TABLE codes ATTACH PARTITION lone FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');

SELECT * FROM codes WHERE day > '2026-01-01';

-- refused detach_concurrently
ALTER TABLE codes DETACH PARTITION lone CONCURRENTLY;

ALTER TABLE codes DETACH PARTITION lone;

UPDATE lone SET label = 'alone' RETURNING *;

ALTER TABLE codes ADD COLUMN more text DEFAULT 'm';

CREATE INDEX ON codes (label);

COPY codes (code, day, label) FROM STDIN;
901	2025-01-03	copied
902	2024-01-03	copied
\.

SELECT * FROM codes WHERE label = 'copied' ORDER BY code;

-- refused partition_unlike
SELECT undistribute_table('codes_24');

ALTER TABLE uses DROP CONSTRAINT uses_code_day_fkey;

-- weft
SELECT undistribute_table('codes');

SELECT count(*), sum(n) FROM codes;

INSERT INTO codes (code, day) VALUES (910, '2025-01-03') RETURNING *;

-- weft
SELECT create_reference_table('codes');

INSERT INTO codes (code, day) VALUES (911, '2025-01-03') RETURNING *;

SELECT relname, relispartition FROM pg_class WHERE relname LIKE 'codes%' AND relkind IN ('r', 'p') AND relnamespace = 'kinds'::regnamespace ORDER BY 1;

SELECT c.code, o.k FROM codes c JOIN other o ON o.k = c.code ORDER BY 1, 2;

TRUNCATE codes_24;

SELECT count(*) FROM codes;

DROP TABLE codes_25_rest;

DROP TABLE codes;

-- # reference tables that inherit
CREATE TABLE base (id int PRIMARY KEY, label text, CHECK (id >= 0)) WITH (reference);

CREATE TABLE heir (extra text DEFAULT 'e', PRIMARY KEY (id)) INHERITS (base);

CREATE TABLE heir2 (extra text) INHERITS (heir) WITH (reference);

-- refused sequence_default
CREATE TABLE heir3 (n serial) INHERITS (base);

-- refused inherits
CREATE TABLE heir3 (n int) INHERITS (base) WITH (shard_key = 'id');

-- refused inherits
CREATE TABLE heir3 (n int) INHERITS (base, other);

CREATE TABLE IF NOT EXISTS heir (extra text) INHERITS (base);

INSERT INTO base SELECT i, 'b' || i FROM generate_series(1, 10) i;

INSERT INTO heir SELECT i, 'h' || i FROM generate_series(5, 12) i;

INSERT INTO heir2 VALUES (1, 'hh', 'x'), (50, 'hi', DEFAULT) RETURNING *;

INSERT INTO heir2 VALUES (-1);

SELECT id, label FROM base ORDER BY id, label;

SELECT id, label FROM ONLY base ORDER BY id, label;

SELECT o.k, b.label FROM other o JOIN base b ON b.id = o.v WHERE o.k < 9 ORDER BY 1, 2;

UPDATE base SET label = label || '+' WHERE id IN (1, 5) RETURNING id, label;

UPDATE ONLY base SET label = 'only' WHERE id = 7 RETURNING *;

-- refused reference_write_from
UPDATE heir SET label = label || o.k FROM other o WHERE o.k = heir.id AND o.k > 9;

-- refused reference_write_from
UPDATE base SET label = label || o.k FROM other o WHERE o.k = base.id AND o.k > 4;

DELETE FROM base WHERE id = 8 RETURNING id, label;

SELECT b.id, count(*) FROM base b JOIN other o ON o.v = b.id GROUP BY b.id ORDER BY 1;

ALTER TABLE heir2 NO INHERIT heir;

ALTER TABLE heir2 INHERIT heir;

-- refused inherits
ALTER TABLE base INHERIT other;

-- weft
SELECT undistribute_table('base');

SELECT id, label FROM base ORDER BY id, label;

-- weft
SELECT create_reference_table('base');

INSERT INTO heir2 VALUES (60, 'again', 'x') RETURNING *;

SELECT b.id, o.k FROM base b JOIN other o ON o.k = b.id ORDER BY 1, 2;

ALTER TABLE base DROP COLUMN label;

SELECT * FROM heir2 ORDER BY id;

DROP TABLE base;

DROP TABLE base CASCADE;
