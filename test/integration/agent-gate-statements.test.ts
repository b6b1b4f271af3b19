import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLink, CutAnswer } from '../../protocol/agent-link.ts'
import { query as queryMessage } from '../../protocol/wire/frontend-messages.ts'
import type { Gate } from '../../shard-agent/gate/gate.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { HlcClock } from '../../txn/hlc.ts'
import { clientOf, extended, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { COPY_DONE, copyData, copyFail, SYNC } from '../helpers/copy-messages.ts'
import { hasPostgres15, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const LEASE_MS = 30_000

const SCHEMA = `
  CREATE TABLE gated (a int);
  CREATE TABLE late (a int UNIQUE DEFERRABLE INITIALLY DEFERRED);
  CREATE MATERIALIZED VIEW seen AS SELECT count(*) AS n FROM gated;
  CREATE FUNCTION add_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
  CREATE PROCEDURE add(INOUT a int) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO gated VALUES (a); a := a + 1; END $$;
  CREATE PROCEDURE add_in_sql() LANGUAGE sql AS 'INSERT INTO gated VALUES (1)';
  CREATE PROCEDURE add_twice() LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO gated VALUES (1); COMMIT; LOCK TABLE late; INSERT INTO gated VALUES (2); END $$;
`

/** In this order: some need what came before. */
const statements = [
  'CREATE TABLE made AS SELECT * FROM gated',
  'SELECT * INTO made_too FROM gated',
  'CREATE MATERIALIZED VIEW made_view AS SELECT * FROM gated',
  'REFRESH MATERIALIZED VIEW seen',
  'TRUNCATE gated',
  'ALTER TABLE made ADD COLUMN b int',
  'ALTER TABLE made ALTER COLUMN a TYPE bigint',
  'CREATE TABLE plain (a int)',
  'CREATE TRIGGER t BEFORE INSERT ON made FOR EACH ROW EXECUTE FUNCTION add_one()',
  'DROP TRIGGER t ON made',
  'CREATE INDEX ON made (a)',
  'COMMENT ON TABLE made IS $$made$$',
  'GRANT SELECT ON made TO PUBLIC',
  'DROP TABLE made, made_too',
  'DROP MATERIALIZED VIEW made_view',
  'DO $$ BEGIN EXECUTE $x$ INSERT INTO gated VALUES ($1) $x$ USING 1; END $$',
  'CALL add(1)',
  'CALL add_in_sql()',
  'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) INSERT INTO gated VALUES (1)',
  'COPY (INSERT INTO gated VALUES (1) RETURNING a) TO STDOUT',
  'DROP TABLE plain',
] as const

describe.each([15, 18] as const)('statements that are no DML, and the gate: Postgres %i', (version) => {
  if (version === 15 && !hasPostgres15) return test.skip('no Postgres 15 here', () => {})
  let server: TestPostgres
  let agent: Agent
  let gate: Gate
  let link: AgentLink
  let sessionIds = 0
  let cutIds = 0
  const clock = new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 })
  const open = (): TestSession => new TestSession(link, ++sessionIds, clientOf(server.user))
  const waiting = (n: number) => expect.poll(() => gate.waiting).toBe(n)
  const number = async (sql: string): Promise<number> =>
    (await query<{ n: number }>(server.url, `SELECT (${sql})::int AS n`))[0]!.n
  const rows = () => number('SELECT count(*) FROM gated')
  const openTransactions = () => number('SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL')
  const cut = (): Promise<CutAnswer> =>
    link.control({
      ...{ kind: 'cut', id: ++cutIds, ts: String(clock.now()), leaseMs: LEASE_MS, sessions: [] },
    } as const) as Promise<CutAnswer>
  const release = () => link.control({ kind: 'release', id: cutIds, go: false })
  const hold = async (): Promise<void> => {
    expect((await cut()).result).toBe('taken')
  }
  const lateLocked = () =>
    number("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'late'::regclass")

  beforeAll(async () => {
    server = await startPostgres({ version })
    await query(server.url, SCHEMA)
    agent = await startTestAgent(server, { clock })
    gate = (agent as unknown as { gate: Gate }).gate
    link = agent.connect('c1')
  })
  afterEach(async () => {
    expect([gate.inFlight, gate.waiting, gate.isOpen]).toEqual([0, 0, true])
    await query(server.url, 'TRUNCATE gated, late')
  })
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  test('apart: held: has run, is not committed, and is answered as ever', async () => {
    for (const sql of statements) {
      const plain = await open().query(`BEGIN; ${sql}; ROLLBACK`)
      await hold()
      const held = open().query(sql, { access: 'write', commits: 'apart' })
      await waiting(1)
      expect(await openTransactions(), sql).toBe(1)
      await release()
      const { types, ready, rows: answer } = await held
      expect([sql, types, ready, answer]).toEqual([
        sql,
        plain.types.replace(/^C|CZ$/g, '').concat('Z'),
        'I',
        plain.rows,
      ])
      expect(await openTransactions(), sql).toBe(0)
    }
  })

  test('apart: held, extended: has run, and is not committed', async () => {
    for (const sql of statements) {
      await hold()
      const held = open().exec({ payload: extended(sql), access: 'write', commits: 'apart' })
      await waiting(1)
      expect(await openTransactions(), sql).toBe(1)
      await release()
      expect(await held, sql).toMatchObject({ error: undefined, ready: 'I' })
    }
  })

  test('apart: what waits for a lock is not in the way of a cut, open or not yet', async () => {
    const locker = open()
    await locker.query('LOCK TABLE late', { begin: ['BEGIN'] })
    const slow = open().query('DO $$ BEGIN LOCK TABLE late; INSERT INTO gated VALUES (1); END $$', {
      ...{ access: 'write', commits: 'apart' },
    })
    await expect.poll(lateLocked).toBe(1)
    expect(gate.inFlight).toBe(0)
    await hold()
    await locker.query('ROLLBACK')
    await waiting(1)
    expect(await rows()).toBe(0)
    await release()
    expect((await slow).types).toBe('CZ')
    expect(await rows()).toBe(1)
  })

  test('apart: an error of the commit comes in place of the completion, and nothing is committed', async () => {
    const plain = await open().query('DO $$ BEGIN INSERT INTO late VALUES (1), (1); END $$')
    const apart = { access: 'write', commits: 'apart' } as const
    const reply = await open().query('DO $$ BEGIN INSERT INTO late VALUES (1), (1); END $$', apart)
    expect([reply.types, reply.ready, reply.error?.code]).toEqual([plain.types, 'I', '23505'])
    expect(await number('SELECT count(*) FROM late')).toBe(0)
  })

  test('apart: an error of the statement is the same, with its place', async () => {
    for (const sql of [
      'CREATE TABLE x AS SELECT nothing FROM gated',
      'DO $$ BEGIN RAISE x; END $$',
      'CALL nobody()',
    ]) {
      await hold()
      const reply = await open().query(sql, { access: 'write', commits: 'apart' })
      await release()
      const plain = await open().query(sql)
      expect([sql, reply.types, reply.error?.fields]).toEqual([sql, plain.types, plain.error?.fields])
    }
  })

  test('apart: a client that cancels it; a backend that dies under it: nothing was committed, as is known', async () => {
    const locker = open()
    await locker.query('LOCK TABLE late', { begin: ['BEGIN'] })
    const lockLate = 'DO $$ BEGIN INSERT INTO gated VALUES (1); LOCK TABLE late; END $$'
    const s = open()
    const cancelled = s.query(lockLate, { access: 'write', commits: 'apart' })
    await expect.poll(lateLocked).toBe(1)
    s.session.cancel()
    expect((await cancelled).error?.code).toBe('57014')
    const killed = s.query(lockLate, { access: 'write', commits: 'apart' })
    await expect.poll(lateLocked).toBe(1)
    await query(
      server.url,
      "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted AND relation = 'late'::regclass",
    )
    expect(await killed).toMatchObject({ sent: false, error: { code: '57P01' } })
    await locker.query('ROLLBACK')
    expect(await rows()).toBe(0)
  })

  test('apart: COPY FROM STDIN by simple Query: an open one holds up no cut, its commit is held', async () => {
    const s = open()
    const { copying, begun } = startCopy(s)
    await begun
    expect(gate.inFlight).toBe(0)
    await hold()
    s.session.copyData(Buffer.concat([copyData('1\n'), SYNC]))
    s.session.copyData(Buffer.concat([copyData('2\n'), COPY_DONE]))
    await waiting(1)
    expect(await rows()).toBe(0)
    await release()
    expect((await copying).types).toBe('CZ')
    expect(await rows()).toBe(2)
  })

  function startCopy(s: TestSession) {
    let onBegun = () => {}
    const begun = new Promise<void>((resolve) => {
      onBegun = resolve
    })
    s.onChunk = () => {
      s.onChunk = undefined
      onBegun()
    }
    const payload = queryMessage('COPY gated FROM STDIN')
    return { copying: s.exec({ payload, access: 'write', commits: 'apart' }), begun }
  }

  test('apart: COPY that its client gives up, and one with a bad row in the midst of a message', async () => {
    const s = open()
    const first = startCopy(s)
    await first.begun
    s.session.copyData(Buffer.concat([copyData('1\n'), copyFail('enough')]))
    expect(await first.copying).toMatchObject({ ready: 'I', error: { code: '57014' } })
    const second = startCopy(s)
    await second.begun
    const [bad, half] = [copyData('bad\n'), copyData('3\n')]
    // A Sync means nothing here.
    s.session.copyData(Buffer.concat([SYNC, copyData('1\n'), SYNC, bad, SYNC, SYNC, half.subarray(0, 6)]))
    expect(await second.copying).toMatchObject({ ready: 'I', error: { code: '22P02' } })
    expect(await s.value('SELECT count(*) FROM gated')).toBe('0')
  })

  test('apart: COPY whose session is closed in its midst', async () => {
    const s = open()
    const { copying, begun } = startCopy(s)
    await begun
    s.session.copyData(copyData('1\n').subarray(0, 6))
    void copying
    s.session.close()
    await expect.poll(() => agent.status().busy).toBe(0)
    expect(await rows()).toBe(0)
  })

  test.each(['simple', 'extended'])(
    'within: its commits never take effect under a hold: %s',
    async (protocol) => {
      await hold()
      const payload = protocol === 'simple' ? queryMessage('CALL add_twice()') : extended('CALL add_twice()')
      const call = open().exec({ payload, access: 'write', commits: 'within' })
      await waiting(1)
      expect(await rows()).toBe(0)
      await release()
      expect((await call).error).toBeUndefined()
      expect(await rows()).toBe(2)
    },
  )

  test.each(['simple', 'extended'])(
    'within: in the way of a cut it is not ended, nor run again: %s',
    async (protocol) => {
      const locker = open()
      await locker.query('LOCK TABLE late', { begin: ['BEGIN'] })
      const payload = protocol === 'simple' ? queryMessage('CALL add_twice()') : extended('CALL add_twice()')
      const call = open().exec({ payload, access: 'write', commits: 'within' })
      await expect.poll(lateLocked).toBe(1)
      const refused = link.control({
        ...{ kind: 'cut', id: ++cutIds, ts: String(clock.now()), leaseMs: 400, sessions: [] },
      } as const)
      expect(await refused).toMatchObject({ result: 'busy' })
      expect([await lateLocked(), await rows()]).toEqual([1, 1])
      await locker.query('ROLLBACK')
      expect((await call).error).toBeUndefined()
      expect(await rows()).toBe(2)
    },
  )
})
