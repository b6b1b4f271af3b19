import type { Failpoints } from '../txn/failpoints.ts'
import type { ClockBound, HlcClock } from '../txn/hlc.ts'
import type { TxnLog } from '../txn/log/txn-log.ts'
import type { PostgresAddress } from './pool/address.ts'

/** The part of the hybrid logical clock that an agent uses. */
export interface AgentClock {
  now(): bigint
  /** The last timestamp issued or adopted, or the bound that it began with. */
  peek?(): bigint
  observe(ts: bigint): void
  /** When `now` has thrown: resolves when it is worth asking again. */
  settled?(): Promise<void>
  /** Whether everything issued after a crash would be above `ts`; `cover` makes it so. Always, if absent. */
  covers?(ts: bigint): boolean
  cover?(ts: bigint): Promise<void>
}

type LogCall = {
  (fields: object, message: string): void
  (message: string): void
}

/** A pino logger, or anything with these. */
export interface AgentLog {
  readonly debug: LogCall
  readonly info: LogCall
  readonly warn: LogCall
  readonly error: LogCall
}

export interface PoolOptions {
  /** Postgres connections to this shard, all together. */
  readonly size: number
  /** How long a session waits for a connection. */
  readonly waitTimeoutMs: number
  /** An unused connection is closed after this. */
  readonly idleMs: number
  /** Prepared statements kept on one connection. */
  readonly preparedMax: number
  readonly connectTimeoutMs: number
}

export interface AgentOptions {
  readonly shard: number
  readonly postgres: PostgresAddress
  /** Name of the cluster; part of every gid, so that clusters on one server leave each other's alone. */
  readonly cluster: string
  /** How many shards the cluster has; default: not known. */
  readonly shardCount?: number
  readonly pool?: Partial<PoolOptions>
  /**
   * The node's clock; or a maker of this agent's own one, which is started with the bound that the shard keeps, so that
   * it issues nothing at or below what it issued before a restart.
   */
  readonly clock: AgentClock | ((bound: ClockBound) => HlcClock)
  readonly log: AgentLog
  readonly txnLog: TxnLog
  /** Age at which a prepared transaction without a decision is settled by recovery. */
  readonly inDoubtAfterMs?: number
  /** Send the Sync of autocommit writes separately, under the gate; off by default (gate/gate.ts). */
  readonly splitWrites?: boolean
  /** Wait this long for another agent of the shard to give way; 0 (default): fail at once. */
  readonly takeoverTimeoutMs?: number
  /** For tests; default: none. */
  readonly failpoints?: Failpoints
}

export const poolDefaults: PoolOptions = {
  size: 20,
  waitTimeoutMs: 10_000,
  idleMs: 300_000,
  preparedMax: 500,
  connectTimeoutMs: 5_000,
}

/** Connections kept back for the agent's own work: recovery and catalog access never wait for clients. */
export const INTERNAL_RESERVED = 2
/** The connection that holds the shard's advisory lock. */
export const OWNER_CONNECTIONS = 1
