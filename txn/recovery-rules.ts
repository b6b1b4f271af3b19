import { assertNever } from '../errors/pg-error.ts'
import type { Timestamp } from '../protocol/agent-link.ts'
import { type ParsedGid, parseGid } from './gid.ts'
import type { CreateResult, DecisionRecord, LookupResult } from './log/txn-log.ts'

/**
 * What an agent does with the transactions that it finds prepared on its shard, as pure rules.
 *
 *   R1 A gid that is not ours (another program's, another cluster's) is never touched; nor is one of ours that names
 *      another shard, but that one is shown.
 *   R2 Nothing is committed without a commit record, nothing rolled back without an abort record or the certainty that
 *      there can never be a commit record (no record, and the coordinator's registration gone).
 *   R3 An abort record is created only for a gid that was still prepared after its record was seen missing: a record
 *      that is missing because everything was already concluded is not contradicted.
 *   R4 A record that cannot be read, and a log that cannot be reached, leave the transaction as it is.
 *
 * Several agents, and agents and coordinators, may do all this at the same time (docs/decisions/0002-tombstones.md).
 */
export interface PreparedTransaction {
  readonly gid: string
  /** How long this agent has known it to be prepared, by a clock that cannot be set. */
  readonly ageMs: number
}

export interface RecoveryScope {
  readonly cluster: string
  readonly shard: number
  /** Undecided or not, nothing is looked up before this age while the owner is connected. */
  readonly inDoubtAfterMs: number
  /** At this age an undecided transaction is aborted although its owner is connected. */
  readonly abortAfterMs: number
  isOwnerConnected(coordinatorId: string): boolean
}

export type ScanVerdict =
  | { readonly kind: 'foreign' }
  /** Ours, but of another shard: a copy of its data directory, or a shard number given twice. */
  | { readonly kind: 'misplaced'; readonly parsed: ParsedGid }
  /** Its coordinator is at it. */
  | { readonly kind: 'leave' }
  /** Look the decision up; `mayAbort`: and abort it when there is none. */
  | { readonly kind: 'resolve'; readonly parsed: ParsedGid; readonly mayAbort: boolean }

export function judgePrepared(prepared: PreparedTransaction, scope: RecoveryScope): ScanVerdict {
  const parsed = parseGid(prepared.gid)
  if (parsed === undefined || parsed.cluster !== scope.cluster) return { kind: 'foreign' }
  if (parsed.shard !== scope.shard) return { kind: 'misplaced', parsed }
  if (!scope.isOwnerConnected(parsed.coordinatorId)) return { kind: 'resolve', parsed, mayAbort: true }
  if (prepared.ageMs < scope.inDoubtAfterMs) return { kind: 'leave' }
  return { kind: 'resolve', parsed, mayAbort: prepared.ageMs >= scope.abortAfterMs }
}

export type Resolution =
  | { readonly kind: 'commit-prepared'; readonly commitTs: Timestamp }
  | { readonly kind: 'rollback-prepared' }
  /** See that the gid is still prepared, and then create the abort record (R3). */
  | { readonly kind: 'create-abort' }
  | { readonly kind: 'leave' }
  /** Nobody can settle it but a person or a newer version. */
  | { readonly kind: 'surface'; readonly why: string }

export function resolveFound(found: LookupResult, mayAbort: boolean): Resolution {
  switch (found.kind) {
    case 'record':
      return resolveBy(found.record)
    case 'absent':
      // Its registration gone, its coordinator can never decide any more: aborted, and nothing need be written.
      if (!found.ownerRegistered) return { kind: 'rollback-prepared' }
      return mayAbort ? { kind: 'create-abort' } : { kind: 'leave' }
    case 'unreadable':
      return { kind: 'surface', why: found.why }
    default:
      return assertNever(found)
  }
}

/** After `create-abort`: whoever's record is there decides. */
export function resolveCreated(result: CreateResult): Resolution {
  switch (result.kind) {
    case 'created':
      return { kind: 'rollback-prepared' }
    case 'exists':
      return resolveBy(result.record)
    case 'fenced':
      // Not an answer to an abort; the log is asked again at the next scan.
      return { kind: 'leave' }
    default:
      return assertNever(result)
  }
}

function resolveBy(record: DecisionRecord): Resolution {
  return record.decision === 'commit'
    ? { kind: 'commit-prepared', commitTs: record.commitTs }
    : { kind: 'rollback-prepared' }
}

/**
 * Whether a shard may confirm a commit record that it finds in the log, given the gids that were prepared on it
 * *after* the record was read. A commit record exists only once every participant had prepared, so one that is not
 * prepared (any more) has carried it out.
 */
export function mayConfirm(
  record: DecisionRecord,
  scope: Pick<RecoveryScope, 'shard'>,
  preparedTxnIds: ReadonlySet<string>,
): boolean {
  return (
    record.decision === 'commit' &&
    record.participants.includes(scope.shard) &&
    !preparedTxnIds.has(record.txnId)
  )
}
