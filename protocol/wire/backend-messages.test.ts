import { describe, expect, test } from 'vitest'
import { testGarbled } from '../../test/helpers/garbled-messages.ts'
import { cs, i16, i32, message, val } from '../../test/helpers/naive-encoder.ts'
import * as m from './backend-messages.ts'
import { STATUS } from './frames.ts'

/** Calls a decoder on `bytes` placed in the middle of a larger buffer, as they lie in a chunk. */
function decode<T>(decoder: (buffer: Buffer, bodyStart: number, end: number) => T, bytes: Buffer): T {
  const chunk = Buffer.concat([Buffer.alloc(3, 0xee), bytes, Buffer.alloc(9)])
  return decoder(chunk, 3 + 5, 3 + bytes.length)
}

const columns: m.ColumnDescription[] = [
  { name: 'id', tableOid: 4294967295, attnum: 1, typeOid: 23, typlen: 4, typmod: -1, format: 1 },
  { name: 'größe', tableOid: 0, attnum: 0, typeOid: 1043, typlen: -1, typmod: 14, format: 0 },
]
const rowDescriptionBytes = message(
  'T',
  i16(2),
  [...cs('id'), ...i32(-1), ...i16(1), ...i32(23), ...i16(4), ...i32(-1), ...i16(1)],
  [...cs('größe'), ...i32(0), ...i16(0), ...i32(1043), ...i16(-1), ...i32(14), ...i16(0)],
)
const errorBytes = message(
  'E',
  cs('SFEHLER'),
  cs('VERROR'),
  cs('C42703'),
  cs('Mcolumn "ä" does not exist'),
  cs('P8'),
  cs('p3'),
  cs('qSELECT ä'),
  cs('WPL/pgSQL function f()'),
  cs('Fparse_relation.c'),
  cs('L3722'),
  cs('RerrorMissingColumn'),
  cs('xsomething new'),
  [0],
)

describe('backend messages: builders', () => {
  const cases: [string, Buffer, Buffer][] = [
    ['AuthenticationOk', m.AUTHENTICATION_OK, message('R', i32(0))],
    [
      'AuthenticationSASL',
      m.authenticationSasl(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']),
      message('R', i32(10), cs('SCRAM-SHA-256-PLUS'), cs('SCRAM-SHA-256'), [0]),
    ],
    ['AuthenticationSASLContinue', m.authenticationSaslContinue('r=1'), message('R', i32(11), 'r=1')],
    ['AuthenticationSASLFinal', m.authenticationSaslFinal('v=1'), message('R', i32(12), 'v=1')],
    ['BackendKeyData', m.backendKeyData(77, Buffer.of(1, 2, 3, 4)), message('K', i32(77), [1, 2, 3, 4])],
    [
      'NegotiateProtocolVersion',
      m.negotiateProtocolVersion(196608, ['_pq_.a']),
      message('v', i32(196608), i32(1), cs('_pq_.a')),
    ],
    ['ParameterStatus', m.parameterStatus('TimeZone', 'Zürich'), message('S', cs('TimeZone'), cs('Zürich'))],
    ['ReadyForQuery I', m.readyForQuery(STATUS.idle), message('Z', 'I')],
    ['ReadyForQuery T', m.readyForQuery(STATUS.inTransaction), message('Z', 'T')],
    ['ReadyForQuery E', m.readyForQuery(STATUS.failed), message('Z', 'E')],
    ['CommandComplete', m.commandComplete('INSERT 0 5'), message('C', cs('INSERT 0 5'))],
    ['EmptyQueryResponse', m.EMPTY_QUERY_RESPONSE, message('I')],
    ['ParseComplete', m.PARSE_COMPLETE, message('1')],
    ['BindComplete', m.BIND_COMPLETE, message('2')],
    ['CloseComplete', m.CLOSE_COMPLETE, message('3')],
    ['NoData', m.NO_DATA, message('n')],
    ['PortalSuspended', m.PORTAL_SUSPENDED, message('s')],
    ['RowDescription', m.rowDescription(columns), rowDescriptionBytes],
    [
      'DataRow',
      m.dataRow(['ü', null, Buffer.of(0, 255), '']),
      message('D', i16(4), val('ü'), val(null), val(Buffer.of(0, 255)), val('')),
    ],
    ['DataRow without columns', m.dataRow([]), message('D', i16(0))],
    [
      'ParameterDescription',
      m.parameterDescription([23, 4294967295]),
      message('t', i16(2), i32(23), i32(-1)),
    ],
    [
      'CopyInResponse',
      m.copyInResponse({ format: 1, columnFormats: [1, 1] }),
      message('G', [1], i16(2), i16(1), i16(1)),
    ],
    ['CopyOutResponse', m.copyOutResponse({ format: 0, columnFormats: [] }), message('H', [0], i16(0))],
    ['CopyData', m.copyData('1\tä\n'), message('d', '1\tä\n')],
    ['CopyDone', m.COPY_DONE, message('c')],
    ['NotificationResponse', m.notificationResponse(5, 'ch', 'hé'), message('A', i32(5), cs('ch'), cs('hé'))],
    [
      'ErrorResponse',
      m.errorResponse({ code: '0A000', message: 'no', hint: 'try', position: 4, table: 't' }),
      message('E', ...['SERROR', 'VERROR', 'C0A000', 'Mno', 'Htry', 'P4', 'tt'].map(cs), [0]),
    ],
    [
      'NoticeResponse',
      m.noticeResponse({ severity: 'WARNING', code: '01000', message: 'w\0w' }),
      message('N', ...['SWARNING', 'VWARNING', 'C01000', 'Mww'].map(cs), [0]),
    ],
  ]
  test.each(cases)('backend messages: %s: as the naive encoder writes it', (_name, built, expected) => {
    expect(built).toEqual(expected)
  })

  test('backend messages: a NUL in a name: refused, not cut off', () => {
    expect(() => m.parameterStatus('a\0b', '')).toThrow(expect.objectContaining({ code: '22021' }))
  })
})

describe('backend messages: decoders', () => {
  test('backend messages: ErrorResponse: every field kept, and built again the same', () => {
    const fields = decode(m.parseErrorFields, errorBytes)
    expect(fields).toEqual({
      severity: 'FEHLER',
      severityRaw: 'ERROR',
      code: '42703',
      message: 'column "ä" does not exist',
      position: 8,
      internalPosition: '3',
      internalQuery: 'SELECT ä',
      where: 'PL/pgSQL function f()',
      file: 'parse_relation.c',
      line: '3722',
      routine: 'errorMissingColumn',
      others: [[0x78, 'something new']],
    })
    expect(m.errorResponse(fields)).toEqual(errorBytes)
  })

  test('backend messages: RowDescription: columns', () => {
    expect(decode(m.parseRowDescription, rowDescriptionBytes)).toEqual(columns)
  })

  test('backend messages: DataRow: views, null for NULL, empty kept apart', () => {
    const row = message('D', i16(3), val('abc'), val(null), val(''))
    expect(decode(m.parseDataRow, row)).toEqual([Buffer.from('abc'), null, Buffer.alloc(0)])
  })

  test.each([
    ['INSERT 0 5', 'INSERT', 5],
    ['SELECT 12', 'SELECT', 12],
    ['CREATE TABLE', 'CREATE TABLE', null],
    ['COPY 3', 'COPY', 3],
    ['BEGIN', 'BEGIN', null],
    ['FETCH 0', 'FETCH', 0],
  ])('backend messages: command tag %s: %s, %s', (text, tag, count) => {
    expect(decode(m.parseCommandTag, message('C', cs(text)))).toEqual({ text, tag, count })
  })

  test('backend messages: ParameterStatus, ParameterDescription, CopyInResponse: decoded', () => {
    const status = message('S', cs('a'), cs('b'))
    expect(decode(m.parseParameterStatus, status)).toEqual({ name: 'a', value: 'b' })
    const description = message('t', i16(2), i32(23), i32(-1))
    expect(decode(m.parseParameterDescription, description)).toEqual([23, 4294967295])
    const many = Array.from({ length: 0x10001 }, (_, i) => i)
    expect(decode(m.parseParameterDescription, m.parameterDescription(many))).toEqual(many)
    const copy = message('G', [1], i16(2), i16(1), i16(0))
    expect(decode(m.parseCopyResponse, copy)).toEqual({ format: 1, columnFormats: [1, 0] })
  })

  const decoders = {
    parseErrorFields: [m.parseErrorFields, errorBytes],
    parseRowDescription: [m.parseRowDescription, rowDescriptionBytes],
    parseDataRow: [m.parseDataRow, message('D', i16(2), val('abc'), val('d'))],
    parseCommandTag: [m.parseCommandTag, message('C', cs('SELECT 1'))],
    parseParameterStatus: [m.parseParameterStatus, message('S', cs('a'), cs('b'))],
    parseParameterDescription: [m.parseParameterDescription, message('t', i16(1), i32(23))],
    parseCopyResponse: [m.parseCopyResponse, message('G', [1], i16(1), i16(1))],
  } as const

  testGarbled('backend', decoders, { seed: 4711, codes: ['08P01'] })
})
