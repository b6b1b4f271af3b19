import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

/** UPDATE and DELETE whose rows are found by what is gathered, beside others who change rows of both tables. */
const cluster = useTestCluster()
const ROWS = 24
const ROUNDS = 15

let clients: pg.Client[]

beforeAll(async () => {
  clients = await Promise.all(Array.from({ length: 5 }, () => connectTo(cluster.current.weftUrl)))
  await clients[0]!.query(`CREATE TABLE lamps (id int PRIMARY KEY, lit bool, hits int) WITH (shard_key = 'id');
    CREATE TABLE mirrors (k int PRIMARY KEY, id int, lit bool) WITH (shard_key = 'k', colocate_with = 'none')`)
})
afterAll(() => Promise.all(clients.map((client) => client.end())))
beforeEach(async () => {
  await clients[0]!.query(`DELETE FROM lamps; DELETE FROM mirrors;
    INSERT INTO lamps SELECT i, true, 0 FROM generate_series(1, ${ROWS}) i;
    INSERT INTO mirrors SELECT 1000 - i, i, true FROM generate_series(1, ${ROWS}) i`)
})

/** A lamp and its mirror always tell the same, to whoever sees one state. */
async function flip(client: pg.Client, id: number): Promise<void> {
  await client.query('BEGIN')
  await client.query(`UPDATE lamps SET lit = NOT lit WHERE id = ${id}`)
  await client.query(`UPDATE mirrors SET lit = NOT lit WHERE k = ${1000 - id}`)
  await client.query('COMMIT')
}

async function flipWhile(client: pg.Client, ids: readonly number[], goesOn: () => boolean): Promise<void> {
  for (let turn = 0; goesOn(); turn++) await flip(client, ids[turn % ids.length]!)
}

const hit = (compare: string): string =>
  `UPDATE lamps SET hits = hits + 1 FROM mirrors m WHERE m.id = lamps.id AND m.lit ${compare} lamps.lit`

async function counts(isolation: string): Promise<{ same: (number | string)[]; other: (number | string)[] }> {
  const [asking, ...flipping] = clients as [pg.Client, ...pg.Client[]]
  let goesOn = true
  const flips = flipping.map((client, i) => {
    const ids = Array.from({ length: ROWS }, (_, at) => at + 1).filter((id) => id % flipping.length === i)
    return flipWhile(client, ids, () => goesOn)
  })
  const found = { same: [] as (number | string)[], other: [] as (number | string)[] }
  try {
    await asking.query(`SET default_transaction_isolation = '${isolation}'`)
    const run = (compare: string) =>
      asking.query(hit(compare)).then(
        ({ rowCount }) => rowCount!,
        (error: { code: string }) => error.code,
      )
    for (let round = 0; round < ROUNDS; round++) {
      found.same.push(await run('='))
      found.other.push(await run('<>'))
    }
  } finally {
    goesOn = false
    await asking.query('RESET default_transaction_isolation')
    await Promise.all(flips)
  }
  return found
}

test('what a statement reads and what it changes is of one moment', async () => {
  const { same, other } = await counts('read committed')
  expect(same).toEqual(same.map(() => ROWS))
  expect(other).toEqual(other.map(() => 0))
  const { rows } = await clients[0]!.query('SELECT sum(hits)::int FROM lamps')
  expect(rows).toEqual([{ sum: ROWS * ROUNDS }])
})

test('REPEATABLE READ: of one moment, or told that rows have changed since', async () => {
  const { same, other } = await counts('repeatable read')
  expect(same.filter((count) => count !== '40001')).toEqual(
    same.filter((count) => count !== '40001').map(() => ROWS),
  )
  expect(other).toEqual(other.map(() => 0))
})

/** Waits until `asking`'s statement is held up by somebody. */
async function heldUp(watching: pg.Client, asking: pg.Client): Promise<void> {
  const { processID } = asking as unknown as { processID: number }
  for (;;) {
    const { rows } = await watching.query('SELECT cardinality(pg_blocking_pids($1)) > 0 AS held', [processID])
    if (rows[0].held) return
  }
}

test('rows that are meant no longer, and rows that are meant now, after a wait for a lock', async () => {
  const [asking, other, watching] = clients as [pg.Client, pg.Client, pg.Client]
  await asking.query('UPDATE lamps SET lit = false WHERE id > 6')
  await other.query('BEGIN')
  await other.query('UPDATE lamps SET lit = false WHERE id = 3')
  await other.query('DELETE FROM lamps WHERE id = 4')
  await other.query('UPDATE lamps SET lit = true WHERE id = 9')
  await other.query('UPDATE lamps SET hits = 50 WHERE id = 5')
  const hits = asking.query(`${hit('=')} RETURNING lamps.id, hits`)
  await heldUp(watching, asking)
  await other.query('COMMIT')
  const { rows } = await hits
  expect(rows.sort((a, b) => a.id - b.id)).toEqual([
    { id: 1, hits: 1 },
    { id: 2, hits: 1 },
    { id: 5, hits: 51 },
    { id: 6, hits: 1 },
    { id: 9, hits: 1 },
  ])
})

test.each(['without the right to UPDATE', 'with policies that differ by command'])(
  'a DELETE %s locks nothing, and is run again when others have changed its rows',
  async (how) => {
    const [asking, other, watching] = clients as [pg.Client, pg.Client, pg.Client]
    await other.query('CREATE ROLE lamp_thief; GRANT SELECT, DELETE ON lamps, mirrors TO lamp_thief')
    if (how.startsWith('with p')) {
      await other.query(`GRANT UPDATE ON lamps TO lamp_thief; ALTER TABLE lamps ENABLE ROW LEVEL SECURITY;
        CREATE POLICY seen ON lamps FOR SELECT USING (true); CREATE POLICY taken ON lamps FOR DELETE USING (id <> 6)`)
    }
    try {
      await asking.query('UPDATE lamps SET lit = false WHERE id > 6')
      await other.query('BEGIN')
      await other.query('UPDATE lamps SET lit = false WHERE id = 3')
      await other.query('DELETE FROM lamps WHERE id = 4')
      await other.query('UPDATE lamps SET lit = true WHERE id = 9')
      await asking.query('SET ROLE lamp_thief')
      const taken =
        asking.query(`DELETE FROM lamps USING mirrors m WHERE m.id = lamps.id AND m.lit = lamps.lit
        RETURNING lamps.id`)
      await heldUp(watching, asking)
      await other.query('COMMIT')
      const ids = (await taken).rows.map(({ id }) => id).sort((a, b) => a - b)
      expect(ids).toEqual(how.startsWith('with p') ? [1, 2, 5, 9] : [1, 2, 5, 6, 9])
    } finally {
      await asking.query('RESET ROLE')
      await other.query(`DROP OWNED BY lamp_thief; DROP ROLE lamp_thief; DROP POLICY IF EXISTS seen ON lamps;
        DROP POLICY IF EXISTS taken ON lamps; ALTER TABLE lamps DISABLE ROW LEVEL SECURITY`)
    }
  },
)

/** What each shard has of a reference table. */
async function copiesOf(table: string): Promise<unknown[]> {
  const all = cluster.current.weft.shards.map(async ({ url }) => {
    const client = await connectTo(url)
    const { rows } = await client.query(`SELECT * FROM ${table} ORDER BY id`)
    await client.end()
    return rows
  })
  return Promise.all(all)
}

test('copies of a reference table are changed alike, by rows as they are after a wait for a lock', async () => {
  const [asking, other, watching] = clients as [pg.Client, pg.Client, pg.Client]
  await asking.query(`CREATE TABLE posts (id int PRIMARY KEY, lit bool, hits int, drawn float8) WITH (reference);
    INSERT INTO posts SELECT i, i < 7, 0 FROM generate_series(1, ${ROWS}) i`)
  await other.query('BEGIN')
  await other.query('UPDATE posts SET lit = false WHERE id = 3')
  await other.query('DELETE FROM posts WHERE id = 4')
  await other.query('UPDATE posts SET lit = true WHERE id = 9')
  await other.query('UPDATE posts SET hits = 50 WHERE id = 5')
  const hits = asking.query(`UPDATE posts SET hits = posts.hits + 1, drawn = random()
    FROM mirrors m WHERE m.id = posts.id AND m.lit = posts.lit RETURNING posts.id, hits`)
  await heldUp(watching, asking)
  await other.query('COMMIT')
  const { rows } = await hits
  const counted = rows.map((row) => `${row.id}: ${row.hits}`).sort()
  expect(counted).toEqual(['1: 1', '2: 1', '5: 51', '6: 1', '9: 1'])
  const [home, ...others] = await copiesOf('posts')
  expect(others).toEqual(others.map(() => home))
})

test('MERGE into a reference table beside others: copies stay alike, and every turn counts', async () => {
  await clients[0]!.query('CREATE TABLE tallies (id int PRIMARY KEY, hits int) WITH (reference)')
  const merge = `MERGE INTO tallies USING (SELECT id FROM lamps WHERE id < 9) v ON v.id = tallies.id
    WHEN MATCHED THEN UPDATE SET hits = tallies.hits + 1 WHEN NOT MATCHED THEN INSERT VALUES (v.id, 1)`
  await clients[0]!.query(merge)
  const rounds = async (client: pg.Client) => {
    for (let round = 0; round < 4; round++) await client.query(merge)
  }
  await Promise.all(clients.map(rounds))
  const rows = Array.from({ length: 8 }, (_, i) => ({ id: i + 1, hits: 21 }))
  expect(await copiesOf('tallies')).toEqual([rows, rows, rows])
})

test('MERGE from tables locks rows in the order of their keys, in whatever order its source has them', async () => {
  const [asking, asking2, other, watching] = clients as [pg.Client, pg.Client, pg.Client, pg.Client]
  for (const kind of ['reference', "shard_key = 'id'"]) {
    await other.query(`DROP TABLE IF EXISTS plenty;
      CREATE TABLE plenty (id int PRIMARY KEY, hits int) WITH (${kind});
      INSERT INTO plenty SELECT i, 0 FROM generate_series(1, 5000) i`)
    await other.query('ANALYZE plenty')
    const merge = (order: string): string => `MERGE INTO plenty
      USING (SELECT id FROM lamps WHERE id < 3 ORDER BY id ${order}) v ON v.id = plenty.id
      WHEN MATCHED THEN UPDATE SET hits = plenty.hits + 1`
    await other.query('BEGIN')
    await other.query('SELECT FROM plenty WHERE id = 1 FOR UPDATE')
    // Whoever takes the second row first, and waits for the first one, has a row that the other is to take next.
    const first = asking.query(merge('ASC'))
    await heldUp(watching, asking)
    const second = asking2.query(merge('DESC'))
    await heldUp(watching, asking2)
    await other.query('ROLLBACK')
    await Promise.all([first, second])
    const { rows } = await other.query('SELECT id, hits FROM plenty WHERE hits <> 0 ORDER BY id')
    expect(rows).toEqual([
      { id: 1, hits: 2 },
      { id: 2, hits: 2 },
    ])
  }
})

test('a statement that is cancelled while it waits leaves no lock', async () => {
  const [asking, other, watching] = clients as [pg.Client, pg.Client, pg.Client]
  await other.query('BEGIN')
  await other.query('UPDATE lamps SET hits = 50 WHERE id = 5')
  const hits = asking.query(hit('=')).then(
    () => 'done',
    (error: { code: string }) => error.code,
  )
  await heldUp(watching, asking)
  await watching.query('SELECT pg_cancel_backend($1)', [
    (asking as unknown as { processID: number }).processID,
  ])
  expect(await hits).toBe('57014')
  await other.query('ROLLBACK')
  const { rowCount } = await watching.query('SELECT * FROM lamps WHERE id <= 24 FOR UPDATE NOWAIT')
  expect(rowCount).toBe(ROWS)
})

test('MERGE beside others: every row that joins counts once for each, and none waits for who waits for it', async () => {
  const merge = `MERGE INTO lamps USING (SELECT i AS id FROM generate_series(13, 30) i) v ON v.id = lamps.id
    WHEN MATCHED THEN UPDATE SET hits = hits + 1`
  const rounds = async (client: pg.Client) => {
    for (let round = 0; round < 10; round++) await client.query(merge)
  }
  await Promise.all(clients.map(rounds))
  const { rows } = await clients[0]!.query('SELECT id, hits FROM lamps WHERE hits <> 0 ORDER BY id')
  expect(rows).toEqual(Array.from({ length: ROWS - 12 }, (_, i) => ({ id: i + 13, hits: 50 })))
})
