import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLink } from '../../protocol/agent-link.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { clientOf, extended, settingsOf, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { hasPostgres15, startPostgres, type TestPostgres } from '../helpers/postgres.ts'

const versions = hasPostgres15 ? ([18, 15] as const) : ([18] as const)

describe.each(versions)('agent on Postgres %i', (version) => {
  let server: TestPostgres
  let agent: Agent
  let link: AgentLink
  let ids = 0
  const open = (user = server.user): TestSession => new TestSession(link, ++ids, clientOf(user))

  beforeAll(async () => {
    server = await startPostgres({ version })
    agent = await startTestAgent(server, { pool: { size: 8 } })
    link = agent.connect('c1')
  })
  afterEach(() => {
    const { busy, waiting } = agent.status()
    expect({ busy, waiting }).toEqual({ busy: 0, waiting: 0 })
  })
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  test('agent: a simple query: its reply, and the backend is free', async () => {
    const s = open()
    const reply = await s.query('SELECT 1 AS a')
    expect(reply.types).toBe('TDCZ')
    expect(reply.rows).toEqual([['1']])
    expect(s.session.holdsBackend).toBe(false)
  })

  test('agent: begin ahead of a simple query: its replies are left out, the transaction is open', async () => {
    const s = open()
    const reply = await s.query('SELECT 2', {
      begin: ['BEGIN ISOLATION LEVEL REPEATABLE READ', 'SAVEPOINT a'],
    })
    expect(reply.types).toBe('TDCZ')
    expect(reply.ready).toBe('T')
    expect(s.session.holdsBackend).toBe(true)
    expect(await s.value('SHOW transaction_isolation')).toBe('repeatable read')
    expect((await s.query('COMMIT', { access: 'commit' })).ready).toBe('I')
    expect(s.session.holdsBackend).toBe(false)
  })

  test.each([
    [
      'simple',
      (sql: string) => ({
        payload: Buffer.from(`Q\0\0\0${String.fromCharCode(5 + sql.length)}${sql}\0`, 'latin1'),
      }),
    ],
    ['extended', (sql: string) => ({ payload: extended(sql) })],
  ])('agent: begin fails ahead of %s: its error is the reply, the payload does not run', async (_, make) => {
    const s = open()
    const reply = await s.exec({
      ...make('CREATE TABLE never_there()'),
      begin: ['BEGIN', 'SET LOCAL nonsense = 1'],
    })
    expect(reply.error?.code).toBe('42704')
    expect(reply.types).toBe('EZ')
    expect(reply.ready).toBe('E')
    expect((await s.query('ROLLBACK')).ready).toBe('I')
    const first = await s.exec({
      ...make('CREATE TABLE never_there()'),
      begin: ['BEGIN ISOLATION LEVEL odd'],
    })
    expect(first.error?.code).toBe('42601')
    expect(first.ready).toBe('I')
    expect(await s.value(`SELECT to_regclass('never_there')`)).toBe(null)
  })
})
