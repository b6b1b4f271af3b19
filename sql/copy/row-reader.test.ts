import { describe, expect, test } from 'vitest'
import { type CopyFormat, ROW_BYTES_MAX, rowReader } from './copy-format.ts'
import { fieldWriter } from './field-writer.ts'

const text: CopyFormat = {
  format: 'text',
  table: 't',
  columns: ['a', 'b'],
  delimiter: '\t',
  nullText: '\\N',
  quote: '"',
  escape: '"',
  header: 'none',
  keyIndex: 1,
  keyForceNull: false,
  keyForceNotNull: false,
  countFields: false,
  skips: false,
  defaultText: undefined,
  ownDefaults: [],
  csvEndMarker: false,
  rowBytesMax: ROW_BYTES_MAX,
}
const csv: CopyFormat = { ...text, format: 'csv', delimiter: ',', nullText: '' }

function read(format: CopyFormat, pieces: readonly string[]): string[] {
  const reader = rowReader(format)
  const rows: string[] = []
  const drain = () => {
    while (reader.next()) {
      const row = reader.buffer.toString('utf8', reader.rowStart, reader.rowEnd)
      rows.push(`${reader.line}:${row}|${reader.keyIsNull ? 'NULL' : reader.keyText()}`)
    }
  }
  for (const piece of pieces) {
    reader.push(Buffer.from(piece))
    drain()
  }
  reader.finish()
  drain()
  return rows
}

describe('row reader', () => {
  const data = 'x\tk1\ny\\\nz\t\\N\né\tk\\t3'
  const whole = ['1:x\tk1|k1', '2:y\\\nz\t\\N|NULL', '3:é\tk\\t3|k\t3']
  test('text: split at every point: the same rows and keys', () => {
    for (let at = 0; at <= data.length; at++) {
      expect(read(text, [data.slice(0, at), data.slice(at)])).toEqual(whole)
    }
    expect(read(text, [...data])).toEqual(whole)
  })
  test('csv: split at every point: the same rows and keys', () => {
    const input = 'x,"k\n1"\r\n"a""b",\r\nlast,"k,3"'
    const rows = ['1:x,"k\n1"|k\n1', '2:"a""b",|NULL', '3:last,"k,3"|k,3']
    for (let at = 0; at <= input.length; at++) {
      expect(read(csv, [input.slice(0, at), input.slice(at)])).toEqual(rows)
    }
  })
  test('text: an end marker: what follows is not read', () => {
    expect(read(text, ['a\tb\n\\.\nc\td\n', 'e\tf\n'])).toEqual(['1:a\tb|b'])
  })
  test('a row without an end: refused beyond the limit, kept below it', () => {
    const limited = { ...text, rowBytesMax: 100 }
    expect(read(limited, ['x'.repeat(90), '\tk\n'])).toHaveLength(1)
    expect(() => read(limited, ['x'.repeat(90), 'x'.repeat(20)])).toThrow('longer than 100 bytes')
  })
  test('the key field is missing: refused in the words of Postgres', () => {
    expect(() => read(text, ['a\tb\nonly\n'])).toThrow('missing data for column "b"')
  })
})

describe('field writer', () => {
  const column = [{ column: 'n', typeOid: 20 }]
  test('text: escapes, and a value that reads like NULL', () => {
    const write = (value: string | null, nullText = '\\N') =>
      fieldWriter({ ...text, nullText }, column)([value]).toString()
    expect([write('a\tb\\\n'), write(null), write('5', '5'), write(null, '5')]).toEqual([
      '\ta\\tb\\\\\\n',
      '\t\\N',
      '\t\\x35',
      '\t5',
    ])
  })
  test('csv: quotes what is not NULL', () => {
    const write = fieldWriter({ ...csv, escape: '\\' }, column)
    expect(write(['a"\\,'])).toEqual(Buffer.from(',"a\\"\\\\,"'))
    expect(write([null])).toEqual(Buffer.from(','))
  })
  test('binary: integers only', () => {
    const binary: CopyFormat = { ...text, format: 'binary' }
    expect(fieldWriter(binary, column)(['-2'])).toEqual(Buffer.from('00000008fffffffffffffffe', 'hex'))
    expect(fieldWriter(binary, [{ column: 'n', typeOid: 23 }])([null])).toEqual(
      Buffer.from('ffffffff', 'hex'),
    )
    expect(() => fieldWriter(binary, [{ column: 'x', typeOid: 25 }])).toThrow(
      'binary COPY without column "x"',
    )
  })
})
