import { clockDrift, clockJump, clockPostgres, clockRestart } from './clock-faults.ts'
import { diskFull } from './disk-faults.ts'
import { failover } from './failover-fault.ts'
import { betweenCommits, failpoint } from './failpoint-faults.ts'
import type { Fault } from './fault.ts'
import { late } from './late-faults.ts'
import { lossy, partitions, slow } from './network-faults.ts'
import { killLeader, kills, pauses, power, restarts } from './process-faults.ts'

const all: readonly Fault[] = [
  ...[...kills, killLeader, ...pauses, ...restarts, power, failover],
  ...[...partitions, slow, lossy, ...late, clockJump, clockDrift, clockRestart, clockPostgres],
  ...[diskFull, failpoint, betweenCommits],
]

/** Names of single faults, and of what several of them are together: `kill` is `kill-agent`, `kill-postgres` and so on. */
export const faultNames: readonly string[] = [
  ...new Set([...all.map(({ name }) => name.split('-')[0] ?? ''), ...all.map(({ name }) => name)]),
]

export function faultsNamed(name: string): readonly Fault[] {
  return all.filter((fault) => fault.name === name || fault.name.startsWith(`${name}-`))
}
