import { expect, test } from 'vitest'
import type { History, Sample } from '../../admin/api/schemas.ts'
import { joined, latest, levels, quantile, quantiles, rates } from './rates.ts'

const sample = (second: number, more: Partial<Sample> = {}): Sample => ({
  at: new Date(second * 1000).toISOString(),
  statements: { local: 0, one: 0, some: 0, all: 0, moves: 0 },
  latency: [0, 0, 0],
  ...{ errors: 0, refusals: 0, deadlock_victims: 0, sessions: 0, shards: [] },
  commits: { committed: 0, aborted: 0, unknown: 0 },
  cuts: { taken: 0, failed: 0 },
  transactions: { open: 0, waiting: 0 },
  ...more,
})
const history = (samples: Sample[]): History => ({ every_ms: 2000, bounds: [0.01, 0.1], samples })

test('rates: by second between two samples; nothing after a restart or over a gap', () => {
  const samples = [
    [0, 10],
    [2, 30],
    [4, 5],
    [6, 9],
    [60, 900],
    [62, 900],
  ].map(([at, errors]) => sample(at!, { errors: errors! }))
  expect(rates(history(samples), ({ errors }) => errors)).toEqual({
    times: [2, 4, 6, 60, 62],
    values: [[10, null, 2, null, 0]],
  })
  expect(rates(history([]), () => 1)).toEqual({ times: [], values: [[]] })
})

test('levels: as they are', () => {
  expect(levels([sample(1, { sessions: 3 })], ({ sessions }) => sessions)).toEqual({
    times: [1],
    values: [[3]],
  })
})

test('quantiles: of what was counted between two samples', () => {
  const samples = [
    sample(0, { latency: [100, 0, 0] }),
    sample(2, { latency: [110, 0, 0] }),
    sample(4, { latency: [110, 0, 0] }),
  ]
  expect(quantiles(history(samples), 0.5).values).toEqual([[0.005, null]])
})

test.each([
  [[10, 0, 0], 0.5, 0.005],
  [[0, 10, 0], 1, 0.1],
  [[5, 5, 0], 0.75, 0.055],
  [[0, 0, 3], 0.99, 0.1],
  [[0, 0, 0], 0.5, null],
  [[-1, 0, 0], 0.5, null],
])('quantile: %j, %d', (counts, q, found) => {
  const told = quantile([0.01, 0.1], counts, q)
  if (found === null) expect(told).toBeNull()
  else expect(told).toBeCloseTo(found)
})

test('joined: nothing twice, the oldest fall off', () => {
  const told = joined([sample(1), sample(2)], [sample(2), sample(3)], 2)
  expect(told.map(({ at }) => Date.parse(at))).toEqual([2000, 3000])
})

test('latest: what is now, not what was last known', () => {
  expect([latest([1, 2]), latest([1, null]), latest([]), latest(undefined)]).toEqual([2, null, null, null])
})
