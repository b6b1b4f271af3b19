import { expect, test } from 'vitest'
import { type CutLoadRun, cutLoads, summarizeCutLoads } from './cut-load.ts'
import { formatCutLoads } from './cut-report.ts'

const page = (held: number, waits: number): Map<string, number> =>
  new Map([
    ['weft_commit_held_seconds_bucket{shard="0",kind="decided",le="0.002"}', held],
    ['weft_commit_held_seconds_bucket{shard="0",kind="decided",le="+Inf"}', held],
    ['weft_commit_held_seconds_bucket{shard="1",kind="decided",le="0.002"}', 0],
    ['weft_commit_held_seconds_bucket{shard="1",kind="decided",le="+Inf"}', 0],
    ['weft_cut_wait_seconds_bucket{le="0.004"}', waits],
    ['weft_cut_wait_seconds_bucket{le="+Inf"}', waits],
    ['weft_cuts_total{result="taken"}', waits],
  ])

test('cut load: each rate against that of the same round without reads, holds of all rounds together', () => {
  const rounds = [1000, 500].map((alone) =>
    cutLoads.map((load): CutLoadRun => {
      const perSecond = load.readsPerSecond === 10 ? 0.9 * alone : alone
      const transfers = {
        kind: 'measured',
        perSecond,
        latencyMs: 1,
        transactions: 1000,
        cpuUs: 1,
      } as const
      const held = load.readsPerSecond * 10
      return { load, transfers, readsMs: [4, 5, 6], before: page(7, 3), after: page(7 + held, 3 + held) }
    }),
  )
  const results = summarizeCutLoads('transfer', cutLoads, rounds)
  expect(results[0]).toMatchObject({
    ratio: { median: 1 },
    heldShare: 0,
    heldMs: undefined,
    cutMs: undefined,
  })
  expect(results[2]).toMatchObject({
    readsPerSecond: 10,
    ratio: { median: 0.9, low: 0.9, high: 0.9 },
    perSecond: { low: 450, high: 900 },
    // 200 of two commits each of 2000 transfers.
    heldShare: 0.05,
    heldMs: { count: 200, p50: expect.closeTo(1, 6), p99: expect.closeTo(1.98, 6) },
    cutMs: { count: 200, p50: expect.closeTo(2, 6) },
    readMs: { count: 6, p50: 5, p99: 6 },
    cuts: { taken: 200, failed: 0 },
  })
  expect(formatCutLoads('transfer', results).split('\n')).toHaveLength(2 + cutLoads.length)
})
