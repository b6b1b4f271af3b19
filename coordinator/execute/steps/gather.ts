import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { type ColumnDescription, parseRowDescription } from '../../../protocol/wire/backend-messages.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { bind, describe, execute, parse, SYNC } from '../../../protocol/wire/frontend-messages.ts'
import {
  type GatherInput,
  type GatherPlan,
  type PartText,
  VALUES_NAMES,
} from '../../../sql/plan/gather/gather-plan.ts'
import { FORMAT } from '../../../sql/plan/gather/transport.ts'
import { GATHERED_BYTES_MAX, gatheredSize, MAX_GATHERED } from '../../../sql/plan/utility/gathered-size.ts'
import type { ClientOutput } from '../answers/client-output.ts'
import { judgedText, judgeOnHome } from '../answers/evaluate.ts'
import { setFormats } from '../answers/row-types.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { preferredShard, resolveShards } from '../route.ts'
import { readOnShards } from '../shards/on-shards.ts'
import { type ExecEnd, ForwardState, FrameConsumer, RowForwarder, tagWithCount } from '../shards/replies.ts'
import {
  allParams,
  endOfWrite,
  failedLeaves,
  rewrittenPayload,
  sendPayload,
  sendRewritten,
  settle,
} from '../shards/send.ts'
import type { ReplyConsumer, ShardLine } from '../shards/shard-line.ts'
import { GatheredRows } from './gathered-rows.ts'

/**
 * Answers a query over several shards by gathering the rows that it reads, all of one moment, and having one Postgres run it
 * over them, or the statement that it is the query of. `shards`: those of the statement's route.
 */
export async function runGather(
  ctx: ExecContext,
  exec: Execution,
  plan: GatherPlan,
  shards: readonly number[],
): Promise<void> {
  await withGathered(ctx, exec, plan, shards, (rows) => finishGathered(ctx, exec, plan, rows))
}

/** Gathers, and hands the arrays of all columns to `use`. `spread`: rows that every shard is given for that. */
export async function withGathered<T>(
  ctx: ExecContext,
  exec: Execution,
  plan: GatherPlan,
  shards: readonly number[],
  use: (rows: GatheredRows) => Promise<T>,
  spread?: GatheredRows,
): Promise<T> {
  const rows = roomFor(ctx, plan, spread?.bytes)
  const owners = plan.route === undefined ? shards : await resolveShards(ctx, plan.route, exec)
  const sources = plan.atHome ? [HOME, ...owners.filter((shard) => shard !== HOME)] : owners
  try {
    await gatherRows(ctx, asReading(exec), plan, sources, rows, spread)
    return await use(rows)
  } finally {
    rows.release()
  }
}

/** For the rows that a plan gathers; `beside`: bytes of others that are kept for the same statement. */
export function roomFor(
  { memory, settings }: ExecContext,
  { inputs }: Pick<GatherPlan, 'inputs'>,
  beside = 0,
  account = memory.account('gathered rows'),
): GatheredRows {
  const bytesMax = gatheredSize(settings.inForce(MAX_GATHERED) ?? '') ?? GATHERED_BYTES_MAX
  return new GatheredRows(inputs, account, bytesMax, beside)
}

/** Where the query is run. */
export function finishShard(ctx: ExecContext, { atHome }: GatherPlan): number {
  return atHome ? HOME : preferredShard(ctx)
}

/** Whatever is done with the rows. */
export function asReading(exec: Execution): Execution {
  return exec.plan.access === 'read' ? exec : { ...exec, plan: { ...exec.plan, access: 'read' } }
}

export async function gatherRows(
  ctx: ExecContext,
  exec: Execution,
  plan: Pick<GatherPlan, 'inputs' | 'part' | 'first'>,
  shards: readonly number[],
  rows: GatheredRows,
  spread?: GatheredRows,
): Promise<void> {
  const formats = [FORMAT.binary, ...slotFormats(plan.inputs)]
  ctx.state.trace?.doing('Gathers')
  try {
    await readOnShards(ctx, shards, (line, i) => {
      const consumer = new RowsConsumer(rows)
      sendPart(ctx, line, exec, i === 0 ? plan.first : plan.part, spread, consumer, formats)
      return consumer.ended
    })
  } catch (error) {
    throw await ofPart(ctx, exec, error)
  }
  if (rows.refusal !== undefined) throw rows.refusal
}

function slotFormats(inputs: readonly GatherInput[]): number[] {
  const formats: number[] = []
  for (const { columns, slots } of inputs)
    for (const [i, slot] of slots.entries()) formats[slot] = columns[i]!.format
  return formats
}

/** What a shard runs for its part; rows that are spread, if any, are its last parameters. */
export function sendPart(
  ctx: ExecContext,
  line: ShardLine,
  exec: Execution,
  { sql, params }: PartText,
  spread: GatheredRows | undefined,
  consumer: ReplyConsumer,
  resultFormats: readonly number[],
): void {
  if (spread === undefined) return sendRewritten(ctx, line, exec, sql, params, consumer, resultFormats)
  const values = spread.params()
  const formats = values.map(() => FORMAT.binary)
  const beside = { values, formats, resultFormats, describes: true }
  const payload = rewrittenPayload(line, exec, sql, params, beside)
  const taints = exec.plan.effects.taintsBackend
  sendPayload(ctx, line, payload, { writes: false, taints, unsettles: taints }, consumer)
}

/** What is wrong with the client's own text is told with its place there. */
async function ofPart(ctx: ExecContext, exec: Execution, error: unknown): Promise<unknown> {
  if (!(error instanceof PgError) || error.fields.position === undefined) return error
  if (!ctx.tx.isOpen) await judgeOnHome(ctx, exec)
  const { position: _, ...fields } = error.fields
  return new PgError(fields)
}

/** Rows of one shard. What is refused on one ends the others at their next row. */
export class RowsConsumer extends FrameConsumer<ExecEnd> {
  private readonly rows: GatheredRows
  private isOver = false

  constructor(rows: GatheredRows) {
    super()
    this.rows = rows
  }

  protected frame(line: ShardLine, type: number, buffer: Buffer, start: number): void {
    if (type !== MSG.dataRow || this.isOver) return
    this.rows.take(buffer, start + 5, line.shard)
    if (this.rows.refusal === undefined) return
    this.isOver = true
    this.error ??= this.rows.refusal
    line.session.cancel()
  }

  protected result(status: number): ExecEnd {
    return this.end(status)
  }
}

/**
 * The client's own text is parsed and described first: what is wrong with it is told as if it had run as it is, and its
 * columns are said to be those of its tables. What fails after that is a matter of running it. Of what is to be given in
 * parts the backend keeps the portal, and the rows that it is over.
 */
export async function finishGathered(
  ctx: ExecContext,
  exec: Execution,
  plan: GatherPlan,
  rows: GatheredRows,
): Promise<void> {
  ctx.state.trace?.doing('Runs over what is gathered')
  const line = ctx.line(finishShard(ctx, plan))
  const writes = exec.plan.access === 'write'
  const state = new ForwardState(exec.wantsRowDescription)
  state.describesLate = writes
  const forwarder = new FinishForwarder(ctx.out, state, exec.bind?.resultFormats ?? [])
  const payload = plan.isInline ? inlinePayload(exec, plan, rows) : finishPayload(line, exec, plan, rows)
  const { effects, commits } = exec.plan
  const { pins, taintsBackend: taints } = effects
  sendPayload(ctx, line, payload, { writes, commits, pins, taints, unsettles: taints }, forwarder)
  try {
    const ended = writes ? endOfWrite : failedLeaves
    const end = settle(ctx, line, await ended(ctx, line, forwarder.ended))
    if (exec.portal === undefined) ctx.out.hold(tagWithCount(end.tag, end.count))
    else exec.portal.isOn(line, exec.asked ?? exec.text, forwarder.columns)
  } catch (error) {
    throw forwarder.isParsed && error instanceof PgError ? ofFinish(error) : error
  }
}

/** Of a COPY, which takes no parameters. */
function inlinePayload(exec: Execution, { finish }: GatherPlan, rows: GatheredRows): Buffer {
  const texts = rows.texts()
  const parts = finish.split(VALUES_NAMES)
  const sql = parts.map((part, i) => (i % 2 === 0 ? Buffer.from(part) : texts[Number(part)]!))
  return Buffer.concat([
    parse('', judgedText(exec)),
    parse('', Buffer.concat(sql)),
    bind({ params: [] }),
    execute('', 0),
    SYNC,
  ])
}

const UNGROUPED = '42803'

/** Places are those of another text; and gathered rows have no primary key. */
function ofFinish(error: PgError): PgError {
  if (error.code === UNGROUPED) return weftError('not_supported', BY_PRIMARY_KEY)
  const { position: _, ...fields } = error.fields
  return error.fields.position === undefined ? error : new PgError(fields)
}

const BY_PRIMARY_KEY: Refused = {
  id: 'group_by_primary_key',
  what: 'GROUP BY a primary key, with columns of its table that cannot be grouped by, over several shards is not supported',
  hint: 'Name the other columns in GROUP BY too.',
}

function finishPayload(line: ShardLine, exec: Execution, plan: GatherPlan, rows: GatheredRows): Buffer {
  const types = line.typesHere(exec.paramTypes)
  const formats = exec.bind?.resultFormats ?? []
  return Buffer.concat([
    parse('', exec.asked ?? exec.text, types),
    describe('S', ''),
    overGathered(line, exec, plan, plan.finish, rows, formats, { portal: exec.portal?.name }),
  ])
}

/** Runs a text that is the plan's finish, or has it in it, over the rows. */
export function overGathered(
  line: ShardLine,
  exec: Execution,
  plan: GatherPlan,
  sql: string,
  rows: GatheredRows,
  resultFormats: readonly number[],
  { describes = false, portal }: { readonly describes?: boolean; readonly portal?: string | undefined } = {},
): Buffer {
  const own = plan.finishParams ?? allParams(plan)
  const values = rows.params(plan.finishFrom)
  const formats = values.map(() => FORMAT.binary)
  return rewrittenPayload(line, exec, sql, own, { values, formats, resultFormats, describes, portal })
}

const HEADER_BYTES = 5

class FinishForwarder extends RowForwarder {
  /** The client's own text was. */
  isParsed = false
  /** What it is described as. */
  columns: readonly ColumnDescription[] = []
  private readonly formats: readonly number[]

  constructor(out: ClientOutput, state: ForwardState, formats: readonly number[]) {
    super(out, state)
    this.formats = formats
  }

  protected override frame(line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === MSG.parseComplete) this.isParsed = true
    if (type === MSG.rowDescription) {
      setFormats(buffer, start, this.formats)
      this.columns = parseRowDescription(buffer, start + HEADER_BYTES, end)
    }
    super.frame(line, type, buffer, start, end)
  }
}
