import { setTimeout as sleep } from 'node:timers/promises'
import { etcdMembers, etcdUrl, isHealthy } from './etcd.ts'
import { type Claim, claimRun, removeRun } from './leftovers.ts'
import { type Machine, makeNetwork, type Network } from './net.ts'
import { clientUrl, makeNodes, type NodesOptions, shardUrl, type WeftNode, writeConfig } from './nodes.ts'
import { PostgresServers } from './postgres.ts'
import { ClusterProcess } from './process.ts'
import { Standbys } from './standbys.ts'

export interface ClusterOptions {
  readonly log: 'etcd' | 'postgres'
  readonly program: string
  readonly shards: number
  readonly coordinators: number
  /** One shard's data get a small file system. */
  readonly smallDisk?: boolean
  /** Each shard gets a standby. */
  readonly standbys?: boolean
  /** The shards' servers have clocks of their own, which can be set. */
  readonly ownClocks?: boolean
  readonly say: (line: string) => void
}

const ETCD_MEMBERS = 3
/** As what restarts a service on a real machine waits. */
const RESTART_MS = 500

/** Weft on machines of its own: shards (Postgres and agent), coordinators, etcd. Everything it has lies in one directory. */
export class Cluster {
  readonly claim: Claim
  readonly network: Network
  readonly log: 'etcd' | 'postgres'
  readonly coordinators: readonly WeftNode[]
  readonly agents: readonly WeftNode[]
  readonly postgres: ClusterProcess[]
  /** Of each shard; empty: there are none. */
  readonly standbys: readonly Standbys[]
  /** Of the shards' own servers, past Weft; always as they are now. */
  readonly shardUrls: string[]
  readonly etcd: readonly ClusterProcess[]
  readonly etcdMachines: readonly Machine[]
  readonly servers: PostgresServers
  readonly nodes: NodesOptions
  /** What ended and nobody had ended it. */
  readonly deaths: string[] = []
  private readonly say: (line: string) => void
  private isStopping = false

  private constructor(
    claim: Claim,
    network: Network,
    options: ClusterOptions,
    servers: PostgresServers,
    postgres: ClusterProcess[],
  ) {
    this.claim = claim
    this.network = network
    this.log = options.log
    this.say = options.say
    this.servers = servers
    this.postgres = postgres
    const machines = [...network.machines.values()]
    const named = (letter: string): Machine[] => machines.filter(({ name }) => name.startsWith(letter))
    this.etcdMachines = named('e')
    this.etcd = etcdMembers(this.etcdMachines, claim.directory)
    this.nodes = {
      ...{ directory: claim.directory, program: options.program },
      ...{ coordinators: named('c'), shards: named('s') },
      etcd: options.log === 'etcd' ? this.etcdMachines.map(etcdUrl) : undefined,
    }
    const { shards } = this.nodes
    this.standbys = options.standbys === true ? shards.map((machine) => new Standbys(servers, machine)) : []
    this.shardUrls = shards.map((machine) => shardUrl(machine))
    const { agents, coordinators } = makeNodes(this.nodes)
    this.agents = agents
    this.coordinators = coordinators
    for (const process of this.processes) process.onDeath = (how) => this.died(process, how)
  }

  /** `claimed` is told as soon as there is something to take away again. */
  static async start(options: ClusterOptions, claimed: (claim: Claim) => void): Promise<Cluster> {
    const claim = await claimRun()
    claimed(claim)
    const names = [
      ...Array.from({ length: options.coordinators }, (_, i) => `c${i}`),
      ...Array.from({ length: options.shards }, (_, i) => `s${i}`),
      ...(options.log === 'etcd' ? Array.from({ length: ETCD_MEMBERS }, (_, i) => `e${i}`) : []),
    ]
    const network = await makeNetwork(claim.run, names)
    if (network.flat !== undefined)
      options.say(`${network.flat}: all processes are on loopback, no partitions, no slow links`)
    if (network.shaping === 'tbf')
      options.say(
        'this kernel has no netem: slow links are narrow ones (tbf), lossy ones are cut for moments',
      )
    const servers = new PostgresServers(claim.directory, {
      replicated: options.standbys === true,
      ownClocks: options.ownClocks === true,
    })
    const shards = [...network.machines.values()].filter(({ name }) => name.startsWith('s'))
    const small = shards.at(-1)
    if (options.smallDisk === true && small !== undefined) await servers.makeSmall(small)
    const postgres = await Promise.all(shards.map((machine) => servers.make(machine.name, machine)))
    const cluster = new Cluster(claim, network, options, servers, postgres)
    cluster.startAll()
    await cluster.ready(60_000)
    await Promise.all(cluster.standbys.map((standbys) => standbys.add()))
    return cluster
  }

  get processes(): readonly ClusterProcess[] {
    return [...this.etcd, ...this.postgres, ...this.agents, ...this.coordinators]
  }

  /** Where clients connect to. */
  get endpoints(): readonly { readonly name: string; readonly url: string }[] {
    return this.nodes.coordinators.map((machine) => ({ name: machine.name, url: clientUrl(machine) }))
  }

  startAll(): void {
    for (const process of this.processes) process.start()
  }

  private died(process: ClusterProcess, how: string): void {
    if (this.isStopping || ClusterProcess.isOver) return
    if (!process.mayDie) {
      this.deaths.push(`${process.name} ${how} by itself: ${process.tail(3)}`)
      this.say(`${process.name} ${how}`)
    }
    setTimeout(() => {
      if (!this.isStopping) process.start()
    }, RESTART_MS).unref()
  }

  /** Until everything serves; rejects with what does not. */
  async ready(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      const why = await this.whyNotReady()
      if (why === undefined) return
      if (performance.now() > deadline) throw new Error(`not ready within ${timeoutMs / 1000} s: ${why}`)
      await sleep(50)
    }
  }

  /** Until coordinators take clients again, whatever becomes of shards; not longer than that. */
  async untilCoordinatorsServe(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    for (const node of this.coordinators) {
      while (performance.now() < deadline && (await node.notReady()) !== undefined) await sleep(50)
    }
  }

  async whyNotReady(): Promise<string | undefined> {
    for (const machine of this.etcdMachines) if (!(await isHealthy(machine))) return `etcd ${machine.name}`
    for (const node of [...this.agents, ...this.coordinators]) {
      const why = await node.notReady()
      if (why !== undefined) return `${node.name}: ${why}`
    }
    return undefined
  }

  /** The shard's server dies for ever; its standby takes over, and the agent is started on that. */
  async failOver(shard: number): Promise<void> {
    const { standbys, postgres, agents, nodes } = this
    const [old, agent, of] = [postgres[shard], agents[shard], standbys[shard]]
    if (old === undefined || agent === undefined || of === undefined) throw new Error(`no shard ${shard}`)
    if (!of.hasNext) throw new Error(`${old.name} has no standby`)
    old.isRetired = true
    // The log may be there: then everybody has to hear where it is now.
    const told = this.log === 'postgres' && shard === 0 ? [...agents, ...this.coordinators] : [agent]
    await Promise.all([old, ...told].map((process) => process.kill()))
    const promoted = await of.promote()
    promoted.onDeath = old.onDeath
    postgres[shard] = promoted
    this.shardUrls[shard] = of.url
    const ports = standbys.map(({ port }) => port)
    for (const machine of [...nodes.coordinators, ...nodes.shards]) writeConfig(nodes, machine, ports)
    for (const node of told) node.start()
  }

  /** Takes back whatever was broken: links, clocks, what stands still, what is dead. */
  async heal(): Promise<void> {
    await this.network.heal()
    for (const process of this.processes) process.resume()
    for (const { name } of this.postgres) this.servers.clocks?.set(name, 0, 1)
    for (const node of [...this.agents, ...this.coordinators]) {
      node.setWall(0)
      node.release()
      // A failpoint that nobody has come to would be one later.
      if (node.mayDie) await node.kill()
    }
    for (const process of this.processes) process.mayDie = false
    this.startAll()
  }

  async stop(): Promise<void> {
    this.isStopping = true
    await Promise.all(
      [...this.processes, ...this.standbys].map((each) => ('kill' in each ? each.kill() : each.stop())),
    )
    await removeRun(this.claim.run)
  }
}
