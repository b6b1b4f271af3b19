/** weft.sequence_block, and CACHE: values that a coordinator draws ahead. */
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

const cluster = useTestCluster({ shards: 2, poolSize: 12 })
let clients: pg.Client[] = []
const [A, B, OTHER, ADMIN] = [0, 1, 2, 3]

beforeAll(async () => {
  clients = await Promise.all(Array.from({ length: 4 }, () => connectTo(cluster.current.weftUrl)))
  await clients[ADMIN]!.query(
    `CREATE TABLE t (k int, id bigserial) WITH (shard_key = 'k');
     CREATE TABLE r (id serial, v text) WITH (reference = true);
     CREATE FUNCTION sets() RETURNS bigint LANGUAGE sql AS $$ SELECT setval('t_id_seq', 400) $$;
     CREATE FUNCTION sets_as_said(q text) RETURNS bigint LANGUAGE plpgsql AS
       $$ DECLARE n bigint; BEGIN EXECUTE q INTO n; RETURN n; END $$`,
  )
})
beforeEach(async () => {
  await clients[ADMIN]!.query('ALTER SEQUENCE t_id_seq CACHE 1 RESTART')
  for (const client of clients) await client.query('DISCARD ALL')
  await clients[OTHER]!.query('SET weft.sequence_block = 1')
  for (const i of [A, B]) await clients[i]!.query('SET weft.sequence_block = 10')
})
afterAll(() => Promise.all(clients.map((client) => client.end())))

async function ids(client: number, rows = 1): Promise<number[]> {
  const values = Array.from({ length: rows }, (_, i) => `(${i})`).join(', ')
  const { rows: drawn } = await clients[client]!.query(`INSERT INTO t (k) VALUES ${values} RETURNING id::int`)
  return drawn.map(({ id }) => id)
}

async function lastValue(): Promise<number> {
  const { rows } = await clients[OTHER]!.query('SELECT last_value::int AS n FROM t_id_seq')
  return rows[0].n
}

test('a block is given to all who take from blocks, and to nobody else', async () => {
  expect(await ids(A)).toEqual([1])
  expect(await lastValue()).toBe(10)
  expect(await ids(B)).toEqual([2])
  expect(await ids(OTHER)).toEqual([11])
  expect(await ids(A, 3)).toEqual([3, 4, 5])
  expect(await lastValue()).toBe(11)
  expect((await clients[A]!.query('SELECT lastval()::int AS n')).rows).toEqual([{ n: 5 }])
  // More than are left of it.
  expect(await ids(B, 6)).toEqual([6, 7, 8, 9, 10, 12])
  expect(await ids(A)).toEqual([13])
  expect(await ids(B, 25)).toHaveLength(25)
})

const changes: readonly (readonly [string, number])[] = [
  ["SELECT setval('t_id_seq', 300)", 301],
  ['SELECT sets()', 401],
  ["SELECT sets_as_said('SELECT setval(''t_id_seq'', 500)')", 501],
  ["DO $$ BEGIN PERFORM setval('t_id_seq', 600); END $$", 601],
  ['ALTER SEQUENCE t_id_seq RESTART WITH 700', 700],
  ['TRUNCATE t RESTART IDENTITY', 1],
  ['BEGIN; ALTER SEQUENCE t_id_seq RESTART WITH 800; COMMIT', 800],
  ["BEGIN; SELECT setval('t_id_seq', 900); ROLLBACK", 901],
  ['DISCARD SEQUENCES', 11],
]

test.each(changes)('a block is void after %s', async (sql, next) => {
  expect(await ids(A)).toEqual([1])
  await clients[ADMIN]!.query(sql)
  expect(await ids(B)).toEqual([next])
})

test('by parameters too', async () => {
  expect(await ids(A)).toEqual([1])
  await clients[OTHER]!.query('SELECT setval($1, $2)', ['t_id_seq', 1000])
  expect(await ids(A)).toEqual([1001])
})

test('nobody said how many: none ahead for the first 200 rows, then 64', async () => {
  await clients[OTHER]!.query('RESET weft.sequence_block')
  const auto = (rows = 1) => ids(OTHER, rows)
  expect([await auto(), await lastValue()]).toEqual([[1], 1])
  expect((await auto(199)).at(-1)).toBe(200)
  expect(await lastValue()).toBe(200)
  expect([await auto(), await lastValue()]).toEqual([[201], 265])
  expect([await auto(), await lastValue()]).toEqual([[202], 265])
  // What is left is given first.
  const more = await auto(70)
  expect(more).toEqual(Array.from({ length: 70 }, (_, i) => 203 + i))
  expect(await lastValue()).toBe(272 + 64)
  await clients[ADMIN]!.query("SELECT setval('t_id_seq', 1000)")
  expect([await auto(), await lastValue()]).toEqual([[1001], 1001])
})

test("a sequence's own CACHE is a block for everybody", async () => {
  await clients[ADMIN]!.query('ALTER SEQUENCE t_id_seq CACHE 5')
  expect([await ids(OTHER), await ids(OTHER)].flat()).toEqual([1, 2])
  expect(await ids(A)).toEqual([3])
  const again = await ids(OTHER)
  expect(again[0]).toBeGreaterThan(2)
})

test('a block ends where the sequence ends', async () => {
  await clients[ADMIN]!.query('ALTER SEQUENCE t_id_seq MAXVALUE 4')
  const all = [await ids(A), await ids(B), await ids(A), await ids(B)].flat()
  expect(all).toEqual([1, 2, 3, 4])
  await expect(ids(A)).rejects.toMatchObject({ code: '2200H' })
  await clients[ADMIN]!.query('ALTER SEQUENCE t_id_seq NO MAXVALUE')
  expect(await ids(A)).toEqual([5])
})

test('privileges are those of now', async () => {
  await clients[ADMIN]!.query(
    `CREATE ROLE writer; GRANT INSERT, SELECT ON t TO writer; GRANT USAGE ON SEQUENCE t_id_seq TO writer`,
  )
  await clients[A]!.query('SET ROLE writer')
  expect(await ids(A)).toEqual([1])
  expect(await ids(B)).toEqual([11])
  await clients[ADMIN]!.query('REVOKE USAGE ON SEQUENCE t_id_seq FROM writer')
  await expect(ids(A)).rejects.toMatchObject({ code: '42501' })
  await clients[A]!.query('RESET ROLE')
  await clients[ADMIN]!.query('DROP OWNED BY writer; DROP ROLE writer')
})

test('reference tables have one value on all copies', async () => {
  const { rows } = await clients[A]!.query("INSERT INTO r (v) VALUES ('x'), ('y') RETURNING id")
  expect(rows).toEqual([{ id: 1 }, { id: 2 }])
  expect((await clients[B]!.query("INSERT INTO r (v) VALUES ('z') RETURNING id")).rows).toEqual([{ id: 3 }])
})

test('the setting', async () => {
  expect((await clients[A]!.query('SHOW weft.sequence_block')).rows).toEqual([
    { 'weft.sequence_block': '10' },
  ])
  expect((await clients[OTHER]!.query('SHOW weft.sequence_block')).rows).toEqual([
    { 'weft.sequence_block': '1' },
  ])
  await clients[OTHER]!.query('RESET weft.sequence_block')
  expect((await clients[OTHER]!.query('SHOW weft.sequence_block')).rows).toEqual([
    { 'weft.sequence_block': 'auto' },
  ])
  for (const wrong of ['0', '-1', 'many', '10001'])
    await expect(clients[A]!.query(`SET weft.sequence_block = '${wrong}'`)).rejects.toMatchObject({
      code: '22023',
    })
})
