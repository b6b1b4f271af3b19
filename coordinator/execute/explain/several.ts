import { PgError } from '../../../errors/pg-error.ts'
import {
  type GatherInput,
  type GatherPlan,
  type PartText,
  withExtra,
} from '../../../sql/plan/gather/gather-plan.ts'
import type { ExplainPlan, ForwardPlan } from '../../../sql/plan/plan.ts'
import { explainedAt, explainWords } from '../../../sql/plan/utility/explain.ts'
import type { ExecContext, Execution } from '../context.ts'
import { needsCut } from '../shards/on-shards.ts'
import { Collector } from '../shards/replies.ts'
import { allParams, sendPayload, settled } from '../shards/send.ts'
import { finishShard, overGathered, roomFor, sendPart, withGathered } from '../steps/gather.ts'
import type { GatheredRows } from '../steps/gathered-rows.ts'
import { type ChosenWay, chosenWay, withSpread } from '../steps/spread.ts'
import type { Json, ServerPlan, WeftNode } from './explain-node.ts'

/** A statement over several shards that is run in one go: what each shard does, and what is done with their rows. */
export async function severalNode(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  inner: ForwardPlan,
  shards: readonly number[],
): Promise<WeftNode> {
  const { onSeveral } = inner
  const spreads = onSeveral.kind === 'gather' ? onSeveral.spreads : undefined
  const chosen = await chosenWay(ctx, exec, spreads, shards.length)
  await admit(ctx, plan)
  const run: Run = { plan, inner, shards }
  return chosen === undefined ? partsOf(ctx, exec, run) : spreadOf(ctx, exec, run, chosen)
}

interface Run {
  readonly plan: ExplainPlan
  readonly inner: ForwardPlan
  readonly shards: readonly number[]
  /** What the shards are given for their parts. */
  readonly spread?: GatheredRows
}

/** What is run, shard after shard, is to show one state: by itself it is a transaction with one snapshot of the cluster. */
async function admit(ctx: ExecContext, { analyze }: ExplainPlan): Promise<void> {
  if (!analyze || ctx.tx.isOpen) return ctx.admit()
  if (ctx.hasTransactionSnapshots) return ctx.needTransaction()
  return needsCut(ctx) ? ctx.needTransaction({ isolation: 'repeatable read' }) : ctx.admit()
}

/** Rows that are spread are there for ANALYZE only. */
async function spreadOf(
  ctx: ExecContext,
  exec: Execution,
  run: Run,
  { way, movedRows, stayingRows }: ChosenWay,
): Promise<WeftNode> {
  const over = async (spread: GatheredRows): Promise<WeftNode> => {
    const inner = { ...run.inner, onSeveral: { kind: 'gather', gather: way.gather } as const }
    const node = await partsOf(ctx, exec, { ...run, inner, spread })
    const table = way.spread.inputs.map(inputText).join(', ')
    const note = `Spread: ${table}, about ${movedRows} rows to where about ${stayingRows} are`
    const properties = {
      ...node.properties,
      Spread: way.spread.inputs.map(inputJson),
      'Spread Rows': movedRows,
      'Staying Rows': stayingRows,
    }
    return { ...node, notes: [note, ...node.notes], properties }
  }
  return run.plan.analyze ? withSpread(ctx, exec, way, run.shards, over) : over(roomFor(ctx, way.spread))
}

async function partsOf(ctx: ExecContext, exec: Execution, run: Run): Promise<WeftNode> {
  const { inner, shards } = run
  const { onSeveral, because } = inner
  const gather = 'gather' in onSeveral ? withExtra(onSeveral.gather, 0) : undefined
  const below: ServerPlan[] = []
  for (const shard of shards) {
    const rows = await explainOn(ctx, exec, run, shard)
    below.push({ title: `Shard ${shard}`, properties: { Shard: shard, Task: 'Part' }, rows })
  }
  if (gather !== undefined) below.push(await finishOf(ctx, exec, run, gather))
  const how = HOW[onSeveral.kind]
  return {
    type: 'Weft Scatter',
    title: `Weft Scatter on shards ${shards.join(', ')} (${how})`,
    notes: [
      ...(because === undefined ? [] : [`Because: ${because}`]),
      ...(gather === undefined ? [] : [`Gathered: ${gather.inputs.map(inputText).join(', ')}`]),
    ],
    properties: {
      Shards: shards,
      Answer: how,
      ...(because === undefined ? {} : { Because: because }),
      ...(gather === undefined ? {} : { Gathered: gather.inputs.map(inputJson) }),
    },
    below,
  }
}

const HOW: Readonly<Record<ForwardPlan['onSeveral']['kind'], string>> = {
  concat: 'rows concatenated',
  sum: 'counts summed, committed in two phases',
  first: 'every copy of a reference table, committed in two phases',
  aggregate: 'partial aggregates combined',
  gather: 'rows gathered, the query run over them on one shard',
  'gather-modify': 'rows found by what is gathered, changed where they are, committed in two phases',
  'gather-lock': 'rows found by what is gathered, locked where they are',
  'home-first': 'on home with its triggers, then its rows on every other copy, committed in two phases',
  'run-first': '',
  'list-columns': '',
  'gather-outside': '',
  'gather-views': '',
  refuse: '',
}

const inputText = ({ table, names }: GatherInput): string => `${table} (${names.join(', ')})`
const inputJson = ({ table, names }: GatherInput): Json => ({ Relation: table, Columns: names })

/** Without ANALYZE over no rows: Postgres does not look at how many there are. */
async function finishOf(
  ctx: ExecContext,
  exec: Execution,
  { plan, inner, shards, spread }: Run,
  gather: GatherPlan,
): Promise<ServerPlan> {
  const line = ctx.line(finishShard(ctx, gather))
  const sql = `${wordsOf(plan)} ${gather.finish}`
  const explain = async (rows: GatheredRows) => {
    const collector = new Collector()
    sendPayload(ctx, line, overGathered(line, exec, gather, sql, rows, []), { writes: false }, collector)
    return textsOf((await settled(ctx, line, collector.ended)).rows)
  }
  const rows = plan.analyze
    ? await withGathered(ctx, exec, gather, shards, explain, spread)
    : await explain(roomFor(ctx, gather))
  const isQuery = inner.onSeveral.kind !== 'gather-modify'
  const what = isQuery ? 'The query over them' : 'The places of the rows that are meant'
  return { title: `${what}, on shard ${line.shard}`, properties: { Shard: line.shard, Task: what }, rows }
}

export const wordsOf = ({ options, format }: ExplainPlan): string =>
  explainWords(options, format === 'text' ? {} : { format: 'json' })

export const textsOf = (rows: readonly (readonly (Buffer | null)[])[]): string[] =>
  rows.map((row) => row[0]?.toString('utf8') ?? '')

async function explainOn(
  ctx: ExecContext,
  exec: Execution,
  { plan, inner, shards, spread }: Run,
  shard: number,
): Promise<readonly string[]> {
  const line = ctx.line(shard)
  const collector = new Collector()
  const at = explainedAt(exec.text)
  const all = allParams(plan)
  const part = partOf(inner, shard === shards[0]) ?? { sql: exec.text.slice(at), params: all }
  const words = `${wordsOf(plan)} `
  sendPart(ctx, line, exec, { ...part, sql: words + part.sql }, spread, collector, [])
  try {
    return textsOf((await settled(ctx, line, collector.ended)).rows)
  } catch (error) {
    throw moved(error, at - words.length)
  }
}

/** To where it is in the client's text. */
function moved(error: unknown, by: number): unknown {
  if (!(error instanceof PgError) || error.fields.position === undefined) return error
  const position = error.fields.position + by
  return new PgError({ ...error.fields, position: position > 0 ? position : undefined }, { cause: error })
}

/** What each shard runs in place of the statement. */
function partOf({ onSeveral }: ForwardPlan, isFirst: boolean): PartText | undefined {
  const gather = 'gather' in onSeveral ? withExtra(onSeveral.gather, 0) : undefined
  if (gather !== undefined) return isFirst ? gather.first : gather.part
  if (onSeveral.kind !== 'aggregate') return undefined
  const { partialSql, partialParams } = onSeveral.aggregate
  return { sql: partialSql, params: partialParams }
}
