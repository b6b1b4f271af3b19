import { type FirstStep, withGiven } from '../../../sql/plan/first/first-step.ts'
import type { ExplainPlan, InsertPlan, InsertSelectPlan } from '../../../sql/plan/plan.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import { explainedAt } from '../../../sql/plan/utility/explain.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { Collector } from '../shards/replies.ts'
import { allParams, sendRewritten, settled } from '../shards/send.ts'
import { columnsOf, rowsInstead } from '../steps/instead.ts'
import type { ServerPlan, WeftNode } from './explain-node.ts'
import { textsOf, wordsOf } from './several.ts'

/** A statement of which a part is run first. Of its rows nobody knows yet: the rest is shown with one of nulls. */
export async function firstNode(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  step: FirstStep,
): Promise<WeftNode> {
  await ctx.admit()
  const { paramTypes } = await describedAtHome(ctx, exec.text, exec.paramTypes)
  const typed = { ...exec, paramTypes }
  const columns = await columnsOf(ctx, step, paramTypes)
  const rest = withGiven(step.rest, { columns, rows: [columns.map(() => null)] }, quoteText)
  const below = [
    await planOfText(ctx, typed, plan, step.sql, 'Run first'),
    await planOfText(
      ctx,
      typed,
      plan,
      rest.slice(isExplain(rest) ? explainedAt(rest) : 0),
      'The rest, with its rows',
    ),
  ]
  const how = 'a query that locks or writes is run first, and its rows take its place'
  return {
    type: 'Weft Sequence',
    title: `Weft Sequence (${how})`,
    notes: [],
    properties: { Answer: how },
    below,
  }
}

const isExplain = (text: string): boolean => /^\s*EXPLAIN\b/i.test(text)

/** What EXPLAIN says of a text that is planned for itself. */
async function planOfText(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  sql: string,
  title: string,
): Promise<ServerPlan> {
  const account = ctx.memory.account('a plan')
  const kept = new KeptRows(account)
  try {
    const rows = await rowsInstead(ctx, exec, `${wordsOf(plan)} ${sql}`, kept)
    return { title, properties: { Task: title }, rows: textsOf(rows) }
  } finally {
    account.set(0)
  }
}

/** An INSERT is planned by Postgres alike on every shard: the home shard speaks for all. */
export async function insertNode(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  inner: InsertPlan | InsertSelectPlan,
): Promise<WeftNode> {
  const what = inner.table.kind === 'reference' ? 'every shard' : 'the shards that own the rows'
  return {
    type: 'Weft Insert',
    title: `Weft Insert on ${what} (${inner.table.name})`,
    notes: [],
    properties: { 'Relation Name': inner.table.name, Answer: `rows go to ${what}` },
    below: [await sourceOf(ctx, exec, plan, inner)],
  }
}

async function sourceOf(
  ctx: ExecContext,
  exec: Execution,
  plan: ExplainPlan,
  inner: InsertPlan | InsertSelectPlan,
): Promise<ServerPlan> {
  await ctx.admit()
  if (inner.kind === 'insert-select' && inner.source !== undefined) {
    const { paramTypes } = await describedAtHome(
      ctx,
      exec.text.slice(explainedAt(exec.text)),
      exec.paramTypes,
    )
    return planOfText(ctx, { ...exec, paramTypes }, plan, inner.selectSql, 'The rows that are inserted')
  }
  const line = ctx.line(HOME)
  const collector = new Collector()
  const all = allParams(plan)
  const sql = `${wordsOf(plan)} ${exec.text.slice(explainedAt(exec.text))}`
  sendRewritten(ctx, line, exec, sql, all, collector, [])
  const { rows } = await settled(ctx, line, collector.ended)
  return {
    title: `Shard ${HOME}, as any`,
    properties: { Shard: HOME, Task: 'As on any shard' },
    rows: textsOf(rows),
  }
}
