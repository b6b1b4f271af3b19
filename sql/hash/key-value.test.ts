import { describe, expect, test } from 'vitest'
import type { KeyType } from '../catalog.ts'
import { Lexed } from '../lex/lexed.ts'
import { lexStatement } from '../lex/scan.ts'
import {
  NO_MATCH,
  NULL_KEY,
  slotForBinary,
  slotForConstant,
  slotForLiteral,
  slotForParam,
  slotForText,
  UNSURE,
} from './key-value.ts'
import { slotExpression } from './slot-expression.ts'

// The hashes themselves are compared with live servers in test/integration/key-hash.test.ts.

const lexed = new Lexed()

function literal(keyType: KeyType, sql: string, castTo?: string): number {
  const buf = Buffer.from(`x = ${sql} `)
  lexStatement(buf, 0, buf.length, lexed)
  return slotForLiteral(keyType, buf, lexed, 0, sql.startsWith('-'), castTo)
}

describe('key values: text', () => {
  test('slotForText: known values: the slots Postgres computes', () => {
    expect(slotForText('int4', '0')).toBe(175)
    expect(slotForText('int8', '-0')).toBe(175)
    expect(slotForText('date', '2000-01-01')).toBe(175)
    expect(slotForText('bool', 'off')).toBe(175)
    expect(slotForText('text', ' ')).toBe(178)
    expect(slotForText('numeric', '0.00')).toBe(4095)
    expect(slotForText('numeric', 'NaN')).toBe(0)
    expect(slotForText('bytea', '\\xdeadbeef')).toBe(2374)
  })

  test('slotForText: NULL: NULL_KEY', () => {
    expect(slotForText('int8', null)).toBe(NULL_KEY)
    expect(slotForConstant('int8', null)).toBe(NULL_KEY)
    expect(slotForConstant('bool', 'true')).toBe(slotForText('bool', 'yes'))
    expect(slotForConstant('int8', 'true')).toBe(UNSURE)
  })

  test('slotForText: out of the range of the key: an error as text, no match as a number', () => {
    expect(slotForText('int4', '3000000000')).toBe(UNSURE)
    expect(slotForText('int4', '3000000000', 'number')).toBe(NO_MATCH)
    expect(slotForText('int4', '3000000000', 'int8')).toBe(NO_MATCH)
    expect(slotForText('int4', '3000000000', 'int4')).toBe(UNSURE)
    expect(slotForText('int8', '9223372036854775808', 'number')).toBe(NO_MATCH)
    expect(slotForText('int2', '32768', 'int2')).toBe(UNSURE)
  })

  test('slotForText: timestamptz without an offset: only when the zone is known', () => {
    const inUtc = slotForText('timestamptz', '2024-05-06 07:08:09', 'unknown', { zone: 'UTC' })
    expect(slotForText('timestamptz', '2024-05-06 07:08:09')).toBe(UNSURE)
    expect(inUtc).toBe(slotForText('timestamptz', '2024-05-06T09:08:09+02:00'))
    expect(slotForText('timestamp', '2024-05-06 07:08:09')).toBe(inUtc)
    expect(slotForText('timestamp', '2024-05-06 07:08:09+02')).toBe(UNSURE)
  })

  test('slotForText: a column modifier that would change the value: UNSURE', () => {
    const varchar3 = { typmod: 3 + 4 }
    expect(slotForText('varchar', 'äöü', 'unknown', varchar3)).toBeGreaterThanOrEqual(0)
    expect(slotForText('varchar', 'äöü ', 'unknown', varchar3)).toBe(UNSURE)
    const numeric52 = { typmod: ((5 << 16) | 2) + 4 }
    expect(slotForText('numeric', '1.2500', 'unknown', numeric52)).toBe(slotForText('numeric', '1.25'))
    expect(slotForText('numeric', '1.255', 'unknown', numeric52)).toBe(UNSURE)
    const hundreds = { typmod: ((5 << 16) | (-2 & 0x7ff)) + 4 }
    expect(slotForText('numeric', '1234', 'unknown', hundreds)).toBe(UNSURE)
    const seconds = { typmod: 0 }
    expect(slotForText('timestamp', '2024-05-06 07:08:09.000', 'unknown', seconds)).toBeGreaterThanOrEqual(0)
    expect(slotForText('timestamp', '2024-05-06 07:08:09.5', 'unknown', seconds)).toBe(UNSURE)
  })
})

describe('key values: literals', () => {
  test('slotForLiteral: numbers: compared across types', () => {
    const five = slotForText('int8', '5')
    for (const sql of ['5', '5.0', '50e-1', '005', '5.']) expect(literal('int4', sql), sql).toBe(five)
    expect(literal('int4', '-5')).toBe(slotForText('int4', '-5'))
    expect(literal('int8', '-9223372036854775808')).toBe(slotForText('int8', '-9223372036854775808'))
    expect(literal('int4', '5.5')).toBe(NO_MATCH)
    expect(literal('int4', '0x5')).toBe(UNSURE)
    expect(literal('numeric', '5')).toBe(slotForText('numeric', '5.00'))
    expect(literal('text', '5')).toBe(UNSURE)
    expect(literal('bool', '1')).toBe(UNSURE)
  })

  test('slotForLiteral: strings: through the input function of the key or of the cast', () => {
    expect(literal('int4', "' 5 '")).toBe(slotForText('int4', '5'))
    expect(literal('int4', "'5'", 'int8')).toBe(slotForText('int4', '5'))
    expect(literal('int4', "'5000000000'", 'int8')).toBe(NO_MATCH)
    expect(literal('int4', "'5'", 'text')).toBe(UNSURE)
    expect(literal('int4', '5', 'int8')).toBe(slotForText('int4', '5'))
    expect(literal('int4', '1.5', 'int4')).toBe(UNSURE)
    expect(literal('text', "'it''s'")).toBe(slotForText('text', "it's"))
    expect(literal('text', "'x'", 'varchar')).toBe(slotForText('text', 'x'))
    expect(literal('text', "'x'", 'bpchar')).toBe(UNSURE)
    for (const sql of ["N'x'", "U&'x'", "B'1'", "X'1'"]) expect(literal('text', sql), sql).toBe(UNSURE)
    expect(literal('text', "-'5'")).toBe(UNSURE)
  })
})

describe('key values: binary', () => {
  test('slotForBinary: lengths and types that do not fit: UNSURE', () => {
    const buf = Buffer.alloc(32)
    expect(slotForBinary('int8', 20, buf, 0, 4)).toBe(UNSURE)
    expect(slotForBinary('int8', 701, buf, 0, 8)).toBe(UNSURE)
    expect(slotForBinary('uuid', 2950, buf, 0, 15)).toBe(UNSURE)
    expect(slotForBinary('numeric', 1700, buf, 0, 7)).toBe(UNSURE)
    expect(slotForBinary('text', 1042, Buffer.from('x '), 0, 2)).toBe(UNSURE)
    expect(slotForBinary('timestamp', 1184, buf, 0, 8)).toBe(UNSURE)
    expect(slotForBinary('int8', 20, buf, 0, -1)).toBe(NULL_KEY)
  })

  test('slotForBinary: a wider integer beyond the key: NO_MATCH', () => {
    const buf = Buffer.alloc(8)
    buf.writeBigInt64BE(2n ** 31n)
    expect(slotForBinary('int4', 20, buf, 0, 8)).toBe(NO_MATCH)
    expect(slotForBinary('int8', 20, buf, 0, 8)).toBe(slotForText('int8', '2147483648'))
  })

  test('slotForParam: text format: by the declared type', () => {
    const buf = Buffer.from('..5000000000')
    expect(slotForParam('int8', 0, false, buf, 2, 10)).toBe(slotForText('int8', '5000000000'))
    expect(slotForParam('int4', 20, false, buf, 2, 10)).toBe(NO_MATCH)
    expect(slotForParam('int4', 0, false, buf, 2, 10)).toBe(UNSURE)
    expect(slotForParam('int8', 701, false, buf, 2, 10)).toBe(UNSURE)
    expect(slotForParam('int8', 20, false, buf, 2, -1)).toBe(NULL_KEY)
  })
})

test('slotExpression: a column: SQL that works under every search path', () => {
  expect(slotExpression('int8', '"k"')).toBe('(pg_catalog.hashint8extended("k", 0) & 4095)')
})
