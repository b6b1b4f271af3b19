import { describe, expect, test } from 'vitest'
import { type Mutant, type SimResult, simulate } from './commit-sim.ts'

/** WEFT_SIM_SEEDS=100000 runs more; WEFT_SIM_SEED=17 runs one and prints its trace. */
const seeds = Number(process.env.WEFT_SIM_SEEDS ?? 300)
const only = process.env.WEFT_SIM_SEED

function failureOf(seed: number, result: SimResult): string {
  const ids = new Set(result.violations.map((violation) => violation.split(/[ :]+/)[1] ?? ''))
  const about = result.trace.filter(
    (line) => [...ids].some((id) => line.includes(id)) || / (dies|pauses|is un)/.test(line),
  )
  return [`seed ${seed}:`, ...result.violations, ...about].join('\n')
}

describe('simulated commits', () => {
  test.skipIf(only !== undefined)(`${seeds} seeds: all or nothing, answers true, everything settled`, () => {
    const totals = { transactions: 0, committed: 0, aborted: 0, unknown: 0, recovered: 0 }
    for (let seed = 1; seed <= seeds; seed++) {
      const result = simulate(seed)
      if (result.violations.length > 0) expect.fail(failureOf(seed, result))
      for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += result.stats[key]
    }
    // Otherwise the trouble was not trouble enough.
    expect(totals.committed).toBeGreaterThan(seeds)
    expect(totals.aborted).toBeGreaterThan(seeds)
    expect(totals.unknown).toBeGreaterThan(0)
    expect(totals.recovered).toBeGreaterThan(seeds)
  })

  test.runIf(only !== undefined)(`seed ${only}`, () => {
    const result = simulate(Number(only))
    expect(result.violations, failureOf(Number(only), result)).toEqual([])
  })

  test('a seed: the same run every time', () => {
    expect(simulate(7)).toEqual(simulate(7))
  })

  const mutants: Mutant[] = [
    'decides before all have prepared',
    'applies before the record exists',
    'takes an unknown write for a failed one',
    'recovery aborts without a tombstone',
    'tombstones are swept while their coordinator lives',
    'decisions do not need the registration',
    'recovery ignores the record',
    'records are dropped before all have confirmed',
  ]
  test.each(mutants)('mutant: %s: found', (mutant) => {
    let found = 0
    for (let seed = 1; seed <= 1000 && found === 0; seed++) {
      if (simulate(seed, mutant).violations.some((violation) => violation.startsWith('I'))) found = seed
    }
    expect(found).toBeGreaterThan(0)
  })
})
