import { describe, expect, test } from 'vitest'
import { type CutMutant, type CutSimResult, simulateCuts } from './cut-sim.ts'
import { noCutStats } from './cut-sim-world.ts'

/** WEFT_SIM_SEEDS=100000 runs more; WEFT_SIM_SEED=17 runs one and prints its trace. */
const seeds = Number(process.env.WEFT_SIM_SEEDS ?? 40)
const only = process.env.WEFT_SIM_SEED

function failureOf(seed: number, result: CutSimResult): string {
  const ids = new Set(result.violations.flatMap((violation) => violation.match(/\bt\d+/g) ?? []))
  const about = result.trace.filter(
    (line) => [...ids].some((id) => line.includes(`${id} `)) || /dies|pauses|back/.test(line),
  )
  return [`seed ${seed}:`, ...result.violations.slice(0, 20), ...about].join('\n')
}

describe('simulated cuts', () => {
  test.skipIf(only !== undefined)(`${seeds} seeds: whole, fresh, in order; no hold beyond its lease`, () => {
    const totals = noCutStats()
    for (let seed = 1; seed <= seeds; seed++) {
      const result = simulateCuts(seed)
      if (result.violations.length > 0) expect.fail(failureOf(seed, result))
      for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += result.stats[key]
    }
    // Otherwise the trouble was not trouble enough.
    expect(totals.cuts).toBeGreaterThan(seeds * 10)
    expect(totals.cross).toBeGreaterThan(seeds * 50)
    expect(totals.behind).toBeGreaterThan(seeds)
    expect(totals.busy).toBeGreaterThan(seeds)
    expect(totals.looks).toBeGreaterThan(seeds * 100)
    expect(totals.begun).toBeGreaterThan(seeds * 5)
    expect(totals.lapsed).toBeGreaterThan(seeds / 2)
  })

  test.skipIf(only !== undefined)(
    'without trouble: every reader soon has its cut, writers most of the time',
    () => {
      for (let seed = 1; seed <= Math.max(10, seeds / 10); seed++) {
        const result = simulateCuts(seed, undefined, true)
        if (result.violations.length > 0) expect.fail(failureOf(seed, result))
        expect(result.stats.failed).toBe(0)
        expect(result.slowestMs, `seed ${seed}`).toBeLessThan(1_000)
        expect(result.heldShare, `seed ${seed}`).toBeLessThan(0.7)
        expect(result.longestHeldMs, `seed ${seed}`).toBeLessThan(200)
        expect(result.longestLookMs, `seed ${seed}`).toBeLessThan(200)
      }
    },
  )

  test.runIf(only !== undefined)(`seed ${only}`, () => {
    const result = simulateCuts(Number(only))
    expect(result.violations, failureOf(Number(only), result)).toEqual([])
  })

  test('a seed: the same run every time', () => {
    expect(simulateCuts(7)).toEqual(simulateCuts(7))
  })

  const wrongCut = /^(torn|stale|order)/
  /** With a seed to begin with where it takes many. */
  const mutants: readonly [CutMutant, RegExp, number?, 'calm'?][] = [
    ['decided commits are not held', wrongCut],
    ['commits in flight are not waited for', wrongCut],
    ['the lease counts from the answer', wrongCut],
    ['prepared transactions are not waited for', wrongCut],
    ['agents do not observe the timestamp of a cut', wrongCut],
    ['answers for a lower timestamp count', wrongCut],
    ['local commits are not held', wrongCut],
    ['what a cut was told lies above it is decided below', wrongCut],
    ['the hold ends before statements have begun', wrongCut],
    ['a statement that lost its hold goes on', wrongCut],
    ['the next cut of a coordinator ends the last one', wrongCut],
    ['recovery carries out what no shard was told', wrongCut],
    ['what was carried out counts as untold', wrongCut],
    ['what also goes to other shards counts as untold', wrongCut, 1, 'calm'],
    ['commits on one shard say nothing of what was seen on others', wrongCut, 1, 'calm'],
    ['the gate does not know the last participant', wrongCut],
    ['the timestamp is fixed too high', wrongCut],
    ['what follows a last participant counts as unseen', /^back/],
    ['leases do not end', /^hold/],
    ['the gate is never busy and never stays open', /^starve/],
    ['sessions wait for nothing', /^back/],
    ['own undecided transactions are skipped though a link was lost', /^back/],
    ['own undecided transactions are skipped however old they are', /^back/, 390],
    ['a token counts like a commit of its own', /^back/, 1100],
  ]
  test.each(mutants)('mutant: %s: found', (mutant, broken, from = 1, calm = undefined) => {
    let found = 0
    for (let seed = from; seed < from + 300 && found === 0; seed++) {
      if (simulateCuts(seed, mutant, calm !== undefined).violations.some((v) => broken.test(v))) found = seed
    }
    expect(found).toBeGreaterThan(0)
  })
})
