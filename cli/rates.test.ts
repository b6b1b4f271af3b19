import { expect, test } from 'vitest'
import type { History, Sample } from '../admin/api/schemas.ts'
import { ratesOf } from './rates.ts'

const sample = (seconds: number, one: number, all: number, latency: number[]): Sample => ({
  at: new Date(Date.UTC(2026, 0, 1) + seconds * 1_000).toISOString(),
  statements: { local: 0, one, some: 0, all, moves: 0 },
  latency,
  errors: seconds,
  refusals: 0,
  commits: { committed: 2 * seconds, aborted: 0, unknown: 0 },
  cuts: { taken: 0, failed: 0 },
  deadlock_victims: 0,
  sessions: 0,
  transactions: { open: 0, waiting: 0 },
  shards: [],
})
const history = (...samples: Sample[]): History => ({ every_ms: 2_000, bounds: [0.001, 0.01], samples })

test('rates: of the last ten seconds, not of what was before', () => {
  const before = sample(0, 0, 0, [0, 0, 0])
  const first = sample(20, 1_000, 0, [1_000, 0, 0])
  const last = sample(30, 1_300, 100, [1_300, 99, 1])
  expect(ratesOf(history(before, first, last))).toEqual({
    ...{ seconds: 10, statements: 40, on_one_shard: 30, errors: 1, commits: 2 },
    ...{ p50_seconds: 0.001, p99_seconds: 0.01 },
  })
})

test('rates: none ran; what took longer than the last bound; nothing counted yet', () => {
  const idle = ratesOf(history(sample(0, 5, 0, [5, 0, 0]), sample(2, 5, 0, [5, 0, 0])))
  expect(idle).toMatchObject({ statements: 0, p50_seconds: null })
  const slow = ratesOf(history(sample(0, 0, 0, [0, 0, 0]), sample(2, 1, 0, [0, 0, 1])))
  expect(slow).toMatchObject({ p99_seconds: 0.01 })
  expect(ratesOf(history(sample(0, 0, 0, [0, 0, 0])))).toBeUndefined()
  expect(ratesOf(history())).toBeUndefined()
})
