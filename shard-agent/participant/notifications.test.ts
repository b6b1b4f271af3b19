import { afterEach, expect, test, vi } from 'vitest'
import type { RunSql } from '../pool/internal-work.ts'
import { Notifications } from './notifications.ts'

/** Looks that have begun; each goes on, or fails, when the test says so. */
function made() {
  const looks: { done(error?: Error): void }[] = []
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const withInternal = <T>(work: (run: RunSql) => Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      const run = (() => Promise.resolve()) as unknown as RunSql
      looks.push({
        done: (error) => (error === undefined ? void work(run).then(resolve, reject) : reject(error)),
      })
    })
  return { looks, notifications: new Notifications({ shard: 1, log, withInternal }) }
}

const breath = () => vi.advanceTimersByTimeAsync(0)
const told = (tells: boolean) => ({ takeTells: () => tells })

afterEach(() => {
  vi.useRealTimers()
})

test('what falls due while it looks is looked for once more, and once', async () => {
  vi.useFakeTimers()
  const { looks, notifications } = made()
  notifications.due()
  notifications.due()
  notifications.due()
  expect(looks).toHaveLength(1)
  looks[0]!.done()
  await breath()
  expect(looks).toHaveLength(2)
  looks[1]!.done()
  await breath()
  expect(looks).toHaveLength(2)
  notifications.due()
  expect(looks).toHaveLength(3)
})

test('a prepared transaction is told of when it is over, if it has something to tell', async () => {
  vi.useFakeTimers()
  const { looks, notifications } = made()
  notifications.prepared('quiet', told(false))
  notifications.prepared('loud', told(true))
  expect(looks).toHaveLength(0)
  notifications.concluded('quiet')
  expect(looks).toHaveLength(0)
  notifications.concluded('loud')
  expect(looks).toHaveLength(1)
  looks[0]!.done()
  await breath()
  notifications.concluded('loud')
  expect(looks).toHaveLength(1)
  // Recovery does not know: another agent may have prepared it.
  notifications.resolved('unknown')
  expect(looks).toHaveLength(2)
})

test('a server that is away is asked again, and by nobody any more once it is stopped', async () => {
  vi.useFakeTimers()
  const { looks, notifications } = made()
  notifications.due()
  looks[0]!.done(new Error('away'))
  await breath()
  expect(looks).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(looks).toHaveLength(2)
  looks[1]!.done(new Error('away'))
  await breath()
  await notifications.stop()
  await vi.advanceTimersByTimeAsync(10_000)
  notifications.due()
  expect(looks).toHaveLength(2)
})
