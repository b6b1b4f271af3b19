import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLink, CutAnswer, ExecRequest } from '../../protocol/agent-link.ts'
import { bind, close, execute, parse, SYNC as SYNC_MESSAGE } from '../../protocol/wire/frontend-messages.ts'
import type { Gate } from '../../shard-agent/gate/gate.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { HlcClock, toTimestamp } from '../../txn/hlc.ts'
import { clientOf, extended, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { COPY_DONE, copyData, extendedCopy, SYNC } from '../helpers/copy-messages.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const LEASE_MS = 30_000

describe('agent gate', () => {
  let server: TestPostgres
  let agent: Agent
  let gate: Gate
  let link: AgentLink
  let sessionIds = 0
  let cutIds = 0
  const clock = new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 })
  const open = (): TestSession => new TestSession(link, ++sessionIds, clientOf(server.user))
  const count = async (): Promise<string> =>
    (await query<{ n: string }>(server.url, 'SELECT count(*) AS n FROM gated'))[0]!.n
  const waiting = (n: number) => expect.poll(() => gate.waiting).toBe(n)
  const cut = (ts = clock.now(), sessions: number[] = [], leaseMs = LEASE_MS): Promise<CutAnswer> =>
    link.control({ kind: 'cut', id: ++cutIds, ts: String(ts), leaseMs, sessions }) as Promise<CutAnswer>
  const release = (go = false): Promise<unknown> => link.control({ kind: 'release', id: cutIds, go })
  const hold = async (ts?: bigint): Promise<void> => {
    expect((await cut(ts)).result).toBe('taken')
  }

  beforeAll(async () => {
    server = await startPostgres()
    await query(server.url, 'CREATE TABLE gated (a int)')
    agent = await startTestAgent(server, { clock })
    gate = (agent as unknown as { gate: Gate }).gate
    link = agent.connect('c1')
  })
  afterEach(async () => {
    expect([gate.inFlight, gate.waiting, gate.isOpen]).toEqual([0, 0, true])
    await query(server.url, 'TRUNCATE gated')
  })
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  test('gate: held: a COMMIT waits, reads and the writes before it go on', async () => {
    const s = open()
    await s.query('INSERT INTO gated VALUES (1)', { begin: ['BEGIN'], access: 'write' })
    await hold()
    await s.query('INSERT INTO gated VALUES (2)', { access: 'write' })
    const commit = s.query('COMMIT', { access: 'commit' })
    await waiting(1)
    // A commit is not cancelled while it waits: it may be told to others already.
    s.session.cancel()
    expect(await open().value('SELECT count(*) FROM gated')).toBe('0')
    await release()
    expect((await commit).types).toBe('CZ')
    expect(await count()).toBe('2')
  })

  test('gate: a cut below what a session had seen elsewhere when it committed here: behind', async () => {
    const seen = clock.now() + toTimestamp(50, 0)
    await open().query('INSERT INTO gated VALUES (1)', { access: 'write', seen })
    expect(await cut()).toMatchObject({ result: 'behind', highest: String(seen) })
    await release()
    await hold(seen)
    await release()
  })

  test('gate: a cut that still settles: a COMMIT waits whose session has seen what lies above it', async () => {
    gate.prepared('of another', clock.now())
    const [plain, knowing] = [open(), open()]
    for (const s of [plain, knowing])
      await s.query('INSERT INTO gated VALUES (1)', { begin: ['BEGIN'], access: 'write' })
    const ts = clock.now()
    const taken = cut(ts)
    await expect.poll(() => gate.isOpen).toBe(false)
    expect((await plain.query('COMMIT', { access: 'commit', seen: ts })).types).toBe('CZ')
    const commit = knowing.query('COMMIT', { access: 'commit', seen: ts + 1n })
    await waiting(1)
    gate.concluded('of another')
    expect((await taken).result).toBe('taken')
    expect(await count()).toBe('1')
    await release()
    expect((await commit).types).toBe('CZ')
    expect(await count()).toBe('2')
  })

  test('gate: a listener hears how long a commit was held, and nothing of those that were not', async () => {
    const held: [string, number][] = []
    agent.events.on('commitHeld', ({ kind, heldMs }) => held.push([kind, heldMs]))
    await open().query('INSERT INTO gated VALUES (1)', { access: 'write' })
    expect(held).toEqual([])
    await hold()
    const write = open().exec({ payload: extended('INSERT INTO gated VALUES (2)'), access: 'write' })
    await waiting(1)
    await release()
    await write
    expect(held).toEqual([['local', expect.any(Number)]])
    expect(held[0]![1]).toBeGreaterThan(0)
    agent.events.removeAllListeners('commitHeld')
  })

  test('gate: held: an autocommit write has run and waits with its Sync', async () => {
    await hold()
    const write = open().exec({ payload: extended('INSERT INTO gated VALUES (3)'), access: 'write' })
    await waiting(1)
    expect(await count()).toBe('0')
    await release()
    const reply = await write
    expect([reply.types, reply.ready]).toEqual(['12CZ', 'I'])
    expect(await count()).toBe('1')
  })

  test('gate: held: a simple Query that writes waits too, and is answered as ever', async () => {
    const sqls = [
      ' /* all */ INSERT INTO gated VALUES (1), (2) RETURNING a;',
      '-- one\nUPDATE gated SET a = a + 1',
      'WITH x AS (SELECT 1) DELETE FROM gated WHERE a = 99',
      "INSERT INTO gated SELECT length('$1')",
    ]
    const before = await Promise.all(sqls.map((sql) => open().query(sql)))
    await query(server.url, 'TRUNCATE gated')
    await hold()
    const writes = sqls.map((sql) => open().query(sql, { access: 'write' }))
    await waiting(4)
    expect(await count()).toBe('0')
    await release()
    const after = await Promise.all(writes)
    expect(after.map(({ types, rows }) => [types, rows])).toEqual(
      before.map(({ types, rows }) => [types, rows]),
    )
  })

  test('gate: held: a statement that commits by itself waits before it is sent, and can be cancelled', async () => {
    await hold()
    const s = open()
    const cancelled = s.query('DO $$ BEGIN INSERT INTO gated VALUES (4); END $$', { access: 'write' })
    await waiting(1)
    s.session.cancel()
    expect((await cancelled).error?.code).toBe('57014')
    const sent = s.query('DO $$ BEGIN INSERT INTO gated VALUES (4); END $$', { access: 'write' })
    await waiting(1)
    await release()
    expect((await sent).error).toBeUndefined()
    expect(await count()).toBe('1')
  })

  test('gate: a cut while a statement that commits by itself runs: local commits go on until it has ended', async () => {
    const s = open()
    const slow = s.query('DO $$ BEGIN PERFORM pg_sleep(0.2); END $$', { access: 'write' })
    await expect.poll(() => gate.inFlight).toBe(1)
    const taken = cut()
    const write = await open().query('INSERT INTO gated VALUES (1)', { access: 'write' })
    expect(write.types).toBe('CZ')
    await slow
    expect((await taken).result).toBe('taken')
    await release()
  })

  test('gate: a write sent whole that waits for a row lock: ended unseen, to be run again; the cut is taken', async () => {
    await open().query('INSERT INTO gated VALUES (1)', { access: 'write' })
    const locker = open()
    await locker.query('UPDATE gated SET a = 2', { begin: ['BEGIN'], access: 'write' })
    const blocked = open()
    const update = blocked.query('UPDATE gated SET a = 3', { access: 'write' })
    await expect.poll(() => gate.inFlight).toBe(1)
    expect((await cut()).result).toBe('taken')
    expect(await update).toMatchObject({ types: '', sent: false, error: { code: '40001' } })
    await release()
    // From now on in two parts, so that it is not in the way of the next one.
    const again = blocked.query('UPDATE gated SET a = 3', { access: 'write' })
    expect((await cut()).result).toBe('taken')
    await release()
    await locker.query('COMMIT', { access: 'commit' })
    expect((await again).types).toBe('CZ')
  })

  test('gate: held: a write that fails is not held up', async () => {
    await hold()
    const reply = await open().exec({ payload: extended('INSERT INTO gated VALUES (1/0)'), access: 'write' })
    expect([reply.types, reply.ready, reply.error?.code]).toEqual(['1EZ', 'I', '22012'])
    await release()
  })

  test('gate: held: a batch of writes waits after the last one', async () => {
    await hold()
    const one = extended('INSERT INTO gated VALUES (5)').subarray(0, -5)
    const payload = Buffer.concat([one, one, one, SYNC])
    const write = open().exec({ payload, access: 'write', swallow: 3 })
    await waiting(1)
    await release()
    expect((await write).types).toBe('CCCZ')
    expect(await count()).toBe('3')
  })

  test('gate: held: a COPY by the extended protocol waits with its Sync', async () => {
    const s = open()
    await hold()
    const copy = s.exec({ payload: extendedCopy('COPY gated FROM STDIN'), access: 'write' })
    s.session.copyData(copyData('6\n'))
    s.session.copyData(Buffer.concat([copyData('7\n'), COPY_DONE, SYNC]))
    await waiting(1)
    expect(await count()).toBe('0')
    await release()
    expect((await copy).types).toMatch(/^12GCZ$/)
    expect(await count()).toBe('2')
  })

  test('gate: held: a backend that dies waiting: failed, and nothing is left behind', async () => {
    const s = open()
    const pid = await s.value('SELECT pg_backend_pid()', { begin: ['BEGIN'] })
    await hold()
    const commit = s.query('COMMIT', { access: 'commit' })
    await waiting(1)
    await query(server.url, `SELECT pg_terminate_backend(${pid})`)
    const reply = await commit
    expect([reply.error?.code, reply.sent]).toEqual(['57P01', false])
    await release()
  })

  test('gate: a decided commit: waits for a cut below it, and a cut above it waits for that one', async () => {
    const s = open()
    await s.query('INSERT INTO gated VALUES (8)', { begin: ['BEGIN'], access: 'write' })
    const below = clock.now()
    const { prepareTs } = await s.session.prepare('weft:other:c-0-1:0')
    await hold(below)
    const done = s.session.commitPrepared('weft:other:c-0-1:0', prepareTs)
    await waiting(1)
    const raised = link.control({
      kind: 'cut',
      id: cutIds,
      ts: String(clock.now()),
      leaseMs: LEASE_MS,
      sessions: [],
    })
    await done
    expect(await raised).toMatchObject({ result: 'taken' })
    await release()
    expect(await count()).toBe('1')
  })

  test('gate: lease over: commits go on without a release', async () => {
    expect((await cut(clock.now(), [], 500)).result).toBe('taken')
    await open().query('INSERT INTO gated VALUES (1)', { access: 'write' })
    expect(await count()).toBe('1')
  })

  test('gate: the link of a cut is closed: commits go on', async () => {
    const other = agent.connect('c2')
    await other.control({ kind: 'cut', id: 1, ts: String(clock.now()), leaseMs: LEASE_MS, sessions: [] })
    const write = open().query('INSERT INTO gated VALUES (1)', { access: 'write' })
    await waiting(1)
    await other.close()
    await write
    expect(await count()).toBe('1')
  })

  // Statements under a cut

  const select = (
    sql: string,
    more: Partial<ExecRequest> = {},
  ): Partial<ExecRequest> & { payload: Buffer } => ({
    payload: Buffer.concat([parse('', sql), bind({}), execute(), SYNC_MESSAGE]),
    cut: 'statement',
    ...more,
  })

  async function parked(request: Partial<ExecRequest> & { payload: Buffer }) {
    const session = open()
    const id = sessionIds
    const ready = new Promise<void>((resolve) => {
      session.onReady = resolve
    })
    const reply = session.exec(request)
    await Promise.race([ready, reply])
    return { session, id, reply }
  }

  test('cut: a statement sees what was there when it was taken, not what came before it runs', async () => {
    await query(server.url, 'INSERT INTO gated VALUES (1)')
    const { id, reply } = await parked(select('SELECT count(*) FROM gated'))
    await query(server.url, 'INSERT INTO gated VALUES (2)')
    expect(await cut(clock.now(), [id])).toMatchObject({ result: 'taken' })
    // Past the agent, which would hold it.
    await query(server.url, 'INSERT INTO gated VALUES (3)')
    await release(true)
    const { rows, types } = await reply
    expect([rows, types]).toEqual([[['2']], 'DCZ'])
  })

  test('cut: came to nothing: the statement is still ready, and sees the next one', async () => {
    const { id, reply } = await parked(select('SELECT count(*) FROM gated'))
    await cut(clock.now(), [id])
    await release(false)
    await query(server.url, 'INSERT INTO gated VALUES (1)')
    await cut(clock.now(), [id])
    await release(true)
    expect((await reply).rows).toEqual([['1']])
  })

  test('cut: a prepared statement that the backend knows', async () => {
    const ref = { name: 'w1', parse: parse('w1', 'SELECT count(*) FROM gated') }
    const payload = Buffer.concat([bind({ statement: 'w1' }), execute(), SYNC_MESSAGE])
    for (let i = 0; i < 3; i++) {
      const { id, reply } = await parked({ payload, needs: [ref], cut: 'statement' })
      await query(server.url, 'INSERT INTO gated VALUES (1)')
      await cut(clock.now(), [id])
      await release(true)
      expect(await reply).toMatchObject({ types: 'DCZ', rows: [[String(i + 1)]] })
    }
  })

  const DECLARE = 'DECLARE c CURSOR FOR SELECT count(*) FROM gated'
  const declare = (more: Partial<ExecRequest> = {}): Partial<ExecRequest> & { payload: Buffer } => ({
    payload: Buffer.concat([parse('', DECLARE), close('P', 'c'), bind({}), execute(), SYNC_MESSAGE]),
    begin: ['BEGIN'],
    cut: 'statement',
    ...more,
  })

  test('cut: a cursor sees what was there when it was taken, the second time too', async () => {
    const { session, id, reply } = await parked(declare())
    await query(server.url, 'INSERT INTO gated VALUES (1)')
    await cut(clock.now(), [id])
    await query(server.url, 'INSERT INTO gated VALUES (2)')
    await release(false)
    await cut(clock.now(), [id])
    await query(server.url, 'INSERT INTO gated VALUES (3)')
    await release(true)
    expect(await reply).toMatchObject({ types: 'Z', ready: 'T' })
    expect(await session.value('FETCH c')).toBe('2')
    await session.query('ROLLBACK')
  })

  test('cut: a cursor that the backend has prepared', async () => {
    const ref = { name: 'w2', parse: parse('w2', DECLARE) }
    const payload = Buffer.concat([close('P', 'c'), bind({ statement: 'w2' }), execute(), SYNC_MESSAGE])
    for (let i = 0; i < 3; i++) {
      const { session, id, reply } = await parked(declare({ payload, needs: [ref] }))
      await query(server.url, 'INSERT INTO gated VALUES (1)')
      await cut(clock.now(), [id])
      await release(true)
      expect(await reply).toMatchObject({ types: 'Z', ready: 'T' })
      expect(await session.value('FETCH c')).toBe(String(i + 1))
      await session.query('ROLLBACK')
    }
  })

  test('cut: a cursor whose name is taken', async () => {
    const session = open()
    await session.query('DECLARE c CURSOR FOR SELECT 7', { begin: ['BEGIN'] })
    expect(await session.exec(declare({ begin: [] }))).toMatchObject({ ready: 'E', error: { code: '42P03' } })
    await session.query('ROLLBACK')
  })

  test.each([false, true])('cut: called off, its snapshot taken: %s: no cursor is left', async (isTaken) => {
    const { session, id, reply } = await parked(declare())
    if (isTaken) {
      await cut(clock.now(), [id])
      await release(false)
    }
    session.session.cancel()
    expect(await reply).toMatchObject({ error: { code: '57014' }, sent: false })
    expect(await session.value('SELECT count(*) FROM pg_cursors')).toBe('0')
    await session.query('ROLLBACK')
  })

  test('cut: what a view reads is waited for while the cursor is made ready', async () => {
    await query(server.url, 'CREATE VIEW above AS SELECT a FROM gated')
    const locker = open()
    await locker.query('LOCK TABLE gated', { begin: ['BEGIN'], access: 'write' })
    const text = parse('', 'DECLARE c CURSOR FOR SELECT a FROM above')
    const payload = Buffer.concat([text, close('P', 'c'), bind({}), execute(), SYNC_MESSAGE])
    const ready = parked(declare({ payload }))
    const waits = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'gated'::regclass"
    await expect.poll(async () => (await query(server.url, waits)).length).toBe(1)
    await locker.query('ROLLBACK')
    const { session, id, reply } = await ready
    await cut(clock.now(), [id])
    await release(true)
    expect(await reply).toMatchObject({ types: 'Z', ready: 'T' })
    await session.query('ROLLBACK')
    await query(server.url, 'DROP VIEW above')
  })

  test('cut: in a transaction: its own writes are seen', async () => {
    const s = open()
    const id = sessionIds
    await s.query('INSERT INTO gated VALUES (1)', { begin: ['BEGIN'], access: 'write' })
    const ready = new Promise<void>((resolve) => {
      s.onReady = resolve
    })
    const reply = s.exec(select('SELECT count(*) FROM gated'))
    await ready
    await cut(clock.now(), [id])
    await release(true)
    expect(await reply).toMatchObject({ rows: [['1']], ready: 'T' })
    await s.query('ROLLBACK')
  })

  test('cut: opens a repeatable read transaction: begun again when the cut came to nothing', async () => {
    const begin = ['BEGIN ISOLATION LEVEL REPEATABLE READ']
    const { session, id, reply } = await parked(
      select('SELECT count(*) FROM gated', { begin, cut: 'transaction' }),
    )
    await cut(clock.now(), [id])
    await release(false)
    await query(server.url, 'INSERT INTO gated VALUES (1)')
    await cut(clock.now(), [id])
    await query(server.url, 'INSERT INTO gated VALUES (2)')
    await release(true)
    expect(await reply).toMatchObject({ rows: [['1']], ready: 'T' })
    expect(await session.value('SELECT count(*) FROM gated')).toBe('1')
    await session.query('ROLLBACK')
  })

  test('cut: an error before it: the reply, and nothing waits', async () => {
    const { reply } = await parked(select('SELECT nothing FROM gated'))
    expect(await reply).toMatchObject({ types: 'EZ', error: { code: '42703' } })
  })

  test('cut: cancelled while it waits for one: not run; a transaction stays open', async () => {
    const { session, reply } = await parked(select('SELECT 1', { begin: ['BEGIN'] }))
    session.session.cancel()
    expect(await reply).toMatchObject({ error: { code: '57014' }, sent: false })
    expect(session.session.holdsBackend).toBe(true)
    expect(await session.value('SELECT 2')).toBe('2')
    await session.query('ROLLBACK')
  })

  test('cut: cancelled before it is ready: Postgres may miss the request, the statement does not run all the same', async () => {
    for (const busy of ['SELECT 1', 'SELECT count(*) FROM gated']) {
      const s = open()
      const reply = s.exec(select(busy))
      s.session.cancel()
      expect((await reply).error?.code).toBe('57014')
      expect(await s.value('SELECT 1')).toBe('1')
    }
  })

  test('cut: cancelled while its snapshot is taken: not run', async () => {
    const { session, id, reply } = await parked(select('SELECT count(*) FROM gated'))
    const taken = cut(clock.now(), [id])
    // The agent has sent the Bind by now, and not heard of it.
    await Promise.resolve()
    session.session.cancel()
    expect(await taken).toMatchObject({ result: 'taken' })
    await release(true)
    expect((await reply).error?.code).toBe('57014')
    expect(await session.value('SELECT 1')).toBe('1')
  })

  test('cut: the session is closed while it waits for one: its backend is free again', async () => {
    const { session, id } = await parked(select('SELECT 1'))
    session.session.close()
    await expect.poll(() => agent.status().busy).toBe(0)
    expect(await cut(clock.now(), [id])).toMatchObject({ result: 'taken' })
    await release()
  })

  test('cut: a backend that dies while it waits for one: failed, and the cut is taken without it', async () => {
    const { id, reply } = await parked(select('SELECT 1 /* dies */'))
    await query(
      server.url,
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
       WHERE query LIKE '%/* dies */' AND pid <> pg_backend_pid()`,
    )
    expect((await reply).error?.code).toBe('57P01')
    expect(await cut(clock.now(), [id])).toMatchObject({ result: 'taken' })
    await release()
  })

  test('reads that must not miss a commit: wait for what is prepared at or below it', async () => {
    const s = open()
    await s.query('INSERT INTO gated VALUES (8)', { begin: ['BEGIN'], access: 'write' })
    const { prepareTs } = await s.session.prepare('weft:other:c-0-2:0')
    expect(await open().value('SELECT count(*) FROM gated', { seen: prepareTs - 1n })).toBe('0')
    const reader = open()
    const read = reader.value('SELECT count(*) FROM gated', { seen: prepareTs })
    const cancelled = open()
    const never = cancelled.query('SELECT 1', { seen: prepareTs })
    cancelled.session.cancel()
    expect((await never).error?.code).toBe('57014')
    await s.session.commitPrepared('weft:other:c-0-2:0', prepareTs)
    expect(await read).toBe('1')
  })

  test('a backend that dies while its next statement waits: that is no part of its transaction, and does not run', async () => {
    const s = open()
    await s.query('INSERT INTO gated VALUES (8)', { begin: ['BEGIN'], access: 'write' })
    const { prepareTs } = await s.session.prepare('weft:other:c-0-3:0')
    const writer = open()
    await writer.query('INSERT INTO gated VALUES (1) /* dies */', { begin: ['BEGIN'], access: 'write' })
    const next = writer.query('INSERT INTO gated VALUES (2)', { access: 'write', seen: prepareTs })
    await query(
      server.url,
      `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
       WHERE query LIKE '%/* dies */' AND pid <> pg_backend_pid()`,
    )
    await expect.poll(() => writer.session.holdsBackend).toBe(false)
    await s.session.commitPrepared('weft:other:c-0-3:0', prepareTs)
    expect((await next).error?.code).toBe('57P01')
    expect(await open().value('SELECT string_agg(a::text, $$ $$) FROM gated')).toBe('8')
  })
})
