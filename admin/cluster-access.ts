import type { ShardStatus } from './api/node-status.ts'

export type { ShardStatus } from './api/node-status.ts'

/** What the admin API does on a cluster, by a coordinator. */
export interface ClusterAccess {
  /** In the gids of its transactions. */
  readonly cluster: string
  readonly shardCount: number
  /** A statement through Weft, as its administrative role. Rejects with a PgError. */
  query(text: string, values?: readonly unknown[], limits?: QueryLimits): Promise<readonly Row[]>
  /** On the server of one shard; columns as texts. */
  onShard(shard: number, text: string): Promise<readonly (readonly (string | null)[])[]>
  status(shard: number): Promise<ShardStatus>
  /** How the statements of a file would be run; none is. */
  explain(
    file: string,
    searchPath: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly ExplainedStatement[]>
  /** What the log says of a transaction that is prepared. */
  logged(txnId: string): Promise<Logged>
  /** Decisions that some shard has still to carry out, and aborts that are kept against late commits. */
  records(limit: number): Promise<readonly LogRecord[]>
  /** Creates its abort, unless it is decided; only for one that is prepared, and was seen to have no record. */
  abort(txnId: string): Promise<Logged>
}

/** Their numbers. */
export const shardsOf = ({ shardCount }: Pick<ClusterAccess, 'shardCount'>): number[] =>
  Array.from({ length: shardCount }, (_, shard) => shard)

/** What each agent says of its shard, or why nothing is heard of it. */
export const statusesOf = (cluster: ClusterAccess): Promise<ShardStatus[]> =>
  Promise.all(shardsOf(cluster).map((shard) => cluster.status(shard)))

/** What ends a statement before it is done: it is cancelled. */
export interface QueryLimits {
  /** 0: as long as it takes; 30 s when left out. */
  readonly limitMs?: number
  /** Nobody waits for it any more. */
  readonly signal?: AbortSignal
}

export type Row = Readonly<Record<string, unknown>>
export interface ExplainedStatement {
  readonly line: number
  readonly statement: string
  readonly tag: string
  readonly reach: 'local' | 'one' | 'some' | 'all' | 'moves' | 'refused'
  readonly why: string
  readonly id?: string
  readonly hint?: string
  /** How it is run, as a tree: each step before, and less deep than, those that it needs. */
  readonly steps?: readonly ExplainedStep[]
}

export interface ExplainedStep {
  readonly depth: number
  readonly what: string
  readonly sql?: string
}

/** An entry of the transaction log. */
export interface LogRecord {
  readonly transaction: string
  readonly decision: 'commit' | 'abort'
  /** Of the commit, by the cluster's clock; null for an abort, which has no timestamp. */
  readonly at: string | null
  /** Shards that were asked to prepare; none when recovery wrote it. */
  readonly participants: readonly number[]
}

export type Logged = 'commit' | 'abort' | 'undecided' | 'coordinator gone' | 'unreadable'
