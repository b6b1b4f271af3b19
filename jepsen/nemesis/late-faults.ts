import { setTimeout as sleep } from 'node:timers/promises'
import { again } from './again.ts'
import type { Fault } from './fault.ts'

// Nothing is lost: something comes late, again and again, so that the moments in between are long enough for others to see.

/** One shard carries out what was decided later than the others. */
const commit: Fault = {
  name: 'late-commit',
  start: async (cluster, random) => {
    const agent = random.pick(cluster.agents)
    return again(agent.name, random, async (own) => {
      agent.arm('agent-before-commit-prepared', Math.round(own.between(5, 120)))
      await sleep(own.between(10, 60))
    })
  },
}

/** The log answers late: its members stand still for less than what makes them choose another leader. */
const log: Fault = {
  name: 'late-log',
  whyNot: ({ log }) => (log === 'etcd' ? undefined : 'there is no etcd'),
  start: async (cluster, random) =>
    again('etcd', random, async (own) => {
      for (const process of cluster.etcd) process.pause()
      await sleep(own.between(10, 90))
      for (const process of cluster.etcd) process.resume()
      await sleep(own.between(10, 120))
    }),
}

export const late: readonly Fault[] = [commit, log]
