import { expect, test } from 'vitest'
import { latencyBuckets, Metrics } from '../metrics.ts'
import { Recorder } from './history.ts'
import { linesOf, measured } from './sample.ts'

test('linesOf: names, labels and values; comments are none', () => {
  expect(linesOf('# HELP a b\na{x="1",y="say \\"2\\""} 3\nb 4e-3\n')).toEqual([
    { name: 'a', labels: { x: '1', y: 'say \\"2\\"' }, value: 3 },
    { name: 'b', labels: {}, value: 0.004 },
  ])
})

test('measured: of what a node counts', async () => {
  const metrics = new Metrics()
  metrics.counter('weft_statements_total', 'S.', { kind: 'SELECT', route: 'one' }).inc(3)
  metrics.counter('weft_statements_total', 'S.', { kind: 'UPDATE', route: 'one' }).inc(4)
  metrics.counter('weft_errors_total', 'E.', { sqlstate: '42P01' }).inc(2)
  const some = metrics.histogram('weft_statement_seconds', 'T.', { route: 'one' })
  const all = metrics.histogram('weft_statement_seconds', 'T.', { route: 'all' })
  for (const seconds of [0.0001, 0.0004, 20]) some.observe(seconds)
  all.observe(0.0004)
  const { bounds, sample } = measured(await metrics.render())
  expect(bounds).toEqual(latencyBuckets)
  expect([sample.latency[0], sample.latency[1], sample.latency.at(-1)]).toEqual([1, 2, 1])
  expect(sample.latency).toHaveLength(latencyBuckets.length + 1)
  expect(sample).toMatchObject({ errors: 2, refusals: 0, sessions: 0, statements: { one: 7, all: 0 } })
})

test('Recorder: keeps the last ten minutes, and tells what came after a moment', async () => {
  let nowMs = 0
  const recorder = new Recorder({ metrics: new Metrics(), cluster: () => undefined, nowMs: () => nowMs })
  recorder.stop()
  for (; nowMs < 310 * 2_000; nowMs += 2_000) await recorder.take()
  const { samples, every_ms } = recorder.since(undefined)
  expect([samples.length, every_ms]).toEqual([300, 2_000])
  expect(recorder.since(samples[297]?.at).samples).toHaveLength(2)
})
