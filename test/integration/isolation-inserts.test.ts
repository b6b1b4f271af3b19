import type pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { codeOf, lockWaiters, useAccounts } from '../helpers/accounts.ts'
import { connectTo, query } from '../helpers/postgres.ts'

const SHARDS = [0, 1, 2]
const accounts = useAccounts({ shards: 3 })
/** One id for table `mark` on each shard. */
let ids: readonly number[] = []
let writer: pg.Client
let client: pg.Client
let notices: string[] = []

beforeAll(async () => {
  await query(
    accounts.cluster.weftUrl,
    `CREATE TABLE mark (id int PRIMARY KEY, seen int, note varchar(5)) WITH (shard_key = 'id');
     CREATE TABLE state (v int) WITH (reference = true);
     CREATE TABLE copied (id int PRIMARY KEY, seen int, note text) WITH (reference = true);
     CREATE TABLE numbered (k int, id serial, seen int) WITH (shard_key = 'k');
     INSERT INTO state VALUES (1)`,
  )
  // Weft refuses functions that name the table.
  await query(
    accounts.cluster.weftUrl,
    `CREATE FUNCTION state_by_function() RETURNS int STABLE LANGUAGE plpgsql AS
     $$ DECLARE found int; BEGIN EXECUTE 'SELECT v FROM st' || 'ate' INTO found; RETURN found; END $$`,
  )
  ids = SHARDS.map((shard) => accounts.on(shard))
})
beforeEach(async () => {
  writer = await accounts.connect()
  client = await accounts.connect()
  notices = []
  client.on('notice', (notice) => notices.push(String(notice.message)))
})
afterEach(async () => {
  const told = [...notices]
  await client.query('ROLLBACK')
  await query(accounts.cluster.weftUrl, 'TRUNCATE mark; TRUNCATE copied; TRUNCATE numbered')
  expect(told).toEqual([])
})

const STATE = '(SELECT v FROM state)'

/**
 * Lets shard 1's part of a statement that writes to `table` wait before it can begin, until the others' parts have run
 * or wait for their cut; then the state changes.
 */
async function whileOneWaits(table: string, statement: () => Promise<unknown>): Promise<void> {
  const locker = await connectTo(accounts.cluster.weft.shards[1]!.url)
  try {
    await locker.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`)
    const running = statement()
    running.catch(() => {})
    await lockWaiters(accounts, 1, 1)
    await othersAreDone(table)
    await writer.query('UPDATE state SET v = v + 1')
    await locker.query('COMMIT')
    await running
  } finally {
    await locker.end()
  }
}

async function othersAreDone(table: string): Promise<void> {
  for (const shard of [0, 2]) {
    for (let busy = 1; busy > 0; ) {
      const sql = `SELECT count(*)::int AS n FROM pg_stat_activity
        WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()
          AND query LIKE '%${table}%' AND wait_event_type IS DISTINCT FROM 'Client'`
      busy = (await accounts.direct<{ n: number }>(shard, sql))[0]!.n
    }
  }
}

/** The states that the rows of `mark` have seen, one for each row. */
async function seen(): Promise<readonly number[]> {
  const { rows } = await client.query<{ seen: number }>('SELECT seen FROM mark')
  return rows.map((row) => row.seen)
}

async function copies(table: string): Promise<readonly unknown[]> {
  return Promise.all(SHARDS.map((shard) => accounts.direct(shard, `SELECT * FROM ${table} ORDER BY id`)))
}

const values = (...rows: readonly string[]): string => rows.map((row) => `(${row})`).join(', ')
const perShard = (item: (id: number) => string): string => values(...ids.map(item))

describe('INSERT … VALUES over several shards in READ COMMITTED, while what its subqueries read changes', () => {
  const cases: readonly [string, () => string][] = [
    [
      'in values',
      (): string => `INSERT INTO mark VALUES ${perShard((id) => `${id}, ${STATE}`)} RETURNING seen`,
    ],
    [
      'in some rows only',
      () => {
        const [a, b, c] = ids
        return `INSERT INTO mark VALUES (${a}, 0), (${b}, ${STATE}), (${c}, ${STATE}) RETURNING nullif(seen, 0) AS seen`
      },
    ],
    ['in RETURNING', (): string => `INSERT INTO mark VALUES ${perShard(String)} RETURNING ${STATE} AS seen`],
    [
      'in ON CONFLICT DO UPDATE',
      () => `INSERT INTO mark VALUES ${perShard(String)}
        ON CONFLICT (id) DO UPDATE SET seen = ${STATE} WHERE mark.id <> ${STATE} - 1000 RETURNING seen`,
    ],
    [
      'in a function',
      () => `INSERT INTO mark VALUES ${perShard((id) => `${id}, state_by_function()`)} RETURNING seen`,
    ],
  ]
  describe.each(cases)('%s', (title, sql) => {
    beforeEach(async () => {
      if (title.includes('CONFLICT')) await client.query(`INSERT INTO mark VALUES ${perShard(String)}`)
    })

    /** How many different states the rows show. */
    async function states(run: () => Promise<pg.QueryResult<{ seen: number | null }>>): Promise<number> {
      let rows: readonly { seen: number | null }[] = []
      await whileOneWaits('mark', async () => {
        rows = (await run()).rows
      })
      expect(rows).toHaveLength(3)
      return new Set(rows.map((row) => row.seen).filter((state) => state !== null)).size
    }

    it('all rows see one state', async () => {
      expect(await states(() => client.query(sql()))).toBe(1)
    })

    it('with parameters, by name: the same', async () => {
      const text = sql().replace(String(ids[0]), '$1')
      expect(await states(() => client.query({ name: 'it', text, values: [ids[0]] }))).toBe(1)
    })

    it('by EXECUTE: the same', async () => {
      await client.query(`PREPARE it AS ${sql().replace(String(ids[0]), '$1')}`)
      expect(await states(() => client.query(`EXECUTE it (${ids[0]})`))).toBe(1)
    })

    it('in a block that has written before: the same', async () => {
      await client.query(`BEGIN; INSERT INTO account VALUES (${1000 + ids[0]!}, 1), (${1000 + ids[1]!}, 1)`)
      expect(await states(() => client.query(sql()))).toBe(1)
      await client.query('ROLLBACK')
    })

    it('weft.consistent_reads = off: several', async () => {
      await client.query('SET weft.consistent_reads = off')
      expect(await states(() => client.query(sql()))).toBe(2)
    })
  })

  it('with values of a sequence: the same', async () => {
    const sql = `INSERT INTO numbered (k, seen) VALUES ${perShard((id) => `${id}, ${STATE}`)} RETURNING id, seen`
    let rows: readonly { id: number; seen: number }[] = []
    await whileOneWaits('numbered', async () => {
      rows = (await client.query<{ id: number; seen: number }>(sql)).rows
    })
    expect(new Set(rows.map((row) => row.seen)).size).toBe(1)
    expect(rows.map((row) => row.id).sort()).toEqual([1, 2, 3])
  })

  it.each(['REPEATABLE READ', 'SERIALIZABLE'])('%s: the state of its snapshot', async (isolation) => {
    const before = (await client.query<{ v: number }>(STATE.slice(1, -1))).rows[0]!.v
    await client.query(`BEGIN ISOLATION LEVEL ${isolation}; SELECT 1`)
    await whileOneWaits('mark', () =>
      client.query(`INSERT INTO mark VALUES ${perShard((id) => `${id}, ${STATE}`)}`),
    )
    expect(await seen()).toEqual([before, before, before])
    await client.query('ROLLBACK')
  })
})

describe('an INSERT that waits for another transaction', () => {
  it('holds no commits, and goes on with the state that it has seen', async () => {
    await writer.query(`BEGIN; INSERT INTO mark VALUES (${ids[1]}, -1)`)
    await client.query('BEGIN')
    const running = client.query(
      `INSERT INTO mark VALUES ${perShard(String)} ON CONFLICT (id) DO UPDATE SET seen = ${STATE} RETURNING ${STATE} AS seen`,
    )
    await lockWaiters(accounts, 1, 1)
    const other = await accounts.connect()
    for (let i = 0; i < 5; i++) await other.query('UPDATE state SET v = v + 1')
    await writer.query('COMMIT')
    const { rows } = await running
    expect(new Set(rows.map((row) => row.seen)).size).toBe(1)
    await client.query('COMMIT')
    expect((await seen()).filter((state) => state !== null)).toEqual([rows[0].seen])
  })
})

describe('a write to a reference table, while what its subqueries read changes', () => {
  const cases: readonly [string, string][] = [
    ['INSERT', `INSERT INTO copied VALUES (2, ${STATE}), (3, 0)`],
    ['INSERT, WITH', `WITH s AS (SELECT v FROM state) INSERT INTO copied VALUES (2, (SELECT v FROM s))`],
    [
      'INSERT … ON CONFLICT',
      `INSERT INTO copied VALUES (1, 0), (2, 0) ON CONFLICT (id) DO UPDATE SET seen = ${STATE}`,
    ],
    ['UPDATE', `UPDATE copied SET seen = ${STATE}`],
    ['DELETE', `DELETE FROM copied WHERE seen < ${STATE}`],
  ]
  describe.each(cases)('%s', (title, sql) => {
    beforeEach(async () => {
      const below = title === 'DELETE' ? `${STATE}` : '0'
      await client.query(`INSERT INTO copied VALUES (1, ${below})`)
    })

    it.each(['on', 'off'])('weft.consistent_reads = %s: its copies stay alike', async (mode) => {
      await client.query(`SET weft.consistent_reads = ${mode}`)
      await whileOneWaits('copied', () => client.query(sql))
      const [first, ...others] = await copies('copied')
      expect(others).toEqual([first, first])
    })
  })

  it('DEFAULT VALUES with subqueries is refused', async () => {
    expect(await codeOf(client.query(`INSERT INTO copied DEFAULT VALUES RETURNING ${STATE}`))).toBe('0A000')
  })
})

describe('an error in an INSERT that is split over shards', () => {
  it.each([
    ['', 'one'],
    [STATE, ''],
  ])('has its place in the statement as the client wrote it (%s)', async (subquery, note) => {
    const more = subquery === '' ? 'NULL' : subquery
    for (const sql of [
      `INSERT INTO mark VALUES (${ids[0]}, 1, '😀'), (${ids[1]}, ${more}, '${note}'), (${ids[2]}, nosuch, 'x')`,
      `INSERT INTO mark (seen, id, note) VALUES (1, ${ids[0]}, '😀'), (${more}, ${ids[1]}, nosuch), (3, ${ids[2]}, '')`,
      `INSERT INTO mark (seen, id) VALUES (${more}, ${ids[0]} + 0), (2, ${ids[1]}) RETURNING nosuch`,
    ]) {
      const error = await client.query(sql).catch((e: unknown) => e)
      const position = String([...sql.slice(0, sql.indexOf('nosuch'))].length + 1)
      expect(error, sql).toMatchObject({ code: expect.stringMatching(/42703|42601/), position })
    }
  })
})

describe('EXPLAIN ANALYZE', () => {
  const rows = async (table: string): Promise<readonly number[]> =>
    (await copies(table)).map((all) => (all as []).length)

  it('of an INSERT with all its rows on one shard: inserts them there', async () => {
    const [, id] = ids
    const other = (await accounts.direct<{ id: number }>(1, `SELECT id FROM account WHERE id <> ${id}`))[0]!
      .id
    await client.query(`EXPLAIN ANALYZE INSERT INTO mark VALUES (${id}, ${STATE}), (${other}, 1)`)
    expect(await rows('mark')).toEqual([0, 2, 0])
    const text =
      'EXPLAIN (ANALYZE, TIMING off) INSERT INTO mark VALUES ($1, 5), ($2, 6) ON CONFLICT (id) DO UPDATE SET seen = 7'
    await client.query(text, [id, other])
    expect([...(await seen())].sort()).toEqual([7, 7])
  })

  const inserts: readonly (readonly [what: string, sql: () => string, table: string, rows: number[]])[] = [
    ['rows on several shards', () => `INSERT INTO mark VALUES ${perShard(String)}`, 'mark', [1, 1, 1]],
    ['a key to be computed', () => `INSERT INTO mark VALUES (${ids[1]} + 0, 1)`, 'mark', [0, 1, 0]],
    ['values of a sequence', () => `INSERT INTO numbered (k) VALUES (${ids[1]})`, 'numbered', [0, 1, 0]],
    ['a query', () => `INSERT INTO mark SELECT ${ids[1]}`, 'mark', [0, 1, 0]],
    ['a reference table', () => 'INSERT INTO copied VALUES (1, 1)', 'copied', [1, 1, 1]],
    ['one, with a subquery', () => `INSERT INTO copied VALUES (1, ${STATE})`, 'copied', [1, 1, 1]],
    ['one, from a query', () => 'INSERT INTO copied SELECT 1, 1', 'copied', [1, 1, 1]],
  ]

  it.each(inserts)('of an INSERT of %s: inserts; without ANALYZE it is shown only', async (...each) => {
    const [, sql, table, inserted] = each
    expect((await client.query(`EXPLAIN ${sql()}`)).rows.length).toBeGreaterThan(1)
    for (const other of ['mark', 'copied', 'numbered']) expect(await rows(other)).toEqual([0, 0, 0])
    expect((await client.query(`EXPLAIN ANALYZE ${sql()}`)).rows.length).toBeGreaterThan(1)
    expect(await rows(table)).toEqual(inserted)
  })

  it('of a SELECT over several shards: all of them show one state', async () => {
    await client.query(`INSERT INTO mark VALUES ${perShard((id) => `${id}, 0`)}`)
    let lines: readonly string[] = []
    const locker = await connectTo(accounts.cluster.weft.shards[1]!.url)
    try {
      await locker.query('BEGIN; LOCK TABLE mark IN ACCESS EXCLUSIVE MODE')
      const running = client.query(
        'EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT * FROM mark WHERE seen < (SELECT v FROM state)',
      )
      await lockWaiters(accounts, 1, 1)
      await writer.query('UPDATE state SET v = -v')
      await locker.query('COMMIT')
      lines = (await running).rows.map((row) => String(row['QUERY PLAN']))
    } finally {
      await locker.end()
      await writer.query('UPDATE state SET v = -v')
    }
    const counts = lines
      .filter((line) => line.includes('Scan on mark'))
      .map((line) => /rows=(\d+)/.exec(line)?.[1])
    expect(counts).toEqual(['1', '1', '1'])
    expect(await codeOf(client.query('BEGIN ISOLATION LEVEL SERIALIZABLE; ROLLBACK'))).toBe('ok')
  })
})
