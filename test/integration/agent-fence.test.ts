import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AgentLink } from '../../protocol/agent-link.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { clientOf, extended, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

describe('agent fence', () => {
  let server: TestPostgres
  let agent: Agent
  let link: AgentLink
  let ids = 0
  let version = 0
  let token = ''
  const heard: number[] = []

  const open = (): TestSession => new TestSession(link, ++ids, clientOf(server.user))
  const fence = (fencer?: { id: number }, timeoutMs = 5_000) =>
    link.control({
      kind: 'fence',
      token,
      version: version + 1,
      sessions: fencer === undefined ? [] : [fencer.id],
      timeoutMs,
    })
  const unfence = (committed: boolean) => link.control({ kind: 'unfence', token, committed })
  const openFencer = () => {
    const s = open()
    return { s, id: ids }
  }
  const running = (text: string) =>
    expect
      .poll(async () => {
        const rows = await query(
          server.url,
          `SELECT FROM pg_stat_activity WHERE query LIKE '%${text}%' AND state = 'active' AND pid <> pg_backend_pid()`,
        )
        return rows.length
      })
      .toBe(1)

  beforeAll(async () => {
    server = await startPostgres()
    await query(server.url, 'CREATE TABLE moved (a int)')
    agent = await startTestAgent(server, { pool: { size: 8 } })
    link = agent.connect('c1')
    link.subscribe({ mapVersion: (_, v) => heard.push(v), quota() {}, up() {}, down() {} })
  })
  beforeEach(() => {
    version = agent.status().mapVersion
    token = `t${++ids}`
  })
  afterEach(async () => {
    await expect.poll(() => agent.status()).toMatchObject({ busy: 0, waiting: 0 })
  })
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  test('map version: newer than the agent’s: adopted; older: refused as stale, not sent', async () => {
    const s = open()
    expect(await s.value('SELECT 1', { mapVersion: 3 })).toBe('1')
    expect(agent.status().mapVersion).toBe(3)
    expect(heard).toEqual([0, 3])
    const stale = await s.query('SELECT 1', { mapVersion: 2 })
    expect([stale.error?.code, stale.error?.fields.detail, stale.sent]).toEqual([
      '40001',
      'planned on map version 2, the shard is at 3',
      false,
    ])
  })

  test('map version: the end of a transaction begun on an older one: let through', async () => {
    const [a, b] = [open(), open()]
    await a.query('INSERT INTO moved VALUES (1)', { mapVersion: version, begin: ['BEGIN'], access: 'write' })
    await b.query('INSERT INTO moved VALUES (2)', { mapVersion: version, begin: ['BEGIN'], access: 'write' })
    await open().value('SELECT 1', { mapVersion: version + 1 })
    expect((await a.query('SELECT 1', { mapVersion: version })).error?.code).toBe('40001')
    expect((await a.query('ROLLBACK', { mapVersion: version })).ready).toBe('I')
    expect((await b.query('COMMIT', { mapVersion: version, access: 'commit' })).ready).toBe('I')
  })

  test('fence: nothing runs: newcomers are held, and refused as stale once it is committed', async () => {
    await fence()
    const held = open().query('SELECT 1', { mapVersion: version })
    expect(await open().value('SELECT 2', { mapVersion: version + 1 })).toBe('2')
    await unfence(true)
    expect((await held).error?.code).toBe('40001')
    expect(agent.status().mapVersion).toBe(version + 1)
    const [row] = await query<{ map_version: string }>(server.url, 'SELECT map_version FROM weft.agent')
    expect(Number(row!.map_version)).toBe(version + 1)
  })

  test('fence: given up: those held run', async () => {
    await fence()
    const held = open().value('SELECT 5', { mapVersion: version })
    await unfence(false)
    expect(await held).toBe('5')
    expect(agent.status().mapVersion).toBe(version)
  })

  test('fence: an older statement runs: waited for', async () => {
    const s = open()
    const blocker = open()
    await blocker.query('SELECT pg_advisory_xact_lock(42)', { mapVersion: version, begin: ['BEGIN'] })
    const slow = s.value('SELECT pg_advisory_xact_lock(42)', { mapVersion: version })
    await running('pg_advisory_xact_lock(42)')
    let done = false
    const fenced = fence().then(() => {
      done = true
    })
    await blocker.query('COMMIT', { mapVersion: version, access: 'commit' })
    await slow
    await fenced
    expect(done).toBe(true)
    await unfence(false)
  })

  test.each(['simple', 'extended'])(
    'fence: an older %s statement waits for the transaction that changes the map: cancelled as stale, unseen',
    async (protocol) => {
      const { s: changer, id } = openFencer()
      await changer.query('ALTER TABLE moved ADD IF NOT EXISTS b int', {
        mapVersion: version,
        begin: ['BEGIN'],
        access: 'write',
      })
      const s = open()
      const blocked =
        protocol === 'simple'
          ? s.query('INSERT INTO moved VALUES (8) /* waits */', { mapVersion: version, access: 'write' })
          : s.exec({
              payload: extended('INSERT INTO moved VALUES (8) /* waits */'),
              mapVersion: version,
              access: 'write',
            })
      const inTransaction = open()
      const doomed = inTransaction.query('INSERT INTO moved VALUES (9)', {
        mapVersion: version,
        begin: ['BEGIN'],
        access: 'write',
      })
      await running('waits')
      await running('VALUES (9)')
      await fence({ id })
      const reply = await blocked
      expect([reply.error?.code, reply.sent, reply.bytes.length]).toEqual(['40001', false, 0])
      const failed = await doomed
      expect([failed.error?.code, failed.ready]).toEqual(['40001', 'E'])
      await inTransaction.query('ROLLBACK', { mapVersion: version })
      expect((await changer.query('COMMIT', { mapVersion: version, access: 'commit' })).ready).toBe('I')
      await unfence(true)
      expect(await s.value('SELECT count(*) FROM moved WHERE a > 7', { mapVersion: version + 1 })).toBe('0')
    },
  )

  test('fence: the coordinator never ends it: it ends by itself', async () => {
    await fence(undefined, 100)
    expect(await open().value('SELECT 6', { mapVersion: version })).toBe('6')
  })

  test('fence: an older statement does not end in time: an error, and nothing is held', async () => {
    const s = open()
    const slow = s.query('SELECT pg_sleep(20) /* slow */', { mapVersion: version })
    await running('slow')
    await expect(fence(undefined, 100)).rejects.toMatchObject({ code: '55P03' })
    expect(await open().value('SELECT 7', { mapVersion: version })).toBe('7')
    s.session.cancel()
    expect((await slow).error?.code).toBe('57014')
  })

  test('fence: an older statement outlasts the hold: newcomers go on, and a drain waits for it while they do', async () => {
    const [s, blocker] = [open(), open()]
    await blocker.query('SELECT pg_advisory_xact_lock(43)', { mapVersion: version, begin: ['BEGIN'] })
    const slow = s.query('SELECT pg_advisory_xact_lock(43)', { mapVersion: version, begin: ['BEGIN'] })
    await running('pg_advisory_xact_lock(43)')
    const held = {
      kind: 'fence',
      token,
      version: version + 1,
      sessions: [],
      timeoutMs: 5_000,
      holdMs: 20,
    } as const
    await expect(link.control(held)).rejects.toMatchObject({ code: '55P03' })
    let isDrained = false
    const drained = link
      .control({ kind: 'drain', version: version + 1, sessions: [], timeoutMs: 60_000 })
      .then(() => {
        isDrained = true
      })
    expect(await open().value('SELECT 8', { mapVersion: version })).toBe('8')
    expect(isDrained).toBe(false)
    await blocker.query('COMMIT', { mapVersion: version, access: 'commit' })
    expect((await slow).ready).toBe('T')
    await drained
    await s.query('ROLLBACK', { mapVersion: version })
  })

  test('drain: a statement by itself that waits for anybody: makes way, unseen', async () => {
    const [s, blocker] = [open(), open()]
    await blocker.query('SELECT pg_advisory_xact_lock(44)', { mapVersion: version, begin: ['BEGIN'] })
    const waits = s.query('SELECT pg_advisory_xact_lock(44)', { mapVersion: version })
    await running('pg_advisory_xact_lock(44)')
    await link.control({ kind: 'drain', version: version + 1, sessions: [], timeoutMs: 60_000 })
    const reply = await waits
    expect([reply.error?.code, reply.sent]).toEqual(['40001', false])
    await blocker.query('COMMIT', { mapVersion: version, access: 'commit' })
  })

  test('fence: a session that waits for a backend: judged again when it gets one', async () => {
    const holders = Array.from({ length: 5 }, () => open())
    await Promise.all(holders.map((h) => h.query('SELECT 1', { mapVersion: version, begin: ['BEGIN'] })))
    const waiting = open().query('SELECT 1', { mapVersion: version })
    await expect.poll(() => agent.status().waiting).toBe(1)
    await fence()
    await unfence(true)
    await Promise.all(holders.map((h) => h.session.reset()))
    expect((await waiting).error?.code).toBe('40001')
  })

  test('fence: held and cancelled: 57014', async () => {
    await fence()
    const s = open()
    const held = s.query('SELECT 1', { mapVersion: version })
    s.session.cancel()
    expect((await held).error?.code).toBe('57014')
    await unfence(false)
  })
})
