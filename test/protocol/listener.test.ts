import { execFile } from 'node:child_process'
import { createConnection } from 'node:net'
import { promisify } from 'node:util'
import pg from 'pg'
import postgres from 'postgres'
import { afterEach, describe, expect, test } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { deriveKeys, parseVerifier } from '../../protocol/scram/verifier.ts'
import {
  cancelRequest,
  GSS_ENC_REQUEST,
  query,
  SSL_REQUEST,
  startup,
} from '../../protocol/wire/frontend-messages.ts'
import { cs, i32, packet } from '../helpers/naive-encoder.ts'
import { testTls } from '../helpers/test-tls.ts'
import {
  connectDirectTls,
  connectTls,
  type Harness,
  RawClient,
  scram,
  startListener,
  trust,
  verifiers,
} from './listener-harness.ts'

const run = promisify(execFile)
const started: Harness[] = []
afterEach(async () => {
  for (const { listener } of started.splice(0)) {
    await listener.close()
    expect(listener.sessions).toBe(0)
    expect(listener.cancelKeys.size).toBe(0)
  }
})

async function start(...options: Parameters<typeof startListener>): Promise<Harness> {
  const harness = await startListener(...options)
  started.push(harness)
  return harness
}

/** Logs in with node-postgres and asks one question; the row, or the SQLSTATE. */
async function ask(port: number, config: pg.ClientConfig): Promise<unknown> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'ann', database: 'shop', ...config })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query('who')).rows[0]
  } catch (error) {
    return (error as { code?: string }).code ?? error
  } finally {
    await client.end().catch(() => undefined)
  }
}

const ssl = { ca: testTls.cert, servername: 'localhost' }

describe('listener: startup', () => {
  test('listener: trust: a session with the parameters of the packet', async () => {
    const { port, sessions } = await start()
    const packetBytes = startup({ user: 'ann', database: 'shop', options: '-c a=b', TimeZone: 'UTC' })
    const client = RawClient.connect(port).send(packetBytes)
    expect(await client.take('R')).toEqual(Buffer.from(i32(0)))
    const key = await client.take('K')
    await client.take('Z')
    expect(sessions[0]).toMatchObject({ user: 'ann', database: 'shop', tls: false, address: '127.0.0.1' })
    expect(Object.fromEntries(sessions[0]!.parameters)).toEqual({
      user: 'ann',
      database: 'shop',
      options: '-c a=b',
      TimeZone: 'UTC',
    })
    expect(key).toEqual(Buffer.from([...i32(sessions[0]!.pid), ...sessions[0]!.secret]))
    client.socket.destroy()
  })

  test('listener: no database: that of the user; what follows the packet: kept', async () => {
    const { port } = await start()
    const client = RawClient.connect(port)
    client.send(Buffer.concat([startup({ user: 'ann' }), query('first'), query('second')]))
    const rows = [await client.take('D'), await client.take('D')].map((row) => row?.toString('latin1'))
    expect(rows[0]).toMatch(/ann.*ann.*false.*first/s)
    expect(rows[1]).toContain('second')
    client.socket.destroy()
  })

  test('listener: a packet byte by byte: read', async () => {
    const { port } = await start()
    const client = RawClient.connect(port)
    client.socket.setNoDelay(true)
    for (const byte of startup({ user: 'ann' })) {
      await new Promise((resolve) => client.socket.write(Buffer.of(byte), resolve))
    }
    expect(await client.take('Z')).toBeDefined()
    client.socket.destroy()
  })

  test.each([
    [
      'no user',
      startup({ database: 'shop' }),
      '28000',
      'no PostgreSQL user name specified in startup packet',
    ],
    ['an empty user', startup({ user: '' }), '28000', 'no PostgreSQL user name specified in startup packet'],
    ['an unknown user', startup({ user: 'nobody' }), '28000', 'role "nobody" does not exist'],
    [
      'a role without LOGIN',
      startup({ user: 'locked' }),
      '28000',
      'role "locked" is not permitted to log in',
    ],
    ['replication', startup({ user: 'ann', replication: 'database' }), '0A000', 'replication connections'],
    ['protocol 2', packet(i32(2 << 16), Buffer.alloc(288)), '0A000', 'unsupported frontend protocol 2.0'],
    ['protocol 4', startup({ user: 'ann' }, 4 << 16), '0A000', 'unsupported frontend protocol 4.0'],
    ['no terminator', packet(i32(196608), cs('user'), cs('ann')), '08P01', 'invalid startup packet layout'],
    [
      'bytes after the end',
      packet(i32(196608), cs('user'), cs('a'), [0, 1]),
      '08P01',
      'invalid startup packet layout',
    ],
    ['too long a packet', startup({ user: 'a'.repeat(10_000) }), '08P01', 'invalid length of startup packet'],
    ['two SSLRequests', Buffer.concat([SSL_REQUEST, SSL_REQUEST]), '0A000', 'protocol 1234.5679'],
  ])('listener: %s: %s %s', async (what, bytes, code, message) => {
    const { port } = await start()
    const socket = createConnection(port, '127.0.0.1')
    if (what === 'two SSLRequests') {
      // Its first answer is no message.
      socket.write(SSL_REQUEST)
      expect((await new Promise<Buffer>((resolve) => socket.once('data', resolve))).toString()).toBe('N')
      bytes = SSL_REQUEST
    }
    const error = await new RawClient(socket).send(bytes).lastError()
    expect(error).toMatchObject({ severity: 'FATAL', code, message: expect.stringContaining(message) })
  })

  test('listener: replication=false: an ordinary session', async () => {
    const { port } = await start()
    const client = RawClient.connect(port).send(startup({ user: 'ann', replication: 'off' }))
    expect(await client.take('Z')).toBeDefined()
    client.socket.destroy()
  })

  test('listener: protocol 3.2 with options: negotiated down to 3.0', async () => {
    const { port, sessions } = await start()
    const client = RawClient.connect(port).send(startup({ user: 'ann', '_pq_.x': '1' }, (3 << 16) | 2))
    expect(await client.take('v')).toEqual(Buffer.from([...i32(196608), ...i32(1), ...cs('_pq_.x')]))
    expect(await client.take('Z')).toBeDefined()
    expect(sessions[0]!.parameters.has('_pq_.x')).toBe(false)
    client.socket.destroy()
  })

  test('listener: GSSENCRequest, then SSLRequest without TLS, then startup: N, N, session', async () => {
    const { port } = await start()
    const socket = createConnection(port, '127.0.0.1')
    const byte = () => new Promise<Buffer>((resolve) => socket.once('data', resolve))
    socket.write(GSS_ENC_REQUEST)
    expect((await byte()).toString()).toBe('N')
    socket.write(SSL_REQUEST)
    expect((await byte()).toString()).toBe('N')
    const client = new RawClient(socket).send(startup({ user: 'ann' }))
    expect(await client.take('Z')).toBeDefined()
    socket.destroy()
  })
})

describe('listener: access rules', () => {
  test('listener: no rule for the address: 28000', async () => {
    const { port } = await start({ authRules: [{ from: ['10.0.0.0/8'], method: 'trust' }] })
    expect(await ask(port, {})).toBe('28000')
  })

  test('listener: a rule that wants TLS: only with TLS', async () => {
    const { port } = await start({
      withTls: true,
      authRules: [{ from: ['all'], tls: 'require', method: 'trust' }],
    })
    expect(await ask(port, {})).toBe('28000')
    expect(await ask(port, { ssl })).toMatchObject({ tls: 'true' })
  })

  test('listener: sessions taken: 53300, and free again after one ends', async () => {
    const limits = { sessionsMax: 2, startupTimeoutMs: 60_000, startupBytesMax: 10_000 }
    const { port, listener } = await start({ limits })
    const clients = [1, 2].map(() => RawClient.connect(port).send(startup({ user: 'ann' })))
    for (const client of clients) await client.take('Z')
    expect(await ask(port, {})).toBe('53300')
    clients[0]!.socket.end()
    await clients[0]!.closed
    await expect.poll(() => listener.sessions).toBe(1)
    expect(await ask(port, {})).toMatchObject({ user: 'ann' })
    clients[1]!.socket.destroy()
  })

  test('listener: roles cannot be looked up: that error, FATAL, and the next client is served', async () => {
    let fails = 2
    const lookupVerifier = async () => {
      if (fails-- === 2) throw new PgError({ code: '08006', message: 'shard 0 cannot be reached' })
      if (fails === 0) throw new TypeError('a bug')
      return { exists: true, canLogin: true }
    }
    const { port, logged } = await start({ lookupVerifier })
    const error = await RawClient.connect(port)
      .send(startup({ user: 'ann' }))
      .lastError()
    expect(error).toMatchObject({ severity: 'FATAL', code: '08006' })
    expect(await ask(port, {})).toBe('XX000')
    expect(logged.join()).toContain('client connection failed')
    expect(await ask(port, {})).toMatchObject({ user: 'ann' })
  })
})

describe('listener: SCRAM', () => {
  test.each([
    ['the right password', 'ann', 'ann-secret', { user: 'ann' }],
    ['a password that SASLprep changes', 'Bö b', 'gehe\u00adim ü', { user: 'Bö b' }],
    ['a wrong password', 'ann', 'other', '28P01'],
    ['an unknown user', 'nobody', 'x', '28P01'],
    ['a user without password', 'passwordless', 'x', '28P01'],
    ['an expired password', 'expired', 'expired', '28P01'],
    ['a role without LOGIN', 'locked', 'locked', '28000'],
  ])('listener: %s: the same with and without TLS', async (_what, user, password, expected) => {
    const { port } = await start({ withTls: true, authRules: scram })
    for (const more of [{}, { ssl }, { ssl, enableChannelBinding: true }]) {
      const result = await ask(port, { user, password, ...more })
      if (typeof expected === 'string') expect(result).toBe(expected)
      else expect(result).toMatchObject(expected)
    }
  })

  test('listener: an unknown user: the same salt every time, like a real one', async () => {
    const { port } = await start({ authRules: scram })
    const offer = async (user: string) => {
      const client = RawClient.connect(port).send(startup({ user }))
      await client.take('R')
      client.send(Buffer.concat([Buffer.from('p'), packet(cs('SCRAM-SHA-256'), i32(9), 'n,,n=,r=a')]))
      const reply = (await client.take('R'))!.toString('latin1', 4)
      client.socket.destroy()
      return /s=(.*),i=(.*)$/.exec(reply)!.slice(1)
    }
    const [known, unknown, again, other] = await Promise.all(['ann', 'x', 'x', 'y'].map(offer))
    expect(again).toEqual(unknown)
    expect(other).not.toEqual(unknown)
    expect(unknown!.map((part) => part.length)).toEqual(known!.map((part) => part.length))
  })

  test('listener: logged in: ClientKey and ServerKey are those of the password', async () => {
    const { port, sessions } = await start({ authRules: scram })
    await ask(port, { password: 'ann-secret' })
    const { salt, iterations } = parseVerifier(verifiers.ann)!
    expect(sessions[0]!.scram).toEqual(deriveKeys('ann-secret', salt, iterations))
  })

  test('listener: a first query sent along with the last SCRAM message: answered', async () => {
    const { port } = await start({ authRules: scram })
    const { ScramClient } = await import('../../protocol/scram/scram-client.ts')
    const { saslInitialResponse, saslResponse } = await import('../../protocol/wire/frontend-messages.ts')
    const exchange = new ScramClient({ credentials: { password: 'ann-secret' }, nonce: 'abc' })
    const client = RawClient.connect(port)
    client.send(
      Buffer.concat([startup({ user: 'ann' }), saslInitialResponse('SCRAM-SHA-256', exchange.first())]),
    )
    await client.take('R')
    const final = exchange.final((await client.take('R'))!.toString('utf8', 4))
    client.send(Buffer.concat([saslResponse(final), query('early')]))
    expect((await client.take('D'))?.toString('latin1')).toContain('early')
    client.socket.destroy()
  })

  test.each([
    ['another message', query('x'), 'expected SASL response, got message type 81'],
    [
      'an unknown mechanism',
      Buffer.from([0x70, ...i32(10), ...cs('A'), ...i32(-1)]),
      'invalid SASL authentication mechanism',
    ],
    ['a message too long', Buffer.from([0x70, ...i32(1 << 20)]), 'invalid message length'],
    [
      'no initial response',
      Buffer.concat([Buffer.from('p'), packet(cs('SCRAM-SHA-256'), i32(-1))]),
      'malformed SCRAM message',
    ],
  ])('listener: %s in place of SASL: 08P01', async (_what, bytes, message) => {
    const { port } = await start({ authRules: scram })
    const client = RawClient.connect(port).send(startup({ user: 'ann' }))
    await client.take('R')
    const error = await client.send(bytes).lastError()
    expect(error).toMatchObject({
      severity: 'FATAL',
      code: '08P01',
      message: expect.stringContaining(message),
    })
  })
})

describe('listener: TLS', () => {
  test('listener: SSLRequest: S, then a session over TLS', async () => {
    const { port, sessions } = await start({ withTls: true })
    const client = (await connectTls(port)).send(startup({ user: 'ann' }))
    expect(await client.take('Z')).toBeDefined()
    expect(sessions[0]).toMatchObject({ tls: true })
    client.socket.destroy()
  })

  test('listener: bytes behind SSLRequest, before the handshake: 08P01', async () => {
    const { port, sessions } = await start({ withTls: true })
    const error = await RawClient.connect(port)
      .send(Buffer.concat([SSL_REQUEST, startup({ user: 'ann' })]))
      .lastError()
    expect(error).toMatchObject({ code: '08P01', message: 'received unencrypted data after SSL request' })
    expect(sessions).toEqual([])
  })

  test('listener: TLS from the first byte: with ALPN a session, without it refused', async () => {
    const { port } = await start({ withTls: true })
    const client = connectDirectTls(port, ['postgresql']).send(startup({ user: 'ann' }))
    expect(await client.take('Z')).toBeDefined()
    client.socket.destroy()
    const error = await connectDirectTls(port, undefined)
      .send(startup({ user: 'ann' }))
      .lastError()
    expect(error).toMatchObject({ code: '08P01', message: expect.stringContaining('without ALPN') })
    const other = connectDirectTls(port, ['h2'])
    await other.closed
    expect(other.messages).toEqual([])
  })

  test('listener: TLS from the first byte where TLS is off: closed', async () => {
    const { port } = await start()
    const client = connectDirectTls(port, ['postgresql'])
    await client.closed
    expect(client.messages).toEqual([])
  })

  test('listener: a handshake that is none: closed, the next client served', async () => {
    const { port } = await start({ withTls: true })
    const socket = createConnection(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(SSL_REQUEST)
    await new Promise((resolve) => socket.once('data', resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.resume()
    socket.write(startup({ user: 'ann' }))
    await closed
    expect(await ask(port, { ssl })).toMatchObject({ tls: 'true' })
  })

  test('listener: large results and many queries over TLS: whole', async () => {
    const { port } = await start({ withTls: true })
    const client = new pg.Client({ host: '127.0.0.1', port, user: 'ann', ssl })
    await client.connect()
    const big = 'x'.repeat(400_000)
    expect((await client.query(big)).rows[0].sql).toBe(big)
    await client.end()
  })

  test('listener: new certificate files: used by the next connection', async () => {
    const { port, listener } = await start()
    expect(await ask(port, { ssl })).toMatchObject({ message: expect.stringContaining('SSL') })
    listener.setTls(testTls)
    expect(await ask(port, { ssl })).toMatchObject({ tls: 'true' })
  })
})

describe('listener: cancel', () => {
  test.each([false, true])(
    'listener: cancel request, TLS %s: reaches its session, closed without a word',
    async (tls) => {
      const { port, sessions } = await start({ withTls: tls })
      const client = RawClient.connect(port).send(startup({ user: 'ann' }))
      await client.take('Z')
      client.send(query('wait'))
      const { pid, secret } = sessions[0]!
      const canceller = tls ? await connectTls(port) : RawClient.connect(port)
      canceller.send(cancelRequest(pid, secret))
      expect((await client.take('E'))?.toString()).toContain('57014')
      await canceller.closed
      expect(canceller.messages).toEqual([])
      client.socket.destroy()
    },
  )

  test('listener: a key of another node: passed on; after the session ended: void', async () => {
    const passedOn: number[] = []
    const { port, sessions, listener } = await start({ cancel: (pid) => passedOn.push(pid) })
    const client = RawClient.connect(port).send(startup({ user: 'ann' }))
    await client.take('Z')
    const { pid, secret } = sessions[0]!
    await RawClient.connect(port).send(cancelRequest(7, Buffer.alloc(32, 1))).closed
    expect(passedOn).toEqual([7])
    client.socket.destroy()
    await expect.poll(() => listener.cancelKeys.size).toBe(0)
    await RawClient.connect(port).send(cancelRequest(pid, secret)).closed
    expect(passedOn).toEqual([7, pid])
  })

  test('listener: all sessions taken: a cancel request still gets through', async () => {
    const limits = { sessionsMax: 1, startupTimeoutMs: 60_000, startupBytesMax: 10_000 }
    const { port, sessions } = await start({ limits })
    const client = RawClient.connect(port).send(startup({ user: 'ann' }))
    await client.take('Z')
    client.send(query('wait'))
    RawClient.connect(port).send(cancelRequest(sessions[0]!.pid, sessions[0]!.secret))
    expect(await client.take('E')).toBeDefined()
    client.socket.destroy()
  })

  test('listener: pg_cancel by postgres.js: the query is cancelled', async () => {
    const { port } = await start()
    const sql = postgres({ host: '127.0.0.1', port, user: 'ann', max: 1, fetch_types: false })
    const waiting = sql.unsafe('wait').simple()
    const failed = expect(waiting).rejects.toMatchObject({ code: '57014' })
    await expect.poll(() => started[0]!.sessions.length).toBe(1)
    waiting.cancel()
    await failed
    await sql.end()
  })
})

describe('listener: end', () => {
  test('listener: drained: sessions go on, handshakes and newcomers do not', async () => {
    const { port, listener } = await start()
    const session = RawClient.connect(port).send(startup({ user: 'ann' }))
    await session.take('Z')
    const halfway = RawClient.connect(port).send(startup({ user: 'ann' }).subarray(0, 6))
    const probe = RawClient.connect(port).send(startup({ user: 'ann' }))
    await probe.take('Z')
    listener.drain()
    expect(await halfway.lastError()).toMatchObject({ severity: 'FATAL', code: '57P01' })
    const late = RawClient.connect(port)
    await late.closed
    session.send(query('still here'))
    expect((await session.take('D'))?.toString('latin1')).toContain('still here')
  })

  test('listener: closed: every socket is closed, over TLS as well', async () => {
    const { port, listener } = await start({ withTls: true })
    const clients = [RawClient.connect(port), await connectTls(port)]
    for (const client of clients) await client.send(startup({ user: 'ann' })).take('Z')
    await listener.close()
    for (const client of clients) await client.closed
    expect(listener.sessions).toBe(0)
  })

  test('listener: the port is in use: listen rejects', async () => {
    const { port } = await start()
    await expect(startListener({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  })
})

const psql = await run('psql', ['--version']).then(
  () => true,
  () => false,
)
describe.skipIf(!psql)('listener: psql', () => {
  const ask = async (port: number, settings: string, password: string) => {
    const dsn = `host=localhost hostaddr=127.0.0.1 port=${port} user=ann dbname=shop ${settings}`
    const env = { ...process.env, PGPASSWORD: password }
    return await run('psql', ['-X', '-w', '-At', dsn, '-c', 'who'], { env }).then(
      (done) => done.stdout.trim(),
      (error: { stderr: string }) => error.stderr.trim(),
    )
  }

  test.each([
    ['sslmode=disable', 'ann|shop|false|who'],
    ['sslmode=require', 'ann|shop|true|who'],
    ['sslmode=require channel_binding=require', 'ann|shop|true|who'],
    ['sslmode=require channel_binding=disable', 'ann|shop|true|who'],
  ])('listener: psql %s: logged in', async (settings, row) => {
    const { port } = await start({ withTls: true, authRules: scram })
    expect(await ask(port, settings, 'ann-secret')).toBe(row)
    expect(await ask(port, settings, 'wrong')).toContain('password authentication failed for user "ann"')
  })

  test('listener: psql without TLS on the server, sslmode=prefer: falls back', async () => {
    const { port } = await start({ authRules: trust })
    expect(await ask(port, 'sslmode=prefer', '')).toBe('ann|shop|false|who')
  })
})
