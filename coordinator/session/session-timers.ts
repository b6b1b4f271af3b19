import { PgError } from '../../errors/pg-error.ts'
import type { Settings } from '../../protocol/agent-link.ts'
import { IDLE_SESSION_TIMEOUT, IDLE_TIMEOUT, type TimeLimits } from '../settings/time-limits.ts'

/** What the timers end. */
export interface TimedSession {
  currentSettings(): Settings
  /** Says why, hangs up, and rolls back on every shard. */
  fatal(error: PgError): void
  /** Cancels what runs on every shard; the client is told `error`. False: nothing runs on any right now. */
  timeOut(error: PgError): boolean
}

/** A statement may be between two of its steps when its time is up. */
const CANCEL_AGAIN_MS = 100
/** Node's timers take no more. */
const TIMER_MS_MAX = 0x7fff_ffff

/**
 * The time limits of Postgres that only who sees the whole session can keep: a shard does not know that the client is
 * busy with another, nor when the transaction began elsewhere. Without such settings each call costs a comparison.
 */
export class SessionTimers {
  readonly limits: TimeLimits
  private readonly session: TimedSession
  private known: Settings | undefined
  private idleMs = 0
  private idleSessionMs = 0
  private transactionMs = 0
  private statementMs = 0
  private idle: NodeJS.Timeout | undefined
  private transaction: NodeJS.Timeout | undefined
  private statement: NodeJS.Timeout | undefined

  constructor(session: TimedSession, limits: TimeLimits) {
    this.session = session
    this.limits = limits
  }

  /** Shards must not end idle parts of transactions by themselves. */
  get keepsIdle(): boolean {
    this.refresh()
    return this.idleMs > 0
  }

  private refresh(): void {
    const settings = this.session.currentSettings()
    if (settings === this.known) return
    this.known = settings
    this.idleMs = this.limits.ms(IDLE_TIMEOUT)
    this.idleSessionMs = this.limits.ms(IDLE_SESSION_TIMEOUT)
    this.transactionMs = this.limits.ms('transaction_timeout')
    this.statementMs = this.limits.ms('statement_timeout')
  }

  /** The client was told that its session, or its transaction block, waits for it. */
  waitsForClient(isInBlock: boolean): void {
    this.refresh()
    const ms = isInBlock ? this.idleMs : this.idleSessionMs
    if (ms === 0) return
    this.idle ??= timer(ms, () => this.session.fatal(isInBlock ? IDLE_TOO_LONG : IDLE_SESSION_TOO_LONG))
  }

  /** A message came. */
  heardClient(): void {
    if (this.idle === undefined) return
    clearTimeout(this.idle)
    this.idle = undefined
  }

  /** A transaction begins, or its settings changed: as in Postgres, one limit in place of another changes nothing. */
  inTransaction(): void {
    this.refresh()
    if (this.transactionMs === 0) return this.leftTransaction()
    this.transaction ??= timer(this.transactionMs, () => this.session.fatal(TRANSACTION_TOO_LONG))
  }

  /** It is over, or COMMIT has begun: that is not broken off. */
  leftTransaction(): void {
    if (this.transaction === undefined) return
    clearTimeout(this.transaction)
    this.transaction = undefined
  }

  /** Runs one statement of several steps, or of several shards, under statement_timeout. */
  async timed<T>(work: () => Promise<T>): Promise<T> {
    this.refresh()
    if (this.statementMs === 0 || this.statement !== undefined) return work()
    this.statement = timer(this.statementMs, () => this.cancel())
    try {
      return await work()
    } finally {
      clearTimeout(this.statement)
      this.statement = undefined
    }
  }

  /** One that its shard limits, but only from when it runs: it may have to wait before that. */
  waitsForShard(): void {
    this.refresh()
    if (this.statementMs > 0) this.statement ??= timer(this.statementMs, () => this.cancel())
  }

  shardAnswered(): void {
    if (this.statement === undefined) return
    clearTimeout(this.statement)
    this.statement = undefined
  }

  /** The running statement rolls back: that is not broken off. */
  rollsBack(): void {
    this.shardAnswered()
  }

  private cancel(): void {
    if (this.session.timeOut(STATEMENT_TOO_LONG)) return
    this.statement = timer(CANCEL_AGAIN_MS, () => this.cancel())
  }

  close(): void {
    this.heardClient()
    this.leftTransaction()
    clearTimeout(this.statement)
  }
}

function timer(ms: number, fire: () => void): NodeJS.Timeout {
  return setTimeout(fire, Math.min(ms, TIMER_MS_MAX))
}

/** Postgres ended the session, not only a statement of it. */
export function endsSession(error: PgError): boolean {
  if (error.severity !== 'FATAL') return false
  return error === TERMINATED || error.code === IDLE_TOO_LONG.code || error.code === '25P04'
}

/** The end of a connection to a shard is none of the client's: drivers close theirs on FATAL. */
export function survived(error: PgError): PgError {
  if (error.severity === 'ERROR') return error
  return new PgError({ ...error.fields, severity: 'ERROR' }, { cause: error })
}

/** By pg_terminate_backend(). */
export const TERMINATED = new PgError({
  severity: 'FATAL',
  code: '57P01',
  message: 'terminating connection due to administrator command',
})

const IDLE_TOO_LONG = new PgError({
  severity: 'FATAL',
  code: '25P03',
  message: 'terminating connection due to idle-in-transaction timeout',
})
const IDLE_SESSION_TOO_LONG = new PgError({
  severity: 'FATAL',
  code: '57P05',
  message: 'terminating connection due to idle-session timeout',
})
const TRANSACTION_TOO_LONG = new PgError({
  severity: 'FATAL',
  code: '25P04',
  message: 'terminating connection due to transaction timeout',
})
const STATEMENT_TOO_LONG = new PgError({
  code: '57014',
  message: 'canceling statement due to statement timeout',
})
