import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { AgentLink } from '../../protocol/agent-link.ts'
import { INTERNAL_RESERVED, OWNER_CONNECTIONS } from '../../shard-agent/config.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { MemoryLogStore, MemoryTxnLog } from '../../txn/log/memory-txn-log.ts'
import { clientOf, settingsOf, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { hasPostgres15, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const POOL_SIZE = 6
/** Less what is kept back for the agent's own work. */
const CLIENTS_MAX = POOL_SIZE - INTERNAL_RESERVED - OWNER_CONNECTIONS

const versions = hasPostgres15 ? ([18, 15] as const) : ([18] as const)

describe.each(versions)('agent two-phase commit on Postgres %i', (version) => {
  const store = new MemoryLogStore()
  const log = new MemoryTxnLog(store, 'c1')
  let server: TestPostgres
  let agent: Agent
  let link: AgentLink
  let ids = 0
  const open = (user = server.user): TestSession => new TestSession(link, ++ids, clientOf(user))
  const gidOf = (): string => `weft:test:${log.incarnation()}-${(++ids).toString(36)}:0`
  const prepared = () => query<{ gid: string }>(server.url, 'SELECT gid FROM pg_prepared_xacts')
  const insert = (s: TestSession, a: number) =>
    s.query(`INSERT INTO kept VALUES (${a})`, { begin: ['BEGIN'], access: 'write' })
  const has = (a: number) => open().value(`SELECT count(*) FROM kept WHERE a = ${a}`)

  /** Of a standby that never comes. The checkpointer tells all others: it has when a commit waits. */
  async function demandStandby(): Promise<void> {
    await query(server.url, `ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
    await query(server.url, 'SELECT pg_reload_conf()')
    const commit = `SELECT pg_logical_emit_message(true, 'weft', 'is a standby asked for?')`
    const waiting = `SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'`
    await expect
      .poll(async () => {
        let isOver = false
        const committed = query(server.url, `SET synchronous_commit = on; ${commit}`).then(() => {
          isOver = true
        })
        for (;;) {
          if (isOver) return false
          const [row] = await query<{ pid: number }>(server.url, waiting)
          if (row === undefined) continue
          await query(server.url, `SELECT pg_cancel_backend(${row.pid})`)
          await committed
          return true
        }
      })
      .toBe(true)
  }

  async function demandNoStandby(): Promise<void> {
    await query(server.url, 'ALTER SYSTEM RESET synchronous_standby_names')
    await query(server.url, 'SELECT pg_reload_conf()')
  }

  beforeAll(async () => {
    server = await startPostgres({ version })
    await query(server.url, 'CREATE TABLE kept (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)')
    await query(server.url, 'CREATE ROLE teller LOGIN')
    await query(server.url, 'CREATE ROLE boss; GRANT boss TO teller; GRANT ALL ON kept TO PUBLIC')
    agent = await startTestAgent(server, {
      pool: { size: POOL_SIZE },
      txnLog: new MemoryTxnLog(store, 'agent'),
    })
    link = agent.connect('c1')
  })
  afterEach(async () => {
    await expect.poll(() => agent.status()).toMatchObject({ busy: 0, waiting: 0 })
    expect(await prepared()).toEqual([])
  })
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  test('prepare, commit prepared: there, and the backend is free', async () => {
    const s = open()
    await insert(s, 1)
    const gid = gidOf()
    const first = await s.session.prepare(gid)
    expect(first.prepareTs > 0n).toBe(true)
    expect(s.session.holdsBackend).toBe(false)
    expect(agent.status().prepared).toBe(1)
    expect(await has(1)).toBe('0')
    await s.session.commitPrepared(gid, first.prepareTs)
    expect(s.session.holdsBackend).toBe(false)
    expect(agent.status().prepared).toBe(0)
    expect(await has(1)).toBe('1')
    await s.session.commitPrepared(gid, first.prepareTs)
    await expect(open().session.commitPrepared(gidOf(), 1n)).rejects.toMatchObject({ code: '42704' })
  })

  test('prepare, rollback prepared: not there', async () => {
    const s = open('teller')
    await insert(s, 2)
    const gid = gidOf()
    await s.session.prepare(gid)
    await s.session.rollbackPrepared(gid)
    expect(await has(2)).toBe('0')
    await expect(s.session.rollbackPrepared(gid)).rejects.toMatchObject({ code: '42704' })
  })

  test('prepare: a deferred constraint fails: its error, nothing prepared, the session goes on', async () => {
    const s = open()
    await insert(s, 3)
    await s.query('INSERT INTO kept VALUES (3)', { access: 'write' })
    await expect(s.session.prepare(gidOf())).rejects.toMatchObject({ code: '23505' })
    expect(s.session.holdsBackend).toBe(false)
    expect(await has(3)).toBe('0')
  })

  test('prepare: cancelled before it is sent: an error, nothing prepared, the session goes on', async () => {
    const s = open()
    await insert(s, 30)
    const prepare = s.session.prepare(gidOf())
    s.session.cancel()
    await expect(prepare).rejects.toMatchObject({ code: '57014' })
    expect(s.session.holdsBackend).toBe(false)
    expect(await has(30)).toBe('0')
    await insert(s, 31)
    const gid = gidOf()
    const { prepareTs } = await s.session.prepare(gid)
    await s.session.commitPrepared(gid, prepareTs)
    expect(await has(31)).toBe('1')
  })

  test('prepare: the transaction had failed: refused, rolled back', async () => {
    const s = open()
    await insert(s, 4)
    await s.query('SELECT 1/0')
    await expect(s.session.prepare(gidOf())).rejects.toMatchObject({ code: '40001' })
    expect(s.session.holdsBackend).toBe(false)
    expect(await has(4)).toBe('0')
  })

  test('prepare: what happens in it is told: notices and settings', async () => {
    const s = open()
    await s.query(
      `CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'told late'; RETURN NULL; END$$;
       CREATE TABLE telling (a int);
       CREATE CONSTRAINT TRIGGER t AFTER INSERT ON telling DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION tell()`,
      { access: 'write' },
    )
    await s.query('INSERT INTO telling VALUES (1)', { begin: ['BEGIN'], access: 'write' })
    const gid = gidOf()
    await s.session.prepare(gid)
    expect(Buffer.concat(s.asyncs).toString()).toContain('told late')
    await s.session.rollbackPrepared(gid)
  })

  test('prepared: its backend serves others, and the decision is carried out by any of them', async () => {
    const sessions = Array.from({ length: CLIENTS_MAX + 2 }, () => open())
    const gids: string[] = []
    let last = 0n
    for (const [i, s] of sessions.entries()) {
      await insert(s, 100 + i)
      gids.push(gidOf())
      last = (await s.session.prepare(gids[i]!)).prepareTs
    }
    expect(await prepared()).toHaveLength(sessions.length)
    await Promise.all(sessions.map((s, i) => s.session.commitPrepared(gids[i]!, last)))
    expect(await open().value('SELECT count(*) FROM kept WHERE a >= 100')).toBe(String(sessions.length))
  })

  test('commit prepared: every backend waits for a lock of it: done all the same, and they go on', async () => {
    const s = open()
    await query(server.url, 'CREATE TABLE wanted (a int); INSERT INTO wanted VALUES (0)')
    const update = 'UPDATE wanted SET a = a + 1'
    await s.query(update, { begin: ['BEGIN'], access: 'write' })
    const gid = gidOf()
    const { prepareTs } = await s.session.prepare(gid)
    const others = Array.from({ length: CLIENTS_MAX }, () => open().query(update, { access: 'write' }))
    const waiting = `SELECT FROM pg_stat_activity WHERE query = '${update}' AND wait_event_type = 'Lock'`
    await expect.poll(() => query(server.url, waiting)).toHaveLength(CLIENTS_MAX)
    await s.session.commitPrepared(gid, prepareTs)
    await Promise.all(others)
    expect(await open().value('SELECT a FROM wanted')).toBe(String(CLIENTS_MAX + 1))
  })

  test('commit prepared: goes before the statements that wait for a backend', async () => {
    const s = open()
    await insert(s, 40)
    const gid = gidOf()
    const { prepareTs } = await s.session.prepare(gid)
    const busy = Array.from({ length: CLIENTS_MAX }, () => open())
    for (const b of busy) await b.query('SELECT 1', { begin: ['BEGIN'] })
    const ended: string[] = []
    const queued = open()
      .query('SELECT 1')
      .then(() => ended.push('statement'))
    await expect.poll(() => agent.status()).toMatchObject({ waiting: 1 })
    // However slow the machine is, it has not lost patience and gone to a connection that is no client's.
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    const decided = s.session.commitPrepared(gid, prepareTs).then(() => ended.push('decision'))
    await busy[0]!.query('ROLLBACK')
    await Promise.all([queued, decided])
    vi.useRealTimers()
    expect(ended).toEqual(['decision', 'statement'])
    for (const b of busy.slice(1)) await b.query('ROLLBACK')
  })

  test('commit prepared: under the settings of its session, whatever those of the backend', async () => {
    const [local, waits] = ['local', 'on'].map((how) => settingsOf(`SET synchronous_commit = ${how}`))
    const s = open()
    await s.query('INSERT INTO kept VALUES (41)', { begin: ['BEGIN'], access: 'write', settings: local! })
    const gid = gidOf()
    const { prepareTs } = await s.session.prepare(gid)
    const taken = Array.from({ length: CLIENTS_MAX }, () => open())
    await Promise.all(taken.map((t) => t.query('SELECT 1', { begin: ['BEGIN'], settings: waits! })))
    await demandStandby()
    await expect.poll(() => taken[0]!.value('SHOW synchronous_standby_names')).toBe('nobody')
    // Only this one is free: with its own settings it would wait for a standby for ever.
    await taken[0]!.query('ROLLBACK', { settings: waits! })
    await s.session.commitPrepared(gid, prepareTs)
    await demandNoStandby()
    for (const t of taken.slice(1)) await t.query('ROLLBACK', { settings: waits! })
    expect(await has(41)).toBe('1')
  })

  test('a pinned session keeps its backend through PREPARE', async () => {
    const s = open()
    await s.query('CREATE TEMP TABLE mine (a int)', { pin: true, access: 'write' })
    await insert(s, 42)
    const gid = gidOf()
    const { prepareTs } = await s.session.prepare(gid)
    expect(s.session.holdsBackend).toBe(true)
    await s.session.commitPrepared(gid, prepareTs)
    expect(await s.value('SELECT count(*) FROM mine')).toBe('0')
    await s.session.reset()
  })

  test('commit prepared: the backend that prepared is gone: done on another connection', async () => {
    const s = open('teller')
    const pid = await s.value('SELECT pg_backend_pid()', { begin: ['BEGIN'] })
    await s.query('INSERT INTO kept VALUES (5)', { access: 'write' })
    const gid = gidOf()
    const { prepareTs } = await s.session.prepare(gid)
    const { idle } = agent.status()
    await query(server.url, `SELECT pg_terminate_backend(${pid})`)
    await expect.poll(() => agent.status().idle).toBe(idle - 1)
    await s.session.commitPrepared(gid, prepareTs)
    expect(await has(5)).toBe('1')
    expect(await s.value('SELECT 1')).toBe('1')
  })

  test('commit prepared: prepared under SET LOCAL ROLE: done all the same', async () => {
    const s = open('teller')
    await s.query('INSERT INTO kept VALUES (6)', { begin: ['BEGIN', 'SET LOCAL ROLE boss'], access: 'write' })
    const gid = gidOf()
    const { prepareTs } = await s.session.prepare(gid)
    await s.session.commitPrepared(gid, prepareTs)
    expect(await has(6)).toBe('1')
  })

  test('prepare: the backend dies: unknown', async () => {
    const s = open()
    const pid = await s.value('SELECT pg_backend_pid()', { begin: ['BEGIN'] })
    await query(server.url, `SELECT pg_terminate_backend(${pid})`)
    await expect(s.session.prepare(gidOf())).rejects.toMatchObject({ code: '57P01' })
  })

  test('prepare: a synchronous standby does not confirm: refused, and nothing stays prepared', async () => {
    await demandStandby()
    const s = open('teller')
    const begin = ['BEGIN', 'SET LOCAL synchronous_commit = on']
    await expect.poll(() => s.value('SHOW synchronous_standby_names')).toBe('nobody')
    await s.query('INSERT INTO kept VALUES (10)', { begin, access: 'write' })
    const gid = gidOf()
    const vote = s.session.prepare(gid)
    await expect
      .poll(() => query(server.url, `SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`))
      .toHaveLength(1)
    s.session.cancel()
    await expect(vote).rejects.toMatchObject({
      code: '40001',
      message: 'shard 0 could not prepare the transaction: a synchronous standby did not confirm it',
    })
    await demandNoStandby()
    expect(await s.value('SHOW synchronous_commit')).toBe('off')
    expect(await has(10)).toBe('0')
  })

  test('prepare: a gid that needs quoting: prepared under exactly that', async () => {
    const s = open()
    await insert(s, 7)
    const gid = `odd ' \\ "name"`
    await s.session.prepare(gid)
    expect(await prepared()).toEqual([{ gid }])
    await s.session.rollbackPrepared(gid)
  })

  test('recovery: the coordinator’s link is lost: decided by the log', async () => {
    const [committed, undecided] = [open(), open()]
    await insert(committed, 8)
    await insert(undecided, 9)
    const [yes, no] = [gidOf(), gidOf()]
    const { prepareTs } = await committed.session.prepare(yes)
    await undecided.session.prepare(no)
    const record = {
      version: 1,
      decision: 'commit',
      commitTs: prepareTs,
      participants: [0],
      writer: 'w',
    } as const
    await log.create({ ...record, txnId: yes.split(':')[2]! })
    await link.close()
    link = agent.connect('c2')
    await expect.poll(prepared).toEqual([])
    expect([await has(8), await has(9)]).toEqual(['1', '0'])
    await expect.poll(() => agent.status().prepared).toBe(0)
  })
})
