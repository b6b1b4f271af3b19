import { expect, test } from 'vitest'
import { Metrics } from './metrics.ts'

test('metrics: counters, gauges, histograms: the Prometheus text format', async () => {
  const metrics = new Metrics()
  metrics.counter('weft_commits_total', 'Commits.', { kind: 'one-phase' }).inc()
  metrics.counter('weft_commits_total', 'Commits.', { kind: 'one-phase' }).inc(2)
  metrics.counter('weft_commits_total', 'Commits.', { kind: 'two-phase' })
  metrics.gauge('weft_sessions', 'Clients.', () => 7)
  metrics.gauge('weft_pool_busy', 'In use.', () => [
    [{ shard: 0 }, 3],
    [{ shard: 1 }, 0],
  ])
  const seconds = metrics.histogram('weft_seconds', 'Time.', {}, [0.1, 1])
  for (const value of [0.1, 0.5, 2]) seconds.observe(value)
  expect(await metrics.render()).toBe(`# HELP weft_commits_total Commits.
# TYPE weft_commits_total counter
weft_commits_total{kind="one-phase"} 3
weft_commits_total{kind="two-phase"} 0

# HELP weft_sessions Clients.
# TYPE weft_sessions gauge
weft_sessions 7

# HELP weft_pool_busy In use.
# TYPE weft_pool_busy gauge
weft_pool_busy{shard="0"} 3
weft_pool_busy{shard="1"} 0

# HELP weft_seconds Time.
# TYPE weft_seconds histogram
weft_seconds_bucket{le="0.1"} 1
weft_seconds_bucket{le="1"} 2
weft_seconds_bucket{le="+Inf"} 3
weft_seconds_sum 2.6
weft_seconds_count 3
`)
})

test('metrics: quotes and line ends in labels and help: escaped', async () => {
  const metrics = new Metrics()
  metrics.counter('c', 'a\nb', { what: 'say "x"\n\\' }).inc()
  expect(await metrics.render()).toBe('# HELP c a\\nb\n# TYPE c counter\nc{what="say \\"x\\"\\n\\\\"} 1\n')
})

test('metrics: a counter that somebody else keeps: read when asked for', async () => {
  const metrics = new Metrics()
  let taken = 1
  metrics.counted('cuts_total', 'Cuts.', () => [[{ result: 'taken' }, taken]])
  taken = 2
  expect(await metrics.render()).toBe(
    '# HELP cuts_total Cuts.\n# TYPE cuts_total counter\ncuts_total{result="taken"} 2\n',
  )
})

test('metrics: one name for two types: refused', () => {
  const metrics = new Metrics()
  metrics.counter('c', 'C.')
  expect(() => metrics.gauge('c', 'C.', () => 1)).toThrow('metric c is a counter, not a gauge')
})

test('metrics: a histogram that somebody else keeps: read when asked for, buckets with what is below', async () => {
  const metrics = new Metrics()
  metrics.observed('weft_seconds', 'Time.', [0.1, 1], () => [
    [{ route: 'one' }, { counts: [2, 1, 1], sum: 3.5 }],
  ])
  expect(await metrics.render()).toBe(`# HELP weft_seconds Time.
# TYPE weft_seconds histogram
weft_seconds_bucket{route="one",le="0.1"} 2
weft_seconds_bucket{route="one",le="1"} 3
weft_seconds_bucket{route="one",le="+Inf"} 4
weft_seconds_sum{route="one"} 3.5
weft_seconds_count{route="one"} 4
`)
  expect([...metrics.names]).toEqual([['weft_seconds', 'histogram']])
})
