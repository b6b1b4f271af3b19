import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../cluster/cluster.ts'
import type { Machine } from '../cluster/net.ts'
import type { Random } from '../run/random.ts'
import { again } from './again.ts'
import type { Broken, Fault } from './fault.ts'

type Pair = readonly [Machine, Machine]

const whyNot = (cluster: Cluster): string | undefined => cluster.network.flat

function everyone(cluster: Cluster): Machine[] {
  return [...cluster.network.machines.values()]
}

/** What each of the pairs' first sends to the second is lost. */
async function cut(cluster: Cluster, pairs: readonly Pair[]): Promise<Broken> {
  for (const [from, to] of pairs) await cluster.network.cut(from, to)
  return { what: pairs.map(([from, to]) => `${from.name}>${to.name}`), mend: () => cluster.network.heal() }
}

function between(one: readonly Machine[], other: readonly Machine[]): Pair[] {
  return one.flatMap((a) =>
    other
      .filter((b) => b !== a)
      .flatMap((b): Pair[] => [
        [a, b],
        [b, a],
      ]),
  )
}

/** One machine is alone. */
const one: Fault = {
  name: 'partition-one',
  whyNot,
  start: (cluster, random) => cut(cluster, between([random.pick(everyone(cluster))], everyone(cluster))),
}

const halves: Fault = {
  name: 'partition-halves',
  whyNot,
  start: (cluster, random) => {
    const all = random.shuffled(everyone(cluster))
    const half = Math.floor(all.length / 2)
    return cut(cluster, between(all.slice(0, half), all.slice(half)))
  },
}

/** Each reaches its neighbours in a ring, and nobody else: no two see the same majority. */
const ring: Fault = {
  name: 'partition-ring',
  whyNot,
  start: (cluster, random) => {
    const all = random.shuffled(everyone(cluster))
    const reach = Math.ceil(all.length / 4)
    const apart = (i: number, j: number): boolean => {
      const steps = Math.abs(i - j)
      return Math.min(steps, all.length - steps) > reach
    }
    return cut(
      cluster,
      all.flatMap((a, i) => all.filter((_, j) => apart(i, j)).map((b): Pair => [a, b])),
    )
  },
}

/** One machine hears and is not heard, or the other way round. */
const oneWay: Fault = {
  name: 'partition-one-way',
  whyNot,
  start: (cluster, random) => {
    const all = everyone(cluster)
    const machine = random.pick(all)
    const others = random.some(all, 1 + random.below(all.length)).filter((other) => other !== machine)
    const hears = random.chance(0.5)
    return cut(
      cluster,
      others.map((other): Pair => (hears ? [machine, other] : [other, machine])),
    )
  },
}

const coordinatorAgent: Fault = {
  name: 'partition-coordinator-agent',
  whyNot,
  start: (cluster, random) =>
    cut(cluster, between([random.pick(cluster.nodes.coordinators)], [random.pick(cluster.nodes.shards)])),
}

const agentEtcd: Fault = {
  name: 'partition-agent-etcd',
  whyNot: (cluster) => (cluster.log === 'etcd' ? whyNot(cluster) : 'there is no etcd'),
  start: (cluster, random) =>
    cut(cluster, between([random.pick(cluster.nodes.shards)], cluster.etcdMachines)),
}

export const partitions: readonly Fault[] = [one, halves, ring, oneWay, coordinatorAgent, agentEtcd]

/** Delay on what some machines send, and loss where the kernel can. */
export const slow: Fault = {
  name: 'slow',
  whyNot: (cluster) =>
    whyNot(cluster) ??
    (cluster.network.shaping === 'none' ? 'the kernel has neither netem nor tbf' : undefined),
  start: async (cluster, random) => {
    const machines = several(cluster, random)
    const how = random.pick(['slow', 'both'] as const)
    for (const machine of machines) await cluster.network.slow(machine, how)
    return { what: machines.map(({ name }) => name), mend: () => cluster.network.heal() }
  },
}

/** Some of what machines send is lost: by netem, or as short cuts of one link after the other. */
export const lossy: Fault = {
  name: 'lossy',
  whyNot,
  start: async (cluster, random) => {
    const { network } = cluster
    const machines = several(cluster, random)
    const what = machines.map(({ name }) => name)
    if (network.shaping !== 'netem') return again(what, random, (own) => lose(cluster, machines, own))
    for (const machine of machines) await network.slow(machine, 'lossy')
    return { what, mend: () => network.heal() }
  },
}

function several(cluster: Cluster, random: Random): Machine[] {
  const all = everyone(cluster)
  return random.some(all, random.chance(0.3) ? all.length : 1 + random.below(3))
}

async function lose({ network }: Cluster, machines: readonly Machine[], random: Random): Promise<void> {
  const from = random.pick(machines)
  const to = random.pick([...network.machines.values()].filter((machine) => machine !== from))
  await network.cut(from, to)
  await sleep(random.between(5, 60))
  await network.mend(from, to)
  await sleep(random.between(5, 60))
}
