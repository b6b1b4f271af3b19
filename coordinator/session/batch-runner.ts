import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import {
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  commandComplete,
  EMPTY_QUERY_RESPONSE,
  NO_DATA,
  PARSE_COMPLETE,
  parameterDescription,
} from '../../protocol/wire/backend-messages.ts'
import type { ParseMessage } from '../../protocol/wire/frontend-messages.ts'
import {
  close as closeMessage,
  execute as executeMessage,
  SYNC,
} from '../../protocol/wire/frontend-messages.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { endsTransaction } from '../../sql/plan/utility/transaction.ts'
import type { Execution } from '../execute/context.ts'
import { StatementKeys } from '../execute/key-slots.ts'
import { type PlanScope, refuseTooLong } from '../execute/planner.ts'
import { ForwardState, RowForwarder, tagWithCount } from '../execute/replies.ts'
import { failedLeaves, sendPayload, settle } from '../execute/send.ts'
import type { Batch, Op } from './batch.ts'
import type { ClientSession } from './client-session.ts'
import { describeStatement, formatted } from './describe.ts'
import { Portals } from './kept.ts'
import { planned } from './planned.ts'
import { type Portal, Prepared } from './prepared.ts'
import type { SlowPath } from './slow-path.ts'

export interface BatchEnd {
  /** False: an error was said, and the rest was skipped. */
  readonly ok: boolean
  /** The Sync took effect. */
  readonly synced: boolean
}

/** Each keeps its text in this node's memory. */
const PREPARED_MAX = 10_000

/** Works off messages of the extended protocol that could not go the direct way. */
export class BatchRunner {
  private readonly session: ClientSession
  private readonly slow: SlowPath
  private readonly portals: Portals
  private lastBound: string | undefined

  constructor(session: ClientSession, slow: SlowPath) {
    this.session = session
    this.slow = slow
    this.portals = new Portals(session.memory.account('portals'))
  }

  /**
   * Answers every message; `synced` says that a Sync follows, which commits what no BEGIN opened. COPY FROM STDIN
   * reads over that Sync, as in Postgres: the client sends another after the data.
   */
  async run(batch: Batch, synced: boolean): Promise<BatchEnd> {
    const { session, slow } = this
    this.lastBound = undefined
    session.state.copyOpened = false
    const ops = batch.ops.slice()
    batch.clear()
    const alone = synced && session.tx.kind === 'none' && isLast(ops)
    try {
      for (const op of ops) {
        await this.op(op, alone)
        session.out.assertSaid()
        if (session.out.isSlow) await session.out.room()
      }
      session.out.releaseOwed()
      synced &&= !session.state.copyOpened
      if (synced && session.tx.kind === 'implicit') await slow.commit()
      session.out.releaseHeld()
      return { ok: true, synced }
    } catch (error) {
      await slow.recover(error)
      return { ok: false, synced: synced && !session.state.copyOpened }
    } finally {
      if (synced && session.tx.kind === 'none') this.portals.clear()
    }
  }

  get keepsMessage(): boolean {
    return this.portals.keepsMessage
  }

  transactionEnded(): void {
    this.portals.clear()
  }

  private async op(op: Op, alone: boolean): Promise<void> {
    const { out } = this.session
    out.releaseHeld()
    if (!this.isOfLastBound(op)) out.releaseOwed()
    switch (op.kind) {
      case 'malformed':
        throw op.error
      case 'parse':
        await this.parse(op.message)
        return out.push(PARSE_COMPLETE)
      case 'bind':
        await this.bind(op.message)
        return out.owe(BIND_COMPLETE)
      case 'describe':
        if (op.target === 'S') return this.describeStatement(this.statement(op.name))
        return this.describePortal(this.portal(op.name))
      case 'execute':
        return this.execute(this.portal(op.portal), op.maxRows, alone)
      case 'close':
        if (op.target === 'S') this.session.prepared.delete(op.name)
        else await this.closePortal(op.name)
        return out.push(CLOSE_COMPLETE)
    }
  }

  /** Whether the answer to the last Bind may still wait: until this executes what was bound. */
  private isOfLastBound(op: Op): boolean {
    if (op.kind === 'execute') return op.portal === this.lastBound
    return op.kind === 'describe' && op.target === 'P' && op.name === this.lastBound
  }

  private statement(name: string): Prepared {
    const found = this.session.prepared.get(name)
    if (found !== undefined) return found
    const what = name === '' ? 'unnamed prepared statement' : `prepared statement "${name}"`
    throw new PgError({ code: '26000', message: `${what} does not exist` })
  }

  private portal(name: string): Portal {
    const found = this.portals.get(name)
    if (found === undefined) throw new PgError({ code: '34000', message: `portal "${name}" does not exist` })
    return found
  }

  private async parse(message: ParseMessage): Promise<void> {
    const { session } = this
    const bytes = message.sqlEnd - message.sqlStart
    refuseTooLong(bytes)
    const turn = session.planner.turns.turn(bytes)
    if (turn !== undefined) await turn
    const sql = Buffer.from(message.buffer.subarray(message.sqlStart, message.sqlEnd))
    const statement = new Prepared(message.name, sql, message.paramTypes)
    if (message.name === '') session.prepared.delete('')
    if (session.prepared.size >= PREPARED_MAX) throw weftError('too_many_prepared', { max: PREPARED_MAX })
    if (this.isAborted) this.mayParseInFailed(statement)
    planned(this.session, statement, await this.slow.scope())
    await describeStatement(session, this.slow, statement)
    if (session.prepared.has(message.name)) {
      throw new PgError({ code: '42P05', message: `prepared statement "${message.name}" already exists` })
    }
    session.prepared.set(message.name, statement)
  }

  private get isAborted(): boolean {
    return this.session.tx.failed && this.session.tx.kind === 'explicit'
  }

  /** In a failed transaction Postgres takes nothing but what may end it. */
  private refuseInFailed(statement: Prepared): void {
    if (this.isAborted && !this.endsTransaction(statement)) throw weftError('in_failed_transaction', {})
  }

  private endsTransaction({ text }: Prepared): boolean {
    const statements = this.session.planner.parse(text)
    return statements.length > 0 && statements.every(({ node }) => endsTransaction(node))
  }

  /** Syntax errors come first, and nothing at all is fine. */
  private mayParseInFailed(statement: Prepared): void {
    if (this.session.planner.parse(statement.text).length > 0) this.refuseInFailed(statement)
  }

  private async bind(message: Extract<Op, { kind: 'bind' }>['message']): Promise<void> {
    const statement = this.statement(message.statement)
    this.refuseInFailed(statement)
    if (message.portal !== '' && this.portals.has(message.portal)) {
      throw new PgError({ code: '42P03', message: `cursor "${message.portal}" already exists` })
    }
    const plan = planned(this.session, statement, await this.slow.scope())
    const expected = statement.paramCount(plan)
    const given = message.paramLengths.length
    if (expected !== given) {
      const what = `bind message supplies ${given} parameters, but prepared statement "${statement.name}" requires ${expected}`
      throw new PgError({ code: '08P01', message: what })
    }
    const portal: Portal = { name: message.portal, statement, bind: message, line: undefined, done: false }
    this.portals.keep(portal)
    this.lastBound = message.portal
  }

  private async describeStatement(statement: Prepared): Promise<void> {
    const { out } = this.session
    if (this.isAborted) this.mayDescribeInFailed(statement)
    planned(this.session, statement, await this.slow.scope())
    const before = statement.describedBefore
    if (before !== undefined) out.push(parameterDescription(before.paramTypes))
    const described = await describeStatement(this.session, this.slow, statement)
    if (before === undefined) out.push(parameterDescription(described.paramTypes))
    out.push(described.rowDescription ?? NO_DATA)
  }

  /** What returns rows cannot be described then: that would take a look at the catalogs. */
  private mayDescribeInFailed({ described, describedBefore }: Prepared): void {
    const known = described ?? describedBefore
    if (known !== undefined && known.rowDescription === undefined) return
    throw weftError('in_failed_transaction', {})
  }

  private async describePortal(portal: Portal): Promise<void> {
    if (this.isAborted) this.mayDescribeInFailed(portal.statement)
    planned(this.session, portal.statement, await this.slow.scope())
    const { rowDescription } = await describeStatement(this.session, this.slow, portal.statement)
    const { out } = this.session
    out.owe(rowDescription === undefined ? NO_DATA : formatted(rowDescription, portal.bind.resultFormats))
  }

  private async execute(portal: Portal, maxRows: number, alone: boolean): Promise<void> {
    const { session } = this
    const { statement } = portal
    if (statement.sql.length === 0) return session.out.push(EMPTY_QUERY_RESPONSE)
    this.refuseInFailed(statement)
    if (portal.line !== undefined) return this.resume(portal, maxRows)
    if (portal.done) return session.out.hold(this.nothingLeft(portal))
    const plan = planned(this.session, statement, await this.slow.scope())
    if (!bindsOnShards(plan)) session.out.releaseOwed()
    await describeStatement(session, this.slow, statement, 'unclear')
    await this.slow.statement((scope) => this.execution(portal, scope, maxRows), alone)
    portal.line = session.state.suspended
    portal.done = portal.line === undefined
    session.state.suspended = undefined
  }

  /** What Postgres says of a portal that has run to its end. */
  private nothingLeft({ name, statement }: Portal): Buffer {
    const plan = statement.planUnder(this.session.scope(), this.session.planner)
    if (plan?.returnsRows !== true) {
      throw new PgError({ code: '55000', message: `portal "${name}" cannot be run` })
    }
    if (plan.tag === 'INSERT') return commandComplete('INSERT 0 0')
    const counts = /^(SELECT|UPDATE|DELETE|MERGE|FETCH)$/.test(plan.tag)
    return commandComplete(counts ? `${plan.tag} 0` : plan.tag)
  }

  private execution(portal: Portal, scope: PlanScope, maxRows: number): Execution {
    const { statement, bind } = portal
    const plan = planned(this.session, statement, scope)
    return {
      plan,
      text: statement.text,
      frame: undefined,
      bind,
      paramTypes: statement.paramTypes,
      ref: statement.refUnder(scope, this.session.planner, this.session.node.schema.epoch),
      keys: new StatementKeys().ofBind(statement, bind, plan.paramsToDescribe),
      wantsRowDescription: false,
      maxRows,
    }
  }

  /** More rows of a portal that a row limit had stopped. */
  private async resume(portal: Portal, maxRows: number): Promise<void> {
    const { session } = this
    const line = portal.line!
    const forwarder = new RowForwarder(session.out, new ForwardState(false))
    const payload = Buffer.concat([executeMessage(portal.name, maxRows), SYNC])
    sendPayload(session, line, payload, { writes: false }, forwarder)
    const end = settle(session, line, await failedLeaves(session, line, forwarder.ended))
    if (forwarder.suspended) return
    portal.line = undefined
    portal.done = true
    session.out.hold(tagWithCount(end.tag, end.count))
  }

  private async closePortal(name: string): Promise<void> {
    const portal = this.portals.get(name)
    this.portals.delete(name)
    if (portal?.line === undefined || !portal.line.joined) return
    const { session } = this
    const forwarder = new RowForwarder(session.out, new ForwardState(false))
    const payload = Buffer.concat([closeMessage('P', name), SYNC])
    sendPayload(session, portal.line, payload, { writes: false }, forwarder)
    settle(session, portal.line, await failedLeaves(session, portal.line, forwarder.ended))
  }
}

/** Its one Execute ends the batch: what it does may commit by itself, nothing that could fail follows. */
function isLast(ops: readonly Op[]): boolean {
  const first = ops.findIndex((op) => op.kind === 'execute')
  return first < 0 || ops.slice(first + 1).every((op) => op.kind === 'close')
}

/** Postgres binds it when it is executed, and may refuse then. */
function bindsOnShards(plan: Plan): boolean {
  return plan.kind === 'forward' || plan.kind === 'insert' || plan.kind === 'insert-select'
}
