import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg from 'pg'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { CONNECTION_MARK } from '../../protocol/agent-link.ts'
import { createTwins, useTestCluster } from '../helpers/cluster.ts'
import { query, reload } from '../helpers/postgres.ts'

const POOL = 20
const scramRoles = ['alice', 'bob']
const cluster = useTestCluster({
  poolSize: POOL,
  auth: [
    { from: ['all'], users: scramRoles, method: 'scram-sha-256' },
    { from: ['all'], method: 'trust' },
  ],
})
const clients: pg.Client[] = []

async function connect(config: pg.ClientConfig = {}): Promise<pg.Client> {
  const { host, port } = cluster.current.weft
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres', ...config })
  client.on('error', () => {})
  await client.connect()
  clients.push(client)
  return client
}

/** The first column of the first row. */
async function value(client: pg.Client, text: string, values: unknown[] = []): Promise<unknown> {
  const { rows } = await client.query({ text, values, rowMode: 'array' })
  return (rows[0] as unknown[] | undefined)?.[0]
}

async function status(): Promise<{ pinnedSessions: number; sessions: number; openTransactions: number }> {
  const answer = await fetch(`${cluster.current.weft.adminUrl}/api/status`)
  return (await answer.json()) as { pinnedSessions: number; sessions: number; openTransactions: number }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((done) => setImmediate(done))
}

beforeAll(async () => {
  await createTwins(cluster.current, 'CREATE TABLE t (id int PRIMARY KEY, v text)', { shard_key: 'id' })
  for (const url of [cluster.current.plainUrl, cluster.current.weftUrl]) {
    await query(url, "INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 100) i")
  }
})
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end()))
  await until(async () => (await status()).sessions === 0)
})

/** Watches a shard from beside: the highest number of connections to it. */
async function watch(url: string): Promise<{ stop(): Promise<number> }> {
  const beside = new pg.Client({ connectionString: url })
  await beside.connect()
  let highest = 0
  let stopped = false
  const watching = (async () => {
    while (!stopped) {
      const { rows } = await beside.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
      )
      highest = Math.max(highest, (rows[0] as { n: number }).n)
    }
  })()
  return {
    stop: async () => {
      stopped = true
      await watching
      await beside.end()
      return highest
    },
  }
}

describe('500 clients', () => {
  test(`settings stay with their sessions, on at most ${POOL} Postgres connections a shard`, async () => {
    const { shards } = cluster.current.weft
    const watches = await Promise.all(shards.map(({ url }) => watch(url)))
    const zones = ['UTC', 'Asia/Tokyo', 'America/New_York', 'Europe/Berlin']
    const many: pg.Client[] = []
    for (let i = 0; i < 500; i += 50) {
      many.push(
        ...(await Promise.all(
          Array.from({ length: 50 }, (_, j) => connect({ application_name: `app ${i + j}` })),
        )),
      )
    }
    expect((await status()).sessions).toBe(500)
    await Promise.all(
      many.map(async (client, i) => {
        await client.query(`SET TIME ZONE '${zones[i % zones.length]}'`)
        await client.query(`SET app.number = '${i}'`)
        if (i % 3 === 0) await client.query(`SET search_path = s${i % 5}, public`)
      }),
    )
    const look = async (client: pg.Client, i: number, id: number): Promise<void> => {
      const { rows } = await client.query(
        `SELECT current_setting('application_name') AS name, current_setting('TimeZone') AS zone, v,
           current_setting('app.number') AS number, current_setting('search_path') AS path FROM t WHERE id = $1`,
        [id],
      )
      expect(rows).toEqual([
        {
          name: `app ${i}`,
          zone: zones[i % zones.length],
          v: `v${id}`,
          number: String(i),
          path: i % 3 === 0 ? `s${i % 5}, public` : '"$user", public',
        },
      ])
    }
    for (let round = 0; round < 3; round++) {
      await Promise.all(many.map((client, i) => look(client, i, 1 + ((i * 7 + round) % 100))))
    }
    // Transactions over several shards at the same time.
    await Promise.all(
      many.slice(0, 100).map(async (client, i) => {
        await client.query('BEGIN')
        await client.query('UPDATE t SET v = v WHERE id = $1', [1 + i])
        await client.query("SET LOCAL app.number = 'local'")
        await client.query('SELECT v FROM t WHERE id = $1', [1 + ((i + 50) % 100)])
        expect(await value(client, "SELECT current_setting('app.number')")).toBe('local')
        await client.query(i % 2 === 0 ? 'COMMIT' : 'ROLLBACK')
        expect(await value(client, "SELECT current_setting('app.number')")).toBe(String(i))
      }),
    )
    const highest = await Promise.all(watches.map((each) => each.stop()))
    expect(Math.max(...highest)).toBeLessThanOrEqual(POOL)
    expect(Math.min(...highest)).toBeGreaterThan(3)
  }, 120_000)

  test('open transactions: more than there are connections wait for their turn, none is refused', async () => {
    const many = await Promise.all(Array.from({ length: 60 }, () => connect()))
    await Promise.all(
      many.map(async (client, i) => {
        await client.query('BEGIN')
        await client.query('UPDATE t SET v = v WHERE id = $1', [1 + i])
        await client.query('SELECT count(*) FROM t')
        await client.query('COMMIT')
      }),
    )
    expect(await status()).toMatchObject({ openTransactions: 0, pinnedSessions: 0 })
  })
})

describe('what needs one connection', () => {
  const pins: readonly (readonly [name: string, pin: string, unpin: string])[] = [
    ['LISTEN', 'LISTEN chan', 'UNLISTEN chan'],
    ['LISTEN, UNLISTEN *', 'LISTEN chan; LISTEN chan2', 'UNLISTEN *'],
    ['a temporary table', 'CREATE TEMP TABLE tmp (x int)', 'DROP TABLE tmp'],
    ['a temporary view', 'CREATE TEMP VIEW tmpv AS SELECT 1 AS x', 'DROP VIEW tmpv'],
    ['a temporary table of a query', 'SELECT 1 AS x INTO TEMP tmp', 'DROP TABLE tmp'],
    ['a session advisory lock', 'SELECT pg_advisory_lock(1)', 'SELECT pg_advisory_unlock(1)'],
    ['a lock that was tried', 'SELECT pg_try_advisory_lock(1)', 'SELECT pg_advisory_unlock_all()'],
    ['a WITH HOLD cursor', 'DECLARE h CURSOR WITH HOLD FOR SELECT generate_series(1, 3)', 'CLOSE h'],
    ['DISCARD ALL', 'LISTEN chan', 'DISCARD ALL'],
    ['DISCARD TEMP', 'CREATE TEMP TABLE tmp (x int)', 'DISCARD TEMP'],
  ]

  test.each(pins)('%s: pinned by "%s", released by "%s"', async (_name, pin, unpin) => {
    const client = await connect()
    await client.query(pin)
    expect((await status()).pinnedSessions).toBe(1)
    const pid = await value(client, 'SELECT pg_backend_pid()')
    await client.query('SELECT 1')
    expect(await value(client, 'SELECT pg_backend_pid()')).toBe(pid)
    await client.query(unpin)
    expect((await status()).pinnedSessions).toBe(0)
    expect(await value(client, 'SELECT count(*) FROM t')).toBe('100')
  })

  test.each([
    ['COMMIT', 1],
    ['ROLLBACK', 0],
  ] as const)('in a block that ends with %s: pinned sessions %d', async (end, expected) => {
    const client = await connect()
    await client.query('BEGIN; CREATE TEMP TABLE tmp (x int)')
    expect((await status()).pinnedSessions).toBe(1)
    await client.query(end)
    expect((await status()).pinnedSessions).toBe(expected)
  })

  test('a pinned client leaves: its connection is free again', async () => {
    const client = await connect()
    await client.query('LISTEN chan; CREATE TEMP TABLE tmp (x int); SELECT pg_advisory_lock(7)')
    expect((await status()).pinnedSessions).toBe(1)
    await client.end()
    clients.pop()
    await until(async () => (await status()).pinnedSessions === 0)
    const next = await connect()
    // The connection is cleaned before anyone else gets it; the lock goes with that.
    await until(async () => (await value(next, 'SELECT pg_try_advisory_xact_lock(7)')) === true)
  })

  test('too many: refused with 53300, the others go on', async () => {
    const pinned: pg.Client[] = []
    let one = await connect()
    let refused: unknown
    while (refused === undefined) {
      refused = await one.query('LISTEN chan').then(
        () => undefined,
        (error: unknown) => error,
      )
      if (refused === undefined) {
        pinned.push(one)
        one = await connect()
      }
    }
    expect(pinned.length).toBeGreaterThan(3)
    expect(refused).toMatchObject({
      code: '53300',
      message: `more than ${pinned.length} sessions need a connection of their own`,
    })
    expect(await value(one, 'SELECT 1')).toBe(1)
    await pinned[0]!.query('UNLISTEN *')
    await one.query('LISTEN chan')
  })
})

describe('nothing leaks', () => {
  test('a session that leaves everything behind: later clients find none of it', async () => {
    for (let i = 0; i < 10; i++) {
      const messy = await connect({ application_name: 'messy' })
      await messy.query(`
        SET app.secret = 'secret'; SET search_path = nowhere; SET TIME ZONE 'Asia/Tokyo'; SET work_mem = '123MB';
        SET statement_timeout = '1h'; LISTEN chan; CREATE TEMP TABLE leak (x int);
        DECLARE leak CURSOR WITH HOLD FOR SELECT 1; PREPARE leak AS SELECT 1`)
      await messy.query('SELECT pg_advisory_lock(99)')
      await messy.query('BEGIN; SET LOCAL lock_timeout = 77; UPDATE public.t SET v = v')
      clients.pop()
      if (i % 2 === 0) await messy.end()
      else (messy as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
      await until(async () => (await status()).pinnedSessions === 0)
    }
    const looks = Array.from({ length: 30 }, async () => {
      const client = await connect()
      const { rows } = await client.query(`
        SELECT current_setting('app.secret', true) IN (NULL, '') IS NOT FALSE AS no_secret, current_setting('search_path') AS path,
          current_setting('work_mem') AS work_mem, current_setting('statement_timeout') AS timeout,
          current_setting('lock_timeout') AS lock_timeout, current_setting('application_name') AS name,
          current_user AS role, (SELECT count(*) FROM pg_listening_channels()) AS channels,
          to_regclass('pg_temp.leak') AS temp, (SELECT count(*) FROM pg_cursors WHERE name = 'leak') AS cursors,
          (SELECT count(*) FROM pg_prepared_statements WHERE name = 'leak') AS prepared,
          (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
            AND NOT (classid = ${CONNECTION_MARK.classid} AND objid = ${CONNECTION_MARK.objid})) AS locks`)
      expect(rows).toEqual([
        {
          no_secret: true,
          path: '"$user", public',
          work_mem: '4MB',
          timeout: '0',
          lock_timeout: '0',
          name: '',
          role: 'postgres',
          channels: '0',
          temp: null,
          cursors: '0',
          prepared: '0',
          locks: '0',
        },
      ])
      await expect(client.query('EXECUTE leak')).rejects.toMatchObject({ code: '26000' })
      await client.query('UPDATE t SET v = v WHERE id = 1')
    })
    await Promise.all(looks)
  })

  test('SET ROLE: a role that was dropped and created anew is the new one, on every connection', async () => {
    const [maker, ...users] = (await Promise.all([1, 2, 3, 4].map(() => connect()))) as [
      pg.Client,
      ...pg.Client[],
    ]
    await maker.query('CREATE TABLE of_role (id int)')
    for (const turn of [1, 2]) {
      await maker.query('CREATE ROLE again; GRANT SELECT ON of_role TO again')
      for (const user of users) await user.query('SET ROLE again')
      // Each has a connection of its own.
      for (const user of users) await user.query('BEGIN')
      for (const user of users)
        expect((await user.query('SELECT * FROM of_role')).rows, `turn ${turn}`).toEqual([])
      for (const user of users) await user.query('COMMIT; RESET ROLE')
      await maker.query('DROP OWNED BY again; DROP ROLE again')
    }
    await maker.query('DROP TABLE of_role')
  })

  test('SET ROLE: only in its own session', async () => {
    await query(cluster.current.weftUrl, 'CREATE ROLE weak')
    const [a, b] = [await connect(), await connect()]
    await a.query('SET ROLE weak')
    const work = Array.from({ length: 50 }, async (_, i) => {
      const client = i % 2 === 0 ? a : b
      return value(client, 'SELECT current_user')
    })
    expect(await Promise.all(work)).toEqual(
      Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 'weak' : 'postgres')),
    )
    await expect(a.query('SELECT * FROM t')).rejects.toMatchObject({ code: '42501' })
    await expect(a.query('SELECT * FROM t WHERE id = 1')).rejects.toMatchObject({ code: '42501' })
    expect(await value(b, 'SELECT count(*) FROM t')).toBe('100')
    await a.query('RESET ROLE')
    expect(await value(a, 'SELECT count(*) FROM t')).toBe('100')
  })
})

describe('login roles', () => {
  beforeAll(async () => {
    await query(
      cluster.current.weftUrl,
      `CREATE ROLE alice LOGIN PASSWORD 'correct horse'; CREATE ROLE bob LOGIN PASSWORD 'bøb''s'; CREATE ROLE nologin;
       GRANT SELECT, INSERT ON t TO alice; ALTER ROLE alice SET work_mem = '11MB'`,
    )
    // The shards ask for the password too: the agents must know how to log in as each role.
    for (const { url } of cluster.current.weft.shards) {
      const [found] = await query<{ path: string }>(url, "SELECT current_setting('hba_file') AS path")
      const rules = scramRoles.flatMap((role) => [
        `local all ${role} scram-sha-256`,
        `host all ${role} 127.0.0.1/32 scram-sha-256`,
      ])
      const path = found?.path ?? join(cluster.current.weft.dataDir, 'pg_hba.conf')
      await writeFile(path, `${rules.join('\n')}\n${await readFile(path, 'utf8')}`)
      await reload(url)
    }
  })

  test('SCRAM: statements run as the role, on every shard', async () => {
    const alice = await connect({ user: 'alice', password: 'correct horse' })
    expect(await value(alice, 'SELECT session_user')).toBe('alice')
    const { rows } = await alice.query('SELECT DISTINCT current_user AS role FROM t WHERE id IN (1)')
    expect(rows).toEqual([{ role: 'alice' }])
    const everywhere = await alice.query<{ role: string }>('SELECT current_user AS role FROM t')
    expect(new Set(everywhere.rows.map((row) => row.role))).toEqual(new Set(['alice']))
    expect(await value(alice, 'SHOW work_mem')).toBe('11MB')
    expect(await value(alice, 'SHOW is_superuser')).toBe('off')
    const bob = await connect({ user: 'bob', password: "bøb's" })
    expect(await value(bob, 'SELECT current_user')).toBe('bob')
  })

  test('permission errors: as in Postgres', async () => {
    await query(cluster.current.plainUrl, 'CREATE ROLE alice LOGIN; GRANT SELECT, INSERT ON t TO alice')
    const plain = new pg.Client({ connectionString: cluster.current.plainUrl.replace('postgres@', 'alice@') })
    await plain.connect()
    const alice = await connect({ user: 'alice', password: 'correct horse' })
    const refused = [
      "UPDATE t SET v = 'x' WHERE id = 1",
      "UPDATE t SET v = 'x'",
      'DELETE FROM t',
      'TRUNCATE t',
      'DROP TABLE t',
      'ALTER TABLE t ADD x int',
      'CREATE ROLE carol',
      'SELECT * FROM pg_authid',
      'CREATE TABLE made (id int)',
      'SET ROLE postgres',
      'SET SESSION AUTHORIZATION postgres',
      'CREATE INDEX ON t (v)',
      'VACUUM FULL pg_authid',
    ]
    for (const text of refused) {
      const errors = await Promise.all(
        [plain, alice].map((client) =>
          client.query(text).then(
            () => 'allowed',
            (error: pg.DatabaseError) => error.message,
          ),
        ),
      )
      expect(errors[1], text).toBe(errors[0])
    }
    await alice.query("INSERT INTO t VALUES (201, 'a'), (202, 'b'), (203, 'c')")
    expect(await value(alice, 'SELECT count(*) FROM t WHERE id > 200')).toBe('3')
    await plain.end()
  })

  test('a transaction over several shards: prepared and committed as the role', async () => {
    const alice = await connect({ user: 'alice', password: 'correct horse' })
    await alice.query('BEGIN')
    for (let id = 301; id <= 306; id++) await alice.query('INSERT INTO t VALUES ($1, $2)', [id, 'mine'])
    await alice.query('COMMIT')
    expect(await value(alice, 'SELECT count(*) FROM t WHERE id > 300')).toBe('6')
  })

  test('wrong password, no such role, no login, changed password', async () => {
    await expect(connect({ user: 'alice', password: 'wrong' })).rejects.toMatchObject({ code: '28P01' })
    await expect(connect({ user: 'nobody', password: 'x' })).rejects.toMatchObject({ code: '28000' })
    await expect(connect({ user: 'nologin' })).rejects.toMatchObject({ code: '28000' })
    await query(cluster.current.weftUrl, "ALTER ROLE bob PASSWORD 'new'")
    await expect(connect({ user: 'bob', password: "bøb's" })).rejects.toMatchObject({ code: '28P01' })
    const bob = await connect({ user: 'bob', password: 'new' })
    expect(await value(bob, 'SELECT current_user')).toBe('bob')
  })

  test('many roles at once on one pool: each runs as itself, and the limit holds', async () => {
    const watches = await Promise.all(cluster.current.weft.shards.map(({ url }) => watch(url)))
    const logins = [
      { user: 'alice', password: 'correct horse' },
      { user: 'bob', password: 'new' },
      { user: 'postgres' },
    ]
    const many = await Promise.all(Array.from({ length: 90 }, (_, i) => connect(logins[i % 3])))
    const work = Array.from({ length: 900 }, (_, i) => value(many[i % 90]!, 'SELECT current_user'))
    expect(await Promise.all(work)).toEqual(Array.from({ length: 900 }, (_, i) => logins[(i % 90) % 3]!.user))
    for (const each of watches) expect(await each.stop()).toBeLessThanOrEqual(POOL)
  })
})
