import { randomBytes } from 'node:crypto'
import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import { buildVerifier, DEFAULT_ITERATIONS } from '../../../protocol/scram/verifier.ts'
import { commandComplete, noticeResponse } from '../../../protocol/wire/backend-messages.ts'
import { SLOT_GUARD } from '../../../sql/install/slot-guard.ts'
import type { DdlPlan, Declaration } from '../../../sql/plan/plan.ts'
import { withTypedNulls } from '../../../sql/plan/typed-null.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { type ExecContext, type Execution, HOME, shardsBesideHome } from '../context.ts'
import { type Collected, tagWithCount } from '../shards/replies.ts'
import { commitsOf, endOfWrite, queryShard, settle, simpleQuery } from '../shards/send.ts'
import { SessionRunner } from '../shards/session-runner.ts'
import { settleAll } from '../shards/settle-all.ts'
import { countInstead, typesNamed } from '../steps/instead.ts'
import { needsNoMap } from '../transaction/map-change.ts'
import { declareTable } from './declare.ts'
import { fillAdded } from './fill-added.ts'
import { runReaching } from './reach.ts'
import { mayChangeColumns, schemaChanged } from './schema-changed.ts'
import { runElements } from './schema-elements.ts'
import { wouldDo } from './would-do.ts'

/** What can have settings of its own: `ALTER … SET`. */
const DEFAULTS_OF: ReadonlySet<string> = new Set(['ALTER ROLE', 'ALTER DATABASE'])

/** DDL and other utility statements: on the home shard, or on every shard in one transaction. */
export async function runDdl(ctx: ExecContext, exec: Execution, plan: DdlPlan): Promise<void> {
  try {
    await change(ctx, exec, plan)
  } finally {
    if (mayChangeColumns(plan)) await noteChange(ctx)
  }
}

async function noteChange(ctx: ExecContext): Promise<void> {
  if (!ctx.tx.isOpen) return schemaChanged(ctx)
  ctx.node.schema.epoch++
  ctx.tx.ranDdl = true
}

async function change(ctx: ExecContext, exec: Execution, plan: DdlPlan): Promise<void> {
  const checked = plan.uncheckedSql !== undefined && !ctx.tx.isOpen
  if (checked) await wouldDo(ctx, exec.text)
  const homeSql = checked ? plan.uncheckedSql : withVerifier(plan.homeSql ?? exec.text, plan)
  if (plan.fill !== undefined) return makeFilled(ctx, exec, plan, plan.fill)
  if (plan.outsideTransaction && !ctx.tx.isOpen) return runOutsideTransaction(ctx, plan, homeSql)
  const alone =
    plan.where === 'home' &&
    plan.declare === undefined &&
    plan.readySql === undefined &&
    plan.tidySql === undefined &&
    !plan.changesMap &&
    plan.reach === undefined
  if (alone) await ctx.admit()
  else await ctx.needTransaction()
  if (plan.readySql !== undefined) await runOn(ctx, plan, HOME, plan.readySql)
  const others = plan.where === 'all' ? (plan.othersSql ?? homeSql) : undefined
  const isLooked = plan.reach?.defines !== undefined
  const home = await reaching(ctx, plan, async () => {
    const answer = await runOnHome(ctx, plan, homeSql)
    if (isLooked && others !== undefined) await runOnOthers(ctx, plan, others)
    return answer
  }).catch(rethrowLackingGuard)
  if (plan.tidySql !== undefined) await runOn(ctx, plan, HOME, plan.tidySql)
  // A declaration looks at other tables too.
  if (plan.declare === undefined) needsNoMap(ctx)
  if (others !== undefined && !isLooked) await runOnOthers(ctx, plan, others)
  if (plan.added !== undefined) await fillAdded(ctx, plan.added)
  if (plan.declare !== undefined) await declare(ctx, plan.declare)
  if (plan.changesMap) markMapChanged(ctx)
  if (plan.elements !== undefined) await runElements(ctx, exec, plan.elements)
  if (DEFAULTS_OF.has(plan.tag)) ctx.tx.defaultsChanged = true
  ctx.out.hold(home.tag === '' || checked ? commandComplete(plan.tag) : tagWithCount(home.tag, home.count))
}

/** CREATE TABLE … AS in two steps: the table, which is then declared, and its rows. */
async function makeFilled(ctx: ExecContext, exec: Execution, plan: DdlPlan, fill: string): Promise<void> {
  await ctx.needTransaction()
  await ctx.admit()
  const { paramTypes, homeSql } = await withTypes(ctx, exec, plan)
  const home = await runOnHome(ctx, plan, homeSql)
  if (plan.declare !== undefined) await declare(ctx, plan.declare)
  markMapChanged(ctx)
  if (fill === '' || home.asides.some((notice) => notice.includes(EXISTS)))
    return ctx.out.hold(commandComplete(home.tag))
  const count = await countInstead(ctx, { ...exec, paramTypes }, fill)
  ctx.out.hold(commandComplete(`SELECT ${count}`))
}

/** The field of a notice with its code, 42P07: IF NOT EXISTS. */
const EXISTS = Buffer.from('C42P07\0')

/** A parameter is a NULL of its type where nothing is computed. */
async function withTypes(ctx: ExecContext, exec: Execution, { homeSql = '' }: DdlPlan) {
  const { paramTypes } = await describedAtHome(ctx, exec.text, exec.paramTypes)
  if (paramTypes.length === 0) return { paramTypes, homeSql }
  const columns = await typesNamed(ctx, paramTypes)
  const types = columns.map(({ type }) => type)
  return { paramTypes, homeSql: withTypedNulls(homeSql, types) }
}

/** A table that is not sharded, where it is to be a partition of one that is. */
function rethrowLackingGuard(error: unknown): never {
  if (!(error instanceof PgError) || error.code !== '42804' || !error.message.includes(SLOT_GUARD))
    throw error
  const what = 'a table that is not sharded cannot be a partition of a sharded one'
  const hint = 'Shard it first, by the same key: create_distributed_table(…, colocate_with => …).'
  throw weftError('not_supported', { id: 'partition_unlike', what, hint }, error)
}

/** What follows on home is Weft's own. */
function reaching<T>(ctx: ExecContext, plan: DdlPlan, work: () => Promise<T>): Promise<T> {
  return plan.reach === undefined ? work() : runReaching(ctx, plan, plan.reach, work)
}

/**
 * Declares a table inside the running transaction. `mayWait`: where foreign keys stand in the way that a local table's
 * declaration would clear, it is carried out together with that.
 */
export async function declare(ctx: ExecContext, declaration: Declaration, mayWait = false): Promise<void> {
  await ctx.needTransaction()
  const { waitsFor } = await declareTable(declaration, new SessionRunner(ctx), await ctx.catalog(), {
    searchPath: ctx.searchPath(),
    mayWait,
  })
  if (waitsFor === undefined) markMapChanged(ctx)
  else ctx.out.aside(waitingNotice(declaration.table, waitsFor))
}

function waitingNotice(table: string, partner: string): Buffer {
  return noticeResponse({
    severity: 'WARNING',
    severityRaw: 'WARNING',
    code: '01000',
    message: `table "${table}" stays local until ${partner} is distributed, too`,
    detail: 'A foreign key between them could not be checked otherwise.',
    hint: `Declare ${partner} next: both are then distributed together. undistribute_table('${table}') takes this back.`,
  })
}

export function markMapChanged(ctx: ExecContext): void {
  ctx.tx.mapChanged = true
  ctx.tx.catalogDirty = true
}

function optionsOf(plan: DdlPlan) {
  const { taintsBackend: taints, pins } = plan.effects
  const { maintenance } = plan
  const writes = plan.access === 'write'
  return { writes, maintenance, commits: commitsOf(plan, false), taints, unsettles: taints, pins }
}

/** Notices and parameter changes of the home shard speak for all, those ahead of an error included. */
async function runOnHome(ctx: ExecContext, plan: DdlPlan, sql: string): Promise<Collected> {
  const line = ctx.line(HOME)
  const end = await endOfWrite(ctx, line, simpleQuery(ctx, line, sql, optionsOf(plan)))
  // What it had to say was said when it was checked.
  if (sql !== plan.uncheckedSql) for (const aside of end.asides) ctx.out.aside(aside)
  return settle(ctx, line, end)
}

/**
 * What others run in place of the statement may find nothing to do there (the object is of a local table): then home alone
 * has written, and commits alone. COMMIT looks whether they did.
 */
async function runOn(ctx: ExecContext, plan: DdlPlan, shard: number, sql: string): Promise<Collected> {
  const line = ctx.line(shard)
  const options = optionsOf(plan)
  const writes = options.writes && (plan.othersSql === undefined || !ctx.tx.isOpen)
  const run = simpleQuery(ctx, line, sql, { ...options, writes })
  return settle(ctx, line, await endOfWrite(ctx, line, run))
}

async function runOnOthers(ctx: ExecContext, plan: DdlPlan, sql: string): Promise<void> {
  await settleAll((await othersOf(ctx, plan)).map((shard) => runOn(ctx, plan, shard, sql)))
}

async function othersOf(ctx: ExecContext, { othersOnlyWith }: DdlPlan): Promise<number[]> {
  const others = shardsBesideHome(ctx.node.shardCount)
  if (othersOnlyWith === undefined) return others
  const sql = 'SELECT pg_catalog.to_regclass($1) IS NOT NULL'
  const options = { writes: false, looks: false }
  const looks = others.map((shard) => queryShard(ctx, ctx.line(shard), sql, [othersOnlyWith], options))
  const answers = await settleAll(looks)
  return others.filter((_, i) => answers[i]!.rows[0]?.[0]?.toString() === 't')
}

/** VACUUM, CREATE INDEX CONCURRENTLY and their kin cannot be atomic over shards: one after the other, home first. */
async function runOutsideTransaction(ctx: ExecContext, plan: DdlPlan, homeSql: string): Promise<void> {
  const home = await runOnHome(ctx, plan, homeSql)
  needsNoMap(ctx)
  const others = plan.where === 'all' ? await othersOf(ctx, plan) : []
  for (const shard of others) await runOn(ctx, plan, shard, plan.othersSql ?? homeSql)
  ctx.out.hold(commandComplete(home.tag))
}

/** One verifier, so that a client's SCRAM keys open every shard. */
function withVerifier(sql: string, plan: DdlPlan): string {
  const { password } = plan
  if (password === undefined || /^(SCRAM-SHA-256\$|md5[0-9a-f]{32}$)/.test(password.value)) return sql
  const verifier = buildVerifier(password.value, randomBytes(16), DEFAULT_ITERATIONS)
  return `${sql.slice(0, password.start)}'${verifier}'${sql.slice(password.end)}`
}
