import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { commandComplete, dataRow, rowDescription } from '../../../protocol/wire/backend-messages.ts'
import type { ExplainPlan, ForwardPlan, InsertPlan, InsertSelectPlan } from '../../../sql/plan/plan.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { runOnOne, withViews } from '../forward.ts'
import { onlyShard } from '../insert/insert.ts'
import { resolveShards } from '../route.ts'
import { runListed } from '../steps/list-columns.ts'
import { again } from '../steps/outside.ts'
import { type Format, isFormat, printedPlan, type WeftNode } from './explain-node.ts'
import { firstNode, insertNode } from './in-parts.ts'
import { severalNode } from './several.ts'
import { tracedNode } from './traced.ts'

/** EXPLAIN: one shard answers as it is; of several, Weft's steps are told, with what each shard says of its part below. */
export async function runExplain(ctx: ExecContext, exec: Execution, plan: ExplainPlan): Promise<void> {
  const { inner } = plan
  if (inner.kind === 'refused') throw inner.error
  if (inner.kind === 'ddl' && inner.fill !== undefined) throw weftError('not_supported', IN_TWO_STEPS)
  // Postgres says what is wrong with it.
  if (!isFormat(plan.format)) return runOnOne(ctx, exec, HOME)
  if (inner.kind === 'insert' || inner.kind === 'insert-select') return explainInsert(ctx, exec, plan, inner)
  if (inner.kind !== 'forward') return runOnOne(ctx, exec, HOME)
  const isTold = inner.setsKey !== undefined || inner.locksCopies === true || inner.doesNothing === true
  const mayMove = plan.analyze && isTold
  const shards = await resolveShards(ctx, inner.route, exec)
  if (shards.length === 1 && !mayMove) return runOnOne(ctx, exec, shards[0]!)
  const { onSeveral } = inner
  if (onSeveral.kind === 'gather-outside' && shards.length > 1)
    return runExplain(ctx, exec, await again(ctx, exec, plan))
  if (onSeveral.kind === 'refuse' && shards.length > 1) throw onSeveral.error
  if (onSeveral.kind === 'list-columns') return runListed(ctx, exec, onSeveral)
  if (onSeveral.kind === 'gather-views') return ctx.runPrepared(exec, withViews(plan, onSeveral))
  if (plan.analyze && (inner.access === 'write' || mayMove)) return runTraced(ctx, exec, plan)
  say(ctx, exec, plan, await nodeOf(ctx, exec, plan, inner, shards))
}

const IN_TWO_STEPS: Refused = {
  id: 'create_table_as',
  what: 'EXPLAIN of CREATE TABLE … AS from sharded tables, of a table that is declared or has parameters, is not supported',
  hint: 'EXPLAIN the query.',
}

function nodeOf(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  inner: ForwardPlan,
  shards: readonly number[],
): Promise<WeftNode> {
  const { onSeveral } = inner
  if (onSeveral.kind === 'run-first') return firstNode(ctx, exec, plan, onSeveral)
  return severalNode(ctx, exec, plan, inner, shards)
}

async function explainInsert(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  inner: InsertPlan | InsertSelectPlan,
): Promise<void> {
  // The home shard's defaults are the cluster's.
  if (ctx.node.shardCount === 1) return runOnOne(ctx, exec, HOME)
  const shard = plan.analyze && inner.kind === 'insert' ? await onlyShard(ctx, exec, inner) : undefined
  if (shard !== undefined) return runOnOne(ctx, exec, shard)
  if (plan.analyze) return runTraced(ctx, exec, plan)
  say(ctx, exec, plan, await insertNode(ctx, exec, plan, inner))
}

/** The statement itself is run, as Postgres does it. */
async function runTraced(ctx: ExecContext, exec: Execution, plan: ExplainPlan): Promise<void> {
  const begunAt = performance.now()
  const node = await tracedNode(ctx, exec, plan)
  const ms = Number((performance.now() - begunAt).toFixed(3))
  say(ctx, exec, plan, node, plan.showsSums ? { 'Execution Time': ms } : {})
}

function say(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  node: WeftNode,
  totals: Readonly<Record<string, number>> = {},
): void {
  const format: Format = isFormat(plan.format) ? plan.format : 'text'
  if (exec.wantsRowDescription) ctx.out.push(columnOf(format))
  for (const row of printedPlan(node, format, totals)) ctx.out.push(dataRow([row]))
  ctx.out.hold(commandComplete('EXPLAIN'))
}

const TYPES: Readonly<Record<Format, number>> = { text: 25, json: 114, yaml: 25, xml: 142 }

const columnOf = (format: Format): Buffer =>
  rowDescription([
    { name: 'QUERY PLAN', tableOid: 0, attnum: 0, typeOid: TYPES[format], typlen: -1, typmod: -1, format: 0 },
  ])
