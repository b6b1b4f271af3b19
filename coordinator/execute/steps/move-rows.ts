import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { parseDataRow } from '../../../protocol/wire/backend-messages.ts'
import type { Relation } from '../../../sql/catalog.ts'
import { type MovePlan, UNSAFE_ROW } from '../../../sql/plan/gather/gather-plan.ts'
import { FORMAT } from '../../../sql/plan/gather/transport.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import type { ExecContext, Execution } from '../context.ts'
import { NULL_KEY } from '../plans/key-slots.ts'
import { shardOf } from '../route.ts'
import { onShards } from '../shards/on-shards.ts'
import type { ExecEnd, RowForwarder } from '../shards/replies.ts'
import { queryShard, rewrittenPayload, sendPayload } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import { type KeyChange, MovedKeys } from '../transaction/moved-keys.ts'
import { computePayload, inputsOf } from './change-copies.ts'
import type { OwnRows } from './compute-set.ts'
import { roomFor } from './gather.ts'
import type { GatheredRows } from './gathered-rows.ts'
import { type ForeignKey, foreignKeysTo, mustBeMovable, mustNotBeReferred } from './movable.ts'
import { type Place, Places, placeOf } from './places.ts'
import { TakenRows } from './taken-rows.ts'

/** An UPDATE of the shard key over rows that were found. */
export interface Moving {
  readonly move: MovePlan
  /** What is gathered beside its target. */
  readonly rows: GatheredRows
  readonly account: MemoryAccount
  /** What was computed for its rows, by shard. */
  readonly own: OwnRows | undefined
}

/** Rows by where their new ones belong. */
export interface Sorted {
  readonly staying: Places
  readonly leaving: Places
  /** By the shard. */
  readonly arriving: ReadonlyMap<number, GatheredRows>
}

/** Computes the new rows of places, where they are; those that belong to other shards are kept. */
export async function sortRows(
  ctx: ExecContext,
  exec: Execution,
  moving: Moving,
  meant: Places,
): Promise<Sorted> {
  ctx.state.trace?.doing('Computes rows that may move')
  const { move } = moving
  const { slots } = await ctx.catalog()
  const sorter = new Sorter(ctx, moving, slots)
  await onShards(ctx, meant.shards, (line) => {
    const consumer = new TakenRows((...row) => sorter.take(...row))
    const gathered = inputsOf(moving.rows, move.computeInputs, moving.own?.of(line.shard))
    const payload = computePayload(line, exec, move, gathered, meant)
    sendPayload(ctx, line, payload, { writes: false }, consumer)
    return consumer.ended
  })
  movedKeysOf(ctx).note(move.table, sorter.changes, sorter.leaving.shards)
  return sorter
}

/** Those of the transaction. */
export function movedKeysOf({ tx, memory }: ExecContext): MovedKeys {
  tx.movedKeys ??= new MovedKeys(memory.account('keys of rows that moved'))
  return tx.movedKeys
}

class Sorter implements Sorted {
  readonly staying = new Places()
  readonly leaving = new Places()
  readonly arriving = new Map<number, GatheredRows>()
  readonly changes: KeyChange[] = []
  private readonly past: MovedKeys | undefined
  private readonly makeRoom: () => GatheredRows
  private readonly move: MovePlan
  private readonly slots: Uint16Array

  constructor(ctx: ExecContext, { move, account }: Moving, slots: Uint16Array) {
    this.makeRoom = () => roomFor(ctx, { inputs: [move.input] }, 0, account)
    this.past = ctx.tx.movedKeys
    this.move = move
    this.slots = slots
  }

  /** A DataRow's body. Throws why it cannot be taken. */
  take(buffer: Buffer, bodyStart: number, end: number, shard: number): void {
    const cells = parseDataRow(buffer, bodyStart, end)
    const owner = cells[0]!.readInt32BE(0) === UNSAFE_ROW ? shard : this.ownerOf(cells, shard)
    if (owner === undefined) return
    const rows = this.arriving.get(owner) ?? this.makeRoom()
    this.arriving.set(owner, rows)
    rows.take(buffer, bodyStart, shard)
    if (rows.refusal !== undefined) throw rows.refusal
  }

  /** Undefined: it stays. */
  private ownerOf(cells: readonly (Buffer | null)[], shard: number): number | undefined {
    const { table } = this.move
    const [slot, isUnsure, oid, tid, xmin, was, is] = cells.slice(1 + this.move.cells)
    const owner = shardOf(table, this.slots, slot == null ? NULL_KEY : slot.readInt32BE(0))
    const place = placeIn([oid, tid, xmin], shard)
    if (this.move.isMerge === true && isUnsure![0] !== 0) throw new PgError(TWICE)
    // Which of several was taken now counts: it might not be taken again.
    const leaves = owner !== shard || isUnsure![0] !== 0
    this.change({ was: String(was), is: String(is), leaves }, owner)
    if (!leaves) {
      this.staying.add(place)
      return undefined
    }
    this.leaving.add(place)
    return owner
  }

  private change(change: KeyChange, owner: number): void {
    const { table } = this.move
    const keeps = change.was === change.is
    if (keeps ? change.leaves : this.past?.comesBack(table, change, owner) === true)
      throw weftError('not_supported', comesBack(table))
    if (!keeps) this.changes.push(change)
  }
}

const TWICE = {
  code: '21000',
  message: 'MERGE command cannot affect row a second time',
  hint: 'Ensure that not more than one source row matches any one target row.',
}

const comesBack = ({ name }: Relation): Refused => ({
  id: 'rows_moved',
  what: `an UPDATE that gives a row of "${name}" back a shard key from which it was moved in this transaction is not supported`,
  hint: 'Commit between the two, or undo the first with a savepoint: who waits for the row by that key would not find it.',
})

function placeIn(cells: readonly (Buffer | null | undefined)[], shard: number): Place {
  return placeOf([...cells.map((cell) => cell?.toString('latin1')), String(shard)])!
}

/** Why some could not be taken away: others refer to them. */
export interface Referred {
  readonly error: PgError
  /** Where nothing more can be done. */
  readonly shards: ReadonlySet<number>
}

/**
 * Takes rows away from where they are, before anything else is written: no key is in the way that the statement gives to
 * nobody any more. What Postgres finds out about foreign keys it says last, so that is the answer and not an error yet.
 */
export async function deleteLeaving(
  ctx: ExecContext,
  exec: Execution,
  { move }: Moving,
  leaving: Places,
): Promise<Referred | undefined> {
  await mustBeMovable(ctx, move)
  const referring = await foreignKeysTo(ctx, move)
  ctx.tx.movesRows = true
  ctx.state.trace?.doing('Takes rows away that move')
  const errors = new Map<number, PgError>()
  const one = async (shard: number): Promise<void> => {
    const asked = leaving.on(shard)
    const deleted = await deleteOn(ctx, move, asked, shard, referring)
    if (deleted instanceof PgError) errors.set(shard, deleted)
    // Policies hide some, or code was in the way.
    else if (deleted !== asked.count) throw weftError('rows_changed', { verb: exec.plan.tag })
  }
  await settleAll(leaving.shards.map(one))
  const [first] = errors.values()
  return first && { error: first, shards: new Set(errors.keys()) }
}

const FOREIGN_KEY = '23503'

async function deleteOn(
  ctx: ExecContext,
  move: MovePlan,
  asked: Places,
  shard: number,
  referring: readonly ForeignKey[],
): Promise<number | null | PgError> {
  try {
    for (const key of referring) await mustNotBeReferred(ctx, move, asked, shard, key)
    const { count } = await queryShard(ctx, ctx.line(shard), move.delete, asked.arrays(shard), {
      writes: true,
    })
    return count
  } catch (error) {
    if (error instanceof PgError && error.code === FOREIGN_KEY) return error
    throw error
  }
}

/** Inserts new rows where they belong; what the client is to have of them is forwarded. */
export async function insertArriving(
  ctx: ExecContext,
  exec: Execution,
  moving: Moving,
  arriving: Sorted['arriving'],
  makeConsumer: () => RowForwarder,
): Promise<readonly ExecEnd[]> {
  ctx.state.trace?.doing('Inserts rows where they belong')
  const { move } = moving
  const gathered = inputsOf(moving.rows, move.insertInputs)
  const shards = [...arriving.keys()].sort((a, b) => a - b)
  const { taintsBackend: taints, pins } = exec.plan.effects
  return onShards(ctx, shards, (line) => {
    const consumer = makeConsumer()
    const values = [...gathered, ...arriving.get(line.shard)!.params()]
    const payload = rewrittenPayload(line, exec, move.insert, move.insertParams, {
      values,
      formats: values.map(() => FORMAT.binary),
      resultFormats: exec.bind?.resultFormats ?? [],
      describes: exec.wantsRowDescription,
    })
    sendPayload(ctx, line, payload, { writes: true, taints, unsettles: taints, pins }, consumer)
    return consumer.ended
  })
}
