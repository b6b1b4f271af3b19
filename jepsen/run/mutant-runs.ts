import { join } from 'node:path'
import type { Isolation } from '../check/verdict.ts'
import { root } from '../cluster/root.ts'
import type { Options } from '../options.ts'

/** What finds a build that is broken on purpose (`scripts/mutants.js`). */
interface Hunt {
  readonly mutant: string
  readonly workload: string
  readonly nemesis: readonly string[]
  readonly isolation: Isolation
}

const hunts: readonly Hunt[] = [
  { mutant: 'cut-without-hold', workload: 'bank', nemesis: [], isolation: 'read committed' },
  { mutant: 'no-probe', workload: 'write-skew', nemesis: [], isolation: 'serializable' },
  {
    mutant: 'commit-before-decision',
    workload: 'bank',
    nemesis: ['failpoint-between-commits'],
    isolation: 'read committed',
  },
  {
    mutant: 'recovery-aborts',
    workload: 'bank',
    nemesis: ['failpoint-between-commits'],
    isolation: 'read committed',
  },
  {
    mutant: 'untold-not-held',
    workload: 'bank',
    nemesis: ['late-commit', 'late-log'],
    isolation: 'read committed',
  },
  { mutant: 'clock-bound-lost', workload: 'bank', nemesis: ['clock-restart'], isolation: 'read committed' },
  {
    mutant: 'session-forgets',
    workload: 'read-your-writes',
    nemesis: ['late-commit'],
    isolation: 'read committed',
  },
]

/** Of each broken build at most so many runs of so many seconds: within two minutes of load it has to be found. */
export const HUNT_ROUNDS = 3
const HUNT_SECONDS = 30

/** What `--mutants` runs: for each broken build, or for that of `--mutant`, the rounds in which it may be found. */
export function mutantRuns(options: Options): readonly (readonly Options[])[] {
  const chosen = hunts.filter(({ mutant }) => options.mutant === undefined || options.mutant === mutant)
  return chosen.map((hunt) =>
    Array.from({ length: HUNT_ROUNDS }, (_, round) => ({
      ...options,
      ...hunt,
      ...{ log: 'etcd' as const, rows: false, rate: 200, seed: options.seed + round, seconds: HUNT_SECONDS },
      program: join(root, 'dist', 'mutants', hunt.mutant, 'weft.js'),
      out: options.out === undefined ? undefined : `${options.out}/${hunt.mutant}-${round + 1}`,
    })),
  )
}
