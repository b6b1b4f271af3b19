import { describe, expect, test } from 'vitest'
import { explain, ssiIds } from './explain.ts'
import { type SsiMutant, simulateSsi } from './ssi-sim.ts'

/** `npm run sim` runs more of them. */
const seeds = 60

describe('simulated SERIALIZABLE over shards', { timeout: 300_000 }, () => {
  test(`${seeds} seeds: a serial order in agreement with real time, no victim without a conflict`, async () => {
    const totals = { committed: 0, cross: 0, disjoint: 0, victims: 0, failed: 0 }
    for (let seed = 1; seed <= seeds; seed++) {
      const result = await simulateSsi(seed)
      if (result.violations.length > 0) expect.fail(explain('serializable', seed, result, ssiIds))
      for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += result.stats[key]
    }
    // Otherwise there was not enough to be found.
    expect(totals.cross).toBeGreaterThan(seeds * 15)
    expect(totals.disjoint).toBeGreaterThan(seeds * 4)
    expect(totals.victims).toBeGreaterThan(seeds * 3)
  })

  test('a seed that fails: the same run every time, and its report names it', async () => {
    const result = await simulateSsi(firstWithoutProbe, 'no probe')
    expect(await simulateSsi(firstWithoutProbe, 'no probe')).toEqual(result)
    expect(result.violations).not.toEqual([])
    const report = explain('serializable', firstWithoutProbe, result, ssiIds)
    expect(report).toMatch(/^serializable, seed 3:\nnot .*: x\d+ -/)
    expect(report).toMatch(/ reads \d\/r/)
  })

  /** With a seed to begin with where it takes many. */
  const mutants: readonly [SsiMutant, number?][] = [
    ['no probe'],
    ['the probe is used only where something was written'],
    ['shards that were only read are committed, not prepared'],
    ['a probe is ended before the next one is there'],
    ['a new probe does not cover what used the one before'],
    ['a probe is ended without asking who has used it'],
    ['a restarted shard is not exposed', 100],
    ['every shard has its own snapshot', 1_000],
  ]
  test.each(mutants)('mutant: %s: found', async (mutant, from = 1) => {
    let found = 0
    for (let seed = from; seed < from + 500 && found === 0; seed++) {
      const { violations } = await simulateSsi(seed, mutant)
      if (violations.some((violation) => violation.startsWith('not '))) found = seed
    }
    expect(found).toBeGreaterThan(0)
  })
})

const firstWithoutProbe = 3
