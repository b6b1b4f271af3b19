import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

/** What code (DO, functions, procedures, triggers) makes, changes and grants is on every shard, or the statement fails. */

const cluster = useTestCluster()
let client: pg.Client

const SCHEMA = [
  'CREATE ROLE reader',
  'CREATE ROLE writer LOGIN',
  "CREATE TABLE orders (k int PRIMARY KEY, v int) WITH (shard_key = 'k')",
  'CREATE TABLE ref (id int PRIMARY KEY, n int) WITH (reference = true)',
  'CREATE VIEW orders_seen AS SELECT k FROM orders',
  'CREATE TABLE here (id int PRIMARY KEY, v int)',
  'CREATE SCHEMA app',
  "CREATE TYPE mood AS ENUM ('sad', 'ok')",
  'CREATE DOMAIN nonzero AS int CHECK (VALUE <> 0)',
  'CREATE TYPE pair AS (a int, b int)',
  "CREATE TYPE used AS ENUM ('a')",
  "CREATE TABLE uses (k int PRIMARY KEY, u used) WITH (shard_key = 'k')",
  'ALTER TABLE here ADD m mood',
  'CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 2 * n $$',
  'CREATE PROCEDURE run(text) LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1; END $$',
  'CREATE FUNCTION ran(text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1; RETURN 1; END $$',
]

beforeAll(async () => {
  client = new pg.Client({ connectionString: cluster.current.weftUrl })
  await client.connect()
  for (const sql of SCHEMA) await client.query(sql)
})
afterAll(() => client.end())
afterEach(async () => {
  await client.query('ROLLBACK')
})

/** What each shard answers, once where they agree. */
async function everywhere(sql: string): Promise<string[]> {
  const { shards } = cluster.current.weft
  const answers = await Promise.all(shards.map(async ({ url }) => JSON.stringify(await query(url, sql))))
  return [...new Set(answers)]
}

const literal = (sql: string) => `$x$${sql}$x$`
const byFunction = (sql: string) => `SELECT ran(${literal(sql)})`
const WAYS: readonly (readonly [string, (sql: string) => string])[] = [
  ['a DO block', (sql) => `DO $do$ BEGIN ${sql}; END $do$`],
  ['dynamic SQL of a DO block', (sql) => `DO $do$ BEGIN EXECUTE ${literal(sql)}; END $do$`],
  ['a procedure', (sql) => `CALL run(${literal(sql)})`],
  ['a function', byFunction],
]

const TWICE = 'CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT 2 * n $$'
const owns = (who: string, column: string, catalog: string, where: string) =>
  `(SELECT ${column} = '${who}'::regrole FROM ${catalog} WHERE ${where})`

/** What code says, what holds then on every shard, what takes it back. */
const CARRIED: readonly (readonly [sql: string, holds: string, undo: string])[] = [
  [
    'GRANT SELECT (n), UPDATE (n) ON ref TO reader',
    "has_column_privilege('reader', 'ref', 'n', 'UPDATE')",
    'REVOKE SELECT (n), UPDATE (n) ON ref FROM reader',
  ],
  [
    'GRANT SELECT ON orders_seen TO PUBLIC',
    "has_table_privilege('reader', 'orders_seen', 'SELECT')",
    'REVOKE ALL ON orders_seen FROM PUBLIC',
  ],
  [
    'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader',
    "has_table_privilege('reader', 'ref', 'SELECT')",
    'REVOKE ALL ON ALL TABLES IN SCHEMA public FROM reader',
  ],
  [
    'GRANT USAGE ON SCHEMA app TO reader WITH GRANT OPTION',
    "has_schema_privilege('reader', 'app', 'USAGE WITH GRANT OPTION')",
    'REVOKE USAGE ON SCHEMA app FROM reader',
  ],
  [
    'REVOKE EXECUTE ON FUNCTION twice FROM PUBLIC',
    "NOT has_function_privilege('reader', 'twice(int)', 'EXECUTE')",
    'GRANT EXECUTE ON FUNCTION twice TO PUBLIC',
  ],
  [
    'REVOKE USAGE ON TYPE mood FROM PUBLIC',
    "NOT has_type_privilege('reader', 'mood', 'USAGE')",
    'GRANT USAGE ON TYPE mood TO PUBLIC',
  ],
  [
    'ALTER FUNCTION twice OWNER TO writer',
    owns('writer', 'proowner', 'pg_proc', "proname = 'twice'"),
    'ALTER FUNCTION twice OWNER TO postgres',
  ],
  [
    'ALTER FUNCTION twice STABLE',
    "(SELECT provolatile = 's' FROM pg_proc WHERE proname = 'twice')",
    'ALTER FUNCTION twice IMMUTABLE',
  ],
  [
    'ALTER FUNCTION twice RENAME TO doubled',
    "to_regproc('twice') IS NULL AND to_regproc('doubled') IS NOT NULL",
    'ALTER FUNCTION doubled RENAME TO twice',
  ],
  ['DROP FUNCTION twice', "to_regproc('twice') IS NULL", TWICE],
  [
    'ALTER SCHEMA app OWNER TO writer',
    owns('writer', 'nspowner', 'pg_namespace', "nspname = 'app'"),
    'ALTER SCHEMA app OWNER TO postgres',
  ],
  ['DROP SCHEMA app', "to_regnamespace('app') IS NULL", 'CREATE SCHEMA app'],
  ['CREATE SCHEMA app2 AUTHORIZATION writer', "to_regnamespace('app2')::oid IS NOT NULL", 'DROP SCHEMA app2'],
  ['CREATE DOMAIN small AS int CHECK (VALUE < 9)', "to_regtype('small') IS NOT NULL", 'DROP DOMAIN small'],
  ['CREATE TYPE span AS RANGE (SUBTYPE = int)', "to_regtype('span') IS NOT NULL", 'DROP TYPE span'],
  [
    "ALTER TYPE mood ADD VALUE 'great'",
    "(SELECT count(*) = 3 FROM pg_enum WHERE enumtypid = 'mood'::regtype)",
    `ALTER TABLE here DROP m; DROP TYPE mood; CREATE TYPE mood AS ENUM ('sad', 'ok'); ALTER TABLE here ADD m mood`,
  ],
  [
    "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
    "(SELECT string_agg(enumlabel, ' ') = 'sad fine' FROM pg_enum WHERE enumtypid = 'mood'::regtype)",
    "ALTER TYPE mood RENAME VALUE 'fine' TO 'ok'",
  ],
  [
    `ALTER TYPE mood RENAME TO mood_old; CREATE TYPE mood AS ENUM ('ok', 'great');
     ALTER TABLE here ALTER m TYPE mood USING 'ok'; DROP TYPE mood_old`,
    "(SELECT string_agg(enumlabel, ' ') = 'ok great' FROM pg_enum WHERE enumtypid = 'mood'::regtype)",
    `ALTER TABLE here ALTER m TYPE text; DROP TYPE mood; CREATE TYPE mood AS ENUM ('sad', 'ok');
     ALTER TABLE here ALTER m TYPE mood USING m::mood`,
  ],
  [
    'ALTER DOMAIN nonzero ADD CONSTRAINT low CHECK (VALUE < 100)',
    "EXISTS (SELECT FROM pg_constraint WHERE conname = 'low')",
    'ALTER DOMAIN nonzero DROP CONSTRAINT low',
  ],
  [
    'ALTER TYPE pair ADD ATTRIBUTE c text',
    "EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'pair'::regclass AND attname = 'c')",
    'ALTER TYPE pair DROP ATTRIBUTE c',
  ],
  [
    'DROP TYPE mood CASCADE',
    "to_regtype('mood') IS NULL",
    "CREATE TYPE mood AS ENUM ('sad', 'ok'); ALTER TABLE here ADD m mood",
  ],
  [
    "CREATE COLLATION names (LC_COLLATE = 'C', LC_CTYPE = 'C')",
    "to_regcollation('names') IS NOT NULL",
    'DROP COLLATION names',
  ],
  [
    "CREATE COLLATION blind (PROVIDER = icu, LOCALE = 'und-u-ks-level1', DETERMINISTIC = false)",
    "to_regcollation('blind') IS NOT NULL",
    'DROP COLLATION blind',
  ],
  ['CREATE EXTENSION citext', "to_regtype('citext') IS NOT NULL", 'DROP EXTENSION citext'],
]

async function onEveryShard(run: string, holds: string, undo: string): Promise<void> {
  const is = `SELECT ${holds} AS holds`
  expect(await everywhere(is)).toEqual(['[{"holds":false}]'])
  await client.query(run)
  expect(await everywhere(is)).toEqual(['[{"holds":true}]'])
  await client.query(undo)
  expect(await everywhere(is)).toEqual(['[{"holds":false}]'])
}

async function isRefused(run: string, what: string): Promise<void> {
  await expect(client.query(run)).rejects.toMatchObject({
    code: '0A000',
    message: expect.stringContaining(`has made or changed ${what}`),
  })
}

test.each(CARRIED)('a function: %s: on every shard', (sql, holds, undo) =>
  onEveryShard(byFunction(sql), holds, undo),
)

describe.each(WAYS)('%s', (_, by) => {
  test.each(CARRIED.filter(([sql]) => /^(GRANT USAGE|CREATE TYPE|DROP SCHEMA|REVOKE EXECUTE)/.test(sql)))(
    '%s: on every shard',
    async (sql, holds, undo) => {
      await onEveryShard(by(sql), holds, undo)
      await client.query('BEGIN; INSERT INTO orders VALUES (100, 1), (101, 1), (102, 1)')
      await client.query(by(sql))
      await client.query('ROLLBACK')
      expect(await everywhere(`SELECT ${holds} AS holds`)).toEqual(['[{"holds":false}]'])
    },
  )

  test('what is of local tables, or temporary, stays on home', async () => {
    await client.query(by('CREATE TABLE later (id int PRIMARY KEY, m mood)'))
    await client.query(by('GRANT SELECT ON later TO reader'))
    await client.query(by('CREATE VIEW later_seen AS SELECT id FROM later'))
    await client.query(by('DROP TABLE later CASCADE'))
    await client.query(by("CREATE TYPE pg_temp.passing AS ENUM ('a')"))
    await client.query(by('CREATE TEMP TABLE passing_rows (m pg_temp.passing)'))
    await client.query(by('DROP TABLE passing_rows'))
    await client.query('DISCARD ALL')
    expect(await everywhere("SELECT count(*) FROM pg_class WHERE relname LIKE 'later%'")).toEqual([
      '[{"count":"0"}]',
    ])
  })

  test('refused', () =>
    isRefused(by('CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int)'), 'aggregate "total"'))
})

test.each([
  ['CREATE OPERATOR <+> (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)', 'operator "<+>"'],
  ['CREATE CAST (mood AS int) WITH INOUT', 'cast "mood"'],
  ['ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader', 'default privileges "postgres"'],
  ['CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple)', 'text search configuration "mine"'],
  ['CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler', 'access method "heap2"'],
  ["ALTER TYPE used RENAME VALUE 'a' TO 'z'", 'TYPE public.used'],
  ['CREATE OR REPLACE VIEW orders_seen AS SELECT 1 AS k', 'TABLE public.orders_seen'],
  ['DROP VIEW orders_seen', 'TABLE public.orders_seen'],
  ['ALTER VIEW orders_seen RENAME TO orders_known', 'TABLE public.orders_seen'],
])('%s: refused, and nothing of it is left', async (sql, what) => {
  await isRefused(byFunction(sql), what)
  await client.query('BEGIN')
  await isRefused(byFunction(sql), what)
  await client.query('ROLLBACK')
  expect((await client.query("SELECT count(*)::int, 'ok'::mood FROM orders_seen")).rows).toEqual([
    { count: 0, mood: 'ok' },
  ])
})

const SWAPS: readonly (readonly [before: string, swap: string])[] = [
  [
    `CREATE FUNCTION marks() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
     CREATE TRIGGER marked BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION marks()`,
    `ALTER FUNCTION marks() RENAME TO marks_old;
     CREATE FUNCTION marks() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := 1; RETURN NEW; END'`,
  ],
  [
    `CREATE FUNCTION first() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER TABLE ref ALTER n SET DEFAULT first()`,
    `ALTER FUNCTION first() RENAME TO first_old; CREATE FUNCTION first() RETURNS int LANGUAGE sql AS 'SELECT 2'`,
  ],
  [
    `CREATE TYPE size AS ENUM ('s', 'm'); CREATE TABLE sized (k int PRIMARY KEY, size size) WITH (shard_key = 'k')`,
    `ALTER TYPE size RENAME TO size_old; CREATE TYPE size AS ENUM ('s', 'm')`,
  ],
]

test.each(SWAPS)('a name that others hold is given to another: refused (%s)', async (before, swap) => {
  for (const sql of before.split(/;\s+(?=CREATE T|ALTER)/)) await client.query(sql)
  await isRefused(`DO $do$ BEGIN ${swap}; END $do$`, 'a name that others hold')
  await client.query('DROP TABLE IF EXISTS sized')
})

test('privileges on a sharded table: as locks tell it, refused or everywhere', async () => {
  const done = await client.query(byFunction('GRANT SELECT ON orders TO reader')).then(
    () => 'done',
    (error: { code: string }) => error.code,
  )
  expect(['0A000', 'done']).toContain(done)
  expect(await everywhere("SELECT has_table_privilege('reader', 'orders', 'SELECT')")).toHaveLength(1)
})

test('a block that catches what is there already: nothing is amiss', async () => {
  const again = `DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad', 'ok'); EXCEPTION WHEN duplicate_object THEN NULL; END $$`
  await client.query(again)
  await client.query(`BEGIN; ${again}`)
  await client.query('COMMIT')
  await client.query(`DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'ef') THEN CREATE SCHEMA ef; END IF; END $$`)
  expect(await everywhere("SELECT to_regnamespace('ef') IS NOT NULL AS found")).toEqual(['[{"found":true}]'])
})

test('beside what the client itself has made in the same transaction', async () => {
  await client.query(
    'BEGIN; CREATE FUNCTION once() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$; CREATE OPERATOR *** (FUNCTION = int4mul, LEFTARG = int, RIGHTARG = int)',
  )
  await client.query(byFunction('CREATE TEMP TABLE passing_rows (id int)'))
  await client.query(byFunction('CREATE FUNCTION thrice() RETURNS int LANGUAGE sql AS $$ SELECT 3 $$'))
  await client.query('ROLLBACK')
})

const TOTAL = '(int) (SFUNC = int4pl, STYPE = int)'

test('what others make at the same time is theirs', async () => {
  const other = new pg.Client({ connectionString: cluster.current.weftUrl })
  await other.connect()
  await client.query('BEGIN; INSERT INTO here (id) VALUES (-1)')
  await other.query(`CREATE AGGREGATE later ${TOTAL}`)
  await client.query(byFunction(`CREATE AGGREGATE pg_temp.passing ${TOTAL}`))
  await client.query('ROLLBACK')
  await other.query('DROP AGGREGATE later (int)')
  await other.end()
})

test('what a block makes that handles errors is its own', async () => {
  const inner = `BEGIN CREATE AGGREGATE total ${TOTAL}; EXCEPTION WHEN division_by_zero THEN NULL; END`
  await isRefused(`DO $do$ BEGIN ${inner}; END $do$`, 'aggregate "total"')
})

test('a trigger of a sharded table: refused where its row is on another shard', async () => {
  await client.query(`CREATE FUNCTION makes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN EXECUTE format('CREATE TABLE made_%s (id int)', NEW.k); RETURN NEW; END $$`)
  await client.query('CREATE TRIGGER makes AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION makes()')
  const found = new Set<string>()
  for (let k = 1; k <= 9; k++) {
    const one = client.query('INSERT INTO orders VALUES ($1, 1)', [k])
    const outcome = one.then(
      () => 'on home',
      (error: { code: string }) => error.code,
    )
    found.add(await outcome)
  }
  expect([...found].sort()).toEqual(['0A000', 'on home'])
  await client.query('DROP TRIGGER makes ON orders; DELETE FROM orders')
})

test('code that code has made is known from then on', async () => {
  const body = "BEGIN RETURN (SELECT count(*) FROM ord' || 'ers); END"
  await client.query(
    `DO $do$ BEGIN EXECUTE 'CREATE FUNCTION counts() RETURNS bigint LANGUAGE plpgsql AS $$ ${body} $$'; END $do$`,
  )
  await expect(client.query('SELECT counts()')).rejects.toMatchObject({ code: '0A000' })
})

test('where all tables are local', async () => {
  await client.query('DROP FUNCTION counts; DROP VIEW orders_seen; DROP TABLE orders, ref, uses')
  await onEveryShard(
    byFunction('CREATE SCHEMA app2'),
    "to_regnamespace('app2')::oid IS NOT NULL",
    'DROP SCHEMA app2',
  )
  await isRefused(byFunction('CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int)'), 'aggregate')
  await client.query(`CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$
    BEGIN EXECUTE 'INSERT INTO here VALUES (1, 1)'; COMMIT; END $$`)
  await client.query('CALL commits()')
})
