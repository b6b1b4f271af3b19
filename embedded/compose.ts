import type { Logger } from '../admin/logger.ts'
import type { Metrics } from '../admin/metrics.ts'
import type { Address, AuthRule, ClusterConfig, LogConfig } from '../cluster/config.ts'
import { SetupError } from '../errors/setup-error.ts'

/** One process with a coordinator and the agents of all shards, joined by direct calls. */
export interface ComposeOptions {
  readonly cluster: string
  readonly database: string
  readonly listen: Address
  /** Named when the port is taken. */
  readonly listenSetting: string
  readonly shards: readonly { readonly id: number; readonly postgres: string }[]
  readonly log: LogConfig
  readonly auth: readonly AuthRule[]
  readonly pool: ClusterConfig['pool']
  readonly logger: Logger
  readonly metrics: Metrics
}

export interface ComposedNode {
  readonly port: number
  notReady(): string | undefined
  status(): Promise<Record<string, unknown>>
  stop(): Promise<void>
}

export function composeNode(_options: ComposeOptions): Promise<ComposedNode> {
  return Promise.reject(new SetupError('not built yet'))
}
