import { PgError } from '../../../errors/pg-error.ts'
import { commandComplete, noticeResponse } from '../../../protocol/wire/backend-messages.ts'
import type { TransactionPlan } from '../../../sql/plan/plan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { quoteName } from '../quote.ts'
import { isInBlock } from '../settings/setting.ts'
import { settle, simpleQuery } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import { commitTransaction, rollbackTransaction } from './end-transaction.ts'
import type { TransactionModes } from './transaction.ts'

/** BEGIN, COMMIT, ROLLBACK, SAVEPOINT and so on, with Postgres' warnings and errors. */
export async function runTransactionControl(
  ctx: ExecContext,
  exec: Execution,
  plan: TransactionPlan,
): Promise<void> {
  switch (plan.verb) {
    case 'begin':
      begin(ctx, plan)
      return ctx.out.hold(commandComplete(plan.tag))
    case 'set-characteristics':
      await setCharacteristics(ctx, exec, plan)
      return ctx.out.hold(commandComplete('SET'))
    case 'commit':
      return commit(ctx, plan)
    case 'rollback':
      return rollback(ctx, plan)
    case 'savepoint':
    case 'release':
    case 'rollback-to':
      await savepoint(ctx, plan, plan.name!)
      return ctx.out.hold(commandComplete(plan.tag))
  }
}

function warn(ctx: ExecContext, code: string, message: string): void {
  ctx.out.push(noticeResponse({ severity: 'WARNING', severityRaw: 'WARNING', code, message }))
}

function begin(ctx: ExecContext, plan: TransactionPlan): void {
  const { tx } = ctx
  if (tx.kind === 'explicit') return warn(ctx, '25001', 'there is already a transaction in progress')
  if (tx.kind === 'implicit') tx.becomeExplicit(plan.modes ?? {})
  else tx.begin('explicit', plan.modes)
  ctx.settings.begin()
}

async function commit(ctx: ExecContext, plan: TransactionPlan): Promise<void> {
  const { tx } = ctx
  if (tx.kind !== 'explicit') {
    if (plan.chain) throw needsBlock('COMMIT AND CHAIN')
    warn(ctx, '25P01', 'there is no transaction in progress')
    if (tx.isOpen) await commitTransaction(ctx)
    return ctx.out.hold(commandComplete('COMMIT'))
  }
  const { failed, chained } = tx
  if (failed) await rollbackTransaction(ctx)
  else await commitTransaction(ctx)
  chain(ctx, plan, chained)
  ctx.out.hold(commandComplete(failed ? 'ROLLBACK' : 'COMMIT'))
}

async function rollback(ctx: ExecContext, plan: TransactionPlan): Promise<void> {
  const { tx } = ctx
  if (tx.kind !== 'explicit') {
    if (plan.chain) throw needsBlock('ROLLBACK AND CHAIN')
    warn(ctx, '25P01', 'there is no transaction in progress')
  }
  const { chained } = tx
  if (tx.isOpen) await rollbackTransaction(ctx)
  chain(ctx, plan, chained)
  ctx.out.hold(commandComplete('ROLLBACK'))
}

function chain(ctx: ExecContext, plan: TransactionPlan, modes: ExecContext['tx']['modes']): void {
  if (!plan.chain) return
  ctx.tx.begin('explicit', modes)
  ctx.settings.begin()
}

function needsBlock(what: string): PgError {
  return new PgError({ code: '25P01', message: `${what} can only be used in transaction blocks` })
}

/** SET TRANSACTION: for shards that join later by their BEGIN, for those that have by the statement itself. */
async function setCharacteristics(ctx: ExecContext, exec: Execution, plan: TransactionPlan): Promise<void> {
  const { tx } = ctx
  const modes = plan.modes ?? {}
  if (!isInBlock(ctx, exec)) {
    warn(ctx, '25P01', 'SET TRANSACTION can only be used in transaction blocks')
    // What a pipeline has coming is in the same transaction, warning or not.
    if (tx.kind === 'none') return
  }
  const wrong = whyNot(ctx, modes)
  if (wrong !== undefined) {
    tx.failed = true
    throw new PgError({ code: '25001', message: wrong })
  }
  await everywhere(ctx, exec.text)
  tx.setModes(modes, exec.text)
}

/** What Postgres has against such modes now; what a shard that has joined knows better it says itself. */
function whyNot({ tx }: ExecContext, modes: TransactionModes): string | undefined {
  const { isolation, readOnly, deferrable } = modes
  const within = tx.hasSavepoints
  if (isolation !== undefined && isolation !== tx.isolation) {
    if (tx.hasRun) return 'SET TRANSACTION ISOLATION LEVEL must be called before any query'
    if (within) return 'SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction'
  }
  if (readOnly === false && within && tx.isReadOnlyOutside) {
    return 'cannot set transaction read-write mode inside a read-only transaction'
  }
  if (deferrable === undefined || !within) return undefined
  return 'SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction'
}

async function everywhere(ctx: ExecContext, sql: string): Promise<void> {
  const lines = [...ctx.tx.joined]
  await settleAll(
    lines.map(async (line) => settle(ctx, line, await simpleQuery(ctx, line, sql, { writes: false }))),
  )
}

async function savepoint(ctx: ExecContext, plan: TransactionPlan, name: string): Promise<void> {
  const { tx } = ctx
  const quoted = quoteName(name)
  if (tx.kind !== 'explicit')
    throw needsBlock(plan.tag === 'ROLLBACK' ? 'ROLLBACK TO SAVEPOINT' : words(plan))
  if (plan.verb === 'savepoint') {
    await everywhere(ctx, `SAVEPOINT ${quoted}`)
    tx.savepoint(`SAVEPOINT ${quoted}`, name, {
      notifications: ctx.state.notifications.length,
      portals: ctx.state.portalsMade,
    })
    return ctx.settings.savepoint(name)
  }
  if (!tx.hasSavepoint(name)) {
    tx.failed = true
    throw new PgError({ code: '3B001', message: `savepoint "${name}" does not exist` })
  }
  if (plan.verb === 'release') {
    await everywhere(ctx, `RELEASE SAVEPOINT ${quoted}`)
    tx.release(name)
    return ctx.settings.release(name)
  }
  await rollbackTo(ctx, name, quoted)
}

/** Every shard goes back; one that joined after the savepoint was set got it replayed when it joined. */
async function rollbackTo(ctx: ExecContext, name: string, quoted: string): Promise<void> {
  const { tx } = ctx
  if (tx.lost) {
    throw new PgError({
      code: '25P02',
      message: 'current transaction is aborted: a shard taking part in it was lost',
      hint: 'ROLLBACK and run the transaction again.',
    })
  }
  tx.failed = false
  await everywhere(ctx, `ROLLBACK TO SAVEPOINT ${quoted}`)
  const { notifications, portals } = tx.rollbackTo(name)
  ctx.state.notifications.length = notifications
  ctx.state.bound.backTo(portals)
  for (const [cursor, { made }] of ctx.state.cursors) if (made >= portals) ctx.state.cursors.delete(cursor)
  ctx.settings.rollbackTo(name)
}

function words(plan: TransactionPlan): string {
  return plan.verb === 'release' ? 'RELEASE SAVEPOINT' : 'SAVEPOINT'
}
