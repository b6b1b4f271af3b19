import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { Refused } from '../../errors/refusals/refusals.ts'
import { COPY_DONE } from '../../protocol/wire/backend-messages.ts'
import { isGathered, type ViewsStep } from '../../sql/plan/gather/gather-plan.ts'
import type { ForwardPlan, Plan, SessionPidsPlan } from '../../sql/plan/plan.ts'
import { replacedPlan } from '../../sql/plan/replaced-plan.ts'
import { runAggregate } from './answers/aggregate.ts'
import { describedAtHome } from './answers/evaluate.ts'
import { bindOnSeveral, fetchRows, type OpenPortal } from './answers/open-portal.ts'
import { type ExecContext, type Execution, HOME, shardsBesideHome } from './context.ts'
import { keepsShard } from './plans/keep-key.ts'
import { resolveShards } from './route.ts'
import { noteScatter } from './scatter.ts'
import { agreedCount } from './shards/agreed.ts'
import { begunStatement, placedEnd, placedIn } from './shards/begun-statement.ts'
import { LineFeed } from './shards/line-feed.ts'
import { lockAhead } from './shards/lock-ahead.ts'
import { Latch, onCopies } from './shards/on-copies.ts'
import { needsCut, onShards, readOnShards } from './shards/on-shards.ts'
import { ForwardState, RowForwarder, tagWithCount, total } from './shards/replies.ts'
import { endOfWrite, failedLeaves, sendAsWritten, settle } from './shards/send.ts'
import type { ShardLine } from './shards/shard-line.ts'
import { runHomeFirst } from './steps/home-first.ts'
import { countIn } from './steps/instead.ts'
import { runListed } from './steps/list-columns.ts'
import { runLockGathered } from './steps/lock-gathered.ts'
import { runModifyGathered } from './steps/modify-gathered.ts'
import { movedKeysOf } from './steps/move-rows.ts'
import { again } from './steps/outside.ts'
import { runFirst } from './steps/run-first.ts'
import { runGatherStep } from './steps/spread.ts'
import { needsNoMap } from './transaction/map-change.ts'

/** Runs a statement that is forwarded as written to the shard or shards of its route. */
export async function runForward(ctx: ExecContext, exec: Execution, plan: ForwardPlan): Promise<void> {
  if (plan.locksCopies && ctx.tx.isOpen) return exec.bindsOnly === true ? undefined : lockCopies(ctx, exec)
  if (plan.setsKey !== undefined && !(await keepsShard(ctx, exec, plan, plan.setsKey)))
    return runMoving(ctx, exec, plan)
  if (plan.setsKey !== undefined && ctx.tx.isOpen) movedKeysOf(ctx).changedInPlace(plan.setsKey.table)
  if (plan.doesNothing) return runForNothing(ctx, exec)
  const shards = await resolveShards(ctx, plan.route, exec)
  if (shards.length === 1) return runOnOne(ctx, asSent(exec, plan), shards[0]!)
  await runSeverally(ctx, exec, plan, shards)
}

/** Postgres has it do nothing, or says why it cannot be. Home has its tables, and a part of their rows. */
async function runForNothing(ctx: ExecContext, exec: Execution): Promise<void> {
  await ctx.needTransaction()
  await runOnOne(ctx, exec, HOME)
  const held = ctx.out.takeHeld()
  if (held === undefined) return
  if (countIn(held) > 0) throw weftError('not_supported', RULE_IS_OFF)
  ctx.out.hold(held)
}

const RULE_IS_OFF: Refused = {
  id: 'rule',
  what: 'a write of a table whose rule DO INSTEAD NOTHING does not fire, by session_replication_role, is not supported',
  hint: 'Turn the rule off: ALTER TABLE … DISABLE RULE …',
}

/** The rows of one key get one of another shard: that is planned when it happens. */
async function runMoving(ctx: ExecContext, exec: Execution, plan: ForwardPlan): Promise<void> {
  const moving = await again(ctx, exec, plan, { movesKey: true })
  await runSeverally(ctx, { ...exec, plan: moving }, moving, await resolveShards(ctx, moving.route, exec))
}

async function runSeverally(
  ctx: ExecContext,
  exec: Execution,
  plan: ForwardPlan,
  shards: readonly number[],
): Promise<void> {
  const { kind } = plan.onSeveral
  if (!isGathered(plan.onSeveral)) mustSkipNothing(exec, plan)
  if (exec.bindsOnly === true && !canBind(plan)) return
  if (!BEFORE.has(kind) && !TO_COPIES.has(kind)) noteScatter(ctx, plan.sharded, shards)
  const { portal } = exec
  if (portal === undefined || REPLANNED.has(kind)) return runOnEach(ctx, exec, plan, shards)
  if (!canBind(plan)) return runOnEach(ctx, wholly(exec), plan, shards)
  await bindPortal(ctx, exec, portal, plan, shards)
  return exec.bindsOnly === true ? undefined : fetchRows(ctx, exec, portal)
}

/** It can be bound and run later, or in parts: Postgres has its portal, on each shard, or where all is put together. */
function canBind({ access, tag, onSeveral: { kind } }: ForwardPlan): boolean {
  return (access === 'read' && BOUND.has(kind) && tag === 'SELECT') || REPLANNED.has(kind)
}
const BOUND: ReadonlySet<ForwardPlan['onSeveral']['kind']> = new Set(['concat', 'aggregate', 'gather'])
/** Bound or not, by the plan that is made of it. */
const REPLANNED: ReadonlySet<ForwardPlan['onSeveral']['kind']> = new Set(['gather-views', 'gather-outside'])

async function bindPortal(
  ctx: ExecContext,
  exec: Execution,
  portal: OpenPortal,
  { onSeveral }: ForwardPlan,
  shards: readonly number[],
): Promise<void> {
  if (onSeveral.kind === 'concat') return bindOnSeveral(ctx, exec, portal, shards)
  if (onSeveral.kind === 'gather') return runGatherStep(ctx, exec, onSeveral, shards)
  if (onSeveral.kind !== 'aggregate') return
  await ctx.needTransaction()
  await runAggregate(ctx, exec, onSeveral.aggregate, shards)
}

const TO_COPIES: ReadonlySet<ForwardPlan['onSeveral']['kind']> = new Set(['first', 'home-first'])

/** It is planned anew before it goes anywhere. */
const BEFORE: ReadonlySet<ForwardPlan['onSeveral']['kind']> = new Set([
  'gather-views',
  'gather-outside',
  'run-first',
  'list-columns',
])

/** Its rows are given in parts by who keeps them (`ClientOutput.kept`). */
function wholly(exec: Execution): Execution {
  return exec.portal === undefined ? exec : { ...exec, maxRows: 0, portal: undefined }
}

async function runOnEach(
  ctx: ExecContext,
  exec: Execution,
  plan: ForwardPlan,
  shards: readonly number[],
): Promise<void> {
  const several = plan.onSeveral
  switch (several.kind) {
    case 'refuse':
      throw several.error
    case 'aggregate':
      return runAggregate(ctx, exec, several.aggregate, shards)
    case 'gather':
      return runGatherStep(ctx, exec, several, shards)
    case 'gather-modify':
      return runModifyGathered(ctx, exec, several, shards)
    case 'gather-lock':
      return runLockGathered(ctx, exec, several, shards)
    case 'run-first':
      return runFirst(ctx, exec, several)
    case 'list-columns':
      return runListed(ctx, exec, several)
    case 'home-first':
      return runHomeFirst(ctx, exec, several)
    case 'gather-views':
      return runWithViews(ctx, exec, withViews(plan, several))
    case 'gather-outside':
      return runAsKnown(ctx, exec, plan, shards)
    case 'concat':
      return runOnSeveral(ctx, exec, shards, 'rows')
    case 'sum':
      return runOnSeveral(ctx, exec, shards, 'counts')
    case 'first':
      return runOnCopies(ctx, exec)
  }
}

/** What is wrong with the client's text, and whose its columns are, is told of that. */
async function runWithViews(ctx: ExecContext, exec: Execution, plan: SessionPidsPlan): Promise<void> {
  const { columns } = await describedAtHome(ctx, exec.asked ?? exec.text, exec.paramTypes)
  return ctx.runPrepared({ ...exec, origins: columns }, plan)
}

/** The text with the queries of views in their places is planned, and run. */
export function withViews(plan: Plan, { places }: ViewsStep): SessionPidsPlan {
  const replaced = places.map(({ text, ...place }) => ({ ...place, head: text, known: undefined, tail: '' }))
  return { ...replacedPlan(plan, replaced), keepsColumns: true }
}

/** Home is asked what the catalog does not describe, and it is planned again. */
async function runAsKnown(
  ctx: ExecContext,
  exec: Execution,
  plan: ForwardPlan,
  shards: readonly number[],
): Promise<void> {
  const known = await again(ctx, exec, plan)
  await runSeverally(ctx, { ...exec, plan: known }, known, shards)
}

function asSent(exec: Execution, { sentAs }: ForwardPlan): Execution {
  return sentAs === undefined ? exec : { ...exec, text: sentAs, frame: undefined, ref: undefined }
}

/** Each shard would leave out rows of its own. */
function mustSkipNothing(exec: Execution, { skips }: ForwardPlan): void {
  if (skips === undefined) return
  const isNothing = (param: number) => /^(0*|\0*)$/.test(exec.keys.paramText(param) ?? '')
  if (!skips.every(isNothing)) throw weftError('not_supported', SKIPS)
}

const SKIPS: Refused = {
  id: 'several_shards',
  what: 'OFFSET over several shards is not supported yet',
  hint: 'Pass 0, or restrict the shard key to one value.',
}

/** One shard: every byte of its answer is the answer. */
export async function runOnOne(
  ctx: ExecContext,
  exec: Execution,
  shard: number,
  origins?: OpenPortal['origins'],
): Promise<void> {
  await ctx.admit(exec.plan.tag !== 'SHOW')
  const line = ctx.line(shard)
  const state = new ForwardState(exec.wantsRowDescription)
  const { access, tag } = exec.plan
  // Postgres gives the rows in parts.
  if (exec.portal !== undefined) {
    ctx.out.kept = undefined
    exec.portal.lines = [line]
  }
  state.origins = origins ?? exec.origins
  state.describesLate = access === 'write' && (exec.bind !== undefined || tag === 'CALL')
  const forwarder = new RowForwarder(ctx.out, state)
  let feed: LineFeed | undefined
  forwarder.onCopyIn = () => {
    feed = new LineFeed(line, exec.bind !== undefined)
    forwarder.onError = () => feed?.end()
    ctx.state.copyOpened = true
    ctx.readCopy(feed)
  }
  sendAsWritten(ctx, line, exec, forwarder)
  const ends = exec.plan.access === 'write' ? endOfWrite : failedLeaves
  const ended = await ends(ctx, line, forwarder.ended)
  const { refusal } = (feed as LineFeed | undefined) ?? {}
  const told = refusal === undefined ? ended : { ...ended, error: placedAs(refusal, ended.error) }
  const end = settle(ctx, line, told)
  if (!forwarder.suspended && end.tag !== '') ctx.out.hold(tagWithCount(end.tag, end.count))
}

/** The shard was told only that the data was given up: it knows the line. */
function placedAs(refusal: PgError, told: PgError | undefined): PgError {
  return new PgError({ ...refusal.fields, where: told?.fields.where }, { cause: refusal })
}

/** The same statement on several shards. `rows`: of a SELECT, concatenated; `counts`: of one that writes, summed. */
async function runOnSeveral(
  ctx: ExecContext,
  exec: Execution,
  shards: readonly number[],
  speak: 'rows' | 'counts',
): Promise<void> {
  if (exec.plan.access === 'write') await ctx.needTransaction()
  const begun = needsCut(ctx) ? begunStatement(exec) : undefined
  if (begun?.query !== undefined) {
    await ctx.needTransaction()
    await lockAhead(ctx, shards, begun.query)
  }
  const state = new ForwardState(exec.wantsRowDescription)
  state.origins = exec.origins
  state.joinsCopies = true
  const send = (line: ShardLine) => {
    const consumer = new RowForwarder(ctx.out, state)
    sendAsWritten(ctx, line, exec, consumer, begun)
    return consumer.ended
  }
  const seesOneState = speak === 'rows' || begun !== undefined
  const runs = seesOneState ? readOnShards(ctx, shards, send) : onShards(ctx, shards, send)
  const ends = await (begun === undefined ? runs : placedIn(begun, runs))
  if (state.copyOutSent) ctx.out.push(COPY_DONE)
  ctx.out.hold(tagWithCount(ends[0]!.tag, total(ends)))
}

/** A write to the copies of a reference table, of which one speaks for all, after they were seen to agree. */
async function runOnCopies(ctx: ExecContext, exec: Execution): Promise<void> {
  if (exec.plan.access === 'write') await ctx.needTransaction()
  const begun = needsCut(ctx, true) ? begunStatement(exec) : undefined
  const latch = begun && new Latch(ctx)
  const behind = latch && begunStatement(exec, latch.condition)
  const state = new ForwardState(exec.wantsRowDescription)
  state.joinsCopies = true
  const ends = await onCopies(ctx, latch, (line, i) => {
    const consumer = new RowForwarder(ctx.out, state, i === 0)
    const text = i === 0 ? begun : behind
    sendAsWritten(ctx, line, exec, consumer, text)
    return text === undefined ? consumer.ended : placedEnd(text, consumer.ended)
  })
  ctx.out.hold(tagWithCount(ends[0]!.tag, agreedCount(ends.map(({ count }) => count))))
}

/**
 * Row locks of reference tables, for as long as the transaction lasts. Whoever wants one meets the others on home's copy
 * and waits there, or is told; the other copies follow, for what is written on their shards only.
 */
async function lockCopies(ctx: ExecContext, exec: Execution): Promise<void> {
  await ctx.needTransaction()
  const lock = (shards: readonly number[], state: ForwardState, speaks: boolean) =>
    onShards(ctx, shards, (line) => {
      const consumer = new RowForwarder(ctx.out, state, speaks)
      sendAsWritten(ctx, line, wholly(exec), consumer)
      return consumer.ended
    })
  const [home] = await lock([HOME], new ForwardState(exec.wantsRowDescription), true)
  const others = shardsBesideHome(ctx.node.shardCount)
  needsNoMap(ctx)
  await lock(others, new ForwardState(false), false)
  ctx.out.hold(tagWithCount(home!.tag, home!.count))
}
