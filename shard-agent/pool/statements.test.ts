import { expect, test } from 'vitest'
import { KnownStatements } from './statements.ts'

test('known statements: full: the longest unused go, what is needed now stays', () => {
  const known = new KnownStatements(3)
  for (const name of ['a', 'b', 'c']) known.add(name)
  expect(known.use('a')).toBe(true)
  expect(known.evict(1, 1)).toEqual(['b'])
  known.add('d')
  expect(known.size).toBe(3)
  expect(known.use('b')).toBe(false)
  expect(known.evict(5, 3)).toEqual([])
})

test('known statements: room: nothing is evicted', () => {
  const known = new KnownStatements(3)
  known.add('a')
  expect(known.evict(2, 0)).toEqual([])
})
