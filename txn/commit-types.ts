import type { PgError } from '../errors/pg-error.ts'
import type { Timestamp } from '../protocol/agent-link.ts'
import type { Decision } from './log/txn-log.ts'

/** What the commit machine (commit-machine.ts) remembers, hears and asks for. */
export interface CommitState {
  readonly txnId: string
  readonly phase: 'preparing' | 'deciding' | 'committing' | 'aborting' | 'done'
  readonly members: readonly Member[]
  /** The participant whose own commit is the decision; it does not prepare. Undefined: the log is written by itself. */
  readonly last: number | undefined
  /** Of the current phase: members whose answer is awaited. */
  readonly waiting: number
  readonly commitTs: Timestamp
  /** Why it aborts; what the client is told. */
  readonly error: PgError | undefined
  /** Attempts to write the decision, and whether any of them has an unknown fate. */
  readonly attempts: number
  readonly fateUnknown: boolean
  /** A participant was rolled back by us in an abort. */
  readonly rolledBack: boolean
  /** Recovery may have written a tombstone for it, which only this coordinator can take away early. */
  readonly tombstone: boolean
}

export interface Member {
  readonly shard: number
  readonly status: MemberStatus
  readonly prepareTs: Timestamp
}

export type MemberStatus =
  /** A reader whose transaction is being ended. */
  | 'releasing'
  | 'released'
  | 'preparing'
  | 'prepared'
  /** Certainly not prepared: nothing is left there. */
  | 'refused'
  /** COMMIT PREPARED or ROLLBACK PREPARED is under way. */
  | 'applying'
  | 'applied'
  /** Its agent's recovery settles it. */
  | 'left'

export type CommitEvent =
  /** `notLast`: it was to be the last participant and cannot; it has prepared, as the others do. */
  | {
      readonly kind: 'prepared'
      readonly shard: number
      readonly prepareTs: Timestamp
      readonly notLast?: boolean
    }
  /** Certainly not prepared. */
  | { readonly kind: 'prepare-failed'; readonly shard: number; readonly error: PgError }
  /** Prepared, or not, or later. */
  | { readonly kind: 'prepare-lost'; readonly shard: number; readonly error: PgError }
  | { readonly kind: 'released'; readonly shard: number }
  /** The shard was thought to be only read, but a function or trigger wrote there. It was not ended. */
  | { readonly kind: 'reader-wrote'; readonly shard: number }
  | { readonly kind: 'release-failed'; readonly shard: number; readonly error: PgError }
  /** The caller wants it aborted, if that is still possible. */
  | { readonly kind: 'give-up'; readonly error: PgError }
  | { readonly kind: 'log-created' }
  /** The last participant certainly did not commit, and never will: its transaction is over. */
  | {
      readonly kind: 'last-refused'
      readonly error: PgError
      /** Recovery's abort record was there first. */
      readonly tombstone: boolean
    }
  | { readonly kind: 'log-exists'; readonly decision: Decision; readonly commitTs: Timestamp }
  | { readonly kind: 'log-fenced' }
  | { readonly kind: 'log-unavailable'; readonly why: string }
  | { readonly kind: 'log-unknown'; readonly why: string }
  | { readonly kind: 'applied'; readonly shard: number }
  /** `gone`: 42704; `unreachable`: no connection; `again`: anything else. */
  | {
      readonly kind: 'apply-failed'
      readonly shard: number
      readonly how: 'gone' | 'unreachable' | 'again'
    }
  /** The current phase has taken as long as it may. */
  | { readonly kind: 'deadline' }

export type Outcome =
  | { readonly outcome: 'committed'; readonly commitTs: Timestamp }
  | { readonly outcome: 'aborted'; readonly error: PgError }
  | { readonly outcome: 'unknown'; readonly error: PgError }

export type CommitEffect =
  | { readonly kind: 'prepare'; readonly shard: number }
  /** End the reader's transaction unless it has written. */
  | { readonly kind: 'release'; readonly shard: number }
  /** Make a PREPARE that still runs fail; its answer counts all the same. */
  | { readonly kind: 'cancel-prepare'; readonly shard: number }
  /** End a transaction that was never asked to prepare. */
  | { readonly kind: 'rollback'; readonly shard: number }
  | {
      readonly kind: 'write-decision'
      readonly commitTs: Timestamp
      readonly participants: readonly number[]
      /** From 1. Later ones ask again what became of the earlier ones. */
      readonly attempt: number
    }
  /**
   * The last participant commits, and the decision record with it, in one transaction. Asked for once: when its fate is
   * unknown it is `settle-last`'s to find out.
   */
  | {
      readonly kind: 'commit-last'
      readonly shard: number
      readonly commitTs: Timestamp
      readonly participants: readonly number[]
    }
  /** What the log says of it: create its abort, unless its record is there. */
  | { readonly kind: 'settle-last'; readonly attempt: number }
  /** `again`: not at once, it has just failed. */
  | { readonly kind: 'commit-prepared'; readonly shard: number; readonly commitTs: Timestamp; again: boolean }
  | { readonly kind: 'rollback-prepared'; readonly shard: number; again: boolean }
  | { readonly kind: 'answer'; readonly answer: Outcome }
  /** Take the record (or the tombstone) out of the log, at leisure. */
  | { readonly kind: 'drop' }
  /** It is committed, and these shards have not carried it out: their recovery does. */
  | { readonly kind: 'left'; readonly shards: readonly number[] }
  /** Tell the log which shards have carried the commit out. */
  | { readonly kind: 'confirm'; readonly shards: readonly number[] }

export interface CommitStep {
  readonly state: CommitState
  readonly effects: readonly CommitEffect[]
}
