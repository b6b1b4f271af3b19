/** Sequences under many sessions at once: what is drawn beside their transactions is what each would have drawn itself. */
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { connectTo, query } from '../helpers/postgres.ts'

const cluster = useTestCluster({ shards: 2, poolSize: 12 })
const SESSIONS = 16
let clients: pg.Client[] = []
let plain: pg.Client[] = []

beforeAll(async () => {
  for (const [url, key] of [
    [cluster.current.weftUrl, "WITH (shard_key = 'k')"],
    [cluster.current.plainUrl, ''],
  ] as const) {
    await query(
      url,
      `CREATE TABLE t (k int, id bigserial, v text, PRIMARY KEY (k, id)) ${key};
       CREATE TABLE few (k int, id bigserial) ${key};
       CREATE TABLE local (id serial, v text);
       CREATE ROLE poor LOGIN; GRANT INSERT ON t TO poor`,
    )
  }
  const connected = (url: string) => Promise.all(Array.from({ length: SESSIONS }, () => connectTo(url)))
  clients = await connected(cluster.current.weftUrl)
  plain = await connected(cluster.current.plainUrl)
})
afterAll(() => Promise.all([...clients, ...plain].map((client) => client.end())))

type Outcome = { readonly id: number } | { readonly code: string }

async function drawn(client: pg.Client, sql: string): Promise<Outcome> {
  try {
    const { rows } = await client.query(sql)
    return { id: Number(rows[0]?.id) }
  } catch (error) {
    return { code: (error as { code: string }).code }
  }
}

const idsOf = (outcomes: readonly Outcome[]) =>
  outcomes.flatMap((outcome) => ('id' in outcome ? [outcome.id] : [])).sort((a, b) => a - b)
const codesOf = (outcomes: readonly Outcome[]) => outcomes.flatMap((o) => ('code' in o ? [o.code] : []))
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1)

test('each value is given once, and none is left out', async () => {
  const rounds = 8
  const all = await Promise.all(
    clients.map(async (client, i) => {
      const own: Outcome[] = []
      for (let n = 0; n < rounds; n++) {
        if (i % 4 === 3) await client.query('BEGIN')
        own.push(await drawn(client, `INSERT INTO t (k, v) VALUES (${i * rounds + n}, 'x') RETURNING id`))
        if (i % 4 === 3) await client.query(n % 2 === 0 ? 'COMMIT' : 'ROLLBACK')
      }
      // In a session values only rise.
      expect(idsOf(own)).toEqual(own.map((o) => ('id' in o ? o.id : -1)))
      const { rows } = await client.query('SELECT lastval()::int AS last, currval($1)::int AS now', [
        't_id_seq',
      ])
      expect(rows[0]).toEqual({ last: idsOf(own).at(-1), now: idsOf(own).at(-1) })
      return own
    }),
  )
  expect(idsOf(all.flat())).toEqual(upTo(SESSIONS * rounds))
})

test('when a sequence comes to its end those who were first have the last values', async () => {
  for (const sessions of [clients, plain]) {
    await sessions[0]!.query('ALTER SEQUENCE few_id_seq MAXVALUE 10')
    const outcomes = await Promise.all(
      sessions.map((client, i) => drawn(client, `INSERT INTO few (k) VALUES (${i}) RETURNING id`)),
    )
    expect(idsOf(outcomes)).toEqual(upTo(10))
    expect(codesOf(outcomes)).toEqual(Array(SESSIONS - 10).fill('2200H'))
  }
})

test('who may not draw fails alone', async () => {
  const [, ...others] = clients
  await clients[0]!.query('SET ROLE poor')
  const insert = (client: pg.Client, i: number) =>
    drawn(client, `INSERT INTO t (k, v) VALUES (${1000 + i}, 'y') RETURNING k AS id`)
  const [poor, ...rest] = await Promise.all([
    drawn(clients[0]!, "INSERT INTO t (k, v) VALUES (1, 'y')"),
    ...others.map(insert),
  ])
  await clients[0]!.query('RESET ROLE')
  expect(poor).toEqual({ code: '42501' })
  expect(codesOf(rest)).toEqual([])
})

test('a value set by one session is followed by the next one in every other', async () => {
  for (const [i, client] of clients.entries()) {
    const setter = clients[(i + 1) % SESSIONS]!
    const { rows } = await setter.query(`SELECT setval('t_id_seq', ${10_000 * (i + 1)})::int AS id`)
    const next = { id: Number(rows[0].id) + 1 }
    expect(await drawn(client, `INSERT INTO t (k, v) VALUES (${i}, 'set') RETURNING id`)).toEqual(next)
  }
})

test('a sequence that a transaction changes is drawn from by it; others wait for it', async () => {
  const [changer, other] = clients
  await changer!.query('BEGIN')
  await changer!.query('ALTER SEQUENCE t_id_seq RESTART 500000')
  const waiting = drawn(other!, "INSERT INTO t (k, v) VALUES (1, 'waits') RETURNING id")
  const own = await drawn(changer!, "INSERT INTO t (k, v) VALUES (2, 'sees it') RETURNING id")
  await changer!.query('COMMIT')
  expect(own).toEqual({ id: 500_000 })
  expect(await waiting).toEqual({ id: 500_001 })
})

test('code that changes a sequence in the transaction of an INSERT hinders nobody for ever', async () => {
  const [changer] = clients
  await changer!.query(
    `CREATE FUNCTION restarts() RETURNS int LANGUAGE plpgsql AS
     $$ BEGIN ALTER SEQUENCE t_id_seq RESTART 600000; RETURN 1; END $$`,
  )
  await changer!.query('BEGIN')
  await changer!.query('SELECT restarts()')
  const own = await drawn(changer!, "INSERT INTO t (k, v) VALUES (2, 'sees it') RETURNING id")
  await changer!.query('COMMIT')
  expect(own).toEqual({ id: 600_000 })
})

test('to draw does not make the home shard part of a transaction', async () => {
  const [client] = clients
  const home = await connectTo(cluster.current.weft.shards[0]!.url)
  try {
    // On the other shard.
    const { rows } = await client!.query('SELECT k FROM generate_series(1, 100) AS k WHERE false')
    expect(rows).toEqual([])
    await client!.query('DISCARD ALL')
    await client!.query('BEGIN')
    await client!.query("INSERT INTO t (k, v) VALUES (1, 'a'), (1, 'b')")
    await client!.query("INSERT INTO t (k, v) VALUES (1, 'c')")
    const inBlock = await home.query(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%weft.draw%'`,
    )
    expect(inBlock.rows).toEqual([{ n: 0 }])
    await client!.query('ROLLBACK')
  } finally {
    await home.end()
  }
})

test('no value is given that a crash of the home shard would give again', async () => {
  const url = cluster.current.weft.shards[0]!.url
  const [first, second] = await Promise.all([connectTo(url), connectTo(url)])
  try {
    await second.query('SET synchronous_commit = on')
    await first.query("CREATE SEQUENCE crashed; SELECT nextval('crashed')")
    for (let round = 0; round < 5; round++) {
      await first.query('CHECKPOINT')
      await first.query('BEGIN')
      // Written ahead for the values that follow, and on disk when it commits, or somebody else waits for that.
      const ahead = await first.query("SELECT nextval('crashed'), pg_current_wal_insert_lsn() AS lsn")
      const { rows } = await second.query("SELECT weft.draw('{crashed}', '{f}', 1)")
      expect(rows).toHaveLength(1)
      const safe = await second.query('SELECT pg_current_wal_flush_lsn() >= $1 AS safe', [ahead.rows[0].lsn])
      expect(safe.rows).toEqual([{ safe: true }])
      await first.query('ROLLBACK')
    }
    await first.query('DROP SEQUENCE crashed')
  } finally {
    await Promise.all([first.end(), second.end()])
  }
})
