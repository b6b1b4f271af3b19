import { beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { misplaced } from '../helpers/placement.ts'
import { query } from '../helpers/postgres.ts'

/** What a statement leaves to the shards to compute comes out once, whatever computes it: copies stay alike. */

const cluster = useTestCluster()

const onWeft = (sql: string) => query(cluster.current.weftUrl, sql)
const refused = (sql: string, what: string) =>
  expect(onWeft(sql)).rejects.toMatchObject({ code: '0A000', message: expect.stringContaining(what) })

/** Copies that differ, or rows on the wrong shard; plain Postgres has none of these tables. */
async function wrong(): Promise<string[]> {
  return (await misplaced(cluster.current, 'copies')).filter((found) => !found.includes('only on Weft'))
}

const TABLES = [
  'CREATE SCHEMA copies',
  "CREATE TABLE copies.s (k int PRIMARY KEY, v text) WITH (shard_key = 'k')",
  'CREATE TABLE copies.r (k int PRIMARY KEY, v text) WITH (reference = true)',
  'CREATE SEQUENCE copies.numbers',
  'CREATE DOMAIN copies.drawn AS bigint DEFAULT nextval($$copies.numbers$$)',
  'CREATE DOMAIN copies.chance AS float8 DEFAULT random()',
  'CREATE DOMAIN copies.moment AS timestamptz DEFAULT now()',
  'INSERT INTO copies.s SELECT n, n FROM generate_series(1, 30) n',
  'INSERT INTO copies.r SELECT n, n FROM generate_series(1, 5) n',
]

beforeAll(async () => {
  for (const sql of TABLES) await onWeft(sql)
})

test('the default of a domain is drawn like one of the column', async () => {
  const columns = '(k int PRIMARY KEY, n copies.drawn, c copies.chance, t copies.moment)'
  await onWeft(`CREATE TABLE copies.sd ${columns} WITH (shard_key = 'k')`)
  await onWeft(`CREATE TABLE copies.rd ${columns} WITH (reference = true)`)
  for (const table of ['copies.sd', 'copies.rd']) {
    await onWeft(`INSERT INTO ${table} (k) VALUES (1), (2), (3), (4)`)
    await onWeft(`INSERT INTO ${table} (k) VALUES (5)`)
    await onWeft(`INSERT INTO ${table} (k) SELECT 6`)
  }
  expect(await onWeft('SELECT count(*)::int, count(DISTINCT n)::int AS numbers FROM copies.sd')).toEqual([
    { count: 6, numbers: 6 },
  ])
  expect(await onWeft('SELECT count(DISTINCT t)::int AS times FROM copies.sd WHERE k < 5')).toEqual([
    { times: 1 },
  ])
  await onWeft('UPDATE copies.rd SET c = DEFAULT')
  expect(await wrong()).toEqual([])
  await onWeft("ALTER DOMAIN copies.moment SET DEFAULT '2000-01-01'")
  expect(
    await onWeft('INSERT INTO copies.rd (k) VALUES (7) RETURNING extract(year FROM t)::int AS y'),
  ).toEqual([{ y: 2000 }])
  await onWeft('ALTER DOMAIN copies.moment SET DEFAULT now()')
  expect(await wrong()).toEqual([])
})

test.each([
  ['DEFAULT now()', 'timestamptz', 'now()'],
  ['DEFAULT CURRENT_DATE NOT NULL CHECK (added IS NOT NULL)', 'date', 'CURRENT_DATE'],
  ["DEFAULT (statement_timestamp() - interval '1 day')::text", 'text', 'statement_timestamp'],
  [
    'DEFAULT LOCALTIMESTAMP(3), ALTER COLUMN v SET DEFAULT $$x$$ -- and so on',
    'timestamp',
    'LOCALTIMESTAMP(3)',
  ],
])('ADD COLUMN … %s: one value for the rows that are there', async (definition, type, said) => {
  for (const table of ['s', 'r']) {
    await onWeft(`ALTER TABLE copies.${table} ADD COLUMN added ${type} ${definition}`)
    expect(
      await onWeft(`SELECT count(DISTINCT added)::int, count(added) > 1 AS filled FROM copies.${table}`),
    ).toEqual([{ count: 1, filled: true }])
    const [{ text }] = (await onWeft(
      `SELECT pg_get_expr(adbin, adrelid) AS text FROM pg_attrdef
       WHERE adrelid = 'copies.${table}'::regclass ORDER BY adnum DESC LIMIT 1`,
    )) as [{ text: string }]
    expect(text).toContain(said)
    await onWeft(
      `ALTER TABLE copies.${table} ADD COLUMN IF NOT EXISTS added ${type} ${definition}, ALTER v DROP DEFAULT`.replace(
        / -- .*?(?=,|$)/,
        '',
      ),
    )
    await onWeft(`ALTER TABLE copies.${table} DROP COLUMN added`)
  }
  expect(await wrong()).toEqual([])
})

test('ALTER COLUMN TYPE … USING now(): the same', async () => {
  for (const table of ['s', 'r']) {
    await onWeft(`ALTER TABLE copies.${table} ALTER COLUMN v TYPE text USING now()::text`)
    expect(await onWeft(`SELECT count(DISTINCT v)::int FROM copies.${table}`)).toEqual([{ count: 1 }])
  }
  expect(await wrong()).toEqual([])
})

test('a new column of a domain whose default each shard would evaluate', async () => {
  await onWeft('ALTER TABLE copies.r ADD COLUMN c copies.chance')
  expect(await onWeft('SELECT count(DISTINCT c) > 1 AS drawn FROM copies.r')).toEqual([{ drawn: true }])
  expect(await wrong()).toEqual([])
  await onWeft('ALTER TABLE copies.r DROP COLUMN c')
  await onWeft('ALTER TABLE copies.r ADD COLUMN c copies.moment')
  expect(await onWeft('SELECT count(DISTINCT c)::int AS moments FROM copies.r')).toEqual([{ moments: 1 }])
  expect(await wrong()).toEqual([])
  await onWeft('ALTER TABLE copies.r DROP COLUMN c')
  await refused('ALTER TABLE copies.s ADD COLUMN c copies.moment', 'now()')
  await refused('ALTER TABLE copies.s ADD COLUMN c copies.drawn', 'draws from a sequence')
  await refused('ALTER TABLE copies.r ADD COLUMN c copies.drawn', 'draws from a sequence')
  await onWeft('ALTER TABLE copies.s ADD COLUMN c copies.chance, ADD COLUMN d copies.moment DEFAULT now()')
  expect(
    await onWeft('SELECT count(DISTINCT c)::int AS c, count(DISTINCT d)::int AS d FROM copies.s'),
  ).toEqual([{ c: 30, d: 1 }])
  expect(await wrong()).toEqual([])
})
