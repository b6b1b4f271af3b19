import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLink } from '../../protocol/agent-link.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { clientOf, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { COPY_DONE, copyData, extendedCopy, SYNC } from '../helpers/copy-messages.ts'
import { seededRandom } from '../helpers/naive-encoder.ts'
import { query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

describe('agent cancel', () => {
  let server: TestPostgres
  let agent: Agent
  let link: AgentLink
  let ids = 0
  const open = (): TestSession => new TestSession(link, ++ids, clientOf(server.user))
  const until = (sql: string) =>
    expect
      .poll(async () => (await query<{ n: string }>(server.url, sql))[0]!.n, { timeout: 10_000 })
      .toBe('1')

  beforeAll(async () => {
    server = await startPostgres()
    agent = await startTestAgent(server, { pool: { size: 6 } })
    link = agent.connect('c1')
    await query(server.url, 'CREATE TABLE lines (a int, b text)')
  })
  afterEach(async () => {
    await expect.poll(() => agent.status()).toMatchObject({ busy: 0, waiting: 0, up: true })
  })
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  test('cancel: a running statement: 57014, and the session goes on', async () => {
    const s = open()
    const reply = s.query('SELECT pg_sleep(30) /* one */')
    await until(`SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%/* one */' AND state = 'active'
      AND pid <> pg_backend_pid()`)
    s.session.cancel()
    const { error, ready } = await reply
    expect([error?.code, ready]).toEqual(['57014', 'I'])
    expect(await s.value('SELECT 1')).toBe('1')
  })

  test('cancel: a session that waits for a backend: refused, not sent', async () => {
    const holders = [open(), open(), open()]
    await Promise.all(holders.map((s) => s.query('SELECT 1', { begin: ['BEGIN'] })))
    const waiter = open()
    const reply = waiter.query('CREATE TABLE not_made ()', { access: 'write' })
    await expect.poll(() => agent.status().waiting).toBe(1)
    waiter.session.cancel()
    const { error, sent } = await reply
    expect([error?.code, sent]).toEqual(['57014', false])
    await Promise.all(holders.map((s) => s.session.reset()))
    expect(await waiter.value(`SELECT to_regclass('not_made')`)).toBe(null)
  })

  test('cancel: an idle session: nothing', async () => {
    const s = open()
    s.session.cancel()
    expect(await s.value('SELECT 1')).toBe('1')
  })

  test('cancel: in a transaction: the transaction has failed and can be ended', async () => {
    const s = open()
    await s.query('SELECT 1', { begin: ['BEGIN'] })
    const reply = s.query('SELECT pg_sleep(30)')
    s.session.cancel()
    // It may have come too early; a client that means it asks again.
    const again = setInterval(() => s.session.cancel(), 100)
    expect((await reply).ready).toBe('E')
    clearInterval(again)
    expect((await s.query('ROLLBACK')).ready).toBe('I')
  })

  test('cancel: sent around the end of statements, 600 times: never hits another session', async () => {
    const seed = 4711
    const random = seededRandom(seed)
    let stop = false
    const bystanders = Array.from({ length: 6 }, async () => {
      const s = open()
      let count = 0
      while (!stop) {
        const reply = await s.query('SELECT 1 FROM generate_series(1, 300)')
        expect(reply.error, `seed ${seed}`).toBe(undefined)
        count++
      }
      return count
    })
    let hits = 0
    const cancellers = Array.from({ length: 4 }, async () => {
      const s = open()
      for (let round = 0; round < 150; round++) {
        const reply = s.query(`SELECT 2 FROM generate_series(1, ${Math.floor(random() * 2000)})`)
        const turns = Math.floor(random() * 6)
        for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
        s.session.cancel()
        const { error } = await reply
        if (error !== undefined) {
          expect(error.code).toBe('57014')
          hits++
        }
      }
    })
    await Promise.all(cancellers)
    stop = true
    const served = await Promise.all(bystanders)
    expect(hits).toBeGreaterThan(0)
    expect(Math.min(...served)).toBeGreaterThan(0)
  })

  test('close: a session with a running statement: it ends, its transaction is undone', async () => {
    const s = open()
    await s.query('INSERT INTO lines VALUES (1)', { begin: ['BEGIN'], access: 'write' })
    void s.query('SELECT pg_sleep(60) /* two */')
    await until(`SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%/* two */' AND state = 'active'
      AND pid <> pg_backend_pid()`)
    s.session.close()
    await expect.poll(() => agent.status().busy, { timeout: 10_000 }).toBe(0)
    expect(await open().value('SELECT count(*) FROM lines')).toBe('0')
  })

  test('close: a session that reads slowly: its statement ends', async () => {
    const s = open()
    s.onChunk = () => s.session.pause()
    void s.query(`SELECT repeat('x', 1000) FROM generate_series(1, 100000)`)
    await expect.poll(() => agent.status().busy).toBe(1)
    s.session.close()
    await expect.poll(() => agent.status().busy, { timeout: 10_000 }).toBe(0)
  })

  test.each(['simple', 'extended'])(
    'reset: in the middle of a %s COPY: undone, and the session goes on',
    async (protocol) => {
      const s = open()
      const copy =
        protocol === 'simple'
          ? s.query('COPY lines FROM STDIN', { access: 'write' })
          : s.exec({ payload: extendedCopy('COPY lines FROM STDIN'), access: 'write' })
      await until(`SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE 'COPY lines%'
      AND wait_event = 'ClientRead' AND state = 'active'`)
      s.session.copyData(copyData('1\tone\n'))
      // Half a message.
      s.session.copyData(copyData('2\ttwo two two two\n').subarray(0, 10))
      const reset = s.session.reset()
      expect((await copy).error?.code).toMatch(/^(57014|22021)$/)
      await reset
      expect(await s.value('SELECT count(*) FROM lines')).toBe('0')
    },
  )

  test('reset: COPY that waits for its first byte: undone', async () => {
    const s = open()
    void s.query('COPY lines FROM STDIN', { access: 'write' })
    await until(`SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE 'COPY lines%'
      AND wait_event = 'ClientRead' AND state = 'active'`)
    await s.session.reset()
    expect(await s.value('SELECT count(*) FROM lines')).toBe('0')
  })

  test.each(['simple', 'extended'])(
    'copy: fails in the middle of a %s message: the next session is not disturbed',
    async (protocol) => {
      for (let cut = 1; cut < 24; cut += 3) {
        const s = open()
        const copy =
          protocol === 'simple'
            ? s.query('COPY lines FROM STDIN', { access: 'write' })
            : s.exec({ payload: extendedCopy('COPY lines FROM STDIN'), access: 'write' })
        s.session.copyData(copyData('not a number\tx\n'))
        const rest = copyData('1\tbytes that never go whole\n')
        s.session.copyData(rest.subarray(0, cut))
        if (protocol === 'extended') s.session.copyData(Buffer.concat([rest.subarray(cut), COPY_DONE, SYNC]))
        const reply = await copy
        expect([reply.error?.code, reply.ready]).toEqual(['22P02', 'I'])
        s.session.copyData(rest.subarray(cut))
        expect(await s.value(`SELECT 'fine ${cut}'`)).toBe(`fine ${cut}`)
        s.session.close()
      }
    },
  )
})
