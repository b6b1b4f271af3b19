import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import { SEQUENCES, SWALLOW_PARSE_COMPLETE } from '../../protocol/agent-link.ts'
import {
  errorResponse,
  PARSE_COMPLETE,
  parseErrorFields,
  readyForQuery,
} from '../../protocol/wire/backend-messages.ts'
import { MSG, STATUS } from '../../protocol/wire/frames.ts'
import type { CustomUse } from '../../sql/code/custom-settings.ts'
import type { Lexed } from '../../sql/lex/lexed.ts'
import type { ForwardPlan } from '../../sql/plan/plan.ts'
import { RowTypesStream } from '../execute/answers/row-types.ts'
import { HOME } from '../execute/context.ts'
import { customUseOf } from '../execute/plans/custom-use.ts'
import { StatementKeys } from '../execute/plans/key-slots.ts'
import { NOT_ONE, routeNow } from '../execute/route.ts'
import { mayRunAgain } from '../execute/shards/run-again.ts'
import { needing, type ReplyConsumer, type ShardLine } from '../execute/shards/shard-line.ts'
import { execSettings } from '../settings/exec-settings.ts'
import { type Batch, directBatch } from './batch.ts'
import type { ClientSession } from './client-session.ts'
import type { MessageLoop } from './message-loop.ts'
import type { Prepared } from './prepared.ts'
import { endsSession, survived } from './session-timers.ts'
import type { SlowPath } from './slow-path.ts'

const BEGIN_ANSWER = Buffer.concat([
  Buffer.from('C\0\0\0\x0aBEGIN\0', 'latin1'),
  readyForQuery(STATUS.inTransaction),
])
const NOTHING = Buffer.alloc(0)
const COMMIT_QUERY = Buffer.from('Q\0\0\0\x0bCOMMIT\0', 'latin1')
const ROLLBACK_QUERY = Buffer.from('Q\0\0\0\x0dROLLBACK\0', 'latin1')

/** What to run again, the slow way, when the shard map turned out to be stale. */
interface Direct {
  readonly frame: Buffer | undefined
  readonly batch: Batch | undefined
}

/**
 * Statements whose plan is cached and whose shard can be told at once: their bytes go to the shard, the shard's bytes
 * come back, nothing is awaited and nothing decoded. One at a time, like everything in a session.
 */
export class DirectPath implements ReplyConsumer {
  private readonly session: ClientSession
  private readonly loop: MessageLoop
  private readonly slow: SlowPath
  private readonly keys = new StatementKeys()
  private direct: Direct = NOTHING_DIRECT
  private bytes = 0
  /** Of the answer, what came last but for its end. */
  private before: Buffer = NOTHING
  private readonly rowTypes = new RowTypesStream()
  /** The exec is a COMMIT or ROLLBACK of the transaction. */
  private ends = false
  /** A failure after sending leaves open whether it took effect: a COMMIT, or an autocommit write. */
  private commits = false
  /** ParseComplete is owed ahead of the answer; the statement it is for. */
  private owedParse: Prepared | undefined

  constructor(session: ClientSession, loop: MessageLoop, slow: SlowPath) {
    this.session = session
    this.loop = loop
    this.slow = slow
  }

  /** BEGIN, COMMIT and ROLLBACK by themselves, when nothing about them needs thought. */
  quick(verb: 'begin' | 'commit' | 'rollback'): boolean {
    const { session } = this
    const { tx } = session
    if (verb === 'begin') {
      if (tx.kind !== 'none') return false
      session.times.message()
      session.tracing?.heard(undefined)
      session.node.statistics.ran(session.node.statistics.begin, 0, 0, 0)
      tx.begin('explicit')
      session.settings.begin()
      session.out.push(BEGIN_ANSWER)
      return true
    }
    if (verb === 'commit' && tx.joined.length > 1) return this.commitAcross()
    const line = tx.joined[0]
    const simple = tx.kind === 'explicit' && tx.joined.length === 1 && line !== undefined
    if (
      !simple ||
      tx.mapChanged ||
      tx.defaultsChanged ||
      tx.ranDdl ||
      tx.tainted ||
      session.state.kept.size > 0
    )
      return false
    if (session.state.notifications.length > 0) return false
    // What they run is to be looked at.
    if (verb === 'commit' && tx.deferred !== undefined) return false
    if (tx.failed && (verb === 'commit' || tx.lost)) return false
    const request = line.request
    request.begin = undefined
    request.needs = undefined
    request.pin = false
    request.taints = tx.tainted
    request.unsettles = undefined
    request.asItIs = undefined
    request.sequences = 0
    request.swallow = 0
    request.commits = undefined
    request.access = verb === 'commit' ? 'commit' : 'read'
    request.payload = verb === 'commit' ? COMMIT_QUERY : ROLLBACK_QUERY
    this.ends = true
    this.commits = verb === 'commit'
    tx.beginsToEnd()
    if (verb === 'commit') session.settings.commit()
    else session.settings.rollback()
    session.tracing?.heard(undefined)
    session.timer.beginAs(session.node.statistics[verb])
    this.start(line, NOTHING_DIRECT, false)
    return true
  }

  /** COMMIT over several shards takes its time, but nothing has to be planned for it. */
  private commitAcross(): boolean {
    const { session, slow } = this
    const { tx } = session
    if (tx.kind !== 'explicit' || tx.failed || session.state.kept.size > 0) return false
    this.loop.occupy()
    session.tracing?.heard(undefined)
    void slow.commitBlock().then(() => this.loop.idle())
    return true
  }

  /** Whether the session's state allows statements to skip the slow path at all. */
  mayGo(): boolean {
    const { tx, out, node, strings } = this.session
    if (out.parameters.isDue || out.text !== undefined || strings.areEscaped) return false
    if (tx.kind === 'none') return true
    if (tx.kind !== 'explicit' || tx.failed || tx.catalogDirty) return false
    if (tx.setReported) return false
    if (!tx.hasSnapshot && this.session.hasTransactionSnapshots) return false
    // It would be replaced in the backend, where it has another name.
    if (this.slow.batches.portals.hasOpenUnnamed) return false
    if (tx.hasTicket) return true
    if (!node.tickets.tryAcquire()) return false
    tx.hasTicket = true
    return true
  }

  /** Runs a Query message; false: not this way. */
  query(plan: ForwardPlan, buffer: Buffer, lexed: Lexed, frame: Buffer): boolean {
    if (!isDirect(plan) || this.needsTime(plan) || this.asksOnHeld(plan)) return false
    const { keys } = this
    keys.ofText(buffer, lexed)
    const isAbout = plan.effects.custom !== undefined
    const text = isAbout ? buffer.toString('utf8', lexed.start, lexed.end) : ''
    const line = this.target(plan, isAbout ? customUseOf({ plan, text, bind: undefined, keys }) : undefined)
    if (line === undefined) return false
    line.request.payload = frame
    line.request.needs = undefined
    this.session.tracing?.heard(frame)
    this.session.timer.begin(plan)
    this.start(line, { frame, batch: undefined }, plan.tag !== 'SHOW')
    return true
  }

  /** By itself on one shard it may tell that shard's. */
  private needsTime({ times }: ForwardPlan): boolean {
    return times !== undefined && this.session.tx.kind !== 'none'
  }

  /** In a backend that is the session's already: it may have to be asked another way (`settings/asked-settings.ts`). */
  private asksOnHeld({ effects }: ForwardPlan): boolean {
    const { tx, state } = this.session
    return effects.custom?.inText === true && (tx.joined.length > 0 || state.kept.size > 0)
  }

  /** Finds the shard of a direct statement and fills in everything of the request but payload and needs. */
  private target(plan: ForwardPlan, custom: CustomUse | undefined): ShardLine | undefined {
    const { session } = this
    const { tx } = session
    const preferred = tx.joined[0]?.shard ?? HOME
    const catalog = session.scope().catalog
    const shard = routeNow(plan.route, this.keys, catalog, preferred)
    if (shard === NOT_ONE) return undefined
    const line = session.line(shard)
    // A shard that was away when the transaction took its snapshot: refused, with more to be done than here.
    if (tx.hasSnapshot && !line.joined) return undefined
    const request = line.request
    tx.enter(line, plan.access === 'write')
    request.mapVersion = catalog.version
    const code = tx.kind === 'none' ? undefined : catalog.code
    const compiles = plan.effects.compiles === true
    request.settings = execSettings(session.settings.effective(), compiles, custom, code)
    request.access = plan.access
    request.commits = undefined
    request.pin = line.kept
    request.taints = tx.tainted
    request.unsettles = undefined
    request.asItIs = undefined
    const { sequences } = plan.effects
    request.sequences = sequences === 0 ? 0 : session.state.drawn.on(line, sequences)
    request.swallow = 0
    this.commits = tx.kind === 'none' && plan.access === 'write'
    return line
  }

  private start(line: ShardLine, direct: Direct, looks = true): void {
    this.loop.occupy()
    this.direct = direct
    this.bytes = 0
    this.before = NOTHING
    this.session.out.flush()
    this.rowTypes.begin(line.typeNumbers, line.missedType)
    line.exec(this, looks)
    if (line.active && line.request.seen !== undefined) this.session.timers.waitsForShard()
  }

  // Replies (ReplyConsumer)

  data(line: ShardLine, given: Buffer, ready: number): void {
    const { session } = this
    if (session.closed) return
    const chunk = this.rowTypes.pass(given, ready !== 0)
    if (chunk.length === 0 && ready === 0) return
    if (this.owedParse !== undefined && this.bytes === 0 && chunk.length > 0) this.payParse(chunk)
    this.bytes += chunk.length
    if (ready === 0) {
      this.before = chunk
      if (session.out.send(chunk)) return
      line.session.pause()
      session.out.onceDrained(() => line.session.resume())
      return
    }
    session.timers.shardAnswered()
    session.timer.ended(chunk, this.before)
    this.before = NOTHING
    session.out.sendEnd(this.done(line, chunk, ready))
    this.loop.idle()
  }

  /** Notes what the end means for the transaction; the client must see the session's own status. */
  private done(line: ShardLine, chunk: Buffer, ready: number): Buffer {
    const { tx } = this.session
    if (tx.kind !== 'explicit') return chunk
    if (this.ends) {
      this.ends = false
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

  /** An error as the first answer may be the Parse's: then the statement does not exist. Else it is the Bind's. */
  private payParse(chunk: Buffer): void {
    const statement = this.owedParse!
    this.owedParse = undefined
    if (chunk[0] === MSG.errorResponse && isOfParse(chunk)) this.session.prepared.delete(statement.name)
    else this.session.out.push(PARSE_COMPLETE)
  }

  failed(line: ShardLine, error: PgError, sent: boolean): void {
    const { session, direct, ends } = this
    session.timers.shardAnswered()
    if (session.closed) return
    const { tx } = session
    const parsed = this.owedParse
    this.ends = false
    this.owedParse = undefined
    if (line.joined && !line.session.holdsBackend) tx.leave(line)
    const told =
      sent && this.commits ? weftError('commit_unknown', { shard: line.shard, why: error.message }) : error
    if (this.bytes > 0) return session.fatal(told)
    if (ends) this.slow.endTransaction()
    if (parsed !== undefined) session.prepared.delete(parsed.name)
    if (!ends && mayRunAgain(error, sent)) {
      tx.lost = false
      return this.loop.runSlowly(direct)
    }
    session.timer.failed(told)
    if (endsSession(told) || this.slow.pins.lost() !== undefined) return session.fatal(told)
    if (tx.kind === 'explicit') tx.failed = true
    session.out.push(errorResponse(survived(told).fields))
    session.out.ready(session.statusByte())
    this.loop.idle()
  }

  // Extended protocol

  /** Runs a batch that a Sync ended; false: not this way. */
  batch(batch: Batch): boolean {
    const { session } = this
    const found = directBatch(session, batch)
    if (found === undefined || !isDirect(found.plan) || this.needsTime(found.plan)) return false
    if (this.asksOnHeld(found.plan)) return false
    const { statement, bind, plan } = found
    const { keys } = this
    keys.ofBind(statement, bind, plan.paramsToDescribe)
    const isAbout = plan.effects.custom !== undefined
    const line = this.target(
      plan,
      isAbout ? customUseOf({ plan, text: statement.text, bind, keys }) : undefined,
    )
    if (line === undefined) return false
    const ref = found.statement.refUnder(session.scope(), session.planner, session.node.schema.epoch)
    line.request.payload = batch.payload(found, ref, line)
    line.request.needs = ref === undefined ? undefined : needing(ref)
    // A Parse is part of the payload then, wanted or not; the client's own is answered from here.
    line.request.swallow = ref === undefined ? SWALLOW_PARSE_COMPLETE : 0
    if (found.parsed) this.owedParse = found.statement
    session.tracing?.heard(statement.sql)
    session.timer.begin(plan)
    this.start(line, { frame: undefined, batch }, found.plan.tag !== 'SHOW')
    return true
  }
}

const NOTHING_DIRECT: Direct = { frame: undefined, batch: undefined }

/** Statements that change nothing about the session may go direct. */
function isDirect(plan: ForwardPlan): boolean {
  const { effects } = plan
  return (
    !effects.pins &&
    !effects.mayUnpin &&
    !effects.taintsBackend &&
    (effects.sequences & SEQUENCES.sets) === 0 &&
    !plan.outsideTransaction &&
    plan.maintenance !== true &&
    plan.locksCopies !== true &&
    effects.locksHome === undefined &&
    plan.commits === undefined &&
    plan.sentAs === undefined &&
    plan.setsKey === undefined &&
    plan.doesNothing === undefined &&
    plan.reach === undefined &&
    plan.tag !== 'NOTIFY' &&
    plan.tag !== 'COPY'
  )
}

/** Whether an error is one that Parse raises: it has a place in the text, or is about names and types. */
function isOfParse(chunk: Buffer): boolean {
  const end = 1 + chunk.readInt32BE(1)
  if (end > chunk.length) return false
  const { code, position } = parseErrorFields(chunk, 5, end)
  return position !== undefined || (code.startsWith('42') && code !== '42501')
}
