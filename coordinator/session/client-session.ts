import type { Socket } from 'node:net'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { BackendIdentity, Settings } from '../../protocol/agent-link.ts'
import {
  backendKeyData,
  errorResponse,
  PARSE_COMPLETE,
  readyForQuery,
} from '../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG, STATUS } from '../../protocol/wire/frames.ts'
import type { Catalog } from '../../sql/catalog.ts'
import { quickVerb } from '../../sql/lex/inspect.ts'
import type { Lexed } from '../../sql/lex/lexed.ts'
import type { ForwardPlan, Plan, PreparedPlan } from '../../sql/plan/plan.ts'
import { ClientOutput } from '../execute/client-output.ts'
import {
  type CoordinatorNode,
  type CopyFeed,
  type ExecContext,
  type Execution,
  HOME,
  type SessionState,
} from '../execute/context.ts'
import { StatementKeys } from '../execute/key-slots.ts'
import type { Planner, PlanScope } from '../execute/planner.ts'
import { NOT_ONE, routeNow } from '../execute/route.ts'
import { needing, type ReplyConsumer, ShardLine } from '../execute/shard-line.ts'
import { Transaction } from '../execute/transaction.ts'
import { type SessionSettings, sessionSettings } from '../settings/session-settings.ts'
import { Batch, directBatch } from './batch.ts'
import type { Prepared } from './prepared.ts'
import { SlowPath } from './slow-path.ts'
import { runPrepared } from './sql-prepared.ts'

/** What the listener knows of a client that has authenticated. */
export interface SessionOptions {
  readonly node: CoordinatorNode
  readonly planner: Planner
  readonly socket: Socket
  readonly sessionId: number
  readonly user: string
  readonly database: string
  readonly parameters: ReadonlyMap<string, string>
  readonly scram?: { readonly clientKey: Buffer; readonly serverKey: Buffer }
  readonly pid: number
  readonly secret: Buffer
  /** Bytes that came with the startup exchange. */
  readonly remainder: Buffer
  readonly onClosed: () => void
}

/** Input a client may have waiting while a statement runs, before its socket is paused. */
const PENDING_BYTES_MAX = 1 << 20
const BEGIN_ANSWER = Buffer.concat([
  Buffer.from('C\0\0\0\x0aBEGIN\0', 'latin1'),
  readyForQuery(STATUS.inTransaction),
])
const COMMIT_QUERY = Buffer.from('Q\0\0\0\x0bCOMMIT\0', 'latin1')
const ROLLBACK_QUERY = Buffer.from('Q\0\0\0\x0dROLLBACK\0', 'latin1')

/**
 * One client. Messages are handled in order, one at a time. Statements whose plan is cached and whose shard can be
 * told at once take the direct way here: their bytes go to the shard, the shard's bytes come back, nothing is awaited.
 * Everything else goes to `SlowPath`.
 */
export class ClientSession implements ExecContext, ReplyConsumer {
  readonly node: CoordinatorNode
  readonly planner: Planner
  readonly sessionId: number
  readonly tx = new Transaction()
  readonly settings: SessionSettings
  readonly out: ClientOutput
  readonly state: SessionState
  readonly prepared = new Map<string, Prepared>()
  /** Set while COPY FROM STDIN reads from this client. */
  private copyFeed: CopyFeed | undefined
  closed = false
  /** Map version that the statement under way was planned on. */
  planVersion = 0

  private readonly options: SessionOptions
  private readonly socket: Socket
  private readonly reader: FrameReader
  private readonly identity: BackendIdentity
  private readonly lines: (ShardLine | undefined)[]
  private readonly keys = new StatementKeys()
  private readonly batch = new Batch()
  private readonly slow: SlowPath
  private planScope: PlanScope | undefined
  /** The scope is of an uncommitted catalog: it holds until the transaction ends. */
  private keepsScope = false
  private path: readonly string[] = []

  /** A message is being handled; the next waits. */
  private busy = true
  private inputPaused = false
  /** After an error in the extended protocol everything is skipped up to Sync. */
  private skipToSync = false
  private asyncMessages: Buffer[] = []

  // The direct exec that is under way.
  /** What to run again, the slow way, when the shard map turned out to be stale. */
  private direct: { readonly frame: Buffer | undefined; readonly batch: boolean } = NOTHING_DIRECT
  private directBytes = 0
  private directEnds = false
  /** ParseComplete is owed ahead of the answer; the statement it is for. */
  private owedParse: Prepared | undefined

  constructor(options: SessionOptions) {
    this.options = options
    this.node = options.node
    this.planner = options.planner
    this.socket = options.socket
    this.sessionId = options.sessionId
    this.settings = sessionSettings(options.user, options.parameters)
    this.out = new ClientOutput(options.socket)
    this.reader = new FrameReader({ frameBytesMax: options.node.limits.frameBytesMax })
    this.lines = new Array(options.node.shardCount)
    this.identity = {
      kind: 'client',
      user: options.user,
      ...(options.scram === undefined ? {} : { scram: options.scram }),
    }
    this.state = {
      user: options.user,
      database: options.database,
      pinned: false,
      tempTables: new Set(),
      cursors: new Map(),
      suspended: undefined,
      copyOpened: false,
      notifications: [],
    }
    this.slow = new SlowPath(this)
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
      return this.fatal(error instanceof PgError ? error : weftError('internal', { what: String(error) }))
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
      this.reader.push(chunk)
      if (!this.busy) this.pump()
      else if (this.copyFeed !== undefined) this.pumpCopy()
    } catch (error) {
      this.fatal(asPgError(error))
      return
    }
    if (this.reader.pendingBytes > PENDING_BYTES_MAX && this.busy) this.pauseInput()
  }

  private pauseInput(): void {
    if (this.inputPaused) return
    this.inputPaused = true
    this.socket.pause()
  }

  private resumeInput(): void {
    if (!this.inputPaused) return
    this.inputPaused = false
    this.socket.resume()
  }

  /** Handles what the client has sent until a message makes us wait. */
  private pump(): void {
    while (!this.busy && !this.closed) {
      if (this.out.isSlow) {
        // A client that does not take its answers gets no more of them.
        this.pauseInput()
        this.busy = true
        this.out.onceDrained(() => this.idle())
        return
      }
      if (!this.reader.next()) break
      this.message(this.reader.type, this.reader.buffer, this.reader.start, this.reader.end)
    }
    if (this.closed) return
    this.out.flush()
    if (!this.busy) this.resumeInput()
  }

  /** A message is done: on to the next. */
  idle(): void {
    if (this.closed) return
    this.busy = false
    if (!this.batch.isEmpty) this.batch.clear()
    this.copyFeed = undefined
    if (this.asyncMessages.length > 0) this.sayAsync()
    try {
      this.pump()
    } catch (error) {
      this.fatal(asPgError(error))
    }
  }

  private message(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.skipToSync && type !== MSG.sync && type !== MSG.terminate) return
    switch (type) {
      case MSG.query:
        return this.query(buffer, start, end)
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
        this.out.ready(this.statusByte())
        return
      default:
        throw weftError('protocol_violation', { what: `invalid frontend message type ${type}` })
    }
  }

  /** COPY data for the statement that runs. What comes after the data stays where it is until the COPY is over. */
  private pumpCopy(): void {
    const feed = this.copyFeed
    while (this.busy && !this.closed && feed?.isOpen === true && this.reader.next()) {
      const { type, buffer, start, end } = this.reader
      if (type === MSG.terminate) return this.terminate()
      this.waitForRoom(feed.message(type, buffer, start, end))
    }
    if (feed !== undefined) this.waitForRoom(feed.flush())
  }

  readCopy(feed: CopyFeed): void {
    this.copyFeed = feed
    this.resumeInput()
    this.pumpCopy()
  }

  private waitForRoom(room: void | Promise<void>): void {
    if (room === undefined) return
    this.pauseInput()
    const resume = () => this.resumeInput()
    room.then(resume, resume)
  }

  // Simple protocol

  private query(buffer: Buffer, start: number, end: number): void {
    const sqlStart = start + 5
    const sqlEnd = end - 1
    if (buffer[sqlEnd] !== 0) throw weftError('protocol_violation', { what: 'invalid string in message' })
    if (!this.batch.isEmpty) this.batch.clear()
    const verb = quickVerb(buffer, sqlStart, sqlEnd)
    if (verb !== 'none' && this.quick(verb)) return
    const frame = buffer.subarray(start, end)
    if (this.mayGoDirect()) {
      const lexed = this.planner.lex(buffer, sqlStart, sqlEnd)
      const plan = this.planner.lookup(this.scope(), buffer, lexed)
      if (plan !== undefined && plan.kind === 'forward' && this.directQuery(plan, buffer, lexed, frame))
        return
    }
    this.runQuery(frame)
  }

  private runQuery(frame: Buffer): void {
    this.busy = true
    void this.slow.query(frame).then(() => this.idle())
  }

  /** BEGIN, COMMIT and ROLLBACK by themselves, when nothing about them needs thought. */
  private quick(verb: 'begin' | 'commit' | 'rollback'): boolean {
    const { tx } = this
    if (verb === 'begin') {
      if (tx.kind !== 'none') return false
      tx.begin('explicit')
      this.settings.begin()
      this.out.push(BEGIN_ANSWER)
      return true
    }
    const line = tx.joined[0]
    const simple = tx.kind === 'explicit' && tx.joined.length === 1 && line !== undefined
    if (!simple || tx.mapChanged || tx.tainted || this.state.pinned) return false
    if (this.state.notifications.length > 0) return false
    if (tx.failed && (verb === 'commit' || tx.lost)) return false
    const request = line.request
    request.begin = undefined
    request.needs = undefined
    request.pin = false
    request.taints = tx.tainted
    request.swallow = 0
    request.access = verb === 'commit' ? 'commit' : 'read'
    request.payload = verb === 'commit' ? COMMIT_QUERY : ROLLBACK_QUERY
    this.directEnds = true
    if (verb === 'commit') this.settings.commit()
    else this.settings.rollback()
    this.startDirect(line, NOTHING_DIRECT)
    return true
  }

  /** Whether the session's state allows statements to skip the slow path at all. */
  private mayGoDirect(): boolean {
    const { tx } = this
    if (this.out.parameters.isDue) return false
    if (tx.kind === 'none') return true
    if (tx.kind !== 'explicit' || tx.failed || tx.catalogDirty) return false
    if (tx.setReported) return false
    if (tx.hasTicket) return true
    if (!this.node.tickets.tryAcquire()) return false
    tx.hasTicket = true
    return true
  }

  private directQuery(plan: ForwardPlan, buffer: Buffer, lexed: Lexed, frame: Buffer): boolean {
    if (!isDirect(plan)) return false
    this.keys.ofText(buffer, lexed)
    const line = this.directTarget(plan)
    if (line === undefined) return false
    line.request.payload = frame
    line.request.needs = undefined
    this.startDirect(line, { frame, batch: false })
    return true
  }

  /** Finds the shard of a direct statement and fills in everything of the request but payload and needs. */
  private directTarget(plan: ForwardPlan): ShardLine | undefined {
    const { tx } = this
    const preferred = tx.joined[0]?.shard ?? HOME
    const catalog = this.scope().catalog
    const shard = routeNow(plan.route, this.keys, catalog, preferred)
    if (shard === NOT_ONE) return undefined
    const line = this.line(shard)
    if (tx.kind === 'explicit' && !line.joined && tx.modes.isolation !== undefined && tx.joined.length > 0) {
      return undefined
    }
    const request = line.request
    tx.enter(line, plan.access === 'write')
    request.mapVersion = catalog.version
    request.settings = this.settings.effective()
    request.access = plan.access
    request.pin = shard === HOME && this.state.pinned
    request.taints = tx.tainted
    request.swallow = 0
    return line
  }

  private startDirect(line: ShardLine, direct: ClientSession['direct']): void {
    this.busy = true
    this.direct = direct
    this.directBytes = 0
    this.out.flush()
    line.exec(this)
  }

  // Replies of a direct exec (ReplyConsumer)

  data(line: ShardLine, chunk: Buffer, ready: number): void {
    if (this.closed) return
    if (this.owedParse !== undefined && this.directBytes === 0 && chunk.length > 0) this.payParse(chunk)
    this.directBytes += chunk.length
    if (ready === 0) {
      if (this.out.send(chunk)) return
      line.session.pause()
      this.out.onceDrained(() => line.session.resume())
      return
    }
    this.out.send(this.directDone(line, chunk, ready))
    this.idle()
  }

  /** Notes what the end of a direct exec means for the transaction; the client must see the session's own status. */
  private directDone(line: ShardLine, chunk: Buffer, ready: number): Buffer {
    const { tx } = this
    if (tx.kind !== 'explicit') return chunk
    if (this.directEnds) {
      this.directEnds = false
      this.slow.endTransaction()
      return chunk
    }
    if (ready === STATUS.inTransaction) return chunk
    tx.failed = true
    if (ready !== STATUS.idle) return chunk
    // BEGIN itself failed on the shard, or the statement ended the block there: for the client it is a failed block.
    tx.leave(line)
    const patched = Buffer.from(chunk)
    patched[patched.length - 1] = STATUS.failed
    return patched
  }

  /** An error as the first answer may be the Parse's: then the statement does not exist. */
  private payParse(chunk: Buffer): void {
    const statement = this.owedParse!
    this.owedParse = undefined
    if (chunk[0] !== MSG.errorResponse) this.out.push(PARSE_COMPLETE)
    else this.prepared.delete(statement.name)
  }

  failed(line: ShardLine, error: PgError, sent: boolean): void {
    if (this.closed) return
    const { tx, direct } = this
    const ending = this.directEnds
    this.directEnds = false
    const hasParse = this.owedParse
    this.owedParse = undefined
    if (line.joined && !line.session.holdsBackend) tx.leave(line)
    if (this.directBytes > 0) return this.fatal(error)
    if (ending) {
      this.slow.endTransaction()
    }
    if (hasParse !== undefined) this.prepared.delete(hasParse.name)
    if (!ending && isStale(error) && !sent) {
      tx.lost = false
      return this.retry(direct)
    }
    if (tx.kind === 'explicit') tx.failed = true
    this.out.push(errorResponse(error.fields))
    this.out.ready(this.statusByte())
    this.idle()
  }

  /** The shard map was stale and nothing ran: plan again, the slow way. */
  private retry(direct: ClientSession['direct']): void {
    const again = direct.batch ? this.slow.batch(this.batch, true) : this.slow.query(direct.frame!)
    void again.then(() => this.idle())
  }

  // Extended protocol

  private extended(type: number, buffer: Buffer, start: number, end: number): void {
    try {
      this.batch.add(type, buffer, start, end)
    } catch (error) {
      if (error instanceof PgError && error.severity === 'FATAL') throw error
      this.slow.fail(asPgError(error))
      this.batch.clear()
      this.skipToSync = true
      return
    }
    if (this.batch.isFull) this.runBatch(false)
  }

  private sync(): void {
    if (this.skipToSync || this.batch.isEmpty) {
      this.skipToSync = false
      this.batch.clear()
      if (this.tx.kind === 'implicit') return this.runBatch(true)
      this.out.ready(this.statusByte())
      return
    }
    if (this.mayGoDirect() && this.directBatch()) return
    this.runBatch(true)
  }

  private directBatch(): boolean {
    const found = directBatch(this, this.batch)
    if (found === undefined || !isDirect(found.plan)) return false
    this.keys.ofBind(found.statement, found.bind)
    const line = this.directTarget(found.plan)
    if (line === undefined) return false
    const ref = found.statement.refUnder(this.scope(), this.planner)
    line.request.payload = this.batch.payload(found, ref)
    line.request.needs = ref === undefined ? undefined : needing(ref)
    if (found.parsed) this.owedParse = found.statement
    this.startDirect(line, BATCH_DIRECT)
    return true
  }

  /** Runs what was gathered; `synced`: a Sync ended it. */
  private runBatch(synced: boolean): void {
    this.busy = true
    void this.slow.batch(this.batch, synced).then((end) => {
      if (!end.ok && !end.synced) this.skipToSync = true
      this.idle()
    })
  }

  // ExecContext

  line(shard: number): ShardLine {
    const known = this.lines[shard]
    if (known !== undefined) return known
    const line = new ShardLine(shard, this.settings.effective(), (chunk) => this.async(chunk))
    line.session = this.node.links[shard]!.open(this.sessionId, this.identity, line)
    this.lines[shard] = line
    return line
  }

  currentSettings(): Settings {
    return this.settings.effective()
  }

  searchPath(): readonly string[] {
    return this.path
  }

  /** The effective search path changed (SET, role, ROLLBACK). */
  setSearchPath(path: readonly string[]): void {
    this.path = path
    this.planScope = undefined
  }

  forgetScope(): void {
    this.keepsScope = false
    this.planScope = undefined
  }

  /** Under what statements are planned now; the shared scope unless the session has names of its own. */
  scope(): PlanScope {
    const catalog = this.node.catalogs.current
    const known = this.planScope
    if (known !== undefined && (known.cache === undefined ? this.keepsScope : isLive(known, catalog)))
      return known
    const { tempTables } = this.state
    this.keepsScope = false
    this.planScope =
      tempTables.size > 0
        ? this.planner.privateScope(catalog, this.path, tempTables)
        : this.planner.scope(catalog, this.path)
    return this.planScope
  }

  /** Plans with the transaction's own, uncommitted catalog until `forgetScope`. */
  usePrivateCatalog(catalog: Catalog): void {
    this.planScope = this.planner.privateScope(catalog, this.path, this.state.tempTables)
    this.keepsScope = true
  }

  catalog(): Promise<Catalog> {
    return this.slow.catalog()
  }

  needTransaction(): Promise<void> {
    return this.slow.needTransaction()
  }

  admit(): Promise<void> {
    return this.slow.admit()
  }

  planText(text: string, paramTypes: readonly number[]): Promise<Plan> {
    return this.slow.planText(text, paramTypes)
  }

  runPrepared(exec: Execution, plan: PreparedPlan): Promise<void> {
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
    this.slow.cancelled()
    for (const line of this.lines) if (line?.active) line.session.cancel()
  }

  private async(chunk: Buffer): void {
    this.asyncMessages.push(chunk)
    if (!this.busy) this.sayAsync()
  }

  private sayAsync(): void {
    const messages = this.asyncMessages
    this.asyncMessages = []
    for (const message of messages) this.out.push(message)
    this.out.flush()
  }

  /** This node stops: the client is told, as Postgres tells on shutdown. */
  shutDown(): void {
    this.fatal(weftError('shutting_down', {}))
  }

  private terminate(): void {
    this.socket.end()
    this.close()
  }

  /** Says why, then hangs up. */
  fatal(error: PgError): void {
    if (this.closed) return
    this.out.push(errorResponse({ ...error.fields, severity: 'FATAL' }))
    this.out.flush()
    this.socket.end()
    this.close()
  }

  /** The client is gone, or is sent away: its transaction is rolled back everywhere at once. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.out.abandon()
    this.slow.close(() => {
      for (const line of this.lines) {
        line?.abandon()
        line?.session.close()
      }
      if (this.tx.hasTicket) this.node.tickets.release()
      this.tx.hasTicket = false
      this.options.onClosed()
    })
    this.socket.destroySoon()
  }
}

const NOTHING_DIRECT = { frame: undefined, batch: false } as const
const BATCH_DIRECT = { frame: undefined, batch: true } as const

const FUNCTION_CALL = weftError('not_supported', {
  what: 'the fast-path function call protocol is not supported',
  hint: 'Call the function with SELECT.',
})

/** Statements that change nothing about the session may go direct. */
function isDirect(plan: ForwardPlan): boolean {
  const { effects } = plan
  return (
    !effects.pins &&
    !effects.mayUnpin &&
    !effects.taintsBackend &&
    !plan.outsideTransaction &&
    plan.tag !== 'NOTIFY' &&
    plan.tag !== 'COPY'
  )
}

function isLive(scope: PlanScope, catalog: Catalog): boolean {
  return scope.catalog === catalog && scope.cache?.version === catalog.version
}

function isStale(error: PgError): boolean {
  return error.code === '40001' && error.message === STALE_MESSAGE
}
const STALE_MESSAGE = weftError('stale_map', { have: 0, need: 0 }).message

function asPgError(error: unknown): PgError {
  return error instanceof PgError ? error : weftError('internal', { what: String(error) }, error)
}
