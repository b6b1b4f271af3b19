import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { AgentLink, CutAnswer, ExecRequest } from '../../protocol/agent-link.ts'
import { bind, execute, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import type { Gate } from '../../shard-agent/gate/gate.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { installSql } from '../../sql/install/schema.ts'
import { HlcClock } from '../../txn/hlc.ts'
import { clientOf, extended, type Reply, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const LEASE_MS = 30_000
/** Outlives the cut and the release all the same. */
const SHORT_LEASE_MS = 1_000
/** Held by `locker`: a statement with the trigger waits for it before it has begun. */
const LOCK = 'pg_advisory_xact_lock(77)'
const UPDATE = 'UPDATE gated SET a = a + 10 WHERE (SELECT weft.begun())'

let server: TestPostgres
let agent: Agent
let gate: Gate
let link: AgentLink
let locker: pg.Client
let sessionIds = 0
let cutIds = 0
const clock = new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 })

beforeAll(async () => {
  server = await startPostgres()
  await query(server.url, installSql({ shard: 0, slots: [{ from: 0, to: 4095, shard: 0 }] }))
  agent = await startTestAgent(server, { clock })
  gate = (agent as unknown as { gate: Gate }).gate
  await query(
    server.url,
    `CREATE TABLE gated (a int);
     CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM ${LOCK}; RETURN NULL; END $$;
     CREATE TRIGGER wait BEFORE UPDATE ON gated FOR EACH STATEMENT EXECUTE FUNCTION wait()`,
  )
})
beforeEach(async () => {
  link = agent.connect(`c${++cutIds}`)
  locker = new pg.Client({ connectionString: server.url })
  await locker.connect()
  await query(server.url, 'INSERT INTO gated VALUES (1), (2)')
})
afterEach(async () => {
  await locker.end()
  await link.close()
  await expect.poll(() => [gate.inFlight, gate.waiting, gate.isOpen]).toEqual([0, 0, true])
  await query(server.url, 'TRUNCATE gated')
})
afterAll(async () => {
  await agent?.stop()
  await server?.stop()
})

const open = (): TestSession => new TestSession(link, ++sessionIds, clientOf(server.user))
const cut = async (sessions: number[], leaseMs = LEASE_MS): Promise<string> => {
  const request = { kind: 'cut', id: ++cutIds, ts: String(clock.now()), leaseMs, sessions } as const
  return ((await link.control(request)) as CutAnswer).result
}
const release = (): Promise<unknown> => link.control({ kind: 'release', id: cutIds, go: true })

interface Parked {
  readonly session: TestSession
  readonly id: number
  readonly reply: Promise<Reply>
}

async function parked(sql: string, more: Partial<ExecRequest> = {}): Promise<Parked> {
  const session = open()
  const id = sessionIds
  const ready = new Promise<void>((resolve) => {
    session.onReady = resolve
  })
  const payload = Buffer.concat([parse('', sql), bind({}), execute(), SYNC])
  const reply = session.exec({ payload, cut: 'execution', begin: ['BEGIN'], access: 'write', ...more })
  await Promise.race([ready, reply])
  return { session, id, reply }
}

const write = (): Promise<Reply> =>
  open().exec({ payload: extended('INSERT INTO gated VALUES (100)'), access: 'write' })
const waiting = (n: number) => expect.poll(() => gate.waiting).toBe(n)
/** A new one: the first may be in a transaction of its own that is not over. */
const rows = async (): Promise<number[]> =>
  (await query<{ a: number }>(server.url, 'SELECT a FROM gated ORDER BY a')).map((row) => row.a)
const locked = () => locker.query(`BEGIN; SELECT ${LOCK}`)

test('released: commits are held until it has begun, and it does not see them', async () => {
  await locked()
  const { session, id, reply } = await parked(UPDATE)
  expect(await cut([id])).toBe('taken')
  await release()
  const other = write()
  await waiting(1)
  await locker.query('COMMIT')
  await other
  expect(await reply).toMatchObject({ types: 'CZ', ready: 'T', error: undefined })
  await session.query('COMMIT', { access: 'commit' })
  expect(await rows()).toEqual([11, 12, 100])
})

test('it waits for a row lock: it has begun, commits go on', async () => {
  await locker.query('BEGIN; DELETE FROM gated WHERE a = 2')
  const { session, id, reply } = await parked(UPDATE)
  await cut([id])
  await release()
  await write()
  await locker.query('ROLLBACK')
  expect((await reply).types).toBe('CZ')
  await session.query('COMMIT', { access: 'commit' })
  expect(await rows()).toEqual([11, 12, 100])
})

test('two: commits are held until both have begun', async () => {
  await locked()
  const first = await parked(`${UPDATE} AND a = 1`)
  const second = await parked('DELETE FROM gated WHERE (SELECT weft.begun()) AND a = 2')
  await cut([first.id, second.id])
  await release()
  expect((await second.reply).types).toBe('CZ')
  const other = write()
  await waiting(1)
  await locker.query('COMMIT')
  await Promise.all([other, first.reply])
})

test('the lease ends before it has begun: it is ended with 40001, and commits go on', async () => {
  await locked()
  const { session, id, reply } = await parked(UPDATE)
  await cut([id], SHORT_LEASE_MS)
  await release()
  await write()
  expect(await reply).toMatchObject({ types: 'EZ', ready: 'E', error: { code: '40001' } })
  expect((await reply).error?.message).toMatch(/given up before/)
  await session.query('ROLLBACK')
  expect(await rows()).toEqual([1, 2, 100])
})

test('it ends after the lease, before the cancel request can hit it: it failed all the same', async () => {
  // Nothing may interrupt it: it goes on after the request, to its end.
  await query(
    server.url,
    `CREATE OR REPLACE FUNCTION deaf() RETURNS bool LANGUAGE plpgsql AS $$
     DECLARE until_at timestamptz := clock_timestamp() + '${2 * SHORT_LEASE_MS} ms';
     BEGIN
       LOOP
         BEGIN
           EXIT WHEN clock_timestamp() > until_at;
           PERFORM pg_sleep(0.01);
         EXCEPTION WHEN query_canceled THEN NULL;
         END;
       END LOOP;
       RETURN true;
     END $$`,
  )
  const { session, id, reply } = await parked(
    'DELETE FROM gated WHERE (SELECT deaf()) AND (SELECT weft.begun())',
  )
  await cut([id], SHORT_LEASE_MS)
  await release()
  await write()
  const { types, ready, error } = await reply
  expect([types.slice(-2), ready, error?.code]).toEqual(['EZ', 'E', '40001'])
  await session.query('ROLLBACK')
  expect(await rows()).toEqual([1, 2, 100])
})

test('released when the lease is over: it does not run', async () => {
  const { session, id, reply } = await parked(UPDATE)
  await cut([id], SHORT_LEASE_MS)
  await write()
  await release()
  expect(await reply).toMatchObject({ error: { code: '40001' }, sent: false })
  await session.query('ROLLBACK')
})

test.each([
  ['no row can match', `${UPDATE} AND false`, 'CZ'],
  [
    'it fails before it has begun',
    'UPDATE gated SET a = 1 WHERE (SELECT 1 / (a * 0)) = 1 AND (SELECT weft.begun())',
    'EZ',
  ],
  ['it fails later', `UPDATE gated SET a = 1 / (a - a) WHERE (SELECT weft.begun())`, 'EZ'],
])('%s: its end counts as its beginning', async (_, sql, types) => {
  const { session, id, reply } = await parked(sql)
  await cut([id])
  await release()
  expect((await reply).types).toBe(types)
  await write()
  await session.query('ROLLBACK')
})

test('the cut came to nothing: it is still ready, and begins under the next one', async () => {
  const { id, reply } = await parked(UPDATE)
  await cut([id])
  await link.control({ kind: 'release', id: cutIds, go: false })
  await write()
  await cut([id])
  await release()
  expect((await reply).types).toBe('CZ')
})

test('the next cut of the same coordinator: does not end the hold', async () => {
  await locked()
  const { id, reply } = await parked(UPDATE)
  await cut([id])
  await release()
  await cut([])
  await release()
  const other = write()
  await waiting(1)
  await locker.query('COMMIT')
  await Promise.all([other, reply])
})

test('its session is closed before it has begun: commits go on', async () => {
  await locked()
  const { session, id } = await parked(UPDATE)
  await cut([id])
  await release()
  const other = write()
  await waiting(1)
  session.session.close()
  await other
})

test('cancelled before it has begun: 57014, and commits go on', async () => {
  await locked()
  const { session, id, reply } = await parked(UPDATE)
  await cut([id])
  await release()
  const other = write()
  await waiting(1)
  session.session.cancel()
  expect((await reply).error?.code).toBe('57014')
  await other
  await session.query('ROLLBACK')
})

test('its backend dies before it has begun: failed, and commits go on', async () => {
  await locked()
  const { id, reply } = await parked(UPDATE)
  await cut([id])
  await release()
  const other = write()
  await waiting(1)
  await query(
    server.url,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'UPDATE gated%' AND state = 'active'`,
  )
  expect(await reply).toMatchObject({ ready: '', sent: true })
  await other
})

test('by name, again and again: prepared once; notices of its own come through, that it has begun does not', async () => {
  const sql = `DELETE FROM gated WHERE (SELECT weft.begun()) AND a = 0`
  const needs = [{ name: 'w', parse: parse('w', sql) }]
  const payload = Buffer.concat([bind({ statement: 'w' }), execute(), SYNC])
  for (let i = 0; i < 7; i++) {
    const { session, id, reply } = await parked('', { payload, needs })
    await cut([id])
    await release()
    expect((await reply).types).toBe('CZ')
    await session.query('ROLLBACK')
    session.session.close()
  }
  await query(
    server.url,
    `CREATE OR REPLACE FUNCTION tell() RETURNS bool LANGUAGE plpgsql AS
    $$ BEGIN RAISE NOTICE 'mine'; RETURN true; END $$`,
  )
  const { id, reply } = await parked(`DELETE FROM gated WHERE (SELECT weft.begun()) AND tell()`)
  await cut([id])
  await release()
  expect((await reply).types).toBe('NNCZ')
})
