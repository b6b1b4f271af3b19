import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { DropQueue } from './grouping.ts'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setUp() {
  const log = { isUp: false, dropped: [] as string[], attempts: 0 }
  const drops = new DropQueue(
    async (txnIds) => {
      log.attempts++
      if (!log.isUp) throw new Error('out of reach')
      log.dropped.push(...txnIds)
    },
    2,
    100,
  )
  return { log, drops }
}

test('drop queue: a log that is out of reach: dropped when it is back', async () => {
  const { log, drops } = setUp()
  drops.add(['a', 'b', 'c'])
  await vi.advanceTimersByTimeAsync(5000)
  expect(log.dropped).toEqual([])
  log.isUp = true
  await vi.advanceTimersByTimeAsync(1000)
  expect(log.dropped.sort()).toEqual(['a', 'b', 'c'])
  const { attempts } = log
  await vi.advanceTimersByTimeAsync(10_000)
  expect(log.attempts).toBe(attempts)
})

test('drop queue: closed: tried a last time, and no more', async () => {
  const { log, drops } = setUp()
  drops.add(['a'])
  await drops.close()
  expect(log.attempts).toBe(1)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(log.attempts).toBe(1)
})

test('drop queue: the server crashed: what it dropped a moment ago is dropped again, and nothing older', async () => {
  const { log, drops } = setUp()
  log.isUp = true
  drops.add(['a'])
  await vi.advanceTimersByTimeAsync(5000)
  drops.add(['b'])
  await vi.advanceTimersByTimeAsync(1000)
  drops.again()
  drops.again()
  await vi.advanceTimersByTimeAsync(1000)
  expect(log.dropped).toEqual(['a', 'b', 'b'])
})
