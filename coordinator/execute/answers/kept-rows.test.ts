import { expect, test } from 'vitest'
import { commandComplete } from '../../../protocol/wire/backend-messages.ts'
import { MemoryBudget, memoryLimitsOf } from '../../memory/memory-budget.ts'
import { KeptRows } from './kept-rows.ts'

function rows(limitBytes: number): { kept: KeptRows; used: () => number } {
  const memory = new MemoryBudget({ ...memoryLimitsOf(limitBytes), sessionBytes: limitBytes }).session()
  return { kept: new KeptRows(memory.account('rows')), used: () => memory.used }
}

test('kept rows: parts, then the tag with the count of the last part', () => {
  const { kept, used } = rows(10_000)
  for (let i = 0; i < 5; i++) kept.add(Buffer.from([i]))
  kept.end(commandComplete('INSERT 0 5'))
  expect(kept.take(2).rows).toHaveLength(2)
  expect(kept.take(3)).toEqual({ rows: [Buffer.from([2]), Buffer.from([3]), Buffer.from([4])] })
  expect(kept.take(3)).toEqual({ rows: [], end: ['INSERT 0 5', 0] })
  kept.clear()
  expect(used()).toBe(0)
})

test('kept rows: without memory for them they fail, and give back what they took', () => {
  const { kept, used } = rows(1000)
  for (let i = 0; i < 50; i++) kept.add(Buffer.alloc(100))
  expect(kept.failure?.code).toBe('53200')
  expect(used()).toBeLessThanOrEqual(1000)
  kept.clear()
  expect([used(), kept.failure]).toEqual([0, undefined])
})
