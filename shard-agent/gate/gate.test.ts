import { expect, test } from 'vitest'
import { Gate } from './gate.ts'

test('gate: open: everything enters and is counted', () => {
  const gate = new Gate()
  expect(gate.tryEnter('local')).toBe(true)
  expect(gate.tryEnter('decided', 5n)).toBe(true)
  expect(gate.inFlight).toBe(2)
  gate.leave()
  gate.leave()
  expect(gate.inFlight).toBe(0)
  expect(() => gate.leave()).toThrow('without being in flight')
})

test('gate: held: local commits and decided ones above it wait until the release', () => {
  const gate = new Gate()
  gate.hold(10n)
  const admitted: string[] = []
  expect(gate.tryEnter('decided', 10n)).toBe(true)
  expect(gate.tryEnter('decided', 11n)).toBe(false)
  expect(gate.tryEnter('local')).toBe(false)
  gate.wait({ kind: 'local', commitTs: undefined, admitted: () => admitted.push('local') })
  gate.wait({ kind: 'decided', commitTs: 12n, admitted: () => admitted.push('decided') })
  gate.hold(12n)
  expect(admitted).toEqual(['decided'])
  gate.release()
  expect(admitted).toEqual(['decided', 'local'])
  expect(gate.inFlight).toBe(3)
  expect(gate.waiting).toBe(0)
})

test('gate: idle: resolves when the last commit has left', async () => {
  const gate = new Gate()
  await gate.idle()
  gate.tryEnter('local')
  let isIdle = false
  const idle = gate.idle().then(() => {
    isIdle = true
  })
  await Promise.resolve()
  expect(isIdle).toBe(false)
  gate.leave()
  await idle
})

test('gate: a waiter that gives up: is not admitted', () => {
  const gate = new Gate()
  gate.hold(1n)
  const waiter = {
    kind: 'local' as const,
    commitTs: undefined,
    admitted: () => {
      throw new Error('admitted')
    },
  }
  gate.wait(waiter)
  gate.forget(waiter)
  gate.release()
  expect(gate.inFlight).toBe(0)
})
