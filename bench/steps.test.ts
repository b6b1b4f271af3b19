import { expect, test } from 'vitest'
import { parseMetrics, stepsBetween } from './steps.ts'

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
