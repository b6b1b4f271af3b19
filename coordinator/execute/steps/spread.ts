import { PgError } from '../../../errors/pg-error.ts'
import type { GatherStep, PartText, Spreads, SpreadWay } from '../../../sql/plan/gather/gather-plan.ts'
import { readsConsistently } from '../../settings/consistent-reads.ts'
import { spreadsOf } from '../../settings/several-shards.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { Collector } from '../shards/replies.ts'
import { rewrittenPayload, sendPayload, settled } from '../shards/send.ts'
import { estimatedRows } from './estimated-rows.ts'
import { asReading, finishGathered, gatherRows, roomFor, runGather, withGathered } from './gather.ts'
import type { GatheredRows } from './gathered-rows.ts'

type Gathering = Exclude<GatherStep, { kind: 'gather-outside' }>

/** What is spread, and the estimates by which it was chosen. */
export interface ChosenWay {
  readonly way: SpreadWay
  readonly movedRows: number
  readonly stayingRows: number
}

/** Answers a query that is gathered the way that moves the least (docs/decisions/0038-spread.md). */
export async function runGatherStep(
  ctx: ExecContext,
  exec: Execution,
  step: Gathering,
  shards: readonly number[],
): Promise<void> {
  const chosen = await chosenWay(ctx, exec, step.spreads, shards.length)
  if (chosen === undefined) {
    if (exec.portal !== undefined) await ctx.needTransaction()
    return runGather(ctx, exec, step.gather, shards)
  }
  const { way } = chosen
  await openSnapshot(ctx)
  await withSpread(ctx, exec, way, shards, (spread) =>
    withGathered(
      ctx,
      exec,
      way.gather,
      shards,
      (rows) => finishGathered(ctx, exec, way.gather, rows),
      spread,
    ),
  )
}

/** Gathers what is spread. It and what comes after it have to be of one snapshot. */
export async function withSpread<T>(
  ctx: ExecContext,
  exec: Execution,
  { spread }: SpreadWay,
  shards: readonly number[],
  use: (rows: GatheredRows) => Promise<T>,
): Promise<T> {
  const rows = roomFor(ctx, spread)
  try {
    await gatherRows(ctx, asReading(exec), spread, shards, rows)
    return await use(rows)
  } finally {
    rows.release()
  }
}

/** By itself it is a transaction that reads all of one state. */
function openSnapshot(ctx: ExecContext): Promise<void> {
  return ctx.needTransaction(ctx.hasTransactionSnapshots ? undefined : { isolation: 'repeatable read' })
}

/** What has been written in a block of READ COMMITTED no snapshot shows beside what others have committed. */
const canSeeOneState = (ctx: ExecContext): boolean =>
  ctx.hasTransactionSnapshots || (!ctx.tx.isOpen && readsConsistently(ctx.settings))

/** Undefined: all that the query reads is gathered. */
export async function chosenWay(
  ctx: ExecContext,
  exec: Execution,
  spreads: Spreads | undefined,
  shardCount: number,
): Promise<ChosenWay | undefined> {
  const wanted = spreadsOf(ctx.settings)
  if (spreads === undefined || wanted === 'never' || !canSeeOneState(ctx)) return undefined
  if (ctx.hasTransactionSnapshots) await ctx.needTransaction()
  const rows = await sizesOf(ctx, exec, spreads)
  return rows && bestWay(spreads.ways, rows, shardCount, wanted === 'always')
}

/** What a row that every shard takes costs beside one that is gathered and sent to the Postgres that finishes. */
const EACH_SHARD = 0.5
/** A transaction and one more round, in rows that are gathered in the same time. */
const ROUND = 5000

function bestWay(
  ways: readonly SpreadWay[],
  rows: readonly number[],
  shardCount: number,
  isWanted: boolean,
): ChosenWay | undefined {
  const sum = (tables: readonly number[]) =>
    tables.reduce((total, table) => total + (rows[table] ?? 0) * shardCount, 0)
  const all = ways.map((way) => ({ way, movedRows: sum(way.moves), stayingRows: sum(way.stays) }))
  const saved = ({ movedRows, stayingRows }: ChosenWay) => stayingRows - movedRows * shardCount * EACH_SHARD
  const best = all.reduce((a, b) => (saved(b) > saved(a) ? b : a))
  return isWanted || saved(best) > ROUND ? best : undefined
}

/** How many rows each table gives at home, as Postgres' planner thinks. What may not be read is told when it is. */
async function sizesOf(
  ctx: ExecContext,
  exec: Execution,
  { sizes }: Spreads,
): Promise<readonly number[] | undefined> {
  try {
    return estimatedRows(await explained(ctx, exec, sizes))
  } catch (error) {
    const isOfText = error instanceof PgError && error.fields.code.startsWith('42')
    if (ctx.tx.isOpen || !isOfText) throw error
    return undefined
  }
}

async function explained(ctx: ExecContext, exec: Execution, { sql, params }: PartText): Promise<string> {
  const line = ctx.line(HOME)
  const collector = new Collector()
  const text = `EXPLAIN (VERBOSE, FORMAT JSON) ${sql}`
  const payload = rewrittenPayload(line, exec, text, params, { resultFormats: [], describes: true })
  sendPayload(ctx, line, payload, { writes: false, looks: false }, collector)
  const { rows } = await settled(ctx, line, collector.ended)
  return rows[0]?.[0]?.toString('utf8') ?? '[]'
}
