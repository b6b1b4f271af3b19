import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

/** WITH queries that write what the rest of their statement reads, while others write it too. */
const cluster = useTestCluster()
const ROWS = 30
const ONES = 10
const TOTAL = ROWS * 100
const ROUNDS = 15

let clients: pg.Client[]

beforeAll(async () => {
  clients = await Promise.all(Array.from({ length: 4 }, () => connectTo(cluster.current.weftUrl)))
  await clients[0]!.query(`
    CREATE TABLE acc (id int PRIMARY KEY, grp int, bal int, seen int DEFAULT 0) WITH (shard_key = 'id');
    CREATE TABLE names (name text PRIMARY KEY, id int) WITH (shard_key = 'name');
    INSERT INTO acc SELECT i, CASE WHEN i <= ${ONES} THEN 1 ELSE 2 END, 100 FROM generate_series(1, ${ROWS}) i`)
})
afterAll(() => Promise.all(clients.map((client) => client.end())))

/** Two rows change places and money: of each group as many as before, and as much in all. */
async function swap(client: pg.Client, round: number): Promise<void> {
  await client.query('BEGIN')
  try {
    const one = `(SELECT id FROM acc WHERE grp = 1 ORDER BY id OFFSET ${round % ONES} LIMIT 1)`
    const other = `(SELECT id FROM acc WHERE grp = 2 ORDER BY id OFFSET ${(round * 7) % (ROWS - ONES)} LIMIT 1)`
    const { rows } = await client.query(`SELECT ${one} AS a, ${other} AS b`)
    const [a, b] = [rows[0].a, rows[0].b].map(Number)
    const moved = await client.query(
      `UPDATE acc SET grp = 3 - grp, bal = bal + CASE id WHEN ${a} THEN 7 ELSE -7 END
       WHERE id = ${a} AND grp = 1 OR id = ${b} AND grp = 2`,
    )
    await client.query(moved.rowCount === 2 ? 'COMMIT' : 'ROLLBACK')
  } catch {
    await client.query('ROLLBACK')
  }
}

const WRITES_AND_READS = `
  WITH u AS (UPDATE acc SET seen = seen + 1 WHERE grp = 1 RETURNING id, bal)
  SELECT (SELECT sum(bal) FROM acc)::int AS total, count(*)::int AS found,
    count(*) FILTER (WHERE acc.grp = 1 AND acc.bal = u.bal)::int AS alike
  FROM u JOIN acc USING (id)`

test.each(['READ COMMITTED', 'REPEATABLE READ'])(
  '%s: what is written and what is read are of one state',
  async (level) => {
    const [asking, ...others] = clients as [pg.Client, ...pg.Client[]]
    let isOver = false
    const swapping = others.map(async (client, n) => {
      for (let round = n; !isOver; round++) await swap(client, round)
    })
    const seen: unknown[] = []
    try {
      // In REPEATABLE READ most end with 40001: as many as there are.
      const isDone = (round: number) => (level === 'READ COMMITTED' ? seen.length : round) === ROUNDS
      for (let round = 0; !isDone(round); round++) {
        await asking.query(`BEGIN ISOLATION LEVEL ${level}`)
        try {
          seen.push(...(await asking.query(WRITES_AND_READS)).rows)
          await asking.query('COMMIT')
        } catch (error) {
          await asking.query('ROLLBACK')
          // It locks rows of all shards, and the others two each, in whatever order: one of them may have to give way.
          expect((error as { code?: string }).code).toBe(level === 'READ COMMITTED' ? '40P01' : '40001')
        }
      }
    } finally {
      isOver = true
      await Promise.all(swapping)
    }
    for (const row of seen) expect(row).toEqual({ total: TOTAL, found: ONES, alike: ONES })
  },
)

test('get or create by several at once: one row, nobody fails, and who finds none has met another on the way', async () => {
  const getOrCreate = (client: pg.Client, n: number) =>
    client.query(
      `WITH ins AS (INSERT INTO names VALUES ('ann', ${n}) ON CONFLICT DO NOTHING RETURNING id)
       SELECT id FROM ins UNION ALL SELECT id FROM names WHERE name IN ('ann', 'nobody')`,
    )
  const answers = await Promise.all(clients.map(getOrCreate))
  const { rows } = await clients[0]!.query('SELECT * FROM names')
  expect(rows).toHaveLength(1)
  for (const answer of answers)
    expect(answer.rows.every(({ id }) => id === rows[0].id) && answer.rows.length <= 1).toBe(true)
  expect((await getOrCreate(clients[1]!, 99)).rows).toEqual([{ id: rows[0].id }])
})
