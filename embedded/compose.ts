import { randomBytes } from 'node:crypto'
import type { Metrics } from '../admin/metrics.ts'
import { coordinatorIdFrom } from '../txn/gid.ts'
import { postgresTxnLogConnections } from '../txn/log/postgres-txn-log.ts'
import type { Cleanup } from './cleanup.ts'
import { agentGauges, coordinatorGauges } from './node-metrics.ts'
import {
  type AgentsOptions,
  type CoordinatorPartOptions,
  firstDown,
  makeClock,
  startAgents,
  startCoordinatorPart,
  startLog,
} from './parts.ts'

export interface ComposeOptions extends AgentsOptions, Omit<CoordinatorPartOptions, 'id' | 'clock'> {
  readonly metrics: Metrics
}

export interface ComposedNode {
  readonly port: number
  notReady(): string | undefined
  status(): Record<string, unknown>
}

/**
 * One process with a coordinator and the agents of all shards, joined by direct calls. What it starts is stopped by
 * `cleanup`, also when it fails half-way.
 */
export async function composeNode(options: ComposeOptions, cleanup: Cleanup): Promise<ComposedNode> {
  const id = coordinatorIdFrom(randomBytes(8))
  const log = await startLog(options, cleanup, id)
  // The transaction log's connections are part of what the home shard may be asked for.
  const reserved = options.log.kind === 'postgres' ? postgresTxnLogConnections : 0
  const shards = options.shards.map((shard) => (shard.id === 0 ? { ...shard, reserved } : shard))
  const agents = await startAgents({ ...options, shards }, log, cleanup)
  const links = agents.map(({ agent }) => agent.connect(id))
  const clock = makeClock(options)
  const clocks = agents.map((one) => one.clock)
  // The shards may remember another time than this machine's, whose clock may have been set since.
  const times = clocks.map((one) => one.stamp())
  for (const one of [clock, ...clocks]) one.agree(times)
  const coordinator = await startCoordinatorPart({ ...options, id, clock }, log, links, cleanup)
  coordinatorGauges(options.metrics, coordinator)
  agentGauges(options.metrics, agents)
  return {
    port: coordinator.port,
    notReady: () => firstDown(agents),
    status: () => ({ ...coordinator.info(), shards: agents.map(({ agent }) => agent.status()) }),
  }
}
