import { expect, test } from 'vitest'
import { rangesOf, runsOf } from './slots.ts'

test('rangesOf: as the API tells them', () => {
  expect(rangesOf('0-1364, 2000, 2002-2010')).toEqual([
    { from: 0, to: 1364 },
    { from: 2000, to: 2000 },
    { from: 2002, to: 2010 },
  ])
  expect(rangesOf('')).toEqual([])
})

test('runsOf: a range goes on in the next line; no slot is there twice, none is missing', () => {
  const owners = [
    { shard: 0, slot_ranges: '0-5, 14-15' },
    { shard: 1, slot_ranges: '6-13' },
  ]
  const runs = runsOf(owners, 4)
  expect(runs).toEqual([
    { line: 0, column: 0, length: 4, shard: 0 },
    { line: 1, column: 0, length: 2, shard: 0 },
    { line: 3, column: 2, length: 2, shard: 0 },
    { line: 1, column: 2, length: 2, shard: 1 },
    { line: 2, column: 0, length: 4, shard: 1 },
    { line: 3, column: 0, length: 2, shard: 1 },
  ])
  const slots = runs.flatMap(({ line, column, length }) =>
    Array.from({ length }, (_, i) => line * 4 + column + i),
  )
  expect(slots.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, i) => i))
})
