import { randomBytes } from 'node:crypto'
import type { Logger } from '../admin/logger.ts'
import type { Metrics } from '../admin/metrics.ts'
import type { Address, AuthRule, ClusterConfig, LogConfig } from '../cluster/config.ts'
import { version } from '../cluster/version.ts'
import { CommitDriver } from '../coordinator/commit/commit.ts'
import { type Coordinator, startCoordinator } from '../coordinator/main.ts'
import { type Agent, parsePostgresUrl, startAgent } from '../shard-agent/main.ts'
import { failpointsFromEnv } from '../txn/failpoints.ts'
import { coordinatorIdFrom } from '../txn/gid.ts'
import { HlcClock } from '../txn/hlc.ts'
import type { TxnLog } from '../txn/log/txn-log.ts'
import { Cleanup } from './cleanup.ts'
import { explainShardError } from './explain.ts'
import { openLog } from './log.ts'
import { agentGauges, coordinatorGauges } from './node-metrics.ts'
import { portError } from './ports.ts'

/** One process with a coordinator and the agents of all shards, joined by direct calls. */
export interface ComposeOptions {
  readonly cluster: string
  readonly database: string
  readonly listen: Address
  /** Named when the port is taken. */
  readonly listenSetting: string
  readonly shards: readonly { readonly id: number; readonly postgres: string }[]
  /** Named when a shard's URL is wrong. */
  readonly shardSetting: string
  readonly log: LogConfig
  readonly auth: readonly AuthRule[]
  readonly pool: ClusterConfig['pool']
  readonly maxClockOffsetMs: number
  readonly inDoubtAfterMs: number
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface ComposedNode {
  readonly port: number
  notReady(): string | undefined
  status(): Record<string, unknown>
  stop(): Promise<void>
}

export async function composeNode(options: ComposeOptions): Promise<ComposedNode> {
  const cleanup = new Cleanup()
  try {
    return await compose(options, cleanup)
  } catch (error) {
    await cleanup.run().catch((err: unknown) => options.logger.warn({ err }, 'stopping after a failed start'))
    throw error
  }
}

async function compose(options: ComposeOptions, cleanup: Cleanup): Promise<ComposedNode> {
  const { cluster, shards, logger } = options
  const coordinatorId = coordinatorIdFrom(randomBytes(8))
  const log = await openLog({
    config: options.log,
    homeUrl: shards[0]!.postgres,
    cluster,
    coordinatorId,
    onHealth: (reachable, why) => {
      if (reachable) logger.info('transaction log: reachable')
      else logger.warn({ why }, 'transaction log: out of reach')
    },
    urlSetting: options.shardSetting,
  })
  cleanup.add(() => log.close())
  const agents = await startAgents(options, log, cleanup)
  const coordinator = await startOwnCoordinator(options, coordinatorId, log, agents)
  cleanup.add(() => coordinator.stop())
  coordinatorGauges(options.metrics, coordinator)
  agentGauges(options.metrics, agents)
  return {
    port: coordinator.port,
    notReady: () => {
      const down = agents.map((agent) => agent.status()).find((status) => !status.up)
      return down === undefined ? undefined : `shard ${down.shard} is down: ${down.error ?? 'starting'}`
    },
    status: () => ({ ...coordinator.info(), shards: agents.map((agent) => agent.status()) }),
    stop: () => cleanup.run(),
  }
}

async function startAgents(options: ComposeOptions, txnLog: TxnLog, cleanup: Cleanup): Promise<Agent[]> {
  const { cluster, pool, inDoubtAfterMs, logger, shardSetting } = options
  const startOne = async (shard: number, url: string): Promise<Agent> => {
    try {
      const agent = await startAgent({
        shard,
        cluster,
        pool,
        inDoubtAfterMs,
        postgres: parsePostgresUrl(url),
        clock: (bound) => nodeClock(options, { bound }),
        log: logger,
        txnLog,
      })
      cleanup.add(() => agent.stop())
      return agent
    } catch (error) {
      throw explainShardError(error, shard, url, shardSetting)
    }
  }
  // All of them settle before a failure is reported: none may come up after the cleanup.
  const results = await Promise.allSettled(options.shards.map(({ id, postgres }) => startOne(id, postgres)))
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason
    return result.value
  })
}

function nodeClock(
  { maxClockOffsetMs, logger }: ComposeOptions,
  more: Pick<ConstructorParameters<typeof HlcClock>[0], 'bound'> = {},
): HlcClock {
  return new HlcClock({
    wallMs: Date.now,
    monoMs: () => performance.now(),
    maxOffsetMs: maxClockOffsetMs,
    onBoundError: (err) => logger.warn({ err }, 'clock: its upper bound could not be stored'),
    ...more,
  })
}

async function startOwnCoordinator(
  options: ComposeOptions,
  id: string,
  log: TxnLog,
  agents: readonly Agent[],
): Promise<Coordinator> {
  const { cluster, database, listen, auth, logger } = options
  const failpoints = failpointsFromEnv(process.env.WEFT_FAILPOINT)
  const clock = nodeClock(options)
  try {
    return await startCoordinator({
      version,
      id,
      database,
      listen,
      authRules: auth,
      links: agents.map((agent) => agent.connect(id)),
      commits: new CommitDriver({ log, clock, coordinatorId: id, cluster, failpoints }),
      log: logger,
    })
  } catch (error) {
    throw portError(error, listen.host, listen.port, 'clients', options.listenSetting)
  }
}
