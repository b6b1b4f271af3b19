import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

/** A MERGE by itself: its source and its target are of one moment, whoever changes both meanwhile. */
const cluster = useTestCluster()
const KEYS = 12
const MERGES = 15

let clients: pg.Client[]

beforeAll(async () => {
  clients = await Promise.all(Array.from({ length: 3 }, () => connectTo(cluster.current.weftUrl)))
  await clients[0]!.query(`
    CREATE TABLE here (k int PRIMARY KEY, n int) WITH (shard_key = 'k');
    CREATE TABLE there (k int PRIMARY KEY, n int, seen int) WITH (shard_key = 'k', colocate_with = 'none');
    INSERT INTO here SELECT i, 50 FROM generate_series(1, ${KEYS}) i;
    INSERT INTO there SELECT i * 7, 50 FROM generate_series(1, ${KEYS}) i`)
})
afterAll(() => Promise.all(clients.map((client) => client.end())))

const MERGE = 'MERGE INTO there t USING here h ON t.k = h.k * 7 WHEN MATCHED THEN UPDATE SET seen = t.n + h.n'

test('what it adds up is what there was', async () => {
  const [merging, reading, moving] = clients as [pg.Client, pg.Client, pg.Client]
  let isOver = false
  const moves = (async () => {
    for (let i = 0; !isOver; i++) {
      const key = (i % KEYS) + 1
      await moving.query('BEGIN')
      await moving.query(`UPDATE here SET n = n - 1 WHERE k = ${key}`)
      await moving.query(`UPDATE there SET n = n + 1 WHERE k = ${key * 7}`)
      await moving.query('COMMIT')
      await reading.query('SELECT sum(n) FROM here')
    }
  })()
  let answered = 0
  for (let i = 0; i < MERGES; i++) {
    const code = await merging.query(MERGE).then(
      () => undefined,
      (error: { code?: string }) => error.code,
    )
    if (code === undefined) {
      answered++
      const { rows } = await merging.query('SELECT DISTINCT seen FROM there')
      expect(rows).toEqual([{ seen: 100 }])
    } else expect(code).toBe('40001')
  }
  isOver = true
  await moves
  expect(answered).toBeGreaterThan(MERGES / 2)
})

test('it waits for who has a row, and goes on with what is there then', async () => {
  const [merging, , moving] = clients as [pg.Client, pg.Client, pg.Client]
  await moving.query('BEGIN')
  await moving.query('UPDATE here SET n = n - 5 WHERE k = 3')
  await moving.query('UPDATE there SET n = n + 5 WHERE k = 21')
  const merged = merging.query(`${MERGE} WHEN NOT MATCHED THEN INSERT VALUES (h.k * 7, 0, 0)`)
  const { processID } = merging as unknown as { processID: number }
  for (let isHeld = false; !isHeld; ) {
    const { rows } = await moving.query('SELECT cardinality(pg_blocking_pids($1)) > 0 AS held', [processID])
    isHeld = rows[0].held
  }
  await moving.query('COMMIT')
  expect((await merged).rowCount).toBe(KEYS)
  expect((await merging.query('SELECT DISTINCT seen FROM there')).rows).toEqual([{ seen: 100 }])
})
