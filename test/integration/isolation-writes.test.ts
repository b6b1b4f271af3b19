import type pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, lockWaiterAnywhere, lockWaiters, useAccounts } from '../helpers/accounts.ts'
import { query } from '../helpers/postgres.ts'

const accounts = useAccounts({ shards: 3 })
/** Ids for rows of table `mark`, by shard; each is used once. */
const free: number[][] = []
let pairs = 0
let writer: pg.Client
let client: pg.Client
let notices: string[] = []

beforeAll(async () => {
  await query(
    accounts.cluster.weftUrl,
    `CREATE TABLE mark (id int PRIMARY KEY, pair int, seen int DEFAULT 0, twice int GENERATED ALWAYS AS (2 * seen) STORED)
     WITH (shard_key = 'id');
     CREATE TABLE copied (id int PRIMARY KEY, pair int) WITH (shard_key = 'id', colocate_with = 'mark');
     CREATE TABLE wanted (pair int PRIMARY KEY) WITH (reference = true);`,
  )
  await query(accounts.cluster.weftUrl, 'INSERT INTO mark SELECT i FROM generate_series(1, 9000) i')
  for (const shard of accounts.cluster.weft.shards.keys()) {
    const rows = await accounts.direct<{ id: number }>(shard, 'SELECT id FROM mark')
    free[shard] = rows.map((row) => row.id)
  }
  await query(accounts.cluster.weftUrl, 'TRUNCATE mark')
})
beforeEach(async () => {
  writer = await accounts.connect()
  client = await accounts.connect()
  notices = []
  client.on('notice', (notice) => notices.push(String(notice.message)))
  await addPair()
})
afterEach(async () => {
  await query(accounts.cluster.weftUrl, 'TRUNCATE mark; TRUNCATE copied; TRUNCATE wanted')
})

/** One transaction that inserts a row on each of two shards. */
async function addPair(by = writer): Promise<void> {
  const pair = ++pairs
  await by.query('BEGIN')
  for (const shard of [pair % 3, (pair + 1) % 3]) {
    await by.query('INSERT INTO mark VALUES ($1, $2)', [free[shard]!.pop(), pair])
  }
  await by.query('COMMIT')
}

/** One on each two shards. */
async function addPairs(): Promise<void> {
  for (let i = 0; i < 3; i++) await addPair()
}

/** Pairs of which one row was seen more often than the other, or is alone. */
async function torn(table = 'mark', seen = 'seen'): Promise<number> {
  const { rows } = await client.query<{ pair: number; seen: number }>(
    `SELECT pair, ${seen} AS seen FROM ${table}`,
  )
  const by = new Map<number, number[]>()
  for (const row of rows) by.set(row.pair, [...(by.get(row.pair) ?? []), row.seen])
  return [...by.values()].filter(([a, b]) => a !== b).length
}

/** Lets one shard's part of a statement that reads table `wanted` wait before it can begin; runs `work` meanwhile. */
async function whileOneWaits(statement: () => Promise<unknown>, work: () => Promise<void>): Promise<void> {
  const { url } = accounts.cluster.weft.shards[1]!
  await withDirect(url, async (locker) => {
    await locker.query('BEGIN; LOCK TABLE wanted IN ACCESS EXCLUSIVE MODE')
    const running = statement()
    running.catch(() => {})
    await lockWaiters(accounts, 1, 1)
    await othersAreDone()
    await work()
    await locker.query('COMMIT')
    await running
  })
}

async function withDirect(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const { default: postgres } = await import('pg')
  const direct = new postgres.Client({ connectionString: url })
  await direct.connect()
  try {
    await work(direct)
  } finally {
    await direct.end()
  }
}

/** On the other shards it waits for its cut, or has run. */
async function othersAreDone(): Promise<void> {
  const sql = `SELECT FROM pg_stat_activity WHERE query LIKE '%wanted%' AND pid <> pg_backend_pid()
    AND (state = 'idle in transaction' OR state = 'active' AND wait_event_type = 'Client')`
  for (const shard of [0, 2]) while ((await accounts.direct(shard, sql)).length === 0);
}

const NOT_WANTED = 'pair NOT IN (SELECT pair FROM wanted)'
const UPDATE = `UPDATE mark SET seen = seen + 1 WHERE ${NOT_WANTED}`
const DELETE = `DELETE FROM mark WHERE ${NOT_WANTED}`
const INSERT = `INSERT INTO copied SELECT id, pair FROM mark WHERE ${NOT_WANTED}`

describe('a write over several shards in READ COMMITTED, while a transaction commits on two of them', () => {
  const cases: readonly [string, string, string, string][] = [
    ['UPDATE', UPDATE, 'mark', 'seen'],
    ['DELETE', DELETE, 'mark', '1'],
    ['INSERT … SELECT', INSERT, 'copied', '1'],
  ]
  describe.each(cases)('%s', (_, sql, table, seen) => {
    it('sees it on both or on neither', async () => {
      await whileOneWaits(() => client.query(sql), addPairs)
      expect(await torn(table, seen)).toBe(0)
    })

    it('with parameters, by name: the same', async () => {
      const bound = { name: 'it', text: `${sql} AND id > $1`, values: [0] }
      for (let i = 0; i < 3; i++) await client.query({ ...bound, values: [1_000_000] })
      await whileOneWaits(() => client.query(bound), addPairs)
      expect(await torn(table, seen)).toBe(0)
    })

    it('in a block that has written before: the same, with its own row', async () => {
      await client.query('BEGIN')
      await client.query('INSERT INTO mark VALUES ($1, 0)', [free[0]!.pop()])
      await client.query('INSERT INTO mark VALUES ($1, 0)', [free[2]!.pop()])
      await whileOneWaits(() => client.query(sql), addPairs)
      expect(await torn(table, seen)).toBe(0)
      await client.query('COMMIT')
      expect(await torn(table, seen)).toBe(0)
    })

    it('client_min_messages = error: the same', async () => {
      await client.query('SET client_min_messages = error')
      await whileOneWaits(() => client.query(sql), addPairs)
      expect(await torn(table, seen)).toBe(0)
    })

    it('weft.consistent_reads = off: torn', async () => {
      await client.query('SET weft.consistent_reads = off')
      await whileOneWaits(() => client.query(sql), addPairs)
      expect(await torn(table, seen)).toBeGreaterThan(0)
    })

    afterEach(() => expect(notices).toEqual([]))
  })
})

describe('writes over several shards again and again, while transactions commit', () => {
  async function whileWriting(work: () => Promise<void>): Promise<void> {
    const writers = await Promise.all([accounts.connect(), accounts.connect(), accounts.connect()])
    let isOver = false
    let added = 0
    const writing = writers.map(async (by) => {
      while (!isOver) {
        await addPair(by)
        added++
      }
    })
    try {
      for (let done = 0; done < 30 || added < 60; done++) await work()
    } finally {
      isOver = true
      await Promise.all(writing)
    }
  }

  it('UPDATE: never one row of a pair without the other', async () => {
    await whileWriting(async () => {
      await client.query('UPDATE mark SET seen = seen + 1')
    })
    expect(await torn()).toBe(0)
  })

  it('DELETE … RETURNING: always both rows', async () => {
    await whileWriting(async () => {
      const { rows } = await client.query<{ pair: number }>(
        'DELETE FROM mark WHERE pair > $1 RETURNING pair',
        [0],
      )
      const once = new Set(rows.map((row) => row.pair))
      expect(rows).toHaveLength(2 * once.size)
    })
    expect(await torn('mark', '1')).toBe(0)
  })
})

describe('a write that waits for a row lock', () => {
  it('holds no commits, and sees nothing of what they bring', async () => {
    await writer.query('BEGIN')
    const { rows } = await writer.query<{ id: number }>('SELECT id FROM mark')
    await writer.query('UPDATE mark SET pair = pair WHERE id = $1', [rows[0]!.id])
    const running = client.query('UPDATE mark SET seen = seen + 1 RETURNING id')
    await lockWaiterAnywhere(accounts)
    const other = await accounts.connect()
    for (let i = 0; i < 10; i++) await addPair(other)
    await writer.query('COMMIT')
    expect((await running).rows).toHaveLength(2)
    expect(await torn()).toBe(0)
    const { rows: counted } = await client.query('SELECT count(*)::int AS n FROM mark WHERE seen = 0')
    expect(counted).toEqual([{ n: 20 }])
    expect(notices).toEqual([])
  })

  it('looks at the row as it was changed, and at no other', async () => {
    await writer.query('BEGIN; UPDATE mark SET seen = 10')
    const running = client.query('UPDATE mark SET seen = seen + 1 WHERE seen = 10 OR seen = 0')
    await lockWaiterAnywhere(accounts)
    await addPair(await accounts.connect())
    await writer.query('COMMIT')
    expect((await running).rowCount).toBe(2)
    const { rows } = await client.query<{ seen: number }>('SELECT seen FROM mark')
    expect(rows.map((row) => row.seen).sort()).toEqual([0, 0, 11, 11])
    expect(notices).toEqual([])
  })
})

describe.each(['REPEATABLE READ', 'SERIALIZABLE'])('LOCK TABLE first in a %s transaction', (isolation) => {
  it('what is locked is seen as it is, on all shards; nobody changes it until the end', async () => {
    await writer.query('BEGIN; UPDATE mark SET seen = 7')
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}; SHOW work_mem`)
    const locking = client.query('LOCK TABLE mark IN SHARE MODE')
    await lockWaiterAnywhere(accounts)
    await writer.query('COMMIT')
    await locking
    const more = addPair()
    await lockWaiterAnywhere(accounts)
    const seen = async () =>
      (await client.query<{ seen: number }>('SELECT seen FROM mark')).rows.map((row) => row.seen)
    expect(await seen()).toEqual([7, 7])
    expect((await client.query('UPDATE mark SET seen = 8')).rowCount).toBe(2)
    expect(await seen()).toEqual([8, 8])
    await client.query('COMMIT')
    await more
    expect((await seen()).sort()).toEqual([0, 0, 8, 8])
    expect(await torn()).toBe(0)
    expect(notices).toEqual([])
  })

  it('one state of all shards, while transactions commit elsewhere', async () => {
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}`)
    await client.query('LOCK TABLE wanted IN EXCLUSIVE MODE')
    await addPair()
    expect(await torn('mark', '1')).toBe(0)
    const { rows } = await client.query('SELECT id FROM mark')
    expect(rows).toHaveLength(4)
    await addPair()
    expect((await client.query('SELECT id FROM mark')).rows).toHaveLength(4)
    await client.query('INSERT INTO wanted VALUES (-1)')
    await client.query('COMMIT')
    expect((await client.query('SELECT pair FROM wanted')).rows).toEqual([{ pair: -1 }])
  })
})

describe('what the client is told', () => {
  it('notices of its own triggers, and no others', async () => {
    await client.query(
      `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN RAISE NOTICE 'row'; RETURN NEW; END $$`,
    )
    await client.query('CREATE TRIGGER tell BEFORE UPDATE ON mark FOR EACH ROW EXECUTE FUNCTION tell()')
    notices = []
    const { rows, rowCount } = await client.query('UPDATE mark SET seen = 5 RETURNING seen, twice')
    await client.query('DROP TRIGGER tell ON mark')
    expect({ rows, rowCount, notices }).toEqual({
      rows: [
        { seen: 5, twice: 10 },
        { seen: 5, twice: 10 },
      ],
      rowCount: 2,
      notices: ['row', 'row'],
    })
  })

  it('an error: with its place in the statement as the client wrote it', async () => {
    for (const sql of [
      'UPDATE mark SET seen = 1 WHERE pair = nosuch RETURNING id',
      'UPDATE mark SET seen = 1 WHERE pair > 0 RETURNING nosuch',
      'DELETE FROM mark WHERE nosuch',
    ]) {
      const error = await client.query(sql).catch((e: { position?: string }) => e)
      expect(error, sql).toMatchObject({ code: '42703', position: String(sql.indexOf('nosuch') + 1) })
    }
  })

  it('a statement that takes longer to begin than commits may be held: 40001, and nothing happened', async () => {
    // Weft refuses such triggers, so this one is put there behind its back.
    await accounts.direct(
      1,
      `CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
       $$ BEGIN PERFORM pg_sleep(30); RETURN NULL; END $$;
       CREATE TRIGGER wait BEFORE UPDATE ON mark FOR EACH STATEMENT EXECUTE FUNCTION wait()`,
    )
    try {
      await client.query('BEGIN')
      expect(await codeOf(client.query('UPDATE mark SET seen = 1'))).toBe('40001')
      expect(await codeOf(client.query('SELECT 1'))).toBe('25P02')
      await client.query('ROLLBACK')
      // By itself it is run again a few times.
      const error = await client.query('UPDATE mark SET seen = 1').catch((e: Error) => e)
      expect(error).toMatchObject({ code: '40001', message: expect.stringMatching(/given up before/) })
      await addPair()
    } finally {
      await accounts.direct(1, 'DROP TRIGGER wait ON mark; DROP FUNCTION wait()')
    }
    expect((await client.query('SELECT id FROM mark WHERE seen <> 0')).rows).toEqual([])
    await accounts.quiet()
  })
})
