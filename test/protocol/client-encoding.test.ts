import iconv from 'iconv-lite'
import { beforeAll, describe, expect, test } from 'vitest'
import { clientEncoding } from '../../coordinator/settings/client-encoding.ts'
import {
  bind,
  COPY_DONE,
  copyData,
  describe as describeMessage,
  execute,
  parse,
  query,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query as ask } from '../helpers/postgres.ts'
import { compare, on, type Step, transcript, until } from '../helpers/wire-script.ts'

const cluster = useTestCluster()
const latin1 = (text: string) => Buffer.from(text, 'latin1')
const q = (text: string) => query(latin1(text))

const ENCODINGS =
  `LATIN1 LATIN2 LATIN3 LATIN4 LATIN5 LATIN6 LATIN7 LATIN8 LATIN9 LATIN10 ISO_8859_5 ISO_8859_6 ISO_8859_7
  ISO_8859_8 WIN1250 WIN1251 WIN1252 WIN1253 WIN1254 WIN1255 WIN1256 WIN1257 WIN1258 WIN866 WIN874 KOI8R KOI8U`
    .trim()
    .split(/\s+/)

beforeAll(async () => {
  await createTwins(cluster.current, 'CREATE TABLE people (name text PRIMARY KEY, city text)', {
    shard_key: 'name',
  })
})

const servers = () => cluster.current

describe('client_encoding: every byte is the character that it is for Postgres', () => {
  test.each(ENCODINGS)('%s', async (name) => {
    const encoding = clientEncoding(name)!
    const all = Array.from({ length: 128 }, (_, i) => i + 128)
    const isKnown = (byte: number) => encoding.read(Buffer.from([byte])).error === undefined
    const known = latin1(String.fromCharCode(...all.filter(isKnown)))
    const echo = Buffer.concat([
      latin1("SELECT '"),
      known,
      latin1("' AS t, md5(convert_to('"),
      known,
      latin1("', 'UTF8'))"),
    ])
    const unknown = all
      .filter((byte) => !isKnown(byte))
      .map((byte) => q(`SELECT '${String.fromCharCode(byte)}'`))
    const said = await compare(servers(), [query(echo), ...unknown], {
      parameters: { client_encoding: name },
    })
    expect(said.filter((line) => line.includes('C=22P05'))).toHaveLength(unknown.length)
  })
})

const scripts: Readonly<Record<string, readonly Step[]>> = {
  'keys, values and labels': [
    "SET client_encoding = 'latin1'",
    'SHOW client_encoding',
    q("INSERT INTO people VALUES ('Zoë', 'Köln'), ('René', 'Nîmes'), ('Ann', NULL)"),
    q('SELECT city AS "où" FROM people WHERE name = \'Zoë\''),
    [
      parse('', 'SELECT city, name FROM people WHERE name = $1'),
      bind({ params: [latin1('René')] }),
      describeMessage('P', ''),
      execute(),
      SYNC,
    ],
    [
      parse('é', latin1("SELECT 'ü' || $1::text")),
      bind({ statement: 'é', params: [latin1('ß')] }),
      execute(),
      SYNC,
    ],
    q("UPDATE people SET city = 'Genève' WHERE name = 'Ann' RETURNING city, name"),
    q("DELETE FROM people WHERE name = 'Zoë'"),
    "SET client_encoding = 'UTF8'",
    "SELECT city FROM people WHERE name = 'Ann'",
    'DELETE FROM people',
  ],
  'errors, notices, notifications': [
    "SET NAMES 'win1252'",
    q('SELECT "où"'),
    q("DO $$ BEGIN RAISE NOTICE 'déjà vu €'; RAISE EXCEPTION 'ça'; END $$".replaceAll('€', '\x80')),
    q('LISTEN "é"'),
    [q('NOTIFY "é", \'à\''), until('NotificationResponse')],
    q('UNLISTEN *'),
    q("SELECT 'ü' FROM nowhere"),
  ],
  'what the encoding lacks is an error, and nothing of the statement stays': [
    "SET client_encoding = 'latin1'",
    "SELECT E'\\u20ac'",
    "INSERT INTO people VALUES ('euro', '1')",
    "UPDATE people SET city = E'\\u20ac' RETURNING name, city",
    'SELECT city FROM people',
    'BEGIN',
    "INSERT INTO people VALUES ('x', E'\\u20ac') RETURNING city",
    'SELECT 1',
    'ROLLBACK',
    [parse('', "UPDATE people SET city = E'\\u20ac' RETURNING city"), bind({}), execute(), SYNC],
    'SELECT name, city FROM people',
    'DELETE FROM people',
  ],
  'SET LOCAL, ROLLBACK and RESET': [
    'BEGIN',
    "SET LOCAL client_encoding = 'latin1'",
    q("SELECT 'é', E'\\u00fc'"),
    'COMMIT',
    "SELECT E'\\u00fc'",
    'BEGIN',
    "SET client_encoding = 'latin1'",
    'ROLLBACK',
    "SELECT E'\\u00fc'",
    "SET client_encoding = 'latin1'",
    'RESET client_encoding',
    'SHOW client_encoding',
    "SET client_encoding = 'klingon'",
    "SET client_encoding TO 'ISO-8859-15'",
    'SHOW client_encoding',
    'SET client_encoding TO DEFAULT',
    'SHOW client_encoding',
  ],
  COPY: [
    "SET client_encoding = 'latin1'",
    ['COPY people FROM STDIN', until('CopyInResponse')],
    [
      copyData(latin1('Zoë\tKöln\n')),
      copyData(latin1('Ren')),
      copyData(latin1('é\tNîmes\n')),
      COPY_DONE,
      until('ReadyForQuery'),
    ],
    q("COPY (SELECT * FROM people WHERE name = 'Zoë') TO STDOUT"),
    on('b', "SELECT length(name) FROM people WHERE name = 'René'"),
    'DELETE FROM people',
  ],
}

describe('client_encoding: one byte per character', () => {
  test.each(Object.entries(scripts))('%s', async (_, script) => {
    await compare(servers(), script)
  })

  test('in the startup packet', async () => {
    const parameters = { client_encoding: 'iso-8859-1', application_name: 'x' }
    await compare(servers(), ['SHOW client_encoding', q("SELECT 'é', E'\\u00fc'")], { parameters })
  })

  test('what cannot be told apart is refused, and the session goes on', async () => {
    const said = await transcript(cluster.current.weft, [
      "SET client_encoding = 'latin1'",
      [parse('', 'SELECT 1'), bind({ resultFormats: [1] }), execute(), SYNC],
      [parse('', 'SELECT $1::text'), bind({ params: [latin1('é')], paramFormats: [1] }), execute(), SYNC],
      [parse('', 'SELECT $1', [25]), bind({ params: [latin1('é')], paramFormats: [1] }), execute(), SYNC],
      'COPY (SELECT 1) TO STDOUT (FORMAT binary)',
      'SELECT 1',
    ])
    expect(said.filter((line) => line.includes('D=Refusal client_encoding,'))).toHaveLength(3)
    expect(said.filter((line) => line.startsWith('  DataRow'))).toEqual(['  DataRow 0xe9', '  DataRow "1"'])
  })

  test('two sessions with their own encodings see the same rows', async () => {
    await ask(cluster.current.weftUrl, "INSERT INTO people VALUES ('Ægir', 'Tórshavn')")
    await ask(cluster.current.plainUrl, "INSERT INTO people VALUES ('Ægir', 'Tórshavn')")
    await compare(servers(), [
      on('a', "SET client_encoding = 'latin1'"),
      on('b', "SET client_encoding = 'WIN866'"),
      on('a', q("SELECT city FROM people WHERE name = 'Ægir'")),
      on('b', 'SELECT name FROM people'),
      on('a', 'SELECT name FROM people'),
    ])
  })
})

const SEVERAL =
  'SJIS SHIFT_JIS_2004 EUC_JP EUC_JIS_2004 EUC_KR EUC_CN EUC_TW BIG5 GBK UHC GB18030 JOHAB'.split(' ')
/** Digits, a quote and a backslash among them. */
const TAILS = [0x27, 0x5c, 0xa1, 0xcd]
const quoted = (...bytes: number[]) => {
  const text = Buffer.concat([latin1("'"), Buffer.from(bytes), latin1("'")])
  return query(Buffer.concat([latin1('SELECT '), text, latin1(', convert_to('), text, latin1(", 'UTF8')")]))
}

describe('client_encoding: several bytes per character', () => {
  test.each(SEVERAL)('%s: texts come and go, or are errors, as with Postgres', async (name) => {
    const heads = Array.from({ length: 128 }, (_, i) => i + 128)
    const sent = heads.flatMap((head) => [quoted(head), ...TAILS.map((tail) => quoted(head, tail))])
    const long = [
      [0x8d, 0x20],
      [0x8f, 0xb0, 0xa1],
      [0x8e, 0xa2, 0xa1, 0xa1],
      [0x81, 0x39, 0x81, 0x30],
      [0x8f, 0xa1],
      [0x90, 0x30, 0x81],
    ]
    const asked = Array.from({ length: 120 }, (_, i) => 0x80 + i * 521).filter(
      (c) => c < 0xd800 || c > 0xdfff,
    )
    const wanted = [...asked, 0x20000, 0x2000b, 0x10ffff].map((c) => `SELECT chr(${c})`)
    const said = await compare(servers(), [[...sent, ...long.map((bytes) => quoted(...bytes)), ...wanted]], {
      parameters: { client_encoding: name },
    })
    for (const kind of ['DataRow', 'ErrorResponse'])
      expect(said.filter((line) => line.includes(kind)).length, kind).toBeGreaterThan(100)
  })

  const sjis = (text: string) => iconv.encode(text, 'shift_jis')
  const q = (text: string) => query(sjis(text))
  const cutIn = (bytes: Buffer, ...places: number[]) =>
    [0, ...places].map((from, i) => copyData(bytes.subarray(from, places[i])))
  const copyBack = q("COPY (SELECT * FROM people WHERE name = '表') TO STDOUT")

  // The second bytes of 表, ソ and 能 are backslashes, that of ポ is a vertical bar.
  const severalScripts: Readonly<Record<string, readonly Step[]>> = {
    'keys, values and labels': [
      "SET client_encoding = 'shift_jis'",
      'SHOW client_encoding',
      q("INSERT INTO people VALUES ('表', 'ソ能'), ('東京', 'ポ'), ('ｶﾅ', NULL)"),
      q('SELECT city AS "表" FROM people WHERE name = \'表\''),
      q("SELECT name FROM people WHERE name IN ('東京', E'表', 'ｶﾅ') ORDER BY name; SELECT '能' || 'x'"),
      [
        parse('', sjis('SELECT city FROM people WHERE name = $1')),
        bind({ params: [sjis('表')] }),
        execute(),
        SYNC,
      ],
      q("UPDATE people SET city = '機能' WHERE name = '表' RETURNING city, name"),
      q("SELECT '表' FROM nowhere"),
      q("SELECT '表'::int"),
      q('SELECT "表"'),
      q("DO $$ BEGIN RAISE NOTICE '能'; RAISE EXCEPTION 'ソ'; END $$"),
      "SELECT E'\\u20ac', 'x'",
      "UPDATE people SET city = E'\\u20ac' WHERE name <> 'x' RETURNING city",
      'RESET client_encoding',
      'SELECT name, city FROM people ORDER BY name',
      'DELETE FROM people',
    ],
    'what is no text': [
      "SET client_encoding = 'SJIS'",
      query(Buffer.from([0x53, 0x81])),
      query(Buffer.concat([latin1('SELECT 1 AS "'), Buffer.from([0x85, 0x40]), latin1('"')])),
      [parse('', Buffer.from([0x81, 0x20])), bind({}), execute(), SYNC],
      [parse('', 'SELECT $1::text'), bind({ params: [Buffer.from([0xfd, 0x41])] }), execute(), SYNC],
      [parse('', 'SELECT $1::text'), bind({ portal: 'p', params: [Buffer.from([0x81])] }), execute(), SYNC],
      'SELECT 1',
    ],
    'SET LOCAL, ROLLBACK, RESET, and what nobody converts': [
      'BEGIN',
      "SET LOCAL client_encoding = 'euc_kr'",
      "SELECT U&'\\d55c'",
      'COMMIT',
      "SELECT U&'\\d55c'",
      'BEGIN',
      "SET client_encoding = 'big5'",
      "SELECT U&'\\4e2d'",
      'ROLLBACK',
      "SELECT U&'\\4e2d'",
      "SET client_encoding = 'gb18030'; SELECT U&'\\+020000'",
      "SET NAMES 'shift_jis_2004'",
      "SELECT U&'\\304b\\309a', U&'\\304b'",
      quoted(0x82, 0xf5),
      "SET client_encoding = 'mule_internal'",
      'SHOW client_encoding',
    ],
    'COPY, its messages cut anywhere': [
      "SET client_encoding = 'SJIS'",
      ['COPY people FROM STDIN', until('CopyInResponse')],
      [...cutIn(sjis('表\tソ能\n東京\tポ\n'), 1, 2, 4, 8, 11), COPY_DONE, until('ReadyForQuery')],
      ['COPY people FROM STDIN (FORMAT csv)', until('CopyInResponse')],
      [...cutIn(sjis('"ｶ","表"\n'), 2, 6), COPY_DONE, until('ReadyForQuery')],
      copyBack,
      'COPY (SELECT city FROM people ORDER BY name) TO STDOUT (FORMAT csv, FORCE_QUOTE *)',
      'DELETE FROM people',
    ],
  }

  test.each(Object.entries(severalScripts))('%s', async (_, script) => {
    await compare(servers(), script)
  })

  test.each(['people', 'alone'])('COPY of what is no text says in which line: %s', async (table) => {
    const fails = (...data: Buffer[]): Step[] => [
      [`COPY ${table} FROM STDIN`, until('CopyInResponse')],
      [...data, COPY_DONE, until('ReadyForQuery')],
    ]
    await compare(servers(), [
      'CREATE TABLE IF NOT EXISTS alone (name text PRIMARY KEY, city text)',
      "SET client_encoding = 'SJIS'",
      ...fails(copyData(latin1('a\tb\nb\tc\nd\t\x85\x40\n'))),
      ...fails(copyData(latin1('a\tb\n')), copyData(latin1('\x82')), copyData(latin1('\x20\tc\n'))),
      ...fails(copyData(latin1('a\tb\nc\td\x82'))),
      `SELECT * FROM ${table}`,
    ])
  })

  test('in the startup packet', async () => {
    const parameters = { client_encoding: 'windows-936' }
    await compare(servers(), ['SHOW client_encoding', query(iconv.encode("SELECT '中国'", 'gbk'))], {
      parameters,
    })
  })
})
