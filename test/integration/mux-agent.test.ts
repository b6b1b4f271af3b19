import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { MuxLink } from '../../coordinator/links/mux-link.ts'
import type { AgentStatus } from '../../protocol/agent-link.ts'
import { bind, execute, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { MemoryLogStore, MemoryTxnLog } from '../../txn/log/memory-txn-log.ts'
import { clientOf, extended, settingsOf, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { COPY_DONE, copyData } from '../helpers/copy-messages.ts'
import { isUp, LinkRecorder, MuxWorld, testClock } from '../helpers/mux.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const MEGABYTE = 1024 * 1024
/** What may still arrive after a pause: kernel buffers, and what both ends had in hand. */
const OVERSHOOT_BYTES_MAX = 16 * MEGABYTE
const BIG = `SELECT repeat('x', 1000) FROM generate_series(1, 50000)`
const BIG_BYTES = 50_000 * 1_000

describe('a real agent over TCP', () => {
  const store = new MemoryLogStore()
  const log = new MemoryTxnLog(store, 'c1')
  const agentClock = testClock()
  let server: TestPostgres
  let agent: Agent
  let world: MuxWorld
  let link: MuxLink
  let ids = 0
  const open = (on = link): TestSession => new TestSession(on, ++ids, clientOf(server.user))
  const gidOf = (): string => `weft:test:${log.incarnation()}-${(++ids).toString(36)}:0`
  const prepared = () => query<{ gid: string }>(server.url, 'SELECT gid FROM pg_prepared_xacts')
  const activity = (where: string) => query(server.url, `SELECT pid FROM pg_stat_activity WHERE ${where}`)

  beforeAll(async () => {
    server = await startPostgres()
    await query(server.url, 'CREATE TABLE kept (a int UNIQUE DEFERRABLE INITIALLY DEFERRED)')
    await query(server.url, 'CREATE UNLOGGED TABLE big (t text)')
    const txnLog = new MemoryTxnLog(store, 'agent')
    agent = await startTestAgent(server, { pool: { size: 12 }, txnLog, clock: agentClock })
    world = await MuxWorld.start({
      connect: (id) => agent.connect(id),
      clock: agentClock,
      payloadBytesMax: 10 * MEGABYTE,
    })
  })
  beforeEach(async () => {
    link = await world.linkUp()
  })
  afterEach(async () => {
    await link.close()
    await expect.poll(() => agent.status(), { timeout: 10_000 }).toMatchObject({ busy: 0, waiting: 0 })
    await expect.poll(prepared, { timeout: 10_000 }).toEqual([])
  })
  afterAll(async () => {
    await world?.stop()
    await agent?.stop()
    await server?.stop()
  })

  test('point queries: both protocols, settings, prepared statements that the backend lacks', async () => {
    const s = open()
    expect(await s.value('SELECT 41 + 1')).toBe('42')
    expect((await s.exec({ payload: extended('SELECT $1::int + 1', ['41']) })).rows).toEqual([['42']])
    const settings = settingsOf("SET TimeZone = 'Asia/Tokyo'")
    expect(await s.value('SHOW TimeZone', { settings })).toBe('Asia/Tokyo')
    const statement = { name: 'w_plus', parse: parse('w_plus', 'SELECT $1::int + 2') }
    for (const session of [s, open(), open()]) {
      const payload = Buffer.concat([bind({ statement: 'w_plus', params: ['40'] }), execute(), SYNC])
      const reply = await session.exec({ payload, needs: [statement] })
      expect([reply.error, reply.rows, reply.types]).toEqual([undefined, [['42']], '2DCZ'])
    }
  })

  test('errors: of Postgres as bytes, of the agent as an error with its fields', async () => {
    const s = open()
    const reply = await s.query('SELECT 1/0')
    expect([reply.error?.code, reply.ready]).toEqual(['22012', 'I'])
    await link.control({ kind: 'fence', token: 'e', version: 1, sessions: [], timeoutMs: 1_000 })
    await link.control({ kind: 'unfence', token: 'e', committed: true })
    const stale = await s.query('SELECT 1', { mapVersion: 0 })
    expect(stale).toMatchObject({ sent: false, error: { code: '40001' } })
    expect(stale.error?.fields.detail).toBe('planned on map version 0, the shard is at 1')
    // From now on statements of these tests are planned on what the agent knows.
    versionNow = 1
  })
  let versionNow = 1
  const now = () => ({ mapVersion: versionNow })

  test('a transaction: the session holds its backend from begin to commit', async () => {
    const s = open()
    const other = open()
    const inside = { ...now(), access: 'write' as const }
    await s.query('INSERT INTO kept VALUES (1)', { ...inside, begin: ['BEGIN', 'SAVEPOINT a'] })
    expect(s.session.holdsBackend).toBe(true)
    expect(await other.value('SELECT count(*) FROM kept WHERE a = 1', now())).toBe('0')
    expect((await s.query('ROLLBACK TO a', now())).ready).toBe('T')
    expect((await s.query('nonsense', now())).ready).toBe('E')
    expect((await s.query('ROLLBACK', { ...now(), access: 'commit' })).ready).toBe('I')
    expect(s.session.holdsBackend).toBe(false)
    await s.query('INSERT INTO kept VALUES (1)', { ...inside, begin: ['BEGIN'] })
    expect((await s.query('COMMIT', { ...now(), access: 'commit' })).ready).toBe('I')
    expect(await other.value('SELECT count(*) FROM kept WHERE a = 1', now())).toBe('1')
  })

  test('two-phase commit: prepared above all that went before, committed, rolled back', async () => {
    const s = open()
    const write = { ...now(), begin: ['BEGIN'], access: 'write' as const }
    await s.query('INSERT INTO kept VALUES (2)', write)
    const gid = gidOf()
    const { prepareTs } = await s.session.prepare(gid)
    expect([s.session.holdsBackend, await prepared()]).toEqual([false, [{ gid }]])
    expect(agentClock.now() > prepareTs).toBe(true)
    await s.session.commitPrepared(gid, prepareTs)
    expect([s.session.holdsBackend, await prepared()]).toEqual([false, []])
    await s.query('INSERT INTO kept VALUES (3)', write)
    const second = gidOf()
    await s.session.prepare(second)
    await s.session.rollbackPrepared(second)
    await s.query('INSERT INTO kept VALUES (2)', write)
    await expect(s.session.prepare(gidOf())).rejects.toMatchObject({
      code: '23505',
      fields: {
        table: 'kept',
        constraint: 'kept_a_key',
        routine: expect.any(String),
        file: expect.any(String),
      },
    })
    expect(s.session.holdsBackend).toBe(false)
    const rows = await query(server.url, 'SELECT a FROM kept WHERE a IN (2, 3)')
    expect(rows).toEqual([{ a: 2 }])
  })

  test('cancel: hits what runs; what comes next is not hit', async () => {
    const s = open()
    const sleeping = s.query('SELECT pg_sleep(60)', now())
    await expect.poll(() => activity(`query LIKE 'SELECT pg_sleep%' AND state = 'active'`)).toHaveLength(1)
    s.session.cancel()
    expect((await sleeping).error?.code).toBe('57014')
    expect(await s.value('SELECT 1', now())).toBe('1')
  })

  test('COPY in: 50 MB: the sender is slowed down, all arrives', async () => {
    const s = open()
    const copy = s.query('COPY big FROM STDIN', { ...now(), access: 'write' })
    const line = copyData(`${'x'.repeat(1023)}\n`)
    const chunk = Buffer.concat(Array.from({ length: 100 }, () => line))
    let waits = 0
    for (let n = 0; n < 500; n++) {
      const cut = 1 + n
      for (const part of [chunk.subarray(0, cut), chunk.subarray(cut)]) {
        if (s.session.copyData(part)) continue
        waits++
        await new Promise<void>((resolve) => (s.onDrained = resolve))
      }
    }
    s.session.copyData(COPY_DONE)
    expect([(await copy).error, waits > 50]).toEqual([undefined, true])
    expect(await s.value('SELECT count(*) FROM big', now())).toBe('50000')
  })

  test('COPY in: an error in the middle: told, the rest is dropped, the session goes on', async () => {
    const s = open()
    const copy = s.query('COPY kept FROM STDIN', { ...now(), access: 'write' })
    s.session.copyData(copyData('no number\n'))
    for (let n = 0; n < 200; n++) s.session.copyData(copyData(`${n}\n`))
    s.session.copyData(COPY_DONE)
    expect((await copy).error?.code).toBe('22P02')
    s.session.copyData(COPY_DONE)
    expect(await s.value('SELECT 1', now())).toBe('1')
  })

  test('COPY out: 50 MB, whole', async () => {
    const s = open()
    await query(server.url, 'TRUNCATE big')
    await query(server.url, `INSERT INTO big ${BIG}`)
    let bytes = 0
    s.onChunk = (part) => (bytes += part.length)
    expect((await s.query('COPY big TO STDOUT', now())).ready).toBe('I')
    expect(bytes).toBeGreaterThan(BIG_BYTES)
  })

  test('pause: 50 MB for a client that does not read: little is taken; other sessions go on; all comes', async () => {
    const s = open()
    let bytes = 0
    s.onChunk = (part) => {
      bytes += part.length
      if (bytes === part.length) s.session.pause()
    }
    const done = s.query(BIG, now())
    await expect.poll(() => activity(`wait_event = 'ClientWrite'`)).toHaveLength(1)
    const other = open()
    for (let n = 0; n < 50; n++) expect(await other.value(`SELECT ${n}`, now())).toBe(`${n}`)
    expect(bytes).toBeLessThan(OVERSHOOT_BYTES_MAX)
    s.session.resume()
    expect((await done).ready).toBe('I')
    expect(bytes).toBeGreaterThan(BIG_BYTES)
  })

  test('a slow network: the backends that produce are not read, what waits is bounded; then all comes', async () => {
    world.proxy.stallDown()
    const sessions = [open(), open(), open()]
    let bytes = 0
    const done = sessions.map((s) => {
      s.onChunk = (part) => (bytes += part.length)
      return s.query(BIG, now())
    })
    await expect.poll(() => activity(`wait_event = 'ClientWrite'`)).toHaveLength(3)
    expect(bytes).toBeLessThan(OVERSHOOT_BYTES_MAX)
    world.proxy.unstallDown()
    expect((await Promise.all(done)).map(({ ready }) => ready)).toEqual(['I', 'I', 'I'])
    expect(bytes).toBeGreaterThan(3 * BIG_BYTES)
    world.proxy.unstallDown()
  })

  test('statements larger than the agent may keep: 53200, the others go on, and it is given back', async () => {
    const [locks, waits, large] = [open(), open(), open()]
    const text = (bytes: number) => `'${'x'.repeat(bytes)}'`
    expect(await large.query(`SELECT ${text(11 * MEGABYTE)}`, now())).toMatchObject({
      sent: false,
      error: { code: '53200' },
    })
    expect(await large.value(`SELECT length(${text(9 * MEGABYTE)})`, now())).toBe(`${9 * MEGABYTE}`)
    expect(world.server.payloadBytes).toBe(0)
    await locks.query('SELECT pg_advisory_lock(29)', { ...now(), begin: ['BEGIN'] })
    const waiting = waits.value(`SELECT length(${text(6 * MEGABYTE)}) FROM pg_advisory_xact_lock(29)`, now())
    await expect.poll(() => activity(`wait_event = 'advisory'`)).toHaveLength(1)
    const refused = await large.query(`SELECT ${text(6 * MEGABYTE)}`, now())
    expect(refused).toMatchObject({ sent: false, error: { code: '53200' } })
    expect(await large.value(`SELECT length(${text(3 * MEGABYTE)})`, now())).toBe(`${3 * MEGABYTE}`)
    await locks.query('SELECT pg_advisory_unlock(29)', now())
    await locks.query('ROLLBACK', { ...now(), access: 'commit' })
    expect(await waiting).toBe(`${6 * MEGABYTE}`)
    expect(world.server.payloadBytes).toBe(0)
  })

  test('statements larger than the agent may keep: given back with a connection that is lost', async () => {
    const locks = open()
    await locks.query('SELECT pg_advisory_lock(29)', { ...now(), begin: ['BEGIN'] })
    const other = await world.linkUp({ coordinatorId: 'c2' })
    const text = 'x'.repeat(6 * MEGABYTE)
    const waiting = open(other).query(`SELECT '${text}' FROM pg_advisory_xact_lock(29)`, now())
    await expect.poll(() => activity(`wait_event = 'advisory'`)).toHaveLength(1)
    expect(world.server.payloadBytes).toBeGreaterThan(6 * MEGABYTE)
    await other.close()
    expect((await waiting).error).toBeDefined()
    await expect.poll(() => world.server.payloadBytes).toBe(0)
    await locks.query('SELECT pg_advisory_unlock(29)', now())
    await locks.query('ROLLBACK', { ...now(), access: 'commit' })
  })

  test('a fence over the link: a session of the transaction itself is exempt', async () => {
    const [ddl, old] = [open(), open()]
    await ddl.query('SELECT 1', { ...now(), begin: ['BEGIN'] })
    const sessions = [ids - 1]
    const version = versionNow + 1
    await link.control({ kind: 'fence', token: 'f', version, sessions, timeoutMs: 5_000 })
    const held = old.query('SELECT 1', now())
    expect((await ddl.query('COMMIT', { ...now(), access: 'commit' })).ready).toBe('I')
    await link.control({ kind: 'unfence', token: 'f', committed: true })
    expect((await held).error?.code).toBe('40001')
    versionNow = version
    const recorder = new LinkRecorder()
    link.subscribe(recorder)
    await expect.poll(() => recorder.events).toContain(`map ${version}`)
    const reply = await link.control({ kind: 'status' })
    expect((reply as { status: AgentStatus }).status).toMatchObject({ up: true, mapVersion: version })
  })

  describe('the link is cut', () => {
    const cut = async (): Promise<void> => {
      const before = link.current
      world.proxy.cut()
      await expect.poll(() => agent.status(), { timeout: 10_000 }).toMatchObject({ busy: 0, waiting: 0 })
      await expect.poll(() => link.current).not.toBe(before)
      await isUp(link)
    }

    test('idle: the next statement works once the link is up', async () => {
      const s = open()
      await s.query('SELECT 1', now())
      await cut()
      expect(await s.value('SELECT 2', now())).toBe('2')
    })

    test('while a statement runs: lost and perhaps run; the backend is cancelled and free', async () => {
      const s = open()
      const done = s.query('SELECT pg_sleep(60)', { ...now(), access: 'write' })
      await expect.poll(() => activity(`query LIKE 'SELECT pg_sleep%' AND state = 'active'`)).toHaveLength(1)
      await cut()
      expect(await done).toMatchObject({ sent: true, error: { code: '57P01' } })
      expect(await activity(`query LIKE 'SELECT pg_sleep%' AND state = 'active'`)).toEqual([])
      expect(await s.value('SELECT 2', now())).toBe('2')
    })

    test('in a transaction: rolled back; the next statement hears of it', async () => {
      const s = open()
      await s.query('INSERT INTO kept VALUES (10)', { ...now(), begin: ['BEGIN'], access: 'write' })
      await cut()
      expect(s.session.holdsBackend).toBe(false)
      expect(await s.query('COMMIT', now())).toMatchObject({ sent: false, error: { code: '57P01' } })
      expect((await s.query('SELECT 1', now())).ready).toBe('I')
      expect(await query(server.url, 'SELECT FROM kept WHERE a = 10')).toEqual([])
    })

    test('while it prepares: unknown to the coordinator, settled as aborted', async () => {
      const [first, second] = [open(), open()]
      for (const s of [first, second]) {
        await s.query('INSERT INTO kept VALUES (11)', { ...now(), begin: ['BEGIN'], access: 'write' })
      }
      await first.session.prepare(gidOf())
      // Its deferred unique check waits for the other's outcome.
      const vote = second.session.prepare(gidOf())
      vote.catch(() => {})
      await expect.poll(() => activity(`wait_event_type = 'Lock'`)).toHaveLength(1)
      world.proxy.cut()
      await expect(vote).rejects.toMatchObject({ code: '57P01' })
      await expect.poll(prepared, { timeout: 10_000 }).toEqual([])
      expect(await query(server.url, 'SELECT FROM kept WHERE a = 11')).toEqual([])
    })

    test('prepared and decided: committed by recovery; the repeated command succeeds', async () => {
      const s = open()
      await s.query('INSERT INTO kept VALUES (12)', { ...now(), begin: ['BEGIN'], access: 'write' })
      const gid = gidOf()
      const { prepareTs } = await s.session.prepare(gid)
      await log.create({
        version: 1,
        decision: 'commit',
        commitTs: prepareTs,
        participants: [0],
        txnId: gid.split(':')[2]!,
        writer: 'w',
      })
      const lost = new Promise<void>((down) =>
        link.subscribe({ mapVersion() {}, quota() {}, up() {}, down: () => down() }),
      )
      world.proxy.cut()
      await lost
      await isUp(link)
      await s.session.commitPrepared(gid, prepareTs)
      await expect.poll(prepared).toEqual([])
      expect(await query(server.url, 'SELECT a FROM kept WHERE a = 12')).toEqual([{ a: 12 }])
      // Its prepare had told all: nothing is lost that a next statement would have to hear of.
      expect(await s.value('SELECT 1', now())).toBe('1')
    })

    test('in COPY in: rolled back, and the sender that waits is woken', async () => {
      const s = open()
      const done = s.query('COPY kept FROM STDIN', { ...now(), access: 'write' })
      await expect
        .poll(() => activity(`wait_event = 'ClientRead' AND query LIKE 'COPY kept%' AND state = 'active'`))
        .toHaveLength(1)
      s.session.copyData(copyData('13\n'))
      world.proxy.stallDown()
      let room = true
      while (room) room = s.session.copyData(copyData('x'.repeat(60_000)))
      let woken = false
      s.onDrained = () => (woken = true)
      await cut()
      expect(await done).toMatchObject({ sent: true, error: { code: '57P01' } })
      expect(woken).toBe(true)
      expect(await query(server.url, 'SELECT FROM kept WHERE a = 13')).toEqual([])
    })

    test('in COPY out, the client slow: the backend is free', async () => {
      const s = open()
      s.onChunk = () => s.session.pause()
      const done = s.query(`COPY (${BIG}) TO STDOUT`, now())
      await expect.poll(() => activity(`wait_event = 'ClientWrite'`)).toHaveLength(1)
      await cut()
      expect((await done).error?.code).toBe('57P01')
      s.session.resume()
      s.onChunk = undefined
      expect(await s.value('SELECT 1', now())).toBe('1')
    })
  })

  test('two coordinators: each has its share and its own sessions; one ends, the other goes on', async () => {
    const first = new LinkRecorder()
    link.subscribe(first)
    const quota = () => Number(first.events.findLast((event) => event.startsWith('quota'))?.slice(6))
    const alone = quota()
    const second = await world.linkUp({ coordinatorId: 'c2' })
    await expect.poll(quota).toBe(Math.floor(alone / 2))
    const [mine, theirs] = [open(), open(second)]
    await mine.query('INSERT INTO kept VALUES (20)', { ...now(), begin: ['BEGIN'], access: 'write' })
    await theirs.query('INSERT INTO kept VALUES (21)', { ...now(), begin: ['BEGIN'], access: 'write' })
    second.current!.destroy('test')
    await second.close()
    await expect.poll(quota).toBe(alone)
    expect((await mine.query('COMMIT', { ...now(), access: 'commit' })).ready).toBe('I')
    expect(await query(server.url, 'SELECT a FROM kept WHERE a IN (20, 21)')).toEqual([{ a: 20 }])
  })

  test('many sessions at once: every reply to its own', async () => {
    const work = Array.from({ length: 100 }, async (_, n) => {
      const s = open()
      for (let i = 0; i < 20; i++)
        expect(await s.value(`SELECT ${n * 1000 + i}`, now())).toBe(`${n * 1000 + i}`)
    })
    await Promise.all(work)
  })
})
