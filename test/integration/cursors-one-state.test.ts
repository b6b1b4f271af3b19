import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

/** What a cursor over several shards gives, one way and the other, is of one moment, whoever moves things meanwhile. */
const cluster = useTestCluster()
const KEYS = 12
const TOTAL = KEYS * 100
const CURSORS = 15

let clients: pg.Client[]

beforeAll(async () => {
  clients = await Promise.all(Array.from({ length: 3 }, () => connectTo(cluster.current.weftUrl)))
  await clients[0]!.query(`
    CREATE TABLE accounts (k int PRIMARY KEY, n int) WITH (shard_key = 'k');
    INSERT INTO accounts SELECT i, 100 FROM generate_series(1, ${KEYS}) i`)
})
afterAll(() => Promise.all(clients.map((client) => client.end())))

/** Moves money about until `work` is over. */
async function meanwhile(work: () => Promise<void>): Promise<void> {
  let isOver = false
  const moves = clients.slice(1).map(async (client, c) => {
    for (let i = c; !isOver; i++) {
      const [from, to] = [(i % KEYS) + 1, ((i * 5 + 3) % KEYS) + 1]
      await client.query('BEGIN')
      await client.query('UPDATE accounts SET n = n - 1 WHERE k = $1', [Math.min(from, to)])
      await client.query('UPDATE accounts SET n = n + 1 WHERE k = $1', [Math.max(from, to)])
      await client.query('COMMIT')
    }
  })
  try {
    await work()
  } finally {
    isOver = true
    await Promise.all(moves)
  }
}

const sumOf = (rows: readonly { n: number }[]): number => rows.reduce((sum, { n }) => sum + n, 0)

test.each(['', 'SCROLL ', 'NO SCROLL '])('%s, READ COMMITTED and REPEATABLE READ', async (scroll) => {
  const [client] = clients as [pg.Client]
  await meanwhile(async () => {
    for (let i = 0; i < CURSORS; i++) {
      await client.query(i % 3 === 0 ? 'BEGIN ISOLATION LEVEL REPEATABLE READ' : 'BEGIN')
      // It has its own writes, too.
      if (i % 3 === 1) await client.query('INSERT INTO accounts VALUES (101, 5), (102, -2), (103, -3)')
      await client.query(`DECLARE c ${scroll}CURSOR FOR SELECT * FROM accounts`)
      const { rows } = await client.query('FETCH 5 FROM c')
      rows.push(...(await client.query('FETCH ALL FROM c')).rows)
      expect(sumOf(rows)).toBe(TOTAL)
      if (scroll !== 'NO SCROLL ') {
        const back = await client.query('FETCH BACKWARD ALL FROM c')
        expect(back.rows).toEqual(rows.toReversed())
      }
      await client.query('ROLLBACK')
    }
  })
})

test('rows that move to another shard: a cursor that locks them never misses one', async () => {
  const [client, mover] = clients as [pg.Client, pg.Client]
  let given = 0
  for (let i = 0; i < CURSORS; i++) {
    await client.query('BEGIN')
    await client.query('DECLARE c CURSOR FOR SELECT * FROM accounts WHERE k < 1000 FOR UPDATE')
    const moved = (i % KEYS) + 1
    await mover.query('UPDATE accounts SET k = 200 + k WHERE k = $1', [moved])
    const rows = await client.query('FETCH ALL FROM c').then(
      (result) => result.rows as { n: number }[],
      (error: { code?: string }) => void expect(error.code).toBe('40001'),
    )
    if (rows !== undefined) {
      given++
      expect(rows).toHaveLength(KEYS)
    }
    await client.query('ROLLBACK')
    await mover.query('UPDATE accounts SET k = k - 200 WHERE k > 200')
  }
  // Not all keys change their shard with that.
  expect(given).toBeLessThan(CURSORS)
})
