import { type ComputedPlan, type ModifyPlan, OWN_INPUT } from '../../../sql/plan/gather/gather-plan.ts'
import { FORMAT } from '../../../sql/plan/gather/transport.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { agreedCount } from '../shards/agreed.ts'
import { onCopies } from '../shards/on-copies.ts'
import { type ForwardState, RowForwarder } from '../shards/replies.ts'
import { rewrittenPayload, sendPayload, settled } from '../shards/send.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { RowsConsumer, roomFor } from './gather.ts'
import type { GatheredRows } from './gathered-rows.ts'
import type { Places } from './places.ts'

interface Found {
  readonly rows: GatheredRows
  readonly meant: Places
  /** Parameters of what a MERGE leaves to defaults, as texts. */
  readonly drawn?: readonly string[] | undefined
}

/**
 * Changes rows of a reference table that were found on home's copy, on all copies. Where they are locked nobody can have
 * changed them on another copy, so none has to begin before the other. Home answers.
 */
export async function changeCopies(
  ctx: ExecContext,
  exec: Execution,
  modify: ModifyPlan,
  copies: ComputedPlan,
  { rows, meant, drawn = [] }: Found,
  state: ForwardState,
): Promise<{ readonly tag: string; readonly count: number | null }> {
  const account = ctx.memory.account('rows of a reference table')
  const values = roomFor(ctx, { inputs: [copies.input] }, rows.bytes, account)
  try {
    // Its own conditions tell its rows, under one snapshot.
    const isTold = modify.needsSnapshot !== true
    if (isTold) await compute(ctx, exec, copies, { rows, meant }, values)
    const arrays = [...inputsOf(rows, modify.writeInputs), ...(isTold ? values.params() : [])]
    const { taintsBackend: taints, pins } = exec.plan.effects
    const ends = await onCopies(ctx, undefined, (line, i) => {
      const consumer = new RowForwarder(ctx.out, state, i === 0)
      const payload = rewrittenPayload(line, exec, modify.write, modify.writeParams, {
        values: [...arrays, ...drawn],
        formats: [...arrays.map(() => FORMAT.binary), ...drawn.map(() => FORMAT.text)],
        resultFormats: exec.bind?.resultFormats ?? [],
        describes: exec.wantsRowDescription,
      })
      sendPayload(ctx, line, payload, { writes: true, taints, unsettles: taints, pins }, consumer)
      return consumer.ended
    })
    return { tag: ends[0]!.tag, count: agreedCount(ends.map(({ count }) => count)) }
  } finally {
    values.release()
  }
}

/** What tells rows on other copies, and what they are set to, once for all. */
async function compute(
  ctx: ExecContext,
  exec: Execution,
  copies: ComputedPlan,
  { rows, meant }: Found,
  values: GatheredRows,
): Promise<void> {
  const line = ctx.line(HOME)
  const consumer = new RowsConsumer(values)
  const payload = computePayload(line, exec, copies, inputsOf(rows, copies.computeInputs), meant)
  sendPayload(ctx, line, payload, { writes: false }, consumer)
  await settled(ctx, line, consumer.ended)
}

/** Computes, where rows of these places are, what becomes of them: from what is gathered, and the places. */
export function computePayload(
  line: ShardLine,
  exec: Execution,
  { compute, computeParams, formats }: Computed,
  gathered: readonly Buffer[],
  meant: Places,
  texts: readonly string[] = meant.arrays(line.shard),
): Buffer {
  return rewrittenPayload(line, exec, compute, computeParams, {
    values: [...gathered, ...texts],
    formats: [...gathered.map(() => FORMAT.binary), ...texts.map(() => FORMAT.text)],
    resultFormats: formats,
    describes: false,
  })
}

type Computed = Pick<ComputedPlan, 'compute' | 'computeParams' | 'formats'>

/** `own`: what was computed for the shard. */
export function inputsOf(
  rows: GatheredRows,
  inputs: readonly number[],
  own?: GatheredRows,
): readonly Buffer[] {
  return inputs.flatMap((input) => (input === OWN_INPUT ? own!.params() : rows.params(input, input + 1)))
}
