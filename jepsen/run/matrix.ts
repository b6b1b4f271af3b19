import type { Options } from '../options.ts'

type Entry = Pick<Options, 'workload'> &
  Partial<Pick<Options, 'isolation' | 'log' | 'rows'>> & { readonly nemesis: string }

const entries: readonly Entry[] = [
  { workload: 'list-append', nemesis: 'kill,partition' },
  { workload: 'list-append', nemesis: 'pause,clock', isolation: 'repeatable read' },
  { workload: 'list-append', nemesis: 'kill,pause,partition,clock', isolation: 'read committed' },
  { workload: 'list-append', nemesis: 'power', log: 'postgres' },
  { workload: 'list-append', nemesis: 'kill,partition', rows: true },
  { workload: 'list-append', nemesis: 'failpoint', rows: true, isolation: 'read committed', log: 'postgres' },
  { workload: 'rw-register', nemesis: 'kill,slow' },
  { workload: 'rw-register', nemesis: 'partition,pause', isolation: 'repeatable read', log: 'postgres' },
  { workload: 'bank', nemesis: 'kill,partition', isolation: 'read committed' },
  { workload: 'bank', nemesis: 'failpoint,power' },
  { workload: 'bank', nemesis: 'kill-postgres,restart,disk', isolation: 'repeatable read', log: 'postgres' },
  { workload: 'long-fork', nemesis: 'pause,slow' },
  { workload: 'write-skew', nemesis: 'kill,restart' },
  { workload: 'register', nemesis: 'kill,partition,clock' },
  { workload: 'set', nemesis: 'power,partition' },
  { workload: 'monotonic', nemesis: 'clock,kill' },
  { workload: 'sequential', nemesis: 'pause,partition' },
  { workload: 'read-your-writes', nemesis: 'pause-agent,slow,kill-coordinator', isolation: 'read committed' },
  { workload: 'counter', nemesis: 'failpoint,kill', isolation: 'read committed' },
  { workload: 'unique-ids', nemesis: 'kill,power' },
  { workload: 'foreign-keys', nemesis: 'kill,pause' },
  { workload: 'ddl', nemesis: 'kill,partition' },
  { workload: 'declaring', nemesis: 'kill,pause' },
  { workload: 'crashed-clients', nemesis: 'restart,pause', isolation: 'read committed' },
]

/** What `--all` runs, with what else was asked for. */
export function allRuns(options: Options): readonly Options[] {
  return entries.map((entry, i) => ({
    ...options,
    ...entry,
    nemesis: entry.nemesis.split(','),
    seed: options.seed + i,
    out: options.out === undefined ? undefined : `${options.out}/${i + 1}-${entry.workload}`,
  }))
}
