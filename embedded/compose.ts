import { randomBytes } from 'node:crypto'
import type { ClusterAccess } from '../admin/cluster-access.ts'
import type { Metrics } from '../admin/metrics.ts'
import type { CoordinatorInfo } from '../coordinator/main.ts'
import type { AgentStatus } from '../protocol/agent-link.ts'
import { coordinatorIdFrom } from '../txn/gid.ts'
import { postgresTxnLogConnections } from '../txn/log/postgres-txn-log.ts'
import type { Cleanup } from './cleanup.ts'
import { agentMetrics, coordinatorGauges, logMetrics, shardGauges } from './node-metrics.ts'
import {
  type AgentsOptions,
  type CoordinatorPartOptions,
  type LogHealth,
  makeClock,
  shardSlots,
  startAgents,
  startCoordinatorPart,
  startLog,
} from './parts.ts'
import { whyDown } from './shard-slot.ts'

export interface ComposeOptions
  extends AgentsOptions,
    Omit<CoordinatorPartOptions, 'id' | 'clock' | 'patience'> {
  readonly metrics: Metrics
  /** Ends a start that waits. */
  readonly signal?: AbortSignal | undefined
}

export interface ComposedNode {
  readonly port: number
  readonly operator: ClusterAccess
  notReady(): string | undefined
  status(): CoordinatorInfo & { readonly transactionLog: string; readonly shards: AgentStatus[] }
}

/**
 * One process with a coordinator and the agents of all shards, joined by direct calls. What it starts is stopped by
 * `cleanup`, also when it fails half-way.
 */
export async function composeNode(options: ComposeOptions, cleanup: Cleanup): Promise<ComposedNode> {
  const id = coordinatorIdFrom(randomBytes(8))
  const logHealth: LogHealth = { why: undefined }
  const onLogRequest = logMetrics(options.metrics, logHealth)
  const log = await startLog({ ...options, logHealth, onLogRequest }, cleanup, id)
  // The transaction log's connections are part of what the home shard may be asked for.
  const reserved = options.log.kind === 'postgres' ? postgresTxnLogConnections : 0
  const shards = options.shards.map((shard) => (shard.id === 0 ? { ...shard, reserved } : shard))
  const { signal, logger, metrics } = options
  const slots = shardSlots(options)
  await startAgents({ ...options, shards }, log, cleanup, slots)
  const agents = slots.map(({ running }) => running!)
  const links = agents.map(({ agent }) => agent.connect(id))
  const clock = makeClock(options)
  const clocks = agents.map((one) => one.clock)
  // The shards may remember another time than this machine's, whose clock may have been set since.
  const times = clocks.map((one) => one.stamp())
  for (const one of [clock, ...clocks]) one.agree(times)
  const waiting = (why?: string): void => {
    if (why !== undefined) logger.info({ why }, 'starting: waiting for a shard')
  }
  const part = { ...options, id, clock, patience: { signal, waiting } }
  const coordinator = await startCoordinatorPart(part, log, links, cleanup)
  coordinatorGauges(metrics, coordinator)
  shardGauges(metrics, slots)
  for (const { agent } of agents) agentMetrics(metrics, agent)
  return {
    port: coordinator.port,
    operator: coordinator.operator,
    notReady: () => whyDown(slots),
    status: () => ({
      ...coordinator.info(),
      transactionLog: logHealth.why ?? 'reachable',
      shards: slots.map((slot) => slot.status()),
    }),
  }
}
