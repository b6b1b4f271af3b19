import { createConnection } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { GSS_ENC_REQUEST, query, SSL_REQUEST, startup } from '../../protocol/wire/frontend-messages.ts'
import { cs, i32, packet } from '../helpers/naive-encoder.ts'
import { connectTls, listeners, RawClient, startListener } from './listener-harness.ts'

const { start, closeAll } = listeners()
afterEach(closeAll)

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

  test.each([
    ['too long a packet', startup({ user: 'a'.repeat(10_000) })],
    // What node-postgres sends that is ended before it is connected.
    ['Terminate', Buffer.from('X\0\0\0\u0004', 'latin1')],
  ])('listener: %s in place of a startup packet: closed without an answer', async (_what, bytes) => {
    const { port } = await start()
    const socket = createConnection(port, '127.0.0.1').end(bytes)
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    expect(Buffer.concat(chunks).toString()).toBe('')
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
