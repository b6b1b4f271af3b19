import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { SSL_REQUEST, saslInitialResponse, startup } from '../../protocol/wire/frontend-messages.ts'
import { i32, seededRandom } from '../helpers/naive-encoder.ts'
import { connectTls, type Harness, RawClient, scram, startListener } from './listener-harness.ts'

let plain: Harness
let secured: Harness
/** A listener that gives up soon. */
let hasty: Harness

beforeAll(async () => {
  plain = await startListener({ authRules: scram })
  secured = await startListener({ authRules: scram, withTls: true })
  const limits = { sessionsMax: 10, startupTimeoutMs: 100, startupBytesMax: 10_000 }
  hasty = await startListener({ authRules: scram, withTls: true, limits })
})

afterAll(async () => {
  for (const harness of [plain, secured, hasty]) {
    await harness.listener.close()
    expect(harness.listener.sessions).toBe(0)
    expect(harness.sessions).toEqual([])
    expect(harness.logged.filter((line) => line.startsWith('client connection failed {"address"'))).toEqual(
      [],
    )
  }
})

/** Sends bytes and half-closes, as a peer that has nothing more to say; resolves when the server closed too. */
async function shove(port: number, bytes: Buffer): Promise<RawClient> {
  const client = RawClient.connect(port)
  client.socket.end(bytes)
  await client.closed
  return client
}

describe('listener garbage', () => {
  test('listener garbage: random bytes: closed every time', async () => {
    const seed = 31337
    const random = seededRandom(seed)
    for (let round = 0; round < 150; round++) {
      const bytes = Buffer.from(
        Array.from({ length: 1 + Math.floor(random() ** 2 * 400) }, () => random() * 256),
      )
      await shove(round % 2 === 0 ? plain.port : secured.port, bytes)
    }
  })

  test('listener garbage: startup packets with flipped bytes: closed every time', async () => {
    const random = seededRandom(7)
    const good = Buffer.concat([
      startup({ user: 'ann', database: 'x' }),
      saslInitialResponse('SCRAM-SHA-256', 'n,,n=,r=a'),
    ])
    for (let round = 0; round < 150; round++) {
      const bytes = Buffer.from(good)
      for (let i = 0; i < 1 + random() * 3; i++) bytes[Math.floor(random() * bytes.length)] = random() * 256
      await shove(plain.port, bytes)
    }
  })

  test('listener garbage: cut off at every byte: closed every time', async () => {
    const good = Buffer.concat([startup({ user: 'ann' }), saslInitialResponse('SCRAM-SHA-256', 'n,,n=,r=a')])
    for (let at = 0; at <= good.length; at++) await shove(plain.port, good.subarray(0, at))
  })

  test.each([0, 1, 7, -1, 10_001, 0x7fffffff, -0x80000000])(
    'listener garbage: startup length %d: closed, without an answer, though nothing follows',
    async (length) => {
      const client = RawClient.connect(plain.port).send(Buffer.from([...i32(length), ...i32(196608)]))
      expect(await client.lastError()).toBeUndefined()
    },
  )

  test.each([0, 3, -1, 0x7fffffff])('listener garbage: SASL length %d: 08P01', async (length) => {
    const client = RawClient.connect(plain.port).send(startup({ user: 'ann' }))
    await client.take('R')
    client.send(Buffer.from([0x70, ...i32(length)]))
    expect(await client.lastError()).toMatchObject({ severity: 'FATAL', code: '08P01' })
  })

  test('listener garbage: an HTTP client: closed without an answer', async () => {
    const client = RawClient.connect(plain.port).send(Buffer.from('GET / HTTP/1.1\r\nHost: weft\r\n\r\n'))
    expect(await client.lastError()).toBeUndefined()
  })

  test('listener garbage: a peer that goes on sending after it was refused: cut off', async () => {
    const client = RawClient.connect(plain.port).send(Buffer.alloc(64, 0xff))
    const flood = setInterval(() => client.socket.write(Buffer.alloc(1024)), 5)
    await client.closed
    clearInterval(flood)
  })
})

describe('listener timeout', () => {
  const slow: [string, (client: RawClient) => unknown][] = [
    ['nothing', () => undefined],
    ['half a packet', (client) => client.send(startup({ user: 'ann' }).subarray(0, 9))],
    ['no SASL response', (client) => client.send(startup({ user: 'ann' }))],
  ]
  test.each(slow)('listener timeout: %s: told so and closed', async (_what, begin) => {
    const client = RawClient.connect(hasty.port)
    begin(client)
    expect(await client.lastError()).toMatchObject({ severity: 'FATAL', code: '57014' })
  })

  test('listener timeout: 300 logins that stop half-way: every one told so, and there is room again', async () => {
    const limits = { sessionsMax: 300, startupTimeoutMs: 1000, startupBytesMax: 10_000 }
    const crowded = await startListener({ authRules: scram, limits })
    const half = Array.from({ length: 300 }, (_, i) => {
      const client = RawClient.connect(crowded.port)
      slow[i % slow.length]![1](client)
      return client
    })
    for (const client of half) expect(await client.lastError()).toMatchObject({ code: '57014' })
    await Promise.all(half.map((client) => client.closed))
    await vi.waitFor(() => expect(crowded.listener.sessions).toBe(0))
    const next = RawClient.connect(crowded.port).send(startup({ user: 'ann' }))
    expect(await next.lastError()).toMatchObject({ code: '57014' })
    await crowded.listener.close()
  })

  test('listener timeout: byte after byte: closed all the same', async () => {
    const client = RawClient.connect(hasty.port)
    const bytes = startup({ user: 'a'.repeat(9000) })
    let at = 0
    const drip = setInterval(() => client.send(bytes.subarray(at, ++at)), 5)
    expect(await client.lastError()).toMatchObject({ code: '57014' })
    clearInterval(drip)
  })

  test('listener timeout: SSLRequest and no handshake: closed', async () => {
    const client = RawClient.connect(hasty.port).send(SSL_REQUEST)
    await client.closed
  })

  test('listener timeout: TLS and then nothing: told so over TLS and closed', async () => {
    // The time is up when the handshake is over, however long that takes.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const client = await connectTls(secured.port)
      // What a server sends when its side of the handshake is over, too.
      await once(client.socket, 'session')
      vi.runOnlyPendingTimers()
      expect(await client.lastError()).toMatchObject({ code: '57014' })
    } finally {
      vi.useRealTimers()
    }
  })

  test('listener timeout: a role lookup that never ends: told so and closed', async () => {
    const limits = { sessionsMax: 10, startupTimeoutMs: 50, startupBytesMax: 10_000 }
    const stuck = await startListener({ limits, lookupVerifier: () => new Promise(() => undefined) })
    const client = RawClient.connect(stuck.port).send(startup({ user: 'ann' }))
    expect(await client.lastError()).toMatchObject({ code: '57014' })
    await stuck.listener.close()
    expect(stuck.listener.sessions).toBe(0)
  })
})
