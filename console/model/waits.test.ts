import { expect, test } from 'vitest'
import { waitPicture } from './waits.ts'

const shown = (...waits: [number, number[]][]) =>
  waitPicture(waits.map(([pid, blocked_by]) => ({ pid, blocked_by })))
const places = (picture: ReturnType<typeof waitPicture>) =>
  Object.fromEntries(picture.nodes.map(({ pid, column, row, holds }) => [pid, [column, row, holds]]))

test('who waits stands to the right of whom it waits for', () => {
  const picture = shown([2, [1]], [3, [2]], [4, [1]])
  expect(places(picture)).toEqual({ 1: [0, 0, 3], 2: [1, 0, 1], 3: [2, 0, 0], 4: [1, 1, 0] })
  expect([picture.columns, picture.rows]).toEqual([3, 2])
  expect(picture.edges).toContainEqual({ waiter: 3, holder: 2 })
})

test('a circle has an end, and one that waits twice for the same is drawn once', () => {
  const picture = shown([1, [2]], [2, [1, 1]])
  expect(picture.edges).toEqual([
    { waiter: 1, holder: 2 },
    { waiter: 2, holder: 1 },
  ])
  expect(picture.nodes.map(({ holds }) => holds)).toEqual([1, 1])
})

test('nobody waits: nothing', () => {
  expect(shown()).toEqual({ nodes: [], edges: [], columns: 0, rows: 0 })
})
