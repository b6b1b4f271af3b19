import pg from 'pg'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { useTestCluster } from '../helpers/cluster.ts'
import { query } from '../helpers/postgres.ts'

const cluster = useTestCluster({ shards: 2 })
const clients: pg.Client[] = []

interface Client {
  readonly client: pg.Client
  /** That of BackendKeyData. */
  readonly pid: number
  /** What ended it. */
  readonly ended: Promise<pg.DatabaseError>
}

async function connect(url: string, user = 'postgres'): Promise<Client> {
  const to = new URL(url)
  to.username = user
  const client = new pg.Client({ connectionString: to.href })
  const ended = new Promise<pg.DatabaseError>((resolve) =>
    client.on('error', (e) => resolve(e as pg.DatabaseError)),
  )
  await client.connect()
  clients.push(client)
  const { processID } = client as pg.Client & { processID: number }
  return { client, pid: processID, ended }
}
const weft = (user?: string) => connect(cluster.current.weftUrl, user)

async function value(client: pg.Client, sql: string, values: unknown[] = []): Promise<unknown> {
  const { rows } = await client.query({ text: sql, values, rowMode: 'array' })
  return (rows as unknown[][])[0]?.[0]
}
const failure = (work: Promise<unknown>): Promise<pg.DatabaseError> =>
  work.then(
    () => Promise.reject(new Error('no error')),
    (error: pg.DatabaseError) => error,
  )

/** Waits until the session is blocked, as isolationtester does. */
async function untilBlocked(asker: pg.Client, who: number, by: readonly number[]): Promise<void> {
  const sql = 'SELECT pg_catalog.pg_isolation_test_session_is_blocked($1, $2)'
  await expect.poll(() => value(asker, sql, [who, by]), { timeout: 20_000 }).toBe(true)
}

beforeAll(async () => {
  const sql = `CREATE TABLE s (k int PRIMARY KEY, v int) WITH (shard_key = 'k')`
  await query(cluster.current.weftUrl, sql)
  await query(cluster.current.weftUrl, 'INSERT INTO s SELECT i, 0 FROM generate_series(1, 20) i')
  for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
    await query(url, 'CREATE TABLE l (who int, label text)')
    await query(url, 'CREATE ROLE ann LOGIN')
    await query(url, 'CREATE ROLE bob LOGIN')
    await query(url, 'CREATE ROLE guard LOGIN IN ROLE pg_signal_backend')
  }
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => {})))
})

describe('one pid per session', () => {
  test('pg_backend_pid() is that of BackendKeyData, in every place of a statement, and keeps its label', async () => {
    const { client, pid } = await weft()
    const other = await weft()
    for (let i = 0; i < 3; i++) expect(await value(client, 'SELECT pg_backend_pid()')).toBe(pid)
    expect(await value(other.client, 'SELECT pg_backend_pid()')).toBe(other.pid)
    const { fields, rows } = await client.query(
      'SELECT pg_backend_pid(), pg_catalog . pg_backend_pid ( ) + 0 AS p',
    )
    expect(fields.map(({ name }) => name)).toEqual(['pg_backend_pid', 'p'])
    expect(rows).toEqual([{ pg_backend_pid: pid, p: pid }])
    expect(await value(client, 'SELECT $1::int = pg_backend_pid()', [pid])).toBe(true)
    await client.query({ name: 'again', text: 'SELECT pg_backend_pid() AS v' })
    expect((await client.query({ name: 'again', text: 'SELECT pg_backend_pid() AS v' })).rows).toEqual([
      { v: pid },
    ])
    await client.query('PREPARE p AS SELECT pg_backend_pid()')
    expect(await value(client, 'EXECUTE p')).toBe(pid)
    await client.query('BEGIN')
    expect(await value(client, 'SELECT pg_backend_pid()')).toBe(pid)
    await client.query('ROLLBACK')
  })

  test('it is written as it is read, to local and to sharded tables', async () => {
    const { client, pid } = await weft()
    expect(await value(client, `INSERT INTO l VALUES (pg_backend_pid(), 'x') RETURNING who`)).toBe(pid)
    await client.query('UPDATE s SET v = pg_backend_pid() WHERE k = 3')
    await client.query('INSERT INTO s VALUES (100, pg_backend_pid()), (101, pg_backend_pid())')
    expect(await value(client, 'SELECT count(*) FROM s WHERE v = pg_backend_pid()')).toBe('3')
    await client.query('UPDATE s SET v = 0')
  })
})

test("a notification of one's own says so; one of somebody else names no session", async () => {
  const [a, b] = [await weft(), await weft()]
  await a.client.query('LISTEN chan')
  const heard: number[] = []
  const twice = new Promise<void>((resolve) =>
    a.client.on('notification', ({ processId }) => {
      if (heard.push(processId) === 2) resolve()
    }),
  )
  await a.client.query('NOTIFY chan')
  await b.client.query('NOTIFY chan')
  await twice
  expect(heard[0]).toBe(a.pid)
  expect(heard[1]).toBeLessThan(2 ** 22)
})

describe('pg_cancel_backend', () => {
  test('the statement of the session that is named, wherever it runs; nobody else', async () => {
    const [a, b, c] = [await weft(), await weft(), await weft()]
    const sleeps = failure(b.client.query('SELECT pg_sleep(60)'))
    const bystander = c.client.query('SELECT pg_sleep(0.5)')
    await expect
      .poll(() => value(a.client, 'SELECT state FROM pg_stat_activity WHERE pid = $1', [b.pid]))
      .toBe('active')
    expect(await value(a.client, 'SELECT pg_cancel_backend($1)', [b.pid])).toBe(true)
    expect((await sleeps).code).toBe('57014')
    await bystander
    expect(await value(b.client, 'SELECT 1')).toBe(1)
  })

  test('a pid of nobody, a backend of a shard: a warning, and false', async () => {
    const { client } = await weft()
    const notices: string[] = []
    client.on('notice', (notice) => notices.push(`${notice.severity} ${notice.code} ${notice.message}`))
    const [{ pid }] = (await query<{ pid: number }>(
      cluster.current.weft.shards[0]!.url,
      'SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() ORDER BY pid LIMIT 1',
    )) as [{ pid: number }]
    for (const nobody of [999, pid]) {
      expect(await value(client, `SELECT pg_cancel_backend(${nobody})`)).toBe(false)
      expect(await value(client, `SELECT pg_terminate_backend(${nobody})`)).toBe(false)
      const warning = `WARNING 01000 PID ${nobody} is not a PostgreSQL backend process`
      expect(notices.splice(0)).toEqual([warning, warning])
    }
    expect(await value(client, 'SELECT pg_cancel_backend(NULL)')).toBe(null)
  })

  test('who may: as on one Postgres', async () => {
    const answers: unknown[] = []
    for (const url of [cluster.current.weftUrl, cluster.current.plainUrl]) {
      const people = {
        postgres: await connect(url),
        ann: await connect(url, 'ann'),
        bob: await connect(url, 'bob'),
      }
      const more = { ...people, guard: await connect(url, 'guard'), ann2: await connect(url, 'ann') }
      const said: unknown[] = []
      for (const [by, whom] of [
        ...[
          ['ann', 'ann2'],
          ['ann', 'bob'],
          ['ann', 'postgres'],
          ['guard', 'bob'],
          ['guard', 'postgres'],
        ],
        ...[['postgres', 'guard']],
      ] as ['ann', 'bob'][]) {
        for (const verb of ['cancel', 'terminate']) {
          const call = value(more[by].client, `SELECT pg_${verb}_backend($1)`, [more[whom].pid])
          said.push([
            by,
            whom,
            verb,
            await call.catch((e: pg.DatabaseError) => [e.code, e.message, e.detail]),
          ])
        }
      }
      answers.push(said)
    }
    expect(answers[0]).toEqual(answers[1])
  })

  test('oneself: 57014, and the session goes on', async () => {
    const { client } = await weft()
    expect((await failure(client.query('SELECT pg_cancel_backend(pg_backend_pid())'))).code).toBe('57014')
    expect(await value(client, 'SELECT 1')).toBe(1)
  })
})

describe('pg_terminate_backend', () => {
  test('another session: 57P01, closed, rolled back', async () => {
    const [a, b] = [await weft(), await weft()]
    await b.client.query('BEGIN')
    await b.client.query('UPDATE s SET v = 7')
    expect(await value(a.client, 'SELECT pg_terminate_backend($1)', [b.pid])).toBe(true)
    const error = await b.ended
    expect([error.code, error.severity]).toEqual(['57P01', 'FATAL'])
    expect(error.message).toBe('terminating connection due to administrator command')
    await a.client.query('UPDATE s SET v = 0')
    expect(await value(a.client, 'SELECT count(*) FROM s WHERE v = 7')).toBe('0')
  })

  test('oneself: 57P01 and closed', async () => {
    const { client } = await weft()
    const error = await failure(client.query('SELECT pg_terminate_backend(pg_backend_pid())'))
    expect([error.code, error.severity]).toEqual(['57P01', 'FATAL'])
  })

  test('all that lie idle, picked from pg_stat_activity', async () => {
    const [a, b, c] = [await weft(), await weft(), await weft()]
    await b.client.query("SET application_name = 'left behind'")
    const { rows } = await a.client.query(
      `SELECT pid, pg_terminate_backend(pid) AS done FROM pg_stat_activity
       WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND pid IN ($1, $2) ORDER BY pid`,
      [b.pid, c.pid],
    )
    const expected = [b.pid, c.pid].sort((x, y) => x - y).map((pid) => ({ pid, done: true }))
    expect(rows).toEqual(expected)
    expect((await Promise.all([b.ended, c.ended])).map(({ code }) => code)).toEqual(['57P01', '57P01'])
  })
})

describe('who waits, who is there', () => {
  test('pg_blocking_pids and pg_locks: of sessions, from all shards', async () => {
    const [a, b, c] = [await weft(), await weft(), await weft()]
    for (const k of [1, 2, 3, 4]) {
      await a.client.query('BEGIN')
      await a.client.query(`UPDATE s SET v = 1 WHERE k = ${k}`)
      const waits = b.client.query(`UPDATE s SET v = 2 WHERE k = ${k}`)
      await untilBlocked(c.client, b.pid, [c.pid, a.pid])
      expect(await value(c.client, 'SELECT pg_blocking_pids($1)', [b.pid])).toEqual([a.pid])
      expect(await value(c.client, `SELECT pg_blocking_pids(${a.pid})`)).toEqual([])
      expect(
        await value(c.client, 'SELECT pg_isolation_test_session_is_blocked($1, $2)', [b.pid, [c.pid]]),
      ).toBe(false)
      await a.client.query('ROLLBACK')
      await waits
    }
    await a.client.query('BEGIN; LOCK TABLE l')
    const own = `SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'l'::regclass`
    expect(await value(a.client, own)).toBe('AccessExclusiveLock')
    expect(await value(c.client, `SELECT pid FROM pg_locks WHERE relation = 'l'::regclass`)).toBe(a.pid)
    expect(await value(c.client, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")).toBe('0')
    await a.client.query('ROLLBACK')
  })

  test('weft.transactions: what has been open for a second, by session', async () => {
    const [a, b, c] = [await weft(), await weft(), await weft()]
    await b.client.query('BEGIN; SELECT FROM l')
    await a.client.query('BEGIN; SELECT FROM l; SELECT pg_sleep(1.01)')
    const open = 'SELECT array_agg(t.pid ORDER BY t.started_at) FROM weft.transactions t WHERE state <> $1'
    expect(await value(c.client, open, ['prepared'])).toEqual([b.pid, a.pid])
    const { rows } = await c.client
      .query('TABLE weft.transactions; SELECT count(*) FROM weft.shards')
      .then((results) => (results as unknown as pg.QueryResult[])[0]!)
    expect(rows.map(({ pid, state }) => ({ pid, state }))).toEqual([
      { pid: b.pid, state: 'idle in transaction' },
      { pid: a.pid, state: 'idle in transaction' },
    ])
    await Promise.all([a, b].map(({ client }) => client.query('ROLLBACK')))
  })

  test('a report of a deadlock on one shard names sessions', async () => {
    const [a, b] = [await weft(), await weft()]
    await a.client.query('CREATE TABLE l2 ()')
    await a.client.query('BEGIN; LOCK TABLE l')
    await b.client.query('BEGIN; LOCK TABLE l2')
    const taken = Promise.allSettled([a.client.query('SELECT FROM l2'), b.client.query('SELECT FROM l')])
    const errors = (await taken).flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
    expect(errors.map(({ code }: pg.DatabaseError) => code)).toEqual(['40P01'])
    const { detail } = errors[0] as pg.DatabaseError
    const named = [...detail!.matchAll(/rocess (\d+)/g)].map((match) => Number(match[1]))
    expect([...new Set(named)].sort((x, y) => x - y)).toEqual([a.pid, b.pid].sort((x, y) => x - y))
    await Promise.all([a.client.query('ROLLBACK'), b.client.query('ROLLBACK')])
  })

  test('pg_stat_activity: all sessions, what they do, and no backends of the pool; others keep their secrets', async () => {
    const [a, b, ann] = [await weft(), await weft(), await weft('ann')]
    const sleeps = failure(b.client.query('SELECT pg_sleep(60) /* mine */'))
    const sql = 'SELECT state, query FROM pg_stat_activity WHERE pid = $1'
    await expect.poll(() => value(a.client, sql, [b.pid])).toBe('active')
    expect((await a.client.query(sql, [b.pid])).rows[0].query).toContain('/* mine */')
    expect((await ann.client.query(sql, [b.pid])).rows).toEqual([
      { state: null, query: '<insufficient privilege>' },
    ])
    const all = `SELECT s.pid, usename, state FROM pg_stat_activity AS s WHERE backend_type = 'client backend' ORDER BY 1`
    const expected = [
      { pid: a.pid, usename: 'postgres', state: 'active' },
      { pid: b.pid, usename: 'postgres', state: 'active' },
      { pid: ann.pid, usename: 'ann', state: 'idle' },
    ].sort((x, y) => x.pid - y.pid)
    expect((await a.client.query(all)).rows).toEqual(expected)
    expect(
      await value(a.client, 'SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()'),
    ).toContain('pg_stat_act')
    await value(a.client, 'SELECT pg_cancel_backend($1)', [b.pid])
    await sleeps
  })

  test('written so that it cannot be read, or not known: refused', async () => {
    const SAFE = 'SELECT pg_safe_snapshot_blocking_pids(1)'
    const { client } = await weft()
    for (const sql of ['SELECT * FROM ONLY (pg_stat_activity)', SAFE]) {
      expect((await failure(client.query(sql))).code).toBe('0A000')
    }
    expect(await value(client, `SELECT 'pg_backend_pid()'`)).toBe('pg_backend_pid()')
  })
})

describe('in code of the database', () => {
  const REFUSED = /^code in the database that names backends \(.*\) is not supported: (.*)$/
  const refusal = async (client: pg.Client, sql: string) => {
    const { code, message } = await failure(client.query(sql))
    return [code, REFUSED.exec(message)?.[1] ?? message]
  }

  test('what would run it is refused: functions, triggers, defaults, views, DO; what defines it is not', async () => {
    const { client } = await weft()
    await client.query(`
      CREATE FUNCTION stop(p int) RETURNS bool LANGUAGE sql AS 'SELECT pg_cancel_backend(p)';
      CREATE FUNCTION stops(p int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN public . STOP (p); END';
      CREATE FUNCTION dynamic(p int) RETURNS bool LANGUAGE plpgsql
        AS $$ DECLARE b bool; BEGIN EXECUTE 'SELECT pg_terminate_backend($1)' INTO b USING p; RETURN b; END $$;
      CREATE PROCEDURE stopping() LANGUAGE plpgsql AS 'BEGIN PERFORM stops(1); END';
      CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.by := pg_backend_pid(); RETURN NEW; END'`)
    await client.query('CREATE TABLE job (id int, by int); CREATE TABLE log (stop text, by int)')
    await client.query('CREATE TABLE other (id int, by int DEFAULT pg_backend_pid())')
    await client.query('CREATE TRIGGER signs BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION sign()')
    await client.query('CREATE VIEW busy AS SELECT pid FROM pg_stat_activity')
    for (const [sql, what] of [
      ['SELECT stop(1)', '"stop"'],
      ['SELECT 1 WHERE public.stop(1)', '"stop"'],
      ['SELECT stops(1)', '"stops"'],
      ['SELECT dynamic(1)', '"dynamic"'],
      ['CALL stopping()', '"stopping"'],
      ['EXPLAIN ANALYZE SELECT stops(1)', '"stops"'],
      ['COPY (SELECT stops(1)) TO STDOUT', '"stops"'],
      ['CREATE TABLE made AS SELECT stop(1)', '"stop"'],
      ['INSERT INTO job VALUES (1)', '"job"'],
      ['WITH x AS (INSERT INTO job VALUES (1) RETURNING id) SELECT id FROM x', '"job"'],
      ['COPY job FROM STDIN', '"job"'],
      ['INSERT INTO other VALUES (1)', '"other"'],
      ['SELECT * FROM busy', '"busy"'],
      ['DO $$ BEGIN PERFORM stop(1); END $$', 'a DO block'],
      ['DO $$ BEGIN PERFORM pg_terminate_backend(pid) FROM pg_stat_activity; END $$', 'a DO block'],
      ['CREATE MATERIALIZED VIEW seen AS SELECT pid FROM pg_stat_activity', 'a materialized view'],
      ['CREATE MATERIALIZED VIEW seen AS SELECT pid FROM busy', '"busy"'],
    ] as const) {
      expect([sql, ...(await refusal(client, sql))]).toEqual([sql, '0A000', what])
    }
    await client.query("INSERT INTO log (stop) VALUES ('stop') RETURNING stop")
    expect(await value(client, 'SELECT count(*) FROM job')).toBe('0')
    await client.query('DROP FUNCTION stops, stop CASCADE; DROP VIEW busy')
  })

  test('what the refusal says to do: a setting', async () => {
    const { client, pid } = await weft()
    await client.query("SELECT set_config('app.pid', pg_backend_pid()::text, false)")
    await client.query(
      `CREATE FUNCTION signed() RETURNS int LANGUAGE sql AS $$ SELECT current_setting('app.pid')::int $$`,
    )
    expect(await value(client, 'SELECT signed()')).toBe(pid)
    expect(await value(client, 'SELECT signed() + 0 FROM s WHERE k = 3')).toBe(pid)
  })
})

test('every statement that has a query: pids are those of sessions', async () => {
  const { client, pid } = await weft()
  const other = await weft()
  const lines: string[] = []
  client.on('notice', ({ message }) => lines.push(message ?? ''))
  await client.query('CREATE TABLE kept AS SELECT pg_backend_pid() AS p')
  expect(await value(client, 'SELECT p FROM kept')).toBe(pid)
  await client.query(
    'BEGIN; DECLARE c CURSOR FOR SELECT pid FROM pg_stat_activity WHERE pid = pg_backend_pid()',
  )
  expect(await value(client, 'FETCH c')).toBe(pid)
  await client.query('COMMIT')
  await client.query('PREPARE q(int) AS SELECT $1 + 0')
  expect(await value(client, 'EXECUTE q(pg_backend_pid())')).toBe(pid)
  await client.query(`CREATE PROCEDURE keep(p int) LANGUAGE sql AS 'INSERT INTO kept VALUES (p)'`)
  await client.query('CALL keep(pg_backend_pid())')
  expect(await value(client, 'SELECT count(*) FROM kept WHERE p = pg_backend_pid()')).toBe('2')
  expect(await value(client, 'EXPLAIN SELECT pg_backend_pid()')).toContain('Result')
  for (const sql of [
    `EXPLAIN ANALYZE SELECT pg_cancel_backend(${other.pid})`,
    `COPY (SELECT pg_cancel_backend(${other.pid})) TO STDOUT`,
    `EXECUTE q(pg_cancel_backend(${other.pid})::int)`,
  ]) {
    expect([sql, (await failure(client.query(sql))).code]).toEqual([sql, '0A000'])
  }
  await client.query('DROP TABLE kept; DROP PROCEDURE keep')
})
