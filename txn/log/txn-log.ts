import type { Timestamp } from '../../protocol/agent-link.ts'

export type Decision = 'commit' | 'abort'

/** One transaction's entry in the log. `version` is the record format's. */
export interface DecisionRecord {
  readonly version: 1
  readonly txnId: string
  readonly decision: Decision
  /** 0n for an abort. */
  readonly commitTs: Timestamp
  /** Shards that were asked to prepare. */
  readonly participants: readonly number[]
  /** Unique per attempt: a second look tells whose record it was. */
  readonly writer: string
}

export type CreateResult =
  /** This call created the record. */
  | { readonly kind: 'created' }
  /** Somebody's record was there first; it decides. */
  | { readonly kind: 'exists'; readonly record: DecisionRecord }

/**
 * The transaction log. Creating the record of a transaction *is* its decision. A rejected promise means that the fate
 * of the call is not known (`LogUnknownError`) or that it certainly did nothing (`LogUnavailableError`).
 */
export interface TxnLog {
  /** Create-if-absent. Concurrent calls share one durable write (group commit). */
  create(record: DecisionRecord): Promise<CreateResult>
  read(txnId: string): Promise<DecisionRecord | undefined>
  /** Drops records whose participants all confirmed; batched by the implementation. Never loses a record early. */
  drop(txnIds: readonly string[]): Promise<void>
  list(limit: number): Promise<readonly DecisionRecord[]>
  close(): Promise<void>
}

/** The call may or may not have taken effect: only a later `read` or `create` can tell. */
export class LogUnknownError extends Error {
  override readonly name = 'LogUnknownError'
}

/** The call was never sent: nothing happened. */
export class LogUnavailableError extends Error {
  override readonly name = 'LogUnavailableError'
}
