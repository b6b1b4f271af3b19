import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { misplaced } from '../helpers/placement.ts'
import { query } from '../helpers/postgres.ts'

/** What one session changes, another sees: in plans that are cached, and in statements that it has prepared. */

const cluster = useTestCluster()
const open: pg.Client[] = []

async function connect(url = cluster.current.weftUrl): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  open.push(client)
  return client
}

let a: pg.Client
let b: pg.Client

beforeEach(async () => {
  a = await connect()
  b = await connect()
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end()))
  await query(cluster.current.weftUrl, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  await query(cluster.current.plainUrl, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public')
})

const rows = async (
  client: pg.Client,
  text: string,
  values?: unknown[],
  name?: string,
): Promise<unknown[]> => {
  const config = { text, rowMode: 'array' as const, ...(name === undefined ? {} : { name }) }
  return (await client.query<unknown[]>(config, values)).rows
}
const failure = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (error: pg.DatabaseError) => `${error.code} ${error.message}`,
  )

/** Runs each in session b often enough for plans and prepared statements to be kept everywhere. */
async function warmed(statements: readonly [string, unknown[]][]): Promise<void> {
  for (let i = 0; i < 4; i++) {
    for (const [text, values] of statements) {
      await b.query(text, values)
      await b.query({ text, values, name: `p${text}`.slice(0, 60) })
    }
  }
}

describe('a second session', () => {
  beforeEach(async () => {
    await a.query(`CREATE TABLE t (extra int, id bigint PRIMARY KEY, v text) WITH (shard_key = 'id')`)
    await a.query(`INSERT INTO t SELECT 0, g, 'v' || g FROM generate_series(1, 30) g`)
  })

  test('a column is added: seen by new statements, by * and by those that were prepared', async () => {
    await warmed([['SELECT * FROM t WHERE id = $1', [5]]])
    await a.query('ALTER TABLE t ADD COLUMN n int DEFAULT 7')
    expect(await rows(b, 'SELECT * FROM t WHERE id = $1', [5])).toEqual([[0, '5', 'v5', 7]])
    expect(await rows(b, 'SELECT n FROM t WHERE id = 5')).toEqual([[7]])
    const named = await failure(
      rows(b, 'SELECT * FROM t WHERE id = $1', [5], 'pSELECT * FROM t WHERE id = $1'),
    )
    // As in Postgres: what a named statement returns was fixed when it was prepared.
    expect(named).toBe('0A000 cached plan must not change result type')
    await b.query('INSERT INTO t VALUES (1, 100, $1, $2), (1, 101, $1, $2)', ['x', 8])
    expect(await rows(b, 'SELECT sum(n) FROM t WHERE id IN (100, 101)')).toEqual([['16']])
  })

  test('a local table changes: who comes after it is not told of what others had prepared', async () => {
    await a.query('CREATE TABLE l (id int, v text)')
    await a.query(`INSERT INTO l VALUES (1, 'one')`)
    const select = 'SELECT * FROM l WHERE id = $1'
    await warmed([[select, [1]]])
    await a.query('ALTER TABLE l ADD COLUMN n int DEFAULT 7')
    const c = await connect()
    for (let i = 0; i < 4; i++) {
      expect(await rows(c, select, [1])).toEqual([[1, 'one', 7]])
      expect(await rows(c, select, [1], 'mine')).toEqual([[1, 'one', 7]])
      await c.query('BEGIN')
      expect(await rows(c, select, [1])).toEqual([[1, 'one', 7]])
      expect(await rows(c, select, [1], 'mine')).toEqual([[1, 'one', 7]])
      await c.query('COMMIT')
    }
    const named = { text: select, values: [1], name: `p${select}` }
    await expect(b.query(named)).rejects.toMatchObject({ code: '0A000', routine: 'RevalidateCachedQuery' })
  })

  test.each(['a function', 'another way than through Weft'])(
    'a local table changes by %s: nobody is told of what others had prepared',
    async (how) => {
      await a.query('CREATE TABLE l (id int, v text)')
      await a.query(`INSERT INTO l VALUES (1, 'one')`)
      await a.query(`CREATE FUNCTION widen() RETURNS void LANGUAGE plpgsql AS
        $$BEGIN ALTER TABLE l ADD COLUMN n int DEFAULT 7; END$$`)
      const select = 'SELECT * FROM l WHERE id = $1'
      await warmed([[select, [1]]])
      if (how === 'a function') await a.query('SELECT widen()')
      else await query(cluster.current.weft.shards[0]!.url, 'SELECT widen()')
      const named = { text: select, values: [1], name: `p${select}` }
      await expect(b.query(named)).rejects.toMatchObject({ code: '0A000', routine: 'RevalidateCachedQuery' })
      const c = await connect()
      for (let i = 0; i < 4; i++) {
        expect(await rows(c, select, [1])).toEqual([[1, 'one', 7]])
        expect(await rows(c, select, [1], 'mine')).toEqual([[1, 'one', 7]])
        await c.query('BEGIN')
        expect(await rows(c, select, [1], 'mine')).toEqual([[1, 'one', 7]])
        await c.query('COMMIT')
      }
    },
  )

  test('a table is changed on every shard past Weft: read over all of them by what is prepared anew', async () => {
    const select = 'SELECT extra FROM t WHERE extra = $1'
    await warmed([[select, [0]]])
    for (const { url } of cluster.current.weft.shards)
      await query(url, 'ALTER TABLE t ALTER extra TYPE bigint')
    const c = await connect()
    for (let i = 0; i < 4; i++) {
      const { fields, rowCount } = await c.query({ text: select, values: [0], name: 'mine' })
      expect([fields[0]!.dataTypeID, rowCount]).toEqual([20, 30])
    }
    const named = { text: select, values: [0], name: `p${select}` }
    await expect(b.query(named)).rejects.toMatchObject({ code: '0A000', routine: 'RevalidateCachedQuery' })
  })

  test('a column before the key is dropped: rows still go where they belong', async () => {
    const insert = 'INSERT INTO t VALUES (1, $1, $2)'
    await warmed([['SELECT v FROM t WHERE id = $1', [5]]])
    await b.query({ name: 'ins', text: insert, values: [500, 'before'] })
    await a.query('ALTER TABLE t DROP COLUMN extra')
    expect(await failure(b.query({ name: 'ins', text: insert, values: [501, 'after'] }))).toMatch(/^42601/)
    for (let id = 600; id < 620; id++) await b.query('INSERT INTO t VALUES ($1, $2)', [id, 'after'])
    await b.query('INSERT INTO t VALUES (700, $1), (701, $1), (702, $1)', ['after'])
    expect(await rows(b, 'SELECT v FROM t WHERE id = $1', [701])).toEqual([['after']])
    expect(await rows(b, `SELECT count(*) FROM t WHERE v = 'after'`)).toEqual([['23']])
    await query(cluster.current.plainUrl, 'CREATE TABLE t (id bigint, v text)')
    const all = await rows(b, 'SELECT id, v FROM t')
    for (const [id, v] of all as [string, string][])
      await query(cluster.current.plainUrl, 'INSERT INTO t VALUES ($1, $2)', [id, v])
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })

  test('the key is renamed: old name unknown, new name routes', async () => {
    await warmed([['SELECT v FROM t WHERE id = $1', [5]]])
    await a.query('ALTER TABLE t RENAME COLUMN id TO key')
    expect(await failure(b.query('SELECT v FROM t WHERE id = $1', [5]))).toMatch(/^42703/)
    expect(await rows(b, 'SELECT v FROM t WHERE key = $1', [5])).toEqual([['v5']])
    expect(await rows(b, 'UPDATE t SET v = $1 WHERE key IN (1, 2, 3) RETURNING key', ['w'])).toHaveLength(3)
  })

  test('columns swap their names: the key is found by what it is, not by what it is called', async () => {
    await a.query('ALTER TABLE t ADD COLUMN other bigint; UPDATE t SET other = 1000 - id')
    await warmed([['SELECT v FROM t WHERE id = $1', [5]]])
    await a.query(
      'BEGIN; ALTER TABLE t RENAME COLUMN id TO x; ALTER TABLE t RENAME COLUMN other TO id; ALTER TABLE t RENAME COLUMN x TO other; COMMIT',
    )
    expect(await rows(b, 'SELECT v FROM t WHERE id = $1', [995])).toEqual([['v5']])
    expect(await rows(b, 'SELECT v FROM t WHERE other = $1', [5])).toEqual([['v5']])
    expect(await rows(b, 'SELECT v FROM t WHERE id = $1', [5])).toEqual([])
  })

  test('tables swap their names: statements follow the names', async () => {
    await a.query(`CREATE TABLE u (k text PRIMARY KEY, id bigint, v text) WITH (shard_key = 'k')`)
    await a.query(`INSERT INTO u SELECT 'k' || g, g, 'u' || g FROM generate_series(1, 30) g`)
    await warmed([['SELECT v FROM t WHERE id = $1', [5]]])
    await a.query(
      'BEGIN; ALTER TABLE t RENAME TO w; ALTER TABLE u RENAME TO t; ALTER TABLE w RENAME TO u; COMMIT',
    )
    for (let i = 0; i < 3; i++) {
      expect(await rows(b, 'SELECT v FROM t WHERE id = $1', [5])).toEqual([['u5']])
      expect(await rows(b, 'SELECT v FROM u WHERE id = $1', [5])).toEqual([['v5']])
    }
    expect(await rows(b, 'SELECT v FROM t WHERE id = $1', [5], 'pSELECT v FROM t WHERE id = $1')).toEqual([
      ['u5'],
    ])
  })

  test('the table is dropped and made anew with another key: rows go by the new one', async () => {
    const insert = 'INSERT INTO t (extra, id, v) VALUES ($1, $2, $3)'
    await warmed([['SELECT count(*) FROM t WHERE id = $1', [5]]])
    for (let i = 0; i < 4; i++) await b.query(insert, [i, 800 + i, 'old'])
    await a.query('DROP TABLE t')
    expect(await failure(b.query(insert, [1, 2, 'none']))).toMatch(/^42P01/)
    await a.query(`CREATE TABLE t (extra int, id bigint, v text NOT NULL) WITH (shard_key = 'v')`)
    for (let i = 0; i < 30; i++) await b.query(insert, [i, 5, `new${i}`])
    expect(await rows(b, 'SELECT count(*) FROM t WHERE id = $1', [5])).toEqual([['30']])
    expect(await rows(b, 'SELECT extra FROM t WHERE v = $1', ['new7'])).toEqual([[7]])
    await a.query('DROP TABLE t')
    await a.query('CREATE TABLE t (extra int, id bigint, v text)')
    for (let i = 0; i < 5; i++) await b.query(insert, [i, 5, 'local'])
    expect(await rows(b, 'SELECT count(*) FROM t WHERE id = $1', [5])).toEqual([['5']])
    await query(cluster.current.plainUrl, 'CREATE TABLE t (extra int, id bigint, v text)')
    await query(cluster.current.plainUrl, `INSERT INTO t SELECT g, 5, 'local' FROM generate_series(0, 4) g`)
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })

  test('a view is replaced: plans over it are made anew', async () => {
    await a.query('CREATE VIEW w AS SELECT id, v FROM t WHERE id < 10')
    await warmed([['SELECT count(*) FROM w', []]])
    expect(await rows(b, 'SELECT count(*) FROM w')).toEqual([['9']])
    await a.query('CREATE OR REPLACE VIEW w AS SELECT id, v FROM t WHERE id = 3')
    expect(await rows(b, 'SELECT count(*) FROM w')).toEqual([['1']])
    await a.query('DROP VIEW w; CREATE VIEW w AS SELECT 1 AS id, 2 AS v')
    expect(await rows(b, 'SELECT * FROM w')).toEqual([[1, 2]])
  })

  test('a function with the name of a built-in, a schema in front of the path: names mean what they mean now', async () => {
    await b.query('SET search_path = front, public')
    await warmed([['SELECT v FROM t WHERE id = $1', [5]]])
    await a.query(`CREATE SCHEMA front; CREATE TABLE front.t (id bigint, v text)`)
    await a.query(`INSERT INTO front.t VALUES (5, 'front')`)
    expect(await rows(b, 'SELECT v FROM t WHERE id = $1', [5])).toEqual([['front']])
    await a.query('DROP SCHEMA front CASCADE')
    expect(await rows(b, 'SELECT v FROM t WHERE id = $1', [5])).toEqual([['v5']])
  })

  test('changes that are rolled back: nothing of them is seen, before or after', async () => {
    await warmed([['SELECT v FROM t WHERE id = $1', [5]]])
    await a.query('BEGIN; ALTER TABLE t RENAME COLUMN v TO w')
    expect(await rows(a, 'SELECT w FROM t WHERE id = $1', [5])).toEqual([['v5']])
    await a.query('ROLLBACK')
    expect(await rows(b, 'SELECT v FROM t WHERE id = $1', [5])).toEqual([['v5']])
    expect(await failure(b.query('SELECT w FROM t WHERE id = $1', [5]))).toMatch(/^42703/)
  })

  test('a statement waits for a change that is under way, and sees it whole', async () => {
    await warmed([['SELECT * FROM t WHERE id = $1', [5]]])
    await a.query('BEGIN; ALTER TABLE t ADD COLUMN n int DEFAULT 7')
    const sessions = await Promise.all(Array.from({ length: 4 }, () => connect()))
    const waiting = Promise.all([
      rows(b, 'SELECT * FROM t WHERE id = $1', [5]),
      rows(sessions[0]!, 'SELECT * FROM t WHERE id = 5'),
      rows(sessions[1]!, 'SELECT count(n) FROM t'),
      rows(sessions[2]!, 'SELECT count(n) FROM t WHERE id <> $1', [5]),
      rows(sessions[3]!, 'UPDATE t SET n = 8 WHERE id IN (1, 2, 3, 4) RETURNING n'),
    ])
    await Promise.all([waiting, a.query('COMMIT')])
    expect(await waiting).toEqual([
      [[0, '5', 'v5', 7]],
      [[0, '5', 'v5', 7]],
      [['30']],
      [['29']],
      [[8], [8], [8], [8]],
    ])
  })
})

describe('tables are declared while sessions write', () => {
  const writers = 4

  /** Sessions that insert, each its own ids, until told to stop; returns what was acknowledged. */
  function startWriters(table: string, from: number) {
    let stopped = false
    const acknowledged: number[] = []
    const errors: string[] = []
    const work = Array.from({ length: writers }, async (_, w) => {
      const client = await connect()
      for (let i = 0; !stopped; i++) {
        const id = from + i * writers + w
        const insert = { text: `INSERT INTO ${table} VALUES ($1, $2)`, values: [id, `w${w}`] }
        try {
          if (i % 5 === 0) {
            await client.query('BEGIN')
            await client.query(insert)
            await client.query(`UPDATE ${table} SET v = v || '!' WHERE id = ${id}`)
            await client.query('COMMIT')
          } else await client.query(i % 2 === 0 ? insert : { ...insert, name: 'ins' })
          acknowledged.push(id)
        } catch (error) {
          errors.push(`${(error as pg.DatabaseError).code} ${(error as Error).message}`)
          await client.query('ROLLBACK')
        }
      }
    })
    return {
      acknowledged,
      errors,
      stop: async () => {
        stopped = true
        await Promise.all(work)
      },
    }
  }

  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  test('50,000 rows become sharded: none is lost, doubled or misplaced', async () => {
    await a.query('CREATE TABLE big (id bigint PRIMARY KEY, v text)')
    await a.query(`INSERT INTO big SELECT g, 'row' FROM generate_series(1, 50000) g`)
    const running = startWriters('big', 1_000_000)
    await until(() => running.acknowledged.length > 50)
    await a.query(`SELECT create_distributed_table('big', 'id')`)
    const seen = running.acknowledged.length
    await until(() => running.acknowledged.length > seen + 50)
    await running.stop()
    // A transaction that had begun on the old map may be told to try again; nothing else.
    expect(running.errors.filter((error) => !/^(40001|40P01)/.test(error))).toEqual([])
    const expected = 50_000 + running.acknowledged.length
    expect(await rows(a, 'SELECT count(*) FROM big')).toEqual([[String(expected)]])
    const found = (await rows(a, 'SELECT id FROM big WHERE id >= 1000000')) as [string][]
    expect(found.map(([id]) => Number(id)).sort((x, y) => x - y)).toEqual(
      [...running.acknowledged].sort((x, y) => x - y),
    )
    await copyToPlain('big')
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })

  test('a local table becomes a reference table: every copy has every row', async () => {
    await a.query('CREATE TABLE ref (id bigint PRIMARY KEY, v text)')
    await a.query(`INSERT INTO ref SELECT g, 'row' FROM generate_series(1, 2000) g`)
    const running = startWriters('ref', 1_000_000)
    await until(() => running.acknowledged.length > 30)
    await a.query(`SELECT create_reference_table('ref')`)
    const seen = running.acknowledged.length
    await until(() => running.acknowledged.length > seen + 20)
    await running.stop()
    expect(running.errors.filter((error) => !/^(40001|40P01)/.test(error))).toEqual([])
    expect(await rows(a, 'SELECT count(*) FROM ref')).toEqual([[String(2000 + running.acknowledged.length)]])
    await copyToPlain('ref')
    expect(await misplaced(cluster.current, 'public')).toEqual([])
  })

  test('and back: a sharded table becomes local again while sessions write', async () => {
    await a.query(`CREATE TABLE big (id bigint PRIMARY KEY, v text) WITH (shard_key = 'id')`)
    await a.query(`INSERT INTO big SELECT g, 'row' FROM generate_series(1, 5000) g`)
    const running = startWriters('big', 1_000_000)
    await until(() => running.acknowledged.length > 30)
    await a.query(`SELECT undistribute_table('big')`)
    const seen = running.acknowledged.length
    await until(() => running.acknowledged.length > seen + 30)
    await running.stop()
    expect(running.errors.filter((error) => !/^(40001|40P01)/.test(error))).toEqual([])
    expect(await rows(a, 'SELECT count(*) FROM big')).toEqual([[String(5000 + running.acknowledged.length)]])
  })

  async function copyToPlain(table: string): Promise<void> {
    const all = (await rows(a, `SELECT id, v FROM ${table}`)) as [string, string][]
    const plain = await connect(cluster.current.plainUrl)
    await plain.query(`CREATE TABLE ${table} (id bigint, v text)`)
    await plain.query(`INSERT INTO ${table} SELECT * FROM unnest($1::bigint[], $2::text[])`, [
      all.map(([id]) => id),
      all.map(([, v]) => v),
    ])
  }
})

test('what temporary objects depend on: dropped; where it has to be prepared refused, with what to do', async () => {
  for (const sql of [
    'CREATE TABLE local (v int)',
    'CREATE SCHEMA apart',
    'CREATE TABLE apart.local (v int)',
    'CREATE TEMP VIEW of_local AS SELECT * FROM local',
    'CREATE TEMP VIEW of_apart AS SELECT * FROM apart.local',
  ])
    await a.query(sql)
  await a.query('DROP TABLE local CASCADE')
  expect(await failure(a.query('SELECT * FROM of_local'))).toContain('42P01')
  await a.query('BEGIN ISOLATION LEVEL REPEATABLE READ; DROP SCHEMA apart CASCADE')
  await expect(a.query('COMMIT')).rejects.toMatchObject({
    code: '0A000',
    message: expect.stringContaining('touches temporary objects'),
    detail: 'Refusal temporary_prepared, see docs/sql.md.',
    routine: 'temporary_prepared',
    hint: expect.stringContaining('READ COMMITTED'),
  })
  expect(await rows(a, 'SELECT count(*)::int FROM of_apart')).toEqual([[0]])
  await a.query('DROP SCHEMA apart CASCADE')
  expect(await failure(a.query('SELECT * FROM of_apart'))).toContain('42P01')
})
