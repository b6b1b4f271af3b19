import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Logger } from '../admin/logger.ts'
import { Metrics } from '../admin/metrics.ts'
import { startAdmin } from '../admin/server.ts'
import type { ClusterConfig } from '../cluster/config.ts'
import { formatAddress } from '../cluster/config-schema.ts'
import { connectLink } from '../coordinator/links/mux-link.ts'
import type { Coordinator } from '../coordinator/main.ts'
import type { AgentLink, AgentStatus } from '../protocol/agent-link.ts'
import { coordinatorIdFrom } from '../txn/gid.ts'
import { type Cleanup, startOrCleanUp } from './cleanup.ts'
import { ClockMeeting } from './clock-meeting.ts'
import { readMuxTls } from './mux-tls.ts'
import { coordinatorGauges } from './node-metrics.ts'
import { makeClock, startCoordinatorPart, startLog } from './parts.ts'

export interface CoordinatorProcessOptions {
  readonly config: ClusterConfig
  readonly logger: Logger
  /** Ends the wait for the agents. */
  readonly signal?: AbortSignal
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
  const { listen, auth, sessionsMax, memory, tls } = config.coordinator
  const id = coordinatorIdFrom(randomBytes(8))
  const node = {
    ...{ id, cluster, database, log, maxClockOffsetMs, listen, auth, sessionsMax, memory, logger },
    homeUrl: config.shards[0]!.postgres,
    shardSetting: 'shards[].postgres:',
    logMayBeDown: true,
    listenSetting: 'coordinator.listen',
    ...(tls === undefined
      ? {}
      : { tls: { cert: readFileSync(tls.cert, 'utf8'), key: readFileSync(tls.key, 'utf8') } }),
  }
  const clock = makeClock(node)
  const txnLog = await startLog(node, cleanup, id)
  const meeting = new ClockMeeting(clock)
  const links = connectAll(options, id, meeting, cleanup)
  await untilAllUp(links, logger, signal)
  meeting.agree()
  const coordinator = await startCoordinatorPart({ ...node, clock }, txnLog, links, cleanup)
  const metrics = new Metrics()
  coordinatorGauges(metrics, coordinator)
  const admin = await startAdmin({
    ...config.coordinator.adminListen,
    metrics,
    notReady: () => whoIsDown(links),
    status: () => status(coordinator, links),
    portSetting: 'coordinator.adminListen',
  })
  cleanup.add(() => admin.stop())
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

/** Agents may come up in any order, before or after us: there is no time limit. */
function untilAllUp(
  links: readonly AgentLink[],
  log: Logger,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((done, fail) => {
    const waiting = new Set(links.map((link) => link.shard))
    signal?.addEventListener('abort', () => fail(signal.reason), { once: true })
    for (const link of links) {
      link.subscribe({
        mapVersion: () => undefined,
        quota: () => undefined,
        down: (shard, why) => {
          if (waiting.has(shard)) log.info({ shard, why }, 'waiting for the agent of a shard')
        },
        up: (shard) => {
          waiting.delete(shard)
          if (waiting.size === 0) done()
        },
      })
    }
  })
}

function whoIsDown(links: readonly AgentLink[]): string | undefined {
  const down = links.find((link) => !link.isUp)
  return down === undefined ? undefined : `shard ${down.shard} is down`
}

async function status(
  coordinator: Coordinator,
  links: readonly AgentLink[],
): Promise<Record<string, unknown>> {
  const shards = await Promise.all(links.map(statusOf))
  const uptimeSeconds = Math.round(process.uptime())
  return { role: 'coordinator', pid: process.pid, uptimeSeconds, ...coordinator.info(), shards }
}

async function statusOf(link: AgentLink): Promise<AgentStatus | { shard: number; up: false; error: string }> {
  const { shard } = link
  try {
    const reply = await link.control({ kind: 'status' })
    return reply.kind === 'status' ? reply.status : { shard, up: false, error: 'no status' }
  } catch (error) {
    return { shard, up: false, error: (error as Error).message }
  }
}
