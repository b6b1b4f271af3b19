import { BEGUN } from '../../../sql/plan/begun-text.ts'
import { insertElsewhere } from '../../../sql/plan/insert-elsewhere.ts'
import { buildInsert, type SplicedValues } from '../../../sql/plan/insert-text.ts'
import type { InsertPlan, InsertRow } from '../../../sql/plan/plan.ts'
import { evaluateExpressions, evaluateFills } from '../answers/evaluate.ts'
import { inOrder, RowKeeper } from '../answers/returned-rows.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { runOnOne } from '../forward.ts'
import { shardOf, slotOf } from '../route.ts'
import { noteScatter } from '../scatter.ts'
import { agreedCount } from '../shards/agreed.ts'
import { placedEnd } from '../shards/begun-statement.ts'
import { Latch, onCopies } from '../shards/on-copies.ts'
import { needsCut, readOnShards } from '../shards/on-shards.ts'
import { type ExecEnd, ForwardState, tagWithCount, total } from '../shards/replies.ts'
import { endOfWrite, sendRewritten, settle } from '../shards/send.ts'
import { slotOfText } from '../shards/server-slot.ts'
import { settleAll } from '../shards/settle-all.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { nextTurn } from '../transaction/turn.ts'
import { requireExactKey } from './exact-texts.ts'

/** A millisecond or two. */
const ROWS_A_TURN = 2048

/** INSERT … VALUES whose rows may belong to several shards, or need values that only the home shard can give. */
export async function runInsert(ctx: ExecContext, exec: Execution, planned: InsertPlan): Promise<void> {
  const plan = placed(exec, planned)
  ctx.state.trace?.doing('Computes values')
  const values = await splicedValues(ctx, exec, plan)
  ctx.state.trace?.doing('Inserts rows where they belong')
  const groups = await groupRows(ctx, exec, plan, values)
  const asWritten = plan.fill.length === 0 && values.keys.every((key) => key === undefined)
  if (groups.size === 1 && asWritten) return runOnOne(ctx, exec, [...groups.keys()][0]!)
  if (groups.size !== 1 && plan.onOneShard !== undefined) throw plan.onOneShard
  noteScatter(ctx, plan.table.kind === 'sharded' ? plan.sharded : undefined, { length: groups.size })
  if (groups.size > 1) await ctx.needTransaction()
  else await ctx.admit()
  await insertGroups(ctx, exec, plan, values, groups)
}

/** Planned for another text, it may be, with other literals. */
function placed({ text, keys }: Execution, plan: InsertPlan): InsertPlan {
  return plan.literalEnds === undefined ? plan : insertElsewhere(plan, keys.literalEnds(text))
}

/** The shard on which the statement as written inserts all that it would insert; undefined: there is none. */
export async function onlyShard(
  ctx: ExecContext,
  exec: Execution,
  plan: InsertPlan,
): Promise<number | undefined> {
  const isComputed = plan.rows.some(({ key }) => key.source.kind === 'expression')
  if (isComputed || plan.fill.length > 0) return undefined
  const groups = await groupRows(ctx, exec, plan, { fills: [], keys: [] })
  return groups.size === 1 ? [...groups.keys()][0] : undefined
}

/** Values that Weft puts into the text in place of expressions and omitted columns. */
async function splicedValues(ctx: ExecContext, exec: Execution, plan: InsertPlan): Promise<SplicedValues> {
  const expressions = plan.rows.map((row) =>
    row.key.source.kind === 'expression'
      ? exec.text.slice(row.key.source.start, row.key.source.end)
      : undefined,
  )
  const isReference = plan.table.kind === 'reference'
  if (!isReference && expressions.some((one) => one !== undefined)) await requireExactKey(ctx, plan)
  const keys = isReference ? [] : await evaluateExpressions(ctx, exec, plan.keyType, expressions)
  const fills = await evaluateFills(ctx, plan.fill, plan.rows)
  return { fills, keys }
}

/** Rows by the shard that owns them; a reference table's rows belong to every shard. */
async function groupRows(
  ctx: ExecContext,
  exec: Execution,
  plan: InsertPlan,
  values: SplicedValues,
): Promise<Map<number, number[]>> {
  const groups = new Map<number, number[]>()
  if (plan.table.kind === 'reference') {
    for (let shard = 0; shard < ctx.node.shardCount; shard++)
      groups.set(
        shard,
        plan.rows.map((_, i) => i),
      )
    return groups
  }
  const { slots } = await ctx.catalog()
  for (const [i, row] of plan.rows.entries()) {
    const shard = shardOf(plan.table, slots, await rowSlot(ctx, exec, plan, row, i, values))
    const group = groups.get(shard)
    if (group === undefined) groups.set(shard, [i])
    else group.push(i)
    if (i % ROWS_A_TURN === ROWS_A_TURN - 1) await nextTurn()
  }
  return groups
}

function rowSlot(
  ctx: ExecContext,
  exec: Execution,
  plan: InsertPlan,
  row: InsertRow,
  index: number,
  values: SplicedValues,
): number | Promise<number> {
  const { key } = row
  const typmod = plan.table.key?.typmod
  if (key.source.kind === 'expression')
    return slotOfText(ctx, plan.keyType, values.keys[index] ?? null, typmod)
  if (key.source.kind === 'default') {
    const at = plan.fill.findIndex((fill) => fill.isKey)
    return slotOfText(ctx, plan.keyType, values.fills[index]?.[at] ?? null, typmod)
  }
  return slotOf(ctx, plan.keyType, { ...key, source: key.source }, exec, { typmod: typmod ?? -1 })
}

async function insertGroups(
  ctx: ExecContext,
  exec: Execution,
  plan: InsertPlan,
  values: SplicedValues,
  groups: ReadonlyMap<number, readonly number[]>,
): Promise<void> {
  const state = new ForwardState(exec.wantsRowDescription)
  const toCopies = plan.table.kind === 'reference'
  const begins = plan.looks && groups.size > 1 && needsCut(ctx, toCopies)
  const latch = begins && toCopies ? new Latch(ctx) : undefined
  const keepers: RowKeeper[] = []
  const send = (line: ShardLine): Promise<ExecEnd> => {
    const keeper = new RowKeeper(ctx.out, state)
    keepers.push(keeper)
    const condition = line.shard === HOME || latch === undefined ? BEGUN : latch.condition
    const indexes = groups.get(line.shard)!
    const text = buildInsert(plan, exec.text, indexes, values, begins ? condition : undefined)
    sendRewritten(ctx, line, exec, text.sql, text.params, keeper, exec.bind?.resultFormats, begins)
    return placedEnd(text, keeper.ended)
  }
  const shards = [...groups.keys()]
  const ends = toCopies
    ? await onCopies(ctx, latch, send)
    : await (begins ? readOnShards(ctx, shards, send) : insertOn(ctx, shards, send))
  const parts = [...groups.values()].map((indexes, i) => ({ indexes, rows: keepers[i]!.rows }))
  for (const row of inOrder(toCopies ? parts.slice(0, 1) : parts)) ctx.out.push(row)
  const count = toCopies ? agreedCount(ends.map((end) => end.count)) : total(ends)
  ctx.out.hold(tagWithCount(ends[0]!.tag, count))
}

/** What is inserted reads no tables: each shard in its own time. */
async function insertOn(
  ctx: ExecContext,
  shards: readonly number[],
  send: (line: ShardLine) => Promise<ExecEnd>,
): Promise<readonly ExecEnd[]> {
  const lines = shards.map((shard) => ctx.line(shard))
  const ends = await settleAll(lines.map((line) => endOfWrite(ctx, line, send(line))))
  for (const [i, end] of ends.entries()) settle(ctx, lines[i]!, end)
  return ends
}
