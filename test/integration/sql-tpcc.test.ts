import { readFileSync } from 'node:fs'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'
import { seeded } from '../helpers/random-queries.ts'
import { type Row, type Run, runTransaction } from '../tpcc/transactions.ts'

/** TPC-C's transactions, sharded by warehouse: the same ones, from a seed, on one Postgres and on Weft. */
const cluster = useTestCluster()
const text = (name: string): string => readFileSync(new URL(`../tpcc/${name}`, import.meta.url), 'utf8')
const TRANSACTIONS = 150
const TABLES = [
  'warehouse',
  'district',
  'customer',
  'history',
  'item',
  'stock',
  'orders',
  'new_order',
  'order_line',
]
const AS_TEXT = { getTypeParser: () => (value: string) => value }

let weft: pg.Client
let plain: pg.Client

beforeAll(async () => {
  weft = await connectTo(cluster.current.weftUrl)
  plain = await connectTo(cluster.current.plainUrl)
  await Promise.all([plain.query(text('schema.sql')), weft.query(text('schema.sql'))])
  for (const declaration of text('sharded.sql').trim().split('\n')) await weft.query(declaration)
  await plain.query(text('data.sql'))
  for (const statement of text('data.sql').split(/;\n/).slice(0, -1)) await weft.query(statement)
})
afterAll(() => Promise.all([weft.end(), plain.end()]))

/** What every statement of the transactions answered. */
async function answers(client: pg.Client, isNamed: boolean): Promise<string[]> {
  const r = seeded(7)
  const heard: string[] = []
  const names = new Map<string, string>()
  const run: Run = async (sql, params) => {
    if (!names.has(sql)) names.set(sql, `s${names.size}`)
    const name = isNamed ? { name: names.get(sql)! } : {}
    const { rows, rowCount } = await client.query<Row>({
      ...name,
      text: sql,
      values: [...params],
      types: AS_TEXT,
    })
    heard.push(`${sql.trim().slice(0, 40)}: ${rowCount} ${JSON.stringify(rows)}`)
    return rows
  }
  for (let turn = 0; turn < TRANSACTIONS; turn++) {
    heard.push(await runTransaction(client, run, r))
  }
  return heard
}

describe.each([false, true])('statements that are named: %s', (isNamed) => {
  test('every statement answers the same', async () => {
    const expected = await answers(plain, isNamed)
    expect(expected.filter((line) => line === 'ROLLBACK').length).toBeGreaterThan(0)
    expect(await answers(weft, isNamed)).toEqual(expected)
  })

  test.each(TABLES)('%s is the same', async (table) => {
    const query = { text: `SELECT * FROM ${table}`, types: AS_TEXT }
    const [expected, actual] = await Promise.all([plain.query(query), weft.query(query)])
    const sorted = (rows: unknown[]) => rows.map((row) => JSON.stringify(row)).sort()
    expect(sorted(actual.rows)).toEqual(sorted(expected.rows))
  })
})
