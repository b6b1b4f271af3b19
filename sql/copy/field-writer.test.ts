import { describe, expect, test } from 'vitest'
import type { CopyFormat } from './copy-format.ts'
import { fieldWriter, withoutAdded } from './field-writer.ts'

const format = (kind: 'text' | 'csv', delimiter: string): CopyFormat => ({
  ...{ format: kind, table: 't', columns: ['a'], delimiter, nullText: kind === 'csv' ? '' : '\\N' },
  ...{ quote: '"', escape: kind === 'csv' ? '"' : '\\', header: 'none', keyIndex: 0 },
  ...{ keyForceNull: false, keyForceNotNull: false, countFields: false, defaultText: undefined },
  ...{ ownDefaults: [], skips: false, csvEndMarker: false, rowBytesMax: 1000 },
})
const column = { column: 'b', typeOid: 25 }

describe('fields that are added to a row', () => {
  test.each([
    ['text', '\t', 'D\t1', ['7']],
    ['text', '|', 'a\\|b|\\\\', ['x|y', null]],
    ['text', '.', 'a', ['b.c\\', '']],
    ['csv', ',', '"a,b",c', ['7']],
    ['csv', ',', '"a ""b""', ['x,"y"', null]],
    ['csv', '$', '', ['a$', 'b\nc']],
  ] as const)('%s, %j: of %j they are told', (kind, delimiter, row, values) => {
    const how = format(kind, delimiter)
    const write = fieldWriter(
      how,
      values.map(() => column),
    )
    expect(withoutAdded(row + write([...values]).toString(), how, values.length)).toBe(row)
  })
})
