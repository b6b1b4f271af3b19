import { createConnection } from 'node:net'
import pg from 'pg'
import postgres from 'postgres'
import { afterEach, describe, expect, test } from 'vitest'
import { cancelRequest, query, SSL_REQUEST, startup } from '../../protocol/wire/frontend-messages.ts'
import { testTls } from '../helpers/test-tls.ts'
import { ask, connectDirectTls, connectTls, listeners, RawClient, ssl } from './listener-harness.ts'

const { start, closeAll } = listeners()
afterEach(closeAll)

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
    const { port, sessions } = await start()
    const sql = postgres({ host: '127.0.0.1', port, user: 'ann', max: 1, fetch_types: false })
    const waiting = sql.unsafe('wait').simple()
    const failed = expect(waiting).rejects.toMatchObject({ code: '57014' })
    await expect.poll(() => sessions.length).toBe(1)
    waiting.cancel()
    await failed
    await sql.end()
  })
})
