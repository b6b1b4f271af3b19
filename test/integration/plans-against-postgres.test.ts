import { loadModule } from 'libpg-query'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { planWorld, sameRows, type World } from '../helpers/planner-world.ts'
import { startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { randomSelect, randomWrite } from '../helpers/random-queries.ts'

/** Plans carried out over three shards give what one Postgres with all the rows gives, or are refused. */

let server: TestPostgres
let world: World

beforeAll(async () => {
  await loadModule()
  server = await startPostgres()
  world = await planWorld(server.url)
}, 60_000)

afterAll(async () => {
  await world?.end()
  await server?.stop()
})

/** Seeds from `from` on; how many of them had an answer. */
async function compare(make: (seed: number) => string, from: number, count: number): Promise<number> {
  let answered = 0
  for (let seed = from; seed < from + count; seed++) {
    const sql = make(seed)
    const got = await world.planned(sql)
    if (got.kind === 'refused') continue
    const wanted = await world.whole(sql)
    expect(sameRows(got, wanted), `seed ${seed}: ${sql}`).toBe(true)
    answered++
  }
  return answered
}

describe('plans: random statements', () => {
  it('plans: SELECT with joins, subqueries, aggregates: the answer of one Postgres', async () => {
    expect(await compare(randomSelect, 1, 400)).toBeGreaterThan(80)
  }, 120_000)

  it('plans: UPDATE and DELETE: the rows of one Postgres', async () => {
    expect(await compare(randomWrite, 1, 150)).toBeGreaterThan(50)
  }, 120_000)
})

/** What random statements do not reach. */
const STATEMENTS = [
  'SELECT count(*), count(note), sum(qty), sum(id), sum(amount), avg(qty), avg(id), avg(amount), min(note), max(amount) FROM orders',
  'SELECT sum(price), avg(price), sum(weight), avg(weight), sum(span), avg(span), min(span) FROM items',
  'SELECT avg(age), sum(age), min(id::text), count(*) FILTER (WHERE age > 5) FROM users',
  'SELECT count(*), sum(qty), avg(amount), max(note) FROM orders WHERE qty > 99',
  'SELECT sum(qty)::float8 / count(*), coalesce(sum(amount), 0) + 1, -sum(qty) AS minus, (count(*)) FROM orders',
  'SELECT sum(qty * 2), sum(amount * 1.5), sum(qty + id), avg(coalesce(qty, 0)) FROM orders',
  'SELECT sum(CASE WHEN qty > 1 THEN qty END), avg(qty::numeric(10, 1)), sum(abs(-qty)) FROM orders',
  "SELECT count(*) IS DISTINCT FROM 5, 'x', 7 AS seven FROM orders",
  'SELECT count(*) FROM orders o JOIN items i USING (customer_id)',
  'SELECT customer_id FROM orders NATURAL JOIN items',
  'SELECT customer_id, o.id FROM orders o FULL JOIN items i USING (customer_id)',
  'SELECT * FROM orders o JOIN items i USING (customer_id) AS u WHERE u.customer_id = 5',
  'SELECT * FROM (orders o JOIN items i USING (customer_id)) AS j WHERE j.customer_id = 5',
  'SELECT * FROM orders WHERE (customer_id, id) IN ((5, 1), (6, 2), (9, 3))',
  'SELECT * FROM orders WHERE customer_id = ANY (ARRAY[5, 7]::bigint[])',
  "SELECT * FROM users WHERE id = 'c4ca4238a0b923820dcc509a6f75849b'",
  'WITH RECURSIVE t AS (SELECT id, parent FROM customers WHERE id = 5 UNION ALL SELECT c.id, c.parent FROM customers c JOIN t ON c.parent = t.id WHERE c.id = 5) SELECT * FROM t',
  'UPDATE orders SET qty = qty + 1 RETURNING customer_id, qty',
  'DELETE FROM orders WHERE customer_id IN (1, 2, 3) RETURNING *',
  'INSERT INTO items (customer_id, order_id) SELECT customer_id, id FROM orders WHERE id IS NOT NULL',
  'INSERT INTO items (customer_id, order_id) SELECT customer_id, id FROM orders WHERE customer_id IN (5, 6) AND id IS NOT NULL',
  'INSERT INTO items (customer_id, order_id) SELECT c.id, count(*) FROM customers c JOIN orders o ON o.customer_id = c.id WHERE c.id = 5 GROUP BY c.id',
  'WITH gone AS (DELETE FROM orders WHERE customer_id = 5 RETURNING *) DELETE FROM items i USING gone g WHERE i.customer_id = g.customer_id',
  'WITH gone AS (DELETE FROM orders WHERE customer_id = 5 RETURNING *) INSERT INTO items (customer_id, order_id) SELECT customer_id, count(*) FROM gone GROUP BY customer_id',
  'MERGE INTO orders o USING (SELECT * FROM items WHERE customer_id = 5) i ON i.customer_id = o.customer_id AND o.id = i.order_id WHEN MATCHED THEN DELETE',
]

describe('plans: chosen statements', () => {
  it.each(STATEMENTS)('plans: %s: the answer of one Postgres', async (sql) => {
    const got = await world.planned(sql)
    const wanted = await world.whole(sql)
    expect(got).toMatchObject({ kind: 'rows' })
    expect(sameRows(got, wanted) ? 'same' : [got, wanted]).toBe('same')
  })
})
