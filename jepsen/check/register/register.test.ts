import { describe, expect, test } from 'vitest'
import {
  around,
  atOnce,
  done,
  failed,
  inTurn,
  judged,
  phases,
  STRICT,
  unknown,
} from '../testing/histories.ts'
import { register } from './register.ts'

const write = (value: number, key = 1) => done('write', [key, value])
const read = (value: number | null, key = 1) => done('read', [key, value], [key, null])
const cas = (old: number, next: number) => done('cas', [1, [old, next]])
const WRONG = ['not-linearizable']

describe('register', () => {
  test('valid: in turn, at once, of several keys', () => {
    expect(
      judged(register, inTurn(read(null), write(1), read(1), cas(1, 2), read(2), read(null, 2))),
    ).toEqual([])
    expect(judged(register, atOnce(write(1), write(2), read(2), read(1), read(null)))).toEqual([])
    expect(
      judged(register, phases([write(1), read(null)], [read(1), cas(1, 3), cas(3, 4)], [read(4)])),
    ).toEqual([])
    expect(register(inTurn(write(1)), STRICT).valid).toBe('unknown')
  })

  test('a read of what was overwritten before it, or of what nobody wrote', () => {
    expect(judged(register, inTurn(write(1), write(2), read(1)))).toEqual(WRONG)
    expect(judged(register, inTurn(write(1), read(null)))).toEqual(WRONG)
    expect(judged(register, atOnce(write(1), read(7)))).toEqual(WRONG)
    expect(judged(register, inTurn(write(1), failed('cas', [1, [1, 2]]), read(2)))).toEqual(WRONG)
  })

  test('a new value and then the old one, while the write runs', () => {
    expect(judged(register, around([write(1)], inTurn(read(1), read(null))))).toEqual(WRONG)
    expect(judged(register, around([write(1)], inTurn(read(null), read(1))))).toEqual([])
  })

  test('two compare-and-sets of one value', () => {
    expect(judged(register, phases([write(1)], [cas(1, 2), cas(1, 3)]))).toEqual(WRONG)
  })

  test('what may have been done may be done at any later time, once', () => {
    const late = unknown('write', [1, 5])
    expect(judged(register, inTurn(late, write(1), read(1), read(5), write(2), read(2)))).toEqual([])
    expect(judged(register, inTurn(late, write(1), read(5), read(1)))).toEqual(WRONG)
    expect(judged(register, inTurn(read(5), late))).toEqual(WRONG)
    expect(
      judged(register, inTurn(write(1), unknown('cas', [1, [1, 2]]), read(1), read(2), read(1))),
    ).toEqual(WRONG)
  })

  test('words', () => {
    const [found] = register(inTurn(write(1), write(2), read(1)), STRICT).anomalies
    expect(found?.text).toMatch(
      /^register 1: op 5, read of 1, cannot have happened: by then it can only have been 2/,
    )
  })

  test('too many states: unknown', () => {
    const lost = Array.from({ length: 10 }, (_, i) => unknown('write', [1, i]))
    const history = inTurn(...lost, ...lost.map((_, i) => read(i)), read(77))
    expect(register(history, { ...STRICT, statesMax: 1000 })).toMatchObject({
      valid: 'unknown',
      anomalies: [],
    })
    expect(register(history, STRICT).valid).toBe(false)
  })

  test('values that nobody saw cost nothing', () => {
    const lost = Array.from({ length: 500 }, (_, i) => unknown('write', [1, i + 100]))
    expect(judged(register, inTurn(write(1), ...lost, read(1)), { statesMax: 10_000 })).toEqual([])
  })
})
