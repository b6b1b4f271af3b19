import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLink, LinkEvents, Settings } from '../../protocol/agent-link.ts'
import { bind, copyData, execute, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { clientOf, settingsOf, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { seededRandom } from '../helpers/naive-encoder.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const SIZE = 10
const CLIENTS = SIZE - 3
/** Of the agent's own connections, where clients leave it so many. */
const INTERNAL_MAX = 4

describe('agent pool', () => {
  let server: TestPostgres
  let agent: Agent
  let link: AgentLink
  let ids = 0
  const open = (user = server.user): TestSession => new TestSession(link, ++ids, clientOf(user))
  const connections = async (): Promise<number> => {
    const [row] = await query<{ n: string }>(
      server.url,
      `SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
    )
    return Number(row!.n)
  }

  beforeAll(async () => {
    server = await startPostgres()
    agent = await startTestAgent(server, { pool: { size: SIZE, waitTimeoutMs: 60_000 } })
    link = agent.connect('c1')
    for (const name of ['red', 'green', 'blue']) await query(server.url, `CREATE ROLE ${name} LOGIN`)
    await query(server.url, 'CREATE TABLE counters (id int PRIMARY KEY, n int NOT NULL)')
    await query(server.url, 'INSERT INTO counters SELECT i, 0 FROM generate_series(1, 500) i')
    await query(server.url, 'GRANT ALL ON counters TO PUBLIC')
  })
  afterEach(async () => {
    await expect.poll(() => agent.status()).toMatchObject({ busy: 0, waiting: 0, up: true })
  })
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  test('pool: 500 sessions at once: all served, never more connections than allowed', async () => {
    const sessions = Array.from({ length: 500 }, () => open())
    let highest = 0
    const work = sessions.map(async (s, i) => {
      for (let round = 0; round < 3; round++) {
        const sql = `UPDATE counters SET n = n + 1 WHERE id = ${i + 1}`
        await s.query(sql, { begin: ['BEGIN'], access: 'write' })
        expect((await s.query('COMMIT', { access: 'commit' })).ready).toBe('I')
      }
    })
    const watch = (async () => {
      for (let i = 0; i < 5; i++) highest = Math.max(highest, await connections())
    })()
    await Promise.all([...work, watch])
    expect(highest).toBeLessThanOrEqual(SIZE)
    expect(await sessions[0]!.value("SELECT min(n) || ' ' || max(n) FROM counters")).toBe('3 3')
    for (const s of sessions) s.session.close()
  })

  test('pool: several identities want more than there is: all are served, as themselves', async () => {
    const users = ['red', 'green', 'blue', server.user]
    const sessions = Array.from({ length: 80 }, (_, i) => ({ s: open(users[i % 4]), user: users[i % 4]! }))
    await Promise.all(
      sessions.map(async ({ s, user }) => {
        for (let round = 0; round < 4; round++) {
          expect(await s.value('SELECT session_user')).toBe(user)
          expect(await s.value('SELECT current_user', { begin: ['BEGIN'] })).toBe(user)
          await s.query('COMMIT', { access: 'commit' })
        }
        s.session.close()
      }),
    )
    expect(await connections()).toBeLessThanOrEqual(SIZE)
  })

  test('pool: sessions that have a custom setting beside others that ask for it: few connections are made anew', async () => {
    const having = (i: number): Settings => ({
      ...settingsOf(`SELECT set_config('app.x', '${i}', false)`),
      custom: { own: ['app.x'], asks: [], sets: [] },
    })
    const asking: Settings = { ...settingsOf(''), custom: { own: [], asks: ['app.x'], sets: [] } }
    const pids = new Set<string>()
    const sessions = Array.from({ length: 40 }, (_, i) => ({
      s: open(),
      settings: i % 2 === 0 ? having(i) : asking,
      expected: i % 2 === 0 ? `${i}` : '-',
    }))
    await Promise.all(
      sessions.map(async ({ s, settings, expected }) => {
        for (let round = 0; round < 50; round++) {
          const { rows } = await s.query(
            "SELECT coalesce(current_setting('app.x', true), '-'), pg_backend_pid()",
            {
              settings,
            },
          )
          expect(rows[0]![0]).toBe(expected)
          pids.add(rows[0]![1]!)
        }
        s.session.close()
      }),
    )
    // 2,000 statements; when one had to make room for every change, 300 and more.
    expect(pids.size).toBeLessThan(60)
  })

  test('pool: one that asks for what all others have set: has its turn', async () => {
    const having: Settings = {
      ...settingsOf("SELECT set_config('app.x', 'x', false)"),
      custom: { own: ['app.x'], asks: [], sets: [] },
    }
    const asking: Settings = { ...settingsOf(''), custom: { own: [], asks: ['app.x'], sets: [] } }
    const asker = open()
    let isDone = false
    const others = Array.from({ length: 30 }, async () => {
      const s = open()
      while (!isDone) await s.query('SELECT 1', { settings: having })
      s.session.close()
    })
    for (let i = 0; i < 10; i++)
      expect(await asker.value("SELECT current_setting('app.x', true)", { settings: asking })).toBe(null)
    isDone = true
    await Promise.all(others)
    asker.session.close()
  })

  test('pool: nothing comes free in time: 53300, and the session stays usable', async () => {
    const small = await startPostgres()
    const other = await startTestAgent(small, { pool: { size: 4, waitTimeoutMs: 500 } })
    const waits: [string, boolean][] = []
    other.events.on('poolWaited', ({ result, waitedMs }) => waits.push([result, waitedMs >= 500]))
    const line = other.connect('c1')
    const holder = new TestSession(line, 1, clientOf(small.user))
    await holder.query('SELECT 1', { begin: ['BEGIN'] })
    // For its connection to be made.
    expect(waits).toEqual([['served', false]])
    const waiter = new TestSession(line, 2, clientOf(small.user))
    const reply = await waiter.query('SELECT 1')
    expect([reply.error?.code, reply.sent]).toEqual(['53300', false])
    expect(waits.slice(1)).toEqual([['refused', true]])
    await holder.query('COMMIT', { access: 'commit' })
    expect(await waiter.value('SELECT 1')).toBe('1')
    await other.stop()
    await small.stop()
  })

  test('pool: internal work: served while clients hold all that they may have', async () => {
    const holders = Array.from({ length: CLIENTS }, () => open())
    await Promise.all(holders.map((s) => s.query('SELECT 1', { begin: ['BEGIN'] })))
    const waiting = open()
    const waited = waiting.query('SELECT 2')
    const internal = new TestSession(link, ++ids, { kind: 'internal' })
    expect(await internal.value('SELECT current_user')).toBe(server.user)
    expect(agent.status().waiting).toBe(1)
    await Promise.all(holders.map((s) => s.query('COMMIT', { access: 'commit' })))
    expect((await waited).rows).toEqual([['2']])
  })

  test.each(['before clients come', 'while they wait'])(
    'pool: internal work took what clients left free, and gives it back %s: they get all that is theirs',
    async (when) => {
      const fewer = await startTestAgent(await fresh(), { pool: { size: 6 } })
      const line = fewer.connect('c1')
      const begin = (sessions: readonly TestSession[]) =>
        Promise.all(sessions.map((s) => s.query('SELECT 1', { begin: ['BEGIN'] })))
      const internal = Array.from({ length: INTERNAL_MAX }, (_, i) => {
        return new TestSession(line, i, { kind: 'internal' })
      })
      const giveBack = () => Promise.all(internal.map((s) => s.query('COMMIT', { access: 'commit' })))
      await begin(internal)
      if (when === 'before clients come') await giveBack()
      const begun = begin([11, 12, 13].map((id) => new TestSession(line, id, clientOf(server.user))))
      if (when === 'while they wait') {
        await expect.poll(() => fewer.status().waiting).toBe(2)
        await giveBack()
      }
      expect((await begun).map(({ error }) => error?.code)).toEqual([undefined, undefined, undefined])
      await fewer.stop()
    },
  )

  test('pool: a role that may not log in: its own error, and nobody else is bothered', async () => {
    await query(server.url, 'CREATE ROLE nologin NOLOGIN')
    const reply = await open('nologin').query('SELECT 1')
    expect([reply.error?.code, reply.sent]).toEqual(['28000', false])
    expect((await open('nobody_there').query('SELECT 1')).error?.code).toBe('28000')
    expect(await open().value('SELECT 1')).toBe('1')
  })

  test('pool: sessions with settings, interleaved at random: none sees another’s', async () => {
    const seed = 20_260
    const random = seededRandom(seed)
    const kinds = Array.from({ length: 6 }, (_, i) =>
      settingsOf(
        i === 0
          ? ''
          : `SET work_mem = '${i + 10}MB'; SET search_path = s${i}; SET ROLE ${i % 2 ? 'red' : 'green'};`,
      ),
    )
    const expected = (i: number) =>
      i === 0 ? `4MB "$user", public ${server.user}` : `${i + 10}MB s${i} ${i % 2 ? 'red' : 'green'}`
    const sessions = Array.from({ length: 40 }, (_, i) => ({ s: open(), kind: i % kinds.length }))
    const look = `SELECT concat_ws(' ', current_setting('work_mem'), current_setting('search_path'), current_user)`
    await Promise.all(
      sessions.map(async ({ s, kind }) => {
        for (let round = 0; round < 25; round++) {
          const settings = kinds[kind]!
          const dice = random()
          if (dice < 0.15) {
            await s.query(`SET work_mem = '99MB'; SET statement_timeout = 77`, { settings, taints: true })
          } else if (dice < 0.3) {
            await s.query('SET ROLE blue', { settings, taints: true, begin: ['BEGIN'] })
            await s.query(dice < 0.22 ? 'COMMIT' : 'ROLLBACK', { settings, access: 'commit' })
          } else if (dice < 0.4) {
            await s.query('SELECT nonsense', { settings })
          } else if (dice < 0.5) {
            await s.query('SET LOCAL search_path = elsewhere', { settings, begin: ['BEGIN'] })
            await s.session.reset()
          }
          expect(await s.value(look, { settings }), `seed ${seed}`).toBe(expected(kind))
        }
        s.session.close()
      }),
    )
  })

  test('pool: prepared statements of many sessions: every backend learns them, few are kept', async () => {
    const few = await startTestAgent(await fresh(), { pool: { size: 6, preparedMax: 5 } })
    const line = few.connect('c1')
    const sessions = Array.from({ length: 20 }, (_, i) => new TestSession(line, i, clientOf(server.user)))
    const random = seededRandom(7)
    await Promise.all(
      sessions.map(async (s) => {
        for (let round = 0; round < 40; round++) {
          const n = Math.floor(random() * 12)
          const name = `w${n}`
          const statement = { name, parse: parse(name, `SELECT ${n} + $1::int`) }
          const payload = Buffer.concat([bind({ statement: name, params: ['100'] }), execute(), SYNC])
          expect((await s.exec({ payload, needs: [statement], swallow: 2 })).rows).toEqual([
            [String(n + 100)],
          ])
        }
      }),
    )
    const counts = await Promise.all(
      sessions
        .slice(0, 3)
        .map((s) => s.value('SELECT count(*) FROM pg_prepared_statements', { begin: ['BEGIN'] })),
    )
    for (const count of counts) expect(Number(count)).toBeLessThanOrEqual(5)
    await few.stop()
  })

  /** A database of its own on the same server: another agent may serve it. */
  async function fresh(): Promise<{ url: string; socketDir: string }> {
    const name = `db${++ids}`
    await query(server.url, `CREATE DATABASE ${name}`)
    return { url: server.url.replace(/\/[^/]*$/, `/${name}`), socketDir: server.socketDir }
  }

  const kill = (where: string) =>
    query(server.url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${where}`)

  test('pool: a backend killed while a statement runs: Postgres’ reason, sent', async () => {
    const s = open()
    const reply = s.query(`SELECT pg_sleep(30) /* victim */`)
    await expect
      .poll(() => kill(`query LIKE '%/* victim */%' AND state = 'active' AND pid <> pg_backend_pid()`))
      .toHaveLength(1)
    const { error, sent, ready } = await reply
    expect([error?.code, error?.message, sent, ready]).toEqual([
      '57P01',
      'terminating connection due to administrator command',
      true,
      '',
    ])
    expect(await s.value('SELECT 1')).toBe('1')
  })

  test('pool: a backend killed inside a transaction: the next statement hears of it, then all is well', async () => {
    const s = open()
    const pid = await s.value('SELECT pg_backend_pid()', { begin: ['BEGIN'] })
    await kill(`pid = ${pid}`)
    await expect.poll(() => s.session.holdsBackend).toBe(false)
    const reply = await s.query('INSERT INTO counters VALUES (-1, 0)', { access: 'write' })
    expect([reply.error?.code, reply.sent]).toEqual(['57P01', false])
    expect(await s.value('SELECT count(*) FROM counters WHERE id < 0')).toBe('0')
  })

  test('pool: idle backends killed: nobody notices', async () => {
    await open().value('SELECT 1')
    await kill(`pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 1)`)
    for (let i = 0; i < 5; i++) {
      const reply = await open().query('SELECT 1')
      // A statement may meet a backend whose end has not been noticed yet; that is told as what it is.
      if (reply.error !== undefined) expect(reply.error.code).toBe('57P01')
    }
    await expect.poll(async () => (await open().query('SELECT 1')).error).toBeUndefined()
  })

  test('pool: a backend killed in the middle of a COPY: failed, and data sent on goes nowhere', async () => {
    const s = open()
    const copy = s.query('COPY counters FROM STDIN', { access: 'write' })
    s.session.copyData(copyData('1001\t0\n'))
    await expect.poll(() => kill(`query LIKE 'COPY counters%' AND state = 'active'`)).toHaveLength(1)
    const reply = await copy
    expect([reply.error?.code, reply.sent]).toEqual(['57P01', true])
    expect(s.session.copyData(copyData('1002\t0\n'))).toBe(true)
    expect(await s.value('SELECT count(*) FROM counters WHERE id > 1000')).toBe('0')
  })

  test('pool: quota: the client connections, divided by the coordinators', async () => {
    const quotas: number[] = []
    const events: LinkEvents = {
      mapVersion() {},
      quota: (_shard, max) => quotas.push(max),
      up() {},
      down() {},
    }
    link.subscribe(events)
    const second = agent.connect('c2')
    await second.close()
    expect(quotas).toEqual([CLIENTS - 2, Math.floor((CLIENTS - 2) / 2), CLIENTS - 2])
  })

  test('pool: Postgres goes and comes back: errors at once meanwhile, then work as before', async () => {
    const happened: string[] = []
    link.subscribe({
      mapVersion() {},
      quota() {},
      up: () => happened.push('up'),
      down: () => happened.push('down'),
    })
    const busy = open()
    const running = busy.query('SELECT pg_sleep(60)')
    await expect.poll(() => agent.status().busy).toBe(1)
    await server.crash()
    const reply = await running
    expect([reply.error?.code.slice(0, 2), reply.sent]).toEqual(['57', true])
    await expect.poll(() => happened.at(-1)).toBe('down')
    const refused = await open().query('SELECT 1')
    expect([refused.error?.code, refused.sent]).toEqual(['08006', false])
    expect(agent.status().up).toBe(false)
    await server.restart()
    await expect.poll(() => happened.at(-1), { timeout: 20_000 }).toBe('up')
    expect(await busy.value('SELECT 1')).toBe('1')
    expect(await connections()).toBeLessThanOrEqual(SIZE)
  })
})
