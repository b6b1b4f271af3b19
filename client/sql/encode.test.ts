import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { encodeValue } from './encode.ts'

/** What node-postgres does with the same value. */
const { prepareValue } = createRequire(import.meta.url)('pg/lib/utils.js') as {
  prepareValue(value: unknown): unknown
}

test.each<[unknown]>([
  ['a'],
  [''],
  [1.5],
  [-0],
  [Number.NaN],
  [12345678901234567890n],
  [true],
  [null],
  [new Date('2024-02-29T12:34:56.789Z')],
  [new Date(-62200000000000)],
  [new Date('0044-03-15T00:00:00Z')],
  [Buffer.from([0, 1, 255])],
  [new Uint8Array([1, 2]).subarray(1)],
  [[]],
  [[1, null, 'a"b\\c']],
  [[[1, 2], [3]]],
  [[new Date(0)]],
  [[{ a: 1 }]],
  [{ a: [1, 'x'] }],
])('encode: %o as node-postgres', (value) => {
  expect(encodeValue(value)).toEqual(prepareValue(value))
})

test('encode: bytes in an array, quoted like the other elements', () => {
  expect(encodeValue([Buffer.from('é')])).toBe('{"\\\\xc3a9"}')
})

test('encode: what has no meaning is refused', () => {
  for (const value of [undefined, () => 1, Symbol('a'), 'a\0b', new Date(Number.NaN), Promise.resolve(1)]) {
    expect(() => encodeValue(value)).toThrow(TypeError)
    expect(() => encodeValue([value])).toThrow(TypeError)
  }
})

test('encode: a hole of an array is refused, too', () => {
  expect(() => encodeValue(new Array<number>(1))).toThrow(TypeError)
})
