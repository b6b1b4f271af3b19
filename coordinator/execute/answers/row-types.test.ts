import { describe, expect, test } from 'vitest'
import { RowTypesStream } from './row-types.ts'

function message(type: string, body: Buffer): Buffer {
  const out = Buffer.alloc(5 + body.length)
  out.write(type, 0, 'latin1')
  out.writeInt32BE(4 + body.length, 1)
  body.copy(out, 5)
  return out
}

function rowDescription(columns: readonly { name: string; table: number; type: number }[]): Buffer {
  const parts = columns.map(({ name, table, type }) => {
    const rest = Buffer.alloc(18)
    rest.writeUInt32BE(table, 0)
    rest.writeInt16BE(3, 4)
    rest.writeUInt32BE(type, 6)
    return Buffer.concat([Buffer.from(`${name}\0`), rest])
  })
  const count = Buffer.alloc(2)
  count.writeInt16BE(columns.length)
  return message('T', Buffer.concat([count, ...parts]))
}

const numbers = new Map([
  [20000, 30000],
  [20001, 30001],
])
const columns = [
  { name: 'a', table: 20001, type: 23 },
  { name: 'mood', table: 0, type: 20000 },
  { name: 'new', table: 0, type: 20009 },
]
const translated = [
  { name: 'a', table: 30001, type: 23 },
  { name: 'mood', table: 0, type: 30000 },
  { name: 'new', table: 0, type: 20009 },
]
const rows = Buffer.concat([message('D', Buffer.from('xxxT')), message('C', Buffer.from('SELECT 1\0'))])
const ready = message('Z', Buffer.from('I'))
const given = Buffer.concat([message('2', Buffer.alloc(0)), rowDescription(columns), rows, ready])
const wanted = Buffer.concat([message('2', Buffer.alloc(0)), rowDescription(translated), rows, ready])

describe('row types', () => {
  test('cut anywhere: translated, nothing lost', () => {
    for (let cut = 0; cut <= given.length; cut++) {
      let missed = 0
      const stream = new RowTypesStream()
      stream.begin(numbers, () => missed++)
      const first = stream.pass(Buffer.from(given.subarray(0, cut)), false)
      const second = stream.pass(Buffer.from(given.subarray(cut)), true)
      expect(Buffer.concat([first, second]).equals(wanted)).toBe(true)
      expect(missed).toBe(1)
    }
  })

  test('byte by byte', () => {
    const stream = new RowTypesStream()
    stream.begin(numbers, () => {})
    const out = [...given].map((byte, i) => stream.pass(Buffer.from([byte]), i === given.length - 1))
    expect(Buffer.concat(out).equals(wanted)).toBe(true)
  })

  test('no rows, errors, nothing to translate: passed on as it is', () => {
    const error = Buffer.concat([message('E', Buffer.from('\0')), ready])
    const stream = new RowTypesStream()
    stream.begin(numbers, () => {})
    expect(stream.pass(error, true)).toBe(error)
    stream.begin(undefined, () => {})
    expect(stream.pass(given, true)).toBe(given)
  })
})
