import { expect, test } from 'vitest'
import { bytes, count, duration, percent, perSecond } from './format.ts'

test('numbers are told with their units', () => {
  expect([0, 0.123, 1.25, 12.6, 1234567].map(count)).toEqual([
    '0',
    '0.12',
    '1.3',
    '13',
    '1\u202f234\u202f567',
  ])
  expect([0.256, 3.21, 42.4, 1500, 61_000, 7_260_000, 200_000_000].map(duration)).toEqual([
    '0.26 ms',
    '3.2 ms',
    '42 ms',
    '1.5 s',
    '1 min 1 s',
    '2 h 1 min',
    '2 d 7 h',
  ])
  expect([12, 1_500, 12_345_678].map(bytes)).toEqual(['12 B', '1.5 kB', '12 MB'])
  expect([percent(0.333), perSecond(3), count(Number.NaN)]).toEqual(['33.3 %', '3 /s', '–'])
})
