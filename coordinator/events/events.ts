import { EventEmitter } from 'node:events'
import type { CommitState, Outcome } from '../../txn/commit-machine.ts'

/** What happens on a coordinator that others may want to hear of: metrics, the log. */
export interface CoordinatorEvents {
  /** A phase of a commit over several shards is over. */
  commitPhase: [{ readonly txnId: string; readonly phase: CommitState['phase']; readonly tookMs: number }]
  /** Its client has its answer. */
  commitEnded: [CommitEnded]
  /** It was not known whether its decision was written: it is asked for again. */
  decisionAskedAgain: [{ readonly txnId: string; readonly attempt: number }]
  /** These shards have not carried it out: their recovery will. */
  leftToRecovery: [{ readonly txnId: string; readonly shards: readonly number[] }]
  /** A statement over several shards has its cut. */
  cutTaken: [{ readonly waitedMs: number }]
}

export interface CommitEnded {
  readonly txnId: string
  readonly shards: readonly number[]
  readonly outcome: Outcome['outcome']
  /** What the client is told, where it is not done. */
  readonly error: Error | undefined
}

export type CoordinatorBus = EventEmitter<CoordinatorEvents>

export const coordinatorBus = (): CoordinatorBus => new EventEmitter()
