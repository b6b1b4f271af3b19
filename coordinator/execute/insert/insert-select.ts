import { slotRanges } from '../../../cluster/slots.ts'
import { commandComplete } from '../../../protocol/wire/backend-messages.ts'
import { castType } from '../../../sql/plan/cast-type.ts'
import { renumberParams } from '../../../sql/plan/edited-text.ts'
import type { GatherPlan } from '../../../sql/plan/gather/gather-plan.ts'
import { insertingOwn } from '../../../sql/plan/own-at-home.ts'
import type { InsertSelectPlan } from '../../../sql/plan/plan.ts'
import { judgeOnHome } from '../answers/evaluate.ts'
import { RowStream } from '../answers/row-stream.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { describedColumns } from '../described-columns.ts'
import { resolveShards, shardOf } from '../route.ts'
import { noteScatter } from '../scatter.ts'
import { agreedCount } from '../shards/agreed.ts'
import { sendPayload, sendRewritten, settled } from '../shards/send.ts'
import { slotOfText } from '../shards/server-slot.ts'
import { failedOf } from '../shards/settle-all.ts'
import { overGathered, withGathered } from '../steps/gather.ts'
import { again, unknownOutside } from '../steps/outside.ts'
import { requireExactTexts } from './exact-texts.ts'
import { CopyingTarget, InsertTarget, type Row, type Target, type TargetColumn } from './insert-targets.ts'
import { moveSelected } from './moved-select.ts'

/**
 * INSERT … SELECT of a query whose rows may belong to any shard: the home shard, or those that have the sharded tables
 * which it reads, run the query, its rows go to the shards that own them, in one transaction. Without ON CONFLICT and
 * RETURNING they travel by COPY, which Postgres refuses under row level security.
 */
export async function runInsertSelect(
  ctx: ExecContext,
  exec: Execution,
  asPlanned: InsertSelectPlan,
): Promise<void> {
  await ctx.needTransaction()
  await judgeOnHome(ctx, exec)
  const isWhole = asPlanned.source?.kind !== 'gather-outside'
  const plan = isWhole ? asPlanned : await again(ctx, exec, asPlanned)
  await requireExactTexts(ctx, plan)
  const given = plan.columns.filter((name) => name !== '')
  const columns = [...given, ...plan.fill.map((fill) => fill.column)]
  const keyAt = columns.indexOf(plan.table.key?.column ?? '')
  const target: Target =
    plan.tailSql.trim() === '' &&
    plan.table.rowSecurity === undefined &&
    plan.table.through === undefined &&
    plan.written === undefined
      ? new CopyingTarget(ctx, plan, columns)
      : new InsertTarget(ctx, exec, plan, await targetColumns(ctx, exec, plan, columns))
  const router = new Router(ctx, plan, columns, keyAt, target)
  const moved = readSource(ctx, exec, plan, router).then(() => router.finish())
  try {
    // Whatever failed, and wherever: no shard is left waiting for rows.
    const count = await failedOf(moved, () => target.abandon())
    ctx.out.hold(commandComplete(`INSERT 0 ${count}`))
  } finally {
    target.memory.set(0)
  }
}

/** What a part of a column takes only Postgres knows: values come as what the query gives, and are converted there. */
async function targetColumns(
  ctx: ExecContext,
  exec: Execution,
  plan: InsertSelectPlan,
  columns: readonly string[],
): Promise<readonly TargetColumn[]> {
  const { written } = plan
  if (written === undefined) return columns.map((name) => ({ name }))
  const { sql, params } = renumberParams(plan.selectSql)
  const described = await describedColumns(ctx, exec, { sql, params })
  const given = plan.columns.flatMap((name, i) => {
    if (name === '') return []
    const type = described[i]?.declared ?? described[i]?.type
    return written[i] === undefined || type === undefined
      ? { name }
      : { name, part: { written: written[i], type } }
  })
  return [...given, ...plan.fill.map(({ column }) => ({ name: column }))]
}

async function readSource(
  ctx: ExecContext,
  exec: Execution,
  plan: InsertSelectPlan,
  router: Router,
): Promise<void> {
  const { source } = plan
  if (source?.kind === 'gather-outside') throw unknownOutside()
  if (source?.kind === 'gather') return readGathered(ctx, exec, plan, source.gather, router)
  if (source === undefined) return readHome(ctx, exec, plan, router)
  const select = renumberParams(selectWithCasts(plan))
  const shards = await resolveShards(ctx, source, exec)
  noteScatter(ctx, plan.sharded, shards)
  return moveSelected(ctx, exec, shards, select, router)
}

/** What belongs to home need not leave it, where nothing is said of single rows. */
async function readHome(
  ctx: ExecContext,
  exec: Execution,
  plan: InsertSelectPlan,
  router: Router,
): Promise<void> {
  const select = selectWithCasts(plan)
  const { sql, params } = renumberParams(router.insertsOwn ? await router.insertingOwn(select) : select)
  const stream = new RowStream((row) => (router.insertsOwn ? router.addOther(row) : router.add(row)))
  const line = ctx.line(HOME)
  sendRewritten(ctx, line, exec, sql, params, stream, [])
  await settled(ctx, line, stream.ended)
}

async function readGathered(
  ctx: ExecContext,
  exec: Execution,
  plan: InsertSelectPlan,
  gather: GatherPlan,
  router: Router,
): Promise<void> {
  const sql = selectWithCasts({ ...plan, selectSql: gather.finish })
  const shards = await resolveShards(ctx, { kind: 'all' }, exec)
  noteScatter(ctx, plan.sharded, shards)
  await withGathered(ctx, exec, gather, shards, async (rows) => {
    const stream = new RowStream((row) => router.add(row))
    const line = ctx.line(HOME)
    sendPayload(ctx, line, overGathered(line, exec, gather, sql, rows, []), { writes: true }, stream)
    await settled(ctx, line, stream.ended)
  })
}

/** The query's columns as the target's types: what an INSERT's assignment would make of them, then printed. */
function selectWithCasts(plan: InsertSelectPlan): string {
  const names = plan.columns.map((_, i) => `weft_c${i}`)
  const cast = (value: string, name: string): string => {
    const column = plan.table.columns.find((c) => c.name === name)
    return column === undefined ? value : `${value}::${castType(column.type)}`
  }
  const casts = plan.columns.flatMap((name, i) => {
    if (name === '') return []
    return plan.written?.[i] === undefined ? cast(names[i]!, name) : names[i]!
  })
  const fills = plan.fill.map(({ expression, column }) => cast(`(${expression})`, column))
  const alias = names.length === 0 ? '' : `(${names.join(', ')})`
  return `SELECT ${[...casts, ...fills].join(', ')} FROM (${plan.selectSql}) AS weft_q${alias}`
}

/** Finds each row's shard. */
class Router {
  private readonly ctx: ExecContext
  private readonly plan: InsertSelectPlan
  private readonly keyAt: number
  private readonly target: Target
  private slots: Uint16Array | undefined
  private readonly columns: readonly string[]
  private insertedAtHome = 0

  constructor(
    ctx: ExecContext,
    plan: InsertSelectPlan,
    columns: readonly string[],
    keyAt: number,
    target: Target,
  ) {
    this.ctx = ctx
    this.plan = plan
    this.columns = columns
    this.keyAt = keyAt
    this.target = target
  }

  async add(row: Row): Promise<void> {
    const { ctx, plan } = this
    if (plan.table.kind === 'reference') {
      for (let shard = 0; shard < ctx.node.shardCount; shard++) await this.target.add(shard, row)
      return
    }
    this.slots ??= (await ctx.catalog()).slots
    const slot = await slotOfText(ctx, plan.keyType, row[this.keyAt] ?? null, plan.table.key?.typmod)
    await this.target.add(shardOf(plan.table, this.slots, slot), row)
  }

  get insertsOwn(): boolean {
    return this.plan.table.kind === 'sharded' && this.target instanceof CopyingTarget
  }

  async insertingOwn(select: string): Promise<string> {
    const { plan, columns, keyAt } = this
    const { slots } = await this.ctx.catalog()
    const own = slotRanges(slots).filter(({ shard }) => shard === HOME)
    return insertingOwn(select, plan.table, columns, keyAt, own)
  }

  /** A row of what `insertingOwn` makes. */
  async addOther(row: Row): Promise<void> {
    const inserted = row.at(-1) ?? null
    if (inserted === null) return this.add(row.slice(0, -1))
    this.insertedAtHome = Number(inserted)
  }

  settle(): Promise<void> {
    return this.target.settle()
  }

  async finish(): Promise<number> {
    const counts = await this.target.finish()
    if (this.plan.table.kind === 'reference') return agreedCount(counts)!
    return counts.reduce((sum, count) => sum + count, this.insertedAtHome)
  }
}
