/** Sequences, and the keys of functions, through two coordinators. */
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connectTo } from '../helpers/postgres.ts'
import { startTwoCoordinators, type TwoCoordinators } from '../helpers/two-coordinators.ts'

let cluster: TwoCoordinators
/** Of each coordinator. */
let clients: pg.Client[][] = []

beforeAll(async () => {
  cluster = await startTwoCoordinators()
  clients = await Promise.all(
    cluster.urls.map((url) => Promise.all(Array.from({ length: 8 }, () => connectTo(url)))),
  )
  await clients[0]![0]!.query(
    `CREATE TABLE t (k int, id bigserial, v text) WITH (shard_key = 'k');
     CREATE FUNCTION sets() RETURNS bigint LANGUAGE sql AS $$ SELECT setval('t_id_seq', 300) $$`,
  )
})
afterAll(async () => {
  await Promise.all(clients.flat().map((client) => client.end()))
  await cluster.stop()
})

const INSERT = 'INSERT INTO t (k) VALUES ($1), ($1 + 1) RETURNING id::int'

test('no value is given twice: one by one, in blocks, while the sequence is set ahead', async () => {
  const all = clients.flat()
  await Promise.all(all.map((client, i) => client.query(`SET weft.sequence_block = ${i % 2 === 0 ? 1 : 16}`)))
  const drawn = await Promise.all(
    all.map(async (client, i) => {
      const own: number[] = []
      for (let n = 0; n < 10; n++) {
        const { rows } = await client.query(INSERT, [n])
        own.push(...rows.map(({ id }) => id as number))
        if (i === 0 && n % 3 === 0)
          await client.query("SELECT setval('t_id_seq', (SELECT last_value + 1000 FROM t_id_seq))")
      }
      return own
    }),
  )
  const values = drawn.flat()
  expect(new Set(values).size).toBe(all.length * 20)
  const { rows } = await all[0]!.query('SELECT count(*)::int AS n, count(DISTINCT id)::int AS ids FROM t')
  expect(rows).toEqual([{ n: values.length, ids: values.length }])
})

test('what one coordinator sets the other follows at once', async () => {
  const [[a], [b]] = clients as [pg.Client[], pg.Client[]]
  for (const [setter, drawer, value] of [
    [a, b, 100_000],
    [b, a, 50_000],
    [a, b, 10],
  ] as const) {
    await drawer!.query('SET weft.sequence_block = 1')
    await setter!.query('SELECT setval($1, $2)', ['t_id_seq', value])
    const { rows } = await drawer!.query(INSERT, [1])
    expect(rows).toEqual([{ id: value + 1 }, { id: value + 2 }])
  }
})

const changes: readonly (readonly [string, number])[] = [
  ["SELECT setval('t_id_seq', 2000)", 2001],
  ["BEGIN; SELECT setval('t_id_seq', 900); ROLLBACK", 901],
  ['SELECT sets()', 301],
  ["DO $$ BEGIN PERFORM setval('t_id_seq', 600); END $$", 601],
  ['ALTER SEQUENCE t_id_seq RESTART WITH 700', 700],
  ['BEGIN; ALTER SEQUENCE t_id_seq RESTART WITH 800; COMMIT', 800],
  ['TRUNCATE t RESTART IDENTITY', 1],
]

test.each(changes)('what the other has drawn ahead is void after %s', async (sql, next) => {
  const [[a], [b]] = clients as [pg.Client[], pg.Client[]]
  await b!.query('SET weft.sequence_block = 16')
  const { rows } = await b!.query(INSERT, [1])
  const drawn = rows[1]!.id as number
  expect((await b!.query(INSERT, [1])).rows).toEqual([{ id: drawn + 1 }, { id: drawn + 2 }])
  await a!.query(sql)
  expect((await b!.query(INSERT, [1])).rows).toEqual([{ id: next }, { id: next + 1 }])
})

test('a key that one gives a function the other follows, and what replaces its body', async () => {
  const [[a], [b]] = clients as [pg.Client[], pg.Client[]]
  const of = (condition: string) =>
    `CREATE OR REPLACE FUNCTION count_of(p int) RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t WHERE ${condition}'`
  await a!.query('TRUNCATE t')
  await a!.query('INSERT INTO t (k, id) SELECT g, g FROM generate_series(1, 9) g')
  await a!.query(of('k = p'))
  await expect(b!.query('SELECT count_of(1)')).rejects.toMatchObject({ code: '0A000' })
  await a!.query("SELECT create_distributed_function('count_of(int)', 'p', 't')")
  for (let k = 1; k <= 9; k++)
    expect((await b!.query('SELECT count_of($1)::int AS n', [k])).rows).toEqual([{ n: 1 }])
  await b!.query(of('k > p'))
  await expect(a!.query('SELECT count_of(1)')).rejects.toMatchObject({ code: '0A000' })
})

test('what the newest map answers no coordinator refuses: in a block, prepared, by an Execute', async () => {
  const [[a], [b, c, d]] = clients as [pg.Client[], pg.Client[]]
  await a!.query(
    `CREATE FUNCTION sum_of(p int) RETURNS bigint LANGUAGE sql AS 'SELECT sum(k) FROM t WHERE k = p'`,
  )
  const named = { name: 'sums', text: 'SELECT sum_of($1)::int AS n' }
  for (let turn = 0; turn < 3; turn++) {
    await expect(b!.query('SELECT sum_of(3)')).rejects.toMatchObject({ code: '0A000' })
    await expect(c!.query('PREPARE p AS SELECT sum_of(4)')).rejects.toMatchObject({ code: '0A000' })
    await b!.query('BEGIN; SELECT 1')
    await a!.query("SELECT create_distributed_function('sum_of(int)', 'p', 't')")
    expect((await b!.query('SELECT sum_of(3)::int AS n')).rows).toEqual([{ n: 3 }])
    expect((await c!.query({ ...named, values: [2] })).rows).toEqual([{ n: 2 }])
    await d!.query('PREPARE p AS SELECT sum_of(4)::int AS n')
    expect((await d!.query('EXECUTE p')).rows).toEqual([{ n: 4 }])
    await d!.query('DEALLOCATE p')
    await b!.query('COMMIT')
    await a!.query("SELECT undistribute_function('sum_of(int)')")
  }
})
