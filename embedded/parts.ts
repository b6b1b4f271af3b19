import { existsSync } from 'node:fs'
import type { Logger } from '../admin/logger.ts'
import type { Address, AuthRule, ClusterConfig, LogConfig } from '../cluster/config.ts'
import { type Patience, untilReached } from '../cluster/patience.ts'
import { version } from '../cluster/version.ts'
import { CommitDriver } from '../coordinator/commit/commit.ts'
import { type Coordinator, startCoordinator } from '../coordinator/main.ts'
import { type MemoryLimits, memoryLimitsOf } from '../coordinator/memory/memory-budget.ts'
import { invariant } from '../errors/pg-error.ts'
import type { AgentLink } from '../protocol/agent-link.ts'
import { type Agent, parsePostgresUrl, startAgent } from '../shard-agent/main.ts'
import { HlcClock, type HlcOptions } from '../txn/hlc.ts'
import { type OnLogRequest, TimedTxnLog } from '../txn/log/timed-txn-log.ts'
import type { TxnLog } from '../txn/log/txn-log.ts'
import type { Cleanup } from './cleanup.ts'
import { explainShardError } from './explain.ts'
import { nodeFailpoints } from './failpoint-control.ts'
import { openLog } from './log.ts'
import { startTracing } from './open-telemetry.ts'
import { portError } from './ports.ts'
import { ShardSlot } from './shard-slot.ts'

/** The parts of a node, as `weft dev`, `weft coordinator` and `weft agent` put them together. */
export interface NodeOptions {
  readonly cluster: string
  readonly log: LogConfig
  /** Shard 0's Postgres, where the `postgres` log is. */
  readonly homeUrl: string
  readonly maxClockOffsetMs: number
  readonly logger: Logger
  /** Named when a shard's URL is wrong: a flag, or a setting. */
  readonly shardSetting: string
  /** Serve also while the log is down. */
  readonly logMayBeDown?: boolean
  /** What `startLog` keeps up to date. */
  readonly logHealth?: LogHealth
  /** Told how long each request to the log takes. */
  readonly onLogRequest?: OnLogRequest
  /** How long outcomes of transactions can be asked for. Default: a day. */
  readonly outcomesKeptMs?: number
}

export interface LogHealth {
  /** Undefined: it is in reach. */
  why: string | undefined
}

/** The transaction log; `coordinatorId` registers a coordinator with it. */
export async function startLog(
  options: NodeOptions,
  cleanup: Cleanup,
  coordinatorId?: string,
): Promise<TxnLog> {
  const { cluster, homeUrl, logger, shardSetting, logHealth } = options
  const log = await openLog({
    config: options.log,
    homeUrl,
    cluster,
    ...(coordinatorId === undefined ? {} : { coordinatorId }),
    onHealth: (reachable, why) => {
      if (logHealth !== undefined) logHealth.why = reachable ? undefined : why
      if (reachable) logger.info('transaction log: reachable')
      else logger.warn({ why }, 'transaction log: out of reach')
    },
    urlSetting: shardSetting,
    ...(options.outcomesKeptMs === undefined ? {} : { outcomesKeptMs: options.outcomesKeptMs }),
    mayBeDown: options.logMayBeDown ?? false,
  })
  cleanup.add(() => log.close())
  return options.onLogRequest === undefined ? log : new TimedTxnLog(log, options.onLogRequest)
}

export interface AgentShard {
  readonly id: number
  readonly postgres: string
  /** Connections of the shard's share that others in this process use. */
  readonly reserved?: number
}

export interface AgentsOptions extends NodeOptions {
  readonly shards: readonly AgentShard[]
  readonly pool: ClusterConfig['pool']
  readonly inDoubtAfterMs: number
  /** Of the whole cluster. */
  readonly shardCount: number
  /** How long to wait for another agent of the shard to give way. */
  readonly takeoverTimeoutMs: number
  /** Wait for servers that are not there yet. Absent: the start fails. */
  readonly patience?: { readonly signal?: AbortSignal | undefined }
}

export interface RunningAgent {
  readonly agent: Agent
  /** This agent's own: it never goes back behind what the shard has seen. */
  readonly clock: HlcClock
}

export function shardSlots({ shards, pool }: AgentsOptions): ShardSlot[] {
  return shards.map(({ id }) => new ShardSlot(id, pool.size))
}

/** Starts the agents of `slots`, each given to `serve` as soon as it is up. Resolves when all are. */
export async function startAgents(
  options: AgentsOptions,
  txnLog: TxnLog,
  cleanup: Cleanup,
  slots: readonly ShardSlot[],
  serve: (running: RunningAgent) => unknown = () => {},
): Promise<void> {
  const { signal } = options.patience ?? {}
  // One that will never come up ends the wait of the others.
  const failed = new AbortController()
  const signals = signal === undefined ? [failed.signal] : [failed.signal, signal]
  const startOne = async (shard: AgentShard, slot: ShardSlot): Promise<void> => {
    const running = await startOneAgent(options, txnLog, shard, slot, AbortSignal.any(signals))
    cleanup.add(() => running.agent.stop())
    slot.running = running
    await serve(running)
  }
  // All of them settle before a failure is reported: none may come up after the cleanup.
  await Promise.allSettled(
    options.shards.map((shard, i) =>
      startOne(shard, slots[i]!).catch((error: unknown) => failed.abort(error)),
    ),
  )
  failed.signal.throwIfAborted()
}

async function startOneAgent(
  options: AgentsOptions,
  txnLog: TxnLog,
  { id: shard, postgres: url, reserved = 0 }: AgentShard,
  slot: ShardSlot,
  signal: AbortSignal,
): Promise<RunningAgent> {
  const { cluster, shardCount, pool, inDoubtAfterMs, takeoverTimeoutMs, logger } = options
  // Each try begins from nothing: what a lost server leaves of one is gone with it.
  const start = async (): Promise<RunningAgent> => {
    let clock: HlcClock | undefined
    const agent = await startAgent({
      shard,
      cluster,
      shardCount,
      pool: { ...pool, size: pool.size - reserved },
      inDoubtAfterMs,
      takeoverTimeoutMs,
      postgres: parsePostgresUrl(url),
      clock: (bound) => {
        clock = makeClock(options, { bound, meets: true })
        return clock
      },
      log: logger,
      txnLog,
      failpoints: nodeFailpoints(),
    })
    invariant(clock !== undefined, 'an agent serves without a clock')
    return { agent, clock }
  }
  const waiting = (why?: string): void => {
    slot.waitsFor = why ?? 'starting'
    if (why !== undefined) logger.info({ shard, why }, 'agent: waiting for its Postgres')
  }
  try {
    return await (options.patience === undefined ? start() : untilReached({ signal, waiting }, start))
  } catch (error) {
    throw explainShardError(error, shard, url, options.shardSetting)
  }
}

export function makeClock(
  { maxClockOffsetMs, logger }: NodeOptions,
  more: Pick<HlcOptions, 'bound' | 'meets'> = {},
): HlcClock {
  return new HlcClock({
    wallMs: Date.now,
    monoMs: () => performance.now(),
    maxOffsetMs: maxClockOffsetMs,
    onBoundError: (err) => logger.warn({ err }, 'clock: its upper bound could not be stored'),
    ...more,
  })
}

export interface CoordinatorPartOptions extends NodeOptions {
  /** A new one at each start (txn/gid.ts). */
  readonly id: string
  readonly database: string
  readonly listen: Address
  /** Named when the port is taken. */
  readonly listenSetting: string
  readonly auth: readonly AuthRule[]
  /** PEM. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly sessionsMax: number
  readonly logMinDurationMs?: number
  /** Default: by what the machine has. */
  readonly memory?: ClusterConfig['coordinator']['memory']
  /** The one that its links use. */
  readonly clock: HlcClock
  readonly patience: Patience
  /** Program of the thread that plans long texts. Default: the one that was bundled with this; from sources, none. */
  readonly textProgram?: URL
}

function bundledTextProgram(): URL | undefined {
  const program = new URL('./long-texts.js', import.meta.url)
  return existsSync(program) ? program : undefined
}

/** A coordinator on links that are up. */
export async function startCoordinatorPart(
  options: CoordinatorPartOptions,
  log: TxnLog,
  links: readonly AgentLink[],
  cleanup: Cleanup,
): Promise<Coordinator> {
  const { id, cluster, database, listen, auth, tls, sessionsMax, memory = {}, clock, logger } = options
  const { patience, outcomesKeptMs, logMinDurationMs, textProgram = bundledTextProgram() } = options
  const failpoints = nodeFailpoints()
  const traces = await startTracing(process.env, logger)
  if (traces !== undefined) cleanup.add(() => traces.stop())
  try {
    const coordinator = await startCoordinator({
      version,
      id,
      database,
      listen,
      tls,
      authRules: auth,
      links,
      commits: new CommitDriver({ log, clock, coordinatorId: id, cluster, failpoints }),
      ...(outcomesKeptMs === undefined ? {} : { outcomesKeptMs }),
      logMinDurationMs,
      tracing: traces?.tracing,
      log: logger,
      patience,
      listenerLimits: { sessionsMax },
      memory: memoryLimits(memory),
      ...(textProgram && { textProgram }),
    })
    cleanup.add(() => coordinator.stop())
    return coordinator
  } catch (error) {
    throw portError(error, listen.host, listen.port, 'clients', options.listenSetting)
  }
}

const MB = 1 << 20

function memoryLimits({ nodeMb, sessionMb }: ClusterConfig['coordinator']['memory']): Partial<MemoryLimits> {
  const ofNode = nodeMb === undefined ? {} : memoryLimitsOf(nodeMb * MB)
  return sessionMb === undefined ? ofNode : { ...ofNode, sessionBytes: sessionMb * MB }
}
