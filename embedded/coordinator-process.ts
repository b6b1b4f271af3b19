import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { NodeStatus } from '../admin/api/node-status.ts'
import type { Logger } from '../admin/logger.ts'
import { Metrics } from '../admin/metrics.ts'
import { startAdmin } from '../admin/server.ts'
import type { ClusterConfig } from '../cluster/config.ts'
import { formatAddress } from '../cluster/config-schema.ts'
import { statusOf } from '../coordinator/links/agent-status.ts'
import { connectLink } from '../coordinator/links/mux-link.ts'
import type { Coordinator } from '../coordinator/main.ts'
import type { AgentLink } from '../protocol/agent-link.ts'
import { coordinatorIdFrom } from '../txn/gid.ts'
import { adminAccess } from './admin-tls.ts'
import { type Cleanup, startOrCleanUp } from './cleanup.ts'
import { ClockMeeting } from './clock-meeting.ts'
import { readMuxTls } from './mux-tls.ts'
import { coordinatorGauges, logMetrics } from './node-metrics.ts'
import { type LogHealth, makeClock, startCoordinatorPart, startLog } from './parts.ts'
import { assertPortFree } from './ports.ts'
import { ShardsUp } from './shards-up.ts'

export interface CoordinatorProcessOptions {
  readonly config: ClusterConfig
  readonly logger: Logger
  /** Ends the wait for the agents. */
  readonly signal?: AbortSignal
  /** Others listen on its port too (coordinator-workers.ts): whether that is free is not its business. */
  readonly sharesPort?: boolean
}

export interface CoordinatorProcess {
  readonly port: number
  readonly listen: string
  readonly adminUrl: string
  stop(): Promise<void>
}

/** `weft coordinator`: a coordinator that reaches the agents over the mux. */
export function startCoordinatorProcess(options: CoordinatorProcessOptions): Promise<CoordinatorProcess> {
  return startOrCleanUp(options.logger, (cleanup) => start(options, cleanup))
}

async function start(options: CoordinatorProcessOptions, cleanup: Cleanup): Promise<CoordinatorProcess> {
  const { config, logger, signal } = options
  const { cluster, database, log, maxClockOffsetMs } = config
  const { listen, auth, sessionsMax, memory, tls, logMinDurationMs } = config.coordinator
  const id = coordinatorIdFrom(randomBytes(8))
  const logHealth: LogHealth = { why: undefined }
  const node = {
    ...{ id, cluster, database, log, maxClockOffsetMs, listen, auth, sessionsMax, memory, logger },
    homeUrl: config.shards[0]!.postgres,
    outcomesKeptMs: config.outcomesKeptHours * 3_600_000,
    ...(logMinDurationMs === undefined ? {} : { logMinDurationMs }),
    shardSetting: 'shards[].postgres:',
    logMayBeDown: true,
    listenSetting: 'coordinator.listen',
    ...(tls === undefined
      ? {}
      : { tls: { cert: readFileSync(tls.cert, 'utf8'), key: readFileSync(tls.key, 'utf8') } }),
  }
  if (options.sharesPort !== true) {
    await assertPortFree(listen.host, listen.port, 'clients', 'coordinator.listen')
  }
  const clock = makeClock(node)
  const meeting = new ClockMeeting(clock)
  const links = connectAll(options, id, meeting, cleanup)
  const shards = new ShardsUp(links, logger)
  const metrics = new Metrics()
  let coordinator: Coordinator | undefined
  let waitsFor: string | undefined
  // First of all: who waits for its shards says so.
  const admin = await startAdmin({
    ...config.coordinator.adminListen,
    metrics,
    notReady: () => shards.why() ?? (coordinator === undefined ? (waitsFor ?? 'starting') : undefined),
    status: async (): Promise<NodeStatus> => ({
      role: 'coordinator' as const,
      pid: process.pid,
      uptimeSeconds: Math.round(process.uptime()),
      ...(coordinator === undefined
        ? { waitsFor: shards.why() ?? waitsFor ?? 'starting' }
        : coordinator.info()),
      transactionLog: logHealth.why ?? 'reachable',
      shards: await Promise.all(links.map(statusOf)),
    }),
    portSetting: 'coordinator.adminListen',
    ...adminAccess(config),
    settings: config,
    cluster: () => coordinator?.operator,
    log: logger,
  })
  cleanup.add(() => admin.stop())
  logger.info({ url: admin.url }, 'admin server: listening')

  const onLogRequest = logMetrics(metrics, logHealth)
  const txnLog = await startLog({ ...node, logHealth, onLogRequest }, cleanup, id)
  await shards.untilUp(signal)
  meeting.agree()
  const waiting = (why?: string): void => {
    waitsFor = why
    if (why !== undefined) logger.info({ why }, 'starting: waiting for a shard')
  }
  const part = { ...node, clock, patience: { signal, waiting } }
  coordinator = await startCoordinatorPart(part, txnLog, links, cleanup)
  coordinatorGauges(metrics, coordinator)
  const { port } = coordinator
  return { port, listen: formatAddress({ ...listen, port }), adminUrl: admin.url, stop: () => cleanup.run() }
}

function connectAll(
  { config, logger }: CoordinatorProcessOptions,
  coordinatorId: string,
  meeting: ClockMeeting,
  cleanup: Cleanup,
): AgentLink[] {
  const { cluster, muxTls } = config
  const tls = muxTls === undefined ? {} : { tls: readMuxTls(muxTls) }
  return config.shards.map(({ id: shard, agent: { host, port } }) => {
    const clock = meeting.forLink()
    const link = connectLink({ shard, host, port, cluster, coordinatorId, clock, log: logger, ...tls })
    cleanup.add(() => link.close())
    return link
  })
}
