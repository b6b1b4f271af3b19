import type { Socket } from 'node:net'
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { BackendIdentity, Settings } from '../../protocol/agent-link.ts'
import { backendKeyData, errorResponse, readyForQuery } from '../../protocol/wire/backend-messages.ts'
import { STATUS } from '../../protocol/wire/frames.ts'
import type { Catalog } from '../../sql/catalog.ts'
import type { ToldContext } from '../../sql/plan/gather/gather-plan.ts'
import type { Plan, PreparedPlan, SessionPidsPlan, TimePlace } from '../../sql/plan/plan.ts'
import type { WatchedSession } from '../commit/deadlock-detector.ts'
import { ClientOutput } from '../execute/answers/client-output.ts'
import type { CoordinatorNode, CopyFeed, ExecContext, Execution, SessionState } from '../execute/context.ts'
import type { Planner, PlanScope } from '../execute/plans/planner.ts'
import { ShardLine } from '../execute/shards/shard-line.ts'
import { Causal } from '../execute/transaction/causal.ts'
import { Transaction, type TransactionModes } from '../execute/transaction/transaction.ts'
import type { SessionMemory } from '../memory/memory-budget.ts'
import { isTransactionLong, TransactionDefaults } from '../settings/isolation.ts'
import { type SessionSettings, sessionSettings } from '../settings/session-settings.ts'
import { TimeLimits } from '../settings/time-limits.ts'
import { SessionTracing } from '../tracing/session-tracing.ts'
import { Admission } from './admission.ts'
import { asPgError } from './client-messages.ts'
import { Portals, PreparedStatements } from './kept.ts'
import { MessageLoop } from './message-loop.ts'
import { Notifications } from './notifications.ts'
import { identityOf, initialState, type SessionOptions } from './session-options.ts'
import { SessionScope } from './session-scope.ts'
import { SessionText } from './session-text.ts'
import { SessionTimers } from './session-timers.ts'
import { SessionTimes } from './session-times.ts'
import { ShardLines } from './shard-lines.ts'
import { SlowPath } from './slow-path.ts'
import { runPrepared } from './sql-prepared.ts'
import { StatementTimer } from './statement-timer.ts'
import { runTimed } from './timed-statement.ts'
import { WrittenStrings } from './written-strings.ts'

/** One client: who it is, what it has, and what executors ask of it. `MessageLoop` takes its messages. */
export class ClientSession implements ExecContext, WatchedSession {
  readonly node: CoordinatorNode
  readonly planner: Planner
  readonly sessionId: number
  readonly tx: Transaction
  readonly times = new SessionTimes()
  readonly timers: SessionTimers
  readonly settings: SessionSettings
  readonly txDefaults: TransactionDefaults
  readonly causal: Causal
  readonly out: ClientOutput
  readonly state: SessionState
  /** What this node keeps for it. */
  readonly memory: SessionMemory
  readonly prepared: PreparedStatements
  readonly portals: Portals
  readonly text: SessionText
  readonly strings: WrittenStrings
  closed = false
  planVersion = 0
  writes = 0

  private readonly options: SessionOptions
  private readonly socket: Socket
  private readonly lines: ShardLines
  readonly notifications: Notifications
  readonly scopes: SessionScope
  readonly admission = new Admission(this)
  readonly timer = new StatementTimer(this)
  readonly tracing: SessionTracing | undefined
  private readonly slow: SlowPath
  readonly loop: MessageLoop

  constructor(options: SessionOptions) {
    this.options = options
    this.node = options.node
    this.planner = options.planner
    this.socket = options.socket
    this.sessionId = options.sessionId
    this.memory = options.node.memory.session()
    this.prepared = new PreparedStatements(this.memory.account('prepared statements'))
    this.settings = sessionSettings(options.user, options.parameters, this.memory.account('settings'))
    this.txDefaults = new TransactionDefaults(this.settings)
    this.timers = new SessionTimers(this, new TimeLimits(this.settings))
    this.tx = new Transaction(this.timers, this.txDefaults, this.times)
    const { tracing } = options.node
    this.tracing = tracing && new SessionTracing(tracing, options.sessionId, () => this.tx.isOpen)
    this.causal = new Causal(this.tx, this.node.commits, this.settings)
    this.out = new ClientOutput(options.socket)
    this.text = new SessionText(this.out, this.prepared, this.node.encodings)
    this.strings = new WrittenStrings(this.settings, this.out, (sql) => this.planner.parse(sql))
    this.notifications = new Notifications(this.out, this.tx, this.memory.account('notifications'))
    this.lines = new ShardLines(options.node.shardCount, (shard) => this.openLine(shard))
    this.portals = new Portals(this.memory.account('portals'))
    this.state = initialState(options, this.portals)
    this.scopes = new SessionScope(this.node.catalogs, this.planner, this.state)
    this.slow = new SlowPath(this)
    this.loop = new MessageLoop(this, this.slow, options.socket)
  }

  /** Greets the client: parameters, cancel key, ready. A role that cannot log in to the home shard ends here. */
  async start(): Promise<void> {
    const { socket, pid, secret, remainder } = this.options
    socket.on('data', (chunk: Buffer) => this.loop.input(chunk))
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
    this.loop.start(remainder)
    socket.resume()
  }

  // ExecContext

  readCopy(feed: CopyFeed): void {
    this.loop.copy.read(feed)
  }

  get identity(): BackendIdentity {
    return identityOf(this.options)
  }

  line(shard: number): ShardLine {
    return this.lines.get(shard)
  }

  shardExecs(): readonly number[] {
    return this.lines.execs
  }

  private openLine(shard: number): ShardLine {
    const { typeNumbers } = this.node.catalogs
    const link = this.node.links[shard]!
    const line = new ShardLine(link, this.settings.effective(), this, typeNumbers)
    line.session = link.open(this.sessionId, this.identity, line)
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

  untilCancelled<T>(work: Promise<T>): Promise<T> {
    return this.admission.untilCancelled(work)
  }

  admitStatement(): Promise<() => void> {
    return this.admission.admitStatement()
  }

  planText(text: string, paramTypes: readonly number[], told?: ToldContext): Promise<Plan> {
    return this.slow.planText(text, paramTypes, told)
  }

  runPrepared(exec: Execution, plan: PreparedPlan | SessionPidsPlan): Promise<void> {
    return runPrepared(this, this.slow, exec, plan)
  }

  runTimed(exec: Execution, times: readonly TimePlace[]): Promise<void> {
    return runTimed(this, exec, times)
  }

  settingsChanged(): void {
    this.slow.settingsChanged()
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
      if (!this.loop.isBusy) this.notifications.release()
    } catch (error) {
      this.fatal(asPgError(error))
    }
  }

  /** What the session had on a backend is gone: it ends, once what is under way has its answer. */
  released(line: ShardLine): void {
    if (line.hasLostState && !this.loop.isBusy) this.endIfLost()
  }

  /** Whether it was ended, as what it had is gone. */
  endIfLost(): boolean {
    const lost = this.slow.pins.lost()
    if (lost !== undefined) this.fatal(lost)
    return lost !== undefined
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
    this.tracing?.closed()
    this.out.abandon()
    this.timers.close()
    this.slow.close(() => {
      this.lines.close()
      void this.state.latch?.open()
      this.admission.leave()
      this.memory.close()
      this.options.onClosed()
    })
    this.socket.destroySoon()
  }
}
