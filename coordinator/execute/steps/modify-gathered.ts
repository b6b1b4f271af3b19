import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import type { HeldWrite } from '../../../sql/plan/first/first-step.ts'
import type { ModifyStep, MovePlan } from '../../../sql/plan/gather/gather-plan.ts'
import { FORMAT } from '../../../sql/plan/gather/transport.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { DelayedRows } from '../answers/delayed-rows.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { RowStream } from '../answers/row-stream.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { onShards } from '../shards/on-shards.ts'
import { type ExecEnd, ForwardState, RowForwarder, tagWithCount, total } from '../shards/replies.ts'
import { rewrittenPayload, sendPayload, settled } from '../shards/send.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { changeCopies, inputsOf } from './change-copies.ts'
import { computeSet, type OwnRows } from './compute-set.ts'
import { finishShard, overGathered, withGathered } from './gather.ts'
import type { GatheredRows } from './gathered-rows.ts'
import { canHold, runHeld } from './held-write.ts'
import { BY_RIGHTS, Locks, mayNotLock } from './locked-places.ts'
import { drawnValues } from './merge-draws.ts'
import { deleteLeaving, insertArriving, sortRows } from './move-rows.ts'
import { Places, placeOf } from './places.ts'
import { BY_SOURCE, beginWith } from './run-first.ts'

/** Of a place in memory, roughly. */
const PLACE_BYTES = 256
/** How often rows that others change in the meantime are looked for again. */
export const ROUNDS_MAX = 100

/**
 * UPDATE and DELETE of rows that are found by what is gathered (docs/decisions/0031-rows-found-by-gathering.md). All that is
 * read is of one moment, since when the rows that it means have not changed: rows that were found are locked, and where one
 * has changed in between, all is looked for again. A transaction of the client's with a snapshot needs no locks: Postgres
 * tells when a row has changed since. In one of the statement's own they are for the order alone: it is run again, unseen,
 * after that, but not after a deadlock.
 */
export async function runModifyGathered(
  ctx: ExecContext,
  exec: Execution,
  step: ModifyStep,
  shards: readonly number[],
): Promise<void> {
  const { codeReads } = step.modify
  const needsSnapshot = step.modify.needsSnapshot && !ctx.tx.holdsRows
  if (needsSnapshot && step.held !== undefined && (await canHold(ctx, step.held)))
    return holdInstead(ctx, exec, step.held)
  const isUnlocked = await mayNotLock(ctx, step.modify)
  const refusal = isUnlocked ? BY_RIGHTS : needsSnapshot ? BY_SOURCE : BY_CODE
  await beginWith(ctx, isUnlocked || (needsSnapshot ?? codeReads) === true, refusal)
  // What is wrong with the client's text is told as if it had run as it is.
  const { columns: origins, paramTypes } = await describedAtHome(
    ctx,
    exec.asked ?? exec.text,
    exec.paramTypes,
  )
  const account = ctx.memory.account('places of rows')
  const run = { shards, origins, account, isUnlocked }
  const work = (): Promise<void> => changeFound(ctx, { ...exec, paramTypes }, step, run)
  try {
    if (ctx.tx.givenSnapshot) await ctx.out.untilDone(new DelayedRows(ctx.memory.account('first rows')), work)
    else await work()
  } finally {
    account.set(0)
  }
}

/** What is wrong with the client's text is told as if it had run as it is. */
async function holdInstead(ctx: ExecContext, exec: Execution, held: HeldWrite): Promise<void> {
  await ctx.admit()
  const asked = exec.asked ?? exec.text
  const { columns: origins, paramTypes } = await describedAtHome(ctx, asked, exec.paramTypes)
  await runHeld(ctx, { ...exec, paramTypes, asked, origins }, held, true)
}

const BY_CODE: Refused = {
  id: 'reference_write_from',
  what:
    'a write to a reference table from other tables, with triggers or other code that may read tables, is not supported in a ' +
    'READ COMMITTED transaction',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ.',
}

interface Run {
  readonly shards: readonly number[]
  readonly origins: ForwardState['origins']
  readonly account: MemoryAccount
  readonly isUnlocked: boolean
}

async function changeFound(ctx: ExecContext, exec: Execution, step: ModifyStep, run: Run): Promise<void> {
  const isTold = ctx.hasTransactionSnapshots && !ctx.tx.givenSnapshot
  const locks = new Locks(ctx, exec, step, run.isUnlocked || isTold)
  for (let round = 0; round < ROUNDS_MAX; round++) {
    run.account.set(locks.count * PLACE_BYTES)
    const isDone = await withGathered(ctx, exec, step.gather, run.shards, async (rows) => {
      const found = await find(ctx, exec, step, rows, run.account)
      if (!(await locks.take(found))) return false
      const meant = step.modify.keepsHidden ? found : found.without(locks.hidden)
      await change(ctx, exec, step, run, { rows, meant })
      return true
    })
    if (isDone) return
  }
  throw weftError('rows_changed', { verb: exec.plan.tag })
}

/** The places of the rows that are meant. */
async function find(
  ctx: ExecContext,
  exec: Execution,
  { gather }: ModifyStep,
  rows: GatheredRows,
  account: MemoryAccount,
): Promise<Places> {
  ctx.state.trace?.doing('Finds the rows that are meant')
  const line = ctx.line(finishShard(ctx, gather))
  const places = new Places()
  const stream = new RowStream(async (row) => {
    account.add(PLACE_BYTES)
    places.add(placeOf(row)!)
  })
  sendPayload(ctx, line, overGathered(line, exec, gather, gather.finish, rows, []), { writes: false }, stream)
  await settled(ctx, line, stream.ended)
  return places
}

interface Found {
  readonly rows: GatheredRows
  readonly meant: Places
  /** Parameters of what a MERGE leaves to defaults. */
  readonly drawn?: readonly string[] | undefined
  /** What was computed for rows, by shard. */
  readonly own?: OwnRows | undefined
}

async function change(
  ctx: ExecContext,
  exec: Execution,
  step: ModifyStep,
  run: Run,
  found: Found,
): Promise<void> {
  const state = new ForwardState(exec.wantsRowDescription)
  state.describesLate = true
  state.origins = run.origins
  const { modify, gather } = step
  const drawn = modify.draws && (await drawnValues(ctx, exec, gather, modify.draws, found.rows))
  if (modify.copies !== undefined) {
    const { tag, count } = await changeCopies(ctx, exec, modify, modify.copies, { ...found, drawn }, state)
    return ctx.out.hold(tagWithCount(tag, count))
  }
  const account = ctx.memory.account('what rows are set to')
  try {
    const own = modify.computed && (await computeSet(ctx, exec, modify.computed, { ...found, account }))
    const known = { ...found, drawn, own }
    const ends =
      modify.move === undefined
        ? await write(ctx, exec, step, run, known, state)
        : await changeAndMove(ctx, exec, step, modify.move, run, known, state)
    ctx.out.hold(tagWithCount(ends[0]!.tag, total(ends)))
  } finally {
    account.set(0)
  }
}

/** Rows whose new key belongs to another shard go there; the others are changed where they are. */
async function changeAndMove(
  ctx: ExecContext,
  exec: Execution,
  step: ModifyStep,
  move: MovePlan,
  run: Run,
  { rows, meant, own, drawn }: Found,
  state: ForwardState,
): Promise<readonly ExecEnd[]> {
  const account = ctx.memory.account('rows that move to another shard')
  const moving = { move, rows, account, own }
  try {
    const { staying, leaving, arriving } = await sortRows(ctx, exec, moving, meant)
    const referred = leaving.count > 0 ? await deleteLeaving(ctx, exec, moving, leaving) : undefined
    if (referred !== undefined) {
      const isOpen = (shard: number): boolean => !referred.shards.has(shard)
      const rest = new Map([...arriving].filter(([shard]) => isOpen(shard)))
      await insertArriving(ctx, exec, moving, rest, () => new RowForwarder(ctx.out, state, false))
      throw referred.error
    }
    // Who may not update is told so, where no row stays too.
    const isNarrow = leaving.count > 0 && step.modify.isEverywhere !== true
    const there = isNarrow ? { ...run, shards: leaving.shards } : run
    const changed = await write(ctx, exec, step, there, { rows, meant: staying, own, drawn }, state)
    const forwarding = () => new RowForwarder(ctx.out, state)
    return [...changed, ...(await insertArriving(ctx, exec, moving, arriving, forwarding))]
  } finally {
    account.set(0)
  }
}

/** Where there are none, one shard answers. */
async function write(
  ctx: ExecContext,
  exec: Execution,
  step: ModifyStep,
  { shards }: Run,
  { rows, meant, drawn = [], own }: Found,
  state: ForwardState,
): Promise<readonly ExecEnd[]> {
  ctx.state.trace?.doing('Changes rows where they are')
  const { taintsBackend: taints, pins } = exec.plan.effects
  const options = { writes: true, taints, unsettles: taints, pins }
  const answering = step.gather.atHome ? HOME : shards[0]!
  const places = meant.count === 0 ? [answering] : meant.shards
  const { slots } = await ctx.catalog()
  const everywhere = step.modify.isEverywhere === true ? shards : places
  return onShards(ctx, everywhere, (line) => {
    const consumer = new RowForwarder(ctx.out, state)
    const owned = step.modify.ownsKeys ? [slotsOf(slots, line.shard), String(line.shard === shards[0])] : []
    const texts = [...owned, ...drawn]
    sendPayload(ctx, line, writePayload(line, exec, step, { rows, meant, own, texts }), options, consumer)
    return consumer.ended
  })
}

/** Those of a shard, as int8[]. */
function slotsOf(slots: Uint16Array, shard: number): string {
  const own: number[] = []
  for (const [slot, owner] of slots.entries()) if (owner === shard) own.push(slot)
  return `{${own.join(',')}}`
}

function writePayload(
  line: ShardLine,
  exec: Execution,
  { modify }: ModifyStep,
  { rows, meant, own, texts: beside }: Found & { readonly texts: readonly string[] },
): Buffer {
  const gathered = inputsOf(rows, modify.writeInputs, own?.of(line.shard))
  const texts = modify.needsSnapshot ? beside : [...meant.arrays(line.shard), ...beside]
  return rewrittenPayload(line, exec, modify.write, modify.writeParams, {
    values: [...gathered, ...texts],
    formats: [...gathered.map(() => FORMAT.binary), ...texts.map(() => FORMAT.text)],
    resultFormats: exec.bind?.resultFormats ?? [],
    describes: exec.wantsRowDescription,
  })
}
