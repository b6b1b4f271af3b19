import { chown, stat, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { deriveKeys, parseVerifier } from '../../protocol/scram/verifier.ts'
import { parsePostgresUrl, startAgent } from '../../shard-agent/main.ts'
import { HlcClock, timestampMs } from '../../txn/hlc.ts'
import { MemoryTxnLog } from '../../txn/log/memory-txn-log.ts'
import { clientOf, quietLog, startTestAgent, TestSession } from '../helpers/agent-client.ts'
import { freePort } from '../helpers/free-port.ts'
import { connectTo, query, startPostgres, type TestPostgres } from '../helpers/postgres.ts'
import { testTls } from '../helpers/test-tls.ts'

describe('agent start', () => {
  let server: TestPostgres
  beforeAll(async () => {
    server = await startPostgres()
  })
  afterAll(async () => {
    await server?.stop()
  })
  const startAt = (url: string) =>
    startAgent({
      shard: 2,
      postgres: parsePostgresUrl(url),
      cluster: 'test',
      clock: new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 }),
      log: quietLog,
      txnLog: new MemoryTxnLog(),
    })

  test('start: nothing listens there: one line with the address', async () => {
    const port = await freePort()
    await expect(startAt(`postgres://postgres@127.0.0.1:${port}/postgres`)).rejects.toMatchObject({
      code: '08006',
      message: `shard 2 cannot be reached at 127.0.0.1:${port}: connect ECONNREFUSED 127.0.0.1:${port}`,
    })
  })

  test('start: no such database, no such role: Postgres’ error, with the shard', async () => {
    const where = `127.0.0.1:${server.port}`
    await expect(startAt(`postgres://${server.user}@${where}/missing`)).rejects.toMatchObject({
      code: '3D000',
      message: `shard 2 (${where}): database "missing" does not exist`,
    })
    await expect(startAt(`postgres://missing@${where}/${server.database}`)).rejects.toMatchObject({
      code: '28000',
    })
  })

  test.each(['scram-sha-256', 'md5', 'password'])(
    'start: password by %s: right one in, wrong one out',
    async (method) => {
      const guarded = await startPostgres()
      const secret = 'pass wörd'
      await query(
        guarded.url,
        `SET password_encryption = '${method === 'md5' ? 'md5' : 'scram-sha-256'}';
      CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '${secret}'`,
      )
      await writeFile(
        `${guarded.dataDir}/pg_hba.conf`,
        `host all keeper 127.0.0.1/32 ${method}\nlocal all all trust\n`,
      )
      await query(guarded.url.replace('127.0.0.1', 'localhost'), 'SELECT pg_reload_conf()')
      const url = (password: string) =>
        `postgres://keeper:${encodeURIComponent(password)}@127.0.0.1:${guarded.port}/${guarded.database}`
      await expect
        .poll(() =>
          query(guarded.url, 'SELECT 1').then(
            () => 'in',
            () => 'out',
          ),
        )
        .toBe('out')
      const agent = await startTestAgent({ url: url(secret) })
      const s = new TestSession(agent.connect('c1'), 1, clientOf('keeper'))
      expect(await s.value('SELECT current_user')).toBe('keeper')
      await agent.stop()
      await expect(startTestAgent({ url: url('wrong') })).rejects.toMatchObject({
        code: '28P01',
        message: `shard 0 (127.0.0.1:${guarded.port}): password authentication failed for user "keeper"`,
      })
      await expect(startTestAgent({ url: url('') })).rejects.toMatchObject({ code: '28000' })
      await guarded.stop()
    },
  )

  test('login: by the keys of a client’s own SCRAM login: as that client', async () => {
    const guarded = await startPostgres()
    await query(guarded.url, `CREATE ROLE client LOGIN PASSWORD 'secret'`)
    const [stored] = await query<{ rolpassword: string }>(
      guarded.url,
      `SELECT rolpassword FROM pg_authid WHERE rolname = 'client'`,
    )
    const { salt, iterations } = parseVerifier(stored!.rolpassword)!
    await writeFile(
      `${guarded.dataDir}/pg_hba.conf`,
      'host all client all scram-sha-256\nhost all all all trust\n',
    )
    await query(guarded.url, 'SELECT pg_reload_conf()')
    const agent = await startTestAgent({ url: guarded.url })
    const link = agent.connect('c1')
    const login = (id: number, password?: string) =>
      new TestSession(link, id, {
        kind: 'client',
        user: 'client',
        ...(password === undefined ? {} : { scram: deriveKeys(password, salt, iterations) }),
      })
    let id = 10
    // Once the new rules are in force: without keys there is nothing to log in with.
    await expect.poll(async () => (await login(++id).query('SELECT 1')).error?.code).toBe('28000')
    expect((await login(1, 'wrong').query('SELECT 1')).error?.code).toBe('28P01')
    expect(await login(2, 'secret').value('SELECT session_user')).toBe('client')
    await agent.stop()
    await guarded.stop()
  })

  test('start: no prepared transactions allowed: what to run', async () => {
    const bare = await startPostgres({ settings: { max_prepared_transactions: '0' } })
    await expect(startAt(bare.url)).rejects.toMatchObject({
      message:
        'shard 2: max_prepared_transactions is 0; ' +
        'run ALTER SYSTEM SET max_prepared_transactions = 200 and restart that server',
    })
    await bare.stop()
  })

  test('start: a pool for which the server has no room: a line that says so', async () => {
    const warned: string[] = []
    const log = { ...quietLog, warn: (...told: unknown[]) => void warned.push(String(told.at(-1))) }
    const options = { shard: 2, postgres: parsePostgresUrl(server.url), cluster: 'test', log }
    const clock = new HlcClock({ wallMs: Date.now, maxOffsetMs: 500 })
    const start = (size: number) =>
      startAgent({ ...options, clock, txnLog: new MemoryTxnLog(), pool: { size } })
    await (await start(20)).stop()
    expect(warned.filter((line) => line.includes('max_'))).toEqual([])
    await (await start(5000)).stop()
    expect(warned.filter((line) => line.includes('max_'))).toEqual([
      expect.stringMatching(/^agent: max_prepared_transactions is \d+; 10000 may be needed$/),
      expect.stringMatching(
        /^agent: max_connections leaves \d+ connections; the pool takes 5000, and a few more/,
      ),
    ])
  })

  test('start: another agent serves the shard: refused, until that one stops', async () => {
    const first = await startTestAgent(server)
    await expect(startTestAgent(server)).rejects.toMatchObject({
      code: '55006',
      message: 'shard 0 is served by another agent; stop that one first',
    })
    const second = startTestAgent(server, { takeoverTimeoutMs: 20_000 })
    await first.stop()
    const taken = await second
    const [row] = await query<{ generation: string }>(
      server.url,
      'SELECT generation FROM weft.agent WHERE shard = 0',
    )
    expect(Number(row!.generation)).toBe(2)
    await taken.stop()
  })

  test('ownership: the connection with the lock is killed: what runs ends, then it serves again', async () => {
    const agent = await startTestAgent(server)
    const link = agent.connect('c1')
    const happened: string[] = []
    link.subscribe({
      mapVersion() {},
      quota() {},
      up: () => happened.push('up'),
      down: () => happened.push('down'),
    })
    const s = new TestSession(link, 1, clientOf(server.user))
    await s.query('SELECT 1', { begin: ['BEGIN'] })
    await query(
      server.url,
      `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = 0 AND objsubid = 2`,
    )
    await expect.poll(() => happened).toEqual(['up', 'down', 'up'])
    expect((await s.query('SELECT 1')).error?.code).toBe('57P01')
    expect(await s.value('SELECT 1')).toBe('1')
    await agent.stop()
  })

  test('ownership: a former agent’s connections: ended before the new one serves', async () => {
    const first = await startTestAgent(server)
    const s = new TestSession(first.connect('c1'), 1, clientOf(server.user))
    const pid = await s.value('SELECT pg_backend_pid()', { begin: ['BEGIN'] })
    // It hangs, and its lock goes, before the new one comes.
    const taken = startTestAgent(server, { takeoverTimeoutMs: 20_000 })
    await first.stop()
    const second = await taken
    expect(await query(server.url, `SELECT FROM pg_stat_activity WHERE pid = ${pid}`)).toEqual([])
    await second.stop()
  })

  test('clock: started with the bound on the shard: never behind what was issued before', async () => {
    const issued: bigint[] = []
    for (let i = 0; i < 3; i++) {
      // Each run's wall clock is an hour behind the one before.
      const offsetMs = i * 3_600_000
      let clock: HlcClock | undefined
      const agent = await startTestAgent(server, {
        clock: (bound) => {
          clock = new HlcClock({ wallMs: () => Date.now() - offsetMs, maxOffsetMs: 500, bound })
          return clock
        },
      })
      const now = clock!.now()
      for (const before of issued) expect(now > before).toBe(true)
      issued.push(now)
      expect(timestampMs(now)).toBeGreaterThan(0)
      await agent.stop()
    }
  })

  test('start: TLS: as sslmode says', async () => {
    const secured = await startPostgres()
    await writeFile(`${secured.dataDir}/server.crt`, testTls.cert)
    await writeFile(`${secured.dataDir}/server.key`, testTls.key, { mode: 0o600 })
    const owner = await stat(secured.dataDir)
    for (const name of ['server.crt', 'server.key'])
      await chown(`${secured.dataDir}/${name}`, owner.uid, owner.gid)
    await query(secured.url, 'ALTER SYSTEM SET ssl = on')
    await query(secured.url, 'SELECT pg_reload_conf()')
    const inTls = `SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`
    const at = (mode: string) => ({ url: `${secured.url}?sslmode=${mode}` })
    for (const [mode, expected] of [
      ['disable', 'f'],
      ['prefer', 't'],
      ['require', 't'],
    ] as const) {
      await expect.poll(async () => (await query(secured.url, 'SHOW ssl'))[0]).toEqual({ ssl: 'on' })
      const agent = await startTestAgent(at(mode))
      const s = new TestSession(agent.connect('c1'), 1, clientOf(secured.user))
      expect(await s.value(inTls)).toBe(expected)
      const rows = (await s.query(`SELECT repeat('x', 100000) FROM generate_series(1, 20)`)).rows
      expect(rows.map((row) => row[0]?.length)).toEqual(Array(20).fill(100000))
      await agent.stop()
    }
    await expect(startTestAgent(at('verify-full'))).rejects.toMatchObject({ code: '08006' })
    await secured.stop()
    await expect(startTestAgent({ url: `${server.url}?sslmode=require` })).rejects.toMatchObject({
      code: '08006',
      message: expect.stringContaining('the server does not support SSL') as string,
    })
  })

  test('stop: nothing of it stays on the server', async () => {
    const agent = await startTestAgent(server)
    const link = agent.connect('c1')
    const sessions = [1, 2, 3].map((id) => new TestSession(link, id, clientOf(server.user)))
    await Promise.all(sessions.map((s) => s.query('SELECT 1', { begin: ['BEGIN'] })))
    const beside = await connectTo(server.url)
    await agent.stop()
    const left = `SELECT query FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
    expect((await beside.query(left)).rows).toEqual([])
    await beside.end()
  })
})
