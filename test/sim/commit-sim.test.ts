import { describe, expect, test } from 'vitest'
import { type Mutant, simulate } from './commit-sim.ts'
import { commitIds, explain } from './explain.ts'

/** `npm run sim` runs more of them. */
const seeds = 30

describe('simulated commits', { timeout: 300_000 }, () => {
  test(`${seeds} seeds: all or nothing, answers true, timestamps in order, everything settled`, async () => {
    const totals = { transactions: 0, committed: 0, aborted: 0, unknown: 0, recovered: 0 }
    for (let seed = 1; seed <= seeds; seed++) {
      const result = await simulate(seed)
      if (result.violations.length > 0) expect.fail(explain('commits', seed, result, commitIds))
      for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += result.stats[key]
    }
    // Otherwise the trouble was not trouble enough.
    expect(totals.committed).toBeGreaterThan(seeds * 10)
    expect(totals.aborted).toBeGreaterThan(seeds * 5)
    expect(totals.unknown).toBeGreaterThan(0)
    expect(totals.recovered).toBeGreaterThan(seeds * 10)
  })

  test('a seed that fails: the same run every time, and its report names it', async () => {
    const mutant = 'recovery ignores the record'
    const result = await simulate(1, mutant)
    expect(await simulate(1, mutant)).toEqual(result)
    expect(result.violations).not.toEqual([])
    const report = explain('commits', 1, result, commitIds)
    expect(report).toMatch(/^commits, seed 1:\nI[12] c\d/)
    expect(report).toMatch(/ prepared on \d\n/)
  })

  /** With the invariant that it breaks (commit-sim.ts), and a seed to begin with where it takes many. */
  const mutants: readonly [Mutant, RegExp, number?][] = [
    ['decides before all have prepared', /^I/],
    ['applies before the record exists', /^I/],
    ['takes an unknown write for a failed one', /^I/],
    ['recovery aborts without a tombstone', /^I/],
    ['tombstones are swept while their coordinator lives', /^I/],
    ['aborts are dropped although a decision may be late', /^I/],
    ['decisions do not need the registration', /^I/],
    ['recovery ignores the record', /^I/],
    ['records are dropped before all have confirmed', /^I/],
    ['loses the bound of the clock', /^C1/, 16],
    ['believes the bound of the clock stored too early', /^C[14]/],
    ['commits take effect above the bound of the clock', /^C4/, 840],
    ['the commit timestamp is the first prepare timestamp', /^C2/],
    ['timestamps do not ride on messages', /^[CL]/],
    ['an agent that starts believes its own clock', /^L/],
    ['the last participant commits ahead of its record', /^I/],
    ['the last participant commits although there is an abort', /^I/],
    ['takes an unknown commit of the last participant for a failed one', /^I/],
    ['an unknown commit of the last participant is written by itself', /^I/],
  ]
  test.each(mutants)('mutant: %s: found', async (mutant, broken, from = 1) => {
    let found = 0
    for (let seed = from; seed < from + 500 && found === 0; seed++) {
      const { violations } = await simulate(seed, mutant)
      if (violations.some((violation) => broken.test(violation))) found = seed
    }
    expect(found).toBeGreaterThan(0)
  })
})
