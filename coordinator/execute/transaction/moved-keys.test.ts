import { expect, test } from 'vitest'
import type { Relation } from '../../../sql/catalog.ts'
import { MemoryBudget, memoryLimitsOf } from '../../memory/memory-budget.ts'
import { type KeyChange, MovedKeys } from './moved-keys.ts'

const TABLE: Relation = { oid: 7, schema: 'public', name: 't', kind: 'sharded', columns: [] }
const move = (was: string, is: string): KeyChange => ({ was, is, leaves: true })
const stay = (was: string, is: string): KeyChange => ({ was, is, leaves: false })

function keys(): MovedKeys {
  return new MovedKeys(new MemoryBudget(memoryLimitsOf(1_000_000)).session().account('keys'))
}

test('a row that left a key may not have it again, by whatever way it comes', () => {
  const moved = keys()
  moved.note(TABLE, [move('5', '7'), move('6', '5')], [0, 1])
  expect(moved.comesBack(TABLE, move('7', '5'), 0)).toBe(true)
  expect(moved.comesBack(TABLE, move('5', '7'), 1)).toBe(false)
  expect(moved.comesBack(TABLE, move('5', '6'), 1)).toBe(true)
  moved.note(TABLE, [move('7', '8')], [1])
  moved.note(TABLE, [stay('8', '9')], [])
  expect(moved.comesBack(TABLE, stay('9', '5'), 0)).toBe(true)
  expect(moved.comesBack(TABLE, stay('9', '8'), 2)).toBe(false)
})

test('keys that it had in place before it left count, and those that nobody has seen', () => {
  const moved = keys()
  moved.note(TABLE, [stay('5', '6')], [])
  expect(moved.comesBack(TABLE, stay('6', '5'), 0)).toBe(false)
  moved.note(TABLE, [move('6', '7')], [0])
  expect(moved.comesBack(TABLE, move('7', '5'), 0)).toBe(true)
  expect(moved.comesBack(TABLE, move('7', '1'), 0)).toBe(false)
  moved.changedInPlace(TABLE)
  expect(moved.comesBack(TABLE, move('7', '1'), 0)).toBe(true)
  expect(moved.comesBack(TABLE, move('7', '1'), 2)).toBe(false)
})
