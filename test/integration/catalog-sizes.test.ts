import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

const cluster = useTestCluster({ shards: 2 })
let weft: pg.Client

const TABLES = ['big', 'Odd "Name"', 'part'].map((name) => `"${name.replaceAll('"', '""')}"`)
const [big, odd, part] = TABLES as [string, string, string]

beforeAll(async () => {
  weft = new pg.Client({ connectionString: cluster.current.weftUrl })
  await weft.connect()
  await weft.query(`CREATE TABLE ${big} (k int PRIMARY KEY, v text) WITH (shard_key = 'k');
    CREATE INDEX big_v ON ${big} (md5(v));
    CREATE TABLE ${odd} (k int PRIMARY KEY) WITH (shard_key = 'k');
    CREATE TABLE ${part} (k int) WITH (shard_key = 'k');
    CREATE TABLE copied (k int PRIMARY KEY) WITH (reference = true);
    CREATE TABLE own (k int PRIMARY KEY)`)
  await weft.query(`INSERT INTO ${big} SELECT i, repeat(md5(i::text), 200) FROM generate_series(1, 600) i`)
  await weft.query(`INSERT INTO ${odd} SELECT generate_series(1, 1000)`)
  for (const table of ['copied', 'own'])
    await weft.query(`INSERT INTO ${table} SELECT generate_series(1, 1000)`)
  for (const table of [...TABLES, 'copied', 'own']) await weft.query(`VACUUM ANALYZE ${table}`)
})
afterAll(() => weft.end())

async function rows(client: pg.Client, sql: string, values: unknown[] = []): Promise<unknown[][]> {
  return (await client.query({ text: sql, values, rowMode: 'array' })).rows as unknown[][]
}
const value = async (sql: string, values: unknown[] = []) => (await rows(weft, sql, values))[0]?.[0]

/** Asked of each shard itself. */
async function onShards(sql: string): Promise<unknown[]> {
  const answers = await Promise.all(cluster.current.weft.shards.map(({ url }) => query(url, sql)))
  return answers.map(([row]) => Object.values(row ?? {})[0])
}
const sum = async (sql: string) => (await onShards(sql)).reduce<number>((all, one) => all + Number(one), 0)

describe('sizes of sharded tables are the sums over the shards', () => {
  const calls = TABLES.flatMap((table) => [
    `pg_relation_size('${table}')`,
    `pg_relation_size('${table}', 'vm')`,
    `pg_table_size('public.${table}'::regclass)`,
    `pg_catalog.pg_indexes_size('${table}')`,
    `"pg_total_relation_size"('${table}')`,
    `(SELECT pg_table_size(c.oid) FROM pg_class c WHERE c.oid = '${table}'::regclass)`,
    `(SELECT pg_total_relation_size(relid) FROM pg_stat_user_tables s WHERE relid = '${table}'::regclass)`,
    `(SELECT sum(pg_relation_size(indexrelid)) FROM pg_index WHERE indrelid = '${table}'::regclass)`,
    `(SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = '${table}'::regclass)`,
  ])
  test.each([...calls, "pg_relation_size('big_v')"])('%s', async (call) => {
    const all = await sum(`SELECT ${call}`)
    expect(Number(await value(`SELECT ${call}`))).toBe(all)
  })

  test('parameters, the pretty form, and several in one statement', async () => {
    const all = await sum(`SELECT pg_total_relation_size('big')`)
    expect(await value('SELECT pg_total_relation_size($1)', ['big'])).toBe(String(all))
    expect(await value('SELECT pg_total_relation_size($1::regclass) / $2', ['big', 2])).toBe(String(all / 2))
    const [pretty] = await query(cluster.current.plainUrl, `SELECT pg_size_pretty(${all}::bigint) AS size`)
    expect(await value(`SELECT pg_size_pretty(pg_total_relation_size('big'))`)).toBe(pretty!.size)
    const both = `SELECT pg_table_size('big') + pg_indexes_size('big') = pg_total_relation_size('big')`
    expect(await value(both)).toBe(true)
    const named = await weft.query(`SELECT pg_table_size('big'), pg_relation_size('big', 'main') AS main`)
    expect(named.fields.map(({ name }) => name)).toEqual(['pg_table_size', 'main'])
  })

  test.each(['copied', 'own'])('of %s, one copy', async (table) => {
    const [home] = await onShards(`SELECT pg_total_relation_size('${table}')`.replace('own', 'copied'))
    expect(await value(`SELECT pg_total_relation_size('${table}')`)).toBe(home)
  })

  test('what is made in a transaction', async () => {
    await weft.query('BEGIN')
    await weft.query(`CREATE TABLE fresh (k int) WITH (shard_key = 'k')`)
    expect(await value(`SELECT pg_relation_size('fresh')`)).toBe('0')
    await weft.query('INSERT INTO fresh SELECT generate_series(1, 100)')
    expect(await value(`SELECT pg_relation_size('fresh')`)).toBe(String(2 * 8192))
    await weft.query('ROLLBACK')
  })

  test('a table that somebody else has locked holds up who asks for it only', async () => {
    const other = new pg.Client({ connectionString: cluster.current.weftUrl })
    await other.connect()
    await other.query('BEGIN')
    await other.query(`LOCK TABLE ${odd} IN ACCESS EXCLUSIVE MODE`)
    expect(await value(`SELECT pg_total_relation_size('big') > 0`)).toBe(true)
    await other.query('ROLLBACK')
    await other.end()
  })

  test.each([
    `SELECT pg_total_relation_size('nowhere')`,
    `SELECT 1, pg_relation_size('own', 'sideways')`,
    `SELECT pg_relation_size('own', 'pg_table_size')`,
    `SELECT pg_total_relation_size(0::oid)`,
    `SELECT pg_total_relation_size(NULL)`,
    `SELECT pg_database_size('nowhere')`,
  ])('as in Postgres: %s', async (sql) => {
    await query(cluster.current.plainUrl, 'CREATE TABLE IF NOT EXISTS own (k int PRIMARY KEY)')
    const told = (client: Promise<unknown>) =>
      client.catch(({ code, position, message }: pg.DatabaseError) => ({ code, position, message }))
    const plain = await told(query(cluster.current.plainUrl, sql))
    expect(await told(query(cluster.current.weftUrl, sql))).toEqual(plain)
  })

  test('of the database', async () => {
    const all = () => sum('SELECT pg_database_size(current_database())')
    const sizes = `SELECT pg_database_size(current_database()), pg_database_size(oid), pg_database_size(datname)
      FROM pg_database WHERE datname = current_database()`
    const least = await all()
    const [told = []] = await rows(weft, sizes)
    const most = await all()
    expect(told).toHaveLength(3)
    for (const size of told.map(Number)) {
      expect(size).toBeGreaterThanOrEqual(least)
      expect(size).toBeLessThanOrEqual(most)
    }
  })
})

describe('statistics of sharded tables are the sums over the shards', () => {
  test.each(['big', 'big_v', 'part'])('pages and tuples of %s', async (name) => {
    for (const column of ['relpages', 'reltuples', 'relallvisible']) {
      const all = await sum(`SELECT ${column} FROM pg_class WHERE relname = '${name}'`)
      expect(await value(`SELECT ${column} FROM pg_class WHERE relname = $1`, [name])).toBe(all)
      expect(
        await value(`SELECT c.${column} FROM (pg_catalog.pg_class AS c
        JOIN pg_namespace n ON n.oid = c.relnamespace) WHERE c.relname = '${name}'`),
      ).toBe(all)
    }
  })

  test('tuples that nobody has counted', async () => {
    const tuples = () => value(`SELECT reltuples FROM pg_class WHERE oid = 'uncounted'::regclass`)
    await weft.query(`CREATE TABLE uncounted (k int) WITH (shard_key = 'k')`)
    expect(await tuples()).toBe(-1)
    await weft.query('ANALYZE uncounted')
    await weft.query('INSERT INTO uncounted VALUES (1)')
    expect(await tuples()).toBe(0)
  })

  test('pg_stat_user_tables, and of indexes', async () => {
    for (const { url } of cluster.current.weft.shards) {
      const direct = new pg.Client({ connectionString: url })
      await direct.connect()
      await direct.query('BEGIN')
      await direct.query('DELETE FROM big WHERE k = (SELECT min(k) FROM big)')
      await direct.query('SELECT pg_stat_force_next_flush()')
      await direct.query('COMMIT')
      await direct.end()
    }
    const seen = await weft.query(`SELECT * FROM pg_stat_user_tables WHERE relname = 'big'`)
    const [row] = seen.rows as Record<string, unknown>[]
    expect(row).toMatchObject({ n_tup_del: '2', vacuum_count: '2', analyze_count: '2', schemaname: 'public' })
    const analyzed = await onShards(`SELECT last_analyze FROM pg_stat_all_tables WHERE relname = 'big'`)
    expect(row!.last_analyze).toEqual(new Date(Math.max(...(analyzed as Date[]).map(Number))))
    expect(await value(`SELECT count(*) FROM pg_stat_user_indexes WHERE relname = 'big'`)).toBe('2')
    const rest = await rows(
      weft,
      `SELECT relname, relid = relname::regclass FROM pg_stat_user_tables
      WHERE relname IN ('copied', 'own') AND analyze_count = 1 ORDER BY 1`,
    )
    expect(rest).toEqual([
      ['copied', true],
      ['own', true],
    ])
  })
})
