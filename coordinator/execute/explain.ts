import { weftError } from '../../errors/catalog.ts'
import { commandComplete, dataRow } from '../../protocol/wire/backend-messages.ts'
import type { ExplainPlan, ForwardPlan, Plan } from '../../sql/plan/plan.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { runOnOne } from './forward.ts'
import { Collector } from './replies.ts'
import { resolveShards } from './route.ts'
import { failedLeaves, sendAsWritten, sendRewritten, settle } from './send.ts'
import { textColumn } from './setting.ts'

/** EXPLAIN: one shard answers as it is; several are shown one under the other, below a line that names the route. */
export async function runExplain(ctx: ExecContext, exec: Execution, plan: ExplainPlan): Promise<void> {
  const { inner } = plan
  if (inner.kind === 'refused') throw inner.error
  if (inner.kind !== 'forward') return explainOther(ctx, exec, inner)
  const shards = await resolveShards(ctx, inner.route, exec)
  if (shards.length === 1) return runOnOne(ctx, exec, shards[0]!)
  const { onSeveral } = inner
  if (onSeveral.kind === 'refuse') throw onSeveral.error
  if (plan.format !== 'text') throw weftError('not_supported', FORMAT)
  if (plan.analyze && inner.access === 'write') throw weftError('not_supported', ANALYZE)
  await ctx.admit()
  const lines = [headline(inner, shards)]
  for (const shard of shards) {
    lines.push(`  ->  Shard ${shard}`)
    const rows = await explainOn(ctx, exec, shard, inner)
    lines.push(...rows.map((row) => `        ${row}`))
  }
  say(ctx, exec, lines)
}

const FORMAT = {
  what: 'EXPLAIN over several shards supports FORMAT TEXT only',
  hint: 'Restrict the shard key to one value, or use FORMAT TEXT.',
}
const ANALYZE = {
  what: 'EXPLAIN ANALYZE of a statement that writes on several shards is not supported',
  hint: 'Use EXPLAIN, or restrict the shard key to one value.',
}

function headline(plan: ForwardPlan, shards: readonly number[]): string {
  const how = {
    concat: 'rows concatenated',
    sum: 'counts summed, committed in two phases',
    first: 'every copy of a reference table, committed in two phases',
    aggregate: 'partial aggregates combined',
    refuse: '',
  }[plan.onSeveral.kind]
  return `Weft Scatter on shards ${shards.join(', ')} (${how})`
}

async function explainOn(
  ctx: ExecContext,
  exec: Execution,
  shard: number,
  inner: ForwardPlan,
): Promise<readonly string[]> {
  const line = ctx.line(shard)
  const collector = new Collector()
  const { onSeveral } = inner
  if (onSeveral.kind === 'aggregate') {
    const { partialSql, partialParams } = onSeveral.aggregate
    sendRewritten(ctx, line, exec, `${explainWords(exec.text)}${partialSql}`, partialParams, collector, [])
  } else {
    sendAsWritten(ctx, line, { ...exec, maxRows: 0 }, collector)
  }
  const end = settle(ctx, line, await failedLeaves(ctx, line, collector.ended))
  return end.rows.map((row) => row[0]?.toString('utf8') ?? '')
}

/** EXPLAIN with its options, as the client wrote them. */
function explainWords(text: string): string {
  return EXPLAIN_WORDS.exec(text)?.[0] ?? 'EXPLAIN '
}
const EXPLAIN_WORDS = /^(?:\s|--.*\n)*explain(?:\s+(?:analyze|analyse|verbose)\b|\s*\([^)]*\))*\s*/i

function say(ctx: ExecContext, exec: Execution, lines: readonly string[]): void {
  if (exec.wantsRowDescription) ctx.out.push(textColumn('QUERY PLAN'))
  for (const line of lines) ctx.out.push(dataRow([line]))
  ctx.out.hold(commandComplete('EXPLAIN'))
}

/** An INSERT is planned by Postgres alike on every shard: the home shard speaks for all. */
async function explainOther(ctx: ExecContext, exec: Execution, inner: Plan): Promise<void> {
  if (inner.kind === 'insert' || inner.kind === 'insert-select') {
    const collector = new Collector()
    await ctx.admit()
    sendAsWritten(ctx, ctx.line(HOME), exec, collector)
    const end = settle(ctx, ctx.line(HOME), await failedLeaves(ctx, ctx.line(HOME), collector.ended))
    const rows = end.rows.map((row) => `  ${row[0]?.toString('utf8') ?? ''}`)
    const what = inner.table.kind === 'reference' ? 'every shard' : 'the shards that own the rows'
    return say(ctx, exec, [`Weft Insert on ${what} (${inner.table.name})`, ...rows])
  }
  return runOnOne(ctx, exec, HOME)
}
