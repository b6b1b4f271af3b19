import { describe, expect, test } from 'vitest'
import { testGarbled } from '../../test/helpers/garbled-messages.ts'
import { cs, i16, i32, message, packet, seededRandom, val } from '../../test/helpers/naive-encoder.ts'
import * as m from './frontend-messages.ts'

const bindBytes = message(
  'B',
  cs('pörtal'),
  cs('stmt'),
  [...i16(3), ...i16(0), ...i16(1), ...i16(0)],
  [...i16(3), ...val('ü'), ...val(Buffer.of(0, 1, 2)), ...val(null)],
  [...i16(1), ...i16(1)],
)
const bindParts = {
  portal: 'pörtal',
  statement: 'stmt',
  paramFormats: [0, 1, 0],
  params: ['ü', Buffer.of(0, 1, 2), null],
  resultFormats: [1],
}
const parseBytes = message('P', cs('ä1'), cs('SELECT $1'), i16(2), i32(23), i32(-1))

describe('frontend messages: builders', () => {
  const cases: [string, Buffer, Buffer][] = [
    ['Query', m.query('SELECT ä'), message('Q', cs('SELECT ä'))],
    ['Query of bytes', m.query(Buffer.from('SELECT ä')), message('Q', cs('SELECT ä'))],
    ['Parse', m.parse('ä1', 'SELECT $1', [23, 4294967295]), parseBytes],
    ['Parse of bytes', m.parse('', Buffer.from('x')), message('P', cs(''), cs('x'), i16(0))],
    ['Bind', m.bind(bindParts), bindBytes],
    ['Bind of nothing', m.bind({}), message('B', [0, 0], i16(0), i16(0), i16(0))],
    ['Describe', m.describe('S', 'a'), message('D', 'S', cs('a'))],
    ['Close', m.close('P', ''), message('C', 'P', cs(''))],
    ['Execute', m.execute('p', 7), message('E', cs('p'), i32(7))],
    ['Execute of all', m.execute(), message('E', cs(''), i32(0))],
    ['Sync', m.SYNC, message('S')],
    ['Flush', m.FLUSH, message('H')],
    ['Terminate', m.TERMINATE, message('X')],
    ['CopyData', m.copyData(Buffer.of(1)), message('d', [1])],
    ['CopyDone', m.COPY_DONE, message('c')],
    ['CopyFail', m.copyFail('no'), message('f', cs('no'))],
    ['PasswordMessage', m.password('geheim'), message('p', cs('geheim'))],
    ['SASLInitialResponse', m.saslInitialResponse('SCRAM', 'n,,'), message('p', cs('SCRAM'), i32(3), 'n,,')],
    ['SASLResponse', m.saslResponse('c=biws'), message('p', 'c=biws')],
    [
      'StartupMessage',
      m.startup({ user: 'ann', database: 'dä' }),
      packet(i32(196608), cs('user'), cs('ann'), cs('database'), cs('dä'), [0]),
    ],
    ['CancelRequest', m.cancelRequest(9, Buffer.of(1, 2, 3, 4)), packet(i32(80877102), i32(9), [1, 2, 3, 4])],
    ['SSLRequest', m.SSL_REQUEST, packet(i32(80877103))],
    ['GSSENCRequest', m.GSS_ENC_REQUEST, packet(i32(80877104))],
  ]
  test.each(cases)('frontend messages: %s: as the naive encoder writes it', (_name, built, expected) => {
    expect(built).toEqual(expected)
  })

  test('frontend messages: a NUL in a statement: refused, not cut off', () => {
    expect(() => m.query('SELECT 1\0; DROP')).toThrow(expect.objectContaining({ code: '22021' }))
  })
})

describe('frontend messages: decoders', () => {
  test('frontend messages: Parse: name, place of the text, types', () => {
    const parsed = m.parseParse(parseBytes, 5, parseBytes.length)
    expect(parsed).toMatchObject({ name: 'ä1', paramTypes: [23, 4294967295] })
    expect(parseBytes.toString('utf8', parsed.sqlStart, parsed.sqlEnd)).toBe('SELECT $1')
    const renamed = message('P', cs('other'), cs('SELECT $1'), i16(2), i32(23), i32(-1))
    expect(m.rewriteParseName(parsed, 'other')).toEqual(renamed)
  })

  test('frontend messages: Bind: every part, parameters as views', () => {
    const parsed = m.parseBind(bindBytes, 5, bindBytes.length)
    expect(parsed).toMatchObject({
      portal: 'pörtal',
      statement: 'stmt',
      paramFormats: [0, 1, 0],
      paramLengths: [2, 3, -1],
      resultFormats: [1],
    })
    expect([0, 1, 2].map((i) => m.paramValue(parsed, i))).toEqual([
      Buffer.from('ü'),
      Buffer.of(0, 1, 2),
      null,
    ])
    expect([0, 1, 2].map((i) => m.paramFormat(parsed, i))).toEqual([0, 1, 0])
    expect(m.paramValue(parsed, 1)!.buffer).toBe(bindBytes.buffer)
  })

  test('frontend messages: Bind renamed: the rest copied verbatim', () => {
    const parsed = m.parseBind(bindBytes, 5, bindBytes.length)
    expect(m.rewriteBindStatement(parsed, 'w_0123')).toEqual(m.bind({ ...bindParts, statement: 'w_0123' }))
    expect(m.rewriteBindStatement(parsed, 's', '')).toEqual(
      m.bind({ ...bindParts, statement: 's', portal: '' }),
    )
  })

  test('frontend messages: Bind with one format: it counts for all parameters', () => {
    const bytes = m.bind({ paramFormats: [1], params: ['a', 'b'] })
    const parsed = m.parseBind(bytes, 5, bytes.length)
    expect([m.paramFormat(parsed, 0), m.paramFormat(parsed, 1)]).toEqual([1, 1])
    const none = m.bind({ params: ['a'] })
    expect(m.paramFormat(m.parseBind(none, 5, none.length), 0)).toBe(0)
  })

  test('frontend messages: Query, Describe, Close, Execute, startup, SASL: decoded', () => {
    const bytes = message('Q', cs('SELECT 1'))
    expect(m.parseQuery(bytes, 5, bytes.length)).toEqual({ sqlStart: 5, sqlEnd: 13 })
    const describeBytes = message('D', 'P', cs('x'))
    expect(m.parseDescribe(describeBytes, 5, describeBytes.length)).toEqual({ target: 'P', name: 'x' })
    const closeBytes = message('C', 'S', cs(''))
    expect(m.parseClose(closeBytes, 5, closeBytes.length)).toEqual({ target: 'S', name: '' })
    const executeBytes = message('E', cs('p'), i32(-5))
    expect(m.parseExecute(executeBytes, 5, executeBytes.length)).toEqual({ portal: 'p', maxRows: -5 })
    const startupBytes = packet(i32(196608), cs('user'), cs('ann'), cs('a'), cs(''), [0])
    expect([...m.parseStartupParameters(startupBytes, 8, startupBytes.length)]).toEqual([
      ['user', 'ann'],
      ['a', ''],
    ])
    const sasl = message('p', cs('M'), i32(2), 'n,')
    expect(m.parseSaslInitialResponse(sasl, 5, sasl.length)).toEqual({ mechanism: 'M', data: 'n,' })
    const bare = message('p', cs('M'), i32(-1))
    expect(m.parseSaslInitialResponse(bare, 5, bare.length)).toEqual({ mechanism: 'M', data: null })
  })

  test.each([
    [
      'too many parameters',
      message('B', [0, 0], i16(0), i16(65535)),
      '08P01',
      'insufficient data left in message',
    ],
    ['too many formats', message('B', [0, 0], i16(65535)), '08P01', 'insufficient data left in message'],
    [
      'a parameter longer than the message',
      message('B', [0, 0], i16(0), i16(1), i32(0x7fffffff)),
      '08P01',
      'insufficient data left in message',
    ],
    [
      'a negative length',
      message('B', [0, 0], i16(0), i16(1), i32(-2), i16(0)),
      '08P01',
      'insufficient data left in message',
    ],
    [
      'formats that do not match',
      message('B', [0, 0], i16(2), i16(0), i16(0), i16(1), val('a'), i16(0)),
      '08P01',
      'bind message has 2 parameter formats but 1 parameters',
    ],
    [
      'an unknown format',
      message('B', [0, 0], i16(1), i16(2), i16(0), i16(0)),
      '22023',
      'unsupported format code: 2',
    ],
    ['bytes left over', message('B', [0, 0], i16(0), i16(0), i16(0), [1]), '08P01', 'invalid message format'],
    ['no end of a name', message('B', 'abc'), '08P01', 'invalid string in message'],
  ])('frontend messages: Bind with %s: %s', (_what, bytes, code, text) => {
    const padded = Buffer.concat([bytes, Buffer.alloc(32)])
    expect(() => m.parseBind(padded, 5, bytes.length)).toThrow(
      expect.objectContaining({ code, message: text }),
    )
  })

  test('frontend messages: Describe of neither statement nor portal: 08P01', () => {
    const bytes = message('D', 'X', cs(''))
    expect(() => m.parseDescribe(bytes, 5, bytes.length)).toThrow('invalid DESCRIBE message subtype 88')
    expect(() => m.parseClose(bytes, 5, bytes.length)).toThrow('invalid CLOSE message subtype 88')
  })

  const decoders = {
    parseParse: [m.parseParse, parseBytes],
    parseBind: [m.parseBind, bindBytes],
    parseQuery: [m.parseQuery, message('Q', cs('SELECT 1'))],
    parseDescribe: [m.parseDescribe, message('D', 'S', cs('abc'))],
    parseClose: [m.parseClose, message('C', 'S', cs('abc'))],
    parseExecute: [m.parseExecute, message('E', cs('abc'), i32(1))],
    parseStartupParameters: [m.parseStartupParameters, message('-', cs('user'), cs('a'), [0])],
    parseSaslInitialResponse: [m.parseSaslInitialResponse, message('p', cs('M'), i32(2), 'n,')],
  } as const

  testGarbled('frontend', decoders, { seed: 815, codes: ['08P01', '22023'] })

  test('frontend messages: names of every length, with and without a wide character: there and back', () => {
    for (let length = 0; length <= 60; length++) {
      for (const name of ['a'.repeat(length), `${'a'.repeat(length)}ü`, `ü${'a'.repeat(length)}`]) {
        const built = m.describe('S', name)
        expect(built).toEqual(message('D', 'S', cs(name)))
        expect(m.parseDescribe(built, 5, built.length).name).toBe(name)
        const bytes = m.bind({ statement: name, params: [name], resultFormats: [1] })
        const renamed = m.rewriteBindStatement(m.parseBind(bytes, 5, bytes.length), 'other')
        expect(renamed).toEqual(m.bind({ statement: 'other', params: [name], resultFormats: [1] }))
      }
    }
  })

  test('frontend messages: random Binds: decode and build again gives the same bytes', () => {
    const seed = 99
    const random = seededRandom(seed)
    for (let i = 0; i < 300; i++) {
      const n = Math.floor(random() * 6)
      const params = Array.from({ length: n }, () =>
        random() < 0.2
          ? null
          : Buffer.from(Array.from({ length: Math.floor(random() * 20) }, () => random() * 256)),
      )
      const paramFormats = random() < 0.5 ? [1] : params.map(() => (random() < 0.5 ? 0 : 1))
      const parts = {
        portal: `p${i}`,
        statement: `s${n}`,
        paramFormats,
        params,
        resultFormats: [0, 1].slice(n % 3),
      }
      const bytes = m.bind(parts)
      const parsed = m.parseBind(bytes, 5, bytes.length)
      const again = { ...parts, params: params.map((_, at) => m.paramValue(parsed, at)) }
      expect(again, `seed ${seed} round ${i}`).toEqual(parts)
      expect(m.rewriteBindStatement(parsed, parts.statement)).toEqual(bytes)
    }
  })
})
