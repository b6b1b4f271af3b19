-- # tables
CREATE TABLE accounts (id int, part int, v text, n int DEFAULT 0, PRIMARY KEY (id, part)) WITH (shard_key = 'id');

CREATE TABLE log (id int, seq serial, op text, n int, vs text) WITH (shard_key = 'id');

CREATE TABLE entries (id int, part int, entry int, FOREIGN KEY (id, part) REFERENCES accounts ON DELETE CASCADE) WITH (shard_key = 'id');

INSERT INTO accounts SELECT g, p, 'v' || g, 0 FROM generate_series(1, 10) g, generate_series(1, 3) p;

INSERT INTO entries SELECT g, p, 1 FROM generate_series(1, 10) g, generate_series(1, 3) p;

CREATE FUNCTION log_new() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE NOTICE '% of %: % rows', TG_OP, TG_TABLE_NAME, (SELECT count(*) FROM new_rows); RETURN NULL; END $$;

CREATE FUNCTION log_both() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE NOTICE '% of %: % old, % new, %', TG_OP, TG_TABLE_NAME, (SELECT count(*) FROM old_rows), (SELECT count(*) FROM new_rows), (SELECT sum(new_rows.n - old_rows.n) FROM old_rows JOIN new_rows USING (id, part));
  RETURN NULL; END $$;

CREATE FUNCTION log_plain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% % of %', TG_WHEN, TG_OP, TG_TABLE_NAME; RETURN NULL; END $$;

CREATE TRIGGER new_rows AFTER INSERT ON accounts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION log_new();

CREATE TRIGGER both_rows AFTER UPDATE ON accounts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION log_both();

-- # one shard
INSERT INTO accounts VALUES (20, 1, 'a', 1);

INSERT INTO accounts VALUES (21, 1, 'a', 1), (21, 2, 'b', 2), (21, 3, 'c', 3) RETURNING part;

UPDATE accounts SET n = n + part WHERE id = 21;

UPDATE accounts SET n = n + 1 WHERE id = 21 AND part = 99;

UPDATE accounts SET n = n + 1 WHERE id = NULL;

-- params: 21::int4
UPDATE accounts SET n = n + 1 WHERE id = $1 RETURNING part, n;

INSERT INTO accounts VALUES (21, 1, 'x', 5) ON CONFLICT (id, part) DO UPDATE SET n = excluded.n;

INSERT INTO accounts VALUES (21, 1, 'x', 5) ON CONFLICT DO NOTHING;

WITH w AS (UPDATE accounts SET n = 0 WHERE id = 21 RETURNING part) SELECT count(*) FROM w;

BEGIN;

UPDATE accounts SET n = 7 WHERE id = 3;

ROLLBACK;

PREPARE up (int) AS UPDATE accounts SET n = n + 1 WHERE id = $1;

EXECUTE up (4);

EXECUTE up (5);

DEALLOCATE up;

-- # several shards
-- refused statement_trigger
INSERT INTO accounts VALUES (31, 1), (32, 1), (33, 1), (34, 1);

-- refused statement_trigger
UPDATE accounts SET n = n + 1;

-- refused statement_trigger
UPDATE accounts SET n = n + 1 WHERE id IN (1, 2, 3, 4, 5, 6);

-- refused statement_trigger
UPDATE accounts SET n = 1 WHERE part IN (SELECT part FROM entries);

-- refused statement_trigger
INSERT INTO accounts SELECT id + 100, part FROM accounts;

-- refused statement_trigger
COPY accounts (id, part) FROM STDIN;
40	1
\.

-- refused statement_trigger
MERGE INTO accounts USING (VALUES (1, 1), (2, 9)) AS v (id, part) ON accounts.id = v.id AND accounts.part = v.part WHEN MATCHED THEN UPDATE SET n = 1 WHEN NOT MATCHED THEN INSERT (id, part) VALUES (v.id, v.part);

-- refused statement_trigger
WITH w AS (UPDATE accounts SET n = 0 RETURNING part) SELECT count(*) FROM w;

-- refused statement_trigger
UPDATE accounts SET id = id + 1 WHERE id = 21;

-- refused statement_trigger
INSERT INTO accounts VALUES (1, 1), (2, 1), (3, 1), (4, 1) ON CONFLICT (id, part) DO UPDATE SET n = 1;

-- # what does not fire
DELETE FROM accounts WHERE part = 3 AND id < 5;

SELECT count(*), sum(n) FROM accounts;

-- # of what foreign keys change
CREATE TRIGGER of_entries AFTER DELETE ON entries FOR EACH STATEMENT EXECUTE FUNCTION log_plain();

DELETE FROM accounts WHERE id = 9;

DELETE FROM entries WHERE id = 8;

-- refused statement_trigger
DELETE FROM accounts WHERE part = 2;

-- refused statement_trigger
DELETE FROM entries;

INSERT INTO entries SELECT id, part, 2 FROM accounts WHERE part = 1 AND id < 9;

DROP TRIGGER of_entries ON entries;

DELETE FROM entries WHERE entry = 2;

DELETE FROM accounts WHERE part = 2;

-- # on, off, truncated
ALTER TABLE accounts DISABLE TRIGGER both_rows;

UPDATE accounts SET n = n + 1;

ALTER TABLE accounts ENABLE TRIGGER both_rows;

-- refused statement_trigger
UPDATE accounts SET n = n + 1;

UPDATE accounts SET n = n + 1 WHERE id = 1;

CREATE TRIGGER emptied BEFORE TRUNCATE ON entries FOR EACH STATEMENT EXECUTE FUNCTION log_plain();

-- refused statement_trigger
TRUNCATE entries;

-- refused statement_trigger
TRUNCATE accounts CASCADE;

DROP TRIGGER emptied ON entries;

CREATE TRIGGER before_any BEFORE INSERT OR UPDATE OR DELETE ON accounts FOR EACH STATEMENT EXECUTE FUNCTION log_plain();

UPDATE accounts SET n = 3 WHERE id = 1;

DELETE FROM accounts WHERE id = 1;

-- refused statement_trigger
DELETE FROM accounts WHERE n = -1;

DROP TRIGGER before_any ON accounts;

DROP TRIGGER both_rows ON accounts;

DROP TRIGGER new_rows ON accounts;

UPDATE accounts SET n = n + 1;

-- # declared with them
CREATE TABLE later (id int PRIMARY KEY, n int);

INSERT INTO later SELECT g, g FROM generate_series(1, 20) g;

CREATE TRIGGER new_rows AFTER INSERT ON later REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION log_new();

CREATE TRIGGER rowwise AFTER DELETE ON later REFERENCING OLD TABLE AS new_rows FOR EACH ROW EXECUTE FUNCTION log_new();

-- weft
SELECT create_distributed_table('later', 'id');

INSERT INTO later VALUES (30, 1);

DELETE FROM later WHERE id = 30;

-- refused statement_trigger
DELETE FROM later;

-- weft
SELECT undistribute_table('later');

DELETE FROM later WHERE id < 4;

SELECT count(*), sum(n) FROM accounts;

SELECT count(*) FROM entries;
