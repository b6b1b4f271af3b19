import { randomBytes } from 'node:crypto'
import { buildVerifier, DEFAULT_ITERATIONS } from '../../protocol/scram/verifier.ts'
import { commandComplete } from '../../protocol/wire/backend-messages.ts'
import type { DdlPlan, Declaration } from '../../sql/plan/plan.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { declareTable } from './declare.ts'
import { settleAll } from './forward.ts'
import { type Collected, tagWithCount } from './replies.ts'
import { commitsOf, endOfWrite, settle, simpleQuery } from './send.ts'
import { SessionRunner } from './session-runner.ts'

/** What can have settings of its own: `ALTER … SET`. */
const DEFAULTS_OF: ReadonlySet<string> = new Set(['ALTER ROLE', 'ALTER DATABASE'])

/** DDL and other utility statements: on the home shard, or on every shard in one transaction. */
export async function runDdl(ctx: ExecContext, exec: Execution, plan: DdlPlan): Promise<void> {
  try {
    await change(ctx, exec, plan)
  } finally {
    ctx.node.schema.epoch++
    ctx.tx.ranDdl ||= ctx.tx.isOpen
  }
}

async function change(ctx: ExecContext, exec: Execution, plan: DdlPlan): Promise<void> {
  const homeSql = withVerifier(plan.homeSql ?? exec.text, plan)
  if (plan.outsideTransaction && !ctx.tx.isOpen) return runOutsideTransaction(ctx, plan, homeSql)
  const alone = plan.where === 'home' && plan.declare === undefined && !plan.changesMap
  if (alone) await ctx.admit()
  else await ctx.needTransaction()
  const home = await runOn(ctx, plan, HOME, homeSql)
  say(ctx, home)
  if (plan.where === 'all') await runOnOthers(ctx, plan, plan.othersSql ?? homeSql)
  if (plan.declare !== undefined) await declare(ctx, plan.declare)
  if (plan.changesMap) markMapChanged(ctx)
  if (DEFAULTS_OF.has(plan.tag)) ctx.tx.defaultsChanged = true
  ctx.out.hold(home.tag === '' ? commandComplete(plan.tag) : tagWithCount(home.tag, home.count))
}

/** Declares a table inside the running transaction. */
export async function declare(ctx: ExecContext, declaration: Declaration): Promise<void> {
  await ctx.needTransaction()
  await declareTable(declaration, new SessionRunner(ctx), await ctx.catalog(), {
    searchPath: ctx.searchPath(),
  })
  markMapChanged(ctx)
}

function markMapChanged(ctx: ExecContext): void {
  ctx.tx.mapChanged = true
  ctx.tx.catalogDirty = true
}

function optionsOf(plan: DdlPlan) {
  const { taintsBackend: taints, pins } = plan.effects
  const { maintenance } = plan
  return { writes: plan.access === 'write', maintenance, commits: commitsOf(plan, false), taints, pins }
}

async function runOn(ctx: ExecContext, plan: DdlPlan, shard: number, sql: string): Promise<Collected> {
  const line = ctx.line(shard)
  return settle(ctx, line, await endOfWrite(ctx, line, simpleQuery(ctx, line, sql, optionsOf(plan))))
}

async function runOnOthers(ctx: ExecContext, plan: DdlPlan, sql: string): Promise<void> {
  const runs: Promise<Collected>[] = []
  for (let shard = HOME + 1; shard < ctx.node.shardCount; shard++) runs.push(runOn(ctx, plan, shard, sql))
  await settleAll(runs)
}

/** VACUUM, CREATE INDEX CONCURRENTLY and their kin cannot be atomic over shards: one after the other, home first. */
async function runOutsideTransaction(ctx: ExecContext, plan: DdlPlan, homeSql: string): Promise<void> {
  const home = await runOn(ctx, plan, HOME, homeSql)
  say(ctx, home)
  const last = plan.where === 'all' ? ctx.node.shardCount : HOME + 1
  for (let shard = HOME + 1; shard < last; shard++) await runOn(ctx, plan, shard, plan.othersSql ?? homeSql)
  ctx.out.hold(commandComplete(home.tag))
}

/** Notices and parameter changes of the home shard speak for all. */
function say(ctx: ExecContext, collected: Collected): void {
  for (const aside of collected.asides) ctx.out.aside(aside)
}

/** One verifier, so that a client's SCRAM keys open every shard. */
function withVerifier(sql: string, plan: DdlPlan): string {
  const { password } = plan
  if (password === undefined || /^(SCRAM-SHA-256\$|md5[0-9a-f]{32}$)/.test(password.value)) return sql
  const verifier = buildVerifier(password.value, randomBytes(16), DEFAULT_ITERATIONS)
  return `${sql.slice(0, password.start)}'${verifier}'${sql.slice(password.end)}`
}
