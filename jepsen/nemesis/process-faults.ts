import type { Cluster } from '../cluster/cluster.ts'
import { leaderOf } from '../cluster/etcd.ts'
import type { ClusterProcess, Role } from '../cluster/process.ts'
import type { Random } from '../run/random.ts'
import type { Broken, Fault } from './fault.ts'

const roles: readonly Role[] = ['coordinator', 'agent', 'postgres', 'etcd']

/** The processes of a role; of etcd no more than leaves a majority, since with less the cluster only waits. */
function chosen(cluster: Cluster, random: Random, role: Role): ClusterProcess[] {
  const all = cluster.processes.filter((process) => process.role === role)
  return random.some(all, role !== 'etcd' && random.chance(0.12) ? all.length : 1)
}

function whyNone(role: Role) {
  return (cluster: Cluster): string | undefined =>
    cluster.processes.some((process) => process.role === role) ? undefined : `there is no ${role}`
}

/** SIGKILL; it is started again when the fault ends. */
export const kills: readonly Fault[] = roles.map((role) => ({
  name: `kill-${role}`,
  whyNot: whyNone(role),
  start: async (cluster, random) => killed(chosen(cluster, random, role)),
}))

async function killed(processes: readonly ClusterProcess[]): Promise<Broken> {
  await Promise.all(processes.map((process) => process.kill()))
  return {
    what: processes.map(({ name }) => name),
    mend: async () => {
      for (const process of processes) process.start()
    },
  }
}

/** SIGSTOP, and SIGCONT when the fault ends: it does not know that time has passed. */
export const pauses: readonly Fault[] = roles.map((role) => ({
  name: `pause-${role}`,
  whyNot: whyNone(role),
  start: async (cluster, random) => {
    const processes = chosen(cluster, random, role)
    for (const process of processes) process.pause()
    return {
      what: processes.map(({ name }) => name),
      mend: async () => {
        for (const process of processes) process.resume()
      },
    }
  },
}))

/** Stopped as an operator does it, and started at once. */
export const restarts: readonly Fault[] = roles.map((role) => ({
  name: `restart-${role}`,
  whyNot: whyNone(role),
  start: async (cluster, random) => {
    const processes = chosen(cluster, random, role)
    await Promise.all(processes.map((process) => process.stop()))
    for (const process of processes) process.start()
    return { what: processes.map(({ name }) => name), mend: async () => undefined }
  },
}))

/** The member that leads is killed: another has to be elected. */
export const killLeader: Fault = {
  name: 'kill-etcd-leader',
  whyNot: whyNone('etcd'),
  start: async (cluster) => {
    const leader = await leaderOf(cluster.etcdMachines)
    return killed(leader === undefined ? [] : cluster.etcd.slice(leader, leader + 1))
  },
}

/** Everything at once. */
export const power: Fault = {
  name: 'power',
  start: (cluster) => killed(cluster.processes),
}
