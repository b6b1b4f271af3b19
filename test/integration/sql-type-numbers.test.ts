import pg from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  bind,
  describe as describeMessage,
  execute,
  parse,
  query as queryMessage,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'
import { WireClient } from '../helpers/wire-client.ts'

/** Types of users have another number on each server: clients see the home shard's, whichever shard answers. */

const cluster = useTestCluster()

test('types of users: the same number from every shard, and the one that the catalog has', async () => {
  const { weft, weftUrl } = cluster.current
  // The shards' numbers are not alike from here on.
  for (const [shard, { url }] of weft.shards.entries()) {
    for (let i = 0; i < shard * 7; i++) await query(url, `CREATE TYPE other_${i} AS ENUM ('x')`)
  }
  await query(weftUrl, `CREATE TYPE mood AS ENUM ('sad', 'ok')`)
  await query(weftUrl, `CREATE TYPE pair AS (a int, b text)`)
  await query(
    weftUrl,
    `CREATE TABLE t (id int PRIMARY KEY, m mood, ms mood[], p pair) WITH (shard_key = 'id')`,
  )
  await query(
    weftUrl,
    `INSERT INTO t SELECT g, 'ok', '{sad,ok}', (g, 'x')::pair FROM generate_series(1, 20) g`,
  )
  const names = await query<{ oid: string; table: string }>(
    weftUrl,
    `SELECT string_agg(oid::text, ',' ORDER BY typname) AS oid, 't'::regclass::oid AS table
     FROM pg_type WHERE typname IN ('mood', '_mood', 'pair')`,
  )
  const [arrays, mood, pair] = names[0]!.oid.split(',').map(Number)
  const table = Number(names[0]!.table)

  const client = new pg.Client({ connectionString: weftUrl })
  await client.connect()
  const fieldsOf = async (text: string, values?: unknown[], name?: string): Promise<number[][]> => {
    const config = values === undefined ? { text } : { text, values, ...(name === undefined ? {} : { name }) }
    const { fields } = await client.query(config)
    return fields.map((field) => [field.dataTypeID, field.tableID])
  }
  const columns = [
    [mood, table],
    [arrays, table],
    [pair, table],
  ]
  for (let round = 0; round < 2; round++) {
    for (let id = 1; id <= 20; id++) {
      expect(await fieldsOf(`SELECT m, ms, p FROM t WHERE id = ${id}`)).toEqual(columns)
      expect(await fieldsOf('SELECT m, ms, p FROM t WHERE id = $1', [id])).toEqual(columns)
      expect(await fieldsOf('SELECT m, ms, p FROM t WHERE id = $1', [id], 'named')).toEqual(columns)
    }
  }
  expect(await fieldsOf('SELECT m, ms, p FROM t')).toEqual(columns)
  for (let id = 1; id <= 6; id++) {
    expect(await fieldsOf(`UPDATE t SET m = 'sad' WHERE id = ${id} RETURNING m, ms, p`)).toEqual(columns)
    expect(await fieldsOf(`INSERT INTO t VALUES (${100 + id}, 'ok') RETURNING m`)).toEqual([[mood, table]])
    await client.query('BEGIN')
    await client.query(`UPDATE t SET m = 'ok' WHERE id = ${id}`)
    expect(await fieldsOf('SELECT max(m), min(ms) FROM t')).toEqual([
      [mood, 0],
      [arrays, 0],
    ])
    await client.query('COMMIT')
  }
  await client.query(`CREATE TYPE late AS ENUM ('a'); ALTER TABLE t ADD COLUMN l late DEFAULT 'a'`)
  const [{ late }] = (await client.query(`SELECT 'late'::regtype::oid::int AS late`)).rows as [
    { late: number },
  ]
  for (let id = 1; id <= 6; id++)
    expect(await fieldsOf(`SELECT l FROM t WHERE id = ${id}`)).toEqual([[late, table]])
  await client.end()
})

describe('parameters of types of users, by the number that the catalog has', () => {
  let wire: WireClient
  let oids: Record<string, number>
  beforeAll(async () => {
    const { weft, weftUrl } = cluster.current
    await query(
      weftUrl,
      `CREATE FUNCTION which(mood) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'mood'$$`,
    )
    await query(
      weftUrl,
      `CREATE FUNCTION which(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT 'text'$$`,
    )
    const rows = await query<{ name: string; oid: number }>(
      weftUrl,
      `SELECT typname::text AS name, oid::int FROM pg_type WHERE typname IN ('mood', '_mood', 'pair')`,
    )
    oids = Object.fromEntries(rows.map(({ name, oid }) => [name, oid]))
    wire = await WireClient.connect({ host: weft.host, port: weft.port })
  })
  afterAll(() => wire.destroy())

  /** Parse, Describe of the statement, Bind, Execute, Sync: the texts of all that comes back. */
  async function run(
    sql: string,
    types: readonly number[],
    params: readonly string[],
    name = '',
  ): Promise<string[]> {
    const messages = [parse(name, sql, types), describeMessage('S', name), SYNC]
    wire.write(Buffer.concat([...messages, bind({ statement: name, params }), execute('', 0), SYNC]))
    return (await wire.until('ReadyForQuery', 2)).map(({ text }) => text)
  }

  /** The same without a look at the statement first. */
  async function runAtOnce(
    sql: string,
    types: readonly number[],
    params: readonly string[],
  ): Promise<string[]> {
    wire.write(
      Buffer.concat([
        parse('', sql, types),
        bind({ params }),
        describeMessage('P', ''),
        execute('', 0),
        SYNC,
      ]),
    )
    return (await wire.until('ReadyForQuery')).map(({ text }) => text)
  }

  const text = async (sql: string) => {
    wire.write(queryMessage(sql))
    await wire.until('ReadyForQuery')
  }

  test.each(['alone', 'in a transaction'])('%s: of one row, on whichever shard', async (where) => {
    for (let id = 1; id <= 12; id++) {
      const sql = `SELECT which($1), $1 AS m, $2 AS p FROM t WHERE id = ${id}`
      const types = [oids.mood!, oids.pair!]
      if (where !== 'alone') await text(`BEGIN; UPDATE t SET m = m WHERE id = ${id}`)
      for (const seen of [
        await run(sql, types, ['ok', '(1,x)']),
        await runAtOnce(sql, types, ['ok', '(1,x)']),
        await run(sql, types, ['ok', '(1,x)'], `named ${where} ${id}`),
      ]) {
        expect(seen.join('\n')).not.toContain('ErrorResponse')
        expect(seen.join('\n')).toContain(`DataRow`)
        expect(seen.find((line) => line.startsWith('DataRow'))).toContain('mood')
      }
      if (where !== 'alone') await text('ROLLBACK')
    }
  })

  test('of all rows, in writes of one row and of several', async () => {
    const all = await runAtOnce('SELECT count(*) FROM t WHERE m <= $1', [oids.mood!], ['ok'])
    expect(all.join('\n')).toMatch(/DataRow \D*26\b/)
    for (let id = 1; id <= 6; id++) {
      const one = await runAtOnce(
        `UPDATE t SET m = $1 WHERE id = ${id} AND which($1) = 'mood'`,
        [oids.mood!],
        ['sad'],
      )
      expect(one).toContain('CommandComplete UPDATE 1')
    }
    const many = await runAtOnce(`UPDATE t SET ms = $1 WHERE id <= 20`, [oids._mood!], ['{ok}'])
    expect(many).toContain('CommandComplete UPDATE 20')
    const rows = Array.from({ length: 8 }, (_, i) => `(${200 + i}, $1)`).join()
    expect(await runAtOnce(`INSERT INTO t (id, m) VALUES ${rows}`, [oids.mood!], ['ok'])).toContain(
      'CommandComplete INSERT 0 8',
    )
  })

  test('a binary array has the number of its elements within: Postgres takes it for one of its own', async () => {
    const array = Buffer.alloc(26)
    for (const [i, n] of [1, 0, oids.mood!, 1, 1, 2].entries()) array.writeInt32BE(n, i * 4)
    array.write('ok', 24)
    for (let id = 1; id <= 12; id++) {
      const bound = bind({ params: [array], paramFormats: [1] })
      const sql = `UPDATE t SET ms = $1 WHERE id = ${id}`
      wire.write(Buffer.concat([parse('', sql, [oids._mood!]), bound, execute('', 0), SYNC]))
      const seen = (await wire.until('ReadyForQuery')).map(({ text }) => text)
      expect(seen).toContain('CommandComplete UPDATE 1')
    }
    const rows = await query(cluster.current.weftUrl, `SELECT id FROM t WHERE id <= 12 AND ms = '{ok}'`)
    expect(rows).toHaveLength(12)
  })

  test('Describe of a statement in a transaction that is on one shard only: the numbers of the catalog', async () => {
    const sql = postgres(cluster.current.weftUrl, { max: 1, fetch_types: false })
    for (let id = 1; id <= 12; id++) {
      await sql.begin(async (tx) => {
        await tx.unsafe(`UPDATE t SET m = m WHERE id = ${id}`)
        const told = await tx
          .unsafe(`SELECT m, p FROM t WHERE id = ${id} AND m = $1`, [null as never])
          .describe()
        expect(told.types).toEqual([oids.mood])
        expect(told.columns.map((column) => column.type)).toEqual([oids.mood, oids.pair])
      })
    }
    await sql.end()
  })
})
