import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'

/** Few backends: what one session leaves on one of them the next would meet. */
const cluster = useTestCluster({ poolSize: 20 })

/** One kind of state: how it is made, by a statement and in PL/pgSQL, and how it is looked at. */
interface State {
  readonly make: string
  readonly code?: string
  readonly look: string
  /** Waits until whoever had it has gone. */
  readonly after?: string
}

const states: Readonly<Record<string, State>> = {
  'a setting': { make: "SET work_mem = '77MB'", look: 'SHOW work_mem' },
  'a custom setting': {
    make: "SET my.own = 'mine'",
    // Whether it is '' or NULL where nobody has set it is another matter.
    look: "SELECT nullif(current_setting('my.own', true), '')",
  },
  'a setting by set_config': {
    make: "SELECT set_config('DateStyle', 'German', false), set_config('my.two', 'b', false)",
    code: "PERFORM set_config('DateStyle', 'German', false), set_config('my.two', 'b', false)",
    look: "SELECT '2024-02-01'::date::text, nullif(current_setting('my.two', true), '')",
  },
  'a role': { make: 'SET ROLE visitor', look: 'SELECT current_user, session_user' },
  'a temporary table': { make: 'CREATE TEMP TABLE scratch AS SELECT 1 AS a', look: 'SELECT a FROM scratch' },
  'a temporary view': { make: 'CREATE TEMP VIEW glance AS SELECT 2 AS a', look: 'SELECT a FROM glance' },
  'a temporary sequence': {
    make: 'CREATE TEMP SEQUENCE counter',
    look: "SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() AND relkind = 'S'",
  },
  'a session advisory lock': {
    make: 'SELECT pg_advisory_lock(4711)',
    code: 'PERFORM pg_advisory_lock(4711)',
    look: 'SELECT pg_try_advisory_xact_lock(4711)',
    after: 'SELECT pg_advisory_xact_lock(4711)',
  },
  'a shared advisory lock': {
    make: 'SELECT pg_advisory_lock_shared(4, 12)',
    code: 'PERFORM pg_advisory_lock_shared(4, 12)',
    look: 'SELECT pg_try_advisory_xact_lock(4, 12)',
    after: 'SELECT pg_advisory_xact_lock(4, 12)',
  },
  'another user': { make: 'SET SESSION AUTHORIZATION visitor', look: 'SELECT session_user, current_user' },
  'a search path': { make: 'SET search_path = pg_catalog, away', look: 'SHOW search_path' },
  'characteristics of transactions': {
    make: 'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, DEFERRABLE',
    code: "PERFORM set_config('default_transaction_isolation', 'repeatable read', false)",
    look: 'SHOW default_transaction_isolation',
  },
  'a time limit': { make: "SET idle_session_timeout = '1h'", look: 'SHOW idle_session_timeout' },
  'a temporary function': {
    make: "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 3'",
    look: 'SELECT pg_temp.f()',
  },
  'a temporary procedure': {
    make: "CREATE PROCEDURE pg_temp.p() LANGUAGE sql AS 'SELECT 3'",
    look: 'CALL pg_temp.p()',
  },
  'a temporary type': {
    make: "CREATE TYPE pg_temp.mood AS ENUM ('a')",
    look: "SELECT 'a'::pg_temp.mood::text",
  },
  'a temporary domain': { make: 'CREATE DOMAIN pg_temp.d AS int', look: 'SELECT 4::pg_temp.d' },
  'a temporary operator': {
    make: 'CREATE OPERATOR pg_temp.### (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)',
    look: 'SELECT 1 OPERATOR(pg_temp.###) 2',
  },
  'a temporary text search configuration': {
    make: 'CREATE TEXT SEARCH CONFIGURATION pg_temp.ts (COPY = simple)',
    look: "SELECT to_tsvector('pg_temp.ts', 'a')::text",
  },
  'a held cursor': {
    make: 'DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 5',
    code: "EXECUTE 'DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT 5'",
    look: 'FETCH ABSOLUTE 1 FROM c',
  },
  'a prepared statement for the session': {
    make: "DO $$ BEGIN EXECUTE 'PREPARE own AS SELECT 6'; END $$",
    code: "EXECUTE 'PREPARE own AS SELECT 6'",
    look: 'EXECUTE own',
  },
  // What code has prepared is there for code, too.
  'a prepared statement': {
    make: "DO $$ BEGIN EXECUTE 'PREPARE ps AS SELECT 6'; END $$",
    code: "EXECUTE 'PREPARE ps AS SELECT 6'",
    look: "DO $$ BEGIN EXECUTE 'EXECUTE ps'; END $$",
  },
  'a channel': { make: 'LISTEN news', look: 'SELECT * FROM pg_listening_channels()' },
}

const ways: Readonly<Record<string, (state: State) => { readonly setUp?: string; readonly run: string }>> = {
  'a statement': ({ make }) => ({ run: make }),
  'a function': ({ make, code = make }) => ({
    setUp: `CREATE OR REPLACE FUNCTION makes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN ${code}; RETURN 1; END $$`,
    run: 'SELECT makes()',
  }),
  'a DO block': ({ make, code = make }) => ({ run: `DO $$ BEGIN ${code}; END $$` }),
  'a trigger': ({ make, code = make }) => ({
    setUp: `CREATE OR REPLACE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${code}; RETURN NEW; END $$;
      DROP TABLE IF EXISTS fired; CREATE TABLE fired (a int);
      CREATE TRIGGER t BEFORE INSERT ON fired FOR EACH ROW EXECUTE FUNCTION fires()`,
    run: 'INSERT INTO fired VALUES (1)',
  }),
}

async function answer(client: pg.Client, sql: string): Promise<unknown> {
  try {
    const { rows } = await client.query({ text: sql, rowMode: 'array' })
    return rows
  } catch (error) {
    const { code = '' } = error as { code?: string }
    // A connection that had a temporary schema once keeps it, empty.
    return NO_SUCH.has(code) ? 'not there' : code
  }
}

const NO_SUCH: ReadonlySet<string> = new Set(['3F000', '42704', '42883'])

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** A makes it, B looks, A looks; A goes, B looks. */
async function story(url: string, state: State, way: keyof typeof ways, block: boolean): Promise<unknown> {
  const { setUp, run } = ways[way]!(state)
  const [a, b] = [await connected(url), await connected(url)]
  const told: unknown[] = []
  try {
    if (setUp !== undefined) await a.query(setUp)
    const before = await answer(b, state.look)
    if (block) await a.query('BEGIN')
    await a.query(run)
    if (block) told.push(await answer(a, state.look))
    if (block) await a.query('COMMIT')
    told.push(await answer(b, state.look), await answer(a, state.look), await answer(b, state.look))
    await a.query('DISCARD ALL')
    told.push(await answer(a, state.look), before)
    await a.query(run)
  } finally {
    await a.end()
  }
  told.push(await answer(b, state.after ?? state.look))
  await b.end()
  return told
}

describe('what a session makes is its own', () => {
  beforeAll(async () => {
    for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
      const admin = await connected(url)
      await admin.query('CREATE ROLE visitor; GRANT ALL ON SCHEMA public TO visitor')
      await admin.end()
    }
  })

  describe.each(Object.keys(states))('%s', (name) => {
    test.each(Object.keys(ways))('made by %s', async (way) => {
      const state = states[name]!
      for (const block of [false, true]) {
        const weft = await story(cluster.current.weftUrl, state, way, block)
        expect(weft).toEqual(await story(cluster.current.plainUrl, state, way, block))
      }
    })
  })

  test('settings of libraries that code names and must not set are not taken for the session’s', async () => {
    const told: unknown[] = []
    for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
      const admin = await connected(url)
      await admin.query(`CREATE ROLE lowly LOGIN; CREATE FUNCTION tries() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
        PERFORM set_config('plpgsql.variable_conflict', 'use_column', false); RETURN 'done';
        EXCEPTION WHEN insufficient_privilege THEN RETURN 'no'; END $$`)
      const lowly = await connected(url.replace('postgres@', 'lowly@'))
      const answers: unknown[] = []
      for (const sql of ['SELECT tries()', 'SELECT 1', 'BEGIN', 'SELECT tries()', 'COMMIT', 'SELECT 2'])
        answers.push(await answer(lowly, sql))
      told.push(answers)
      await Promise.all([admin.end(), lowly.end()])
    }
    expect(told[0]).toEqual(told[1])
  })

  /** Nothing takes it away: the connection is closed after its session. */
  const lasting: Readonly<Record<string, State>> = {
    'a connection of dblink': {
      make: "SELECT dblink_connect('c', current_setting('my.plain'))",
      code: "PERFORM dblink_connect('c', current_setting('my.plain'))",
      look: 'SELECT dblink_get_connections()',
    },
    'a library': {
      make: "DO $$ BEGIN LOAD 'auto_explain'; END $$",
      code: "LOAD 'auto_explain'",
      look: 'SHOW auto_explain.log_nested_statements',
    },
    'the replication origin': {
      make: "SELECT pg_replication_origin_session_setup('o')",
      code: "PERFORM pg_replication_origin_session_setup('o')",
      look: 'SELECT pg_replication_origin_session_is_setup()',
    },
  }

  test.each(Object.keys(lasting).flatMap((name) => Object.keys(ways).map((way) => [name, way])))(
    '%s, made by %s',
    async (name, way) => {
      const state = lasting[name]!
      const { setUp = '', run } = ways[way]!(state)
      const told: unknown[] = []
      for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
        const admin = await connected(url)
        await admin.query('CREATE EXTENSION IF NOT EXISTS dblink')
        await admin.query(`SELECT pg_replication_origin_create('o')
          WHERE NOT EXISTS (SELECT FROM pg_replication_origin WHERE roname = 'o')`)
        if (setUp !== '') await admin.query(setUp)
        const [a, b] = [await connected(url), await connected(url)]
        await a.query(`SET my.plain = '${cluster.current.plainUrl}'`)
        await a.query(run)
        const answers = [
          await answer(b, state.look),
          await answer(a, state.look),
          await answer(b, state.look),
        ]
        await a.end()
        for (let i = 0; i < 3; i++) answers.push(await answer(b, state.look))
        await Promise.all([admin.end(), b.end()])
        told.push(answers)
      }
      expect(told[0]).toEqual(told[1])
    },
  )

  test('a statement that fails may have taken a lock: it is the session’s', async () => {
    for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
      const [a, b] = [await connected(url), await connected(url)]
      await a.query(`CREATE FUNCTION locks_and_fails() RETURNS int LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_lock(99); RAISE 'no'; END $$`)
      expect(await answer(a, 'SELECT locks_and_fails()')).toBe('P0001')
      expect(await answer(b, 'SELECT pg_try_advisory_lock(99)')).toEqual([[false]])
      expect(await answer(a, 'SELECT pg_advisory_unlock(99)')).toEqual([[true]])
      expect(await answer(b, 'SELECT pg_try_advisory_lock(99)')).toEqual([[true]])
      await Promise.all([a.end(), b.end()])
    }
  })

  test.each(['SELECT setseed(0.25)', 'SET seed = 0.25', "SELECT set_config('seed', '0.25', false)"])(
    'a seed is neither lost nor seen: %s',
    async (make) => {
      const draw = 'SELECT random(), random()'
      const drawn: unknown[] = []
      for (const url of [cluster.current.plainUrl, cluster.current.weftUrl]) {
        const [a, b] = [await connected(url), await connected(url)]
        await a.query(make)
        const other = await answer(b, draw)
        const own = await answer(a, draw)
        expect(other).not.toEqual(own)
        drawn.push(own, await answer(a, draw))
        await a.query(make)
        await a.end()
        expect(await answer(b, draw)).not.toEqual(own)
        await b.end()
      }
      expect(drawn.slice(2)).toEqual(drawn.slice(0, 2))
    },
  )

  test('more sessions run what may leave something than may keep a backend', async () => {
    const sessions = await Promise.all(Array.from({ length: 24 }, () => connected(cluster.current.weftUrl)))
    await sessions[0]!.query(`CREATE OR REPLACE FUNCTION sets() RETURNS text LANGUAGE plpgsql AS
      $$ BEGIN PERFORM set_config('my.n', 'x', false); RETURN current_setting('my.n'); END $$`)
    const answers = await Promise.all(sessions.map((session) => answer(session, 'SELECT sets()')))
    expect(answers).toEqual(sessions.map(() => [['x']]))
    await Promise.all(sessions.map((session) => session.end()))
  })
})

const NEEDS = "set_config('role', 'tenant_role', LOCAL), set_config('req.tenant', '1', LOCAL)"
const COUNT = 'SELECT count(*)::int FROM docs'

/** Statements that say whose rows are to be seen. */
const requests: Readonly<Record<string, { readonly text: string; readonly values?: readonly string[] }>> = {
  'two set_config in one SELECT': { text: `SELECT ${NEEDS}` },
  'computed values': {
    text: "SELECT set_config('role', 'tenant' || '_role', LOCAL), set_config('req.' || 'tenant', (3 - 2)::text, LOCAL)",
  },
  parameters: {
    text: 'SELECT set_config($1, $2, LOCAL), set_config($3, $4, LOCAL)',
    values: ['role', 'tenant_role', 'req.tenant', '1'],
  },
  'from rows': {
    text: `SELECT set_config(n, v, LOCAL) FROM (VALUES ('role', 'tenant_role'), ('req.tenant', '1')) AS x(n, v) WHERE n <> ''`,
  },
  'a function': { text: 'SELECT become(LOCAL)' },
  'a DO block': { text: 'DO $$ BEGIN PERFORM become(LOCAL); END $$' },
}

describe('row level security under settings made by code', () => {
  beforeAll(async () => {
    await createTwins(cluster.current, 'CREATE TABLE docs (id int PRIMARY KEY, tenant text)', {
      shard_key: 'id',
    })
    for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
      const admin = await connected(url)
      for (const sql of [
        'INSERT INTO docs SELECT g, (g % 2)::text FROM generate_series(1, 8) g',
        'CREATE ROLE tenant_role',
        'GRANT SELECT ON docs TO tenant_role',
        'ALTER TABLE docs ENABLE ROW LEVEL SECURITY',
        "CREATE POLICY own ON docs USING (tenant = current_setting('req.tenant', true))",
        `CREATE FUNCTION become(local boolean) RETURNS void LANGUAGE plpgsql AS
         $$ BEGIN PERFORM ${NEEDS.replaceAll('LOCAL', 'local')}; END $$`,
      ])
        await admin.query(sql)
      await admin.end()
    }
  })

  describe.each(Object.keys(requests))('%s', (name) => {
    test.each([
      [
        'in a block',
        'true',
        [
          'BEGIN',
          COUNT,
          'REQUEST',
          COUNT,
          'SAVEPOINT s',
          'RESET role',
          COUNT,
          'ROLLBACK TO s',
          COUNT,
          'COMMIT',
          COUNT,
        ],
      ],
      [
        'for the session',
        'false',
        ['REQUEST', COUNT, 'SELECT current_user', 'BEGIN', COUNT, 'COMMIT', 'RESET role', COUNT],
      ],
      [
        'in a block, for the session',
        'false',
        ['BEGIN', 'REQUEST', COUNT, 'COMMIT', COUNT, 'BEGIN', COUNT, 'ROLLBACK', COUNT],
      ],
      ['rolled back', 'false', ['BEGIN', COUNT, 'REQUEST', COUNT, 'ROLLBACK', COUNT]],
    ] as const)('%s', async (_, local, steps) => {
      const { text, values } = requests[name]!
      const told: unknown[][] = []
      for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
        const client = await connected(url)
        const answers: unknown[] = []
        for (const step of steps) {
          if (step === 'REQUEST') await client.query(text.replaceAll('LOCAL', local), values && [...values])
          else answers.push(await answer(client, step))
        }
        told.push(answers)
        await client.end()
      }
      expect(told[0]).toEqual(told[1])
    })
  })

  test('the labels of set_config are the client’s', async () => {
    const client = await connected(cluster.current.weftUrl)
    const { fields } = await client.query(
      "SELECT set_config('a.b', 'c', false) AS label, set_config('a.c', 'd', false)",
    )
    expect(fields.map(({ name }) => name)).toEqual(['label', 'set_config'])
    await client.end()
  })
})
