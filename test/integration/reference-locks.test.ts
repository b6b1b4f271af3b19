import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'

/** Row locks of reference tables conflict as on one Postgres, whatever shards the sessions have been on. */

const cluster = useTestCluster()

interface World {
  readonly holder: pg.Client
  readonly other: pg.Client
}
const worlds: World[] = []

beforeAll(async () => {
  const { weftUrl, plainUrl } = cluster.current
  for (const url of [weftUrl, plainUrl]) {
    const [holder, other] = [1, 2].map(() => new pg.Client({ connectionString: url })) as [
      pg.Client,
      pg.Client,
    ]
    await Promise.all([holder.connect(), other.connect()])
    const isWeft = url === weftUrl
    await holder.query(
      `CREATE TABLE lands (code text PRIMARY KEY, n int) ${isWeft ? 'WITH (reference = true)' : ''}`,
    )
    await holder.query(`CREATE TABLE towns (id bigint PRIMARY KEY, land text REFERENCES lands)
      ${isWeft ? "WITH (shard_key = 'id')" : ''}`)
    await holder.query("INSERT INTO lands VALUES ('de', 1), ('fr', 2)")
    await holder.query(
      `CREATE TABLE tasks (code text PRIMARY KEY, n int) ${isWeft ? 'WITH (reference = true)' : ''}`,
    )
    await holder.query("INSERT INTO tasks VALUES ('de', 1), ('fr', 2)")
    await holder.query(
      "INSERT INTO towns SELECT n, 'fr' FROM generate_series(1, 20) n".replace(
        'SELECT n',
        'SELECT n::bigint',
      ),
    )
    worlds.push({ holder, other })
  }
})
afterAll(() => Promise.all(worlds.flatMap(({ holder, other }) => [holder.end(), other.end()])))

/** Six sessions' worth of a second statement beside a held lock, each after having been on some shard. */
async function outcomes(
  { holder, other }: World,
  lock: string,
  second: (id: number) => string,
): Promise<string[]> {
  const found: string[] = []
  for (let id = 1; id <= 6; id++) {
    await holder.query('BEGIN')
    await holder.query(`SELECT * FROM towns WHERE id = ${id}`)
    await holder.query(lock)
    await other.query('BEGIN')
    await other.query("SET LOCAL lock_timeout = '100ms'")
    await other.query(`SELECT * FROM towns WHERE id = ${7 - id}`)
    found.push(
      await other.query(second(id)).then(
        () => 'ok',
        (error: { code: string }) => error.code,
      ),
    )
    await Promise.all([holder.query('ROLLBACK'), other.query('ROLLBACK')])
  }
  return found
}

const UPDATE = "SELECT * FROM lands WHERE code = 'de' FOR UPDATE"

test.each([
  ['NOWAIT of a lock that is held', UPDATE, () => `${UPDATE} NOWAIT`, '55P03'],
  [
    'FOR UPDATE OF an alias',
    UPDATE,
    () => "SELECT 1 FROM lands l WHERE code = 'de' FOR SHARE OF l NOWAIT",
    '55P03',
  ],
  ['another row', UPDATE, () => "SELECT * FROM lands WHERE code = 'fr' FOR UPDATE NOWAIT", 'ok'],
  [
    'two shared locks',
    'SELECT * FROM lands FOR SHARE',
    () => 'SELECT * FROM lands FOR KEY SHARE NOWAIT',
    'ok',
  ],
  ['a write', UPDATE, () => "UPDATE lands SET n = 3 WHERE code = 'de'", '55P03'],
  [
    'a row that refers to it',
    UPDATE,
    (id: number) => `INSERT INTO towns VALUES (${100 + id}, 'de')`,
    '55P03',
  ],
  [
    'a row that refers to it, beside a lock that leaves the key',
    "SELECT * FROM lands WHERE code = 'de' FOR NO KEY UPDATE",
    (id: number) => `INSERT INTO towns VALUES (${100 + id}, 'de')`,
    'ok',
  ],
  ['a write that holds', "UPDATE lands SET n = 3 WHERE code = 'de'", () => `${UPDATE} NOWAIT`, '55P03'],
])('%s', async (_, lock, second, expected) => {
  const found = []
  for (const world of worlds) found.push(await outcomes(world, lock, second))
  expect(found).toEqual([Array(6).fill(expected), Array(6).fill(expected)])
})

test('the rows are locked, changed and committed in one transaction', async () => {
  for (const { holder, other } of worlds) {
    await holder.query('BEGIN')
    expect((await holder.query(UPDATE)).rows).toEqual([{ code: 'de', n: 1 }])
    await holder.query("UPDATE lands SET n = n + 1 WHERE code = 'de'")
    await holder.query('COMMIT')
    expect((await other.query("SELECT n FROM lands WHERE code = 'de'")).rows).toEqual([{ n: 2 }])
    await holder.query("UPDATE lands SET n = 1 WHERE code = 'de'")
  }
})

test('with a parameter, prepared', async () => {
  for (const { holder, other } of worlds) {
    const query = {
      name: 'lock',
      text: 'SELECT n FROM lands WHERE code = $1 LIMIT 1 FOR UPDATE NOWAIT',
      values: ['de'],
    }
    await holder.query('BEGIN')
    expect((await holder.query(query)).rows).toEqual([{ n: 1 }])
    await expect(other.query(query)).rejects.toMatchObject({ code: '55P03' })
    await holder.query('ROLLBACK')
    expect((await other.query(query)).rows).toEqual([{ n: 1 }])
  }
})

test.each([
  ['FOR NO KEY UPDATE SKIP LOCKED', 'lands', ['fr']],
  ['FOR SHARE SKIP LOCKED', 'lands', ['fr']],
  ['FOR KEY SHARE SKIP LOCKED', 'lands', ['de', 'fr']],
  ['FOR UPDATE SKIP LOCKED', 'tasks', ['fr']],
  ['FOR UPDATE OF t SKIP LOCKED', 'tasks t', ['fr']],
])('%s on %s: what is free', async (clause, from, expected) => {
  const [table] = from.split(' ')
  for (const { holder, other } of worlds) {
    await holder.query(`BEGIN; UPDATE ${table} SET n = n WHERE code = 'de'`)
    const free = `SELECT code FROM ${from} ORDER BY code ${clause}`
    for (const before of ['', 'BEGIN']) {
      await other.query(before)
      expect((await other.query(free)).rows.map(({ code }) => code)).toEqual(expected)
    }
    await expect(
      holder.query(`SELECT FROM ${table} WHERE code = 'fr' FOR UPDATE NOWAIT`),
    ).rejects.toMatchObject({
      code: '55P03',
    })
    await Promise.all([holder.query('ROLLBACK'), other.query('ROLLBACK')])
  }
})

test('a queue: each takes what is free, and removes it', async () => {
  for (const { holder, other } of worlds) {
    await holder.query("INSERT INTO tasks SELECT 'job ' || n, n FROM generate_series(1, 6) n")
    const take = {
      text: `SELECT code FROM tasks WHERE code LIKE $1 ORDER BY code LIMIT 2 FOR UPDATE SKIP LOCKED`,
      values: ['job %'],
    }
    const taken: string[] = []
    for (const session of [holder, other]) {
      await session.query('BEGIN')
      const codes = (await session.query<{ code: string }>(take)).rows.map(({ code }) => code)
      taken.push(...codes)
      await session.query('DELETE FROM tasks WHERE code = ANY ($1)', [codes])
    }
    expect(taken).toEqual(['job 1', 'job 2', 'job 3', 'job 4'])
    await Promise.all([other.query('COMMIT'), holder.query('COMMIT')])
    expect((await other.query("DELETE FROM tasks WHERE code LIKE 'job %' RETURNING code")).rows).toHaveLength(
      2,
    )
  }
})

test.each([
  ['SELECT * FROM lands FOR UPDATE SKIP LOCKED', 'sharded table "towns" refers to it'],
  ['SELECT * FROM towns JOIN lands ON land = code WHERE id = 1 FOR UPDATE', 'one copy only would be locked'],
])('refused: %s', async (sql, message) => {
  await expect(worlds[0]!.holder.query(sql)).rejects.toMatchObject({
    code: '0A000',
    message: expect.stringContaining(message),
  })
  // In a transaction for the same reason.
  await worlds[0]!.holder.query('BEGIN')
  await expect(worlds[0]!.holder.query(sql)).rejects.toMatchObject({
    message: expect.stringContaining(message),
  })
  await worlds[0]!.holder.query('ROLLBACK')
  const { rows } = await worlds[0]!.holder.query(
    'SELECT id FROM towns t JOIN lands ON land = code WHERE id = 1 FOR UPDATE OF t',
  )
  expect(rows).toEqual([{ id: '1' }])
})

test('rows of a reference table that are read beside those of a sharded one meet the others on home', async () => {
  const { holder, other } = worlds[0]!
  await holder.query('BEGIN')
  await holder.query('SELECT * FROM towns JOIN lands l ON land = code WHERE id = 1 FOR SHARE OF l')
  const locks = "SELECT code FROM lands WHERE code = 'fr' FOR NO KEY UPDATE NOWAIT"
  await expect(other.query(locks)).rejects.toMatchObject({ code: '55P03' })
  await holder.query('ROLLBACK')
  expect((await other.query(locks)).rows).toEqual([{ code: 'fr' }])
})

describe('locks that the checks of foreign keys could not meet on their shards', () => {
  beforeAll(async () => {
    await worlds[0]!.holder.query(`CREATE FUNCTION is_it(text) RETURNS bool LANGUAGE sql AS $$ SELECT $1 = 'de' $$;
      CREATE TABLE here (code text)`)
  })

  test.each([
    'SELECT * FROM lands WHERE is_it(code) FOR UPDATE',
    'SELECT * FROM lands WHERE random() < 2 FOR UPDATE',
    'SELECT * FROM lands JOIN here USING (code) FOR UPDATE',
    'SELECT code FROM (SELECT * FROM lands WHERE is_it(code) FOR UPDATE) AS l',
    'DECLARE c CURSOR FOR SELECT * FROM lands FOR UPDATE',
    'CREATE TEMP TABLE held AS SELECT * FROM lands FOR UPDATE',
    'INSERT INTO here SELECT code FROM lands FOR UPDATE',
    'WITH l AS (SELECT code FROM lands FOR UPDATE) DELETE FROM here USING l WHERE l.code = here.code',
    'WITH l AS (SELECT code FROM lands FOR SHARE) DELETE FROM towns USING l WHERE land = code AND id = 1',
  ])('refused in a transaction: %s', async (sql) => {
    const { holder } = worlds[0]!
    await holder.query('BEGIN')
    const refused = { code: '0A000', message: expect.stringContaining('could not be locked alike') }
    await expect(holder.query(sql)).rejects.toMatchObject(refused)
    await holder.query('ROLLBACK; BEGIN')
    await expect(holder.query({ name: `p ${sql.slice(0, 50)}`, text: sql })).rejects.toMatchObject(refused)
    await holder.query('ROLLBACK')
  })

  test.each([
    'SELECT * FROM lands WHERE is_it(code) FOR NO KEY UPDATE',
    'SELECT * FROM tasks WHERE is_it(code) FOR UPDATE',
    'SELECT * FROM lands JOIN here USING (code) FOR UPDATE OF here',
    'UPDATE lands SET n = n WHERE code IN (SELECT code FROM lands FOR UPDATE)',
    'EXPLAIN SELECT * FROM lands WHERE is_it(code) FOR UPDATE',
  ])('done: %s', async (sql) => {
    const { holder } = worlds[0]!
    await holder.query('SELECT * FROM lands WHERE is_it(code) FOR UPDATE')
    await holder.query('BEGIN')
    await holder.query(sql)
    await holder.query('ROLLBACK')
  })
})
