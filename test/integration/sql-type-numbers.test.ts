import pg from 'pg'
import { expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

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
