import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { guardMissing, SLOT_GUARD } from '../../sql/install/slot-guard.ts'
import { useTestCluster } from '../helpers/cluster.ts'
import { misplaced } from '../helpers/placement.ts'
import { query } from '../helpers/postgres.ts'

/** Whatever writes a row of a sharded table, it is on the shard that owns its slot, or the statement fails (I6). */

const cluster = useTestCluster()
let client: pg.Client

beforeAll(async () => {
  client = new pg.Client({ connectionString: cluster.current.weftUrl })
  await client.connect()
})
afterAll(() => client.end())

interface Failure {
  readonly code: string
  readonly message: string
  readonly constraint: string
  readonly hint: string
}

async function failure(sql: string): Promise<Failure> {
  return client.query(sql).then(
    () => expect.fail(`nothing refused: ${sql}`),
    (error: Failure) => error,
  )
}

const GUARDED = { code: '23514', constraint: SLOT_GUARD }

/** On every shard: what is not where it should be. The plain server has no such tables. */
const wrong = async () => (await misplaced(cluster.current)).filter((line) => !line.includes('only on Weft'))

const count = async (table: string) =>
  Number((await client.query(`SELECT count(*) FROM ${table}`)).rows[0].count)

/** Three shards: of these keys none but a few stay where they are when one is added. */
const KEYS = Array.from({ length: 12 }, (_, i) => i + 1)

const shiftKey = `CREATE FUNCTION shift_key() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN NEW.k := NEW.k + 1000; RETURN NEW; END $$`

test('a BEFORE INSERT trigger that changes the key misplaces nothing', async () => {
  await client.query(shiftKey)
  await client.query("CREATE TABLE moved (k bigint PRIMARY KEY, v text) WITH (shard_key = 'k')")
  await client.query('CREATE TRIGGER t BEFORE INSERT ON moved FOR EACH ROW EXECUTE FUNCTION shift_key()')
  await misplacesNothing('moved', (k) => `INSERT INTO moved VALUES (${k}, 'a')`)
})

test('nor one that was there before the table was distributed, nor with replica triggers', async () => {
  await client.query('CREATE TABLE earlier (k bigint PRIMARY KEY, v text)')
  await client.query('CREATE TRIGGER t BEFORE INSERT ON earlier FOR EACH ROW EXECUTE FUNCTION shift_key()')
  await client.query('ALTER TABLE earlier ENABLE ALWAYS TRIGGER t')
  await client.query("SELECT create_distributed_table('earlier', 'k')")
  await client.query('SET session_replication_role = replica')
  await misplacesNothing('earlier', (k) => `INSERT INTO earlier VALUES (${k}, 'a')`)
  await client.query('RESET session_replication_role')
})

async function misplacesNothing(table: string, insert: (k: number) => string): Promise<void> {
  let done = 0
  for (const k of KEYS) {
    const error = await client.query(insert(k)).then(
      () => undefined,
      (e: Failure) => e,
    )
    if (error === undefined) done++
    else expect(error).toMatchObject(GUARDED)
  }
  expect(done).toBeGreaterThan(0)
  expect(done).toBeLessThan(KEYS.length)
  expect(await count(table)).toBe(done)
  expect(await wrong()).toEqual([])
}

test('the error says what happened and what to do; the session goes on', async () => {
  const values = KEYS.map((k) => `(${k}, 'b')`).join(', ')
  expect(await failure(`INSERT INTO moved VALUES ${values}`)).toMatchObject({
    ...GUARDED,
    message: 'row of sharded table "moved" does not belong to the shard that it was written on',
    hint: expect.stringContaining('Give the row its final key in the statement'),
  })
  await client.query('SELECT 1')
})

test('in a block it fails the transaction, on all shards', async () => {
  const before = await count('moved')
  const values = KEYS.map((k) => `(${k + 20}, 'b')`).join(', ')
  await client.query('BEGIN')
  expect(await failure(`INSERT INTO moved VALUES ${values}`)).toMatchObject(GUARDED)
  expect((await client.query('COMMIT')).command).toBe('ROLLBACK')
  expect(await count('moved')).toBe(before)
})

test('a BEFORE UPDATE trigger that changes the key', async () => {
  await client.query("CREATE TABLE updated (k bigint PRIMARY KEY, v text) WITH (shard_key = 'k')")
  await client.query(`INSERT INTO updated VALUES ${KEYS.map((k) => `(${k}, 'a')`).join(', ')}`)
  await client.query('CREATE TRIGGER t BEFORE UPDATE ON updated FOR EACH ROW EXECUTE FUNCTION shift_key()')
  expect(await failure("UPDATE updated SET v = 'b'")).toMatchObject(GUARDED)
  const { rows } = await client.query("SELECT count(*) FROM updated WHERE v = 'a'")
  expect(Number(rows[0].count)).toBe(KEYS.length)
  expect(await wrong()).toEqual([])
})

test('a trigger that writes to a table with another key', async () => {
  await client.query("CREATE TABLE source (k bigint PRIMARY KEY, other bigint) WITH (shard_key = 'k')")
  await client.query("CREATE TABLE target (other bigint PRIMARY KEY, k bigint) WITH (shard_key = 'other')")
  await client.query(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN EXECUTE 'INSERT INTO target VALUES ($1, $2)' USING NEW.other, NEW.k; RETURN NEW; END $$`)
  await client.query('CREATE TRIGGER t AFTER INSERT ON source FOR EACH ROW EXECUTE FUNCTION note()')
  const values = KEYS.map((k) => `(${k}, ${k * 7})`).join(', ')
  expect(await failure(`INSERT INTO source VALUES ${values}`)).toMatchObject({ ...GUARDED, table: 'target' })
  expect([await count('source'), await count('target')]).toEqual([0, 0])
  expect(await wrong()).toEqual([])
})

test('a trigger that sets the key to NULL', async () => {
  await client.query("CREATE TABLE nulled (k bigint, v text) WITH (shard_key = 'k')")
  await client.query(`CREATE FUNCTION no_key() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.k := NULL; RETURN NEW; END $$`)
  await client.query('CREATE TRIGGER t BEFORE INSERT ON nulled FOR EACH ROW EXECUTE FUNCTION no_key()')
  expect(await failure('INSERT INTO nulled VALUES (1)')).toMatchObject(GUARDED)
})

test('a statement on the shard itself, past Weft', async () => {
  const [home, ...others] = cluster.current.weft.shards
  await query(home!.url, 'TRUNCATE moved; DROP TRIGGER t ON moved')
  for (const { url } of others) await query(url, 'TRUNCATE moved; DROP TRIGGER t ON moved')
  const sql = `INSERT INTO moved SELECT n, 'x' FROM generate_series(1, 50) n`
  await expect(query(home!.url, sql)).rejects.toThrow(SLOT_GUARD)
  await expect(query(home!.url, "COPY moved (k) FROM PROGRAM 'seq 1 50'")).rejects.toThrow(SLOT_GUARD)
})

test.each([
  ['text', 'varchar(3)', "'ab'", "'abc   '"],
  ['numeric', 'numeric(6,1)', '1.5', '2.26'],
  ['timestamp', 'timestamp(0)', "'2024-01-01 00:00:00'", "'2024-01-01 00:00:00.7'"],
])('INSERT … SELECT of a %s key into a %s key', async (from, into, exact, converted) => {
  await client.query('DROP TABLE IF EXISTS wide, narrow')
  await client.query(`CREATE TABLE wide (k ${from} PRIMARY KEY, v int) WITH (shard_key = 'k')`)
  await client.query(`CREATE TABLE narrow (k ${into} PRIMARY KEY, v int)
    WITH (shard_key = 'k', colocate_with = 'wide')`)
  await client.query(`INSERT INTO wide VALUES (${exact}, 1), (${converted}, 2)`)
  await client.query('INSERT INTO narrow SELECT k, v FROM wide')
  expect(await count('narrow')).toBe(2)
  await client.query('DELETE FROM narrow')
  await client.query(`CREATE TABLE same (k ${into} PRIMARY KEY, v int) WITH (shard_key = 'k')`)
  await client.query(`INSERT INTO narrow VALUES (${exact}, 1), (${converted}, 2)`)
  await client.query('INSERT INTO same SELECT k, v FROM narrow')
  expect(await count('same')).toBe(2)
  await client.query('DROP TABLE same')
  expect(await wrong()).toEqual([])
})

test('the constraint is kept through a rename of the key, and goes with undistribute_table', async () => {
  await client.query("CREATE TABLE renamed (k bigint, v text) WITH (shard_key = 'k')")
  await client.query('ALTER TABLE renamed RENAME COLUMN k TO kk')
  await client.query('ALTER TABLE renamed RENAME TO renamed2')
  await client.query(`INSERT INTO renamed2 VALUES ${KEYS.map((k) => `(${k}, 'a')`).join(', ')}`)
  expect(await wrong()).toEqual([])
  await client.query("SELECT undistribute_table('renamed2')")
  const { rows } = await client.query(
    `SELECT count(*) FROM pg_constraint WHERE conrelid = 'renamed2'::regclass AND conname = '${SLOT_GUARD}'`,
  )
  expect(rows[0].count).toBe('0')
  expect(await count('renamed2')).toBe(KEYS.length)
})

test('clients can neither add, drop nor rename it', async () => {
  for (const change of [
    `DROP CONSTRAINT ${SLOT_GUARD}`,
    `RENAME CONSTRAINT ${SLOT_GUARD} TO mine`,
    `ADD CONSTRAINT ${SLOT_GUARD} CHECK (true)`,
  ]) {
    expect(await failure(`ALTER TABLE moved ${change}`)).toMatchObject({ code: '0A000' })
  }
})

test('a dump brings it along, and LIKE: it is left out', async () => {
  const foreign = `CONSTRAINT ${SLOT_GUARD} CHECK (k IS NOT NULL AND (hashint8extended(k, 0) & 4095) BETWEEN 0 AND 1)`
  const values = KEYS.map((k) => `(${k})`).join(', ')
  await client.query(`CREATE TABLE dumped (k bigint NOT NULL, ${foreign}, CHECK (k > 0))`)
  await client.query(`CREATE TABLE dumped_last (${foreign.replace('k IS', 'true OR k IS')}, k bigint)`)
  await client.query('CREATE TABLE alike (LIKE moved INCLUDING ALL)')
  await client.query(`CREATE TABLE dumped_sharded (k bigint, ${foreign}) WITH (shard_key = 'k')`)
  for (const table of ['dumped (k)', 'dumped_last (k)', 'alike (k)', 'dumped_sharded (k)']) {
    await client.query(`INSERT INTO ${table} VALUES ${values}`)
  }
  await client.query("SELECT create_distributed_table('dumped', 'k')")
  expect(await count('dumped')).toBe(KEYS.length)
  await client.query('CREATE TEMP TABLE staging (LIKE moved INCLUDING ALL)')
  await client.query(`INSERT INTO staging (k) VALUES ${values}`)
  await client.query('DROP TABLE staging')
  expect(await wrong()).toEqual([])
})

test('a table of an older cluster gets it when a node starts', async () => {
  const [home] = cluster.current.weft.shards
  await query(home!.url, `ALTER TABLE moved DROP CONSTRAINT ${SLOT_GUARD}`)
  const table = { name: 'public.moved', keyColumn: 'k', keyType: 'int8' } as const
  const upgrade = guardMissing([table], [{ from: 0, to: 1364 }])
  await query(home!.url, upgrade)
  await query(home!.url, upgrade)
  const sql = `INSERT INTO moved SELECT n, 'x' FROM generate_series(1, 50) n`
  await expect(query(home!.url, sql)).rejects.toThrow(SLOT_GUARD)
})
