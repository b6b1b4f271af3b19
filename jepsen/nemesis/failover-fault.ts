import type { Fault } from './fault.ts'

/** A shard loses its server, data and all, and its synchronous standby takes over; when that is done it gets a new one. */
export const failover: Fault = {
  name: 'failover',
  whyNot: ({ standbys }) => (standbys.length === 0 ? 'there are no standbys' : undefined),
  start: async (cluster, random) => {
    const shard = random.below(cluster.standbys.length)
    await cluster.failOver(shard)
    return {
      what: { shard, port: cluster.standbys[shard]?.port ?? 0 },
      mend: async () => cluster.standbys[shard]?.add(),
    }
  },
}
