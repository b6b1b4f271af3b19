import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { AgentLink, ExecRequest } from '../../protocol/agent-link.ts'
import {
  bind,
  close,
  describe as describeMessage,
  execute,
  parse,
  query as queryMessage,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import type { Agent } from '../../shard-agent/main.ts'
import { clientOf, extended, settingsOf, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { hasPostgres15, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { RawPostgres } from '../helpers/raw-postgres.ts'

const versions = hasPostgres15 ? ([18, 15] as const) : ([18] as const)
const setups = versions.flatMap((version) => [
  { version, splitWrites: false },
  { version, splitWrites: true },
])

describe.each(setups)('Postgres $version, split writes $splitWrites', ({ version, splitWrites }) => {
  let server: TestPostgres
  let agent: Agent
  let link: AgentLink
  let ids = 0
  const open = (user = server.user): TestSession => new TestSession(link, ++ids, clientOf(user))

  beforeAll(async () => {
    server = await startPostgres({ version })
    agent = await startTestAgent(server, { pool: { size: 8 }, splitWrites })
    link = agent.connect('c1')
  })
  // The agent's own work (a probe, what a notification left) may hold a connection at that moment.
  afterEach(() =>
    expect
      .poll(() => {
        const { busy, waiting } = agent.status()
        return { busy, waiting }
      })
      .toEqual({ busy: 0, waiting: 0 }),
  )
  afterAll(async () => {
    await agent?.stop()
    await server?.stop()
  })

  test('agent: any payload: the bytes of a direct connection', async () => {
    const raw = await RawPostgres.connect(server)
    const s = open()
    const payloads: (readonly [Buffer, ExecRequest['access']])[] = [
      [queryMessage('CREATE TABLE same (id int PRIMARY KEY, t text)'), 'write'],
      [queryMessage(`INSERT INTO same SELECT i, repeat('x', i) FROM generate_series(1, 3000) i`), 'write'],
      [queryMessage('SELECT * FROM same ORDER BY id'), 'read'],
      [queryMessage('SELECT 1; SELECT 2 AS two; nonsense'), 'read'],
      [queryMessage(''), 'read'],
      [queryMessage(`DO $$BEGIN RAISE NOTICE 'noticed'; END$$`), 'write'],
      [queryMessage('COPY same TO STDOUT'), 'read'],
      [extended('SELECT $1::int + 1', ['41']), 'read'],
      [extended('UPDATE same SET t = $1 WHERE id = 7', ['seven']), 'write'],
      [extended('UPDATE same SET id = 1'), 'write'],
      [extended(''), 'write'],
      [Buffer.concat([parse('', 'SELECT 1'), describeMessage('S', ''), SYNC]), 'write'],
      [Buffer.concat([parse('', 'TABLE same'), bind({}), execute('', 5), execute('', 5), SYNC]), 'write'],
      [Buffer.concat([extended('SELECT 1').subarray(0, -5), extended('SELECT 1/0')]), 'write'],
      [Buffer.concat([close('S', 'none'), SYNC]), 'read'],
      [SYNC, 'write'],
    ]
    for (const [payload, access] of payloads) {
      await raw.send(queryMessage('DROP TABLE IF EXISTS same_before; BEGIN; ROLLBACK'))
      const direct = await raw.send(Buffer.from(payload))
      if (access === 'write' && payload.includes('CREATE TABLE'))
        await raw.send(queryMessage('DROP TABLE same'))
      if (payload.includes('INSERT')) await raw.send(queryMessage('TRUNCATE same'))
      expect((await s.exec({ payload, access })).bytes.toString('latin1')).toBe(direct.toString('latin1'))
    }
    raw.close()
  })

  test('agent: swallow mask: those replies are left out', async () => {
    const s = open()
    const payload = Buffer.concat([
      parse('', 'CREATE TEMP TABLE IF NOT EXISTS x()'),
      bind({}),
      describeMessage('P', ''),
      execute(),
      SYNC,
    ])
    const types = async (swallow: number) => (await s.exec({ payload, swallow, access: 'write' })).types
    expect(await types(0)).toBe('12nCZ')
    expect(await types(1)).toMatch(/^2nN?CZ$/)
    expect(await types(3)).toMatch(/^nN?CZ$/)
    expect(await types(7)).toMatch(/^N?CZ$/)
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

  test.each([false, true])(
    'agent: a transaction that its session has forgotten: no statement runs in it (pinned: %s)',
    async (pin) => {
      const s = open()
      await s.query('CREATE TABLE IF NOT EXISTS kept (a int); TRUNCATE kept', { access: 'write' })
      await s.query('INSERT INTO kept VALUES (1)', { begin: ['BEGIN'], access: 'write', pin })
      const insert = { payload: queryMessage('INSERT INTO kept VALUES (2)'), access: 'write', pin } as const
      const unseen = await s.exec({ ...insert, within: false })
      expect([unseen.error?.code, unseen.error?.message, unseen.sent]).toEqual([
        'XX000',
        expect.stringContaining('was left open on shard'),
        false,
      ])
      expect((await s.exec({ ...insert, within: false })).ready).toBe('I')
      expect(await query(server.url, 'SELECT a FROM kept')).toEqual([{ a: 2 }])
      expect((await s.exec({ ...insert, begin: ['BEGIN'], within: false })).ready).toBe('T')
      expect((await s.exec({ ...insert, begin: ['BEGIN'], within: false })).error?.code).toBe('XX000')
      await s.session.reset()
      expect(await query(server.url, 'SELECT a FROM kept')).toEqual([{ a: 2 }])
    },
  )

  test('agent: a statement of a transaction that is not there does not run by itself', async () => {
    const s = open()
    const inside = { payload: queryMessage('SELECT 1'), within: true }
    expect((await s.exec(inside)).error?.message).toContain('is gone on shard')
    await s.query('SELECT 1', { begin: ['BEGIN'] })
    expect((await s.exec(inside)).ready).toBe('T')
    expect((await s.query('ROLLBACK', { within: true })).ready).toBe('I')
    expect((await s.query('SELECT 1', { within: false })).ready).toBe('I')
  })

  test.each(['simple', 'extended'])(
    'agent: begin fails ahead of %s: its error is the reply, the payload does not run',
    async (protocol) => {
      const sql = 'CREATE TABLE never_there()'
      const payload = protocol === 'simple' ? queryMessage(sql) : extended(sql)
      const s = open()
      const second = await s.exec({ payload, begin: ['BEGIN', 'SET LOCAL nonsense = 1'], access: 'write' })
      expect(second.error?.code).toBe('42704')
      expect(second.types).toBe('EZ')
      expect(second.ready).toBe('E')
      expect((await s.query('ROLLBACK')).ready).toBe('I')
      const first = await s.exec({
        payload,
        begin: ['BEGIN ISOLATION LEVEL odd', 'SELECT 1'],
        access: 'write',
      })
      expect(first.error?.code).toBe('42601')
      expect(first.ready).toBe('I')
      expect(await s.value(`SELECT to_regclass('never_there')`)).toBe(null)
    },
  )

  test('agent: prepared statements: parsed where they are missing, forgotten when they no longer fit', async () => {
    const s = open()
    await s.query('CREATE TABLE fit (a int); INSERT INTO fit VALUES (1)', { access: 'write' })
    const statement = { name: 'w1', parse: parse('w1', 'SELECT * FROM fit') }
    const payload = Buffer.concat([bind({ statement: 'w1' }), execute(), SYNC])
    const run = () => s.exec({ payload, needs: [statement] })
    expect((await run()).types).toBe('2DCZ')
    expect((await run()).types).toBe('2DCZ')
    const other = open()
    await s.query('SELECT 1', { begin: ['BEGIN'] })
    expect((await other.exec({ payload, needs: [statement, statement] })).types).toBe('2DCZ')
    expect((await run()).types).toBe('2DCZ')
    await s.query('COMMIT', { access: 'commit' })
    await s.query('ALTER TABLE fit ADD b int', { access: 'write' })
    const heard: string[] = []
    const events = { mapVersion() {}, quota() {}, up() {}, down() {} }
    link.subscribe({ ...events, news: (what) => void heard.push(what) })
    const refused = await run()
    // Alone nothing of it is left, and it can be run again; its coordinators are told.
    expect([refused.error?.fields.routine, refused.sent]).toEqual(['RevalidateCachedQuery', false])
    expect(heard).toEqual(['schema'])
    expect((await run()).rows).toEqual([['1', null]])
    const wrong = { name: 'w2', parse: parse('w2', 'SELECT nothing FROM fit') }
    const needsWrong = {
      payload: Buffer.concat([bind({ statement: 'w2' }), execute(), SYNC]),
      needs: [wrong],
    }
    for (let i = 0; i < 2; i++) {
      const reply = await s.exec(needsWrong)
      expect([reply.types, reply.error?.code]).toEqual(['EZ', '42703'])
    }
  })

  test('agent: settings: set before the statement, gone for the next session', async () => {
    await query(server.url, 'CREATE ROLE plain LOGIN')
    for (const user of [server.user, 'plain']) {
      const a = open(user)
      const b = open(user)
      const settings = settingsOf(`SET work_mem = '5MB'; SET TimeZone = 'Asia/Tokyo';`)
      const reply = await a.query('SHOW work_mem', { settings })
      // Its ParameterStatus is not for the client.
      expect([reply.types, reply.rows]).toEqual(['TDCZ', [['5MB']]])
      expect(await b.value('SHOW work_mem')).toBe('4MB')
      expect(await a.value('SHOW TimeZone', { settings })).toBe('Asia/Tokyo')
    }
    const s = open()
    const asPlain = settingsOf('SET ROLE plain;')
    expect(await s.value('SELECT current_user', { settings: asPlain })).toBe('plain')
    expect(await s.value('SELECT current_user')).toBe(server.user)
    const bad = await s.query('SELECT 1', { settings: settingsOf('SET ROLE nobody_there;') })
    expect([bad.types, bad.error?.code, bad.ready]).toEqual(['EZ', '22023', 'I'])
    expect(await s.value('SELECT current_user')).toBe(server.user)
    await s.query(`SET work_mem = '6MB'`, { taints: true })
    expect(await open().value('SHOW work_mem')).toBe('4MB')
  })

  test('agent: pinned: keeps its backend, which is clean when it goes back', async () => {
    const s = open()
    await s.query('CREATE TEMP TABLE mine (a int); LISTEN news', { pin: true, access: 'write' })
    expect(s.session.holdsBackend).toBe(true)
    await query(server.url, `NOTIFY news, 'hello'`)
    expect(await s.value('SELECT count(*) FROM mine', { pin: true })).toBe('0')
    await query(server.url, `NOTIFY news, 'again'`)
    await expect.poll(() => Buffer.concat(s.asyncs).includes('again')).toBe(true)
    await s.session.reset()
    expect(s.session.holdsBackend).toBe(false)
    expect(await s.value(`SELECT to_regclass('mine')`)).toBe(null)
    await s.query('CREATE TEMP TABLE mine (a int)', { pin: true, access: 'write' })
    expect(await s.value('SELECT 1', { pin: false })).toBe('1')
    await expect.poll(() => agent.status().busy).toBe(0)
    expect(await s.value(`SELECT to_regclass('mine')`)).toBe(null)
  })

  test('agent: reset and close in a transaction: rolled back', async () => {
    const s = open()
    await s.query('CREATE TABLE undone ()', { begin: ['BEGIN'], access: 'write' })
    await s.session.reset()
    expect(await s.value(`SELECT to_regclass('undone')`)).toBe(null)
    await s.query('CREATE TABLE undone ()', { begin: ['BEGIN'], access: 'write' })
    s.session.close()
    await expect.poll(() => agent.status().busy).toBe(0)
    expect(await open().value(`SELECT to_regclass('undone')`)).toBe(null)
  })

  test.each([
    ['the BEGIN', { begin: ['BEGIN'] }],
    ['the settings', { settings: settingsOf("SET work_mem TO '5MB';") }],
    ['a missing statement', { needs: [{ name: 'w1', parse: parse('w1', 'SELECT 2') }] }],
  ])('agent: a notification between two statements, seen with the reply to %s: told', async (_, request) => {
    const s = open()
    await s.query('LISTEN heard', { pin: true })
    s.session.pause()
    await query(server.url, "NOTIFY heard, 'in between'")
    const reply = s.query('SELECT 1', { pin: true, ...request })
    s.session.resume()
    expect((await reply).rows).toEqual([['1']])
    await s.query('ROLLBACK')
    expect(Buffer.concat([...s.asyncs, (await reply).bytes]).toString()).toContain('in between')
    await s.session.reset()
    await expect.poll(() => agent.status().busy).toBe(0)
  })

  test('agent: a reply larger than any buffer, read slowly: whole', async () => {
    const s = open()
    let bytes = 0
    s.onChunk = (chunk) => {
      bytes += chunk.length
      s.session.pause()
      setImmediate(() => s.session.resume())
    }
    const reply = await s.query(`SELECT repeat('x', 1000) FROM generate_series(1, 5000)`)
    expect(reply.ready).toBe('I')
    expect(bytes).toBeGreaterThan(5_000_000)
    s.onChunk = undefined
    expect(await s.value('SELECT 1')).toBe('1')
  })

  test('agent: status: what the server says of itself', () => {
    const status = agent.status()
    expect(status).toMatchObject({ shard: 0, up: true, poolSize: 8, prepared: 0, waiting: 0 })
    expect(status.parameters.server_version).toMatch(new RegExp(`^${version}\\.`))
  })
})
