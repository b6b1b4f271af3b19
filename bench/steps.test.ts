import { expect, test } from 'vitest'
import { parseMetrics, quantilesOf, stepsBetween, sumOf } from './steps.ts'

const page = (count: number, sum: number, committed: number): string => `# HELP weft_commit_seconds Steps.
# TYPE weft_commit_seconds histogram
weft_commit_seconds_bucket{step="prepare",le="0.001"} ${count}
weft_commit_seconds_bucket{step="prepare",le="+Inf"} ${count}
weft_commit_seconds_sum{step="prepare"} ${sum}
weft_commit_seconds_count{step="prepare"} ${count}
weft_commits_total ${committed}
weft_sessions 3
`

test('steps: metrics before and after: means of what moved, counters, and nothing of gauges', () => {
  const steps = stepsBetween(parseMetrics(page(10, 1, 5)), parseMetrics(page(30, 1.1, 9)))
  expect(steps).toEqual([
    { name: 'weft_commit_seconds{step="prepare"}', count: 20, meanMs: expect.closeTo(5, 6) },
    { name: 'weft_commits_total', count: 4, meanMs: undefined },
  ])
})

test('steps: a histogram that appears during the run: counted from zero', () => {
  expect(stepsBetween(new Map(), parseMetrics(page(2, 0.004, 0)))).toEqual([
    { name: 'weft_commit_seconds{step="prepare"}', count: 2, meanMs: expect.closeTo(2, 6) },
  ])
})

const buckets = (first: number, second: number, rest: number): Map<string, number> =>
  new Map([
    ['weft_held_seconds_bucket{shard="0",le="0.001"}', first],
    ['weft_held_seconds_bucket{shard="0",le="0.01"}', second],
    ['weft_held_seconds_bucket{shard="0",le="+Inf"}', rest],
  ])

test('quantiles: inside a bucket evenly; of several runs together; beyond the last bound that bound', () => {
  const moved = sumOf([
    [buckets(5, 5, 5), buckets(5, 55, 55)],
    [new Map(), buckets(0, 50, 50)],
  ])
  expect(quantilesOf(moved, 'weft_held_seconds')).toEqual({
    count: 100,
    p50: expect.closeTo(5.5, 6),
    p99: expect.closeTo(9.91, 6),
  })
  expect(quantilesOf(buckets(0, 0, 3), 'weft_held_seconds')).toMatchObject({ p50: 10, p99: 10 })
  expect(quantilesOf(buckets(0, 0, 0), 'weft_held_seconds')).toBeUndefined()
})
