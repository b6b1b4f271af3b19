import { describe, expect, test } from 'vitest'
import { CancelKeys } from './cancel-keys.ts'

describe('cancel keys', () => {
  test('cancel keys: the right secret: its session, and no other, is cancelled', () => {
    const keys = new CancelKeys()
    const cancelled: string[] = []
    const a = keys.create(() => cancelled.push('a'))
    keys.create(() => cancelled.push('b'))
    expect(keys.cancel(a.pid, Buffer.from(a.secret))).toBe(true)
    expect(cancelled).toEqual(['a'])
  })

  test('cancel keys: a wrong, short or long secret, an unknown pid: nothing', () => {
    const keys = new CancelKeys()
    const key = keys.create(() => expect.unreachable())
    const wrong = Buffer.from(key.secret)
    wrong[0] = wrong[0]! ^ 1
    for (const secret of [
      wrong,
      key.secret.subarray(1),
      Buffer.alloc(0),
      Buffer.concat([key.secret, wrong]),
    ]) {
      expect(keys.cancel(key.pid, secret)).toBe(false)
    }
    expect(keys.cancel(0, key.secret)).toBe(false)
  })

  test('cancel keys: released: void, also when released twice', () => {
    const keys = new CancelKeys()
    const key = keys.create(() => expect.unreachable())
    key.release()
    key.release()
    expect(keys.cancel(key.pid, key.secret)).toBe(false)
    expect(keys.size).toBe(0)
  })

  test('cancel keys: many: 31-bit pids, all different', () => {
    const keys = new CancelKeys()
    const pids = new Set(Array.from({ length: 2000 }, () => keys.create(() => undefined).pid))
    expect(pids.size).toBe(2000)
    expect([...pids].every((pid) => pid > 0 && pid < 2 ** 31)).toBe(true)
  })
})
