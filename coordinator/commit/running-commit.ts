import { weftError } from '../../errors/catalog.ts'
import { assertNever, invariant, PgError } from '../../errors/pg-error.ts'
import type { AgentSession, PrepareOptions, PrepareReply, Timestamp } from '../../protocol/agent-link.ts'
import {
  applyFailure,
  type CommitEffect,
  type CommitEvent,
  type CommitState,
  type Outcome,
  prepareIsLost,
  startCommit,
  stepCommit,
} from '../../txn/commit-machine.ts'
import type { FailpointName } from '../../txn/failpoints.ts'
import {
  type CreateResult,
  type CreateWithin,
  type DecisionRecord,
  LogUnavailableError,
  WITHIN_FAILED,
} from '../../txn/log/txn-log.ts'
import type { CommitDriver, CommitParticipant, CommitReader, CommitRequest } from './commit.ts'

const againAfterMs = 25
const askAgainMsMax = 500

type EffectOf<Kind extends CommitEffect['kind']> = Extract<CommitEffect, { kind: Kind }>

function decides({ kind }: CommitEffect): boolean {
  return kind === 'write-decision' || kind === 'commit-last'
}

/** The probe is of no use where it was not there before the commit: SERIALIZABLE goes by PREPARE everywhere. */
function isLast({ participants, probe, mayBeLast }: CommitRequest, shard: number): boolean {
  if (probe === true || participants.length < 2 || mayBeLast !== true) return false
  return participants.some((member) => member.shard === shard)
}

/** After an abort was created it is what is there, as if it had been before. */
function whatIsThere(record: DecisionRecord): (result: CreateResult) => CreateResult {
  return (result) => (result.kind === 'created' ? { kind: 'exists', record } : result)
}

/** Of the last participant's commit. */
function lastFailure(error: unknown): CommitEvent {
  if (!(error instanceof PgError) || prepareIsLost(error.code))
    return { kind: 'log-unknown', why: String(error) }
  const tombstone = error.code === WITHIN_FAILED.exists
  if (!tombstone && error.code !== WITHIN_FAILED.fenced) return { kind: 'last-refused', error, tombstone }
  const why = tombstone
    ? 'recovery found it prepared and undecided for too long'
    : 'its coordinator was cut off from the log meanwhile'
  return { kind: 'last-refused', error: weftError('aborted_by_recovery', { why }), tombstone }
}

/** Drives one transaction through the commit machine: turns its effects into calls and their answers into events. */
export class RunningCommit {
  /** Rises from commit to commit of the driver. */
  readonly number: number
  startedMs = 0
  private readonly driver: CommitDriver
  private readonly request: CommitRequest
  readonly txnId: string
  private readonly answer: (outcome: Outcome) => void
  /** The log, when the record is to be a part of one participant's transaction; that one's xid. */
  private readonly within: CreateWithin | undefined
  private lastXid = ''
  private state: CommitState
  private firstEffects: readonly CommitEffect[]
  private deadlineMs = 0
  private phaseSinceMs = 0

  constructor(
    driver: CommitDriver,
    request: CommitRequest,
    txnId: string,
    number: number,
    answer: (outcome: Outcome) => void,
  ) {
    this.driver = driver
    this.request = request
    this.txnId = txnId
    this.number = number
    this.answer = answer
    const shardOf = (member: CommitParticipant): number => member.shard
    const participants = request.participants.map(shardOf)
    const { within } = driver.log
    if (within !== undefined && isLast(request, within.shard)) this.within = within
    const step = startCommit(txnId, participants, request.readers.map(shardOf), this.within?.shard)
    this.state = step.state
    this.firstEffects = step.effects
  }

  start(): void {
    this.setDeadline()
    this.startedMs = this.phaseSinceMs
    this.perform(this.firstEffects)
    this.firstEffects = []
  }

  checkDeadline(nowMs: number): void {
    if (nowMs < this.deadlineMs) return
    this.deadlineMs = Number.POSITIVE_INFINITY
    this.on({ kind: 'deadline' })
  }

  /** A decision that was asked for may be written, and nobody knows. */
  get mayDecideLate(): boolean {
    return this.state.fateUnknown
  }

  // For cuts

  /** If it commits then with a timestamp above `ts`, which is `decideAbove` or less. */
  isAbove(ts: Timestamp): boolean {
    const { phase, commitTs } = this.state
    if (phase === 'aborting' || phase === 'done') return false
    return phase === 'preparing' || commitTs > ts
  }

  /** It may be decided, but no shard was told. */
  get isUntold(): boolean {
    return this.state.phase === 'deciding' && this.within === undefined
  }

  takesPart(shard: number): boolean {
    return this.state.members.some((member) => member.shard === shard)
  }

  /** It takes effect on none but these. */
  isWithin(shards: readonly number[]): boolean {
    return this.state.members.every(({ shard, status }) => status !== 'prepared' || shards.includes(shard))
  }

  get shards(): readonly number[] {
    return this.state.members.map((member) => member.shard)
  }

  isPreparedOn(shard: number): boolean {
    return this.state.members.some((member) => member.shard === shard && member.status === 'prepared')
  }

  gid(shard: number): string {
    return this.driver.gid(this.txnId, shard)
  }

  /** It commits above this. */
  private get above(): Timestamp {
    const { seen } = this.request
    const { decideAbove } = this.driver
    if (seen === undefined || seen < decideAbove) return decideAbove
    return seen
  }

  private on(event: CommitEvent): void {
    const { phase } = this.state
    const step = stepCommit(this.state, event, this.above)
    this.state = step.state
    if (step.state.phase !== phase) this.enterPhase(phase)
    if (step.effects.length > 0) this.perform(step.effects)
  }

  private enterPhase(last: CommitState['phase']): void {
    const sinceMs = this.phaseSinceMs
    this.setDeadline()
    const tookMs = this.phaseSinceMs - sinceMs
    this.driver.events.emit('commitPhase', { txnId: this.txnId, phase: last, tookMs })
    this.request.phaseEnded?.(last, tookMs, this.txnId)
    if (this.state.phase === 'deciding') this.request.allPrepared?.()
  }

  private setDeadline(): void {
    this.phaseSinceMs = this.driver.monoMs()
    this.deadlineMs = this.phaseSinceMs + this.timeoutMs()
  }

  private timeoutMs(): number {
    const { limits } = this.driver
    switch (this.state.phase) {
      case 'preparing':
        return limits.prepareTimeoutMs
      case 'deciding':
        return limits.decideTimeoutMs
      case 'committing':
      case 'aborting':
        return limits.applyTimeoutMs
      case 'done':
        return Number.POSITIVE_INFINITY
      default:
        return assertNever(this.state.phase)
    }
  }

  private perform(effects: readonly CommitEffect[]): void {
    if (this.driver.failpoints.armed) {
      this.driver.halfDone++
      void this.performWithFailpoints(effects).finally(() => this.driver.halfDone--)
      return
    }
    for (const effect of effects) this.act(effect)
  }

  /** One effect after the other, each behind its failpoint: only in tests. */
  private async performWithFailpoints(effects: readonly CommitEffect[]): Promise<void> {
    const hit = (name: FailpointName): Promise<void> => this.driver.failpoints.hit(name)
    for (const [i, effect] of effects.entries()) {
      try {
        if (effect.kind === 'prepare') await hit(i === 0 ? 'before-prepare' : 'during-prepare')
        if (decides(effect)) await hit('after-prepare')
        if (effect.kind === 'commit-prepared') await hit(i === 0 ? 'after-decision' : 'between-commits')
        if (effect.kind === 'answer') await hit('before-conclude')
      } catch {
        this.failed(effect)
        continue
      }
      const done = this.act(effect)
      if (decides(effect)) await hit('during-decision').catch(() => {})
      else await done
    }
  }

  /** A failpoint of kind `error`: as if the connection had broken. */
  private failed(effect: CommitEffect): void {
    if (effect.kind === 'prepare') this.onPrepareError(effect.shard, new Error('failpoint'))
    else if (decides(effect)) this.on({ kind: 'log-unknown', why: 'failpoint' })
    else if (effect.kind === 'commit-prepared')
      this.on({ kind: 'apply-failed', shard: effect.shard, how: 'unreachable' })
    else void this.act(effect)
  }

  /** The promise, if any, never rejects, and settles after the event that it led to. */
  private act(effect: CommitEffect): Promise<void> | undefined {
    switch (effect.kind) {
      case 'prepare':
        return this.prepare(effect.shard)
      case 'release':
        return this.release(effect.shard)
      case 'commit-last':
        return this.commitLast(effect)
      case 'settle-last':
        return this.settleLast(effect.attempt)
      case 'cancel-prepare':
        this.session(effect.shard).cancel()
        return undefined
      case 'rollback':
        return this.rollback(effect.shard)
      case 'write-decision':
        return this.writeDecision(effect.commitTs, effect.participants, effect.attempt)
      case 'commit-prepared':
      case 'rollback-prepared':
        return this.apply(effect)
      case 'answer':
        this.driver.ended(this, effect.answer)
        this.answer(effect.answer)
        return undefined
      case 'drop':
        void this.driver.log.drop([this.txnId]).catch(() => {})
        return undefined
      case 'left':
        this.driver.counters.leftToRecovery++
        this.driver.events.emit('leftToRecovery', { txnId: this.txnId, shards: effect.shards })
        return undefined
      case 'confirm':
        for (const shard of effect.shards) void this.driver.log.confirm(this.txnId, shard).catch(() => {})
        return undefined
      default:
        return assertNever(effect)
    }
  }

  private prepare(shard: number): Promise<void> {
    return this.session(shard)
      .prepare(this.gid(shard), this.prepareOptions(shard))
      .then(
        (reply) => {
          if (reply.xid !== undefined) this.lastXid = reply.xid
          this.onPrepared(shard, reply)
        },
        (error: unknown) => this.onPrepareError(shard, error),
      )
  }

  private prepareOptions(shard: number): PrepareOptions {
    const { probe = false, moves = false } = this.request
    if (this.within === undefined) return { probe, moves }
    return this.within.shard === shard ? { last: true, moves } : { follows: true, moves }
  }

  private rollback(shard: number): Promise<void> {
    const session = this.session(shard)
    const rollBack = (): Promise<void> => session.rollBack().catch(() => {})
    if (shard === this.within?.shard) return session.rollbackPrepared(this.gid(shard)).catch(rollBack)
    return rollBack()
  }

  private onPrepared(shard: number, { prepareTs, xid }: PrepareReply): void {
    try {
      this.driver.clock.observe(prepareTs)
    } catch (error) {
      if (!(error instanceof PgError)) throw error
      // Its clock is not to be believed: no decision may rest on it.
      this.on({ kind: 'give-up', error })
    }
    const notLast = xid === undefined && shard === this.within?.shard
    this.on({ kind: 'prepared', shard, prepareTs, notLast })
  }

  private onPrepareError(shard: number, error: unknown): void {
    if (error instanceof PgError) {
      this.on({ kind: prepareIsLost(error.code) ? 'prepare-lost' : 'prepare-failed', shard, error })
      return
    }
    const why = error instanceof Error ? error.message : String(error)
    this.on({ kind: 'prepare-lost', shard, error: weftError('prepare_refused', { shard, why }) })
  }

  private release(shard: number): Promise<void> {
    return this.reader(shard)
      .release()
      .then(
        (wrote) => this.on({ kind: wrote ? 'reader-wrote' : 'released', shard }),
        (error: unknown) => {
          const why = error instanceof Error ? error.message : String(error)
          const told = error instanceof PgError ? error : weftError('prepare_refused', { shard, why })
          this.on({ kind: 'release-failed', shard, error: told })
        },
      )
  }

  private writeDecision(
    commitTs: Timestamp,
    participants: readonly number[],
    attempt: number,
  ): Promise<void> {
    const record = this.commitRecord(commitTs, participants, attempt)
    if (attempt === 1) return this.onLogAnswer(this.driver.log.create(record))
    return this.askAgain(attempt, () => this.driver.log.create(record))
  }

  private commitRecord(
    commitTs: Timestamp,
    participants: readonly number[],
    attempt: number,
  ): DecisionRecord {
    const { txnId } = this
    return {
      version: 1,
      txnId,
      decision: 'commit',
      commitTs,
      participants,
      writer: `${txnId}#${attempt}`,
    }
  }

  private askAgain(attempt: number, ask: () => Promise<CreateResult>): Promise<void> {
    this.driver.counters.askedAgain++
    this.driver.events.emit('decisionAskedAgain', { txnId: this.txnId, attempt })
    const delayMs = Math.min(askAgainMsMax, againAfterMs * 2 ** Math.min(attempt, 10))
    return this.driver.timers.after(delayMs).then(() => {
      if (this.state.phase !== 'deciding') return
      return this.onLogAnswer(ask())
    })
  }

  private commitLast({ shard, commitTs, participants }: EffectOf<'commit-last'>): Promise<void> {
    const record = this.commitRecord(commitTs, participants, 1)
    for (const each of participants) this.session(each).timestampFixed(this.gid(each), commitTs)
    return this.session(shard)
      .commitLast(this.gid(shard), commitTs, this.within!.sql(record, this.lastXid))
      .then(
        () => this.on({ kind: 'log-created' }),
        (error: unknown) => this.on(lastFailure(error)),
      )
  }

  private settleLast(attempt: number): Promise<void> {
    const { txnId } = this
    const writer = `${txnId}#${attempt}`
    const record = { version: 1, txnId, decision: 'abort', commitTs: 0n, participants: [], writer } as const
    return this.askAgain(attempt, () => this.driver.log.create(record).then(whatIsThere(record)))
  }

  private onLogAnswer(answer: Promise<CreateResult>): Promise<void> {
    return answer.then(
      (result) => {
        if (result.kind === 'created') this.on({ kind: 'log-created' })
        else if (result.kind === 'fenced') this.on({ kind: 'log-fenced' })
        else
          this.on({ kind: 'log-exists', decision: result.record.decision, commitTs: result.record.commitTs })
      },
      (error: unknown) => {
        const why = error instanceof Error ? error.message : String(error)
        // Whatever is not known to have done nothing may have decided.
        const kind = error instanceof LogUnavailableError ? 'log-unavailable' : 'log-unknown'
        this.on({ kind, why })
      },
    )
  }

  private apply(effect: EffectOf<'commit-prepared' | 'rollback-prepared'>): Promise<void> {
    if (effect.again) {
      const retry = { ...effect, again: false }
      return this.driver.timers.after(againAfterMs).then(() => this.apply(retry))
    }
    const { shard } = effect
    const session = this.session(shard)
    const gid = this.gid(shard)
    const done =
      effect.kind === 'commit-prepared'
        ? session.commitPrepared(gid, effect.commitTs)
        : session.rollbackPrepared(gid)
    return done.then(
      () => this.on({ kind: 'applied', shard }),
      (error: unknown) => {
        const how = error instanceof PgError ? applyFailure(error.code) : 'again'
        this.on({ kind: 'apply-failed', shard, how })
      },
    )
  }

  private session(shard: number): AgentSession {
    const { participants, readers } = this.request
    const member = participants.find((m) => m.shard === shard) ?? readers.find((m) => m.shard === shard)
    invariant(member !== undefined, `no session for shard ${shard}`)
    return member.session
  }

  private reader(shard: number): CommitReader {
    const reader = this.request.readers.find((m) => m.shard === shard)
    invariant(reader !== undefined, `shard ${shard} was not read`)
    return reader
  }
}
