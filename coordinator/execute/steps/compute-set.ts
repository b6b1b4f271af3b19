import { parseDataRow } from '../../../protocol/wire/backend-messages.ts'
import { type ComputedPlan, UNSAFE_ROW } from '../../../sql/plan/gather/gather-plan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { sendPayload, settled } from '../shards/send.ts'
import { computePayload, inputsOf } from './change-copies.ts'
import { roomFor } from './gather.ts'
import type { GatheredRows } from './gathered-rows.ts'
import type { Places } from './places.ts'
import { TakenRows } from './taken-rows.ts'

/** What was computed for rows, by the shard that has them. */
export class OwnRows {
  private readonly byShard = new Map<number, GatheredRows>()
  private readonly makeRoom: () => GatheredRows

  constructor(makeRoom: () => GatheredRows) {
    this.makeRoom = makeRoom
  }

  of(shard: number): GatheredRows {
    const rows = this.byShard.get(shard) ?? this.makeRoom()
    this.byShard.set(shard, rows)
    return rows
  }
}

interface Found {
  readonly rows: GatheredRows
  readonly meant: Places
  readonly account: MemoryAccount
}

/** Computes, on home, what rows that were found are set to: once for each, as sequences and volatile functions want it. */
export async function computeSet(
  ctx: ExecContext,
  exec: Execution,
  plan: ComputedPlan,
  { rows, meant, account }: Found,
): Promise<OwnRows> {
  ctx.state.trace?.doing('Computes what rows are set to')
  const own = new OwnRows(() => roomFor(ctx, { inputs: [plan.input] }, rows.bytes, account))
  if (meant.count === 0) return own
  const line = ctx.line(HOME)
  const consumer = new TakenRows((...row) => takenBy(own, ...row))
  const gathered = inputsOf(rows, plan.computeInputs)
  const payload = computePayload(line, exec, plan, gathered, meant, placesOf(meant))
  sendPayload(ctx, line, payload, { writes: plan.callsUsers === true }, consumer)
  await settled(ctx, line, consumer.ended)
  return own
}

/** Of all shards, with those. */
function placesOf(meant: Places): readonly string[] {
  const lists = meant.shards.map((shard) => {
    const count = meant.on(shard).count
    return [...meant.arrays(shard), `{${Array(count).fill(shard).join(',')}}`]
  })
  return [0, 1, 2, 3].map((part) => `{${lists.map((arrays) => arrays[part]!.slice(1, -1)).join(',')}}`)
}

/** Each row goes to those of the shard that it names. */
function takenBy(own: OwnRows, buffer: Buffer, bodyStart: number, end: number, here: number): void {
  const cells = parseDataRow(buffer, bodyStart, end)
  const isUnsafe = cells[0]!.readInt32BE(0) === UNSAFE_ROW
  const rows = own.of(isUnsafe ? here : cells.at(-1)!.readInt32BE(0))
  rows.take(buffer, bodyStart, here)
  if (rows.refusal !== undefined) throw rows.refusal
}
