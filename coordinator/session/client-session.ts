import type { Socket } from 'node:net'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { Settings } from '../../protocol/agent-link.ts'
import { backendKeyData, errorResponse, readyForQuery } from '../../protocol/wire/backend-messages.ts'
import { MSG, STATUS } from '../../protocol/wire/frames.ts'
import type { Catalog } from '../../sql/catalog.ts'
import { quickVerb } from '../../sql/lex/inspect.ts'
import type { Plan, PreparedPlan, SessionPidsPlan } from '../../sql/plan/plan.ts'
import type { WatchedSession } from '../commit/deadlock-detector.ts'
import { Causal } from '../execute/causal.ts'
import { ClientOutput } from '../execute/client-output.ts'
import type { CoordinatorNode, CopyFeed, ExecContext, Execution, SessionState } from '../execute/context.ts'
import { abortShards } from '../execute/end-transaction.ts'
import { LONG_TEXT_BYTES } from '../execute/parse-turns.ts'
import type { Planner, PlanScope } from '../execute/planner.ts'
import { ShardLine } from '../execute/shard-line.ts'
import { Transaction, type TransactionModes } from '../execute/transaction.ts'
import type { SessionMemory } from '../memory/memory-budget.ts'
import { DefaultIsolation, isTransactionLong } from '../settings/isolation.ts'
import { type SessionSettings, sessionSettings } from '../settings/session-settings.ts'
import { TimeLimits } from '../settings/time-limits.ts'
import { Admission } from './admission.ts'
import { Batch } from './batch.ts'
import { asPgError, FUNCTION_CALL } from './client-messages.ts'
import { CopyInput } from './copy-input.ts'
import { DirectPath } from './direct-path.ts'
import { InputValve, PENDING_BYTES_MAX } from './input-valve.ts'
import { PreparedStatements } from './kept.ts'
import { ClientMessages } from './large-messages.ts'
import { Notifications } from './notifications.ts'
import { identityOf, initialState, type SessionOptions } from './session-options.ts'
import { SessionScope } from './session-scope.ts'
import { SessionText } from './session-text.ts'
import { SessionTimers } from './session-timers.ts'
import { ShardLines } from './shard-lines.ts'
import { SlowPath } from './slow-path.ts'
import { runPrepared } from './sql-prepared.ts'

/**
 * One client. Messages are handled in order, one at a time: by `DirectPath` when nothing has to be awaited, else by
 * `SlowPath`.
 */
export class ClientSession implements ExecContext, WatchedSession {
  readonly node: CoordinatorNode
  readonly planner: Planner
  readonly sessionId: number
  readonly tx: Transaction
  readonly timers: SessionTimers
  readonly settings: SessionSettings
  readonly isolation: DefaultIsolation
  readonly causal: Causal
  readonly out: ClientOutput
  readonly state: SessionState
  /** What this node keeps for it. */
  readonly memory: SessionMemory
  readonly prepared: PreparedStatements
  readonly text: SessionText
  closed = false
  planVersion = 0
  writes = 0

  private readonly options: SessionOptions
  private readonly socket: Socket
  private readonly messages: ClientMessages
  private readonly lines: ShardLines
  private readonly notifications: Notifications
  private readonly copy: CopyInput
  private readonly batch = new Batch()
  readonly scopes: SessionScope
  readonly admission = new Admission(this)
  private readonly valve: InputValve
  private readonly slow: SlowPath
  private readonly direct: DirectPath

  /** A message is being handled; the next waits. */
  private busy = true
  /** After an error in the extended protocol everything is skipped up to Sync. */
  private skipToSync = false
  /** No ReadyForQuery answers the last message. */
  private isMidBatch = false

  constructor(options: SessionOptions) {
    this.options = options
    this.node = options.node
    this.planner = options.planner
    this.socket = options.socket
    this.valve = new InputValve(options.socket)
    this.sessionId = options.sessionId
    this.memory = options.node.memory.session()
    this.prepared = new PreparedStatements(this.memory.account('prepared statements'))
    this.settings = sessionSettings(options.user, options.parameters, this.memory.account('settings'))
    this.isolation = new DefaultIsolation(this.settings)
    this.timers = new SessionTimers(this, new TimeLimits(this.settings))
    this.tx = new Transaction(this.timers, this.isolation)
    this.causal = new Causal(this.tx, this.node.commits, this.settings)
    this.out = new ClientOutput(options.socket)
    this.text = new SessionText(this.out, this.prepared)
    this.messages = new ClientMessages(this.memory, options.node.limits.frameBytesMax)
    this.copy = new CopyInput(this, this.messages, this.valve)
    this.notifications = new Notifications(this.out, this.tx, this.memory.account('notifications'))
    this.lines = new ShardLines(options.node.shardCount, (shard) => this.openLine(shard))
    this.state = initialState(options)
    this.scopes = new SessionScope(this.node.catalogs, this.planner, this.state)
    this.slow = new SlowPath(this)
    this.direct = new DirectPath(this, this.slow)
  }

  /** Greets the client: parameters, cancel key, ready. A role that cannot log in to the home shard ends here. */
  async start(): Promise<void> {
    const { socket, pid, secret, remainder } = this.options
    socket.on('data', (chunk: Buffer) => this.input(chunk))
    socket.on('close', () => this.close())
    socket.on('error', () => socket.destroy())
    try {
      await this.slow.greet()
    } catch (error) {
      return this.fatal(asPgError(error))
    }
    if (this.closed) return
    this.out.push(backendKeyData(pid, secret))
    this.out.send(readyForQuery(STATUS.idle))
    this.busy = false
    if (remainder.length > 0) this.input(remainder)
    else this.pump()
    socket.resume()
  }

  // Input

  private input(chunk: Buffer): void {
    if (this.closed) return
    try {
      this.messages.reader.push(chunk)
      if (!this.busy) this.pump()
      else if (this.copy.isReading) this.copy.pump()
    } catch (error) {
      this.fatal(asPgError(error))
      return
    }
    if (this.busy && !this.copy.isOpen && this.messages.reader.pendingBytes > PENDING_BYTES_MAX)
      this.valve.pause()
  }

  /** Handles what the client has sent until a message makes us wait. */
  private pump(): void {
    const { reader } = this.messages
    while (!this.busy && !this.closed) {
      if (this.out.isSlow) {
        // A client that does not take its answers gets no more of them.
        this.valve.pause()
        this.busy = true
        this.out.onceDrained(() => this.idle())
        return
      }
      if (!reader.next()) break
      const { type, buffer, start, end } = reader
      if (reader.isRefused) this.refused(type, this.messages.refusal)
      else if (!this.text.isOther) this.message(type, buffer, start, end)
      else this.encoded(type, this.text.read(type, buffer.subarray(start, end)))
    }
    if (this.closed) return
    this.out.flush()
    if (this.busy) return
    this.valve.resume()
    if (this.tx.kind === 'explicit' && !this.isMidBatch) this.timers.waitsForClient()
  }

  /** A message is done: on to the next. */
  idle(): void {
    if (this.closed) return
    if (this.tx.failed) {
      const doomed = this.tx.doomed()
      this.out.flush()
      if (doomed.length > 0) return void abortShards(this, doomed).then(() => this.idle())
    }
    this.busy = false
    if (!this.batch.isEmpty) this.batch.clear()
    if (this.messages.areKept && !this.slow.batches.keepsMessage) this.messages.dealtWith()
    this.copy.end()
    this.notifications.release()
    try {
      this.pump()
    } catch (error) {
      this.fatal(asPgError(error))
    }
  }

  /** As Postgres does when it has no memory for a message: it is an error in the message's place. */
  private refused(type: number, error: PgError): void {
    if (this.skipToSync) return
    this.isMidBatch = type !== MSG.query
    if (type !== MSG.query) return this.malformed(error)
    if (!this.batch.isEmpty) return this.fatal(error)
    this.busy = true
    void this.slow.refused(error).then(() => this.idle())
  }

  private encoded(type: number, read: Buffer | PgError): void {
    if (read instanceof PgError) this.refused(type, read)
    else this.message(type, read, 0, read.length)
  }

  private message(type: number, buffer: Buffer, start: number, end: number): void {
    this.timers.heardClient()
    if (this.skipToSync && type !== MSG.sync && type !== MSG.terminate) return
    this.isMidBatch = type !== MSG.query && type !== MSG.sync
    switch (type) {
      case MSG.query:
        if (this.prepared.size > 0) this.prepared.delete('')
        if (this.batch.isEmpty) return this.query(buffer, start, end)
        return this.runBatch(false, buffer.subarray(start, end))
      case MSG.parse:
      case MSG.bind:
      case MSG.describe:
      case MSG.execute:
      case MSG.close:
        return this.extended(type, buffer, start, end)
      case MSG.flush:
        if (!this.batch.isEmpty) this.runBatch(false)
        return
      case MSG.sync:
        return this.sync()
      case MSG.terminate:
        return this.terminate()
      case MSG.copyData:
      case MSG.copyDone:
      case MSG.copyFail:
        // Left over from a COPY that failed; Postgres ignores them too.
        return
      case MSG.functionCall:
        this.out.push(errorResponse(FUNCTION_CALL.fields))
        return this.out.ready(this.statusByte())
      default:
        throw weftError('protocol_violation', { what: `invalid frontend message type ${type}` })
    }
  }

  readCopy(feed: CopyFeed): void {
    this.copy.read(feed)
  }

  private query(buffer: Buffer, start: number, end: number): void {
    const sqlStart = start + 5
    const sqlEnd = end - 1
    if (buffer[sqlEnd] !== 0) throw weftError('protocol_violation', { what: 'invalid string in message' })
    const verb = quickVerb(buffer, sqlStart, sqlEnd)
    if (verb !== 'none' && this.direct.quick(verb)) return
    const frame = buffer.subarray(start, end)
    if (this.direct.mayGo() && sqlEnd - sqlStart <= LONG_TEXT_BYTES) {
      const lexed = this.planner.lex(buffer, sqlStart, sqlEnd)
      const plan = this.planner.lookup(this.scope(), buffer, lexed)
      if (plan !== undefined && plan.kind === 'forward' && this.direct.query(plan, buffer, lexed, frame))
        return
    }
    this.runQuery(frame)
  }

  /** A message is being handled: the next waits for `idle`. */
  occupy(): void {
    this.busy = true
  }

  /** Runs what could not go the direct way after all: a Query, or what was gathered. */
  runSlowly({ frame }: { readonly frame: Buffer | undefined }): void {
    if (frame === undefined) this.runBatch(true)
    else this.runQuery(frame)
  }

  private runQuery(frame: Buffer): void {
    this.busy = true
    void this.slow.query(frame).then(() => this.idle())
  }

  // Extended protocol

  private extended(type: number, buffer: Buffer, start: number, end: number): void {
    try {
      this.batch.add(type, buffer, start, end)
    } catch (error) {
      if (error instanceof PgError && error.severity === 'FATAL') throw error
      return this.malformed(asPgError(error))
    }
    if (this.batch.isFull) this.runBatch(false)
  }

  private malformed(error: PgError): void {
    this.batch.malformed(error)
    this.runBatch(false)
  }

  private sync(): void {
    if (this.skipToSync || this.batch.isEmpty) {
      this.skipToSync = false
      this.batch.clear()
      if (this.tx.kind === 'implicit') return this.runBatch(true)
      this.out.ready(this.statusByte())
      return
    }
    if (this.direct.mayGo() && this.direct.batch(this.batch)) return
    this.runBatch(true)
  }

  /** Runs what was gathered; `synced`: a Sync ended it. A Query may have come in place of the Sync. */
  private runBatch(synced: boolean, query?: Buffer): void {
    this.busy = true
    void this.slow.batch(this.batch, synced).then((end) => {
      if (!end.ok && !end.synced) this.skipToSync = true
      if (query !== undefined && end.ok && !this.closed) this.runQuery(query)
      else this.idle()
    })
  }

  // ExecContext

  line(shard: number): ShardLine {
    return this.lines.get(shard)
  }

  private openLine(shard: number): ShardLine {
    const { typeNumbers } = this.node.catalogs
    const link = this.node.links[shard]!
    const line = new ShardLine(link, this.settings.effective(), this, typeNumbers)
    line.session = link.open(this.sessionId, identityOf(this.options), line)
    return line
  }

  currentSettings(): Settings {
    return this.settings.effective()
  }

  get hasTransactionSnapshots(): boolean {
    return this.node.shardCount > 1 && isTransactionLong(this.tx.isolation)
  }

  searchPath(): readonly string[] {
    return this.scopes.path
  }

  scope(): PlanScope {
    return this.scopes.current()
  }

  catalog(): Promise<Catalog> {
    return this.slow.catalog()
  }

  needTransaction(modes?: TransactionModes): Promise<void> {
    return this.admission.needTransaction(modes)
  }

  admit(looks = true): Promise<void> {
    return this.admission.admit(looks)
  }

  admitStatement(): Promise<() => void> {
    return this.admission.admitStatement()
  }

  planText(text: string, paramTypes: readonly number[]): Promise<Plan> {
    return this.slow.planText(text, paramTypes)
  }

  runPrepared(exec: Execution, plan: PreparedPlan | SessionPidsPlan): Promise<void> {
    return runPrepared(this, this.slow, exec, plan)
  }

  reportParameters(): Promise<void> {
    return this.slow.reportParameters()
  }

  discardSession(): Promise<void> {
    return this.slow.discardSession()
  }

  /** What ReadyForQuery says. */
  statusByte(): number {
    if (this.tx.kind !== 'explicit') return STATUS.idle
    return this.tx.failed ? STATUS.failed : STATUS.inTransaction
  }

  // Ends

  /** Cancel request of this session's key. */
  cancel(): void {
    this.admission.cancelled()
    this.tx.cancelCommit()
    this.lines.cancel()
  }

  /** Its time is up (TimedSession). */
  timeOut(error: PgError): boolean {
    this.admission.cancelled(error)
    return this.tx.endCommitAsVictim(error) || this.lines.endAsVictim(error)
  }

  // Deadlocks over shards (WatchedSession)

  spanningWork(): number {
    return this.tx.isOpen ? this.tx.spanningWork() : this.lines.waitingForCut()
  }

  endAsVictim(error: PgError): void {
    if (this.tx.isOpen) this.tx.endAsVictim(error)
    else this.lines.endAsVictim(error)
  }

  /** Of no statement: notifications. */
  async(chunk: Buffer): void {
    try {
      this.notifications.came(chunk)
      if (!this.busy) this.notifications.release()
    } catch (error) {
      this.fatal(asPgError(error))
    }
  }

  /** This node stops: the client is told, as Postgres tells on shutdown. */
  shutDown(): void {
    this.fatal(weftError('shutting_down', {}))
  }

  terminate(): void {
    this.socket.end()
    this.close()
  }

  fatal(error: PgError): void {
    if (this.closed) return
    this.out.push(errorResponse({ ...error.fields, severity: 'FATAL' }))
    this.out.flush()
    this.terminate()
  }

  /** The client is gone, or is sent away: its transaction is rolled back everywhere at once. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.out.abandon()
    this.timers.close()
    this.slow.close(() => {
      this.lines.close()
      this.admission.leave()
      this.memory.close()
      this.options.onClosed()
    })
    this.socket.destroySoon()
  }
}
