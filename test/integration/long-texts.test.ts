import { pathToFileURL } from 'node:url'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildChild } from '../helpers/child.ts'
import { startTestCluster, type TestCluster } from '../helpers/cluster.ts'

/** Long texts are parsed and planned by a thread of their own (docs/decisions/0036-long-texts.md). */

let cluster: TestCluster
let weft: pg.Client
let plain: pg.Client

beforeAll(async () => {
  const textProgram = pathToFileURL(await buildChild('coordinator/long-texts/thread.ts'))
  cluster = await startTestCluster({ textProgram })
  weft = new pg.Client({ connectionString: cluster.weftUrl })
  plain = new pg.Client({ connectionString: cluster.plainUrl })
  await Promise.all([weft.connect(), plain.connect()])
  await both('CREATE TABLE s (k int PRIMARY KEY, id int, v text)')
  await both('CREATE TABLE l (k int PRIMARY KEY, v text)')
  await weft.query("SELECT create_distributed_table('s', 'k')")
  await both("INSERT INTO s SELECT g, g * 3, 'v' || g FROM generate_series(1, 200) g")
})
afterAll(async () => {
  await Promise.all([weft?.end(), plain?.end()])
  await cluster?.stop()
})

async function answer(client: pg.Client, text: string, values?: unknown[]): Promise<unknown> {
  try {
    const result = await client.query(values === undefined ? { text } : { text, values })
    const results = Array.isArray(result) ? result : [result]
    return results.map(({ command, rowCount, rows }) => ({ command, rowCount, rows: rows.map(json).sort() }))
  } catch (error) {
    const { code, message, position, hint, detail } = error as pg.DatabaseError
    return { code, message: message.slice(0, 500), position, hint, detail }
  }
}
const json = (row: unknown) => JSON.stringify(row)

const both = (sql: string) => Promise.all([weft.query(sql), plain.query(sql)])

async function expectSame(text: string, values?: unknown[]): Promise<unknown> {
  const expected = await answer(plain, text, values)
  expect(await answer(weft, text, values)).toEqual(expected)
  return expected
}

async function taken(): Promise<number> {
  const status = await (await fetch(`${cluster.weft.adminUrl}/api/status`)).json()
  return (status as { longTexts: number }).longTexts
}

/** As many pieces as make a text long. */
function many(piece: (i: number) => string, separator = ', ', length = 20_000): string {
  const pieces: string[] = []
  for (let size = 0; size < length; size += pieces.at(-1)!.length + separator.length)
    pieces.push(piece(pieces.length))
  return pieces.join(separator)
}

const keys = many((i) => String(i * 7))
const KINDS: Readonly<Record<string, string>> = {
  'IN with the shard key': `SELECT * FROM s WHERE k IN (${keys})`,
  'IN without it': `SELECT * FROM s WHERE id IN (${keys})`,
  'ANY (ARRAY[…])': `SELECT * FROM s WHERE id = ANY (ARRAY[${keys}])`,
  'UPDATE … IN': `UPDATE s SET v = v || 'x' WHERE k IN (${keys})`,
  'INSERT of values': `INSERT INTO s VALUES ${many((i) => `(${i + 1000}, ${i}, 'é ${i}')`)} RETURNING k`,
  'INSERT of calls': `INSERT INTO s VALUES ${many((i) => `(${i + 5000}, abs(-${i}), lower('V'))`)}`,
  'one that fails': `INSERT INTO s VALUES ${many((i) => `(${i + 5000}, abs(-${i}))`)}`,
  CASE: `SELECT CASE id ${many((i) => `WHEN ${i} THEN '${i}'`, ' ')} END FROM s`,
  'UNION ALL': many((i) => `SELECT ${i} AS a, 'n${i}' AS b`, ' UNION ALL '),
  'OR of keys': `SELECT * FROM s WHERE ${many((i) => `(k = ${i} AND id = ${i * 3})`, ' OR ')}`,
  AND: `SELECT count(*) FROM s WHERE ${many((i) => `id <> ${i}`, ' AND ')}`,
  'GROUP BY, gathered': `SELECT v, count(*) FROM s WHERE id NOT IN (${keys}) GROUP BY v`,
  'a local table': `SELECT * FROM l WHERE k IN (${keys})`,
  'a JOIN with VALUES': `SELECT * FROM s JOIN (VALUES ${many((i) => `(${i}, ${i})`)}) AS n (k, m) USING (k)`,
  DO: `DO $$ BEGIN ${many((i) => `PERFORM ${i};`, ' ')} END $$`,
  'a syntax error, after é': `SELECT 'é' WHERE 1 IN (${keys}) FROM`,
  'an unknown column': `SELECT nope FROM s WHERE k IN (${keys})`,
}

describe('as plain Postgres answers', () => {
  test.each(Object.entries(KINDS))('%s', async (_, sql) => {
    const before = await taken()
    await expectSame(sql)
    expect(await taken()).toBeGreaterThan(before)
    await both('BEGIN')
    await expectSame(sql, [])
    await both('ROLLBACK')
  })

  test('with parameters', () => expectSame(`SELECT * FROM s WHERE k = $1 OR k IN (${keys})`, [3]))

  test('several statements, short ones and a long one', async () => {
    const list = [
      ...['BEGIN', 'CREATE TEMP TABLE mine (k int)', 'INSERT INTO mine VALUES (14)'],
      `SELECT * FROM mine WHERE k IN (${keys})`,
      ...['ALTER TABLE s ADD more int DEFAULT 5', `SELECT k, more FROM s WHERE k IN (${keys})`, 'ROLLBACK'],
    ]
    await expectSame(list.join('; '))
    await expectSame(many((i) => `SET application_name = 'a${i}'`, '; '))
    await expectSame(`${many((i) => `SELECT ${i}`, '; ')}; SELECT nope`)
    await expectSame(`${many((i) => `SELECT ${i}`, '; ')}; SELECT SELECT`)
  })

  test('in a failed transaction', async () => {
    await both('BEGIN')
    await expectSame('SELECT nope')
    await expectSame(KINDS.AND!, [])
    await expectSame(KINDS.AND!)
    await expectSame(`/* ${'x'.repeat(20_000)} */ ROLLBACK`, [])
  })

  test('PREPARE, EXECUTE, EXPLAIN, a cursor', async () => {
    await expectSame(`PREPARE p AS ${KINDS.AND}`)
    await expectSame('EXECUTE p')
    await expectSame('CREATE TEMP TABLE made AS EXECUTE p')
    await both('BEGIN')
    await expectSame(`DECLARE c CURSOR FOR ${KINDS['IN without it']}`)
    await expectSame('FETCH ALL FROM c')
    await both('ROLLBACK')
  })
})

test('others are answered before a long text is planned', async () => {
  const other = new pg.Client({ connectionString: cluster.weftUrl })
  await other.connect()
  const order: string[] = []
  const long = weft.query(`SELECT ${many((i) => `(id + ${i} * 2)`, ' + ', 200_000)} FROM s WHERE k = 1`).then(
    () => order.push('long'),
    () => order.push('long'),
  )
  for (let i = 0; i < 5; i++) order.push((await other.query('SELECT $1::text AS v', ['short'])).rows[0].v)
  await long
  expect(order).toEqual([...Array.from({ length: 5 }, () => 'short'), 'long'])
  await other.end()
})

test('too deep a text is refused, and the session goes on', async () => {
  for (const client of [plain, weft])
    expect(await answer(client, `SELECT 1${'+1'.repeat(100_000)}`)).toMatchObject({ code: '54001' })
  await expectSame('SELECT 1 AS one')
})
