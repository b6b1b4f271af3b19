import { weftError } from '../../errors/catalog.ts'
import type { AgentSession, Timestamp } from '../../protocol/agent-link.ts'
import type { CommitState, Outcome } from '../../txn/commit-machine.ts'
import type { LeftOutOfCut } from '../../txn/cut-types.ts'
import { type Failpoints, noFailpoints } from '../../txn/failpoints.ts'
import { gidFor, type Incarnation, txnIdFor } from '../../txn/gid.ts'
import type { HlcClock } from '../../txn/hlc.ts'
import { LogUnavailableError, type TxnLog } from '../../txn/log/txn-log.ts'
import { type CoordinatorBus, coordinatorBus } from '../events/events.ts'
import { RunningCommit } from './running-commit.ts'

export type { Outcome } from '../../txn/commit-machine.ts'
export type CommitPhase = CommitState['phase']

/** A shard that wrote: its session is in the transaction. */
export interface CommitParticipant {
  readonly shard: number
  readonly session: AgentSession
}

/** A shard that was only read, as far as the statements tell. */
export interface CommitReader extends CommitParticipant {
  /**
   * Ends the transaction there, unless it has an xid (`pg_current_xact_id_if_assigned() IS NOT NULL`): then it
   * resolves with true, *without having ended it*, and the shard takes part like the others.
   */
  release(): Promise<boolean>
}

export interface CommitRequest {
  /** It is SERIALIZABLE: every participant uses its shard's probe (DESIGN 6). */
  readonly probe?: boolean
  /** Its session has seen what is committed at or below this: it commits above. */
  readonly seen?: Timestamp
  readonly participants: readonly CommitParticipant[]
  readonly readers: readonly CommitReader[]
  /** The commit of the shard where the log lies may be the decision (0033): READ COMMITTED, and not read only by now. */
  readonly mayBeLast?: boolean
  /** It has moved rows from shard to shard. */
  readonly moves?: boolean
  /** Told once when all have prepared and the decision is asked for: it may need no backend any more. */
  readonly allPrepared?: () => void
  /** Told how long each phase took, milliseconds. */
  readonly phaseEnded?: (phase: CommitPhase, tookMs: number, txnId: string) => void
}

export interface CommitLimits {
  /** PREPARE may wait for locks and deferred constraints. */
  readonly prepareTimeoutMs: number
  /** How long the fate of the decision is asked for before the client hears 08007. */
  readonly decideTimeoutMs: number
  /** How long the client waits for shards that cannot be reached after the decision. */
  readonly applyTimeoutMs: number
}

export const defaultCommitLimits: CommitLimits = {
  prepareTimeoutMs: 30_000,
  decideTimeoutMs: 10_000,
  applyTimeoutMs: 5_000,
}

export interface CommitDriverOptions {
  readonly log: TxnLog
  readonly clock: HlcClock
  /** In the gids of all transactions: agents know by it whose they are. The log registers the same. */
  readonly coordinatorId: string
  readonly cluster: string
  /** Who hears of what becomes of them. */
  readonly events?: CoordinatorBus
  readonly failpoints?: Failpoints
  readonly limits?: Partial<CommitLimits>
  /** `performance.now`, by default. */
  readonly monoMs?: () => number
  /** Node's, by default; the simulation has its own. */
  readonly timers?: CommitTimers
}

export interface CommitTimers {
  after(ms: number): Promise<void>
  /** Until what it returns is called. */
  every(ms: number, run: () => void): () => void
}

const nodeTimers: CommitTimers = {
  after: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  every: (ms, run) => {
    const timer = setInterval(run, ms).unref()
    return () => clearInterval(timer)
  },
}

export interface CommitCounters {
  committed: number
  aborted: number
  unknown: number
  /** Decision writes beyond the first of their transaction. */
  askedAgain: number
  /** Commits answered while a shard was left to its recovery. */
  leftToRecovery: number
}

/** How often deadlines are looked at. They are for what hangs, not for precision. */
const tickMs = 100

/** Less than `in_doubt_after`, which is a second at least. */
const UNSEEN_MS_MAX = 500

/** Commits the transactions of one coordinator that wrote on several shards (DESIGN 4). */
export class CommitDriver {
  readonly log: TxnLog
  readonly clock: HlcClock
  readonly coordinatorId: string
  readonly cluster: string
  readonly failpoints: Failpoints
  readonly limits: CommitLimits
  readonly monoMs: () => number
  readonly timers: CommitTimers
  readonly counters: CommitCounters = {
    committed: 0,
    aborted: 0,
    unknown: 0,
    askedAgain: 0,
    leftToRecovery: 0,
  }
  readonly events: CoordinatorBus
  /** What is decided from now on gets a timestamp above this. */
  decideAbove: Timestamp = 0n
  private readonly running = new Set<RunningCommit>()
  /** Ended while the log may still write their decision, late: their aborts have to stay. */
  private readonly mayDecideLate = new Set<string>()
  private stopTicking: (() => void) | undefined
  private lastNumber = 0
  private disturbed = 0
  /** Steps whose effects come one after the other: one shard may have heard a decision that another has not been sent. */
  halfDone = 0

  constructor(options: CommitDriverOptions) {
    this.log = options.log
    this.clock = options.clock
    this.coordinatorId = options.coordinatorId
    this.cluster = options.cluster
    this.events = options.events ?? coordinatorBus()
    this.failpoints = options.failpoints ?? noFailpoints
    this.limits = { ...defaultCommitLimits, ...options.limits }
    this.monoMs = options.monoMs ?? (() => performance.now())
    this.timers = options.timers ?? nodeTimers
  }

  /** Commits whose answer is awaited. */
  get inFlight(): number {
    return this.running.size
  }

  /**
   * Resolves with what the client may be told; never rejects. Afterwards no session is in the transaction any more,
   * except those whose connection was lost. A client that vanishes meanwhile changes nothing, as in Postgres; a
   * cancel request goes to the sessions, and aborts as long as one of them is still preparing.
   */
  commit(request: CommitRequest): Promise<Outcome> {
    let incarnation: Incarnation
    try {
      incarnation = this.log.incarnation() as Incarnation
    } catch (error) {
      if (!(error instanceof LogUnavailableError)) throw error
      return this.refuse(request, error.message)
    }
    const txnId = txnIdFor(incarnation, ++this.lastNumber)
    return new Promise((answer) => {
      const run = new RunningCommit(this, request, txnId, this.lastNumber, answer)
      this.running.add(run)
      this.stopTicking ??= this.timers.every(tickMs, () => this.tick())
      run.start()
    })
  }

  gid(txnId: string, shard: number): string {
    return gidFor(this.cluster, txnId, shard)
  }

  /**
   * Whether nothing of the transactions that this coordinator has not decided yet can have taken effect on a shard. Only
   * recovery could have carried such a decision out, before its record was answered here: it does so after a lost
   * connection, and when something has been in doubt for long.
   */
  get undecidedAreUnseen(): boolean {
    for (const oldest of this.running) return this.isUnseen(oldest)
    return this.halfDone === 0
  }

  /** The same of one transaction and all that began later. */
  isUnseen({ number, startedMs }: Pick<RunningCommit, 'number' | 'startedMs'>): boolean {
    return this.halfDone === 0 && number > this.disturbed && this.monoMs() - startedMs < UNSEEN_MS_MAX
  }

  /** A shard's connection was lost: its agent settles what is under way. */
  linkLost(): void {
    this.disturbed = this.lastNumber
  }

  /** Called by a commit that has answered. */
  ended(run: RunningCommit, answer: Outcome): void {
    const { outcome } = answer
    const error = 'error' in answer ? answer.error : undefined
    this.counters[outcome]++
    this.running.delete(run)
    if (run.mayDecideLate || outcome === 'unknown') this.mayDecideLate.add(run.txnId)
    this.events.emit('commitEnded', { txnId: run.txnId, shards: run.shards, outcome, error })
    if (this.running.size > 0) return
    this.stopTicking?.()
    this.stopTicking = undefined
  }

  /**
   * Aborts that recovery created, perhaps after their transactions had ended here. They keep a decision that is under way
   * from taking effect; of those that have none they can go. Who still has one prepared creates it anew.
   */
  abortsLeft(txnIds: readonly string[]): void {
    const running = new Set<string>()
    for (const run of this.running) running.add(run.txnId)
    const done = txnIds.filter((txnId) => !running.has(txnId) && !this.mayDecideLate.has(txnId))
    for (const txnId of done) void this.dropAbort(txnId).catch(() => {})
  }

  /** Looked at once more: a log that lost the abort in a failover may have a commit there, which others need. */
  private async dropAbort(txnId: string): Promise<void> {
    const found = await this.log.lookup(txnId)
    if (found.kind === 'record' && found.record.decision === 'abort') await this.log.drop([txnId])
  }

  /**
   * For a cut at `ts` over `shards`: what it need not wait for. That is what lies above it, as all does whose timestamp is
   * not fixed yet, and what no shard was told: agents hold that, wherever the cut is.
   */
  cutAt(ts: Timestamp, shards: readonly number[]): LeftOutOfCut {
    const outside: RunningCommit[] = []
    const untold: RunningCommit[] = []
    // Too far ahead of the time for a decision to rest on it: the cut waits for all of them.
    for (const run of this.decidesAbove(ts) ? this.running : []) {
      if (run.isAbove(ts)) outside.push(run)
      else if (run.isUntold && this.isUnseen(run) && run.isWithin(shards)) untold.push(run)
    }
    return {
      outside: (shard) => outside.filter((run) => run.takesPart(shard)).map((run) => run.gid(shard)),
      untold: (shard) => untold.filter((run) => run.isPreparedOn(shard)).map((run) => run.gid(shard)),
    }
  }

  private decidesAbove(ts: Timestamp): boolean {
    if (ts <= this.decideAbove) return true
    try {
      this.clock.observe(ts)
    } catch {
      return false
    }
    this.decideAbove = ts
    return true
  }

  private tick(): void {
    const now = this.monoMs()
    for (const run of this.running) run.checkDeadline(now)
  }

  /** The log is known to be out of reach: nothing is prepared at all. */
  private async refuse(request: CommitRequest, why: string): Promise<Outcome> {
    this.counters.aborted++
    const sessions = [...request.participants, ...request.readers].map((member) => member.session)
    await Promise.allSettled(sessions.map((session) => session.rollBack()))
    return { outcome: 'aborted', error: weftError('log_unavailable', { why }) }
  }
}
