import type { Timestamp } from '../protocol/agent-link.ts'
import type { LookupResult } from './log/txn-log.ts'

/**
 * What became of a transaction. `in doubt`: it is not settled, or whoever could tell cannot be reached: ask again.
 * `unknown`: it was too long ago.
 */
export type TxnOutcome = 'committed' | 'aborted' | 'in doubt' | 'unknown'

/** What the log keeps of commits that recovery has carried out to their end. */
export interface KeptOutcome {
  /** This one is among them. */
  readonly isKept: boolean
  /** The highest timestamp of the commits that were kept and are not any more. */
  readonly forgottenTs: Timestamp
}

/** An id as a client is told it with 08007: the timestamp is the one that the transaction has if it committed. */
export function outcomeIdFor(txnId: string, commitTs: Timestamp): string {
  return `${txnId}@${commitTs.toString(36)}`
}

export interface OutcomeId {
  readonly txnId: string
  readonly commitTs: Timestamp
}

const outcomeId = /^([0-9a-z]{1,32}-[0-9a-z]{1,12}-[0-9a-z]{1,12})@([0-9a-z]{1,13})$/

/** Undefined for everything that `outcomeIdFor` does not make. */
export function parseOutcomeId(text: string): OutcomeId | undefined {
  const [, txnId, ts] = outcomeId.exec(text) ?? []
  if (txnId === undefined || ts === undefined) return undefined
  let commitTs = 0n
  for (const digit of ts) commitTs = commitTs * 36n + BigInt(Number.parseInt(digit, 36))
  return { txnId, commitTs }
}

/**
 * Of a transaction whose client was told that its outcome is not known: its coordinator has not dropped its record, and
 * never will. `kept` was read after `found`, or in the same instant (docs/decisions/0065-what-became-of-it.md).
 */
export function judgeOutcome(found: LookupResult, kept: KeptOutcome, commitTs: Timestamp): TxnOutcome {
  if (found.kind === 'record' && found.record.decision === 'commit') return 'committed'
  // Ahead of an abort: a tombstone may have come after the commit was concluded.
  if (kept.isKept) return 'committed'
  if (found.kind === 'unreadable') return 'in doubt'
  if (commitTs <= kept.forgottenTs) return 'unknown'
  if (found.kind === 'record') return 'aborted'
  return found.ownerRegistered ? 'in doubt' : 'aborted'
}
