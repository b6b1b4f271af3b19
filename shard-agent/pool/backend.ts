/**
 * One Postgres connection: whose it is, which settings it has, what runs on it.
 *
 * An exec goes through: settings prelude (only if the backend has other settings; its end is waited for), the gate
 * (only commits wait, and only while it is held), then one write (exec-run.ts).
 *
 * What holds: a backend whose last ReadyForQuery was idle and that isn't pinned belongs to nobody, and it goes to
 * somebody else only when no cancel request is under way that could hit them.
 */
import { weftError } from '../../errors/catalog.ts'
import { invariant, type PgError } from '../../errors/pg-error.ts'
import type { ExecRequest } from '../../protocol/agent-link.ts'
import {
  errorResponse,
  parseParameterStatus,
  READY_IDLE,
  readyForQuery,
} from '../../protocol/wire/backend-messages.ts'
import { MSG, STATUS } from '../../protocol/wire/frames.ts'
import { query, TERMINATE } from '../../protocol/wire/frontend-messages.ts'
import { Asides } from './asides.ts'
import { type BackendHome, MODE } from './backend-home.ts'
import type { BackendOwner } from './backend-owner.ts'
import { Cancels } from './cancel.ts'
import type { Channel, ChannelReceiver } from './channel.ts'
import { cleaning, clearSeat, discardAll } from './cleaning.ts'
import { type CommandReply, CommandSlot } from './command.ts'
import { isFatal } from './error-scan.ts'
import { type ExecHost, ExecRun } from './exec-run.ts'
import { fatalError } from './fatal-error.ts'
import { GatePass } from './gate-pass.ts'
import { HeldNames } from './held-names.ts'
import { KeptPlans } from './kept-plans.ts'
import { Prelude } from './prelude.ts'
import { EXAMINE, ReplyScanner, ruleTable, type ScanDriver } from './reply-scanner.ts'
import { SequenceSeat } from './sequence-seat.ts'
import { canSplit, mustSplit } from './split-write.ts'
import type { Login } from './startup.ts'
import { KnownStatements } from './statements.ts'

const HEADER_BYTES = 5
const COLLECT = ruleTable(EXAMINE, {})

export class Backend implements ScanDriver, ChannelReceiver, ExecHost {
  readonly pid: number
  readonly parameters: Map<string, string>
  readonly channel: Channel
  readonly scanner: ReplyScanner
  readonly known: KnownStatements
  owner: BackendOwner | undefined
  /** Of the last ReadyForQuery. */
  status: number = STATUS.idle
  isDead = false
  /** A cancel came before anything was sent. */
  cancelAsked = false
  /** Its connection is being cut: nobody gets it any more. */
  private isDoomed = false
  /** What its settings were made with; undefined: not known. */
  settingsSql: string | undefined = ''
  readonly plans = new KeptPlans()
  readonly names = new HeldNames()
  readonly seat = new SequenceSeat()
  readonly asides: Asides
  private readonly prelude = new Prelude(this.plans, this.seat)
  /** When it was last given back, by `performance.now`. */
  idleSinceMs = 0

  /** What runs on it; for its owner. */
  readonly exec: ExecRun
  private readonly home: BackendHome
  private mode: number = MODE.idle
  private pinned = false
  private fatal: PgError | undefined
  private readonly cancels: Cancels
  /** One was sent since the backend came to its owner. */
  private wasCancelled = false
  private readonly pass: GatePass
  private isPaused = false
  private readonly slot = new CommandSlot()

  constructor(home: BackendHome, login: Login) {
    this.home = home
    this.channel = login.channel
    this.pid = login.pid
    this.asides = new Asides(login.pid)
    this.cancels = new Cancels(home.address, login.pid, login.secret)
    this.parameters = login.parameters
    this.known = new KnownStatements(home.preparedMax)
    this.exec = new ExecRun(this, home.sessionOf)
    this.pass = new GatePass(home.gate, () => this.admitted())
    this.scanner = new ReplyScanner(this, COLLECT)
    this.channel.receiver = this
  }

  get isPinned(): boolean {
    return this.pinned
  }

  // An exec, up to its sending

  /** Runs the owner's request. */
  run(owner: BackendOwner): void {
    invariant(this.mode === MODE.idle && !this.isDead, `backend ${this.pid} is busy`)
    this.owner = owner
    this.cancelAsked = false
    if (this.cancels.pending) this.runAfterCancels()
    else this.prepareRun(owner.request!)
  }

  private runAfterCancels(): void {
    this.mode = MODE.waiting
    this.cancels.whenDone(() => {
      if (this.isDead) return
      const request = this.owner!.request!
      if (this.cancelAsked && request.access !== 'commit') this.refuse(weftError('query_canceled', {}))
      else this.prepareRun(request)
    })
  }

  private prepareRun(request: ExecRequest): void {
    this.names.note(request.settings)
    const needed =
      this.status === STATUS.idle && this.prelude.isNeeded(this.owner!, request, this.settingsSql)
    if (needed) this.startPrelude(request)
    else this.passGate(request)
  }

  private startPrelude(request: ExecRequest): void {
    this.settingsSql = undefined
    this.mode = MODE.prelude
    this.channel.write(query(this.prelude.sql(this.owner!, request)))
  }

  private preludeDone(): void {
    const request = this.owner!.request!
    const error = this.prelude.end()
    if (error === 'again') return this.startPrelude(request)
    if (error !== undefined) return this.finish(Buffer.concat([error, READY_IDLE]))
    this.settingsSql = request.settings.sql
    this.plans.madeFor(request)
    if (this.cancelAsked) this.refuse(weftError('query_canceled', {}))
    else this.passGate(request)
  }

  private passGate(request: ExecRequest): void {
    if (request.access !== 'read' && (request.access === 'commit' || this.isAutocommit(request))) {
      const isCommit = request.access === 'commit'
      if (!isCommit && mustSplit(request, this.home.gate.splitWrites)) return this.send(request, true)
      // Sent whole it is in flight for as long as it runs.
      if (!this.pass.enter(isCommit ? 'local' : 'statement', request.seen)) {
        this.mode = MODE.waiting
        return
      }
    }
    this.send(request, false)
  }

  private isAutocommit(request: ExecRequest): boolean {
    return this.status === STATUS.idle && (request.begin === undefined || request.begin.length === 0)
  }

  private send(request: ExecRequest, split: boolean): void {
    if (request.taints) this.taint()
    this.mode = MODE.exec
    this.exec.start(this.owner!, request, split)
    this.plans.sent(request)
    if (request.sequences) this.seat.begun(this.owner!, request)
  }

  private taint(): void {
    this.settingsSql = undefined
    this.seat.untold()
  }

  /** The gate lets in what waited: a commit not sent yet, or the Sync of a split write. */
  private admitted(): void {
    if (this.mode === MODE.waiting) this.send(this.owner!.request!, false)
    else this.exec.sendSync()
  }

  syncDue(): void {
    if (this.pass.enter('local', this.owner!.request!.seen)) this.admitted()
  }

  /** What runs commits by itself when it ends, could be sent in two parts, and nothing of it was shown. */
  get mayRunAgain(): boolean {
    if (this.mode !== MODE.exec || !this.pass.holdsStatement || !this.exec.canHideReply()) return false
    return canSplit(this.owner!.request!)
  }

  // While it runs

  copyData(bytes: Buffer): boolean {
    return this.mode === MODE.exec ? this.exec.copyData(bytes) : true
  }

  drained(): void {
    if (this.mode === MODE.exec) this.exec.drained()
  }

  pause(): void {
    this.isPaused = true
    this.channel.pause()
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.channel.resume()
  }

  /** Cancels what runs. Nothing if idle; never a commit that waits at the gate. */
  cancel(): void {
    if (this.mode === MODE.exec && this.exec.waitsForCut) this.withdraw()
    else if (this.mode === MODE.exec || this.mode === MODE.command) this.sendCancel()
    else if (this.mode === MODE.prelude || this.mode === MODE.idle) this.cancelAsked = true
    else if (this.mode === MODE.waiting) {
      this.cancelAsked = true
      if (this.cancels.pending || this.owner?.request?.access !== 'write') return
      this.pass.end()
      this.refuse(weftError('query_canceled', {}))
    }
  }

  /** Nothing of it may run: a request that comes when Postgres has nothing to do is lost, so it counts afterwards too. */
  private withdraw(): void {
    if (!this.exec.isParked) this.sendCancel()
    this.exec.withdraw(this.owner?.staleError ?? weftError('query_canceled', {}))
  }

  /** Brings what runs to its end, for a session that will not send or read any more. */
  abort(): void {
    this.resume()
    if (this.mode === MODE.exec) this.exec.abortCopy()
    this.cancel()
  }

  private sendCancel(): void {
    this.wasCancelled = true
    this.cancels.send()
  }

  // Receiving

  received(chunk: Buffer): void {
    try {
      this.scanner.push(chunk)
    } catch (error) {
      this.destroy(error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
  }

  forward(chunk: Buffer): void {
    if (this.mode === MODE.exec) this.exec.forward(chunk)
  }

  message(type: number, chunk: Buffer, start: number, end: number): boolean | Buffer {
    if (type === MSG.errorResponse && isFatal(chunk, start, end)) {
      // The reason of the close that follows: told then, and once.
      this.fatal = fatalError(chunk, start, end, this.home.shard)
      return false
    }
    if (this.asides.take(type, chunk, start, end, this.owner)) return false
    if (this.mode === MODE.exec) return this.exec.message(type, chunk, start, end)
    const isAsync = type === MSG.parameterStatus || type === MSG.noticeResponse
    if (isAsync && this.mode !== MODE.prelude) this.asyncMessage(type, chunk, start, end)
    if (this.mode === MODE.prelude) this.prelude.message(type, chunk, start, end)
    this.slot.take(type, chunk, start, end)
    return false
  }

  private asyncMessage(type: number, chunk: Buffer, start: number, end: number): void {
    if (this.owner !== undefined) this.owner.sink.async(chunk.subarray(start, end))
    else if (type === MSG.parameterStatus) {
      const { name, value } = parseParameterStatus(chunk, start + HEADER_BYTES, end)
      this.parameters.set(name, value)
    }
  }

  ready(chunk: Buffer, from: number, end: number, status: number): void {
    this.status = status
    if (this.mode === MODE.exec) {
      this.finish(from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end))
      return
    }
    if (this.mode === MODE.prelude) this.preludeDone()
    else if (this.mode === MODE.command) {
      this.mode = MODE.idle
      this.slot.ready(status)
    }
  }

  // The end of an exec

  private finish(lastBytes: Buffer): void {
    const owner = this.owner!
    const { status, exec } = this
    const isStale = this.mode === MODE.exec && exec.end()
    const stashed = exec.stashed()
    const { withdrawn } = exec
    exec.withdrawn = undefined
    const stale = isStale ? owner.staleError : undefined
    const hidden = stale !== undefined && status === STATUS.idle && exec.canHideReply() ? stale : withdrawn
    this.endExec(owner)
    if (hidden !== undefined) return owner.sink.failed(hidden, false)
    for (const chunk of stashed) owner.sink.data(chunk, 0)
    if (stale === undefined) return owner.sink.data(lastBytes, status)
    // It may have ended well before the cancel request could hit it: it failed all the same.
    const told = status === STATUS.inTransaction ? STATUS.failed : status
    owner.sink.data(Buffer.concat([errorResponse(stale.fields), readyForQuery(told)]), told)
  }

  /** Ends an exec of which nothing was sent. */
  private refuse(error: PgError): void {
    const owner = this.owner!
    this.endExec(owner)
    owner.sink.failed(error, false)
  }

  private endExec(owner: BackendOwner): void {
    const { pin } = owner.request!
    this.mode = MODE.idle
    this.scanner.table = COLLECT
    this.pass.end()
    if (this.status === STATUS.idle && this.asides.takeTells()) this.home.told()
    if (this.status !== STATUS.idle || pin) {
      this.pinned ||= pin
      owner.execEnded(false)
      return
    }
    // Whoever waits gets it before the owner's callback runs: the two then work at the same time.
    this.owner = undefined
    owner.execEnded(true)
    this.resume()
    if (this.pinned) this.handBack()
    else this.giveBack()
  }

  private giveBack(): void {
    if (this.isDead || this.isDoomed) return
    if (!this.wasCancelled) this.home.release(this)
    else this.handBack()
  }

  /** Whoever it was pinned for has seen that nothing of theirs is left, but for settings. */
  lookedAt(): void {
    this.pinned = false
    this.settingsSql = undefined
    this.names.lookedAt()
  }

  // Statements of the agent's own, and cleaning up

  /** Runs a statement and collects its reply; an error of Postgres is in the reply. Rejects when the backend dies. */
  async command(sql: string): Promise<CommandReply> {
    invariant(this.mode === MODE.idle, `backend ${this.pid} is busy`)
    this.mode = MODE.command
    await this.cancels.done()
    if (this.isDead) throw this.lostError('it is closed')
    return await this.slot.start(() => this.channel.write(query(sql)))
  }

  /**
   * Takes the backend from its owner, makes it clean and gives it back: rolls back an open transaction, discards what
   * a pinned session left, and meets a late cancel with an empty statement. Never rejects.
   */
  async handBack(): Promise<void> {
    this.owner = undefined
    this.resume()
    try {
      if (this.status !== STATUS.idle) await cleaning(this, 'ROLLBACK')
      if (this.pinned) {
        await clearSeat(this)
        await this.discard()
      }
      // After this round trip a cancel request sent earlier can hit nothing any more.
      while (this.wasCancelled) {
        this.wasCancelled = false
        await this.command('')
      }
    } catch (error) {
      this.destroy(error instanceof Error ? error.message : String(error))
    }
    this.giveBack()
  }

  private async discard(): Promise<void> {
    await discardAll(this, this.home.markSql)
    this.known.clear()
    this.settingsSql = ''
    this.plans.cleared()
    this.seat.lose()
    this.pinned = false
  }

  // The end of the connection

  /** Closes an idle backend in good order. */
  close(): void {
    void this.vacate()
  }

  /** Resolves when what its seat's session has drawn is in that session's keeping. */
  async vacate(): Promise<void> {
    if (this.isDead) return
    this.isDead = true
    this.home.closing(this)
    // Its connection may be gone already.
    if (this.seat.isTaken) await this.readSeat().catch(() => {})
    this.channel.end(TERMINATE)
  }

  private readSeat(): Promise<void> {
    this.mode = MODE.command
    const command = (sql: string) => this.slot.start(() => this.channel.write(query(sql)))
    return clearSeat({ seat: this.seat, command })
  }

  destroy(why: string): void {
    this.isDoomed = true
    this.channel.destroy(why)
  }

  closed(why: string): void {
    const { mode, owner } = this
    const error = this.lostError(why)
    this.seat.lose()
    if (this.isDead) {
      this.slot.fail(error)
      return this.home.closed(this)
    }
    this.isDead = true
    this.mode = MODE.idle
    this.owner = undefined
    this.pass.end()
    const running =
      mode === MODE.exec || mode === MODE.prelude || (mode === MODE.waiting && owner !== undefined)
    this.exec.endCut()
    this.slot.fail(error)
    if (this.asides.takeTells()) this.home.told()
    this.home.died(this)
    owner?.backendLost(error, running, mode === MODE.exec && this.exec.mayHaveCommitted)
  }

  private lostError(why: string): PgError {
    return this.fatal ?? weftError('backend_lost', { shard: this.home.shard, why })
  }
}
