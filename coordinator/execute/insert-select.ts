import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { commandComplete } from '../../protocol/wire/backend-messages.ts'
import { castType } from '../../sql/plan/cast-type.ts'
import type { GatherPlan } from '../../sql/plan/gather/gather-plan.ts'
import { renumberParams } from '../../sql/plan/insert-text.ts'
import type { InsertSelectPlan } from '../../sql/plan/plan.ts'
import { quoteText } from '../../sql/plan/text-scan.ts'
import { agreedCount } from './agreed.ts'
import { type ExecContext, type Execution, HOME, shardsBesideHome } from './context.ts'
import { judgeOnHome } from './evaluate.ts'
import { overGathered, withGathered } from './gather.ts'
import { moveSelected, type Select } from './moved-select.ts'
import { again, unknownOutside } from './outside.ts'
import { quoteName, quoteNames } from './quote.ts'
import { ForwardState, RowForwarder } from './replies.ts'
import { resolveShards, shardOf } from './route.ts'
import { RowStream } from './row-stream.ts'
import { failedLeaves, ownPayload, sendPayload, sendRewritten, settle } from './send.ts'
import { slotOfText } from './server-slot.ts'
import { SessionRunner } from './session-runner.ts'
import { failedOf, settleAll } from './settle-all.ts'
import type { CopyInStream } from './shard-runner.ts'

type Row = readonly (string | null)[]

/** Rows that go to one shard together. */
const BATCH_ROWS = 500
/** ON CONFLICT DO UPDATE refuses to touch a row twice, which only one statement can see: all in memory, for a shard. */
const UPDATED_ROWS_MAX = 100_000

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
  const unknown = asPlanned.source?.kind === 'gather-outside' ? asPlanned.source : undefined
  const plan = unknown === undefined ? asPlanned : await again(ctx, exec, asPlanned, unknown)
  const columns = [...plan.columns, ...plan.fill.map((fill) => fill.column)]
  const keyAt = plan.keyIndex >= 0 ? plan.keyIndex : plan.columns.length + plan.fill.findIndex((f) => f.isKey)
  const target: Target =
    plan.tailSql.trim() === '' && plan.table.rowSecurity === undefined
      ? new CopyTarget(ctx, plan, columns)
      : new InsertTarget(ctx, exec, plan, columns)
  const router = new Router(ctx, plan, keyAt, target)
  const moved = readSource(ctx, exec, plan, router).then(() => router.finish())
  // Whatever failed, and wherever: no shard is left waiting for rows.
  const count = await failedOf(moved, () => target.abandon())
  ctx.out.hold(commandComplete(`INSERT 0 ${count}`))
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
  const select = renumberParams(selectWithCasts(plan))
  if (source === undefined) return readHome(ctx, exec, select, router)
  return moveSelected(ctx, exec, await resolveShards(ctx, source, exec), select, router)
}

async function readHome(
  ctx: ExecContext,
  exec: Execution,
  { sql, params }: Select,
  router: Router,
): Promise<void> {
  const stream = new RowStream((row) => router.add(row))
  const line = ctx.line(HOME)
  sendRewritten(ctx, line, exec, sql, params, stream, [])
  settle(ctx, line, await failedLeaves(ctx, line, stream.ended))
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
  await withGathered(ctx, exec, gather, shards, async (rows) => {
    const stream = new RowStream((row) => router.add(row))
    const line = ctx.line(HOME)
    sendPayload(ctx, line, overGathered(line, exec, gather, sql, rows, []), { writes: true }, stream)
    settle(ctx, line, await failedLeaves(ctx, line, stream.ended))
  })
}

/** The query's columns as the target's types: what an INSERT's assignment would make of them, then printed. */
function selectWithCasts(plan: InsertSelectPlan): string {
  const names = plan.columns.map((_, i) => `weft_c${i}`)
  const casts = plan.columns.map((name, i) => {
    const column = plan.table.columns.find((c) => c.name === name)
    return column === undefined ? names[i]! : `${names[i]}::${castType(column.type)}`
  })
  const fills = plan.fill.map((fill) => fill.expression)
  const alias = names.length === 0 ? '' : `(${names.join(', ')})`
  return `SELECT ${[...casts, ...fills].join(', ')} FROM (${plan.selectSql}) AS weft_q${alias}`
}

interface Target {
  /** Takes rows for a shard; resolves when there is room for more. */
  add(shard: number, row: Row): void | Promise<void>
  /** Writes what can be written; nothing is under way on any shard afterwards. */
  settle(): Promise<void>
  /** Rows written, by shard. */
  finish(): Promise<readonly number[]>
  abandon(): Promise<void>
}

/** Finds each row's shard. */
class Router {
  private readonly ctx: ExecContext
  private readonly plan: InsertSelectPlan
  private readonly keyAt: number
  private readonly target: Target
  private slots: Uint16Array | undefined

  constructor(ctx: ExecContext, plan: InsertSelectPlan, keyAt: number, target: Target) {
    this.ctx = ctx
    this.plan = plan
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

  settle(): Promise<void> {
    return this.target.settle()
  }

  async finish(): Promise<number> {
    const counts = await this.target.finish()
    if (this.plan.table.kind === 'reference') return agreedCount(counts)!
    return counts.reduce((sum, count) => sum + count, 0)
  }
}

function tableSql(plan: InsertSelectPlan, columns: readonly string[], alias?: string): string {
  const { schema, name } = plan.table
  const as = alias === undefined ? '' : ` AS ${quoteName(alias)}`
  return `${quoteName(schema)}.${quoteName(name)}${as} (${quoteNames(columns)})`
}

const noneYet = (ctx: ExecContext): number[] => Array.from({ length: ctx.node.shardCount }, () => 0)

class CopyTarget implements Target {
  private readonly runner: SessionRunner
  private readonly streams = new Map<number, CopyInStream>()
  private readonly sql: string
  private readonly held = new Map<number, string[]>()
  /** The home shard runs the query on the same connection: its rows wait until that is over. */
  private readonly homeRows: string[] = []
  /** Of a reference table, beside home's: they get the same rows when home has them (on-copies.ts). */
  private readonly copies: readonly number[]
  private readonly counts: number[]

  constructor(ctx: ExecContext, plan: InsertSelectPlan, columns: readonly string[]) {
    this.runner = new SessionRunner(ctx)
    this.copies = plan.table.kind === 'reference' ? shardsBesideHome(ctx.node.shardCount) : []
    this.sql = `COPY ${tableSql(plan, columns)} FROM STDIN`
    this.counts = noneYet(ctx)
  }

  async add(shard: number, row: Row): Promise<void> {
    if (shard !== HOME && this.copies.length > 0) return
    const text = copyLine(row)
    if (shard === HOME) {
      this.homeRows.push(text)
      return
    }
    const held = this.held.get(shard) ?? []
    this.held.set(shard, held)
    held.push(text)
    if (held.length >= BATCH_ROWS) await this.send(shard, held)
  }

  private async send(shard: number, rows: string[]): Promise<void> {
    const stream = this.streams.get(shard) ?? (await this.runner.copyIn(shard, this.sql))
    this.streams.set(shard, stream)
    await asOfInsert(async () => stream.write(Buffer.from(rows.join(''))))
    rows.length = 0
  }

  async settle(): Promise<void> {
    const rows = this.homeRows.splice(0)
    if (rows.length > 0) await this.send(HOME, [...rows])
    if (this.copies.length > 0) await this.end()
    for (const shard of this.copies) if (rows.length > 0) await this.send(shard, [...rows])
    for (const [shard, rows] of this.held) if (rows.length > 0) await this.send(shard, rows)
    await this.end()
  }

  private async end(): Promise<void> {
    const streams = [...this.streams]
    const ends = await asOfInsert(() => settleAll(streams.map(([, stream]) => stream.end())))
    this.streams.clear()
    for (const [i, [shard]] of streams.entries()) this.counts[shard]! += ends[i]!.rows
  }

  async finish(): Promise<readonly number[]> {
    await this.settle()
    return this.counts
  }

  async abandon(): Promise<void> {
    await Promise.allSettled([...this.streams.values()].map((stream) => stream.fail('the query failed')))
  }
}

/** The client knows of no COPY. */
async function asOfInsert<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof PgError) || error.fields.where === undefined) throw error
    const where = error.fields.where.replace(/(^|\n)COPY [^\n]*, line \d[\s\S]*$/, '')
    throw new PgError({ ...error.fields, where: where === '' ? undefined : where }, { cause: error })
  }
}

/** One line of COPY's text format. */
function copyLine(row: Row): string {
  return `${row.map((value) => (value === null ? '\\N' : escapeCopy(value))).join('\t')}\n`
}

const COPY_ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' }

function escapeCopy(value: string): string {
  return /[\\\t\n\r]/.test(value) ? value.replace(/[\\\t\n\r]/g, (c) => COPY_ESCAPES[c]!) : value
}

/** With ON CONFLICT, RETURNING or policies: INSERT statements of many rows. */
class InsertTarget implements Target {
  private readonly ctx: ExecContext
  private readonly plan: InsertSelectPlan
  private readonly head: string
  private readonly rows = new Map<number, Row[]>()
  private readonly state: ForwardState
  /** A source without rows: what RETURNING's columns are is said even so. */
  private readonly nothing: string
  private readonly updates: boolean
  private readonly resultFormats: readonly number[]
  private sentAny = false
  private readonly counts: number[]

  constructor(ctx: ExecContext, exec: Execution, plan: InsertSelectPlan, columns: readonly string[]) {
    if (/\$\d/.test(plan.tailSql)) throw weftError('not_supported', TAIL_PARAMS)
    this.ctx = ctx
    this.plan = plan
    this.counts = noneYet(ctx)
    const overriding = plan.overriding === true ? ' OVERRIDING SYSTEM VALUE' : ''
    this.head = `INSERT INTO ${tableSql(plan, columns, plan.alias)}${overriding} `
    const names = quoteNames(columns)
    this.nothing = `SELECT ${names} FROM ${quoteName(plan.table.schema)}.${quoteName(plan.table.name)} WHERE false`
    this.updates = /\bCONFLICT\b/i.test(plan.tailSql) && /\bUPDATE\b/i.test(plan.tailSql)
    this.resultFormats = exec.bind?.resultFormats ?? []
    this.state = new ForwardState(exec.wantsRowDescription)
  }

  /** Copies of a reference table get theirs when home has all. */
  add(shard: number, row: Row): void | Promise<void> {
    const rows = this.rows.get(shard) ?? []
    this.rows.set(shard, rows)
    rows.push(row)
    if (this.updates) {
      if (rows.length > UPDATED_ROWS_MAX) throw weftError('not_supported', TOO_MANY)
    } else if (rows.length >= BATCH_ROWS && shard !== HOME && this.plan.table.kind !== 'reference')
      return this.send(shard, rows)
  }

  private async send(shard: number, rows: Row[]): Promise<void> {
    this.sentAny = true
    const values = rows.splice(0).map((row) => `(${row.map(literal).join(', ')})`)
    await this.run(shard, `VALUES ${values.join(', ')}`)
  }

  private async run(shard: number, source: string): Promise<void> {
    const { ctx, plan } = this
    const speaks = plan.table.kind !== 'reference' || shard === HOME
    const forwarder = new RowForwarder(ctx.out, speaks ? this.state : new ForwardState(false), speaks)
    const line = ctx.line(shard)
    const payload = ownPayload(`${this.head}${source} ${plan.tailSql}`, [], this.resultFormats)
    sendPayload(ctx, line, payload, { writes: true }, forwarder)
    const end = settle(ctx, line, await failedLeaves(ctx, line, forwarder.ended))
    this.counts[shard]! += end.count ?? 0
  }

  /** What updates rows on conflict waits for all. */
  async settle(): Promise<void> {
    if (!this.updates) await this.sendAll()
  }

  private async sendAll(): Promise<void> {
    for (const [shard, rows] of this.rows) {
      while (rows.length > 0) await this.send(shard, this.updates ? rows : rows.splice(0, BATCH_ROWS))
    }
  }

  async finish(): Promise<readonly number[]> {
    await this.sendAll()
    if (this.plan.hasReturning && !this.sentAny) await this.run(HOME, this.nothing)
    return this.counts
  }

  async abandon(): Promise<void> {}
}

const TOO_MANY = {
  what: `INSERT … SELECT … ON CONFLICT DO UPDATE of more than ${UPDATED_ROWS_MAX} rows for one shard is not supported`,
  hint: 'Insert fewer rows at a time.',
}

const TAIL_PARAMS = {
  what: 'parameters after the query of an INSERT … SELECT into a sharded table are not supported',
  hint: 'Write the values of ON CONFLICT and RETURNING into the statement.',
}

function literal(value: string | null): string {
  return value === null ? 'NULL' : quoteText(value)
}
