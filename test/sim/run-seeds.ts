/** The part of `npm run sim` that runs in each of its processes: every `step`th seed from `first` to `last`. */
import { type SimStats, simulate } from './commit-sim.ts'
import { type CutSimResult, simulateCuts } from './cut-sim.ts'
import { commitIds, cutIds, explain, ssiIds } from './explain.ts'
import { type SsiStats, simulateSsi } from './ssi-sim.ts'

export interface SeedReport {
  readonly seed: number
  readonly commits: SimStats
  readonly cuts: CutSimResult['stats']
  readonly serializable: SsiStats
  readonly failures: readonly string[]
}

async function runSeed(seed: number): Promise<SeedReport> {
  const commits = await simulate(seed)
  const cuts = simulateCuts(seed)
  const serializable = await simulateSsi(seed)
  const failures: string[] = []
  if (commits.violations.length > 0) failures.push(explain('commits', seed, commits, commitIds))
  if (cuts.violations.length > 0) failures.push(explain('cuts', seed, cuts, cutIds))
  if (serializable.violations.length > 0) failures.push(explain('serializable', seed, serializable, ssiIds))
  const stats = { commits: commits.stats, cuts: cuts.stats, serializable: serializable.stats }
  return { seed, ...stats, failures }
}

// Errors are a matter of course here, and their stacks take longer than all else.
Error.stackTraceLimit = 0
const [first = 1, step = 1, last = 1] = process.argv.slice(2).map(Number)
for (let seed = first; seed <= last; seed += step) process.send?.(await runSeed(seed))
process.disconnect?.()
