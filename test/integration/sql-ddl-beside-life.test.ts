import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

/** DDL that changes the shard map, in sessions that keep their backend, and beside what others do. */

const cluster = useTestCluster()
const open: pg.Client[] = []

async function connect(url = cluster.current.weftUrl): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  open.push(client)
  return client
}

beforeEach(async () => {
  await query(cluster.current.weftUrl, 'DROP SCHEMA public CASCADE; CREATE SCHEMA public')
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end()))
})

const rows = async (client: pg.Client, text: string): Promise<unknown[]> =>
  (await client.query<unknown[]>({ text, rowMode: 'array' })).rows

describe('DDL in a session that keeps its backend runs once', () => {
  test.each([
    ['a temporary table', 'CREATE TEMPORARY TABLE mine (a int)'],
    ['LISTEN', 'LISTEN something'],
    ['a session advisory lock', 'SELECT pg_advisory_lock(77)'],
    ['a cursor WITH HOLD', 'BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 1; COMMIT'],
  ])('%s', async (_, makes) => {
    const client = await connect()
    await client.query(makes)
    await client.query(`CREATE TABLE t (id bigint PRIMARY KEY, v text) WITH (shard_key = 'id')`)
    await client.query(`INSERT INTO t SELECT g, g::text FROM generate_series(1, 9) g`)
    await client.query('ALTER TABLE t ALTER v TYPE int USING v::int * 2')
    await client.query('ALTER TABLE t ADD CHECK (v > 0)')
    await client.query('BEGIN; ALTER TABLE t ADD COLUMN n int DEFAULT 1; UPDATE t SET n = n + 1')
    await client.query('COMMIT')
    expect(await rows(client, 'SELECT sum(v), sum(n) FROM t')).toEqual([['90', '18']])
    const checks = `SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND conrelid = 't'::regclass`
    expect(await rows(client, checks)).toEqual([['1']])
  })
})

test('a statement that does not end: DDL waits for it, nobody else does', async () => {
  const [holder, stuck, admin, other] = await Promise.all([connect(), connect(), connect(), connect()])
  await admin.query(`CREATE TABLE t (id bigint PRIMARY KEY, v int) WITH (shard_key = 'id')`)
  await holder.query('SELECT pg_advisory_lock(78)')
  await stuck.query('BEGIN')
  const waits = stuck.query('SELECT pg_advisory_xact_lock(78)')
  const asleep = `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 78 AND NOT granted`
  await expect.poll(async () => rows(other, asleep)).toEqual([['1']])
  let isChanged = false
  const change = admin.query('ALTER TABLE t ADD COLUMN n int').then(() => {
    isChanged = true
  })
  const local = 'SELECT count(*) FROM pg_stat_activity'
  const bumped = `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%bump_map_version%' AND pid <> pg_backend_pid()`
  await expect.poll(async () => rows(other, bumped)).not.toEqual([['0']])
  for (let i = 0; i < 20; i++) await other.query(local)
  const late = await connect()
  expect(await rows(late, 'SELECT 1')).toEqual([[1]])
  expect(isChanged).toBe(false)
  await holder.query('SELECT pg_advisory_unlock(78)')
  await Promise.all([waits, change])
  await stuck.query('ROLLBACK')
  expect(await rows(late, 'SELECT count(n) FROM t')).toEqual([['0']])
})

test('a table that a transaction has locked holds up those who use it, and nobody else, when the map changes', async () => {
  const [holder, admin] = await Promise.all([connect(), connect()])
  await admin.query(`
    CREATE TABLE books (id int DEFAULT 40 + 2, pages int CHECK (pages > 0), PRIMARY KEY (id));
    CREATE INDEX ON books ((pages + 1));
    CREATE VIEW long_books AS SELECT id FROM books WHERE pages > 9;
    CREATE RULE nothing AS ON DELETE TO books DO INSTEAD NOTHING;
    CREATE FUNCTION count_books() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM books; END;
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER noted BEFORE INSERT ON books FOR EACH ROW WHEN (NEW.id > 0) EXECUTE FUNCTION noted();
    CREATE TABLE other (a int)`)
  await admin.query(`CREATE TABLE spread (k int, v int DEFAULT 1 + 1) WITH (shard_key = 'k')`)
  await admin.query(`CREATE TABLE t (id bigint PRIMARY KEY) WITH (shard_key = 'id')`)
  await holder.query('BEGIN')
  await holder.query('LOCK TABLE books, spread IN ACCESS EXCLUSIVE MODE')
  await admin.query('ALTER TABLE t ADD COLUMN v int')
  await admin.query('INSERT INTO t VALUES (1), (2), (3)')
  const late = await connect()
  expect(await rows(late, 'SELECT count(*) FROM t')).toEqual([['3']])
  expect(await rows(late, 'SELECT count(*) FROM other')).toEqual([['0']])
  await late.query(`SET lock_timeout = '20ms'`)
  const waits = ['SELECT FROM long_books', 'INSERT INTO spread (k) VALUES (1)', 'SELECT count_books()']
  for (const text of waits) {
    const refused = await late.query(text).catch((error: pg.DatabaseError) => [error.code, error.message])
    expect(refused, text).toEqual(['55P03', 'canceling statement due to lock timeout'])
  }
  await late.query('RESET lock_timeout')
  const waiting = rows(late, 'INSERT INTO spread (k) VALUES (7) RETURNING v')
  // What it has locked itself is there for it.
  await holder.query('INSERT INTO books (pages) VALUES (10)')
  await holder.query('INSERT INTO spread (k) VALUES (8)')
  expect(await rows(holder, 'SELECT id, count_books() FROM long_books')).toEqual([[42, '1']])
  await holder.query('COMMIT')
  expect(await waiting).toEqual([[2]])
  expect(await rows(late, 'SELECT id FROM long_books')).toEqual([[42]])
  expect(await rows(late, 'SELECT k, v FROM spread WHERE k = 8')).toEqual([[8, 2]])
})

test('logins, scatter reads and writes, and other DDL go on beside DDL; nobody hears of a changed map', async () => {
  const admin = await connect()
  await admin.query(`CREATE TABLE t (id bigint PRIMARY KEY, v int) WITH (shard_key = 'id')`)
  await admin.query('INSERT INTO t SELECT g, 0 FROM generate_series(1, 60) g')
  const ddlCount = Number(process.env.WEFT_DDL_COUNT ?? 6)
  const errors: string[] = []
  const done = { ddl: 0, login: 0, work: 0 }
  let stopped = false
  const until = async (work: () => Promise<void>): Promise<void> => {
    while (!stopped)
      await work().catch((error: pg.DatabaseError) => void errors.push(`${error.code} ${error.message}`))
  }
  const runs = (client: pg.Client, text: string) => async (): Promise<void> => {
    await client.query(text)
    done.work++
  }
  const load = [
    until(async () => {
      const client = new pg.Client({ connectionString: cluster.current.weftUrl })
      await client.connect()
      done.login++
      await client.end()
    }),
    until(runs(await connect(), 'SELECT count(*), sum(v) FROM t')),
    until(runs(await connect(), 'UPDATE t SET v = v + 1')),
    until(runs(await connect(), 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM t; COMMIT')),
  ]
  const changes = async (name: string): Promise<void> => {
    const client = await connect()
    for (let i = 0; i < ddlCount; i++) {
      await client.query(`CREATE TABLE ${name} (id bigint PRIMARY KEY) WITH (shard_key = 'id')`)
      await client.query(`ALTER TABLE ${name} ADD COLUMN v int`)
      await client.query(`DROP TABLE ${name}`)
      done.ddl += 3
    }
  }
  try {
    await Promise.all([changes('a'), changes('b')])
  } finally {
    stopped = true
    await Promise.all(load)
  }
  expect(errors).toEqual([])
  expect(done.ddl).toBe(6 * ddlCount)
  expect(done.login > 0 && done.work > 0).toBe(true)
}, 3_600_000)
