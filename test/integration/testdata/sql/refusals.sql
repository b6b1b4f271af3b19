-- # tables
CREATE TABLE t (id int PRIMARY KEY, grp int, v text, tags text[], day date DEFAULT current_date) WITH (shard_key = 'id');

CREATE TABLE u (k int PRIMARY KEY, t_id int, v text) WITH (shard_key = 'k', colocate_with = 'none');

CREATE TABLE docs (id int PRIMARY KEY, doc json) WITH (shard_key = 'id', colocate_with = 'none');

CREATE TABLE days (day date PRIMARY KEY, n int) WITH (shard_key = 'day', colocate_with = 'none');

CREATE TABLE r (code int PRIMARY KEY, n int) WITH (reference);

CREATE TABLE named (id int, code int REFERENCES r, PRIMARY KEY (id)) WITH (shard_key = 'id', colocate_with = 't');

CREATE TABLE l (id int PRIMARY KEY, v text);

INSERT INTO t (id, grp, v) SELECT i, i % 3, 'v' || i FROM generate_series(1, 20) i;

INSERT INTO u SELECT i, i % 20, 'u' || i FROM generate_series(1, 40) i;

INSERT INTO docs SELECT i, '{}' FROM generate_series(1, 5) i;

INSERT INTO r VALUES (1, 1), (2, 2);

INSERT INTO l VALUES (1, 'a'), (2, 'b');

CREATE VIEW told AS SELECT id, now() AS at FROM t;

-- # queries
-- refused system_column
SELECT ctid, v FROM t;

-- refused system_column
SELECT max(xmin::text) FROM t;

-- refused server_value
UPDATE t SET v = 'here' WHERE v = current_database() AND grp IN (SELECT k FROM u);

-- refused current_of
DELETE FROM t USING u WHERE CURRENT OF c;

-- refused view_time
CREATE TABLE x AS SELECT * FROM told;

-- refused home_function
SELECT pg_advisory_lock(id) FROM t;

-- refused query_as_text
SELECT query_to_xml('SELECT * FROM t', true, false, '');

-- refused snapshot_export
SELECT pg_export_snapshot();

BEGIN ISOLATION LEVEL REPEATABLE READ;

-- refused snapshot_export
SET TRANSACTION SNAPSHOT '00000003-0000001B-1';

ROLLBACK;

-- refused time_in_from
SELECT c FROM t, ROWS FROM (CURRENT_TIMESTAMP(2)) c;

-- refused group_by_primary_key
SELECT d.id, d, count(*) FROM docs d JOIN u ON u.t_id = d.id GROUP BY d.id;

SELECT t.v, c.conname FROM t JOIN pg_constraint c ON c.conrelid = t.grp;

SET extra_float_digits = 0;

-- refused inexact_text
SELECT tags, count(*) FROM t GROUP BY tags ORDER BY 1;

RESET extra_float_digits;

-- refused sample
SELECT max(id) FROM t TABLESAMPLE BERNOULLI (random() * 10) GROUP BY grp;

-- # row locks
-- refused row_lock
SELECT id FROM t TABLESAMPLE BERNOULLI (100) ORDER BY id FOR UPDATE;

BEGIN;

-- refused reference_row_lock
SELECT r.n, l.v FROM r, l FOR UPDATE;

ROLLBACK;

-- refused reference_row_lock
SELECT code FROM r FOR UPDATE SKIP LOCKED;

-- refused run_first
SELECT id, (SELECT v FROM u WHERE u.k = t.grp LIMIT 1 FOR UPDATE) FROM t;

-- # writes
-- refused key_change
UPDATE t SET id = id + 1, tags[1] = 'x';

-- refused conflict_key_change
INSERT INTO t (id) VALUES (1), (2) ON CONFLICT (id) DO UPDATE SET id = (SELECT max(id) FROM t) + 5;

-- refused merge_key_change
MERGE INTO t USING (VALUES (1, 1), (2, 3)) v (id, n) ON t.id = v.id WHEN MATCHED THEN UPDATE SET id = v.n, tags[1] = 'x';

-- refused merge
MERGE INTO t USING (VALUES (1, 1), (2, 3)) v (id, n) ON t.id = v.id WHEN MATCHED AND random() < 0.5 THEN DELETE;

-- refused volatile_write
DELETE FROM l USING t WHERE random() < 0.5 AND l.id = t.id;

-- refused volatile_write
DELETE FROM t USING u WHERE random() < 0.5 AND grp = k;

-- refused write_through_view
UPDATE told SET id = id WHERE id = 1;

WITH d AS (DELETE FROM r WHERE code = 2 RETURNING *) SELECT * FROM d, t;

WITH w AS (UPDATE t SET v = 'x' RETURNING id) SELECT count(*) FROM w, t;

INSERT INTO t (id, v) VALUES ((SELECT max(k) FROM u), 'a'), (101, 'b');

INSERT INTO t (id, v) VALUES (102, (SELECT max(v) FROM u)), (103, 'b');

-- refused insert_values
INSERT INTO t (id, v) VALUES (102, (SELECT max(v) FROM u) || '__weft_gathered_here()'), (103, 'b');

-- refused insert_columns
INSERT INTO t (id, tags[(1 + 1)]) SELECT k + 200, v FROM u;

-- refused insert_select_tail
INSERT INTO t (id, v) SELECT k + 200, v FROM u RETURNING (SELECT max(u.v) FROM u WHERE u.k < t.id);

INSERT INTO t (id, v) VALUES (62, (SELECT v FROM t WHERE id = 1)) RETURNING id, v;

-- refused different_keys
INSERT INTO t (id, v) VALUES (62, (SELECT v || '__weft_gathered_here()' FROM t WHERE id = 1)) RETURNING id, v;

SELECT count(*) FROM t;

-- # tables that cannot be sharded
-- refused key_type
CREATE TABLE x (j jsonb) WITH (shard_key = 'j');

-- refused key_type
CREATE TABLE x (a int, b int GENERATED ALWAYS AS (a + 1) STORED) WITH (shard_key = 'b');

-- refused colocated_key_types
CREATE TABLE x (id text) WITH (shard_key = 'id', colocate_with = 't');

-- refused unique_without_key
CREATE TABLE x (id int PRIMARY KEY, k int) WITH (shard_key = 'k');

-- refused foreign_key_to_part
CREATE TABLE x (id int REFERENCES t);

-- refused foreign_key_across_shards
CREATE TABLE x (k int REFERENCES u) WITH (shard_key = 'k', colocate_with = 't');

-- refused foreign_key_changes_key
CREATE TABLE x (id int REFERENCES t ON DELETE SET NULL) WITH (shard_key = 'id', colocate_with = 't');

-- refused table_kind
CREATE TEMP TABLE x (id int) WITH (shard_key = 'id');

-- refused table_kind
SELECT create_distributed_table('pg_class', 'oid');

-- refused declare_call
SELECT create_distributed_table('l', 'id'), 1;

BEGIN ISOLATION LEVEL REPEATABLE READ;

-- refused declared_in_snapshot
SELECT create_distributed_table('l', 'id');

ROLLBACK;

-- # what is changed of tables
-- refused key_altered
ALTER TABLE t DROP COLUMN id;

-- refused altered_declaration
ALTER TABLE t SET (shard_key = 'grp');

-- refused unstable_default
ALTER TABLE r ALTER COLUMN n TYPE float8 USING random();

-- refused sequence_default
ALTER TABLE t ADD COLUMN x int DEFAULT nextval('sq');

CREATE TRIGGER x AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger();

-- refused statement_trigger
INSERT INTO t (id) VALUES (301), (302), (303), (304);

DROP TRIGGER x ON t;

CREATE TABLE triggered (id int PRIMARY KEY);

CREATE CONSTRAINT TRIGGER x AFTER UPDATE ON triggered DEFERRABLE FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();

-- refused trigger
SELECT create_reference_table('triggered');

DROP TABLE triggered;

-- refused trigger
CREATE CONSTRAINT TRIGGER x AFTER UPDATE ON r DEFERRABLE FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();

-- refused rule
CREATE RULE x AS ON INSERT TO t DO ALSO NOTIFY rows;

-- refused policy_reads_table
CREATE POLICY x ON t USING (EXISTS (SELECT FROM u));

-- refused weft_object
ALTER TABLE t DROP CONSTRAINT weft_owns_slot;

-- refused weft_object
SELECT weft.version();

-- refused local_with_sharded
CREATE VIEW x AS SELECT t.id FROM t JOIN l ON l.id = t.id;

-- refused materialized_view
CREATE MATERIALIZED VIEW x AS SELECT count(*) FROM ONLY t;

-- refused create_table_as
CREATE TABLE t WITH (shard_key = 'id') AS SELECT id FROM t;

-- refused schema_elements
CREATE SCHEMA AUTHORIZATION CURRENT_USER CREATE TABLE x (id int) WITH (shard_key = 'id');

-- # functions
CREATE FUNCTION count_t() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM refusals.t';

-- refused function_names_table
SELECT count_t();

CREATE FUNCTION count_of(name text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM ' || name INTO n; RETURN n; END $$;

-- refused code_reaches_shards
SELECT count_of('refusals.t');

-- refused user_function
SELECT max(count_of(v)) FROM t;

-- refused keyed_function
SELECT create_distributed_function('count_of(text)', 'name');

CREATE FUNCTION of_t(key int) RETURNS text LANGUAGE sql AS 'SELECT v FROM refusals.t WHERE id = $1';

-- weft
SELECT create_distributed_function('of_t(int)', '$1', colocate_with => 'refusals.t');

SELECT of_t(3);

-- refused keyed_function_call
SELECT of_t(id) FROM t;

-- weft
SELECT undistribute_function('of_t(int)');

CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.grp := (SELECT count(*) FROM t); RETURN NEW; END $$;

CREATE TRIGGER total BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION total();

-- refused trigger_reads_table
INSERT INTO t (id) VALUES (300);

DROP TRIGGER total ON t;

CREATE FUNCTION pid() RETURNS int LANGUAGE sql AS 'SELECT pg_backend_pid()';

-- refused backends_in_code
SELECT pid();

-- refused session_function
SELECT pg_safe_snapshot_blocking_pids(1);

-- refused session_function
SELECT pg_terminate_backend(1, 100);

-- # other statements
-- refused cursor
DECLARE c CURSOR WITH HOLD FOR SELECT count_of('refusals.l');

-- refused copy_server_file
COPY t TO '/tmp/x';

-- refused copy
COPY t FROM STDIN WITH (ENCODING 'SQL_ASCII');
1	1	a	\N	\N
\.

-- refused setting
SET search_path FROM CURRENT;

-- refused setting
ALTER ROLE postgres SET client_encoding = 'latin1';

BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE;

-- refused isolation_level
LOCK TABLE t IN ACCESS SHARE MODE;

ROLLBACK;

BEGIN;

-- refused prepare_transaction
PREPARE TRANSACTION 'x';

ROLLBACK;

-- refused server_statement
ALTER SYSTEM SET work_mem = '1MB';

-- refused server_statement
CREATE DATABASE x;

-- refused replication
CREATE PUBLICATION x FOR TABLE t;

-- refused replication
CREATE SUBSCRIPTION x CONNECTION '' PUBLICATION x;

