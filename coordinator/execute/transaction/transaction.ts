import { weftError } from '../../../errors/catalog.ts'
import type { PgError } from '../../../errors/pg-error.ts'
import { STATUS } from '../../../protocol/wire/frames.ts'
import type { Reach } from '../../../sql/code/overreach.ts'
import {
  areSameModes,
  type DefaultModes,
  type Isolation,
  isTransactionLong,
} from '../../settings/isolation.ts'
import { KEEP_WHILE_IDLE } from '../../settings/time-limits.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import type { MovedKeys } from './moved-keys.ts'

export type TransactionKind =
  /** No transaction: a single statement commits by itself on its shard. */
  | 'none'
  /** Weft opened it around one message (several statements, or one that writes on several shards). */
  | 'implicit'
  /** The client said BEGIN. */
  | 'explicit'

export interface TransactionModes {
  readonly isolation?: Isolation
  readonly readOnly?: boolean
  readonly deferrable?: boolean
}

const AWAY_AT_SNAPSHOT = 'it was away when the transaction took its snapshot of all shards'

interface Replayed {
  readonly sql: string
  /** Set for a SAVEPOINT. */
  readonly savepoint?: string
  readonly marks?: SavepointMarks
  /** The modes when it was set: ROLLBACK TO brings them back. */
  readonly modes?: TransactionModes
}

/** What there was when a savepoint was set. */
export interface SavepointMarks {
  /** Notifications that wait for the commit. */
  readonly notifications: number
  /** Portals made so far. */
  readonly portals: number
}

export function modesSql(modes: TransactionModes): string {
  const parts: string[] = []
  if (modes.isolation !== undefined) parts.push(`ISOLATION LEVEL ${modes.isolation.toUpperCase()}`)
  if (modes.readOnly !== undefined) parts.push(modes.readOnly ? 'READ ONLY' : 'READ WRITE')
  if (modes.deferrable !== undefined) parts.push(modes.deferrable ? 'DEFERRABLE' : 'NOT DEFERRABLE')
  return parts.join(', ')
}

/** Who keeps the time of a session's transactions. */
export interface TransactionClock {
  /** Shards must not end idle parts of transactions by themselves. */
  readonly keepsIdle: boolean
  inTransaction(): void
  leftTransaction(): void
}

/**
 * The session's running transaction: which shards take part, and what a shard that joins late must be told first.
 * A shard joins at its first statement: BEGIN, SET LOCALs and SAVEPOINTs travel ahead of that statement.
 */
export class Transaction {
  kind: TransactionKind = 'none'
  /** An error happened: only ROLLBACK (TO) is accepted until the end. */
  failed = false
  modes: TransactionModes = {}
  readonly joined: ShardLine[] = []
  /** A statement of it can alter plans: the map version rises with the commit. */
  mapChanged = false
  /** It changes what sessions of some role or database begin with. */
  defaultsChanged = false
  /** The catalog as this transaction sees it must be loaded again before the next plan. */
  catalogDirty = false
  hasTicket = false
  /** It is open on every shard, with one snapshot. */
  hasSnapshot = false
  /** It is being opened so. */
  takesSnapshot = false
  /** A shard that took part is gone, and with it the work done there: nothing but ROLLBACK can follow. */
  lost = false
  /** It ran SET on the backends it has joined: their settings are unknown afterwards. */
  tainted = false
  /** Rows of it have gone to other shards: who waits for one where it was finds none there. */
  movesRows = false
  movedKeys: MovedKeys | undefined
  /** Of a statement by itself that asked for no snapshot throughout, and has one: it knows nothing of 40001. */
  givenSnapshot = false
  /** Of a statement by itself: opens it anew with a snapshot, until the statement has begun to do without one. */
  undecided: (() => Promise<void>) | undefined
  /** What the statement under way means is locked, and told by its keys: it needs no snapshot. */
  holdsRows = false
  /** It changed a parameter of which clients are told: how its statements end may change it again. */
  setReported = false
  /** Triggers of its statements may fire at its end, and reach this. */
  deferred: Reach | undefined
  /** It changed the schema, perhaps only of local tables. */
  ranDdl = false
  /** It commits on these shards by two-phase commit. */
  committing: readonly ShardLine[] = NO_LINES
  /** It was chosen to break a deadlock while it committed. */
  victim: PgError | undefined
  /** While it is open: what can be used in transaction blocks only may be used in it. */
  isBlock = false
  /** It waits for a safe snapshot itself: the shards are not to. */
  waitsItself = false
  /** Differs from `modes` when those were changed behind a savepoint. */
  private modesAtBegin: TransactionModes | undefined
  private replay: Replayed[] = []
  /** What the replay takes, about. */
  replayBytes = 0
  private readonly clock: TransactionClock
  private readonly defaults: { readonly current: DefaultModes }
  private begunWith: DefaultModes = { isolation: 'read committed', readOnly: false, deferrable: false }
  private readonly times: { readonly messageUs: number }
  /** The time that is `now()` on every shard, microseconds. */
  begunUs = 0

  constructor(
    clock: TransactionClock,
    defaults: { readonly current: DefaultModes },
    times: { readonly messageUs: number },
  ) {
    this.clock = clock
    this.defaults = defaults
    this.times = times
  }

  /** What it has; without one open, what the next one has. */
  get isolation(): Isolation {
    if (!this.isOpen) return this.defaults.current.isolation
    return this.modes.isolation ?? this.begunWith.isolation
  }

  /** What AND CHAIN hands on: also what was the default when it began. */
  get chained(): TransactionModes {
    return { ...this.begunWith, ...this.modes }
  }

  get isOpen(): boolean {
    return this.kind !== 'none'
  }

  /** Whether any statement ran yet: SET TRANSACTION ISOLATION LEVEL must come before. */
  get hasRun(): boolean {
    return this.joined.length > 0
  }

  /** `isBlock`: several statements of one Query are one, too. */
  begin(
    kind: 'implicit' | 'explicit',
    modes: TransactionModes = {},
    isBlock: boolean = kind === 'explicit',
  ): void {
    this.kind = kind
    this.isBlock = isBlock
    this.modes = modes
    this.begunWith = this.defaults.current
    this.begunUs = this.times.messageUs
    this.clock.inTransaction()
  }

  /** From here on it is not broken off for lasting too long. */
  beginsToEnd(): void {
    this.clock.leftTransaction()
  }

  /** An implicit transaction that meets BEGIN becomes a block; what ran before stays part of it, as in Postgres. */
  becomeExplicit(modes: TransactionModes): void {
    this.kind = 'explicit'
    this.isBlock = true
    this.modes = { ...this.modes, ...modes }
  }

  /** Fills the line's request so that the shard joins with it; no effect outside a transaction. */
  enter(line: ShardLine, writes: boolean): void {
    if (this.kind === 'none') {
      line.request.begin = undefined
      return
    }
    if (writes) line.wrote = true
    line.touched = true
    if (line.joined) {
      line.request.begin = undefined
      return
    }
    if (!this.takesSnapshot) this.refuseTornSnapshot(line.shard)
    const begun = this.modesOfBegin()
    const modes = modesSql(this.waitsItself ? { ...begun, deferrable: false } : begun)
    const keep = this.clock.keepsIdle ? [KEEP_WHILE_IDLE] : NOTHING
    const begin = modes === '' ? BEGIN : [`BEGIN ${modes}`]
    const isPlain = this.replay.length === 0 && keep.length === 0
    line.request.begin = isPlain ? begin : [...begin, ...keep, ...this.replay.map((r) => r.sql)]
    line.joined = true
    this.joined.push(line)
  }

  /** What is the default by now counts for the next transaction. */
  private modesOfBegin(): TransactionModes {
    const said = this.modesAtBegin ?? this.modes
    return areSameModes(this.begunWith, this.defaults.current) ? said : { ...this.begunWith, ...said }
  }

  /** It is as if the shard had never joined: it will, with its snapshot. */
  forget(line: ShardLine): void {
    line.joined = false
    line.wrote = false
    line.touched = false
    const at = this.joined.indexOf(line)
    if (at >= 0) this.joined.splice(at, 1)
  }

  /** The shard turned out not to be in the transaction (its BEGIN failed, or its backend is gone). */
  leave(line: ShardLine): void {
    this.lost = true
    this.forget(line)
  }

  /** A statement that came before the snapshot has fixed one on its shard alone; what others would see is another. */
  private refuseTornSnapshot(shard: number): void {
    const { isolation } = this
    if (this.joined.length === 0 || !isTransactionLong(isolation)) return
    if (this.hasSnapshot) throw weftError('shard_unreachable', { shard, why: AWAY_AT_SNAPSHOT })
    throw weftError('not_supported', {
      id: 'isolation_level',
      what: `${isolation.toUpperCase()} for a transaction that began on one shard (shard ${shard} would be the second)`,
      hint: 'Begin the transaction with its isolation level, or use READ COMMITTED.',
    })
  }

  addReplay(sql: string): void {
    this.keep({ sql })
  }

  /** Shards that join from now on are not told. */
  dropReplay(sql: string): void {
    this.setReplay(this.replay.filter((replayed) => replayed.sql !== sql))
  }

  savepoint(sql: string, savepoint: string, marks: SavepointMarks): void {
    this.keep({ sql, savepoint, marks, modes: this.modes })
  }

  private keep(replayed: Replayed): void {
    this.replay.push(replayed)
    this.replayBytes += replayBytesOf(replayed)
  }

  private setReplay(replay: Replayed[]): void {
    this.replay = replay
    this.replayBytes = replay.reduce((bytes, replayed) => bytes + replayBytesOf(replayed), 0)
  }

  get hasSavepoints(): boolean {
    return this.replay.some((r) => r.savepoint !== undefined)
  }

  /** Whether it was read-only where the innermost savepoint was set. */
  get isReadOnlyOutside(): boolean {
    return this.replay.findLast((r) => r.savepoint !== undefined)?.modes?.readOnly === true
  }

  /** SET TRANSACTION: behind a savepoint it is taken back with it, on shards that join later too. */
  setModes(modes: TransactionModes, sql: string): void {
    const isWithin = this.hasSavepoints
    if (isWithin) this.modesAtBegin ??= this.modes
    this.modes = { ...this.modes, ...modes }
    if (isWithin) this.addReplay(sql)
  }

  /** Its shards that have not failed with it, when nothing can bring it back: they only keep others waiting. */
  doomed(): readonly ShardLine[] {
    if (!this.failed || this.kind !== 'explicit' || this.replay.some((r) => r.savepoint !== undefined)) {
      return NO_LINES
    }
    this.clock.leftTransaction()
    return this.joined.filter(
      (line) => !line.active && line.status === STATUS.inTransaction && line.session.holdsBackend,
    )
  }

  hasSavepoint(name: string): boolean {
    return this.replay.some((r) => r.savepoint === name)
  }

  /** RELEASE: the savepoint and those set after it are gone, what ran since stays. */
  release(name: string): void {
    const at = this.replay.findLastIndex((r) => r.savepoint === name)
    this.setReplay(this.replay.filter((r, i) => i < at || r.savepoint === undefined))
  }

  /** ROLLBACK TO: the savepoint stays, everything after it is gone. */
  rollbackTo(name: string): SavepointMarks {
    const at = this.replay.findLastIndex((r) => r.savepoint === name)
    const { marks = NO_MARKS, modes = this.modes } = this.replay[at] ?? {}
    this.modes = modes
    this.setReplay(this.replay.slice(0, at + 1))
    this.failed = false
    return marks
  }

  /** 0 unless something runs on two shards or more; else a number that changes with what runs. */
  spanningWork(): number {
    if (this.joined.length < 2) return 0
    let isRunning = this.committing.length > 0
    let execs = this.committing.length
    for (const line of this.joined) {
      isRunning ||= line.active
      execs += line.execs
    }
    return isRunning ? execs : 0
  }

  /** Cancels what runs: `error` is the client's answer. */
  endAsVictim(error: PgError): void {
    if (this.endCommitAsVictim(error)) return
    for (const line of this.joined) line.endAsVictim(error)
  }

  /** False: it does not commit over shards right now. */
  endCommitAsVictim(error: PgError): boolean {
    if (this.committing.length === 0) return false
    this.victim = error
    this.cancelCommit()
    return true
  }

  /** Aborts it as long as a shard still prepares; without effect after that. */
  cancelCommit(): void {
    for (const line of this.committing) line.session.cancel()
  }

  /** Back to no transaction. The lines' backends have been committed or rolled back by then. */
  end(): void {
    this.clock.leftTransaction()
    for (const line of this.joined) {
      line.joined = false
      line.wrote = false
      line.touched = false
    }
    this.hasSnapshot = false
    this.joined.length = 0
    this.kind = 'none'
    this.failed = false
    this.lost = false
    this.modes = {}
    this.waitsItself = false
    this.modesAtBegin = undefined
    this.mapChanged = false
    this.defaultsChanged = false
    this.catalogDirty = false
    this.tainted = false
    this.movesRows = false
    this.givenSnapshot = false
    this.undecided = undefined
    this.movedKeys?.release()
    this.movedKeys = undefined
    this.setReported = false
    this.ranDdl = false
    this.deferred = undefined
    this.committing = NO_LINES
    this.victim = undefined
    if (this.replay.length > 0) this.setReplay([])
  }
}

const NO_MARKS: SavepointMarks = { notifications: 0, portals: 0 }
const REPLAYED_BYTES = 128

function replayBytesOf({ sql }: Replayed): number {
  return REPLAYED_BYTES + sql.length
}

const BEGIN: readonly string[] = ['BEGIN']
const NOTHING: readonly string[] = []
const NO_LINES: readonly ShardLine[] = []
