import { expect, test } from 'vitest'
import { discipline } from './net.ts'

test('links with netem: delayed, or some of it lost, or both', () => {
  expect(discipline('netem', 'slow').join(' ')).toBe('netem delay 60ms 30ms 25%')
  expect(discipline('netem', 'lossy').join(' ')).toBe('netem loss 15% 25%')
  expect(discipline('netem', 'both').join(' ')).toBe('netem delay 60ms 30ms 25% loss 3% 25%')
})

test('without it, a bucket that is narrow', () => {
  expect(discipline('tbf', 'both')).toEqual(discipline('tbf', 'slow'))
})
