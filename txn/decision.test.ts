import { describe, expect, test } from 'vitest'
import { decodeRecord, encodeRecord } from './decision.ts'
import type { DecisionRecord } from './log/txn-log.ts'

const record: DecisionRecord = {
  version: 1,
  txnId: 'abc-0-1',
  decision: 'commit',
  commitTs: (1n << 63n) - 1n,
  participants: [0, 2],
  writer: 'w1',
}

const decode = (value: unknown) => decodeRecord(Buffer.from(JSON.stringify(value)))

describe('decision record', () => {
  test('decode: what encode made: the same record', () => {
    expect(decodeRecord(encodeRecord(record))).toEqual({ kind: 'record', record })
    const abort = { ...record, decision: 'abort' as const, commitTs: 0n, participants: [] }
    expect(decodeRecord(encodeRecord(abort))).toEqual({ kind: 'record', record: abort })
  })

  test('decode: a newer version: said so, whatever else it holds', () => {
    expect(decode({ version: 2, decision: 'commit' })).toEqual({ kind: 'unknown-version', version: 2 })
    expect(decode({})).toEqual({ kind: 'unknown-version', version: undefined })
  })

  const plain = { ...record, commitTs: '1' }
  test.each([
    ['a decision of another name', { ...plain, decision: 'committed' }],
    ['a number as timestamp', { ...plain, commitTs: 1 }],
    ['a negative timestamp', { ...plain, commitTs: '-1' }],
    ['participants that are no shards', { ...plain, participants: ['0'] }],
    ['no participants', { ...plain, participants: undefined }],
    ['no txn id', { ...plain, txnId: '' }],
    ['no writer', { ...plain, writer: undefined }],
    ['an array', []],
    ['null', null],
  ])('decode: %s: corrupt, never a guess', (_, value) => {
    expect(decode(value).kind).toBe('corrupt')
  })

  test('decode: not JSON: corrupt', () => {
    expect(decodeRecord(Buffer.from('{"version":1'))).toEqual({ kind: 'corrupt', why: 'not JSON' })
  })
})
