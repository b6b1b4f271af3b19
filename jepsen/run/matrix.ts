import type { Isolation } from '../check/verdict.ts'
import type { Options } from '../options.ts'
import { workloadNames } from '../workloads/workloads.ts'

const levels: readonly Isolation[] = ['read committed', 'repeatable read', 'serializable']

/** What is broken in one run after the other: no workload has the same at each of its levels. */
const mixes: readonly string[] = [
  ...['kill,partition', 'pause,clock', 'failpoint,power', 'late,restart', 'slow,lossy,kill-coordinator'],
  ...['failover,partition', 'kill,pause,partition,clock', 'kill-postgres,restart,disk', 'late,failpoint'],
  ...['power,lossy', 'failover,kill-agent,late-commit'],
]

/** Write skew is what the lower levels allow. */
function levelsOf(workload: string): readonly Isolation[] {
  return workload === 'write-skew' ? ['serializable'] : levels
}

/** What `--all` runs, with what else was asked for: every workload at every level, each time with other faults. */
export function allRuns(options: Options): readonly Options[] {
  const kinds = workloadNames.flatMap((workload) =>
    levelsOf(workload).map((isolation) => ({ workload, isolation })),
  )
  const rows = levels.map((isolation) => ({ workload: 'list-append', isolation, rows: true }))
  return [...kinds, ...rows].map((kind, i) => {
    const nemesis = mixes[i % mixes.length] ?? ''
    const log = i % 4 === 3 ? 'postgres' : options.log
    return {
      ...options,
      ...kind,
      ...{ log, nemesis: nemesis.split(','), seed: options.seed + i },
      out: options.out === undefined ? undefined : `${options.out}/${i + 1}-${kind.workload}`,
    }
  })
}
