import { describe, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { compare, type Step } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

const cases: Readonly<Record<string, readonly Step[]>> = {
  nothing: ['', ' ', ';', ' ; ; ', '-- only a comment', '/* only /* nested */ a comment */ -- and more'],
  'comments around statements': [
    '-- first\nSELECT 1 -- last',
    '/* a */ SELECT /* b */ 2 /* c */; /* d */',
    'SELECT 3;; SELECT 4;',
    "SELECT ';' AS semicolon; SELECT $$a;b$$ AS dollar; SELECT E'\\';' AS escaped",
  ],
  'several statements': [
    'SELECT 1 AS a; SELECT 2 AS b, 3 AS c; SELECT 4 WHERE false',
    "SELECT 1; VALUES (1, 'x'), (2, 'y'); SHOW server_encoding",
  ],
  'syntax error in the middle: nothing runs': ['SELECT 1; SELEKT 2; SELECT 3', 'SELECT 1'],
  'runtime error in the middle: what came before is answered': [
    'SELECT 1; SELECT 1/0; SELECT 3',
    "SELECT 1; SELECT 'x'::int; SELECT 3",
    'SELECT 1; SELECT * FROM no_such_table; SELECT 3',
    'SELECT 1',
  ],
  'error positions': [
    'SELECT nope',
    'SELECT 1; SELECT nope',
    "SELECT 'äöü€😀' AS x; SELECT nope",
    'SELECT 1;\n\n  SELECT nope FROM pg_class',
    "SELECT 'ä', nope",
    "SELECT 'ä'; SELEKT 1",
    'SELECT 1 +',
    'SELECT (1',
    "SELECT 'unterminated",
    'SELECT /* unterminated',
    'SELECT 1; SELECT $1',
    'SELECT "unterminated',
  ],
  'error positions in DDL': [
    'SELECT 1; CREATE TABLE wrong (a nope)',
    'CREATE TABLE wrong (a int, a int)',
    'SELECT 1; CREATE VIEW wrong AS SELECT nope',
    'SELECT 1; CREATE TABLE wrong AS SELECT nope',
    "SELECT 1; CREATE FUNCTION wrong() RETURNS int LANGUAGE sql AS 'SELECT nope'",
    'SELECT 1; ALTER TABLE pg_class ADD nope nope',
    'SELECT 1; CREATE INDEX ON pg_class (nope)',
    'SELECT 1; GRANT ALL ON nope TO nobody',
  ],
  notices: [
    `DO $$ BEGIN RAISE NOTICE 'hello %', 1; END $$`,
    `DO $$ BEGIN RAISE WARNING 'careful' USING HINT = 'a hint', DETAIL = 'a detail', ERRCODE = '01ABC'; END $$`,
    `SELECT 1; DO $$ BEGIN RAISE NOTICE 'between'; END $$; SELECT 2`,
    `DO $$ BEGIN RAISE INFO 'i'; RAISE LOG 'l'; RAISE DEBUG 'd'; RAISE NOTICE 'n'; END $$`,
    `DO $$ BEGIN RAISE NOTICE 'before'; RAISE EXCEPTION 'boom' USING DETAIL = 'd', HINT = 'h', ERRCODE = 'P0999',
       COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 't', TABLE = 'tt', SCHEMA = 's'; END $$`,
    'DROP TABLE IF EXISTS not_there',
    'SELECT 1',
  ],
  'errors with all fields': [
    'CREATE TABLE errs (id int PRIMARY KEY, n int CHECK (n > 0) NOT NULL, d numeric(3,1))',
    'INSERT INTO errs VALUES (1, 1, 1)',
    'INSERT INTO errs VALUES (1, 1, 1)',
    'INSERT INTO errs VALUES (2, -1, 1)',
    'INSERT INTO errs VALUES (2, NULL, 1)',
    'INSERT INTO errs VALUES (2, 1, 1000)',
    "INSERT INTO errs VALUES (2, 1, 'x')",
    'INSERT INTO errs (nope) VALUES (1)',
    'SELECT * FROM errs WHERE idd = 1',
    'SELECT no_such_function(1)',
    'DROP TABLE errs',
  ],
  tags: [
    'CREATE TABLE tags (id int PRIMARY KEY, v text)',
    "INSERT INTO tags SELECT i, 'v' FROM generate_series(1, 5) i",
    "UPDATE tags SET v = 'w' WHERE id > 2",
    'DELETE FROM tags WHERE id = 1 RETURNING *',
    'SELECT count(*) FROM tags',
    'TRUNCATE tags',
    'CREATE TABLE tags2 AS SELECT 1 AS x',
    'SELECT 1 AS y INTO tags3',
    'CREATE INDEX ON tags (v)',
    'CREATE VIEW tagv AS SELECT * FROM tags',
    'EXPLAIN (COSTS OFF) SELECT 1',
    "COMMENT ON TABLE tags IS 'x'",
    'ANALYZE tags',
    'DROP VIEW tagv',
    'DROP TABLE tags, tags2, tags3',
    "CREATE SEQUENCE tagseq; SELECT nextval('tagseq'); DROP SEQUENCE tagseq",
    "CREATE FUNCTION tagf() RETURNS int LANGUAGE sql AS 'SELECT 7'; SELECT tagf(); DROP FUNCTION tagf()",
    'CREATE SCHEMA tags; DROP SCHEMA tags',
    "CREATE TYPE tagt AS ENUM ('a', 'b'); SELECT 'a'::tagt; DROP TYPE tagt",
    'CALL no_such_procedure()',
    'CHECKPOINT',
  ],
  'large rows': [
    "SELECT repeat('x', 100000) AS big",
    "SELECT i, repeat('y', 5000) FROM generate_series(1, 300) i",
    `SELECT length('${'z'.repeat(200_000)}')`,
  ],
  'values of all kinds as text': [
    `SELECT 1::int2, 2::int4, 3::int8, 1.5::float4, 'NaN'::float8, 1.10::numeric, true, NULL, 'a'::char(3),
       '\\x00ff'::bytea, '2020-02-29'::date, '12:00'::time, '2020-01-01 00:00'::timestamp,
       '2020-01-01 00:00+00'::timestamptz, '1 day 2 h'::interval, '{1,2,NULL}'::int[], '{"a": [1]}'::jsonb,
       'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '10.0.0.1/8'::inet, '[1,5)'::int4range, '(1,2)'::point,
       B'101', row(1, 'x'), 'a & b'::tsquery`,
  ],
  names: ['SELECT 1 AS "weird ""name""", 2 AS "ünï", 3', `SELECT 1 AS "${'n'.repeat(70)}"`],
  'wide results': [
    `SELECT ${Array.from({ length: 1600 }, (_, i) => i).join(', ')}`,
    `SELECT ${Array.from({ length: 1700 }, (_, i) => i).join(', ')}`,
  ],
  'leftover messages of other protocols': [
    [Buffer.from('d\0\0\0\x05x', 'latin1'), Buffer.from('c\0\0\0\x04', 'latin1'), 'SELECT 1'],
  ],
}

describe('simple protocol', () => {
  test.each(Object.entries(cases))('%s', async (_name, script) => {
    await compare(cluster.current, script)
  })

  test.each([1, 3, 7])('the same, sent in pieces of %d bytes', async (pieces) => {
    await compare(cluster.current, [...cases['several statements']!, ...cases['error positions']!], {
      pieces,
    })
  })
})
