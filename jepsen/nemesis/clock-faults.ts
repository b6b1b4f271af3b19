import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../cluster/cluster.ts'
import type { WeftNode } from '../cluster/nodes.ts'
import { query } from '../cluster/query.ts'
import type { OpValue } from '../history/op.ts'
import type { Random } from '../run/random.ts'
import type { Fault } from './fault.ts'

function some(cluster: Cluster, random: Random): WeftNode[] {
  const all = [...cluster.agents, ...cluster.coordinators]
  return random.some(all, random.chance(0.2) ? all.length : 1 + random.below(2))
}

/** Far within what clocks may be apart, or far beyond it. */
function jump(random: Random): number {
  const size = random.pick([100, 400, 5_000, 3_600_000])
  return Math.round(random.between(-size, size))
}

/** Wall clocks of single processes are set; the machines' own stay. */
export const clockJump: Fault = {
  name: 'clock-jump',
  start: async (cluster, random) => {
    const nodes = some(cluster, random)
    const what: Record<string, number> = {}
    for (const node of nodes) {
      const shiftMs = jump(random)
      what[node.name] = shiftMs
      node.setWall(shiftMs)
    }
    return { what, mend: async () => nodes.forEach((node) => void node.setWall(0)) }
  },
}

/** They run up to a twentieth too fast or too slow. */
export const clockDrift: Fault = {
  name: 'clock-drift',
  start: async (cluster, random) => {
    const nodes = some(cluster, random)
    const what: Record<string, string> = {}
    for (const node of nodes) {
      const ppm = Math.round(random.between(-50_000, 50_000))
      what[node.name] = `${ppm} ppm`
      node.setWall(0, ppm)
    }
    return { what, mend: async () => nodes.forEach((node) => void node.setWall(0)) }
  },
}

/** The library looks once a second. */
const TOLD_MS = 1_100

/** In its own words: how many seconds a server's clock is off; null when it has no answer. */
async function offBy(url: string): Promise<number | null> {
  const sql = 'SELECT extract(epoch FROM clock_timestamp())::float8 AS now'
  const [row] = await query<{ now: number }>(url, sql).catch(() => [])
  return row === undefined ? null : Math.round(row.now - Date.now() / 1000)
}

/** Weft goes by none of them. */
export const clockPostgres: Fault = {
  name: 'clock-postgres',
  whyNot: ({ servers }) =>
    servers.clocks === undefined ? 'libfaketime is not here (apt-get install libfaketime)' : undefined,
  start: async (cluster, random) => {
    const { clocks } = cluster.servers
    const all = cluster.postgres.map(({ name }, shard) => ({ name, shard }))
    const servers = random.some(all, random.chance(0.3) ? all.length : 1)
    const what: Record<string, OpValue> = {}
    for (const { name } of servers) {
      const seconds = random.pick([-86_400, -3_600, -5, 5, 3_600, 86_400])
      const speed = random.pick([1, 1, 0.5, 2])
      what[name] = { seconds, speed }
      clocks?.set(name, seconds, speed)
    }
    await sleep(TOLD_MS)
    for (const { name, shard } of servers) what[`${name}-says`] = await offBy(cluster.shardUrls[shard] ?? '')
    return { what, mend: async () => servers.forEach(({ name }) => void clocks?.set(name, 0, 1)) }
  },
}

const HOUR_MS = 3_600_000
/** A commit over several shards comes sooner than this, where there is load. */
const HELD_WITHIN_MS = 2_000
const READY_WITHIN_MS = 60_000
/** Clients have connected by then, and read. */
const READ_MS = 1_000

/**
 * All of Weft goes down with a commit half carried out, and comes back an hour earlier: what agents keep of the time is all
 * that tells them. The shard that has not carried it out does not reach the log for a while, so what it will hear from there
 * comes when others have begun to read.
 */
export const clockRestart: Fault = {
  name: 'clock-restart',
  whyNot: (cluster) => (cluster.log === 'etcd' ? cluster.network.flat : 'there is no etcd'),
  start: async (cluster, random) => {
    const nodes = [...cluster.agents, ...cluster.coordinators]
    const late = random.below(cluster.agents.length)
    const agent = cluster.agents[late]
    const machine = cluster.nodes.shards[late]
    if (agent === undefined || machine === undefined) throw new Error('there are no shards')
    const isHeld = await agent.holdAt('agent-before-commit-prepared', HELD_WITHIN_MS)
    await Promise.all(nodes.map((node) => node.kill()))
    for (const etcd of cluster.etcdMachines) await cluster.network.cut(machine, etcd)
    for (const node of nodes) {
      node.setBack(HOUR_MS)
      node.start()
    }
    return {
      what: { late: agent.name, isHeld },
      mend: async () => {
        await cluster.untilCoordinatorsServe(READY_WITHIN_MS)
        await sleep(READ_MS)
        await cluster.network.heal()
      },
    }
  },
}
