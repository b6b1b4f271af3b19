import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

/** Rows whose shard key is changed, beside others who read and change them. */
const cluster = useTestCluster()
const ROWS = 24
const ROUNDS = 8

let clients: pg.Client[]
let plain: pg.Client[]

const TABLE = 'CREATE TABLE crates (k int PRIMARY KEY, id int, hits int)'

beforeAll(async () => {
  const { weftUrl, plainUrl } = cluster.current
  clients = await Promise.all(Array.from({ length: 3 }, () => connectTo(weftUrl)))
  plain = await Promise.all(Array.from({ length: 3 }, () => connectTo(plainUrl)))
  await clients[0]!.query(`${TABLE} WITH (shard_key = 'k')`)
  await plain[0]!.query(TABLE)
})
afterAll(() => Promise.all([...clients, ...plain].map((client) => client.end())))
beforeEach(async () => {
  const fill = `DELETE FROM crates; INSERT INTO crates SELECT i, i, 0 FROM generate_series(1, ${ROWS}) i`
  for (const client of [clients[0]!, plain[0]!]) await client.query(fill)
})

/** Each of some rows goes from place to place, alone or with the others. */
async function wander(
  client: pg.Client,
  ids: readonly number[],
  together: boolean,
  goesOn: () => boolean,
): Promise<void> {
  for (let turn = 1; goesOn(); turn++) {
    const all = ids.map((id) => `(${id})`).join(', ')
    const moves = [
      `UPDATE crates SET k = k + ${ROWS} WHERE id = ${ids[turn % ids.length]}`,
      `UPDATE crates SET k = k + ${ROWS} WHERE id IN (${ids.join(', ')})`,
      `MERGE INTO crates c USING (VALUES ${all}) v (id) ON c.id = v.id WHEN MATCHED THEN UPDATE SET k = c.k + ${ROWS}`,
      `UPDATE crates SET k = k + ${ROWS} + (random() * 0)::int WHERE id IN (${ids.join(', ')})`,
    ]
    await client.query(moves[together ? turn % moves.length : 0]!)
  }
}

async function whileRowsMove(together: boolean, work: (asking: pg.Client) => Promise<void>): Promise<void> {
  const [asking, ...moving] = clients as [pg.Client, ...pg.Client[]]
  let goesOn = true
  const moves = moving.map((client, i) => {
    const ids = Array.from({ length: ROWS }, (_, at) => at + 1).filter((id) => id % moving.length === i)
    return wander(client, ids, together, () => goesOn)
  })
  try {
    for (let round = 0; round < ROUNDS; round++) await work(asking)
  } finally {
    goesOn = false
    await Promise.all(moves)
  }
}

test('every read sees every row once', async () => {
  const isolations = ['read committed', 'repeatable read']
  await whileRowsMove(true, async (asking) => {
    const whole = [{ n: ROWS, ids: ROWS, sum: (ROWS * (ROWS + 1)) / 2 }]
    const sum = 'SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids, sum(id)::int FROM crates'
    expect((await asking.query(sum)).rows).toEqual(whole)
    const { rows } = await asking.query<{ id: number }>('SELECT * FROM crates')
    expect(rows.map(({ id }) => id).sort((a, b) => a - b)).toEqual(
      Array.from({ length: ROWS }, (_, i) => i + 1),
    )
    for (const isolation of isolations) {
      await asking.query(`BEGIN ISOLATION LEVEL ${isolation}`)
      expect((await asking.query(sum)).rows).toEqual(whole)
      await asking.query('COMMIT')
    }
  })
})

test('a change of every row finds every row once, wherever it is by then', async () => {
  // Who takes several rows in another order than it does may meet it in a deadlock, as on one Postgres.
  let done = 0
  await whileRowsMove(false, async (asking) => {
    const answer = await told(asking.query('UPDATE crates SET hits = hits + 1'))
    // Where rows never stand still it may give up.
    if (answer === '40001') return
    expect(answer).toMatchObject({ count: ROWS })
    done++
  })
  const { rows } = await clients[0]!.query('SELECT min(hits), max(hits) FROM crates')
  expect(rows).toEqual([{ min: done, max: done }])
})

/** Waits until `asking`'s statement is held up by somebody. */
async function heldUp(watching: pg.Client, asking: pg.Client): Promise<void> {
  const { processID } = asking as unknown as { processID: number }
  for (;;) {
    const { rows } = await watching.query('SELECT cardinality(pg_blocking_pids($1)) > 0 AS held', [processID])
    if (rows[0].held) return
  }
}

type Told = { readonly count: number | null; readonly rows: readonly unknown[] } | string

const told = (answer: Promise<pg.QueryResult>): Promise<Told> =>
  answer.then(
    ({ rowCount, rows }) => ({ count: rowCount, rows }),
    (error: { code: string }) => error.code,
  )

/** What a statement says that waits for rows which `moves` gives another key, and what is there afterwards. */
async function after(
  [asking, other, watching]: readonly pg.Client[],
  moves: string,
  waits: string,
  block?: string,
): Promise<readonly Told[]> {
  await other!.query('BEGIN')
  await other!.query(moves)
  if (block !== undefined) await asking!.query(block)
  const answer = told(asking!.query(waits))
  await heldUp(watching!, asking!)
  await other!.query('COMMIT')
  const first = await answer
  if (block !== undefined) await asking!.query('ROLLBACK')
  return [first, await told(asking!.query('SELECT * FROM crates WHERE id < 4 ORDER BY id'))]
}

/** 501, 502, … are on all shards. */
const MOVES = 'UPDATE crates SET k = 500 + k WHERE id < 6'

test.each([
  'UPDATE crates SET hits = hits + 1 WHERE id = 3',
  'UPDATE crates SET k = k + 1000 WHERE id = 2 RETURNING k',
  'UPDATE crates SET hits = 9 WHERE k IN (1, 2, 3, 503)',
  'UPDATE crates SET hits = 9 WHERE k = 3',
  'UPDATE crates SET k = 77 WHERE k = 3',
  'DELETE FROM crates WHERE id = 1',
  'SELECT id FROM crates WHERE id < 4 ORDER BY id FOR UPDATE',
])(
  'who has waited for rows that moved goes on with what they are, as one Postgres does: %s',
  async (waits) => {
    expect(await after(clients, MOVES, waits)).toEqual(await after(plain, MOVES, waits))
  },
)

test.each([
  'UPDATE crates SET hits = hits + 1 WHERE id < 4 RETURNING hits',
  'SELECT hits FROM crates WHERE id = 2 FOR UPDATE',
])('or is told to run it again, where rows of the answer may have been sent: %s', async (waits) => {
  const [first, second] = await after(clients, MOVES, waits)
  expect(first).toBe('40001')
  expect(second).toMatchObject({ rows: [1, 2, 3].map((id) => ({ id, k: 500 + id, hits: 0 })) })
})

test('in a block, where some of it is done, the client is told to run it again', async () => {
  const waits = 'UPDATE crates SET hits = hits + 1 WHERE id = 3'
  const [first] = await after(clients, MOVES, waits, 'BEGIN')
  expect(first).toBe('40001')
  const [second] = await after(
    clients,
    'UPDATE crates SET k = k + 1 WHERE id < 6',
    waits,
    'BEGIN ISOLATION LEVEL REPEATABLE READ',
  )
  expect(second).toBe('40001')
})

test('a row may move twice in a transaction, and not back: who waits for it by its key finds it', async () => {
  const [asking, other, watching] = clients as [pg.Client, pg.Client, pg.Client]
  const back = (by: number) => other.query(`UPDATE crates SET k = k - ${by} WHERE id < 6`)
  await other.query('BEGIN')
  await other.query('SAVEPOINT here')
  await other.query('UPDATE crates SET k = k + 500 WHERE id < 6')
  await other.query('SAVEPOINT there')
  const answer = told(asking.query('UPDATE crates SET hits = 9 WHERE k = 3'))
  await heldUp(watching, asking)
  await expect(back(500)).rejects.toMatchObject({ code: '0A000', message: /moved in this transaction/ })
  await other.query('ROLLBACK TO there')
  await other.query('UPDATE crates SET k = k + 500 WHERE id < 6')
  await expect(back(1000)).rejects.toMatchObject({ code: '0A000' })
  await other.query('ROLLBACK TO here')
  await other.query('COMMIT')
  expect(await answer).toMatchObject({ count: 1 })
  await other.query('UPDATE crates SET k = k + 500 WHERE id < 6')
  await back(500)
  expect((await other.query('SELECT k FROM crates WHERE hits = 9')).rows).toEqual([{ k: 3 }])
})

test('a move waits for who changes its rows, and takes them along as they are then', async () => {
  const changes = 'UPDATE crates SET hits = 7 WHERE id = 3'
  const move = 'UPDATE crates SET k = k + 500, hits = hits + 1 WHERE id < 4 RETURNING id, k, hits'
  const [weft, one] = [await after(clients, changes, move), await after(plain, changes, move)]
  const sorted = (answer: readonly Told[]) =>
    answer.map((part) =>
      typeof part === 'string' ? part : [...part.rows].map((row) => JSON.stringify(row)).sort(),
    )
  expect(sorted(weft)).toEqual(sorted(one))
})

test('what would be too much to move is refused, and nothing is left of it', async () => {
  const [client] = clients as [pg.Client]
  await client.query("SET weft.max_gathered = '64kB'")
  await client.query('ALTER TABLE crates ADD COLUMN load text')
  await client.query("UPDATE crates SET load = repeat('x', 20000)")
  const moved = client.query('UPDATE crates SET k = k + 5000')
  await expect(moved).rejects.toMatchObject({ code: '54000' })
  expect((await client.query('SELECT count(*)::int AS n, max(k) AS k FROM crates')).rows).toEqual([
    { n: ROWS, k: ROWS },
  ])
  await client.query('RESET weft.max_gathered')
  await client.query('UPDATE crates SET k = k + 5000')
  expect((await client.query('SELECT count(*)::int AS n, min(k) AS k FROM crates')).rows).toEqual([
    { n: ROWS, k: 5001 },
  ])
})

test('an INSERT that moves the row in its way inserts or moves one row, whoever else does', async () => {
  let done = 0
  const refused = new Set<string>()
  await Promise.all(
    clients.map(async (client, n) => {
      for (let turn = 0; turn < ROUNDS * 4; turn++) {
        const k = 1 + ((turn * (n + 1)) % ROWS)
        const insert = `INSERT INTO crates VALUES (${k}, 0, 0) ON CONFLICT (k) DO UPDATE`
        const move = `${insert} SET k = crates.k + ${1 + (turn % 3)} * ${ROWS}, hits = crates.hits + 1`
        try {
          const { rowCount } = await client.query(move)
          expect(rowCount).toBe(1)
          done++
        } catch (error) {
          refused.add((error as pg.DatabaseError).code ?? String(error))
        }
      }
    }),
  )
  const { rows } = await clients[0]!.query('SELECT (count(*) + sum(hits))::int AS done FROM crates')
  expect(rows).toEqual([{ done: ROWS + done }])
  expect(done).toBeGreaterThan(ROUNDS)
  // Keys that are taken; rows that have moved from there meanwhile, and who waits for whom.
  for (const code of refused) expect(['23505', '40001', '40P01']).toContain(code)
})
