import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { PgError } from '../../errors/pg-error.ts'
import { ScramClient } from '../../protocol/scram/scram-client.ts'
import { deriveKeys, parseVerifier } from '../../protocol/scram/verifier.ts'
import { query, saslInitialResponse, saslResponse, startup } from '../../protocol/wire/frontend-messages.ts'
import { cs, i32, packet } from '../helpers/naive-encoder.ts'
import { ask, listeners, RawClient, scram, ssl, trust, verifiers } from './listener-harness.ts'

const { start, closeAll } = listeners()
afterEach(closeAll)

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

const run = promisify(execFile)
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
