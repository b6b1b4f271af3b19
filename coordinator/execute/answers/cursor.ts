import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { commandComplete, rowDescription } from '../../../protocol/wire/backend-messages.ts'
import type { FirstStep } from '../../../sql/plan/first/first-step.ts'
import type { CursorPlan } from '../../../sql/plan/plan.ts'
import { declaredQueryAt, severalShards } from '../../../sql/plan/utility/cursor.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { runOnOne } from '../forward.ts'
import { resolveShards } from '../route.ts'
import { noteScatter } from '../scatter.ts'
import { readOnShards } from '../shards/on-shards.ts'
import { ForwardState, RowForwarder } from '../shards/replies.ts'
import { sendAsWritten } from '../shards/send.ts'
import { runGathered } from '../steps/outside.ts'
import { runFirst } from '../steps/run-first.ts'
import { columnsOf } from './evaluate.ts'
import { fetchOnSeveral } from './fetch-several.ts'
import { findCursor, linesWithCursors, OpenPortal } from './open-portal.ts'

/** DECLARE, FETCH, MOVE and CLOSE: they follow the shards on which the cursor was opened. */
export async function runCursor(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<void> {
  switch (plan.verb) {
    case 'declare':
      return declare(ctx, exec, plan)
    case 'fetch':
      return fetch(ctx, exec, plan)
    case 'close':
      return closeOne(ctx, exec, plan.name)
    case 'close-all':
      return closeAll(ctx, exec)
  }
}

async function declare(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<void> {
  const { name, hold = false } = plan
  const { state } = ctx
  if (isBoundOnly(ctx, name)) throw alreadyExists(name)
  const [shard, ...more] = await resolveShards(ctx, plan.route ?? { kind: 'home' }, exec)
  // What outlives the transaction is kept at home, where it does not hinder a commit on several shards.
  if (plan.gather !== undefined && (more.length > 0 || (hold && shard !== HOME)))
    return declareGathered(ctx, exec, plan, more.length + 1)
  if (plan.first !== undefined && more.length > 0)
    return declareLocked(ctx, exec, plan.name, plan.first, more.length + 1)
  if (more.length > 0) return declareOnSeveral(ctx, exec, plan, [shard!, ...more])
  if (hold && shard !== HOME) throw weftError('not_supported', HELD)
  await runOnOne(ctx, exec, shard!)
  state.cursors.set(
    name,
    new OpenPortal(name, state.portalsMade++, { lines: [ctx.line(shard!)], holds: hold }),
  )
}

/** Home has it, over the rows that were gathered when it was declared. */
async function declareGathered(
  ctx: ExecContext,
  exec: Execution,
  plan: CursorPlan,
  shardCount: number,
): Promise<void> {
  const { name, hold = false } = plan
  if (!hold) mustBeFree(ctx, name)
  noteScatter(ctx, plan.sharded, { length: shardCount })
  await runGathered(ctx, exec, plan)
  const { state } = ctx
  const cursor = new OpenPortal(name, state.portalsMade++, { lines: [ctx.line(HOME)], holds: hold })
  state.cursors.set(name, cursor)
  await asWritten(ctx, exec, cursor)
}

/** Its rows are locked, and then it is one over constants. */
async function declareLocked(
  ctx: ExecContext,
  exec: Execution,
  name: string,
  first: FirstStep,
  shardCount: number,
): Promise<void> {
  mustBeFree(ctx, name)
  noteScatter(ctx, exec.plan.sharded, { length: shardCount })
  await runFirst(ctx, exec, first)
  const cursor = ctx.state.cursors.get(name)
  if (cursor !== undefined) await asWritten(ctx, exec, cursor)
}

/** Its columns are those of the client's query. */
async function asWritten(
  ctx: ExecContext,
  { text, paramTypes }: Execution,
  cursor: OpenPortal,
): Promise<void> {
  cursor.origins = await columnsOf(ctx, text.slice(declaredQueryAt(text)), paramTypes)
  cursor.written = text
}

/** No backend has what the client has bound under this name, or not any more. */
function isBoundOnly({ state }: ExecContext, name: string): boolean {
  return state.bound.has(name) && !state.cursors.has(name)
}

/** Each shard has one of that name over its own rows, all of one snapshot. */
async function declareOnSeveral(
  ctx: ExecContext,
  exec: Execution,
  plan: CursorPlan,
  shards: readonly number[],
): Promise<void> {
  const { state } = ctx
  if (plan.streams !== true) throw severalShards()
  mustBeFree(ctx, plan.name)
  noteScatter(ctx, plan.sharded, shards)
  const cursor = new OpenPortal(plan.name, state.portalsMade++)
  const answers = new ForwardState(false)
  await readOnShards(ctx, shards, (line) => {
    if (plan.access === 'write') cursor.cut = line.cutWait
    const consumer = new RowForwarder(ctx.out, answers)
    sendAsWritten(ctx, line, exec, consumer)
    return consumer.ended
  })
  cursor.lines = shards.map((shard) => ctx.line(shard))
  cursor.isBinary = plan.binary === true
  state.cursors.set(plan.name, cursor)
  ctx.out.hold(commandComplete('DECLARE CURSOR'))
}

function mustBeFree({ tx, state }: ExecContext, name: string): void {
  if (!tx.isOpen || !tx.isBlock) {
    throw new PgError({ code: '25P01', message: 'DECLARE CURSOR can only be used in transaction blocks' })
  }
  if (state.cursors.has(name)) throw alreadyExists(name)
}

const alreadyExists = (name: string) =>
  new PgError({ code: '42P03', message: `cursor "${name}" already exists` })

async function fetch(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<void> {
  const { name } = plan
  if (isBoundOnly(ctx, name)) return fetchNothing(ctx, exec, plan)
  const cursor = ctx.state.cursors.get(name)
  if (cursor?.isOnSeveral === true) return fetchOnSeveral(ctx, exec, plan, plan.step!, cursor)
  const shard = cursor?.lines[0]?.shard ?? (await shardOfUnknown(ctx, name))
  return runOnOne(ctx, exec, shard, cursor?.origins)
}

const isOn = (step: CursorPlan['step']): boolean => step?.direction === 'forward' && step.count > 0

/** Forward of the end of a portal there is no more. */
async function fetchNothing(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<void> {
  const { name, step, tag } = plan
  const statement = ctx.state.bound.spent(name)
  if (statement === undefined || !isOn(step)) throw weftError('not_supported', NOT_IN_BACKENDS)
  await ctx.admit()
  const columns = await columnsOf(ctx, statement.text, statement.paramTypes)
  if (columns.length === 0) throw new PgError({ code: '55000', message: `portal "${name}" cannot be run` })
  if (exec.wantsRowDescription && tag === 'FETCH') ctx.out.push(rowDescription(columns))
  ctx.out.hold(commandComplete(`${tag} 0`))
}

/** Code may have opened it, on any backend that the session has. */
async function shardOfUnknown(ctx: ExecContext, name: string): Promise<number> {
  const [line, ...more] = linesWithCursors(ctx)
  if (more.length === 0) return line?.shard ?? HOME
  return (await findCursor(ctx, name))?.lines[0]?.shard ?? HOME
}

async function closeOne(ctx: ExecContext, exec: Execution, name: string): Promise<void> {
  const { state } = ctx
  const cursor = state.cursors.get(name)
  if (isBoundOnly(ctx, name)) ctx.out.hold(commandComplete('CLOSE CURSOR'))
  else if (cursor === undefined) await runOnOne(ctx, exec, await shardOfUnknown(ctx, name))
  else
    await onEach(
      ctx,
      exec,
      cursor.lines.map((line) => line.shard),
    )
  state.cursors.delete(name)
  state.bound.delete(name)
}

async function closeAll(ctx: ExecContext, exec: Execution): Promise<void> {
  const { cursors, bound } = ctx.state
  const shards = new Set(linesWithCursors(ctx).map((line) => line.shard))
  for (const { lines } of cursors.values()) for (const line of lines) shards.add(line.shard)
  await onEach(ctx, exec, shards.size === 0 ? [HOME] : [...shards])
  cursors.clear()
  bound.clear()
}

/** The same statement on one shard after the other; the last one's answer is told. */
async function onEach(ctx: ExecContext, exec: Execution, shards: readonly number[]): Promise<void> {
  for (const shard of shards) {
    ctx.out.dropHeld()
    await runOnOne(ctx, exec, shard)
  }
}

const HELD: Refused = {
  id: 'cursor',
  what: 'a WITH HOLD cursor is only supported on the home shard (local and reference tables)',
  hint: 'Use a cursor without WITH HOLD inside a transaction.',
}

const NOT_IN_BACKENDS: Refused = {
  id: 'cursor',
  what: 'this FETCH or MOVE on a portal that has run to its end, or that no single statement of Postgres stands for, is not supported',
  hint: 'Ask for its rows by Execute, or declare a cursor.',
}
