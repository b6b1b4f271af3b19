import type { Cluster } from '../cluster/cluster.ts'
import type { WeftNode } from '../cluster/nodes.ts'
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
