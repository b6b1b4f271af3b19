import { describe, expect, test } from 'vitest'
import {
  ConnectionLost,
  DatabaseError,
  DeadlockDetected,
  OutcomeUnknown,
  SerializationFailure,
  UniqueViolation,
} from '../errors/errors.ts'
import { defaultRetries, hadNoEffect, nextTry } from './retry.ts'
import { retrying } from './retrying.ts'

const conflict = new SerializationFailure('conflict', { sqlstate: '40001' })

describe('retry: which errors', () => {
  test.each([
    ['40001', conflict, true],
    ['40P01', new DeadlockDetected('deadlock', { sqlstate: '40P01' }), true],
    ['a connection lost before COMMIT', new ConnectionLost('gone', { sent: true }), true],
    ['57P01', new DatabaseError('shutdown', { sqlstate: '57P01' }), true],
    ['08007', new OutcomeUnknown('who knows', { sqlstate: '08007' }), false],
    [
      'a lost COMMIT',
      new OutcomeUnknown('lost', { cause: new ConnectionLost('gone', { sent: true }) }),
      false,
    ],
    ['23505', new UniqueViolation('there', { sqlstate: '23505' }), false],
    ['an error of the caller', new Error('no'), false],
    ['no error at all', 'no', false],
  ])('%s', (_name, error, expected) => {
    expect(hadNoEffect(error)).toBe(expected)
  })
})

describe('retry: how long', () => {
  test('the bound doubles up to its cap, the wait is drawn below it', () => {
    const policy = { retries: 9, baseMs: 10, capMs: 100 }
    const waits = [1, 2, 3, 4, 5, 6].map((failed) => nextTry(policy, failed, conflict, () => 0.999))
    expect(waits.map((next) => next.kind === 'wait' && next.ms)).toEqual([9, 19, 39, 79, 99, 99])
    expect(nextTry(policy, 3, conflict, () => 0)).toEqual({ kind: 'wait', ms: 0 })
  })

  test('after the last retry it gives up, with none at once', () => {
    expect(nextTry(defaultRetries, 5, conflict, () => 0).kind).toBe('wait')
    expect(nextTry(defaultRetries, 6, conflict, () => 0).kind).toBe('give-up')
    expect(nextTry({ ...defaultRetries, retries: 0 }, 1, conflict, () => 0).kind).toBe('give-up')
  })
})

describe('retrying', () => {
  const slept: number[] = []
  const clock = { now: () => 0, sleep: async (ms: number) => void slept.push(ms) }

  test('waits as the core says, and gives what the last try gives', async () => {
    const policy = { retries: 3, baseMs: 100, capMs: 1000 }
    let tries = 0
    const told: number[] = []
    const attempt = async (): Promise<string> => {
      if (++tries <= 2) throw conflict
      return 'done'
    }
    const onRetry = ({ failed, waitMs }: { failed: number; waitMs: number }): void =>
      void told.push(failed, waitMs)
    expect(await retrying(attempt, { policy, clock, random: () => 0.5, onRetry })).toBe('done')
    expect(slept).toEqual([50, 100])
    expect(told).toEqual([1, 50, 2, 100])
  })

  test('the error of the last try is told', async () => {
    const attempt = (): Promise<never> => Promise.reject(conflict)
    const policy = { retries: 2, baseMs: 1, capMs: 1 }
    await expect(retrying(attempt, { policy, clock, random: () => 0 })).rejects.toBe(conflict)
  })

  test('a signal that is aborted while it waits ends it', async () => {
    const stop = new AbortController()
    const stopping = { now: () => 0, sleep: async () => stop.abort() }
    const options = { policy: defaultRetries, clock: stopping, random: () => 0, signal: stop.signal }
    await expect(retrying(() => Promise.reject(conflict), options)).rejects.toThrow('canceled by its signal')
  })
})
