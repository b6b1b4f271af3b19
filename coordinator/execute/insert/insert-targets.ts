/** Where the rows of an INSERT … SELECT go. */
import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import type { InsertSelectPlan } from '../../../sql/plan/plan.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { type ExecContext, type Execution, HOME, shardsBesideHome } from '../context.ts'
import { quoteName, quoteNames, quoteTable } from '../quote.ts'
import { ForwardState, RowForwarder } from '../shards/replies.ts'
import { ownPayload, sendPayload, settled } from '../shards/send.ts'
import { SessionRunner } from '../shards/session-runner.ts'
import { ShardCopies } from '../shards/shard-copies.ts'

export type Row = readonly (string | null)[]

/** Rows that go to one shard together. */
const BATCH_ROWS = 500
const VALUE_BYTES = 32
/** ON CONFLICT DO UPDATE refuses to touch a row twice, which only one statement can see: all in memory, for a shard. */
const UPDATED_ROWS_MAX = 100_000

export interface Target {
  /** Pays for the rows that it keeps. */
  readonly memory: MemoryAccount
  /** Takes rows for a shard; resolves when there is room for more. */
  add(shard: number, row: Row): void | Promise<void>
  /** Writes what can be written; nothing is under way on any shard afterwards. */
  settle(): Promise<void>
  /** Rows written, by shard. */
  finish(): Promise<readonly number[]>
  abandon(): Promise<void>
}

export interface TargetColumn {
  readonly name: string
  /** It is a part of the column: as the statement writes it, and the type of what is given. */
  readonly part?: { readonly written: string; readonly type: string }
}

/** `columns`: quoted, or as the statement writes them. */
function tableSql(plan: InsertSelectPlan, columns: string, alias?: string): string {
  const { schema, name } = plan.table
  const as = alias === undefined ? '' : ` AS ${quoteName(alias)}`
  return `${quoteName(schema)}.${quoteName(name)}${as} (${columns})`
}

const noneYet = (ctx: ExecContext): number[] => Array.from({ length: ctx.node.shardCount }, () => 0)

const memoryOf = ({ memory }: ExecContext): MemoryAccount => memory.account('rows of an INSERT … SELECT')

/** By COPY, which says nothing of single rows. */
export class CopyingTarget implements Target {
  readonly memory: MemoryAccount
  private readonly written: ShardCopies
  /** The home shard runs the query on the same connection: its rows wait until that is over. */
  private readonly homeLines: KeptLines
  /** Of a reference table, beside home's: they get the same rows when home has them (on-copies.ts). */
  private readonly copies: readonly number[]

  constructor(ctx: ExecContext, plan: InsertSelectPlan, columns: readonly string[]) {
    this.copies = plan.table.kind === 'reference' ? shardsBesideHome(ctx.node.shardCount) : []
    const sql = `COPY ${tableSql(plan, quoteNames(columns))} FROM STDIN`
    this.written = new ShardCopies(new SessionRunner(ctx), sql, { explain: (_, error) => ofInsert(error) })
    this.memory = memoryOf(ctx)
    this.homeLines = new KeptLines(this.memory)
  }

  add(shard: number, row: Row): void | Promise<void> {
    if (shard !== HOME && this.copies.length > 0) return
    const text = copyLine(row)
    if (shard === HOME) return this.homeLines.add(text)
    this.write(shard, Buffer.from(text))
    return this.written.room()
  }

  private write(shard: number, lines: Buffer): void {
    this.written.append(shard, lines, 0, lines.length)
  }

  async settle(): Promise<void> {
    const lines = this.homeLines.take()
    for (const chunk of lines) this.write(HOME, chunk)
    if (this.copies.length > 0) await this.written.end(HOME)
    for (const shard of this.copies) for (const chunk of lines) this.write(shard, chunk)
    await this.written.finish()
    this.memory.set(0)
  }

  async finish(): Promise<readonly number[]> {
    await this.settle()
    return this.written.finish()
  }

  abandon(): Promise<void> {
    return this.written.fail('the query failed')
  }
}

/** Lines of COPY that wait, in pieces. */
class KeptLines {
  private readonly account: MemoryAccount
  private chunks: Buffer[] = []
  private readonly lines: string[] = []

  constructor(account: MemoryAccount) {
    this.account = account
  }

  /** Throws 53200. */
  add(line: string): void {
    this.account.add(Buffer.byteLength(line))
    this.lines.push(line)
    if (this.lines.length >= BATCH_ROWS) this.chunks.push(textOf(this.lines))
  }

  take(): readonly Buffer[] {
    const { chunks, lines } = this
    this.chunks = []
    return lines.length === 0 ? chunks : [...chunks, textOf(lines)]
  }
}

/** Takes the lines out of their list. */
function textOf(lines: string[]): Buffer {
  return Buffer.from(lines.splice(0).join(''))
}

/** The client knows of no COPY. */
function ofInsert(error: unknown): unknown {
  if (!(error instanceof PgError) || error.fields.where === undefined) return error
  const where = error.fields.where.replace(/(^|\n)COPY [^\n]*, line \d[\s\S]*$/, '')
  return new PgError({ ...error.fields, where: where === '' ? undefined : where }, { cause: error })
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
export class InsertTarget implements Target {
  readonly memory: MemoryAccount
  private readonly ctx: ExecContext
  private readonly plan: InsertSelectPlan
  private readonly head: string
  private readonly columns: readonly TargetColumn[]
  private readonly rows = new Map<number, Row[]>()
  private readonly state: ForwardState
  /** A source without rows: what RETURNING's columns are is said even so. */
  private readonly nothing: string
  private readonly updates: boolean
  private readonly resultFormats: readonly number[]
  private sentAny = false
  private readonly counts: number[]

  constructor(ctx: ExecContext, exec: Execution, plan: InsertSelectPlan, columns: readonly TargetColumn[]) {
    if (/\$\d/.test(plan.tailSql)) throw weftError('not_supported', TAIL_PARAMS)
    this.ctx = ctx
    this.plan = plan
    this.counts = noneYet(ctx)
    this.memory = memoryOf(ctx)
    const overriding = plan.overriding === true ? ' OVERRIDING SYSTEM VALUE' : ''
    this.columns = columns
    const written = columns.map(({ name, part }) => part?.written ?? quoteName(name)).join(', ')
    this.head = `INSERT INTO ${tableSql(plan, written, plan.alias)}${overriding} `
    const names = columns.map(({ name, part }) => (part === undefined ? quoteName(name) : 'NULL')).join(', ')
    this.nothing = `SELECT ${names} FROM ${quoteTable(plan.table)} WHERE false`
    this.updates = /\bCONFLICT\b/i.test(plan.tailSql) && /\bUPDATE\b/i.test(plan.tailSql)
    this.resultFormats = exec.bind?.resultFormats ?? []
    this.state = new ForwardState(exec.wantsRowDescription)
  }

  /** Copies of a reference table get theirs when home has all. */
  add(shard: number, row: Row): void | Promise<void> {
    const rows = this.rows.get(shard) ?? []
    this.rows.set(shard, rows)
    this.memory.add(bytesOf(row))
    rows.push(row)
    if (this.updates) {
      if (rows.length > UPDATED_ROWS_MAX) throw weftError('not_supported', TOO_MANY)
    } else if (rows.length >= BATCH_ROWS && shard !== HOME && this.plan.table.kind !== 'reference')
      return this.send(shard, rows)
  }

  private async send(shard: number, rows: Row[]): Promise<void> {
    this.sentAny = true
    const sent = rows.splice(0)
    const values = sent.map((row) => `(${row.map((value, i) => literal(value, this.columns[i])).join(', ')})`)
    await this.run(shard, `VALUES ${values.join(', ')}`)
    this.memory.sub(sent.reduce((sum, row) => sum + bytesOf(row), 0))
  }

  private async run(shard: number, source: string): Promise<void> {
    const { ctx, plan } = this
    const speaks = plan.table.kind !== 'reference' || shard === HOME
    const forwarder = new RowForwarder(ctx.out, speaks ? this.state : new ForwardState(false), speaks)
    const line = ctx.line(shard)
    const payload = ownPayload(`${this.head}${source} ${plan.tailSql}`, [], this.resultFormats)
    sendPayload(ctx, line, payload, { writes: true }, forwarder)
    const end = await settled(ctx, line, forwarder.ended)
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

const TOO_MANY: Refused = {
  id: 'insert_select_tail',
  what: `INSERT … SELECT … ON CONFLICT DO UPDATE of more than ${UPDATED_ROWS_MAX} rows for one shard is not supported`,
  hint: 'Insert fewer rows at a time.',
}

const TAIL_PARAMS: Refused = {
  id: 'insert_select_tail',
  what: 'parameters after the query of an INSERT … SELECT into a sharded table are not supported',
  hint: 'Write the values of ON CONFLICT and RETURNING into the statement.',
}

/** About what it takes: two bytes a character at worst, and what is around each value. */
function bytesOf(row: Row): number {
  return row.reduce((sum, value) => sum + VALUE_BYTES + 2 * (value?.length ?? 0), VALUE_BYTES)
}

/** Texts are read as what the column is made of; that they may be, Postgres has judged. */
function literal(value: string | null, column: TargetColumn | undefined): string {
  if (value === null) return 'NULL'
  const type = column?.part?.type
  return type === undefined || type === 'text' ? quoteText(value) : `CAST(${quoteText(value)} AS ${type})`
}
