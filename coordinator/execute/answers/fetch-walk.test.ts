import { expect, test } from 'vitest'
import type { FetchStep } from '../../../sql/plan/plan.ts'
import { type Rows, STARTING, walk } from './fetch-walk.ts'

/** Rows 1 to `last`, and what was given of them. */
class Numbers implements Rows {
  readonly given: number[] = []
  /** 0: before all; `last` + 1: behind. */
  private at = 0
  private readonly last: number

  constructor(last: number) {
    this.last = last
  }

  async forward(count: number, speaks: boolean): Promise<number> {
    return this.go(count, speaks, 1)
  }

  async backward(count: number, speaks: boolean): Promise<number> {
    return this.go(count, speaks, -1)
  }

  async rewind(): Promise<void> {
    this.at = 0
  }

  private go(count: number, speaks: boolean, by: 1 | -1): number {
    for (let found = 0; found < count; found++) {
      this.at = Math.min(this.last + 1, Math.max(0, this.at + by))
      if (this.at === 0 || this.at > this.last) return found
      if (speaks) this.given.push(this.at)
    }
    return count
  }
}

const ALL = Number.POSITIVE_INFINITY
const step = (direction: FetchStep['direction'], count: number): FetchStep => ({ direction, count })

test.each<[string, readonly FetchStep[], readonly number[]]>([
  ['on and back', [step('forward', 3), step('backward', 1), step('forward', 2)], [1, 2, 3, 2, 3, 4]],
  ['all, and all back', [step('forward', ALL), step('backward', ALL)], [1, 2, 3, 4, 5, 5, 4, 3, 2, 1]],
  ['less than nothing is the other way', [step('backward', -2), step('forward', -1)], [1, 2, 1]],
  ['none is the same again', [step('forward', 0), step('forward', 2), step('relative', 0)], [1, 2, 2]],
  ['by number, near and far', [step('absolute', 4), step('absolute', 3), step('absolute', 1)], [4, 3, 1]],
  ['by number, from the end', [step('absolute', -1), step('absolute', -5), step('absolute', -6)], [5, 1]],
  ['behind all', [step('absolute', 9), step('backward', 1), step('absolute', 0), step('forward', 1)], [5, 1]],
  [
    'by distance',
    [step('relative', 3), step('relative', -2), step('relative', 9), step('relative', -1)],
    [3, 1, 5],
  ],
])('FETCH %s', async (_, steps, given) => {
  const rows = new Numbers(5)
  const position = { ...STARTING }
  let count = 0
  for (const one of steps) count += await walk(position, rows, one, true)
  expect(rows.given).toEqual(given)
  expect(count).toBe(given.length)
})

test('MOVE tells how far it went', async () => {
  const rows = new Numbers(5)
  const position = { ...STARTING }
  const move = (direction: FetchStep['direction'], count: number) =>
    walk(position, rows, step(direction, count), false)
  expect(await move('forward', 3)).toBe(3)
  expect(await move('forward', 0)).toBe(1)
  expect(await move('backward', ALL)).toBe(2)
  expect(await move('forward', 0)).toBe(0)
  expect(await move('forward', ALL)).toBe(5)
  expect(await move('backward', ALL)).toBe(5)
  expect(rows.given).toEqual([])
})
