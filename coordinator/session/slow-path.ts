import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { commandComplete, EMPTY_QUERY_RESPONSE, errorResponse } from '../../protocol/wire/backend-messages.ts'
import { query } from '../../protocol/wire/frontend-messages.ts'
import type { Catalog } from '../../sql/catalog.ts'
import { NO_CUSTOM_USE } from '../../sql/code/custom-settings.ts'
import { NO_EFFECTS } from '../../sql/code/effects.ts'
import { lexedOf } from '../../sql/lex/scan.ts'
import type { ToldContext } from '../../sql/plan/gather/gather-plan.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import type { Execution } from '../execute/context.ts'
import { LONG_TEXT_BYTES } from '../execute/plans/parse-turns.ts'
import { type Planned, type PlanScope, refuseTooLong, type Statement } from '../execute/plans/planner.ts'
import { run } from '../execute/run.ts'
import { discardSequences } from '../execute/settings/discard-sequences.ts'
import { commitTransaction, rollbackTransaction } from '../execute/transaction/end-transaction.ts'
import { needsNoMap } from '../execute/transaction/map-change.ts'
import { lockBeforeSnapshot } from '../execute/transaction/open-snapshot.ts'
import { nextTurn } from '../execute/transaction/turn.ts'
import { changesReported, isReported } from '../settings/reported.ts'
import type { Batch } from './batch.ts'
import { type BatchEnd, BatchRunner } from './batch-runner.ts'
import type { ClientSession } from './client-session.ts'
import { beginEncoded } from './encoded-statement.ts'
import { runFunctionCall } from './function-call.ts'
import { namesSaid } from './names-said.ts'
import { asPostgresTells } from './parser-error.ts'
import { Pins } from './pins.ts'
import { Reruns } from './reruns.ts'
import { SessionParameters } from './session-parameters.ts'
import { endsSession, survived } from './session-timers.ts'
import {
  bringsItsOwn,
  endsFailure,
  isOutside,
  moved,
  rollsBack,
  simpleExecution,
  worded,
} from './simple-statement.ts'
import { TransactionMemory } from './transaction-memory.ts'
import { loadUncommitted } from './uncommitted-catalog.ts'
import type { ReadText } from './written-strings.ts'

const COMMIT_COMPLETE = commandComplete('COMMIT')
const STATEMENTS_PER_TURN = 64

type MakeExecution = (scope: PlanScope) => Execution | Promise<Execution>

const LOCK_OUTSIDE = new PgError({
  code: '25P01',
  message: 'LOCK TABLE can only be used in transaction blocks',
})

/** Everything of a session that needs to wait, or think: parsing, several shards, transactions, settings. */
export class SlowPath {
  readonly pins: Pins
  private readonly parameters: SessionParameters
  private readonly session: ClientSession
  readonly batches: BatchRunner
  private readonly memory: TransactionMemory
  private readonly reruns: Reruns
  private privateCatalog: Catalog | undefined
  /** A commit that must come to its end even if the client leaves. */
  private committing: Promise<void> | undefined

  constructor(session: ClientSession) {
    this.session = session
    this.pins = new Pins(session)
    this.parameters = new SessionParameters(session)
    this.batches = new BatchRunner(session, this)
    this.reruns = new Reruns(session, this)
    this.memory = new TransactionMemory(session.memory.account('transaction'), session.state.notifications)
  }

  greet(): Promise<void> {
    return this.parameters.greet()
  }

  reportParameters(): Promise<void> {
    return this.parameters.report()
  }

  // Simple protocol

  /** Runs a Query message to its ReadyForQuery. Never rejects. */
  async query(frame: Buffer): Promise<void> {
    const { session } = this
    session.admission.begin()
    session.times.message()
    session.tracing?.heard(frame)
    let read: ReadText | undefined
    try {
      refuseTooLong(frame.length)
      read = session.strings.read(frame.subarray(5, frame.length - 1))
      await this.statements(read === undefined ? frame : query(read.sql))
      if (session.tx.kind === 'implicit') await this.commit()
      session.out.releaseHeld()
    } catch (error) {
      await this.recover(error, read)
    }
    session.tracing?.idle()
    session.out.ready(session.statusByte())
  }

  /** Runs a FunctionCall message to its ReadyForQuery. Never rejects. */
  async functionCall(frame: Buffer): Promise<void> {
    const { session } = this
    session.admission.begin()
    session.times.message()
    try {
      await session.timers.timed(() => runFunctionCall(session, frame))
      if (session.tx.kind === 'implicit') await this.commit()
    } catch (error) {
      await this.recover(error)
    }
    session.out.ready(session.statusByte())
  }

  /** Answers a Query that this node has no memory for. Never rejects. */
  async refused(error: PgError): Promise<void> {
    const { session } = this
    this.session.admission.begin()
    await this.recover(error)
    session.out.ready(session.statusByte())
  }

  /** Runs a COMMIT of several shards by itself, to its ReadyForQuery. Never rejects. */
  async commitBlock(): Promise<void> {
    const { session } = this
    this.session.admission.begin()
    try {
      await session.timer.committed(() => this.commit())
      session.out.push(COMMIT_COMPLETE)
    } catch (error) {
      await this.recover(error)
    }
    session.out.ready(session.statusByte())
  }

  private async statements(frame: Buffer): Promise<void> {
    const { session } = this
    await this.batches.portals.dropUnnamed()
    const turn = session.planner.turns.turn(frame.length)
    if (turn !== undefined) await turn
    const text = frame.toString('utf8', 5, frame.length - 1)
    const known = this.fromCache(await this.scope(), frame, text)
    if (known !== undefined)
      return this.statement(
        (scope) => this.fromCache(scope, frame, text) ?? this.parsedAlone(scope, frame, text),
        true,
      )
    const parse = () => session.planner.statements(text)
    const statements = await (session.tracing === undefined ? parse() : session.tracing.timed('parse', parse))
    if (frame.length >= LONG_TEXT_BYTES) await nextTurn()
    if (statements.length === 0) session.out.push(EMPTY_QUERY_RESPONSE)
    const alone = statements.length === 1
    const isEscaped = session.strings.areEscaped
    let done = 0
    for (const statement of statements) {
      session.out.releaseHeld()
      // What came before it may have changed how strings are read.
      const again = isEscaped ? undefined : session.strings.again(statement.text)
      try {
        if (again !== undefined) await this.readAgain(again)
        else {
          const own = alone ? frame : query(statement.text)
          await this.statement((scope) => this.fromText(scope, statement, own), alone)
        }
      } catch (error) {
        throw moved(error, text, statement.start)
      }
      if (session.out.isSlow) await session.out.room()
      // Of those that ask no shard nobody else would get a turn.
      if (++done % STATEMENTS_PER_TURN === 0) await nextTurn()
    }
  }

  private async readAgain({ sql, back }: ReadText): Promise<void> {
    try {
      await this.statement((scope) => this.parsedAlone(scope, query(sql), sql.toString('utf8')), false)
    } catch (error) {
      throw error instanceof PgError ? back(error) : error
    }
  }

  /** A message whose plan is known needs no parser; only one that is a single statement is ever found. */
  private fromCache(scope: PlanScope, frame: Buffer, text: string): Execution | undefined {
    if (frame.length > LONG_TEXT_BYTES) return undefined
    const sql = frame.subarray(5, frame.length - 1)
    const lexed = lexedOf(sql)
    const plan = this.session.planner.lookup(scope, sql, lexed)
    return plan === undefined ? undefined : simpleExecution(plan, text, frame, sql, lexed)
  }

  private async parsedAlone(scope: PlanScope, frame: Buffer, text: string): Promise<Execution> {
    const [statement] = await this.session.planner.statements(text)
    return this.fromText(scope, statement!, frame)
  }

  private fromText(scope: PlanScope, statement: Statement, frame: Buffer): Execution | Promise<Execution> {
    const { planner, tracing } = this.session
    const whole = statement.start === 0 ? frame.subarray(5, frame.length - 1) : undefined
    const plan = () => planner.planned(scope, statement, [], whole)
    const made = tracing === undefined ? plan() : tracing.timed('plan', plan)
    const asRun = ({ plan, sql, lexed }: Planned) => simpleExecution(plan, statement.text, frame, sql, lexed)
    return made instanceof Promise ? made.then(asRun) : asRun(made)
  }

  // One statement

  /**
   * Plans and runs one statement; plans again when the shard map changed before any of it ran. `alone`: it is a
   * transaction of its own, to be committed here if it needed one.
   */
  statement(make: MakeExecution, alone: boolean): Promise<void> {
    return this.session.timers.timed(() => this.untilRun(make, alone))
  }

  /** Before a refusal is told: whether another map than that of `version` was the newest. Now this node has it. */
  wasOutdated(version: number): Promise<boolean> {
    return this.reruns.wasOutdated(version)
  }

  /** Runs it again for as long as it is refused, or cancelled unseen, because the shard map has changed. */
  untilCurrent<T>(work: () => Promise<T>): Promise<T> {
    return this.reruns.untilCurrent(work)
  }

  private async untilRun(make: MakeExecution, alone: boolean): Promise<void> {
    const work = async () => this.concluded(await this.reruns.untilDone(make, alone), alone)
    await this.session.timer.timed(work)
  }

  async execute(exec: Execution, alone: boolean): Promise<void> {
    const { session } = this
    const { tx } = session
    const { plan } = exec
    if (tx.failed && !endsFailure(plan)) throw weftError('in_failed_transaction', {})
    if (plan.tag === 'LOCK TABLE' && alone && tx.kind === 'none') throw LOCK_OUTSIDE
    if (!alone && tx.kind === 'none' && !bringsItsOwn(plan) && !isOutside(exec)) {
      tx.begin('implicit', {}, exec.bind === undefined)
      session.settings.begin()
    }
    if (session.text.isOther) beginEncoded(session, exec, alone)
    const locksFirst = plan.tag === 'LOCK TABLE' && session.hasTransactionSnapshots && !tx.hasSnapshot
    if (plan.effects.pins) this.pins.acquire()
    if (plan.kind === 'transaction' || plan.kind === 'setting') needsNoMap(session)
    if (rollsBack(plan, tx.failed)) session.timers.rollsBack()
    if (plan.kind === 'transaction') await this.guardCommit(run(session, exec))
    else if (locksFirst) await lockBeforeSnapshot(session, () => run(session, exec))
    else await run(session, exec)
    session.out.assertSaid()
  }

  /** The statement has run, whatever becomes of what there is to see to after it. */
  private async concluded(exec: Execution, alone: boolean): Promise<Execution> {
    const { session } = this
    const { plan } = exec
    const { kept, leaving } = session.state
    needsNoMap(session)
    const { pins, mayUnpin } = plan.effects
    if (session.tx.isOpen) this.memory.review(session.tx)
    if (kept.size > 0) this.pins.saw(namesSaid(exec, session.state.maySetNames, session.scope().catalog.code))
    // Settings of a function, a role or a database are tried when they are given.
    if (plan.kind === 'ddl') for (const name of session.state.custom?.sets ?? []) session.settings.touch(name)
    if (alone && session.tx.kind === 'implicit') await this.commit()
    if (plan.kind === 'setting' || plan.kind === 'transaction') await this.afterSession(plan)
    const maySee =
      leaving !== NO_EFFECTS || pins || mayUnpin || plan.kind === 'ddl' || plan.kind === 'transaction'
    if (kept.size > 0 && maySee) await this.look()
    return exec
  }

  /** At what statements have left in the backends that the session keeps. */
  private async look(): Promise<void> {
    const { tx } = this.session
    if (tx.failed) return
    const changed = await this.pins.look()
    if (changed.length > 0) this.parameters.changed(changed.some(isReported))
  }

  /** Within a statement, which takes it back. */
  settingsChanged(): void {
    this.parameters.changed(false)
  }

  /** SET and ROLLBACK may have changed what names mean. */
  private async afterSession(plan: Plan): Promise<void> {
    const { tx, timers } = this.session
    if (tx.isOpen) timers.inTransaction()
    else this.endTransaction()
    if (plan.kind === 'transaction' && plan.chain) this.portalsEnd()
    if (plan.kind === 'setting') {
      this.parameters.changed(changesReported(plan))
    } else if (!tx.isOpen || (plan.kind === 'transaction' && plan.verb === 'rollback-to')) {
      if (!tx.isOpen && this.session.state.kept.size > 0) await this.look()
      await this.parameters.takeBack()
    }
  }

  /** Commits the running transaction. */
  async commit(): Promise<void> {
    needsNoMap(this.session)
    await this.session.timers.timed(() => this.guardCommit(commitTransaction(this.session)))
    this.endTransaction()
    if (this.session.state.kept.size > 0) await this.look()
    await this.parameters.takeBack()
  }

  /** A client that leaves now does not stop it. */
  private async guardCommit(work: Promise<void>): Promise<void> {
    this.committing = work.catch(() => {})
    try {
      await work
    } finally {
      this.committing = undefined
    }
  }

  /** An error that happened outside of any shard: says it and fails the transaction. */
  fail(error: PgError): void {
    const { session } = this
    session.out.releaseHeld()
    if (session.tx.kind === 'explicit') session.tx.failed = true
    session.out.push(errorResponse(survived(error).fields))
  }

  /**
   * Answers an error, and leaves the transaction as Postgres would: failed, or rolled back when it was implicit. `read`: the
   * text that it is of.
   */
  async recover(error: unknown, read?: ReadText): Promise<void> {
    const { session } = this
    const told = worded(session.node.log, await asPostgresTells(session, error))
    const said = read === undefined ? told : read.back(told)
    session.timer.failed(said)
    if (endsSession(said) || this.pins.lost() !== undefined) return session.fatal(said)
    session.out.dropHeld()
    session.out.dropOwed()
    if (session.tx.kind === 'explicit') session.tx.failed = true
    if (session.tx.kind === 'implicit') await rollbackTransaction(session)
    session.out.push(errorResponse(survived(said).fields))
    if (session.tx.isOpen) return
    this.endTransaction()
    // What the statement left before it failed, locks for one, is there.
    if (session.state.kept.size > 0) await this.lookAfterError()
    await this.parameters
      .takeBack()
      .catch((err: unknown) =>
        session.node.log.warn({ err }, 'parameters could not be read after a rollback'),
      )
  }

  private async lookAfterError(): Promise<void> {
    try {
      await this.look()
    } catch (err) {
      this.session.node.log.warn({ err }, 'backends of a session could not be looked at')
      await this.pins.release()
    }
  }

  /** With their transaction, but for what is held. */
  private portalsEnd(): void {
    const { state, portals } = this.session
    portals.clear()
    for (const [name, { holds }] of state.cursors) {
      if (!holds || state.kept.size === 0) state.cursors.delete(name)
    }
    state.cursorsLeave = NO_EFFECTS
    state.cursorsReach = undefined
    state.cursorSequences = 0
    state.cursorsCustom = NO_CUSTOM_USE
  }

  /** The transaction is over on every shard. */
  endTransaction(): void {
    const { session } = this
    if (session.tx.ranDdl) session.node.schema.epoch++
    if (session.tx.isOpen) session.tx.end()
    this.memory.review(session.tx)
    if (session.tx.hasTicket) {
      session.tx.hasTicket = false
      session.node.tickets.release()
    }
    if (this.privateCatalog !== undefined) {
      this.privateCatalog = undefined
      session.scopes.forget()
    }
    this.portalsEnd()
  }

  // Extended protocol

  /** Works off a batch, and answers the Sync at its end. Never rejects. */
  async batch(batch: Batch, synced: boolean): Promise<BatchEnd> {
    this.session.admission.begin()
    const end = await this.batches.run(batch, synced)
    this.session.tracing?.idle()
    if (end.synced) this.session.out.ready(this.session.statusByte())
    return end
  }

  // What executors ask for

  async catalog(): Promise<Catalog> {
    return (await this.scope()).catalog
  }

  /** Under what to plan: the node's catalog, or the transaction's own after it changed the map. */
  async scope(): Promise<PlanScope> {
    const { session } = this
    if (session.tx.catalogDirty) {
      session.tx.catalogDirty = false
      this.privateCatalog = await loadUncommitted(this.session)
      session.scopes.usePrivate(this.privateCatalog)
    }
    return session.scope()
  }

  async planText(text: string, paramTypes: readonly number[], told?: ToldContext): Promise<Plan> {
    const [statement] = await this.session.planner.statements(text)
    if (statement === undefined) throw new PgError({ code: '42601', message: 'syntax error at end of input' })
    const known = await this.scope()
    const scope = told === undefined ? known : { ...known, ...told, cache: undefined }
    return (await this.session.planner.planned(scope, statement, paramTypes)).plan
  }

  async discardSession(): Promise<void> {
    const { session } = this
    session.prepared.clear()
    session.settings.discardAll()
    session.state.cursors.clear()
    await this.pins.release()
    await discardSequences(session)
    this.parameters.refresh()
  }

  // Ends

  /** The client is gone: `done` once nothing that must be finished runs any more. */
  close(done: () => void): void {
    this.session.admission.cancelled()
    this.pins.close()
    if (this.committing === undefined) done()
    else void this.committing.then(done)
  }
}
