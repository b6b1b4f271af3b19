import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

/** Row locks over several shards, taken where the rows are: who gets which, beside others who want them. */
const cluster = useTestCluster()
const JOBS = 60

let clients: pg.Client[]

beforeAll(async () => {
  clients = await Promise.all(Array.from({ length: 6 }, () => connectTo(cluster.current.weftUrl)))
  await clients[0]!.query(
    `CREATE TABLE jobs (id bigint PRIMARY KEY, prio int, state text, taker int) WITH (shard_key = 'id')`,
  )
})
afterAll(() => Promise.all(clients.map((client) => client.end())))
beforeEach(async () => {
  await clients[0]!.query(`DELETE FROM jobs;
    INSERT INTO jobs SELECT i, i % 7, 'new', NULL FROM generate_series(1, ${JOBS}) i`)
})

const ids = async (client: pg.Client, sql: string): Promise<number[]> =>
  (await client.query(sql)).rows.map(({ id }) => Number(id))

/** Waits until `asking`'s statement is held up by somebody. */
async function heldUp(watching: pg.Client, asking: pg.Client): Promise<void> {
  const { processID } = asking as unknown as { processID: number }
  for (;;) {
    const { rows } = await watching.query('SELECT cardinality(pg_blocking_pids($1)) > 0 AS held', [processID])
    if (rows[0].held) return
  }
}

const first = (count: number, how: string): string =>
  `SELECT id FROM jobs WHERE state = 'new' ORDER BY id LIMIT ${count} FOR UPDATE ${how}`

test('SKIP LOCKED: the next rows that nobody has, however many others have', async () => {
  const [a, b, c] = clients as [pg.Client, pg.Client, pg.Client]
  await a.query('BEGIN')
  await b.query('BEGIN')
  expect(await ids(a, first(40, 'SKIP LOCKED'))).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
  expect(await ids(b, first(3, 'SKIP LOCKED'))).toEqual([41, 42, 43])
  expect(await ids(c, first(30, 'SKIP LOCKED'))).toEqual(Array.from({ length: 17 }, (_, i) => i + 44))
  expect(await ids(c, `${first(2, 'SKIP LOCKED').replace('FOR', 'OFFSET 1 FOR')}`)).toEqual([45, 46])
  await a.query('ROLLBACK')
  expect(await ids(c, first(2, 'SKIP LOCKED'))).toEqual([1, 2])
  await b.query('ROLLBACK')
})

test('only the rows that are given are locked', async () => {
  const [a, b] = clients as [pg.Client, pg.Client]
  await a.query('BEGIN')
  await a.query(first(3, ''))
  const free = await ids(b, 'SELECT id FROM jobs FOR UPDATE SKIP LOCKED')
  expect(free.sort((x, y) => x - y)).toEqual(Array.from({ length: JOBS - 3 }, (_, i) => i + 4))
  await a.query('ROLLBACK')
})

test('of a subquery, a view, and in a cursor: the same', async () => {
  const [a, b] = clients as [pg.Client, pg.Client]
  await a.query('CREATE OR REPLACE VIEW new_jobs AS SELECT id, prio FROM jobs WHERE state = $$new$$')
  const within = `(SELECT id, prio FROM jobs WHERE state = 'new') s`
  const firstTwo = `(SELECT id FROM jobs ORDER BY id LIMIT 2) s`
  const ways = [
    ['SELECT id FROM new_jobs ORDER BY id LIMIT 2 FOR UPDATE', 'SELECT id FROM new_jobs ORDER BY id LIMIT 2'],
    [
      `SELECT id FROM ${within} ORDER BY id LIMIT 2 FOR UPDATE`,
      `SELECT id FROM ${within} ORDER BY id LIMIT 2`,
    ],
    [`SELECT id FROM ${firstTwo} FOR UPDATE`, `SELECT id FROM ${firstTwo}`],
  ] as const
  for (const [locking, reading] of ways) {
    await a.query('BEGIN')
    await b.query('BEGIN')
    expect(await ids(a, locking)).toEqual([1, 2])
    expect(await ids(b, `${reading} FOR UPDATE SKIP LOCKED`)).toEqual([3, 4])
    await expect(b.query(`${reading} FOR UPDATE NOWAIT`)).rejects.toMatchObject({ code: '55P03' })
    await a.query('ROLLBACK')
    await b.query('ROLLBACK')
  }
  await a.query('BEGIN')
  await a.query('DECLARE c CURSOR FOR SELECT id FROM jobs WHERE prio < 3 ORDER BY id LIMIT 4 FOR UPDATE')
  expect(await ids(a, 'FETCH 2 FROM c')).toEqual([1, 2])
  expect(await ids(b, first(3, 'SKIP LOCKED'))).toEqual([3, 4, 5])
  await a.query('ROLLBACK')
})

test('NOWAIT, and a lock that does not conflict', async () => {
  const [a, b] = clients as [pg.Client, pg.Client]
  await a.query('BEGIN')
  await a.query(first(3, '').replace('UPDATE', 'SHARE'))
  expect(await ids(b, first(3, '').replace('UPDATE', 'KEY SHARE'))).toEqual([1, 2, 3])
  await expect(b.query(first(3, 'NOWAIT'))).rejects.toMatchObject({
    code: '55P03',
    message: 'could not obtain lock on row in relation "jobs"',
  })
  await a.query('ROLLBACK')
})

test('after a wait: rows that are meant no longer, and those that are meant in their place', async () => {
  const [a, b, c] = clients as [pg.Client, pg.Client, pg.Client]
  await b.query('BEGIN')
  await b.query(`UPDATE jobs SET state = 'done' WHERE id = 1`)
  await b.query(`UPDATE jobs SET prio = 50 WHERE id = 2`)
  await b.query('DELETE FROM jobs WHERE id = 3')
  const waiting = a.query(first(3, '').replace('SELECT id', 'SELECT id, prio'))
  await heldUp(c, a)
  await b.query('COMMIT')
  const { rows } = await waiting
  expect(rows).toEqual([
    { id: '2', prio: 50 },
    { id: '4', prio: 4 },
    { id: '5', prio: 5 },
  ])
})

test('SKIP LOCKED finds rows that have changed and are free', async () => {
  const [a, b] = clients as [pg.Client, pg.Client]
  await a.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await a.query('SELECT count(*) FROM jobs')
  await b.query(`UPDATE jobs SET prio = 50 WHERE id = 2`)
  // Its snapshot is older than the row.
  await expect(a.query(first(3, 'SKIP LOCKED'))).rejects.toMatchObject({ code: '40001' })
  await a.query('ROLLBACK')
  expect(await ids(a, first(3, 'SKIP LOCKED'))).toEqual([1, 2, 3])
})

test('two that lock the same rows in the same order wait for each other one way only', async () => {
  const [a, b, c, d] = clients as [pg.Client, pg.Client, pg.Client, pg.Client]
  const rounds = async (client: pg.Client, order: string) => {
    for (let round = 0; round < 15; round++) {
      await client.query('BEGIN')
      const got = await ids(client, `SELECT id FROM jobs WHERE id <= 12 ${order} FOR UPDATE`)
      expect(got.length).toBe(12)
      await client.query('UPDATE jobs SET prio = prio + 1 WHERE id IN (4, 7, 9)')
      await client.query('COMMIT')
    }
  }
  await Promise.all([a, b, c, d].map((client) => rounds(client, 'ORDER BY id')))
  expect((await a.query('SELECT prio FROM jobs WHERE id = 4')).rows).toEqual([{ prio: 64 }])
})

/** Takes a job at a time until there are none that are new; a job that somebody else is at is not there for it. */
async function work(client: pg.Client, taker: number, take: string): Promise<number[]> {
  const taken: number[] = []
  for (;;) {
    const got = (await client.query(take, [taker])).rows.map(({ id }) => Number(id))
    taken.push(...got)
    if (got.length > 0) continue
    const { rows } = await client.query(`SELECT count(*)::int AS left FROM jobs WHERE state = 'new'`)
    if (rows[0].left === 0) return taken
  }
}

const WAYS = {
  'UPDATE … WHERE id = (SELECT … LIMIT 1)': `UPDATE jobs SET state = 'done', taker = $1 WHERE id =
    (SELECT id FROM jobs WHERE state = 'new' ORDER BY prio DESC, id FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING id`,
  'WITH … LIMIT 4 UPDATE … FROM': `WITH next AS (SELECT id FROM jobs WHERE state = 'new' ORDER BY prio DESC, id
    LIMIT 4 FOR UPDATE SKIP LOCKED)
    UPDATE jobs j SET state = 'done', taker = $1 FROM next WHERE j.id = next.id RETURNING j.id`,
}

test.each(Object.entries(WAYS))('workers beside writers, %s: every job is taken once', async (_, take) => {
  const [touching, adding, ...workers] = clients as [pg.Client, pg.Client, ...pg.Client[]]
  let isOver = false
  const touch = async () => {
    for (let id = 1; !isOver; id = (id % JOBS) + 1)
      await touching.query(`UPDATE jobs SET prio = prio + 1 WHERE id = ${id}`)
  }
  const add = async () => {
    for (let id = 1; id <= 20; id++)
      await adding.query(`INSERT INTO jobs VALUES (${JOBS + id}, ${id}, 'new', NULL)`)
  }
  const touches = touch()
  await add()
  const taken = await Promise.all(workers.map((client, i) => work(client, i, take)))
  isOver = true
  await touches
  const all = taken.flat().sort((a, b) => a - b)
  expect(all).toEqual(Array.from({ length: JOBS + 20 }, (_value, i) => i + 1))
  const { rows } = await adding.query(
    'SELECT taker, array_agg(id::int ORDER BY id) AS ids FROM jobs GROUP BY 1',
  )
  const kept = new Map(rows.map(({ taker, ids: own }) => [taker, own]))
  for (const [i, own] of taken.entries()) expect(kept.get(i) ?? []).toEqual(own.sort((a, b) => a - b))
})
