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
    const isKnown = (byte: number) => {
      try {
        return encoding.toUtf8(Buffer.from([byte])).length > 0
      } catch {
        return false
      }
    }
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
      "SET client_encoding = 'SJIS'",
      'SELECT 1',
    ])
    expect(said.filter((line) => line.includes('C=0A000'))).toHaveLength(4)
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
