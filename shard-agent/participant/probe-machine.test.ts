import { describe, expect, test } from 'vitest'
import { ProbeMachine } from './probe-machine.ts'

const limits = { renewMs: 100, idleMs: 300, retryMs: 10 }

function closedMachine(): ProbeMachine {
  const m = new ProbeMachine(limits)
  m.looked(0)
  return m
}

function openMachine(nowMs = 0): ProbeMachine {
  const m = closedMachine()
  m.use(nowMs)
  m.opened(nowMs)
  return m
}

describe('probe machine', () => {
  test('start: looks first, and is exposed until it has', () => {
    const m = new ProbeMachine(limits)
    expect([m.isExposed, m.isOpen, m.next(0)]).toEqual([true, false, 'look'])
    m.looked(0)
    expect([m.isExposed, m.isOpen, m.next(0)]).toEqual([false, false, undefined])
    expect(m.wakeAtMs()).toBe(Number.POSITIVE_INFINITY)
  })

  test('start: something in doubt has used a probe: exposed until there is one', () => {
    const m = new ProbeMachine(limits)
    m.looked(2)
    expect([m.isExposed, m.next(0)]).toEqual([true, 'open'])
    m.opened(0)
    expect([m.isExposed, m.isOpen]).toEqual([false, true])
  })

  test('exposed: a probe cannot be had: looks again, later', () => {
    const m = new ProbeMachine(limits)
    m.looked(1)
    m.failed(0)
    expect([m.isExposed, m.next(9), m.wakeAtMs(), m.next(10)]).toEqual([true, undefined, 10, 'look'])
    m.looked(0)
    expect(m.isExposed).toBe(false)
  })

  test('use: opens one, and keeps it while the user is under way', () => {
    const m = closedMachine()
    m.use(0)
    expect([m.isOpen, m.next(0)]).toEqual([false, 'open'])
    m.opened(0)
    expect([m.isOpen, m.next(10_000)]).toEqual([true, undefined])
    m.done(0)
    expect([m.next(299), m.wakeAtMs(), m.next(300)]).toEqual([undefined, 300, 'close'])
  })

  test('used after it was opened: renewed, and open all the while; not used: not renewed', () => {
    const m = openMachine()
    m.done(50)
    expect([m.next(99), m.wakeAtMs(), m.next(100), m.isOpen]).toEqual([undefined, 100, 'renew', true])
    m.opened(101)
    expect([m.next(210), m.wakeAtMs()]).toEqual([undefined, 401])
  })

  test('renewing fails: the old one stays, and it is tried again', () => {
    const m = openMachine()
    m.done(50)
    m.failed(100)
    expect([m.isOpen, m.next(109), m.next(110)]).toEqual([true, undefined, 'renew'])
  })

  test('closing: a user that comes then waits for the next one', () => {
    const m = openMachine()
    m.done(0)
    m.closing()
    m.use(301)
    expect([m.isOpen, m.isExposed, m.next(301)]).toEqual([false, false, undefined])
    m.closed()
    expect(m.next(301)).toBe('open')
  })

  test('closing: something in doubt has used it: kept, and asked again', () => {
    const m = openMachine()
    m.done(0)
    m.closing()
    m.kept(300)
    expect([m.isOpen, m.next(301), m.next(600)]).toEqual([true, undefined, 'close'])
  })

  test('closing fails: whether it was ended is not known: looks', () => {
    const m = openMachine()
    m.done(0)
    m.closing()
    m.failed(300)
    expect([m.isExposed, m.next(310)]).toEqual([true, 'look'])
  })

  test('the server may have been restarted: exposed at once, whatever the state', () => {
    for (const make of [closedMachine, openMachine]) {
      const m = make()
      m.failed(0)
      m.lost()
      expect([m.isExposed, m.isOpen, m.next(0)]).toEqual([true, false, 'look'])
    }
  })
})
