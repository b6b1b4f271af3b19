import { describe, expect, test } from 'vitest'
import { cs, i32, message, packet, seededRandom } from '../../test/helpers/naive-encoder.ts'
import { FrameReader, StartupReader } from './frames.ts'

const limits = { frameBytesMax: 1 << 20 }

/** Feeds `chunks`, reading all there is after each; answers the messages found, as copies. */
function readAll(chunks: readonly Buffer[], reader = new FrameReader(limits)): Buffer[] {
  const found: Buffer[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    while (reader.next()) {
      expect(reader.bodyStart).toBe(reader.start + 5)
      expect(reader.type).toBe(reader.buffer[reader.start])
      found.push(Buffer.from(reader.buffer.subarray(reader.start, reader.end)))
    }
  }
  return found
}

const messages = [
  message('S'),
  message('Q', cs('SELECT 1')),
  message('d', Buffer.alloc(300, 0x41)),
  message('Z', 'I'),
]

describe('frames', () => {
  test('frames: several messages in one chunk: views of that chunk, nothing copied', () => {
    const chunk = Buffer.concat(messages)
    const reader = new FrameReader(limits)
    reader.push(chunk)
    const found: Buffer[] = []
    while (reader.next()) {
      expect(reader.buffer).toBe(chunk)
      found.push(reader.buffer.subarray(reader.start, reader.end))
    }
    expect(found).toEqual(messages)
    expect(reader.pendingBytes).toBe(0)
  })

  test('frames: split at every point: the same messages', () => {
    const all = Buffer.concat(messages)
    for (let at = 0; at <= all.length; at++) {
      expect(readAll([all.subarray(0, at), all.subarray(at)])).toEqual(messages)
    }
  })

  test('frames: one byte at a time: the same messages', () => {
    const all = Buffer.concat(messages)
    expect(readAll([...all].map((byte) => Buffer.of(byte)))).toEqual(messages)
  })

  test('frames: several chunks pushed before any is read: the same messages', () => {
    const all = Buffer.concat(messages)
    const reader = new FrameReader(limits)
    for (let at = 0; at < all.length; at += 7) reader.push(all.subarray(at, at + 7))
    expect(reader.pendingBytes).toBe(all.length)
    expect(readAll([Buffer.alloc(0)], reader)).toEqual(messages)
  })

  test('frames: random messages in random chunks: the same messages, each with stable bytes', () => {
    const seed = 20240607
    const random = seededRandom(seed)
    for (let round = 0; round < 200; round++) {
      const sent: Buffer[] = []
      for (let i = 0; i < 10; i++) sent.push(message('d', Buffer.alloc(Math.floor(random() ** 4 * 9000), i)))
      const all = Buffer.concat(sent)
      const reader = new FrameReader(limits)
      const views: Buffer[] = []
      for (let at = 0; at < all.length; ) {
        const n = 1 + Math.floor(random() ** 3 * 6000)
        reader.push(Buffer.from(all.subarray(at, at + n)))
        at += n
        while (random() < 0.9 && reader.next()) views.push(reader.buffer.subarray(reader.start, reader.end))
      }
      while (reader.next()) views.push(reader.buffer.subarray(reader.start, reader.end))
      expect(Buffer.concat(views).equals(all), `seed ${seed} round ${round}`).toBe(true)
      expect(views.length).toBe(sent.length)
    }
  })

  test('frames: a message of megabytes in small chunks: read whole', () => {
    const big = message('d', Buffer.alloc(900_000, 7))
    const chunks: Buffer[] = []
    for (let at = 0; at < big.length; at += 1000) chunks.push(big.subarray(at, at + 1000))
    expect(readAll(chunks)[0]?.equals(big)).toBe(true)
  })

  test.each([0, 3, -1, -2147483648, (1 << 20) + 1, 0x7fffffff])(
    'frames: length %d: 08P01 as soon as the header is there',
    (length) => {
      const header = Buffer.from([0x51, ...i32(length)])
      for (let at = 0; at < 5; at++) {
        const reader = new FrameReader(limits)
        reader.push(header.subarray(0, at))
        expect(reader.next()).toBe(false)
        reader.push(header.subarray(at))
        expect(() => reader.next()).toThrow(
          expect.objectContaining({ code: '08P01', message: 'invalid message length' }),
        )
      }
    },
  )

  test('frames: large messages, in chunks of any size: claimed once each; of a refused one there is but the header', () => {
    const large = message('Q', Buffer.alloc(2 << 20, 0x41))
    const stream = Buffer.concat([messages[1]!, large, messages[2]!, large, messages[3]!])
    for (const size of [1000, 65_536, 1 << 20]) {
      const claims: number[] = []
      const claim = (bytes: number) => claims.push(bytes) > 1
      const reader = new FrameReader({ frameBytesMax: 4 << 20, claim })
      const found: string[] = []
      for (let at = 0; at < stream.length; at += size) {
        reader.push(stream.subarray(at, at + size))
        while (reader.next())
          found.push(`${String.fromCharCode(reader.type)} ${reader.isRefused} ${reader.end - reader.start}`)
      }
      expect(found).toEqual(['Q false 14', 'Q true 5', 'd false 305', `Q false ${large.length}`, 'Z false 6'])
      expect([claims, reader.pendingBytes, reader.claimedBytes]).toEqual([[large.length, large.length], 0, 0])
    }
  })

  test('frames: the remainder is taken over: the unread bytes in order', () => {
    const all = Buffer.concat(messages)
    for (let at = 0; at <= all.length; at += 3) {
      const reader = new FrameReader(limits)
      reader.push(all.subarray(0, at))
      expect(reader.next()).toBe(at >= 5)
      reader.push(all.subarray(at))
      expect(reader.takeRemainder()).toEqual(all.subarray(at >= 5 ? 5 : 0))
      expect(reader.next()).toBe(false)
    }
  })
})

describe('startup packets', () => {
  const startupPacket = packet(i32(196608), cs('user'), cs('ann'), [0])

  test('startup: split at every point: read, with what follows kept', () => {
    const all = Buffer.concat([startupPacket, messages[0]!])
    for (let at = 0; at <= all.length; at++) {
      const reader = new StartupReader()
      reader.push(all.subarray(0, at))
      const early = reader.next()
      expect(early).toBe(at >= startupPacket.length)
      reader.push(all.subarray(at))
      if (!early) expect(reader.next()).toBe(true)
      expect(reader.code).toBe(196608)
      expect(reader.buffer.subarray(reader.bodyStart, reader.end)).toEqual(startupPacket.subarray(8))
      expect(reader.takeRemainder()).toEqual(messages[0])
    }
  })

  test.each([0, 4, 7, 10_001, -1])('startup: length %d: 08P01', (length) => {
    const reader = new StartupReader()
    reader.push(Buffer.from([...i32(length), ...i32(196608)]))
    expect(() => reader.next()).toThrow(expect.objectContaining({ code: '08P01' }))
  })
})
