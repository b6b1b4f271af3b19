import type { NodeStatus } from '../admin/api/node-status.ts'
import type { Logger } from '../admin/logger.ts'
import { Metrics } from '../admin/metrics.ts'
import { startAdmin } from '../admin/server.ts'
import type { ClusterConfig } from '../cluster/config.ts'
import { formatAddress } from '../cluster/config-schema.ts'
import { MuxServer } from '../shard-agent/server/mux-server.ts'
import { adminAccess } from './admin-tls.ts'
import { type Cleanup, startOrCleanUp } from './cleanup.ts'
import { readMuxTls } from './mux-tls.ts'
import { agentMetrics, logMetrics, shardGauges } from './node-metrics.ts'
import { type LogHealth, type RunningAgent, shardSlots, startAgents, startLog } from './parts.ts'
import { portError } from './ports.ts'
import { whyDown } from './shard-slot.ts'

export interface AgentProcessOptions {
  readonly config: ClusterConfig
  /** Ids of the shards whose agents run here. */
  readonly shards: readonly number[]
  readonly logger: Logger
  /** Ends the wait for Postgres. */
  readonly signal?: AbortSignal
}

interface Listening {
  readonly id: number
  readonly listen: string
}

export interface AgentProcess {
  readonly shards: readonly Listening[]
  readonly adminUrl: string
  stop(): Promise<void>
}

/**
 * For a rolling upgrade: the new agent is started first, and takes over when the old one stops. After this time it says
 * that it waits, and goes on.
 */
const takeoverTimeoutMs = 5_000

/** `weft agent`: the agents of some shards, reached over the mux. */
export function startAgentProcess(options: AgentProcessOptions): Promise<AgentProcess> {
  return startOrCleanUp(options.logger, (cleanup) => start(options, cleanup))
}

async function start(
  { config, shards, logger, signal }: AgentProcessOptions,
  cleanup: Cleanup,
): Promise<AgentProcess> {
  const own = config.shards.filter(({ id }) => shards.includes(id))
  const { cluster, log, pool, inDoubtAfterMs, maxClockOffsetMs } = config
  const options = {
    ...{ cluster, log, pool, inDoubtAfterMs, maxClockOffsetMs, takeoverTimeoutMs, logger },
    homeUrl: config.shards[0]!.postgres,
    outcomesKeptMs: config.outcomesKeptHours * 3_600_000,
    shards: own,
    shardCount: config.shards.length,
    shardSetting: 'shards[].postgres:',
    logMayBeDown: true,
    patience: { signal },
  }
  const slots = shardSlots(options)
  const logHealth: LogHealth = { why: undefined }
  const metrics = new Metrics()
  shardGauges(metrics, slots)
  // First of all: who waits for its Postgres says so.
  const admin = await startAdmin({
    ...config.agent.adminListen,
    metrics,
    notReady: () => whyDown(slots),
    status: (): NodeStatus => ({
      role: 'agent',
      pid: process.pid,
      uptimeSeconds: Math.round(process.uptime()),
      transactionLog: logHealth.why ?? 'reachable',
      shards: slots.map((slot) => slot.status()),
    }),
    portSetting: 'agent.adminListen',
    ...adminAccess(config),
    settings: config,
  })
  cleanup.add(() => admin.stop())
  logger.info({ url: admin.url }, 'admin server: listening')

  const onLogRequest = logMetrics(metrics, logHealth)
  const txnLog = await startLog({ ...options, logHealth, onLogRequest }, cleanup)
  const listening: Listening[] = []
  await startAgents(options, txnLog, cleanup, slots, async (running) => {
    agentMetrics(metrics, running.agent)
    listening.push(await listen(running, config, logger, cleanup))
  })
  listening.sort((a, b) => a.id - b.id)
  return { shards: listening, adminUrl: admin.url, stop: () => cleanup.run() }
}

async function listen(
  { agent, clock }: RunningAgent,
  config: ClusterConfig,
  logger: Logger,
  cleanup: Cleanup,
): Promise<Listening> {
  const { cluster, muxTls, shards } = config
  const { host, port } = { host: config.agent.listenHost, port: shards[agent.shard]!.agent.port }
  const server = new MuxServer({
    host,
    port,
    cluster,
    shard: agent.shard,
    ...(muxTls === undefined ? {} : { tls: readMuxTls(muxTls) }),
    connect: (coordinatorId) => agent.connect(coordinatorId),
    // What is said must not wait for the clock's bound; only what is promised by `prepare` does.
    clock: { now: () => clock.stamp(), observe: (ts) => clock.hear(ts) },
    log: logger,
  })
  try {
    await server.listen()
  } catch (error) {
    throw portError(error, host, port, `agent of shard ${agent.shard}`, `shards[${agent.shard}].agent`)
  }
  cleanup.add(() => server.close())
  return { id: agent.shard, listen: formatAddress({ host, port: server.port }) }
}
