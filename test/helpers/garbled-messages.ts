import { expect, test } from 'vitest'
import { seededRandom } from './naive-encoder.ts'

type Decoder = readonly [decode: (buffer: Buffer, bodyStart: number, end: number) => unknown, bytes: Buffer]

/** Decoders of wire messages, each with a whole message: what is cut short, or noise, gives a value or an error. */
export function testGarbled(
  side: string,
  decoders: Readonly<Record<string, Decoder>>,
  options: { readonly seed: number; readonly codes: readonly string[] },
): void {
  const all = Object.entries(decoders)

  test.each(all)(`${side} messages: %s cut short: 08P01`, (_name, [decode, bytes]) => {
    for (let cut = 5; cut < bytes.length; cut++) {
      const padded = Buffer.concat([bytes.subarray(0, cut), Buffer.alloc(64, 1)])
      expect(() => decode(padded, 5, cut)).toThrow(expect.objectContaining({ code: '08P01' }))
    }
  })

  test.each(all)(`${side} messages: %s of noise: a value or an error`, (_name, [decode]) => {
    const random = seededRandom(options.seed)
    for (let i = 0; i < 2000; i++) {
      const bytes = Buffer.from(Array.from({ length: Math.floor(random() * 40) }, () => random() ** 3 * 256))
      try {
        decode(bytes, 0, bytes.length)
      } catch (error) {
        expect(options.codes).toContain((error as { code?: string }).code)
      }
    }
  })
}
