import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

/** Writes in READ COMMITTED blocks that see what they read and what they change as of one state, beside others. */
const cluster = useTestCluster()
const ROWS = 18
const ROUNDS = 8

let clients: pg.Client[]

beforeAll(async () => {
  clients = await Promise.all(Array.from({ length: 4 }, () => connectTo(cluster.current.weftUrl)))
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
async function flipWhile(client: pg.Client, ids: readonly number[], goesOn: () => boolean): Promise<void> {
  for (let turn = 0; goesOn(); turn++) {
    const id = ids[turn % ids.length]!
    await client.query('BEGIN')
    await client.query(`UPDATE lamps SET lit = NOT lit WHERE id = ${id}`)
    await client.query(`UPDATE mirrors SET lit = NOT lit WHERE k = ${1000 - id}`)
    await client.query('COMMIT')
  }
}

/** How many rows a statement says that it has written, each time in a block of its own. */
async function countsBeside(statement: string): Promise<number[]> {
  const [asking, ...flipping] = clients as [pg.Client, ...pg.Client[]]
  let goesOn = true
  const all = Array.from({ length: ROWS }, (_, at) => at + 1)
  const flips = flipping.map((client, i) => {
    const ids = all.filter((id) => id % flipping.length === i)
    return flipWhile(client, ids, () => goesOn)
  })
  const counts: number[] = []
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await asking.query('BEGIN')
      counts.push((await asking.query(statement)).rowCount!)
      await asking.query('COMMIT')
    }
  } finally {
    goesOn = false
    await Promise.all(flips)
  }
  return counts
}

const limited = (compare: string) => `UPDATE lamps SET hits = hits + 1
  FROM (SELECT * FROM mirrors ORDER BY k LIMIT 9) m WHERE m.id = lamps.id AND m.lit ${compare} lamps.lit`
const merged = (clauses: string) =>
  `MERGE INTO lamps USING mirrors m ON m.id = lamps.id AND m.lit = lamps.lit ${clauses}`

test.each([
  ['UPDATE … FROM a query with LIMIT', limited('='), 9],
  ['UPDATE … FROM a query with LIMIT, of none', limited('<>'), 0],
  [
    'MERGE from a table',
    merged(
      'WHEN MATCHED THEN UPDATE SET hits = hits + 1 WHEN NOT MATCHED THEN INSERT VALUES (-m.id, false, 0)',
    ),
    ROWS,
  ],
  ['MERGE of rows that nothing joins', merged('WHEN NOT MATCHED BY SOURCE THEN UPDATE SET hits = -1'), 0],
  [
    'MERGE of both',
    merged('WHEN MATCHED THEN UPDATE SET hits = hits + 1 WHEN NOT MATCHED BY SOURCE THEN DELETE'),
    ROWS,
  ],
])('%s is of one state', async (_, statement, count) => {
  const counts = await countsBeside(statement)
  expect(counts).toEqual(counts.map(() => count))
  const { rows } = await clients[0]!.query('SELECT count(*)::int, min(id) FROM lamps')
  expect(rows).toEqual([{ count: ROWS, min: 1 }])
})

/** Waits until `asking`'s statement is held up by somebody. */
async function heldUp(watching: pg.Client, asking: pg.Client): Promise<void> {
  const { processID } = asking as unknown as { processID: number }
  for (;;) {
    const { rows } = await watching.query('SELECT cardinality(pg_blocking_pids($1)) > 0 AS held', [processID])
    if (rows[0].held) return
  }
}

test('rows that others change, add and delete while it waits for one of them', async () => {
  const [asking, other, watching] = clients as [pg.Client, pg.Client, pg.Client]
  await asking.query('UPDATE lamps SET lit = false WHERE id > 6')
  await other.query(`BEGIN; UPDATE lamps SET lit = false WHERE id = 3; DELETE FROM lamps WHERE id = 4;
    UPDATE lamps SET lit = true WHERE id = 9; UPDATE lamps SET hits = 50 WHERE id = 5; INSERT INTO lamps VALUES (99, true, 0)`)
  await asking.query('BEGIN')
  const kept = asking.query(`MERGE INTO lamps USING (VALUES (true)) v (lit) ON v.lit = lamps.lit
    WHEN MATCHED THEN UPDATE SET hits = hits + 1 WHEN NOT MATCHED BY SOURCE AND id < 12 THEN DELETE
    RETURNING merge_action(), lamps.id, hits`)
  await heldUp(watching, asking)
  await other.query('COMMIT')
  const { rows } = await kept
  await asking.query('COMMIT')
  const said = rows.sort((a, b) => a.id - b.id).map((row) => `${row.merge_action} ${row.id} ${row.hits}`)
  expect(said).toEqual([
    ...['UPDATE 1 1', 'UPDATE 2 1', 'DELETE 3 0', 'UPDATE 5 51', 'UPDATE 6 1', 'DELETE 7 0', 'DELETE 8 0'],
    ...['UPDATE 9 1', 'DELETE 10 0', 'DELETE 11 0', 'UPDATE 99 1'],
  ])
})

test('a role that may not update locks nothing by a DELETE, and is told so', async () => {
  const [asking, other] = clients as [pg.Client, pg.Client]
  await other.query('CREATE ROLE lamp_taker; GRANT SELECT, DELETE ON lamps, mirrors TO lamp_taker')
  try {
    await asking.query('BEGIN; SET LOCAL ROLE lamp_taker')
    await expect(
      asking.query(
        'DELETE FROM lamps USING (SELECT id FROM mirrors ORDER BY k LIMIT 2) m WHERE m.id = lamps.id',
      ),
    ).rejects.toThrow('joins a query with LIMIT')
  } finally {
    await asking.query('ROLLBACK')
    await other.query('DROP OWNED BY lamp_taker; DROP ROLE lamp_taker')
  }
})
