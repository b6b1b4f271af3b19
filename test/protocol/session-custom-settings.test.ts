/** Custom settings: what others have had of them is not to be noticed, what the session has had is not forgotten. */
import pg from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'

const cluster = useTestCluster({ poolSize: 12, shards: 2 })
/** More than the pool has: each connection has had them. */
const OTHERS = 9

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function answer(client: pg.Client, sql: string, values?: readonly string[]): Promise<unknown> {
  try {
    const { rows } = await client.query({
      text: sql,
      rowMode: 'array',
      ...(values && { values: [...values] }),
    })
    return rows
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    return [code, message]
  }
}

const urls = () => [cluster.current.weftUrl, cluster.current.plainUrl]

/** Leaves `my.asked` on every idle connection there is. */
async function othersSet(url: string): Promise<void> {
  const others = await Promise.all(Array.from({ length: OTHERS }, () => connected(url)))
  await Promise.all(others.map((other) => other.query('SET my.asked = theirs; SET my.too = theirs')))
  await Promise.all(others.map((other) => other.query('SELECT count(*) FROM spread')))
  await Promise.all(others.map((other) => other.end()))
}

beforeAll(async () => {
  await createTwins(cluster.current, 'CREATE TABLE spread (k int PRIMARY KEY, v text)', { shard_key: 'k' })
  for (const url of urls()) {
    const admin = await connected(url)
    for (const sql of [
      "INSERT INTO spread SELECT g, 'v' FROM generate_series(1, 20) g",
      `CREATE FUNCTION asks() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
         RETURN coalesce(current_setting('my.asked', true), 'unset'); END $$`,
      `CREATE FUNCTION asks_any(name text) RETURNS text LANGUAGE sql
         AS $$ SELECT coalesce(current_setting('my.' || name, true), 'unset') $$`,
      "CREATE FUNCTION must_have() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('my.asked') $$",
      `CREATE FUNCTION sets_local() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
         PERFORM set_config('my.asked', 'local', true); END $$`,
      `CREATE FUNCTION sets_any(k text, v text) RETURNS text LANGUAGE sql
         AS $$ SELECT set_config('my.' || k, v, true) $$`,
      `CREATE FUNCTION sets_two(a text, b text) RETURNS text LANGUAGE sql
         AS $$ SELECT set_config('my.' || a || b, 'x', true) $$`,
      `CREATE FUNCTION sets_and_fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
         PERFORM set_config('my.asked', 'local', true); RAISE 'no'; END $$`,
      'CREATE FUNCTION has_its_own() RETURNS text LANGUAGE sql SET my.asked = own AS $$ SELECT asks() $$',
      "CREATE VIEW looks AS SELECT coalesce(current_setting('my.asked', true), 'unset') AS a",
      `CREATE TABLE written (d text DEFAULT coalesce(current_setting('my.asked', true), 'unset'), t text)`,
      `CREATE FUNCTION on_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
         NEW.t := coalesce(current_setting('my.asked', true), 'unset'); RETURN NEW; END $$`,
      'CREATE TRIGGER w BEFORE INSERT ON written FOR EACH ROW EXECUTE FUNCTION on_write()',
      'CREATE ROLE visitor',
      'GRANT SELECT ON spread TO visitor',
      'ALTER TABLE spread ENABLE ROW LEVEL SECURITY',
      "CREATE POLICY p ON spread USING (current_setting('my.asked', true) IS NULL)",
    ])
      await admin.query(sql)
    await admin.end()
  }
})

const ASKS: readonly (readonly [string, (readonly string[])?])[] = [
  ["SELECT current_setting('my.asked', true)"],
  ["SELECT current_setting('my.asked', true) IS NULL AS unset, pg_catalog.current_setting('My.Asked', TRUE)"],
  ["SELECT current_setting('my.asked')"],
  ['SHOW my.asked'],
  ['SELECT current_setting($1, true)', ['my.asked']],
  ['SELECT current_setting($1)', ['my.asked']],
  ["SELECT current_setting('my.' || 'asked', true)"],
  ["SELECT current_setting('work_mem') = '4MB', current_setting('my.asked', true)"],
  ["SELECT count(*)::int FROM spread WHERE current_setting('my.asked', true) IS NULL"],
  ['SELECT asks()'],
  ["SELECT asks_any('asked')"],
  ["SELECT asks_any('too')"],
  ['SELECT must_have()'],
  ['SELECT a FROM looks'],
  ["INSERT INTO written (t) VALUES ('x') RETURNING d, t"],
  ["DO $$ BEGIN RAISE '%', coalesce(current_setting('my.asked', true), 'unset'); END $$"],
  ["PREPARE p AS SELECT current_setting('my.asked', true)"],
  ['EXECUTE p'],
  ['SET ROLE visitor'],
  ['SELECT count(*)::int FROM spread'],
  ['SELECT v FROM spread WHERE k = 3'],
  ['RESET ROLE'],
]

const OWN: Readonly<Record<string, readonly string[]>> = {
  nothing: [],
  'SET and RESET': ["SET my.asked = 'x'", 'RESET my.asked'],
  'RESET alone': ['RESET my.asked'],
  'SET and RESET ALL': ["SET my.asked = 'x'", 'RESET ALL'],
  'SET and DISCARD ALL': ["SET my.asked = 'x'", 'DISCARD ALL'],
  'SET LOCAL': ['BEGIN', "SET LOCAL my.asked = 'x'", 'COMMIT'],
  'SET LOCAL outside': ["SET LOCAL my.asked = 'x'"],
  'what was rolled back': ['BEGIN', "SET my.asked = 'x'", 'ROLLBACK'],
  set_config: ["SELECT set_config('my.asked', 'x', true)"],
  'set_config among others': ["SELECT 1, set_config('my.' || 'asked', 'x', true)"],
  'a function': ['SELECT sets_local()'],
  'a function in a block': ['BEGIN', 'SELECT sets_local()', 'SELECT asks()', 'COMMIT'],
  'a function that fails': ['SELECT sets_and_fails()'],
  'a function with a setting of its own': ['SELECT has_its_own()'],
  'a function that is told the name': ["SELECT sets_any('asked', 'x')"],
  'a function that puts it together': ["SELECT sets_two('as', 'ked'), 'asked'"],
  'a DO block': ["DO $$ BEGIN PERFORM set_config('my.asked', 'x', true); END $$"],
  'the definition of a function': [
    "CREATE OR REPLACE FUNCTION defined() RETURNS int LANGUAGE sql SET my.asked = 'x' AS 'SELECT 1'",
  ],
  'a definition that only says it': [
    "CREATE OR REPLACE FUNCTION says() RETURNS text LANGUAGE sql AS $$ SELECT set_config('my.asked', '', true) $$",
  ],
  'another name': ["SET my.other = 'x'"],
  'a value': ["SET my.asked = 'x'"],
  'an empty one': ["SET my.asked = ''"],
  'a value from the startup packet': ['CONNECT -c my.asked=start'],
}

async function session(url: string, own: readonly string[]): Promise<pg.Client> {
  const options = own[0]?.startsWith('CONNECT ') ? own[0].slice(8) : undefined
  const client = new pg.Client({ connectionString: url, ...(options && { options }) })
  client.on('error', () => {})
  await client.connect()
  for (const sql of options ? own.slice(1) : own) await answer(client, sql)
  return client
}

/** Each as the first that a session asks, on connections that others have had; or all by one session. */
async function answers(url: string, own: readonly string[], before: readonly string[], alone: boolean) {
  await othersSet(url)
  let client: pg.Client | undefined
  const told: unknown[] = []
  for (const [text, values] of ASKS) {
    client ??= await session(url, own)
    for (const sql of before) await client.query(sql)
    told.push([text, await answer(client, text, values)])
    if (before.length > 0) await client.query('ROLLBACK')
    if (!alone) continue
    await client.end()
    client = undefined
  }
  await client?.end()
  return told
}

// Before others have had what code asks for: connections are chosen by that.
test('what no code asks for, on a connection that was taken before', async () => {
  const asks: typeof ASKS = [
    ["SELECT current_setting('odd.asked', true)"],
    ["SELECT current_setting('odd.asked', true) IS NULL, pg_catalog.current_setting('Odd.Asked', TRUE) AS b"],
    ["SELECT current_setting('odd.asked')"],
    ['SELECT CURRENT_SETTING ( $1 , true)', ['odd.asked']],
    ['SELECT current_setting($1)', ['odd.asked']],
    ["SELECT current_setting('odd' || '.' || 'asked', true), current_setting('work_mem')"],
    ["SELECT current_setting('odd.own', true), current_setting('odd.asked', true)"],
    ["SELECT count(*)::int FROM spread WHERE current_setting('odd.asked', true) IS NULL"],
    [
      "INSERT INTO spread SELECT k + 100, current_setting('odd.asked', true) FROM spread WHERE k < 3 RETURNING k, v",
    ],
    ['SHOW odd.asked'],
    ['SHOW odd.own'],
  ]
  // Sequences are set back by no rollback.
  const numbered = "CASE WHEN nextval('odd_numbers') > 0 THEN 'odd.asked' END"
  const oncePerStatement = [
    [`SELECT current_setting(${numbered}, true)`, "SELECT nextval('odd_numbers')"],
    [`SELECT current_setting(${numbered}) FROM generate_series(1, 2)`, 'SELECT 1'],
    [
      'SELECT current_setting(NULL, true), current_setting(max(v), true) FROM spread WHERE k = 1',
      "SELECT nextval('odd_numbers')",
    ],
    [
      "CREATE VIEW odd_view AS SELECT current_setting('odd.asked', true) AS asked",
      // What it asks is another matter: code that is made in the same transaction may read ''.
      "SELECT pg_get_viewdef('odd_view')",
    ],
    [
      "CREATE TABLE odd_table (k int, v text DEFAULT current_setting('odd.asked', true))",
      "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'odd_table'::regclass",
    ],
    ["CREATE TABLE odd_table AS SELECT current_setting('odd.asked', true) AS v", 'SELECT v FROM odd_table'],
  ] as const
  const told: unknown[] = []
  for (const url of urls()) {
    const others = await Promise.all(Array.from({ length: OTHERS }, () => connected(url)))
    await others[0]!.query('CREATE SEQUENCE odd_numbers')
    await Promise.all(others.map((other) => other.query('SET odd.asked = theirs')))
    await Promise.all(others.map((other) => other.query('SELECT count(*) FROM spread')))
    const client = await connected(url)
    await client.query("SET odd.own = 'x'; RESET odd.own")
    const answers: unknown[] = []
    for (const [text, values] of asks) {
      await client.query('BEGIN')
      await client.query('SELECT count(*) FROM spread')
      answers.push([text, await answer(client, text, values)])
      await client.query('ROLLBACK')
    }
    for (const [text, look] of oncePerStatement) {
      await client.query('BEGIN')
      await client.query('SELECT count(*) FROM spread')
      answers.push([text, await answer(client, text), await answer(client, look)])
      await client.query('ROLLBACK')
    }
    await client.query('CREATE TEMP TABLE keeps ()')
    for (const [text, values] of asks.slice(0, 7)) answers.push(await answer(client, text, values))
    await Promise.all([client, ...others].map((each) => each.end()))
    told.push(answers)
  }
  expect(told[0]).toEqual(told[1])
})

describe('a custom setting that others have set', () => {
  test.each(Object.keys(OWN))('by itself, after %s', async (name) => {
    const [weft, plain] = urls()
    const alone = name === 'nothing'
    expect(await answers(weft!, OWN[name]!, [], alone)).toEqual(await answers(plain!, OWN[name]!, [], alone))
  })

  test.each([
    ['nothing', ['BEGIN']],
    ['nothing', ['BEGIN', 'SELECT 1']],
    ['nothing', ['BEGIN', 'SELECT count(*) FROM spread', 'SAVEPOINT s']],
    ['SET LOCAL', ['BEGIN', 'SELECT 1']],
    ['another name', ['BEGIN', "SET LOCAL my.too = 'x'"]],
  ])('after %s, in a block: %s', async (name, before) => {
    const [weft, plain] = urls()
    expect(await answers(weft!, OWN[name]!, before, true)).toEqual(
      await answers(plain!, OWN[name]!, before, true),
    )
  })
})

/** What sessions do that all have the same custom setting, each with a value of its own. */
const SHARED: Readonly<Record<string, (value: number) => readonly string[]>> = {
  SET: (value) => [`SET my.asked = ${value}`, 'SELECT asks()', 'SELECT count(*) FROM spread'],
  'SET LOCAL': (value) => ['BEGIN', `SET LOCAL my.asked = ${value}`, 'SELECT asks()', 'COMMIT', 'SELECT 1'],
  'set_config among others': (value) => [
    ...['BEGIN', `SELECT 1, set_config('my.asked', '${value}', true)`, 'SELECT asks()', 'COMMIT', 'SELECT 1'],
  ],
  'a function': () => ['SELECT sets_local()', 'BEGIN', 'SELECT sets_local()', 'SELECT asks()', 'COMMIT'],
  'a function that is told the name': (value) => [
    `SELECT sets_any('asked', '${value}')`,
    ...['BEGIN', `SELECT sets_any('asked', '${value}')`, "SELECT asks_any('asked')", 'COMMIT'],
  ],
  'no custom setting': () => ['BEGIN', 'SELECT 1', 'COMMIT', 'SELECT count(*) FROM spread'],
}

async function backends(): Promise<unknown> {
  const home = await connected(cluster.current.weft.shards[0]!.url)
  const pids =
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
  const found = await answer(home, `${pids} ORDER BY pid`)
  await home.end()
  return found
}

test.each(Object.keys(SHARED))('sessions that all have it share connections: %s', async (name) => {
  const inTurn = async () => {
    for (let value = 0; value < 4; value++) {
      const client = await connected(cluster.current.weftUrl)
      for (const sql of SHARED[name]!(value)) await client.query(sql)
      await client.end()
    }
  }
  await inTurn()
  const before = await backends()
  await inTurn()
  expect(await backends()).toEqual(before)
})
