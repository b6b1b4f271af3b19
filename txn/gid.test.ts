import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  coordinatorIdFrom,
  gidFor,
  incarnationFor,
  incarnationOf,
  isClusterName,
  parseGid,
  txnIdFor,
} from './gid.ts'

const coordinatorId = coordinatorIdFrom(randomBytes(8))
const incarnation = incarnationFor(coordinatorId, 37)
const txnId = txnIdFor(incarnation, 123456)

describe('gid', () => {
  test('parse: what gidFor made: the same parts', () => {
    const gid = gidFor('prod-eu_1', txnId, 12)
    expect(parseGid(gid)).toEqual({ cluster: 'prod-eu_1', txnId, coordinatorId, incarnation, shard: 12 })
    expect(incarnationOf(txnId)).toBe(incarnation)
  })

  test('gidFor: the longest parts: below 200 bytes and parseable', () => {
    const longest = txnIdFor(incarnationFor('z'.repeat(13), Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
    const gid = gidFor('c'.repeat(40), longest, 999_999)
    expect(gid.length).toBeLessThan(200)
    expect(parseGid(gid)?.shard).toBe(999_999)
  })

  test('coordinatorIdFrom: the extremes: 13 characters', () => {
    expect(coordinatorIdFrom(Buffer.alloc(8, 0xff))).toBe('3w5e11264sgsf')
    expect(coordinatorIdFrom(Buffer.alloc(8))).toBe('0000000000000')
  })

  const foreign = [
    '',
    'weft',
    'pgdog_123',
    'citus_0_2_3_4',
    `weft:c:${txnId}`,
    `weft:c:${txnId}:`,
    `weft:c:${txnId}:01`,
    `weft:c:${txnId}:-1`,
    `weft:c:${txnId}:1 `,
    ` weft:c:${txnId}:1`,
    `weft:c:${txnId}:1\n`,
    `Weft:c:${txnId}:1`,
    `weft::${txnId}:1`,
    `weft:c d:${txnId}:1`,
    `weft:c:${txnId.toUpperCase()}-:1`,
    'weft:c:abc-0:1',
    'weft:c:abc-00-1:1',
    'weft:c:abc-0-1-2:1',
    `weft:${'c'.repeat(41)}:${txnId}:1`,
    `weft:c:${txnId}:1:2`,
  ]
  test.each(foreign)('parse: %j is not ours: undefined', (text) => {
    expect(parseGid(text)).toBeUndefined()
  })

  test('isClusterName: what would not fit in a gid is refused', () => {
    expect(['dev', 'a-b_C9'].every(isClusterName)).toBe(true)
    expect(['', 'a:b', "a'b", 'ä', 'c'.repeat(41)].some(isClusterName)).toBe(false)
  })
})
