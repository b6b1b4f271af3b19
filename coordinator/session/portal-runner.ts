import { PgError } from '../../errors/pg-error.ts'
import {
  commandComplete,
  EMPTY_QUERY_RESPONSE,
  NO_DATA,
  PORTAL_SUSPENDED,
} from '../../protocol/wire/backend-messages.ts'
import { NOTHING_BOUND } from '../../protocol/wire/frontend-messages.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { KeptRows } from '../execute/answers/kept-rows.ts'
import { closeOnShards, findCursor, linesWithCursors, OpenPortal } from '../execute/answers/open-portal.ts'
import type { Execution } from '../execute/context.ts'
import { StatementKeys } from '../execute/plans/key-slots.ts'
import type { PlanScope } from '../execute/plans/planner.ts'
import { quoteName } from '../execute/quote.ts'
import { tagWithCount } from '../execute/shards/replies.ts'
import { hasOldPlan } from '../execute/shards/run-again.ts'
import type { ClientSession } from './client-session.ts'
import { describeCursor, describeStatement, formatted } from './describe.ts'
import { planned } from './planned.ts'
import { type Portal, Prepared } from './prepared.ts'
import type { SlowPath } from './slow-path.ts'

/**
 * The unnamed portal when its rows are taken in parts: other statements that run in its backend meanwhile are unnamed
 * there, and would take its place.
 */
export const UNNAMED = 'weft unnamed portal'

/** A statement is prepared anew so often, if somebody changes the schema all the time. */
const OLD_PLANS_MAX = 5

/** What clients do with portals: their own, and the cursors of SQL, which are portals too. */
export class PortalRunner {
  private readonly session: ClientSession
  private readonly slow: SlowPath

  constructor(session: ClientSession, slow: SlowPath) {
    this.session = session
    this.slow = slow
  }

  /** Backends have the unnamed portal, and are to have it no more when anything else is unnamed. */
  get hasOpenUnnamed(): boolean {
    return this.session.portals.get('')?.open?.isOpen === true
  }

  /** Makes room for another unnamed one. */
  async dropUnnamed(): Promise<void> {
    if (this.session.portals.get('')?.open !== undefined) await this.close('')
  }

  /** Whether the name is taken. Of what is held from transaction to transaction only its backend knows for sure. */
  isTaken(name: string): boolean {
    if (name === '') return false
    const { portals, state } = this.session
    return portals.has(name) || state.cursors.get(name)?.holds === false
  }

  /** Binds on its shard what the client has bound and does not execute now: Postgres takes its snapshot, or refuses it. */
  async bindNow(portal: Portal, alone: boolean): Promise<void> {
    const { session } = this
    const { statement } = portal
    if (portal.ran !== 'no' || portal.open !== undefined || session.tx.failed) return
    if (statement.sql.length === 0) return
    if (!bindsAhead(await planned(session, statement, await this.slow.scope()))) return
    await describeStatement(session, this.slow, statement, 'unclear')
    const open = this.openPortal(portal)
    await this.slow.statement((scope) => this.execution(portal, scope, 0, open, true), alone)
    this.note(portal, open)
  }

  private openPortal({ name, made }: Portal): OpenPortal {
    const kept = new KeptRows(this.session.memory.account('rows of portals'))
    return new OpenPortal(name === '' ? UNNAMED : name, made, { kept })
  }

  private note(portal: Portal, open: OpenPortal): void {
    const { tx, state } = this.session
    if (!tx.isOpen) return
    portal.open = open
    if (portal.name !== '' && open.isOpen) state.cursors.set(portal.name, open)
  }

  async execute(name: string, maxRows: number, alone: boolean): Promise<void> {
    const portal = this.session.portals.get(name)
    if (portal !== undefined) return this.run(portal, maxRows, alone)
    const cursor = await this.cursor(name)
    const fetch = new Prepared('', Buffer.from(`FETCH FROM ${quoteName(name)}`), [])
    const nothing = {
      name,
      statement: fetch,
      bind: NOTHING_BOUND,
      made: 0,
      boundAt: 0,
      open: cursor,
      ran: 'no',
    } as const
    return this.slow.statement((scope) => this.execution(nothing, scope, maxRows, cursor), alone)
  }

  private async run(portal: Portal, maxRows: number, alone: boolean): Promise<void> {
    const { session } = this
    const { statement, open } = portal
    if (statement.sql.length === 0) return session.out.push(EMPTY_QUERY_RESPONSE)
    if (open?.isOpen === true) {
      return this.slow.statement((scope) => this.execution(portal, scope, maxRows, open), alone)
    }
    if (portal.ran === 'well' && open?.kept !== undefined) return this.give(open.kept, maxRows)
    if (portal.ran !== 'no') return session.out.hold(this.nothingLeft(portal))
    const plan = await planned(session, statement, await this.slow.scope())
    if (!bindsOnShards(plan)) session.out.releaseOwed()
    await describeStatement(session, this.slow, statement, 'unclear')
    const inParts = maxRows > 0 && plan.returnsRows ? this.openPortal(portal) : undefined
    const limit = inParts === undefined ? 0 : maxRows
    portal.ran = 'badly'
    try {
      await this.prepared(portal, () =>
        this.slow.statement((scope) => this.execution(portal, scope, limit, inParts), alone),
      )
    } catch (error) {
      if (declares(plan) && !isOfBind(error)) session.out.releaseOwed()
      throw error
    }
    portal.ran = 'well'
    if (inParts === undefined) return
    if (!inParts.isOpen) this.giveFirst(inParts.kept!, maxRows)
    this.note(portal, inParts)
  }

  /** Again when backends have it prepared for a schema of before: if it returns what the client was told. */
  private async prepared({ statement }: Portal, work: () => Promise<void>): Promise<void> {
    const { session, slow } = this
    const said = session.out.pushedBytes
    for (let attempt = 0; ; attempt++) {
      try {
        return await work()
      } catch (error) {
        const isSeen = session.out.pushedBytes !== said || session.tx.kind !== 'none'
        if (isSeen || !hasOldPlan(error) || attempt === OLD_PLANS_MAX) throw error
        await planned(session, statement, await slow.scope())
        await describeStatement(session, slow, statement, 'unclear')
      }
    }
  }

  private giveFirst(kept: KeptRows, maxRows: number): void {
    const complete = this.session.out.takeHeld()
    if (complete === undefined) return
    kept.end(complete)
    this.give(kept, maxRows)
  }

  private give(kept: KeptRows, maxRows: number): void {
    const { out } = this.session
    const { rows, end } = kept.take(maxRows)
    for (const row of rows) out.push(row)
    if (end === undefined) out.push(PORTAL_SUSPENDED)
    else out.hold(tagWithCount(...end))
  }

  /** What Postgres says of a portal that has run to its end. */
  private nothingLeft({ name, statement, ran }: Portal): Buffer {
    const plan = statement.planUnder(this.session.scope(), this.session.planner)
    if (plan?.returnsRows !== true || ran === 'badly') {
      throw new PgError({ code: '55000', message: `portal "${name}" cannot be run` })
    }
    if (plan.tag === 'INSERT') return commandComplete('INSERT 0 0')
    const counts = /^(SELECT|UPDATE|DELETE|MERGE|FETCH)$/.test(plan.tag)
    return commandComplete(counts ? `${plan.tag} 0` : plan.tag)
  }

  private async execution(
    portal: Portal,
    scope: PlanScope,
    maxRows: number,
    open: OpenPortal | undefined,
    bindsOnly = false,
  ): Promise<Execution> {
    const { statement, bind } = portal
    const { planner, node } = this.session
    const plan = await planned(this.session, statement, scope)
    return {
      plan,
      text: statement.text,
      frame: undefined,
      bind,
      paramTypes: statement.paramTypes,
      ref: statement.refUnder(scope, planner, node.schema.epoch),
      keys: new StatementKeys().ofBind(statement, bind, plan.paramsToDescribe),
      wantsRowDescription: false,
      maxRows,
      portal: open,
      bindsOnly,
    }
  }

  async describe(name: string): Promise<void> {
    const { session } = this
    const portal = session.portals.get(name)
    if (portal === undefined) {
      const cursor = await this.cursor(name)
      return session.out.push(await describeCursor(session, cursor))
    }
    await planned(session, portal.statement, await this.slow.scope())
    const { rowDescription } = await describeStatement(session, this.slow, portal.statement)
    session.out.owe(
      rowDescription === undefined ? NO_DATA : formatted(rowDescription, portal.bind.resultFormats),
    )
  }

  private async cursor(name: string): Promise<OpenPortal> {
    const cursor = name === '' ? undefined : await findCursor(this.session, name)
    if (cursor === undefined) throw new PgError({ code: '34000', message: `portal "${name}" does not exist` })
    return cursor
  }

  async close(name: string): Promise<void> {
    const { session } = this
    const { cursors } = session.state
    const portal = session.portals.get(name)
    const open = portal?.open ?? cursors.get(name)
    session.portals.delete(name)
    cursors.delete(name)
    if (open !== undefined) await closeOnShards(session, open.name, open.lines)
    else if (portal === undefined && name !== '')
      await closeOnShards(session, name, linesWithCursors(session))
  }
}

/** Postgres binds it when it is executed, and may refuse then. */
function bindsOnShards(plan: Plan): boolean {
  return declares(plan) || plan.kind === 'forward' || plan.kind === 'insert' || plan.kind === 'insert-select'
}

const declares = (plan: Plan): boolean => plan.kind === 'cursor' && plan.verb === 'declare'

/** Of a value that could not be read. */
const isOfBind = (error: unknown): boolean =>
  error instanceof PgError && /portal.* parameter \$\d/.test(error.fields.where ?? '')

/** What Postgres binds can be bound without running any of it. */
function bindsAhead(plan: Plan): boolean {
  return (
    plan.kind === 'forward' &&
    plan.locksCopies !== true &&
    /^(SELECT|INSERT|UPDATE|DELETE|MERGE)$/.test(plan.tag)
  )
}
