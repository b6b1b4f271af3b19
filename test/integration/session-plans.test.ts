import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { startTestCluster, type TestCluster } from '../helpers/cluster.ts'
import { connectTo } from '../helpers/postgres.ts'

/** One backend for clients on each shard: whatever one session leaves there the other gets. */
const POOL_OF_ONE = 4

interface Case {
  readonly settings: readonly [Record<string, string>, Record<string, string>]
  /** Means something else under each. */
  readonly expression: string
}

const CASES: Readonly<Record<string, Case>> = {
  TimeZone: {
    settings: [{ TimeZone: 'America/New_York' }, { TimeZone: 'Asia/Tokyo' }],
    expression: `timestamptz '2024-06-01 00:00' AT TIME ZONE 'UTC'`,
  },
  DateStyle: {
    settings: [{ DateStyle: 'ISO,MDY' }, { DateStyle: 'ISO,DMY' }],
    expression: `date '01/02/2024'`,
  },
  IntervalStyle: {
    settings: [{ IntervalStyle: 'sql_standard' }, { IntervalStyle: 'postgres' }],
    expression: `extract(epoch FROM interval '-1 2:03:04')`,
  },
  lc_monetary: {
    settings: [{ lc_monetary: 'C' }, { lc_monetary: 'C.UTF-8' }],
    expression: `money '12.34'`,
  },
  array_nulls: {
    settings: [{ array_nulls: 'on' }, { array_nulls: 'off' }],
    expression: `('{NULL}'::text[])[1] IS NULL`,
  },
  transform_null_equals: {
    settings: [{ transform_null_equals: 'on' }, { transform_null_equals: 'off' }],
    expression: `(SELECT count(*) FROM (VALUES (1), (NULL)) AS v(x) WHERE x = NULL)`,
  },
  xmloption: {
    settings: [{ xmloption: 'content' }, { xmloption: 'document' }],
    expression: `(SELECT count(*) FROM (SELECT '<a/>'::xml) AS v(x) WHERE x IS DOCUMENT)`,
  },
  'a setting of the user, read by what calls itself IMMUTABLE': {
    settings: [{ 'app.tenant': 'one' }, { 'app.tenant': 'two' }],
    expression: 'tenant()',
  },
}

/** Every place in which Postgres keeps what it made of the text. `{}` is the expression. */
const WAYS: Readonly<Record<string, { readonly make?: string; readonly run: string }>> = {
  'a statement': { run: 'SELECT ({})::text AS v' },
  'a PL/pgSQL expression': { make: plpgsql('BEGIN RETURN ({})::text; END'), run: 'SELECT f() AS v' },
  'a PL/pgSQL default': {
    make: plpgsql('DECLARE v text := {}; BEGIN RETURN v; END'),
    run: 'SELECT f() AS v',
  },
  'a statement in PL/pgSQL': {
    make: plpgsql('DECLARE v text; BEGIN SELECT ({})::text INTO v FROM one; RETURN v; END'),
    run: 'SELECT f() AS v',
  },
  'an SQL function': {
    make: `CREATE OR REPLACE FUNCTION f() RETURNS text VOLATILE LANGUAGE sql AS $$
      UPDATE one SET n = n; SELECT ({})::text $$`,
    run: 'SELECT f() AS v',
  },
  'a trigger': {
    make: `CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.v := ({})::text; RETURN NEW; END $$`,
    run: 'INSERT INTO filled DEFAULT VALUES RETURNING v',
  },
}

function plpgsql(body: string): string {
  return `CREATE OR REPLACE FUNCTION f() RETURNS text VOLATILE LANGUAGE plpgsql AS $$ ${body} $$`
}

const SCHEMA = [
  'CREATE TABLE one (n int)',
  'INSERT INTO one VALUES (1)',
  'CREATE TABLE filled (v text)',
  'CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$',
  'CREATE TRIGGER fill BEFORE INSERT ON filled FOR EACH ROW EXECUTE FUNCTION fill()',
  `CREATE FUNCTION tenant() RETURNS text IMMUTABLE LANGUAGE plpgsql AS
    $$ BEGIN RETURN current_setting('app.tenant', true); END $$`,
]

let cluster: TestCluster
const clients: pg.Client[] = []

async function connect(url: string, settings: Record<string, string>): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  clients.push(client)
  for (const [name, value] of Object.entries(settings)) await client.query(`SET ${name} = '${value}'`)
  return client
}

/** By simple Query, by name, and by PREPARE; each more than once, as Postgres and Weft keep what comes again. */
async function seen(client: pg.Client, sql: string, name: string): Promise<unknown[]> {
  const answers: unknown[] = []
  const say = async (query: string | pg.QueryConfig) => answers.push((await client.query(query)).rows[0]?.v)
  for (let i = 0; i < 3; i++) await say(sql)
  for (let i = 0; i < 3; i++) await say({ name, text: sql })
  await client.query(`PREPARE "${name}_sql" AS ${sql}`)
  for (let i = 0; i < 2; i++) await say(`EXECUTE "${name}_sql"`)
  return answers
}

beforeAll(async () => {
  cluster = await startTestCluster({ shards: 2, poolSize: POOL_OF_ONE })
  for (const url of [cluster.weftUrl, cluster.plainUrl]) {
    const client = await connect(url, {})
    for (const sql of SCHEMA) await client.query(sql)
  }
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()))
})
afterAll(() => cluster?.stop())

describe.each(Object.entries(CASES))('sessions that differ in %s', (_, { settings, expression }) => {
  test.each(Object.entries(WAYS))('%s', async (_, { make, run }) => {
    const answers: unknown[][] = []
    for (const url of [cluster.weftUrl, cluster.plainUrl]) {
      const maker = await connect(url, {})
      if (make !== undefined) await maker.query(make.replace('{}', expression))
      const [a, b] = [await connect(url, settings[0]), await connect(url, settings[1])]
      const sql = run.replace('{}', expression)
      const told: unknown[] = []
      for (const [i, client] of [a, b, a, b].entries()) told.push(...(await seen(client, sql, `s${i}`)))
      answers.push(told)
    }
    expect(answers[0]).toEqual(answers[1])
  })
})

async function onPath(url: string, path: string): Promise<pg.Client> {
  const client = await connect(url, {})
  await client.query(`SET search_path = ${path}`)
  return client
}

/** What each of two sessions is told, in turn; first by plain Postgres. */
async function inTurn(paths: readonly string[], sqls: readonly string[]) {
  const told: unknown[][] = []
  for (const url of [cluster.plainUrl, cluster.weftUrl]) {
    const sessions = [await onPath(url, paths[0]!), await onPath(url, paths[1]!)]
    const answers: unknown[] = []
    for (const client of [...sessions, ...sessions]) {
      for (const sql of sqls) answers.push((await client.query(sql)).rows)
    }
    told.push(answers)
  }
  return told
}

test('types that PL/pgSQL declares: those that the search path of the session finds', async () => {
  const DECLARES = `DECLARE c t.x%TYPE; r t%ROWTYPE; e mood; BEGIN e := 'fine'; c := '7'; r := ROW(c);
    RETURN concat_ws(' ', pg_typeof(c), pg_typeof(r) = to_regtype('t'), pg_typeof(e) = to_regtype('mood')); END`
  for (const url of [cluster.weftUrl, cluster.plainUrl]) {
    const maker = await onPath(url, 'north, public')
    await maker.query('CREATE SCHEMA north; CREATE SCHEMA south')
    await maker.query("CREATE TABLE north.t (x int); CREATE TYPE north.mood AS ENUM ('fine')")
    await maker.query(`CREATE FUNCTION public.declares() RETURNS text LANGUAGE plpgsql AS $$ ${DECLARES} $$`)
    await maker.query(
      "CREATE FUNCTION public.calls() RETURNS text LANGUAGE sql AS 'SELECT public.declares()'",
    )
    await maker.query(`CREATE FUNCTION public.on_write() RETURNS trigger LANGUAGE plpgsql
      AS $$ DECLARE c t.x%TYPE; BEGIN NEW.v := pg_typeof(c); RETURN NEW; END $$`)
    await maker.query('CREATE TABLE public.written (v text)')
    await maker.query(
      'CREATE TRIGGER w BEFORE INSERT ON public.written FOR EACH ROW EXECUTE FUNCTION on_write()',
    )
    // Compiled before there is another of the name.
    await maker.query('SELECT declares()')
    await maker.query("CREATE TABLE south.t (x text); CREATE TYPE south.mood AS ENUM ('bad', 'fine')")
  }
  const paths = ['south, public', 'north, public']
  const sqls = ['SELECT declares()', 'SELECT calls()', 'INSERT INTO public.written VALUES (NULL) RETURNING v']
  const [plain, weft] = await inTurn(paths, sqls)
  expect(weft).toEqual(plain)
  expect(plain![0]).toEqual([{ declares: 'text t t' }])
  expect(await inBlocks(sqls[0]!)).toEqual(['text t t', 'integer t t', 'text t t'])
})

test('settings that say nothing of types: sessions with and without share their connections', async () => {
  const maker = await connect(cluster.weftUrl, {})
  await maker.query('CREATE TABLE public.shared (x int)')
  await maker.query(`CREATE FUNCTION public.shares() RETURNS text LANGUAGE plpgsql AS
    $$ DECLARE c public.shared.x%TYPE; BEGIN RETURN pg_typeof(c); END $$`)
  const sessions = [
    await connect(cluster.weftUrl, {}),
    await connect(cluster.weftUrl, { application_name: 'b' }),
  ]
  for (const session of sessions) await session.query('SELECT shares()')
  const home = await connectTo(cluster.weft.shards[0]!.url)
  const { rows } = await home.query('SELECT clock_timestamp() AS now')
  for (let i = 0; i < 10; i++) await sessions[i % 2]!.query('SELECT shares()')
  const young = `SELECT FROM pg_stat_activity WHERE backend_start > $1 AND backend_type = 'client backend'`
  expect((await home.query(young, [rows[0].now])).rowCount).toBe(0)
  await home.end()
})

/** Blocks of one session after the other, each with a search path of its own. */
async function inBlocks(sql: string): Promise<unknown[]> {
  const client = await connect(cluster.weftUrl, {})
  const answers: unknown[] = []
  for (const schema of ['south', 'north', 'south']) {
    await client.query(`BEGIN; SET LOCAL search_path = ${schema}, public`)
    answers.push((await client.query({ text: sql, rowMode: 'array' })).rows[0]![0])
    await client.query('COMMIT')
  }
  return answers
}

test('a setting for one block: code means what it says there, and nothing of that stays', async () => {
  const { weftUrl } = cluster
  const expression = CASES.TimeZone!.expression
  const [a, b] = [await connect(weftUrl, { TimeZone: 'UTC' }), await connect(weftUrl, { TimeZone: 'UTC' })]
  await a.query(plpgsql(`BEGIN RETURN (${expression})::text; END`))
  const call = async (client: pg.Client) =>
    (await client.query({ name: 'call', text: 'SELECT f() AS v' })).rows[0].v
  const [early, utc, late] = ['2024-05-31 15:00:00', '2024-06-01 00:00:00', '2024-06-01 04:00:00']
  expect([await call(a), await call(b), await call(a)]).toEqual([utc, utc, utc])
  await a.query('BEGIN')
  await a.query("SET LOCAL TimeZone = 'Asia/Tokyo'")
  expect([await call(a), await call(a)]).toEqual([early, early])
  await a.query('SAVEPOINT s')
  await a.query("SET LOCAL TimeZone = 'America/New_York'")
  expect(await call(a)).toBe(late)
  await a.query('ROLLBACK TO s')
  expect(await call(a)).toBe(early)
  await a.query('COMMIT')
  expect([await call(b), await call(a)]).toEqual([utc, utc])
})

test('settings that a function has while it runs: nothing of what it calls keeps them', async () => {
  const [a, b] = [await connect(cluster.weftUrl, {}), await connect(cluster.weftUrl, {})]
  await a.query(plpgsql(`BEGIN RETURN (${CASES.TimeZone!.expression})::text; END`))
  await a.query(`CREATE OR REPLACE FUNCTION elsewhere() RETURNS text SET TimeZone = 'Asia/Tokyo' LANGUAGE plpgsql AS
    $$ BEGIN RETURN f(); END $$`)
  await b.query("SET TimeZone = 'UTC'")
  await a.query("SET TimeZone = 'UTC'")
  expect((await a.query('SELECT elsewhere() AS v')).rows[0].v).toBe('2024-05-31 15:00:00')
  expect((await b.query('SELECT f() AS v')).rows[0].v).toBe('2024-06-01 00:00:00')
})

test('keys that are times: on the shard that their meaning in the session says', async () => {
  const maker = await connect(cluster.weftUrl, {})
  await maker.query(`CREATE TABLE at_time (at timestamptz PRIMARY KEY, who text) WITH (shard_key = 'at')`)
  await maker.query(`CREATE TABLE on_day (day date PRIMARY KEY, who text) WITH (shard_key = 'day')`)
  const a = await connect(cluster.weftUrl, { TimeZone: 'Asia/Tokyo', DateStyle: 'ISO,DMY' })
  const b = await connect(cluster.weftUrl, { TimeZone: 'America/New_York', DateStyle: 'ISO,MDY' })
  for (let i = 0; i < 3; i++) {
    for (const [client, who] of [
      [a, 'a'],
      [b, 'b'],
    ] as const) {
      const [time, day] = [`2024-06-0${i + 1} 00:00`, `01/0${i + 2}/2024`]
      const insert = (table: string, value: string) => `INSERT INTO ${table} VALUES ('${value}', '${who}')`
      await client.query(insert('at_time', time))
      await client.query({ name: `day${i}`, text: insert('on_day', day) })
      const find = async (text: string, values: string[] = []) => (await client.query(text, values)).rows
      expect(await find(`SELECT who FROM at_time WHERE at = '${time}'`)).toEqual([{ who }])
      expect(await find('SELECT who FROM at_time WHERE at = $1', [time])).toEqual([{ who }])
      expect(await find(`SELECT who FROM on_day WHERE day = '${day}'`)).toEqual([{ who }])
      expect(await find('SELECT who FROM on_day WHERE day = $1', [day])).toEqual([{ who }])
    }
  }
  const months = `SELECT count(*) FROM on_day WHERE who = 'a' AND day IN ('2024-02-01', '2024-03-01', '2024-04-01')`
  expect((await maker.query(months)).rows[0].count).toBe('3')
  const instants = `SELECT count(*) FROM at_time WHERE at IN ('2024-05-31 15:00Z', '2024-06-01 04:00Z')`
  expect((await maker.query(instants)).rows[0].count).toBe('2')
})
