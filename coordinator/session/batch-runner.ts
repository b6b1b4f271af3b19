import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import {
  BIND_COMPLETE,
  CLOSE_COMPLETE,
  NO_DATA,
  PARSE_COMPLETE,
  parameterDescription,
} from '../../protocol/wire/backend-messages.ts'
import type { ParseMessage } from '../../protocol/wire/frontend-messages.ts'
import { endsTransaction } from '../../sql/plan/utility/transaction.ts'
import { refuseTooLong, type Statement } from '../execute/plans/planner.ts'
import type { Batch, Op } from './batch.ts'
import type { ClientSession } from './client-session.ts'
import { describeStatement } from './describe.ts'
import { planned } from './planned.ts'
import { PortalRunner } from './portal-runner.ts'
import { type Portal, Prepared } from './prepared.ts'
import type { SlowPath } from './slow-path.ts'
import { ToldStatements } from './told-statements.ts'

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
  readonly portals: PortalRunner
  private readonly told = new ToldStatements()
  /** Bound, and not executed yet: its answer may wait for that. */
  private lastBound: Portal | undefined
  /** Whose text what goes wrong now is of. */
  private current: Prepared | undefined

  constructor(session: ClientSession, slow: SlowPath) {
    this.session = session
    this.slow = slow
    this.portals = new PortalRunner(session, slow)
  }

  /**
   * Answers every message; `synced` says that a Sync follows, which commits what no BEGIN opened. COPY FROM STDIN
   * reads over that Sync, as in Postgres: the client sends another after the data.
   */
  async run(batch: Batch, synced: boolean): Promise<BatchEnd> {
    const { session, slow } = this
    this.lastBound = undefined
    // Only within a transaction, whose locks keep what was described as it is.
    if (session.tx.kind !== 'implicit') this.told.clear()
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
      await this.bindLast(synced && session.tx.kind === 'none')
      synced &&= !session.state.copyOpened
      if (synced && session.tx.kind === 'implicit') await slow.commit()
      session.out.releaseHeld()
      return { ok: true, synced }
    } catch (error) {
      await slow.recover(error, this.current?.read)
      return { ok: false, synced: synced && !session.state.copyOpened }
    } finally {
      if (synced && session.tx.kind === 'none') session.portals.clear()
    }
  }

  get keepsMessage(): boolean {
    return this.session.portals.keepsMessage
  }

  /** What was bound last is not executed next: it is bound on its shard now, which may refuse. */
  private async bindLast(alone: boolean): Promise<void> {
    const portal = this.lastBound
    this.lastBound = undefined
    this.current = portal?.statement
    if (portal !== undefined) await this.portals.bindNow(portal, alone)
    this.session.out.releaseOwed()
  }

  private async op(op: Op, alone: boolean): Promise<void> {
    const { out, times } = this.session
    times.message()
    out.releaseHeld()
    if (!this.isOfLastBound(op)) await this.bindLast(false)
    this.current = undefined
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
        return this.describePortal(op.name)
      case 'execute':
        return this.execute(op.portal, op.maxRows, alone)
      case 'close':
        if (op.target === 'S') this.session.prepared.delete(op.name)
        else await this.portals.close(op.name)
        return out.push(CLOSE_COMPLETE)
    }
  }

  /** Whether the answer to the last Bind may still wait: until this executes what was bound. */
  private isOfLastBound(op: Op): boolean {
    const name = this.lastBound?.name
    if (op.kind === 'execute') return op.portal === name
    return op.kind === 'describe' && op.target === 'P' && op.name === name
  }

  private statement(name: string): Prepared {
    const found = this.session.prepared.get(name)
    this.current = found
    if (found !== undefined) return found
    const what = name === '' ? 'unnamed prepared statement' : `prepared statement "${name}"`
    throw new PgError({ code: '26000', message: `${what} does not exist` })
  }

  private async parse(message: ParseMessage): Promise<void> {
    const { session } = this
    const bytes = message.sqlEnd - message.sqlStart
    refuseTooLong(bytes)
    const turn = session.planner.turns.turn(bytes)
    if (turn !== undefined) await turn
    const written = Buffer.from(message.buffer.subarray(message.sqlStart, message.sqlEnd))
    session.tracing?.heard(written)
    const read = session.strings.read(written)
    const statement = new Prepared(message.name, read?.sql ?? written, message.paramTypes)
    if (read !== undefined) statement.wasRead(read, written.toString('utf8'))
    this.current = statement
    if (message.name === '') session.prepared.delete('')
    if (session.prepared.size >= PREPARED_MAX) throw weftError('too_many_prepared', { max: PREPARED_MAX })
    if (this.isAborted) await this.mayParseInFailed(statement)
    const scope = await this.slow.scope()
    await planned(this.session, statement, scope)
    this.told.describe(statement, scope, session.node.schema.epoch)
    await describeStatement(session, this.slow, statement)
    this.told.keep(statement)
    if (session.prepared.has(message.name)) {
      throw new PgError({ code: '42P05', message: `prepared statement "${message.name}" already exists` })
    }
    session.prepared.set(message.name, statement)
  }

  private get isAborted(): boolean {
    return this.session.tx.failed && this.session.tx.kind === 'explicit'
  }

  /** In a failed transaction Postgres takes nothing but what may end it. */
  private async refuseInFailed(statement: Prepared): Promise<void> {
    if (!(await this.endsTransaction(statement))) throw weftError('in_failed_transaction', {})
  }

  private async endsTransaction({ text }: Prepared): Promise<boolean> {
    const { planner } = this.session
    const statements = await planner.statements(text)
    const ends = ({ kind, node, text: own }: Statement): boolean =>
      kind === 'TransactionStmt' && endsTransaction(node ?? planner.parse(own)[0]!.node!)
    return statements.length > 0 && statements.every(ends)
  }

  /** Syntax errors come first, and nothing at all is fine. */
  private async mayParseInFailed(statement: Prepared): Promise<void> {
    const statements = await this.session.planner.statements(statement.text)
    if (statements.length > 0) await this.refuseInFailed(statement)
  }

  private async bind(message: Extract<Op, { kind: 'bind' }>['message']): Promise<void> {
    const { session } = this
    const statement = this.statement(message.statement)
    if (this.isAborted) await this.refuseInFailed(statement)
    if (message.portal === '') await this.portals.dropUnnamed()
    if (this.portals.isTaken(message.portal)) {
      throw new PgError({ code: '42P03', message: `cursor "${message.portal}" already exists` })
    }
    const plan = await planned(this.session, statement, await this.slow.scope())
    const expected = statement.paramCount(plan)
    const given = message.paramLengths.length
    if (expected !== given) {
      const what = `bind message supplies ${given} parameters, but prepared statement "${statement.name}" requires ${expected}`
      throw new PgError({ code: '08P01', message: what })
    }
    const name = message.portal
    const made = session.state.portalsMade++
    const boundAt = Date.now()
    statement.uses++
    session.portals.keep({ name, statement, bind: message, made, boundAt, open: undefined, ran: 'no' })
    this.lastBound = session.portals.get(name)
  }

  private async describeStatement(statement: Prepared): Promise<void> {
    const { out } = this.session
    if (this.isAborted) this.mayDescribeInFailed(statement)
    await planned(this.session, statement, await this.slow.scope())
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

  private describePortal(name: string): Promise<void> {
    const portal = this.session.portals.get(name)
    this.current = portal?.statement
    if (portal !== undefined && this.isAborted) this.mayDescribeInFailed(portal.statement)
    return this.portals.describe(name)
  }

  private async execute(name: string, maxRows: number, alone: boolean): Promise<void> {
    const portal = this.session.portals.get(name)
    this.current = portal?.statement
    if (portal !== undefined) this.session.tracing?.heard(portal.statement.sql)
    if (portal !== undefined && this.isAborted) await this.refuseInFailed(portal.statement)
    const plan = portal?.statement.planUnder(this.session.scope(), this.session.planner)
    if (plan === undefined) this.told.clear()
    else this.told.runs(plan)
    // What it defines is not known; the rest of a pipeline is in its transaction, and cannot be run again unseen.
    if (plan?.tag === 'DO') this.session.node.schema.epoch++
    if (portal === this.lastBound) this.lastBound = undefined
    return this.portals.execute(name, maxRows, alone)
  }
}

/** Its one Execute ends the batch: what it does may commit by itself, nothing that could fail follows. */
function isLast(ops: readonly Op[]): boolean {
  const first = ops.findIndex((op) => op.kind === 'execute')
  return first < 0 || ops.slice(first + 1).every((op) => op.kind === 'close')
}
