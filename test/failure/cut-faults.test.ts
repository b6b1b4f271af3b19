import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { query } from '../helpers/postgres.ts'
import { type ProcessCluster, startProcessCluster } from '../helpers/process-cluster.ts'

/** Two coordinators, two shards. What is in doubt stays so until a test ends it: as with a log out of reach. */
let cluster: ProcessCluster
const clients: pg.Client[] = []
/** Ids on shard 0 and on shard 1. */
let ids: readonly (readonly number[])[] = []

beforeAll(async () => {
  cluster = await startProcessCluster({ coordinators: 2, log: 'postgres', inDoubtAfterMs: 60_000 })
  await query(
    cluster.url(),
    "CREATE TABLE account (id int PRIMARY KEY, n int NOT NULL) WITH (shard_key = 'id')",
  )
  await query(cluster.url(), 'INSERT INTO account SELECT i, 100 FROM generate_series(1, 60) i')
  ids = await Promise.all(
    cluster.postgres.map(async ({ url }) => {
      const rows = await query<{ id: number }>(url, 'SELECT id FROM account ORDER BY id')
      return rows.map(({ id }) => id)
    }),
  )
}, 180_000)
afterAll(() => cluster?.stop())
afterEach(async () => {
  for (const node of [...cluster.coordinators, ...cluster.agents]) {
    node.resume()
    node.release()
  }
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})))
  await cluster.startAll()
  await cluster.ready()
})

async function connect(coordinator: number): Promise<pg.Client> {
  const client = await cluster.connect(coordinator)
  clients.push(client)
  return client
}

const SUM = 'SELECT sum(n)::int AS sum FROM account'
const TOTAL = 6_000

/** A link, a shard, a lease: whatever ends the wait has to say so with one of these. */
const CODES = ['40001', '57014', '57P01', '08006']

interface Failure {
  readonly code: string
  /** All that it says. */
  readonly text: string
}

async function failureOf(work: Promise<unknown>): Promise<Failure> {
  try {
    await work
  } catch (error) {
    const { code = '', message, detail = '' } = error as pg.DatabaseError
    return { code, text: `${message} ${detail}` }
  }
  throw new Error('no failure')
}

async function transfer(client: pg.Client, i: number): Promise<void> {
  await client.query('BEGIN')
  await client.query('UPDATE account SET n = n - 1 WHERE id = $1', [ids[0]![i]])
  await client.query('UPDATE account SET n = n + 1 WHERE id = $1', [ids[1]![i]])
  await client.query('COMMIT')
}

describe('a transaction is in doubt', () => {
  /** Prepared on both shards, and its coordinator stands still. */
  async function inDoubt(): Promise<void> {
    const writer = await connect(0)
    await cluster.coordinator.arm('after-prepare', 'hold')
    transfer(writer, 20).catch(() => {})
    await cluster.coordinator.held('after-prepare')
  }

  test('a read of all shards, alone or in REPEATABLE READ: ends with 40001 that names the shard; all else goes on', async () => {
    const readers = [await connect(1), await connect(1)]
    const writers = [await connect(1), await connect(1)]
    await inDoubt()
    await readers[1]!.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
    const waiting = readers.map((reader) => failureOf(reader.query(SUM)))
    for (const [shard, writer] of writers.entries()) {
      for (let i = 0; i < 15; i++)
        await writer.query('UPDATE account SET n = n WHERE id = $1', [ids[shard]![i]])
    }
    await transfer(writers[0]!, 2)
    for (const { code, text } of await Promise.all(waiting)) {
      expect(text).toMatch(/shard [01]/)
      expect(code).toBe('40001')
    }
    await readers[1]!.query('ROLLBACK')
    cluster.coordinator.release()
    for (const reader of readers) expect((await reader.query(SUM)).rows).toEqual([{ sum: TOTAL }])
  })

  test('statement_timeout ends the wait with 57014', async () => {
    const [reader, patient] = [await connect(1), await connect(1)]
    await reader.query('SET statement_timeout = 500')
    await inDoubt()
    expect((await failureOf(reader.query(SUM))).code).toBe('57014')
    cluster.coordinator.release()
    expect((await patient.query(SUM)).rows).toEqual([{ sum: TOTAL }])
  })

  test('SET weft.consistent_reads = off: a read without a cut is answered at once', async () => {
    const reader = await connect(1)
    await reader.query('SET weft.consistent_reads = off')
    await inDoubt()
    expect((await reader.query(SUM)).rows).toEqual([{ sum: TOTAL }])
  })

  test('and so is one of a shard after another was read, SET even before it is off, and a write', async () => {
    const [writer, reader] = [await connect(1), await connect(1)]
    const one = (shard: number): Promise<unknown> =>
      reader.query('SELECT n FROM account WHERE id = $1', [ids[shard]![22]])
    await one(1)
    await inDoubt()
    // Both shards have it, with a timestamp above those of the one in doubt.
    await transfer(writer, 21)
    await one(1)
    await reader.query('SET statement_timeout = 500')
    expect((await failureOf(one(0))).code).toBe('57014')
    await reader.query('RESET statement_timeout')
    expect((await failureOf(one(0))).code).toBe('40001')
    await reader.query('SET weft.consistent_reads = off')
    await one(0)
    await reader.query('UPDATE account SET n = n WHERE id = $1', [ids[0]![22]])
    await reader.query('RESET weft.consistent_reads')
    cluster.coordinator.release()
  })
})

describe('a shard is gone', () => {
  test.each([
    { what: 'its agent is killed', strike: () => cluster.agents[1]!.kill() },
    { what: 'its agent stands still', strike: async () => cluster.agents[1]!.pause() },
  ])('$what: the read ends with an error that names it, the other shard works', async ({ strike }) => {
    const reader = await connect(1)
    await reader.query(SUM)
    await strike()
    const { code, text } = await failureOf(reader.query(SUM))
    expect(CODES).toContain(code)
    expect(text).toContain('shard 1')
    await reader.query('UPDATE account SET n = n WHERE id = $1', [ids[0]![1]])
  })

  test('its Postgres is killed: the read ends with an error, and works again when it is back', async () => {
    const reader = await connect(1)
    await reader.query(SUM)
    await cluster.postgres[1]!.crash()
    const { code, text } = await failureOf(reader.query(SUM))
    expect(CODES).toContain(code)
    expect(text).toContain('shard 1')
    await cluster.postgres[1]!.restart()
    await cluster.ready()
    expect((await reader.query(SUM)).rows).toEqual([{ sum: TOTAL }])
  })
})

describe('the reading coordinator', () => {
  /** Reads again and again until its coordinator is gone, so that a cut is always under way. */
  async function startReaders(count: number): Promise<void> {
    const all = await Promise.all(Array.from({ length: count }, () => connect(0)))
    const readForEver = async (client: pg.Client): Promise<never> => {
      for (;;) await client.query(SUM)
    }
    for (const client of all) readForEver(client).catch(() => {})
  }

  /** Its commits wait no longer than a lease. Would they wait for the other coordinator, they would be told 57014. */
  async function patientWriter(): Promise<pg.Client> {
    const writer = await connect(1)
    await writer.query("SET statement_timeout = '30s'")
    await transfer(writer, 0)
    return writer
  }

  test('stands still in the midst of cuts: writers of another coordinator go on', async () => {
    const writer = await patientWriter()
    await startReaders(4)
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 3; i++) await transfer(writer, i)
      cluster.coordinator.pause()
      for (let i = 0; i < 3; i++) await transfer(writer, i)
      cluster.coordinator.resume()
    }
    expect((await writer.query(SUM)).rows).toEqual([{ sum: TOTAL }])
  })

  test('is killed in the midst of cuts: writers and readers of another coordinator go on', async () => {
    const writer = await patientWriter()
    for (let round = 0; round < 3; round++) {
      await startReaders(4)
      for (let i = 0; i < 3; i++) await transfer(writer, i)
      await cluster.coordinator.kill()
      for (let i = 0; i < 3; i++) await transfer(writer, i)
      expect((await writer.query(SUM)).rows).toEqual([{ sum: TOTAL }])
      await cluster.coordinator.start()
      await cluster.ready()
    }
  })
})
