import type { CheckOptions, Isolation } from '../check/verdict.ts'
import type { Op, OpValue } from '../history/op.ts'
import type { Random } from '../run/random.ts'
import type { Session } from '../run/session.ts'

export interface WorkloadOptions {
  readonly isolation: Isolation
  /** On Weft tables are spread over the shards; elsewhere they are as they are. */
  readonly isWeft: boolean
  /** list-append: a row for each element. */
  readonly rows: boolean
  readonly seed: number
  /** Of the shards' own servers, past Weft, where they are known. */
  readonly shardUrls: readonly string[]
}

/** What a client is asked to do; becomes the invocation of an operation. */
export interface Task {
  readonly f: string
  readonly value: OpValue
  readonly final?: true
  readonly statements?: readonly number[]
}

/** What a workload is told of who asks. */
export interface Asker {
  readonly random: Random
  /** 0, 1, 2 …: of the client, for the whole run. */
  readonly client: number
  readonly process: number
}

export interface Workload {
  /** SQL, before the first client comes. */
  readonly tables: readonly string[]
  next(asker: Asker): Task
  /** Does it, and resolves with the value of the completion; throws what the database says. */
  perform(session: Session, task: Task, asker: Asker): Promise<OpValue>
  /** The reads at the end, when everything is healed; asked for one after the other. */
  finals(): readonly Task[]
  readonly checkOptions?: Partial<CheckOptions>
  /** Which coordinator the task is for; otherwise that of the client. */
  nodeOf?(task: Task, asker: Asker): number | undefined
  /** Told of each completion. */
  heard?(op: Op, asker: Asker): void
}

export type MakeWorkload = (options: WorkloadOptions) => Workload

export function beginOf(isolation: Isolation): string {
  return `BEGIN ISOLATION LEVEL ${isolation.toUpperCase()}`
}

/** The clause that spreads a table over the shards. */
export function spread({ isWeft }: WorkloadOptions, key: string): string {
  return isWeft ? `WITH (shard_key = '${key}')` : ''
}
