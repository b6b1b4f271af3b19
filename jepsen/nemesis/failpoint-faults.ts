import { failpointNames } from '../../txn/failpoints.ts'
import type { Fault } from './fault.ts'

/** One of the places in two-phase commit: the next process that comes there is killed, stands still, or has an error. */
export const failpoint: Fault = {
  name: 'failpoint',
  start: async (cluster, random) => {
    const name = random.pick(failpointNames)
    const how = random.pick(['kill', 'hold', 'error'] as const)
    const isOfAgents = /^(agent|recovery)-/.test(name)
    const nodes = isOfAgents ? cluster.agents : cluster.coordinators
    const node = random.pick(nodes)
    node.mayDie = true
    node.arm(name, how)
    return {
      what: { node: node.name, failpoint: name, how },
      mend: async () => node.release(),
    }
  },
}

/** A coordinator dies when one shard has carried out what it decided and the others have not: recovery has the word. */
export const betweenCommits: Fault = {
  name: 'failpoint-between-commits',
  start: async (cluster, random) => {
    const node = random.pick(cluster.coordinators)
    node.mayDie = true
    node.arm('between-commits', 'kill')
    return { what: node.name, mend: async () => undefined }
  },
}
