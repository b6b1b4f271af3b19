import { describe, expect, test } from 'vitest'
import type { MicroOp, Op } from '../../history/op.ts'
import { around, atOnce, by, failed, inTurn, judged, STRICT, txn, unknown } from '../testing/histories.ts'
import type { CheckOptions } from '../verdict.ts'
import { rwRegister } from './rw-register.ts'

const w = (key: number, value: number): MicroOp => ['w', key, value]
const r = (key: number, value: number | null): MicroOp => ['r', key, value]
const kinds = (history: readonly Op[], options: Partial<CheckOptions> = {}) =>
  judged(rwRegister, history, options)

const X = 1
const Y = 2
const SNAPSHOT = { isolation: 'repeatable read' } as const
const READ_COMMITTED = { isolation: 'read committed' } as const

describe('rw-register: valid', () => {
  test('a serial history', () => {
    const history = inTurn(
      txn(r(X, null), w(X, 1), w(Y, 2)),
      txn(r(X, 1), w(X, 3), r(X, 3)),
      txn(r(X, 3), r(Y, 2), w(Y, 4), w(Y, 5)),
      txn(r(X, 3), r(Y, 5)),
    )
    expect(rwRegister(history, { ...STRICT, linearizableKeys: true })).toMatchObject({
      valid: true,
      allowed: [],
    })
  })

  test('blind writes at once, in any order; unknown ones that are seen or not', () => {
    const history = atOnce(
      txn(w(X, 1)),
      txn(w(X, 2)),
      unknown('txn', [w(X, 3)]),
      txn(r(X, 2)),
      txn(r(X, 3)),
      txn(r(X, null)),
    )
    expect(kinds(history, { linearizableKeys: true })).toEqual([])
  })

  test('nothing was read: unknown', () => {
    expect(rwRegister(inTurn(txn(w(X, 1))), STRICT).valid).toBe('unknown')
  })
})

describe('rw-register: registers', () => {
  test('internal, garbage, G1a, G1b', () => {
    expect(kinds(atOnce(txn(w(X, 1), r(X, null))))).toContain('internal')
    expect(kinds(atOnce(txn(r(X, 9))))).toEqual(['garbage'])
    expect(kinds(atOnce(failed('txn', [w(X, 1)]), txn(r(X, 1))), READ_COMMITTED)).toEqual(['G1a'])
    expect(kinds(atOnce(txn(w(X, 1), w(X, 2)), txn(r(X, 1))), READ_COMMITTED)).toContain('G1b')
  })

  test('lost-update: two have overwritten what both had read', () => {
    const history = atOnce(txn(r(X, null), w(X, 1)), txn(r(X, null), w(X, 2)))
    expect(kinds(history)).toContain('lost-update')
    expect(kinds(history, SNAPSHOT)).toEqual(['lost-update'])
    expect(kinds(history, READ_COMMITTED)).toEqual([])
  })

  test('cyclic-versions: each overwrote the other', () => {
    expect(kinds(atOnce(txn(r(X, 1), w(X, 2)), txn(r(X, 2), w(X, 1))))).toContain('cyclic-versions')
  })

  test('cyclic-versions: time goes one way, transactions the other', () => {
    const history = inTurn(txn(w(X, 2)), txn(r(X, 2)), txn(w(X, 1)), txn(r(X, 1)), txn(r(X, 2)))
    expect(kinds(history, { realtime: false })).toEqual([])
    expect(kinds(history, { realtime: false, linearizableKeys: true })).toEqual(['cyclic-versions'])
  })

  test('values that are written twice are refused', () => {
    expect(() => kinds(atOnce(txn(w(X, 1)), txn(w(X, 1))))).toThrow('must be unique')
    expect(() => kinds(atOnce(txn(w(X, 1), w(X, 1))))).toThrow('must be unique')
  })
})

describe('rw-register: cycles', () => {
  test('G0', () => {
    // The order of X from who read and wrote both; that of Y from another.
    const history = atOnce(txn(w(X, 1), r(Y, 22), w(Y, 12)), txn(r(X, 1), w(X, 2), w(Y, 22)))
    expect(kinds(history, READ_COMMITTED)).toContain('G0')
  })

  test('G1c', () => {
    expect(kinds(atOnce(txn(w(X, 1), r(Y, 2)), txn(w(Y, 2), r(X, 1))), READ_COMMITTED)).toEqual(['G1c'])
  })

  test('G-single', () => {
    const history = atOnce(txn(w(X, 1), w(Y, 2)), txn(r(X, null), r(Y, 2)))
    expect(kinds(history, SNAPSHOT)).toEqual(['G-single'])
    expect(kinds(history, READ_COMMITTED)).toEqual([])
  })

  test('G-nonadjacent: long fork', () => {
    const history = atOnce(txn(w(X, 1)), txn(w(Y, 2)), txn(r(X, 1), r(Y, null)), txn(r(X, null), r(Y, 2)))
    expect(kinds(history, SNAPSHOT)).toEqual(['G-nonadjacent'])
  })

  test('G2-item: write skew', () => {
    const history = atOnce(txn(r(X, null), w(Y, 1)), txn(r(Y, null), w(X, 2)))
    expect(kinds(history)).toEqual(['G2-item'])
    expect(kinds(history, SNAPSHOT)).toEqual([])
  })

  test('-realtime and -process: a read of what was overwritten before it began', () => {
    const made = [txn(w(X, 1)), txn(r(X, null))]
    expect(kinds(inTurn(...made))).toEqual(['G-single-realtime'])
    expect(kinds(inTurn(...made.map((one) => by(1, one))), { realtime: false, session: true })).toEqual([
      'G-single-process',
    ])
    expect(kinds(inTurn(...made), { realtime: false })).toEqual([])
    expect(kinds(around([txn(w(X, 1))], inTurn(txn(r(X, 1)), txn(r(X, null)))))).toEqual([
      'G-single-realtime',
    ])
  })

  test('linearizable registers tell the order of blind writes', () => {
    const history = inTurn(txn(w(X, 1)), txn(w(X, 2)), txn(r(X, 1)))
    expect(kinds(history)).toEqual([])
    expect(kinds(history, { linearizableKeys: true })).toEqual(['cyclic-versions'])
  })

  test('words', () => {
    const [found] = rwRegister(atOnce(txn(w(X, 1), w(Y, 2)), txn(r(X, null), r(Y, 2))), STRICT).anomalies
    expect(found?.text).toContain('because T1 read nil from 1, which T2 overwrote with 1.')
    expect(found?.text).toContain('because T1 read 2 from 2, which T2 had written: a contradiction.')
  })
})
