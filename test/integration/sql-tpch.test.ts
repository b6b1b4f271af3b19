import { readdirSync, readFileSync } from 'node:fs'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'
import { tpchRows } from '../tpch/rows.ts'

/** TPC-H's 22 queries over a small database from a seed: what Weft answers, beside one Postgres. */
const cluster = useTestCluster()
const folder = new URL('../tpch/', import.meta.url)
const text = (name: string): string => readFileSync(new URL(name, folder), 'utf8')
const queries = readdirSync(new URL('queries/', folder)).sort()
const ROWS_AT_ONCE = 500

let weft: pg.Client
let plain: pg.Client

beforeAll(async () => {
  weft = await connectTo(cluster.current.weftUrl)
  plain = await connectTo(cluster.current.plainUrl)
  await Promise.all([plain.query(text('schema.sql')), weft.query(text('schema.sql'))])
  for (const declaration of text('sharded.sql').trim().split('\n')) await weft.query(declaration)
  const rows = Object.entries(tpchRows(18, { suppliers: 100, parts: 400, customers: 300, orders: 2_000 }))
  for (const [table, values] of rows) {
    for (const client of [plain, weft]) await insert(client, table, values)
  }
  await plain.query('ANALYZE')
})
afterAll(() => Promise.all([weft.end(), plain.end()]))

async function insert(
  client: pg.Client,
  table: string,
  rows: readonly (readonly (string | number)[])[],
): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const values = rows
      .slice(at, at + ROWS_AT_ONCE)
      .map((row) => `(${row.map((value) => `'${value}'`).join(', ')})`)
    await client.query(`INSERT INTO ${table} VALUES ${values.join(', ')}`)
  }
}

/** Values as the server printed them; types by number. */
async function answer(client: pg.Client, sql: string): Promise<{ types: number[]; rows: unknown[] }> {
  const types = { getTypeParser: () => (value: string) => value }
  const result = await client.query({ text: sql, rowMode: 'array', types })
  return { types: result.fields.map((field) => field.dataTypeID), rows: result.rows }
}

test.each(queries)('%s', async (name) => {
  const sql = text(`queries/${name}`)
  const expected = await answer(plain, sql)
  expect(expected.rows.length).toBeGreaterThan(0)
  for (const spread of ['auto', 'always']) {
    await weft.query(`SET weft.spread = ${spread}`)
    expect([spread, await answer(weft, sql)]).toEqual([spread, expected])
  }
})
