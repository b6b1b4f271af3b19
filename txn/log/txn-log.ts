import type { Timestamp } from '../../protocol/agent-link.ts'
import type { TxnOutcome } from '../outcome.ts'

export type Decision = 'commit' | 'abort'

/** One transaction's entry in the log. `version` is the record format's. */
export interface DecisionRecord {
  readonly version: 1
  readonly txnId: string
  readonly decision: Decision
  /** 0n for an abort. */
  readonly commitTs: Timestamp
  /** Shards that were asked to prepare; empty when recovery wrote it, which does not know. */
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
   * Only for `commit` records: the coordinator's registration is gone, so this call created nothing and no later one
   * will. The transaction is aborted, unless an earlier attempt's fate is unknown.
   */
  | { readonly kind: 'fenced' }

export type LookupResult =
  | { readonly kind: 'record'; readonly record: DecisionRecord }
  /**
   * No record. When the coordinator's registration is gone too (looked at in the same instant) there never will be a
   * commit: the transaction is aborted. Otherwise its coordinator may still decide.
   */
  | { readonly kind: 'absent'; readonly ownerRegistered: boolean }
  /** A record that this version cannot read. Nobody may act on it. */
  | { readonly kind: 'unreadable'; readonly why: string }

export interface SweepResult {
  /** Abort records dropped because their coordinators are gone. */
  readonly dropped: number
  /** Transactions whose record this version cannot read. */
  readonly unreadable: readonly string[]
}

/**
 * The transaction log. Creating the record of a transaction *is* its decision. A rejected promise means that the fate
 * of the call is not known (`LogUnknownError`) or that it certainly did nothing (`LogUnavailableError`). Nothing is
 * retried inside: who asked knows better. Why the registration exists: docs/decisions/0002-tombstones.md.
 */
export interface TxnLog {
  /**
   * The registration under which this process may decide now; part of the id of every transaction it begins. Throws
   * `LogUnavailableError` while there is none.
   */
  incarnation(): string
  /**
   * Create-if-absent. A `commit` also needs the registration of its coordinator, in the same atomic step. Concurrent
   * calls share one durable write (group commit).
   */
  create(record: DecisionRecord): Promise<CreateResult>
  /** Absent: records are not to be created inside of transactions. */
  readonly within?: CreateWithin | undefined
  /** What recovery asks first. The answer is as durable as a decision. */
  lookup(txnId: string): Promise<LookupResult>
  /** `lookup` for people and tests; rejects for a record it cannot read. */
  read(txnId: string): Promise<DecisionRecord | undefined>
  /**
   * What became of a transaction whose client was told that nobody knew; `commitTs` is the timestamp that its commit would
   * have. Any node may ask.
   */
  outcome(txnId: string, commitTs: Timestamp): Promise<TxnOutcome>
  /**
   * This shard has carried the commit out. The last participant's confirmation drops the record; that it committed is kept
   * for a time, for `outcome`.
   */
  confirm(txnId: string, shard: number): Promise<void>
  /**
   * Drops records whose participants all confirmed to the caller, and aborts that only the caller could have
   * contradicted; batched, and allowed to fail: `sweep` and `confirm` see to what stays behind.
   */
  drop(txnIds: readonly string[]): Promise<void>
  list(limit: number): Promise<readonly DecisionRecord[]>
  /**
   * Drops the abort records (tombstones) that nobody can contradict any more, and forgets what was kept for `outcome`
   * for long enough. Any node may, at any time.
   */
  sweep(): Promise<SweepResult>
  /** Gives the registration up (what it began and left undecided is aborted from then on); closes the connections. */
  close(): Promise<void>
}

/**
 * A log that lies on a shard: a transaction there can create its record as part of itself, so that its own commit is the
 * decision. Exactly what `create` checks is checked then.
 */
export interface CreateWithin {
  readonly shard: number
  /**
   * SQL for the transaction with this id (`pg_current_xact_id()`), READ COMMITTED, right before its COMMIT. It fails with
   * one of `WITHIN_FAILED`, or with whatever keeps it from running: then the record is not there. It works in no other
   * transaction.
   */
  sql(record: DecisionRecord, xid: string): string
}

/** How long outcomes can be asked for, unless it is said. */
export const OUTCOMES_KEPT_MS = 24 * 3_600_000

/** SQLSTATEs of `CreateWithin`. */
export const WITHIN_FAILED = {
  /** Somebody's record was there first: recovery's abort. */
  exists: 'WT001',
  fenced: 'WT002',
} as const

/** The call may or may not have taken effect: only a later `create` or `lookup` can tell. */
export class LogUnknownError extends Error {
  override readonly name = 'LogUnknownError'
}

/** The call was never carried out: nothing happened. */
export class LogUnavailableError extends Error {
  override readonly name = 'LogUnavailableError'
}
