import { describe, expect, test } from 'vitest'
import { evenSlots, slotRanges, slotTable } from './slots.ts'

describe('slots', () => {
  test('evenSlots: 3 shards: all 4096 slots, sizes differ by one at most', () => {
    expect(evenSlots(3)).toEqual([
      { from: 0, to: 1364, shard: 0 },
      { from: 1365, to: 2729, shard: 1 },
      { from: 2730, to: 4095, shard: 2 },
    ])
  })
  test.each([1, 2, 3, 5, 7, 64, 4095, 4096])('slotTable: even ranges of %i shards: round trip', (n) => {
    const table = slotTable(evenSlots(n))
    expect(new Set(table).size).toBe(n)
    expect(slotRanges(table)).toEqual(evenSlots(n))
  })
  test('slotTable: a hole or an overlap: throws', () => {
    expect(() => slotTable([{ from: 0, to: 10, shard: 0 }])).toThrow('slot 11 has no owner')
    expect(() => slotTable([...evenSlots(2), { from: 5, to: 5, shard: 1 }])).toThrow('slot 5 has two owners')
  })
  test('evenSlots: no shard or too many: throws', () => {
    expect(() => evenSlots(0)).toThrow()
    expect(() => evenSlots(4097)).toThrow()
  })
})
