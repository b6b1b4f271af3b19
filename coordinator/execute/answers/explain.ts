import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { commandComplete, dataRow } from '../../../protocol/wire/backend-messages.ts'
import {
  type GatherInput,
  type GatherPlan,
  type PartText,
  withExtra,
} from '../../../sql/plan/gather/gather-plan.ts'
import type { ExplainPlan, ForwardPlan, InsertPlan, InsertSelectPlan } from '../../../sql/plan/plan.ts'
import { explainWords } from '../../../sql/plan/utility/explain.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { runOnOne, withViews } from '../forward.ts'
import { finishShard, overGathered, roomFor, sendPart, withGathered } from '../gather/gather.ts'
import type { GatheredRows } from '../gather/gathered-rows.ts'
import { again } from '../gather/outside.ts'
import { type ChosenWay, chosenWay, withSpread } from '../gather/spread.ts'
import { onlyShard } from '../insert/insert.ts'
import { resolveShards } from '../route.ts'
import { textColumn } from '../settings/setting.ts'
import { needsCut } from '../shards/on-shards.ts'
import { Collector } from '../shards/replies.ts'
import { sendAsWritten, sendPayload, settled } from '../shards/send.ts'

type Insert = InsertPlan | InsertSelectPlan

/** EXPLAIN: one shard answers as it is; several are shown one under the other, below a line that names the route. */
export async function runExplain(ctx: ExecContext, exec: Execution, plan: ExplainPlan): Promise<void> {
  const { inner } = plan
  if (inner.kind === 'refused') throw inner.error
  if (inner.kind !== 'forward') return explainOther(ctx, exec, plan)
  const shards = await resolveShards(ctx, inner.route, exec)
  if (shards.length === 1) return runOnOne(ctx, exec, shards[0]!)
  if (inner.onSeveral.kind === 'gather-outside') {
    return runExplain(ctx, exec, await again(ctx, exec, plan))
  }
  const { onSeveral } = inner
  if (onSeveral.kind === 'refuse') throw onSeveral.error
  if (onSeveral.kind === 'run-first') throw weftError('not_supported', FIRST)
  if (onSeveral.kind === 'gather-views') return ctx.runPrepared(exec, withViews(plan, onSeveral))
  if (plan.format !== 'text') throw weftError('not_supported', FORMAT)
  if (plan.analyze && inner.access === 'write') throw weftError('not_supported', ANALYZE)
  const spreads = onSeveral.kind === 'gather' ? onSeveral.spreads : undefined
  const chosen = await chosenWay(ctx, exec, spreads, shards.length)
  await admit(ctx, plan)
  say(ctx, exec, await spreadLines(ctx, exec, plan, inner, shards, chosen))
}

/** Rows that are spread are there for ANALYZE only. */
async function spreadLines(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  inner: ForwardPlan,
  shards: readonly number[],
  chosen: ChosenWay | undefined,
): Promise<readonly string[]> {
  if (chosen === undefined) return severalLines(ctx, exec, plan, inner, shards)
  const { way, movedRows, stayingRows } = chosen
  const table = way.spread.inputs.map(inputText).join(', ')
  const why = `about ${movedRows} rows to where about ${stayingRows} are`
  const over = async (spread: GatheredRows): Promise<readonly string[]> => {
    const onSeveral = { kind: 'gather', gather: way.gather } as const
    const [head, ...lines] = await severalLines(ctx, exec, plan, { ...inner, onSeveral }, shards, spread)
    return [head!, `  Spread: ${table}, ${why}`, ...lines]
  }
  return plan.analyze ? withSpread(ctx, exec, way, shards, over) : over(roomFor(ctx, way.spread))
}

async function severalLines(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  inner: ForwardPlan,
  shards: readonly number[],
  spread?: GatheredRows,
): Promise<readonly string[]> {
  const { onSeveral } = inner
  const lines = [headline(inner, shards)]
  const gather = 'gather' in onSeveral ? withExtra(onSeveral.gather, 0) : undefined
  if (gather !== undefined) lines.push(`  Gathered: ${gather.inputs.map(inputText).join(', ')}`)
  for (const shard of shards) {
    lines.push(`  ->  Shard ${shard}`)
    const rows = await explainOn(ctx, exec, shard, inner, shard === shards[0], spread)
    lines.push(...rows.map((row) => `        ${row}`))
  }
  if (gather !== undefined) {
    const { shard, rows } = await explainFinish(ctx, exec, plan, gather, shards, spread)
    const isQuery = onSeveral.kind !== 'gather-modify'
    const what = isQuery ? 'The query over them' : 'The places of the rows that are meant'
    lines.push(`  ->  ${what}, on shard ${shard}`, ...rows.map((row) => `        ${row}`))
  }
  return lines
}

const inputText = ({ table, names }: GatherInput): string => `${table} (${names.join(', ')})`

/** Without ANALYZE over no rows: Postgres does not look at how many there are. */
async function explainFinish(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  gather: GatherPlan,
  shards: readonly number[],
  spread: GatheredRows | undefined,
) {
  const line = ctx.line(finishShard(ctx, gather))
  const sql = `${explainWords(exec.text)} ${gather.finish}`
  const explain = async (rows: GatheredRows) => {
    const collector = new Collector()
    sendPayload(ctx, line, overGathered(line, exec, gather, sql, rows, []), { writes: false }, collector)
    return await settled(ctx, line, collector.ended)
  }
  const end = plan.analyze
    ? await withGathered(ctx, exec, gather, shards, explain, spread)
    : await explain(roomFor(ctx, gather))
  return { shard: line.shard, rows: end.rows.map((row) => row[0]?.toString('utf8') ?? '') }
}

/** What is run, shard after shard, is to show one state: by itself it is a transaction with one snapshot of the cluster. */
async function admit(ctx: ExecContext, { analyze }: ExplainPlan): Promise<void> {
  if (!analyze || ctx.tx.isOpen) return ctx.admit()
  if (ctx.hasTransactionSnapshots) return ctx.needTransaction()
  return needsCut(ctx) ? ctx.needTransaction({ isolation: 'repeatable read' }) : ctx.admit()
}

const FORMAT: Refused = {
  id: 'explain',
  what: 'EXPLAIN over several shards supports FORMAT TEXT only',
  hint: 'Restrict the shard key to one value, or use FORMAT TEXT.',
}
const FIRST: Refused = {
  id: 'explain',
  what: 'EXPLAIN of a statement of which a part has to be run first is not supported',
  hint: 'EXPLAIN the query that locks or writes, and the rest with constants in its place.',
}
const ANALYZE: Refused = {
  id: 'explain',
  what: 'EXPLAIN ANALYZE of a statement that writes on several shards is not supported',
  hint: 'Use EXPLAIN, or restrict the shard key to one value.',
}
const ANALYZE_INSERT: Refused = {
  id: 'explain',
  what: 'EXPLAIN ANALYZE of an INSERT whose rows Weft has to spread, or to complete, is not supported',
  hint: 'Use EXPLAIN, or insert VALUES for one shard, with constants for the shard key and for columns that draw from a sequence.',
}

function headline(plan: ForwardPlan, shards: readonly number[]): string {
  const how = {
    concat: 'rows concatenated',
    sum: 'counts summed, committed in two phases',
    first: 'every copy of a reference table, committed in two phases',
    aggregate: 'partial aggregates combined',
    gather: 'rows gathered, the query run over them on one shard',
    'gather-modify': 'rows found by what is gathered, changed where they are, committed in two phases',
    'gather-lock': 'rows found by what is gathered, locked where they are',
    'run-first': '',
    'gather-outside': '',
    'gather-views': '',
    refuse: '',
  }[plan.onSeveral.kind]
  return `Weft Scatter on shards ${shards.join(', ')} (${how})`
}

async function explainOn(
  ctx: ExecContext,
  exec: Execution,
  shard: number,
  inner: ForwardPlan,
  isFirst: boolean,
  spread: GatheredRows | undefined,
): Promise<readonly string[]> {
  const line = ctx.line(shard)
  const collector = new Collector()
  const part = partOf(inner, isFirst)
  const sql = `${explainWords(exec.text)} ${part?.sql}`
  if (part === undefined) sendAsWritten(ctx, line, { ...exec, maxRows: 0, portal: undefined }, collector)
  else sendPart(ctx, line, exec, { ...part, sql }, spread, collector, [])
  const end = await settled(ctx, line, collector.ended)
  return end.rows.map((row) => row[0]?.toString('utf8') ?? '')
}

/** What each shard runs in place of the statement. */
function partOf({ onSeveral }: ForwardPlan, isFirst: boolean): PartText | undefined {
  const gather = 'gather' in onSeveral ? withExtra(onSeveral.gather, 0) : undefined
  if (gather !== undefined) return isFirst ? gather.first : gather.part
  if (onSeveral.kind !== 'aggregate') return undefined
  const { partialSql, partialParams } = onSeveral.aggregate
  return { sql: partialSql, params: partialParams }
}

function say(ctx: ExecContext, exec: Execution, lines: readonly string[]): void {
  if (exec.wantsRowDescription) ctx.out.push(textColumn('QUERY PLAN'))
  for (const line of lines) ctx.out.push(dataRow([line]))
  ctx.out.hold(commandComplete('EXPLAIN'))
}

async function explainOther(ctx: ExecContext, exec: Execution, plan: ExplainPlan): Promise<void> {
  const { inner } = plan
  if (inner.kind !== 'insert' && inner.kind !== 'insert-select') return runOnOne(ctx, exec, HOME)
  // The home shard's defaults are the cluster's.
  const shard = ctx.node.shardCount === 1 ? HOME : plan.analyze ? await shardOf(ctx, exec, inner) : undefined
  if (shard !== undefined) return runOnOne(ctx, exec, shard)
  return explainInsert(ctx, exec, inner)
}

/** Where an INSERT that is run as written inserts what it would insert. */
async function shardOf(ctx: ExecContext, exec: Execution, inner: Insert): Promise<number> {
  const shard = inner.kind === 'insert' ? await onlyShard(ctx, exec, inner) : undefined
  if (shard === undefined) throw weftError('not_supported', ANALYZE_INSERT)
  return shard
}

/** An INSERT is planned by Postgres alike on every shard: the home shard speaks for all. */
async function explainInsert(ctx: ExecContext, exec: Execution, inner: Insert): Promise<void> {
  const collector = new Collector()
  await ctx.admit()
  sendAsWritten(ctx, ctx.line(HOME), exec, collector)
  const end = await settled(ctx, ctx.line(HOME), collector.ended)
  const rows = end.rows.map((row) => `  ${row[0]?.toString('utf8') ?? ''}`)
  const what = inner.table.kind === 'reference' ? 'every shard' : 'the shards that own the rows'
  say(ctx, exec, [`Weft Insert on ${what} (${inner.table.name})`, ...rows])
}
