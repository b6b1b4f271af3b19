/** What a session has drawn from sequences is its own, on few backends that many sessions share. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'

const cluster = useTestCluster({ shards: 2, poolSize: 8 })

const SET_UP = [
  'CREATE TABLE local (id serial PRIMARY KEY, v text)',
  'CREATE TABLE named (id int GENERATED ALWAYS AS IDENTITY, v text)',
  'CREATE TABLE spread (k int, id bigserial, v text, PRIMARY KEY (k, id)) SHARDED',
  'CREATE TABLE copied (id serial PRIMARY KEY, v text) REFERENCE',
  'CREATE TABLE watched (v text)',
  'CREATE SEQUENCE s',
  'CREATE SEQUENCE t START 1000',
  `CREATE FUNCTION draws() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN nextval('s') + 10000; END $$`,
  'CREATE FUNCTION asks() RETURNS bigint LANGUAGE sql AS $$ SELECT lastval() $$',
  `CREATE FUNCTION makes() RETURNS bigint LANGUAGE plpgsql AS
   $$ BEGIN INSERT INTO local (v) VALUES ('made'); RETURN currval('local_id_seq'); END $$`,
  `CREATE FUNCTION runs(q text) RETURNS bigint LANGUAGE plpgsql AS $$ DECLARE n bigint; BEGIN EXECUTE q INTO n; RETURN n; END $$`,
  `CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('t'); RETURN NEW; END $$`,
  'CREATE TRIGGER fires BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION fires()',
  'CREATE ROLE reader',
  'GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader',
]

const AFRESH = [
  ['e', 'TRUNCATE local, named, copied RESTART IDENTITY'],
  ['e', 'TRUNCATE spread RESTART IDENTITY'],
  ['e', 'ALTER SEQUENCE s RESTART'],
  ['e', 'ALTER SEQUENCE t RESTART'],
  ['e', 'DISCARD ALL'],
] as const satisfies readonly Step[]

const LAST = 'SELECT lastval()'
const CURRENT = (sequence: string) => `SELECT currval('${sequence}')`

type Who = 'a' | 'b' | 'c' | 'd' | 'e'
type Step = readonly [Who, string, (readonly unknown[])?]

async function connected(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {})
  await client.connect()
  return client
}

async function answer(client: pg.Client, [, text, values]: Step): Promise<unknown> {
  try {
    const result = await client.query({ text, rowMode: 'array', ...(values && { values: [...values] }) })
    return { rows: result.rows, labels: result.fields?.map(({ name }) => name) }
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string }
    return { code, message }
  }
}

async function told(url: string, steps: readonly Step[]): Promise<readonly unknown[]> {
  const clients = new Map<Who, pg.Client>()
  const answers: unknown[] = []
  try {
    for (const step of steps) {
      const [who] = step
      if (!clients.has(who)) clients.set(who, await connected(url))
      answers.push([step[0], step[1], await answer(clients.get(who)!, step)])
    }
  } finally {
    await Promise.all([...clients.values()].map((client) => client.end()))
  }
  return answers
}

const everyAsks = (...sequences: string[]): Step[] =>
  (['a', 'b', 'c', 'd', 'e'] as const).flatMap((who): Step[] => [
    [who, LAST],
    ...sequences.map((sequence): Step => [who, CURRENT(sequence)]),
  ])

/** Each story is told to Weft and to plain Postgres alike, so that sequences stand alike too. */
const stories: Readonly<Record<string, readonly Step[]>> = {
  'a fresh session has none': [
    ['a', LAST],
    ['a', CURRENT('s')],
    ['a', "SELECT currval('nosuch')"],
  ],
  'nextval and setval': [
    ['a', "SELECT nextval('s')"],
    ['b', LAST],
    ['b', "SELECT nextval('t')"],
    ...everyAsks('s', 't'),
    ['b', "SELECT setval('s', 500)"],
    ['c', "SELECT setval('s', 600, false)"],
    ...everyAsks('s', 't'),
    ['a', "SELECT nextval('s'), currval('s'), lastval()"],
    ...everyAsks('s', 't'),
  ],
  'defaults of tables': [
    ['a', "INSERT INTO local (v) VALUES ('x'), ('y')"],
    ['b', "INSERT INTO spread (k, v) VALUES (1, 'x'), (2, 'y'), (3, 'z')"],
    ['c', "INSERT INTO copied (v) VALUES ('x')"],
    ['d', "INSERT INTO named (v) VALUES ('x')"],
    ...everyAsks('local_id_seq', 'spread_id_seq', 'copied_id_seq', 'named_id_seq'),
    ['a', "INSERT INTO spread (k, v) VALUES (4, 'x')"],
    ['b', "INSERT INTO local (v) VALUES ('x')"],
    ['c', "INSERT INTO spread (k, id, v) VALUES (5, 5000, 'x')"],
    ['d', "INSERT INTO local (id, v) VALUES (6000, 'x')"],
    ...everyAsks('local_id_seq', 'spread_id_seq', 'copied_id_seq', 'named_id_seq'),
    ['b', "INSERT INTO spread (k, v) VALUES (7, 'x')"],
    ...everyAsks('local_id_seq', 'spread_id_seq'),
    ['b', 'SELECT currval(pg_get_serial_sequence($1, $2))', ['spread', 'id']],
    ['b', 'INSERT INTO watched VALUES (lastval()) RETURNING v'],
    ['b', LAST],
  ],
  'functions, triggers, DO, dynamic SQL': [
    ['a', 'SELECT draws() > 0'],
    ['b', "INSERT INTO watched VALUES ('x')"],
    ['c', "DO $$ BEGIN PERFORM nextval('s'); END $$"],
    ['d', "SELECT runs('SELECT nextval(''t'')')"],
    ...everyAsks('s', 't'),
    ['e', 'SELECT asks()'],
    ['e', "SELECT runs('SELECT lastval()')"],
    ['e', 'SELECT makes() > 0'],
    ['e', CURRENT('local_id_seq')],
    ['e', 'SELECT asks()'],
    ['a', 'BEGIN'],
    ['a', "INSERT INTO local (v) VALUES ('x')"],
    ['a', 'SELECT asks()'],
    ['a', 'COMMIT'],
  ],
  'blocks; a rollback takes nothing back': [
    ['a', 'BEGIN'],
    ['a', LAST],
    ['a', "SELECT nextval('s')"],
    ['a', LAST],
    ['b', "SELECT nextval('s')"],
    ['a', CURRENT('s')],
    ['a', 'ROLLBACK'],
    ['a', LAST],
    ['a', 'BEGIN ISOLATION LEVEL REPEATABLE READ'],
    ['a', CURRENT('s')],
    ['a', "INSERT INTO local (v) VALUES ('x')"],
    ['a', 'SAVEPOINT p'],
    ['a', "SELECT nextval('t')"],
    ['a', 'ROLLBACK TO p'],
    ['a', LAST],
    ['a', 'COMMIT'],
    ...everyAsks('s', 't', 'local_id_seq'),
    [
      'a',
      "INSERT INTO local (id, v) VALUES (nextval('local_id_seq'), 'x'), (currval('local_id_seq'), 'twice')",
    ],
    ['a', LAST],
  ],
  'DISCARD forgets': [
    ['a', "SELECT nextval('s')"],
    ['b', "INSERT INTO spread (k, v) VALUES (1, 'x')"],
    ['a', 'DISCARD SEQUENCES'],
    ['b', 'DISCARD ALL'],
    ...everyAsks('s', 'spread_id_seq'),
    ['a', "SELECT nextval('t')"],
    ['a', 'BEGIN'],
    ['a', 'DISCARD SEQUENCES'],
    ['a', 'ROLLBACK'],
    ['a', LAST],
  ],
  'parameters, prepared statements, labels': [
    ['a', 'SELECT nextval($1) AS n', ['s']],
    ['a', 'SELECT currval($1) AS c, lastval()', ['s']],
    ['b', 'SELECT currval($1)', ['s']],
    ['a', "PREPARE p AS SELECT currval('s'), $1::text"],
    ['a', "EXECUTE p('x')"],
    ['a', "EXECUTE p(nextval('t')::text)"],
    ['b', LAST],
    ['a', LAST],
    ['a', "SELECT count(*)::int FROM local WHERE id = currval('s') + 100000"],
  ],
  privileges: [
    ['a', "SELECT nextval('s')"],
    ['a', 'SET ROLE reader'],
    ['a', CURRENT('s')],
    ['a', "SELECT nextval('s')"],
    ['a', 'RESET ROLE'],
    ['a', LAST],
  ],
  'renamed and dropped': [
    ['a', 'CREATE SEQUENCE gone'],
    ['a', "SELECT nextval('gone')"],
    ['b', "SELECT nextval('t')"],
    ['c', "SELECT nextval('t')"],
    ['d', "SELECT nextval('t')"],
    ['e', "SELECT nextval('t')"],
    ['b', 'ALTER SEQUENCE gone RENAME TO went'],
    ['a', CURRENT('went')],
    ['b', 'DROP SEQUENCE went'],
    ['a', CURRENT('went')],
  ],
  'what other statements draw': [
    ['a', "CREATE TABLE made AS SELECT nextval('s') AS n"],
    ['b', 'ALTER TABLE made ADD COLUMN id serial'],
    ['c', "INSERT INTO local (v) SELECT 'x' FROM generate_series(1, 3)"],
    ['d', "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT nextval('t')"],
    ['e', "WITH w AS (INSERT INTO local (v) VALUES ('w') RETURNING 1) SELECT count(*)::int FROM w"],
    ...everyAsks('s', 't', 'local_id_seq', 'made_id_seq'),
    ['a', 'DROP TABLE made'],
  ],
  cursors: [
    ['a', 'BEGIN'],
    ['a', "DECLARE c CURSOR FOR SELECT nextval('s') FROM generate_series(1, 3)"],
    ['a', 'FETCH 2 FROM c'],
    ['a', 'COMMIT'],
    ['b', LAST],
    ['a', LAST],
  ],
}

describe('sequences of a session', () => {
  let others: pg.Client[] = []

  beforeAll(async () => {
    const declared = { SHARDED: "WITH (shard_key = 'k')", REFERENCE: 'WITH (reference = true)' }
    for (const [url, isWeft] of [
      [cluster.current.weftUrl, true],
      [cluster.current.plainUrl, false],
    ] as const) {
      const admin = await connected(url)
      for (const sql of SET_UP) {
        await admin.query(
          sql.replace(/ (SHARDED|REFERENCE)$/, (_, kind: 'SHARDED' | 'REFERENCE') =>
            isWeft ? ` ${declared[kind]}` : '',
          ),
        )
      }
      await admin.end()
    }
  })

  test.each(Object.keys(stories))('%s', async (name) => {
    const story = [...AFRESH, ...stories[name]!]
    expect(await told(cluster.current.weftUrl, story)).toEqual(await told(cluster.current.plainUrl, story))
  })

  test('code that asks for what was drawn elsewhere is refused', async () => {
    const clients = await Promise.all(Array.from({ length: 12 }, () => connected(cluster.current.weftUrl)))
    const [first] = clients
    const raisedBy = async (sql: string) =>
      first!.query(sql).catch((error: pg.DatabaseError) => error.routine)
    expect(await raisedBy('SELECT asks()')).toBe('lastval')
    await first!.query("INSERT INTO spread (k, v) VALUES (1, 'x')")
    expect(await raisedBy('SELECT asks()')).toBe('currval_elsewhere')
    await first!.query("SELECT nextval('s')")
    for (const client of clients.slice(1)) await client.query("SELECT nextval('s')")
    expect(await raisedBy('SELECT asks()')).toBe('currval_elsewhere')
    expect(await first!.query('SELECT makes() > 0')).toMatchObject({ rows: [{ '?column?': true }] })
    await Promise.all(clients.map((client) => client.end()))
  })

  /** All at once they have more sessions than there are backends. */
  test('many at once', async () => {
    others = await Promise.all(Array.from({ length: 24 }, () => connected(cluster.current.weftUrl)))
    for (let round = 0; round < 3; round++) {
      const drawn = await Promise.all(
        others.map((client, i) =>
          client.query(
            i % 2 === 0 ? "SELECT nextval('s') AS n" : "INSERT INTO local (v) VALUES ('m') RETURNING id AS n",
          ),
        ),
      )
      const last = await Promise.all(others.map((client) => client.query(LAST)))
      expect(last.map(({ rows }) => Number(rows[0].lastval))).toEqual(
        drawn.map(({ rows }) => Number(rows[0].n)),
      )
      const both = await Promise.all(
        others.map((client, i) => client.query(CURRENT(i % 2 === 0 ? 's' : 'local_id_seq'))),
      )
      expect(both.map(({ rows }) => Number(rows[0].currval))).toEqual(
        drawn.map(({ rows }) => Number(rows[0].n)),
      )
    }
  })

  afterAll(() => Promise.all(others.map((client) => client.end())))
})
