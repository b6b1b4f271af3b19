import { beforeAll, describe, expect, test } from 'vitest'
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { compare, on, type Step, transcript, until } from '../helpers/wire-script.ts'

const cluster = useTestCluster()

beforeAll(async () => {
  await createTwins(
    cluster.current,
    "CREATE TABLE words (word text PRIMARY KEY, note text DEFAULT 'a\\tb')",
    {
      shard_key: 'word',
    },
  )
})

const OFF = 'SET standard_conforming_strings = off'
const SHOW = 'SHOW standard_conforming_strings'
const QUIET = 'SET escape_string_warning = off'
/** Reads otherwise under each setting. */
const TELLS = String.raw`SELECT 'a\\b\tc' AS told`
const run = (sql: string): Step => [parse('', sql), bind({}), describeMessage('P', ''), execute(), SYNC]
const own = (language: string, text: string, set = '') =>
  `CREATE OR REPLACE FUNCTION own_${language}() RETURNS text LANGUAGE ${language} ${set} AS $$ ${text} $$`

const scripts: Readonly<Record<string, readonly Step[]>> = {
  'every kind of string': [
    OFF,
    TELLS,
    String.raw`SELECT 'it\'s', E'\x41', $$a\b$$, $x$'\'$x$, N'a\nb', "n\o"."n\o" FROM (SELECT 1 AS "n\o") AS "n\o"`,
    String.raw`SELECT B'01', X'1F', 'a'
'\\b', U&"d\0061ta" FROM (SELECT 1 AS data) AS d -- it's \'
`,
    String.raw`SELECT /* 'a\' /* \' */ '*/ 1 AS "it's", 'b\'--', '\\', '\101\x42\u0043\U00000044', '', ''''`,
    String.raw`SELECT U&'\0061'`,
    String.raw`SELECT 'a\'`,
    String.raw`SELECT 'ä\\', 'ö\' || 1`,
    String.raw`SELECT 1; SELECT 'é\\' , nowhere`,
    String.raw`SELECT '\xd83d'`,
    String.raw`SELECT '\uD83D'`,
    String.raw`SELECT 'ab\\c'::int, nowhere`,
    String.raw`SELECT nowhere, 'ab\\c'`,
    String.raw`SELECT 1 FROM 'ab\\c'`,
    'SELECT 1 WHERE',
    String.raw`SELECT WHERE WHERE 'a\\b'`,
    String.raw`SELECT '\n' FROM WHERE 'a\\b', 'c`,
    'SET backslash_quote = off',
    String.raw`SELECT 'it\'s'`,
    String.raw`SELECT 'it''s\n'`,
  ],
  warnings: [
    OFF,
    "SET client_min_messages = 'error'",
    TELLS,
    'RESET client_min_messages',
    'RESET escape_string_warning',
    TELLS,
    String.raw`SELECT 'a' , 'é\n' , '\'' , E'\n'`,
    run(TELLS),
    QUIET,
    TELLS,
  ],
  'rows of several shards': [
    OFF,
    QUIET,
    String.raw`INSERT INTO words VALUES ('a\\b', 'x\ty'), ('it\'s', '\\'), ('c\101', NULL), ('d\\', DEFAULT), (E'e\\', E'\\')`,
    String.raw`INSERT INTO words (word) VALUES ('f\\')`,
    String.raw`SELECT note FROM words WHERE word = 'a\\b'`,
    String.raw`SELECT word FROM words WHERE word IN ('a\\b', 'cA', 'd\\') ORDER BY 1`,
    String.raw`UPDATE words SET note = 'n\\n' WHERE word = 'it\'s' RETURNING note`,
    String.raw`SELECT count(*), max(note), '\\' FROM words WHERE note LIKE '%\\\\%' GROUP BY word LIKE '%\'%' ORDER BY 1, 2`,
    String.raw`SELECT w.word FROM words w JOIN words v ON w.note = v.note || '' AND v.note <> '\\\\' ORDER BY 1`,
    String.raw`WITH m AS (SELECT word || '\\' AS w FROM words) SELECT w FROM m WHERE w LIKE 'a%' OR w = 'd\\\\' ORDER BY 1`,
    [
      parse('s', String.raw`SELECT word, 'é\\' FROM words WHERE word = $1 || '\\'`),
      bind({ statement: 's', params: [Buffer.from('d')] }),
      execute(),
      SYNC,
    ],
    SHOW,
    'SET standard_conforming_strings = on',
    [bind({ statement: 's', params: [Buffer.from('f')] }), execute(), SYNC],
    "SELECT statement || '' FROM pg_prepared_statements",
    TELLS,
    [parse('t', String.raw`SELECT '\\' || nowhere`), SYNC],
    [
      parse('u', String.raw`SELECT 'u\\' || $1, 'x\n'`),
      bind({ statement: 'u', params: [Buffer.from('d')] }),
      execute(),
      SYNC,
    ],
    OFF,
    [bind({ statement: 'u', params: [Buffer.from('d')] }), execute(), SYNC],
    [parse('t', String.raw`SELECT '\\\\' || nowhere`), SYNC],
    String.raw`PREPARE p(text) AS SELECT $1 || '\\|'`,
    String.raw`EXECUTE p('a\\')`,
    'SET standard_conforming_strings = on',
    String.raw`EXECUTE p('a\\')`,
    'DELETE FROM words',
  ],
  'SET LOCAL, ROLLBACK, RESET, savepoints': [
    QUIET,
    'BEGIN',
    'SET LOCAL standard_conforming_strings = off',
    TELLS,
    'SAVEPOINT s',
    'SET LOCAL standard_conforming_strings = on',
    TELLS,
    'ROLLBACK TO s',
    TELLS,
    'COMMIT',
    TELLS,
    'BEGIN',
    OFF,
    TELLS,
    'ROLLBACK',
    TELLS,
    OFF,
    'RESET standard_conforming_strings',
    TELLS,
    OFF,
    'DISCARD ALL',
    QUIET,
    TELLS,
    "SET standard_conforming_strings TO 'fal'",
    TELLS,
    'BEGIN',
    'SELECT 1/0',
    TELLS,
    'ROLLBACK',
    TELLS,
    'SET SESSION standard_conforming_strings TO DEFAULT',
    SHOW,
  ],
  'several statements and pipelines': [
    QUIET,
    String.raw`SET standard_conforming_strings = off; SELECT 'a\b'; SHOW standard_conforming_strings`,
    String.raw`SELECT 'a\\b'; SET standard_conforming_strings = on; SELECT 'a\\b'`,
    TELLS,
    [parse('', OFF), bind({}), execute(), parse('', TELLS), bind({}), execute(), SYNC],
    [
      parse('', TELLS),
      bind({}),
      execute(),
      parse('', 'SET standard_conforming_strings = on'),
      bind({}),
      execute(),
      parse('', TELLS),
      bind({}),
      execute(),
      SYNC,
    ],
    TELLS,
    'LISTEN c',
    'BEGIN',
    String.raw`NOTIFY c, 'a\b'`,
    OFF,
    String.raw`NOTIFY c, 'a\\c'`,
    ['COMMIT', until('NotificationResponse', 2)],
    'UNLISTEN *',
    'SET standard_conforming_strings = on',
    [parse('', String.raw`SELECT 'a\'`), bind({}), execute(), SYNC],
    [
      parse('', OFF),
      bind({}),
      execute(),
      parse('', String.raw`SELECT 'é\'', nowhere`),
      bind({}),
      execute(),
      SYNC,
    ],
    SHOW,
  ],
  'code reads its own strings by it': [
    QUIET,
    own('sql', String.raw`SELECT 'a\\b'`),
    own('plpgsql', String.raw`BEGIN RETURN 'a\\b'; END`),
    'SELECT own_sql(), own_plpgsql()',
    on('b', OFF),
    on('b', QUIET),
    on('b', 'SELECT own_sql(), own_plpgsql()'),
    'SELECT own_sql(), own_plpgsql()',
    own('sql', String.raw`SELECT 'a\\b'`, 'SET standard_conforming_strings = off'),
    own('plpgsql', String.raw`BEGIN RETURN 'a\\b'; END`, 'SET standard_conforming_strings = off'),
    'SELECT own_sql(), own_plpgsql()',
    on('b', 'SELECT own_sql(), own_plpgsql()'),
    on('b', String.raw`DO 'BEGIN RAISE NOTICE ''%'', ''a\\\\b''; END'`),
    on('b', String.raw`DO $$ BEGIN EXECUTE 'SELECT ''a\\\\'''; RAISE NOTICE '%', 'a\\b'; END $$`),
    on('b', String.raw`CREATE FUNCTION made() RETURNS text LANGUAGE sql AS 'SELECT ''x\\\\y''::text'`),
    on('b', "SELECT made(), prosrc FROM pg_proc WHERE proname = 'made'"),
    "SELECT made(), current_setting('standard_conforming_strings')",
    'DROP FUNCTION made, own_sql, own_plpgsql',
  ],
  'set by code': [
    QUIET,
    "SELECT set_config('standard_conforming_' || 'strings', 'off', false)",
    TELLS,
    SHOW,
    'RESET standard_conforming_strings',
    "DO $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); END $$",
    TELLS,
    run(TELLS),
    'RESET standard_conforming_strings',
    'BEGIN',
    'DO $$ BEGIN SET LOCAL standard_conforming_strings = off; END $$',
    TELLS,
    'COMMIT',
    TELLS,
    "SELECT set_config('standard_conforming_strings', 'no', false)",
    TELLS,
  ],
  'what is made, and what lists it': [
    OFF,
    QUIET,
    'BEGIN',
    String.raw`CREATE TABLE made (k int PRIMARY KEY, v text DEFAULT 'a\\b' CHECK (v <> '\\'), w text DEFAULT 'it\'s')`,
    'INSERT INTO made (k) VALUES (1)',
    'COMMIT',
    String.raw`CREATE VIEW seen AS SELECT k, v || '\\' AS v FROM made`,
    'SELECT * FROM made, seen',
    "SELECT pg_get_viewdef('seen'::regclass)",
    String.raw`CREATE TEMP TABLE kept AS SELECT '\\' AS b`,
    'SELECT * FROM kept',
    ["COPY made FROM STDIN (DELIMITER '\\\\')", until('ErrorResponse')],
    String.raw`COPY (SELECT NULL, '\\') TO STDOUT (NULL '\\N')`,
    String.raw`COMMENT ON TABLE made IS 'a\\b'`,
    "SELECT obj_description('made'::regclass)",
    'DROP VIEW seen',
    'DROP TABLE made, kept',
  ],
}

describe('standard_conforming_strings = off: as with Postgres', () => {
  test.each(Object.entries(scripts))('%s', async (_, script) => {
    await compare(cluster.current, script)
  })

  test('texts of any pieces', async () => {
    const pieces = [
      "'",
      "'",
      "'",
      '\\',
      '\\',
      "''",
      'a',
      ' ',
      '\n',
      ', ',
      '--',
      '/*',
      '*/',
      '$$',
      '$x$',
      "E'",
      "n'",
      "U&'",
      '"',
      '1',
      '||',
      "B'",
    ]
    let seed = 20
    const next = (below: number) => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return (seed >>> 8) % below
    }
    const texts = Array.from({ length: 600 }, () =>
      Array.from({ length: 3 + next(9) }, () => pieces[next(pieces.length)]).join(''),
    )
    const said = await compare(cluster.current, [OFF, texts.map((text) => query(`SELECT ${text}`))])
    expect(said.filter((line) => line.includes('DataRow')).length).toBeGreaterThan(20)
  })

  test('from the start of the session', async () => {
    const parameters = { options: '-c standard_conforming_strings=0 -c escape_string_warning=off' }
    await compare(cluster.current, [SHOW, TELLS, 'RESET ALL', TELLS], { parameters })
  })
})

describe('standard_conforming_strings = off', () => {
  test.each(['ROLE postgres', 'ROLE ALL', 'DATABASE postgres'])('is no default of %s', async (whose) => {
    const said = await transcript(cluster.current.weft, [
      `ALTER ${whose} SET standard_conforming_strings = off`,
      SHOW,
    ])
    expect(said.filter((line) => line.includes('C=0A000'))).toHaveLength(1)
    expect(said).toContain('  DataRow "on"')
  })

  test('a table is distributed, and its rows go where its keys say', async () => {
    const { weft } = cluster.current
    const said = await transcript(weft, [
      OFF,
      QUIET,
      String.raw`CREATE TABLE split (k text PRIMARY KEY, v text DEFAULT 'a\142', w text DEFAULT 'c\\d' CHECK (w <> 'e\\f'),
        g text GENERATED ALWAYS AS (v || '\\') STORED) WITH (shard_key = 'k')`,
      String.raw`INSERT INTO split (k) SELECT 'k\\' || n FROM generate_series(1, 20) AS n`,
      String.raw`SELECT count(*), min(v) FROM split WHERE v = 'a\142'`,
      'SET standard_conforming_strings = on',
      String.raw`SELECT v, w, g FROM split WHERE k = 'k\7'`,
      OFF,
      QUIET,
      String.raw`INSERT INTO split (k) VALUES ('x\\'), ('y\\'), ('z\\') RETURNING w`,
      String.raw`UPDATE split SET w = 'e\\f'`,
      String.raw`ALTER TABLE split ADD h text DEFAULT '\\h', ADD CHECK (h <> 'i\\')`,
      String.raw`CREATE INDEX ON split (w) WHERE w <> '\\'`,
      'SELECT DISTINCT w, h, g FROM split ORDER BY 3',
      String.raw`CREATE VIEW few AS SELECT max(v || '\\') AS v FROM split`,
      'SELECT f.v FROM few f JOIN pg_class c ON c.relname = left(f.v, 0) || $$split$$',
      "SELECT undistribute_table('split')",
      "SELECT create_distributed_table('split', 'k')",
      'SELECT DISTINCT w, h, g FROM split ORDER BY 3',
    ])
    expect(said.filter((line) => line.includes('C=0A000'))).toEqual([])
    expect(said.filter((line) => line.includes('DataRow'))).toEqual([
      '  DataRow "20" | "ab"',
      String.raw`  DataRow "ab" | "c\\d" | "ab\\"`,
      ...Array.from({ length: 3 }, () => String.raw`  DataRow "c\\d"`),
      String.raw`  DataRow "c\\d" | "\\h" | "ab\\"`,
      String.raw`  DataRow "ab\\"`,
      ...['  DataRow ""', '  DataRow ""'],
      String.raw`  DataRow "c\\d" | "\\h" | "ab\\"`,
    ])
  })
})
