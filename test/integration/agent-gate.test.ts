import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLink } from '../../protocol/agent-link.ts'
import type { Gate } from '../../shard-agent/gate/gate.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { clientOf, extended, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { COPY_DONE, copyData, extendedCopy, SYNC } from '../helpers/copy-messages.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

describe.each([false, true])('agent gate, split writes %s', (splitWrites) => {
  let server: TestPostgres
  let agent: Agent
  let gate: Gate
  let link: AgentLink
  let ids = 0
  const open = (): TestSession => new TestSession(link, ++ids, clientOf(server.user))
  const count = async (): Promise<string> =>
    (await query<{ n: string }>(server.url, 'SELECT count(*) AS n FROM gated'))[0]!.n
  const waiting = (n: number) => expect.poll(() => gate.waiting).toBe(n)

  beforeAll(async () => {
    server = await startPostgres()
    await query(server.url, 'CREATE TABLE gated (a int)')
    agent = await startTestAgent(server, { splitWrites })
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
    gate.hold(0n)
    await s.query('INSERT INTO gated VALUES (2)', { access: 'write' })
    const commit = s.query('COMMIT', { access: 'commit' })
    await waiting(1)
    // A commit is not cancelled while it waits: it may be told to others already.
    s.session.cancel()
    expect(await open().value('SELECT count(*) FROM gated')).toBe('0')
    gate.release()
    expect((await commit).types).toBe('CZ')
    expect(await count()).toBe('2')
  })

  test('gate: held: an autocommit write waits, and can be cancelled unless it has run', async () => {
    gate.hold(0n)
    const s = open()
    const write = s.exec({ payload: extended('INSERT INTO gated VALUES (3)'), access: 'write' })
    await waiting(1)
    expect(await count()).toBe('0')
    gate.release()
    const reply = await write
    expect([reply.types, reply.ready]).toEqual(['12CZ', 'I'])
    expect(await count()).toBe('1')
    if (splitWrites) return
    gate.hold(0n)
    const cancelled = s.exec({ payload: extended('INSERT INTO gated VALUES (4)'), access: 'write' })
    await waiting(1)
    s.session.cancel()
    expect((await cancelled).error?.code).toBe('57014')
    gate.release()
  })

  test('gate: held: a write that fails is not held up', async () => {
    if (!splitWrites) return
    gate.hold(0n)
    const reply = await open().exec({ payload: extended('INSERT INTO gated VALUES (1/0)'), access: 'write' })
    expect([reply.types, reply.ready, reply.error?.code]).toEqual(['1EZ', 'I', '22012'])
    gate.release()
  })

  test('gate: held: a batch of writes waits after the last one', async () => {
    gate.hold(0n)
    const one = extended('INSERT INTO gated VALUES (5)').subarray(0, -5)
    const payload = Buffer.concat([one, one, one, SYNC])
    const write = open().exec({ payload, access: 'write', swallow: 3 })
    await waiting(1)
    gate.release()
    expect((await write).types).toBe('CCCZ')
    expect(await count()).toBe('3')
  })

  test('gate: held: a COPY by the extended protocol waits with its Sync', async () => {
    const s = open()
    const copy = s.exec({ payload: extendedCopy('COPY gated FROM STDIN'), access: 'write' })
    s.session.copyData(copyData('6\n'))
    if (!splitWrites) {
      s.session.copyData(Buffer.concat([COPY_DONE, SYNC]))
      expect((await copy).ready).toBe('I')
      return
    }
    gate.hold(0n)
    s.session.copyData(Buffer.concat([copyData('7\n'), COPY_DONE, SYNC]))
    await waiting(1)
    expect(await count()).toBe('0')
    gate.release()
    expect((await copy).types).toMatch(/^12GCZ$/)
    expect(await count()).toBe('2')
  })

  test('gate: held: a backend that dies waiting: failed, and nothing is left behind', async () => {
    const s = open()
    const pid = await s.value('SELECT pg_backend_pid()', { begin: ['BEGIN'] })
    gate.hold(0n)
    const commit = s.query('COMMIT', { access: 'commit' })
    await waiting(1)
    await query(server.url, `SELECT pg_terminate_backend(${pid})`)
    const reply = await commit
    expect([reply.error?.code, reply.sent]).toEqual(['57P01', false])
    gate.release()
  })

  test('gate: held above a timestamp: COMMIT PREPARED below it goes through', async () => {
    const s = open()
    await s.query('INSERT INTO gated VALUES (8)', { begin: ['BEGIN'], access: 'write' })
    const { prepareTs } = await s.session.prepare('weft:other:c-0-1:0')
    gate.hold(prepareTs - 1n)
    const done = s.session.commitPrepared('weft:other:c-0-1:0', prepareTs)
    await waiting(1)
    gate.hold(prepareTs)
    await done
    gate.release()
    expect(await count()).toBe('1')
  })
})
