/**
 * The one exec that runs on a backend: writes it, and sorts its replies. Those to what was sent ahead of the payload
 * (`begin`, missing prepared statements) are left out, those to the payload are handed to the sink as they come.
 */
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { ExecRequest, ReplySink } from '../../protocol/agent-link.ts'
import { MSG, STATUS } from '../../protocol/wire/frames.ts'
import { close, copyFail, FLUSH, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { BEGUN_CODE } from '../../sql/plan/begun-text.ts'
import { BEGIN_REPLIES, beginMessages, isSimpleQuery } from './assemble.ts'
import type { Channel } from './channel.ts'
import { CopyStream } from './copy-stream.ts'
import { CutExec } from './cut-exec.ts'
import { errorCode, isOutdatedPlan } from './error-scan.ts'
import {
  AHEAD_TABLE,
  DROP_TABLE,
  isAside,
  PAYLOAD_TABLES,
  SPLIT_MASK,
  SWALLOW_ALL,
  SWALLOW_BIND,
} from './exec-tables.ts'
import { extraAhead } from './extra-ahead.ts'
import type { KeptPlans } from './kept-plans.ts'
import type { Kept, ReplyScanner } from './reply-scanner.ts'
import { ReplyStash } from './reply-stash.ts'
import { rewordedError, type SessionOf } from './reworded-error.ts'
import { sequenceError } from './sequence-error.ts'
import type { Drawer, SequenceSeat } from './sequence-seat.ts'
import { SplitWrite } from './split-write.ts'
import type { KnownStatements } from './statements.ts'

/** Payloads up to this size are joined with what goes ahead of them; larger ones are written as they are. */
const JOIN_BYTES_MAX = 32 * 1024
/** A COPY message cut off by its own failure is padded up to this; a larger rest costs the connection. */
const COPY_PADDING_BYTES_MAX = 4 * 1024 * 1024

/** Cached plan must not change result type; no such prepared statement; there is one of that name. */
const OUTDATED_CODES: ReadonlySet<string> = new Set(['0A000', '26000', '42P05'])

/** What an exec uses of its backend. */
export interface ExecHost {
  readonly channel: Channel
  readonly scanner: ReplyScanner
  readonly known: KnownStatements
  readonly plans: KeptPlans
  readonly seat: SequenceSeat
  /** Of the last ReadyForQuery. */
  readonly status: number
  /** A split write is complete: send its Sync under the gate. */
  syncDue(): void
  destroy(why: string): void
}

/** Whose exec it is, as far as the exec cares. */
export interface ExecOwner extends Drawer {
  readonly sink: ReplySink
  /** Set while the statement is being cancelled because its shard map is out of date. */
  readonly staleError: PgError | undefined
  /** An exec with `cut` is ready for it. */
  readyForCut(): void
  /** The schema has changed: what backends keep prepared is of no use any more. */
  schemaChanged(): void
}

export class ExecRun {
  private readonly host: ExecHost
  private readonly sessionOf: SessionOf
  private owner!: ExecOwner
  private request!: ExecRequest
  /** Replies to what was sent ahead of the payload that are still due. */
  private aheadLeft = 0
  /** Of these, how many come after those to `missing`. */
  private aheadAfterMissing = 0
  private missing: readonly string[] = []
  /** Statements that go ahead of it, after `begin`. */
  private extra: readonly string[] | undefined
  private hasForwarded = false
  private readonly stash = new ReplyStash()
  /** The error that ended it was our cancel: it is left out, the owner's stale error takes its place. */
  private isStale = false
  /** The error of an outdated plan, as long as nothing was shown: the exec is run again, with a new one. */
  private outdated: Buffer | undefined
  private split: SplitWrite | undefined
  /** The server waits for COPY data. */
  private isCopyIn = false
  /** A COPY has failed, and the client need not know yet: what it sends is for nobody. */
  private dropsCopy = false
  /** False until the Sync that commits a split write is sent: if the backend dies before, nothing is committed. */
  mayHaveCommitted = true
  /** Replies to the payload that are left out. */
  private swallow = 0
  /** Until it runs: what waits for a cut. */
  private cut: CutExec | undefined
  /** To be told once that it has begun; it answers whether its snapshot counts. */
  private begun: (() => boolean) | undefined
  /** It does not. */
  private hasLapsed = false
  /** Why it is to be ended without having run, as soon as it is parked, and why it was. */
  private withdrawal: PgError | undefined
  withdrawn: PgError | undefined
  private readonly copy = new CopyStream()
  private waitsForDrain = false

  constructor(host: ExecHost, sessionOf: SessionOf) {
    this.host = host
    this.sessionOf = sessionOf
  }

  /** `split`: keep the Sync back until all statements have run. */
  start(owner: ExecOwner, request: ExecRequest, split: boolean): void {
    this.owner = owner
    this.request = request
    this.hasForwarded = false
    this.isStale = false
    this.hasLapsed = false
    this.withdrawal = undefined
    this.withdrawn = undefined
    this.outdated = undefined
    this.split = undefined
    this.mayHaveCommitted = true
    this.isCopyIn = false
    this.dropsCopy = false
    this.swallow = request.swallow
    if (request.cut !== undefined) return this.startForCut(request)
    const { begin, needs, payload } = request
    this.extra = extraAhead(this.host, this.owner, request)
    if (
      this.extra === undefined &&
      (begin === undefined || begin.length === 0) &&
      (needs === undefined || this.knowsAll(needs)) &&
      !split
    ) {
      this.host.scanner.table = PAYLOAD_TABLES[request.swallow]!
      this.host.channel.write(payload)
      return
    }
    const parts = this.messagesAhead(request)
    if (split) this.splitPayload(payload, parts)
    else parts.push(payload)
    if (this.aheadLeft > 0) this.host.scanner.table = AHEAD_TABLE
    else this.payloadReplies()
    if (payload.length <= JOIN_BYTES_MAX) this.host.channel.write(Buffer.concat(parts))
    else this.host.channel.writeAll(parts)
  }

  private startForCut(request: ExecRequest): void {
    this.cut = new CutExec(request)
    this.extra = extraAhead(this.host, this.owner, request)
    const parts = this.messagesAhead(request)
    const last = this.cut.ahead(this.missing.length > 0)
    parts.push(...last)
    this.aheadLeft += last.length
    this.aheadAfterMissing = last.length
    this.host.scanner.table = AHEAD_TABLE
    parts.push(FLUSH)
    this.host.channel.write(Buffer.concat(parts))
  }

  /** It has its part in a cut, and has not begun. */
  get isInCut(): boolean {
    return this.begun !== undefined || this.cut?.isBound === true
  }

  /** Waits for a cut, and nothing of it is under way. */
  get isParked(): boolean {
    return this.cut !== undefined && this.aheadLeft === 0 && !this.cut.isTaking
  }

  takeSnapshot(done: () => void): void {
    if (this.cut === undefined || this.aheadLeft > 0) return done()
    const messages = this.cut.snapshotMessages(done)
    if (messages !== undefined) this.host.channel.write(messages)
  }

  /** `begun`: see `CutStatement` in gate.ts. */
  goOn(begun: (() => boolean) | undefined): void {
    const { cut } = this
    if (cut === undefined || !cut.isBound || this.withdrawal !== undefined) return void begun?.()
    this.cut = undefined
    this.begun = begun
    this.swallow = this.request.swallow | SWALLOW_BIND
    this.payloadReplies()
    this.host.channel.write(cut.runMessages)
  }

  get waitsForCut(): boolean {
    return this.cut !== undefined
  }

  /** Ends an exec before its cut, once it is parked; the owner hears of `error`, and that nothing ran. */
  withdraw(error: PgError): void {
    this.withdrawal = error
    this.withdrawIfParked()
  }

  private withdrawIfParked(): boolean {
    if (this.withdrawal === undefined || !this.isParked) return false
    const { undoMessages } = this.cut!
    this.withdrawn = this.withdrawal
    this.endCut()
    this.host.scanner.table = DROP_TABLE
    this.host.channel.write(undoMessages)
    return true
  }

  /** Its backend is gone, or its reply complete. */
  endCut(): void {
    const { cut } = this
    this.cut = undefined
    cut?.end()
    this.hasBegun()
  }

  private hasBegun(): void {
    const { begun } = this
    this.begun = undefined
    if (begun !== undefined && !begun()) this.hasLapsed = true
  }

  private splitPayload(payload: Buffer, parts: Buffer[]): void {
    const split = new SplitWrite(payload)
    this.split = split
    if (split.isConverted) this.swallow = SWALLOW_ALL
    this.copy.ignoresSync = split.isConverted
    this.mayHaveCommitted = false
    parts.push(...split.messages)
  }

  /** Of a split write, under the gate. */
  sendSync(): void {
    this.mayHaveCommitted = true
    this.host.channel.write(SYNC)
  }

  private knowsAll(needs: NonNullable<ExecRequest['needs']>): boolean {
    let all = true
    for (const statement of needs) if (!this.host.known.use(statement.name)) all = false
    return all
  }

  private messagesAhead(request: ExecRequest): Buffer[] {
    const { known } = this.host
    const parts: Buffer[] = []
    const begin = this.extra === undefined ? (request.begin ?? []) : [...(request.begin ?? []), ...this.extra]
    for (const sql of begin) parts.push(beginMessages(sql))
    const missing = new Map<string, Buffer>()
    for (const { name, parse } of request.needs ?? []) if (!known.use(name)) missing.set(name, parse)
    const needed = (request.needs?.length ?? 0) - missing.size
    const closing = missing.size === 0 ? [] : known.evict(missing.size, needed)
    for (const name of missing.keys()) if (known.isOutdated(name)) closing.push(name)
    for (const name of closing) parts.push(close('S', name))
    parts.push(...missing.values())
    this.missing = [...missing.keys()]
    this.aheadAfterMissing = 0
    this.aheadLeft = begin.length * BEGIN_REPLIES + closing.length + missing.size
    return parts
  }

  /** False: wait for the sink's `drained`. */
  copyData(bytes: Buffer): boolean {
    if (this.dropsCopy) return true
    const { copy, split } = this
    const given = copy.push(bytes)
    const sendable = split === undefined ? given : split.copyData(given, copy)
    if (sendable === given) this.mayHaveCommitted ||= copy.syncAt >= 0
    const room = sendable.length === 0 || this.host.channel.write(sendable)
    this.waitsForDrain ||= !room
    return room
  }

  /** Ends a COPY whose client has gone: a server that waits for its data does not look at cancel requests. */
  abortCopy(): void {
    if (!this.isCopyIn || this.copy.sawEnd) return
    this.copy.sawEnd = true
    this.padCopy()
    const { channel } = this.host
    channel.write(copyFail('the client has gone'))
    if (!isSimpleQuery(this.request.payload)) channel.write(SYNC)
  }

  /** Completes a message of which only a part was sent; the server is about to throw it away. */
  private padCopy(): void {
    const { left } = this.copy
    if (left > COPY_PADDING_BYTES_MAX) this.host.destroy('COPY ended inside a large message')
    else if (left > 0) this.host.channel.write(Buffer.alloc(left))
    this.copy.left = 0
  }

  drained(): void {
    if (!this.waitsForDrain) return
    this.waitsForDrain = false
    this.owner.sink.drained()
  }

  forward(chunk: Buffer): void {
    if (this.owner.staleError !== undefined && !this.hasForwarded) {
      this.stash.push(chunk)
      if (this.stash.isFull) this.flushStash()
      return
    }
    if (!this.stash.isEmpty) this.flushStash()
    this.hasForwarded = true
    this.owner.sink.data(chunk, 0)
    // It came before the error.
    if (this.outdated !== undefined) this.owner.sink.data(this.outdated, 0)
    this.outdated = undefined
  }

  private flushStash(): void {
    this.hasForwarded = true
    for (const chunk of this.stash.take()) this.owner.sink.data(chunk, 0)
  }

  message(type: number, chunk: Buffer, start: number, end: number): Kept {
    if (this.aheadLeft > 0) return this.aheadMessage(type, chunk, start, end)
    if (this.cut !== undefined) return this.cutMessage(this.cut, type, chunk, start, end)
    if (type === MSG.errorResponse) return this.errorMessage(chunk, start, end)
    if (type === MSG.noticeResponse) return this.noticeMessage(chunk, start, end)
    if (type === MSG.copyInResponse) {
      this.isCopyIn = true
      this.split?.copyBegins()
      return true
    }
    const isKept = this.split?.keep(chunk, start, end) === true
    if (this.split?.completed()) this.host.syncDue()
    return !isKept
  }

  private noticeMessage(chunk: Buffer, start: number, end: number): boolean {
    if (errorCode(chunk, start, end) !== BEGUN_CODE) return true
    this.hasBegun()
    return false
  }

  private aheadMessage(type: number, chunk: Buffer, start: number, end: number): Kept {
    if (type === MSG.errorResponse) {
      this.aheadLeft = 0
      if (this.cut !== undefined) return this.cutFailed(chunk, start, end)
      this.payloadReplies()
      // A Query brings no Sync, and until one comes Postgres skips everything.
      if (isSimpleQuery(this.request.payload)) this.host.channel.write(SYNC)
      return this.errorMessage(chunk, start, end)
    }
    const isReply =
      type === MSG.parseComplete ||
      type === MSG.bindComplete ||
      type === MSG.commandComplete ||
      type === MSG.closeComplete ||
      (this.cut !== undefined && (type === MSG.rowDescription || type === MSG.noData))
    // What the statement's own Parse has to say is for the client, what comes before it is not.
    if (!isReply) return this.aheadLeft <= this.aheadAfterMissing && isAside(type)
    const { missing } = this
    const place = this.aheadLeft - this.aheadAfterMissing
    if (place > 0 && place <= missing.length) this.host.known.add(missing[missing.length - place]!)
    this.aheadLeft--
    if (this.aheadLeft > 0) return false
    if (this.cut === undefined) this.payloadReplies()
    else if (!this.withdrawIfParked()) this.owner.readyForCut()
    return false
  }

  private cutMessage(cut: CutExec, type: number, chunk: Buffer, start: number, end: number): Kept {
    if (type === MSG.errorResponse) return this.cutFailed(chunk, start, end)
    if (type !== MSG.parseComplete && type !== MSG.bindComplete && type !== MSG.commandComplete) {
      return isAside(type)
    }
    cut.replied()
    this.withdrawIfParked()
    return false
  }

  /** The error is its answer; as no Sync was sent, one is now. */
  private cutFailed(chunk: Buffer, start: number, end: number): Kept {
    this.endCut()
    this.payloadReplies()
    this.host.channel.write(SYNC)
    return this.errorMessage(chunk, start, end)
  }

  private payloadReplies(): void {
    this.host.scanner.table =
      PAYLOAD_TABLES[this.split !== undefined ? this.swallow | SPLIT_MASK : this.swallow]!
  }

  private errorMessage(chunk: Buffer, start: number, end: number): Kept {
    if (this.withdrawn !== undefined) return false
    if (this.split?.failed()) this.syncFailed()
    this.isCopyIn = false
    const { needs } = this.request
    const code = errorCode(chunk, start, end)
    const reworded =
      rewordedError(code, chunk, start, end, this.sessionOf) ??
      sequenceError(this.owner, this.request, chunk, start, end)
    if (reworded !== undefined) return reworded
    if (needs === undefined && this.owner.staleError === undefined) return true
    if (needs !== undefined && OUTDATED_CODES.has(code)) {
      for (const statement of needs) this.host.known.outdate(statement.name)
      if (isOutdatedPlan(chunk, start, end)) return this.planOutdated(chunk, start, end)
    }
    this.isStale = this.owner.staleError !== undefined && code === '57014'
    return !this.isStale
  }

  /** In a block the client has to be told: its transaction has failed. */
  private planOutdated(chunk: Buffer, start: number, end: number): Kept {
    this.owner.schemaChanged()
    const { begin } = this.request
    const isAlone = this.host.status === STATUS.idle && (begin === undefined || begin.length === 0)
    if (!isAlone || !this.canHideReply() || !this.stash.isEmpty) return true
    this.outdated = Buffer.from(chunk.subarray(start, end))
    return false
  }

  /** Of a split write, when there is nothing left to commit. */
  private syncFailed(): void {
    // In the midst of the data: the client of a simple Query sends no Sync, and may not have come to the end.
    if (this.isCopyIn) {
      this.padCopy()
      this.dropsCopy = true
    }
    this.host.channel.write(SYNC)
  }

  /** ReadyForQuery is here: before anyone else uses the backend. Answers whether the exec counts as not run. */
  end(): boolean {
    this.endCut()
    this.padCopy()
    this.copy.reset()
    this.waitsForDrain = false
    if (this.outdated !== undefined) this.withdrawn = weftError('plan_outdated', {})
    return this.isStale || this.hasLapsed
  }

  /** Nothing of it was shown, so that when it has ended unseen nothing of it is left. */
  canHideReply(): boolean {
    return !this.hasForwarded && this.request.commits !== 'within'
  }

  /** Hands out what is left of the replies. */
  stashed(): readonly Buffer[] {
    const completion = this.split?.takeCompletion()
    const stash = this.stash.take()
    return completion === undefined ? stash : [...stash, completion]
  }
}
