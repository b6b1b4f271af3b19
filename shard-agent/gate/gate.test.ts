import { expect, test } from 'vitest'
import { agentBus } from '../events.ts'
import { Gate } from './gate.ts'

test('gate: since when the oldest is prepared: whoever prepares it, not since the agent began', () => {
  const gate = new Gate(agentBus())
  const begunMs = performance.now()
  gate.prepared('follows', 5n)
  gate.prepared('last', 6n, true)
  expect(gate.preparedSinceMs).toBeGreaterThanOrEqual(begunMs)
  gate.prepared('before its time', 0n)
  expect(gate.preparedSinceMs).toBe(0)
})
