import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import {
  type ColumnDescription,
  dataRowOfCells,
  rowDescription,
} from '../../../protocol/wire/backend-messages.ts'
import { HEADER_BYTES } from '../../../protocol/wire/bytes.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { FORMAT } from '../../../sql/plan/gather/transport.ts'
import type { HomeFirstStep } from '../../../sql/plan/home-first.ts'
import type { ClientOutput } from '../answers/client-output.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { type ExecContext, type Execution, HOME, shardsBesideHome } from '../context.ts'
import { onShards } from '../shards/on-shards.ts'
import { type ExecEnd, ForwardState, RowForwarder, tagWithCount } from '../shards/replies.ts'
import { allParams, queryShard, rewrittenPayload, sendPayload, settled } from '../shards/send.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { needsNoMap } from '../transaction/map-change.ts'
import { roomFor } from './gather.ts'
import { type GatheredRows, UNSAFE } from './gathered-rows.ts'
import { inFormats } from './lock-gathered.ts'

/**
 * Runs a write of a reference table that has triggers on home, where these are, and gives the other copies the rows as they
 * came out (docs/decisions/0080-triggers-of-copies-at-home.md). Whoever has a row of another copy has had home's. They
 * are all asked, for no row too: what triggers have done beside is seen by comparing them (`Reach.onCopies`).
 */
export async function runHomeFirst(ctx: ExecContext, exec: Execution, step: HomeFirstStep): Promise<void> {
  // One shard decides what is written: it needs no snapshot of the others.
  ctx.tx.undecided = undefined
  await ctx.needTransaction()
  await ctx.admit()
  // What is wrong with the client's text is told as if it had run as it is.
  const { paramTypes, columns } = await describedAtHome(ctx, exec.asked ?? exec.text, exec.paramTypes)
  const rows = roomFor(ctx, { inputs: [step.input] })
  try {
    const end = await atHome(ctx, { ...exec, paramTypes }, step, columns, rows)
    if (step.safe !== undefined) await requireSafe(ctx, step.safe)
    // A table's lock on home keeps it as it was planned.
    needsNoMap(ctx)
    const values = rows.params()
    const ends = await onShards(ctx, shardsBesideHome(ctx.node.shardCount), (line) => {
      const consumer = new RowForwarder(ctx.out, new ForwardState(false), false)
      const formats = values.map(() => FORMAT.binary)
      const beside = { values, formats, resultFormats: [], describes: false }
      const payload = rewrittenPayload(line, exec, step.copy, [], beside)
      const taints = exec.plan.effects.taintsBackend
      sendPayload(ctx, line, payload, { writes: true, taints, leaves: false }, consumer)
      return consumer.ended
    }).catch((error: unknown) => {
      throw needingRights(error)
    })
    if (ends.some(({ count }) => count !== end.count)) throw weftError('not_supported', keyChanged(step))
    ctx.out.hold(tagWithCount(end.tag, end.count))
  } finally {
    rows.release()
  }
}

/** By the settings under which its rows were printed, which are those that triggers have left. */
async function requireSafe(ctx: ExecContext, safe: string): Promise<void> {
  const options = { writes: false, looks: false, asItIs: true }
  const { rows } = await queryShard(ctx, ctx.line(HOME), safe, [], options)
  if (rows[0]![0]?.toString('utf8') !== 't') throw weftError('not_supported', UNSAFE)
}

async function atHome(
  ctx: ExecContext,
  exec: Execution,
  step: HomeFirstStep,
  columns: readonly ColumnDescription[],
  rows: GatheredRows,
): Promise<ExecEnd> {
  const described = inFormats(columns, exec.bind?.resultFormats ?? [])
  if (exec.wantsRowDescription && exec.plan.returnsRows) ctx.out.owe(rowDescription(described))
  const line = ctx.line(HOME)
  const consumer = new WrittenRows(ctx.out, rows, 1 + step.input.columns.length, exec.plan.returnsRows)
  const own = [FORMAT.binary, ...step.input.columns.map(({ format }) => format)]
  const resultFormats = [...own, ...described.map(({ format }) => format)]
  const params = allParams(exec.plan)
  const payload = rewrittenPayload(line, exec, step.sql, params, { resultFormats, describes: false })
  const { taintsBackend: taints, pins } = exec.plan.effects
  sendPayload(ctx, line, payload, { writes: true, taints, unsettles: taints, pins }, consumer)
  try {
    return await settled(ctx, line, consumer.ended)
  } catch (error) {
    throw needingRights(error)
  }
}

/** Each row of home has what the other copies are told, and then what the client is. */
class WrittenRows extends RowForwarder {
  private readonly rows: GatheredRows
  private readonly own: number
  private readonly returns: boolean

  constructor(out: ClientOutput, rows: GatheredRows, own: number, returns: boolean) {
    super(out, new ForwardState(false))
    this.rows = rows
    this.own = own
    this.returns = returns
  }

  protected override frame(line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void {
    if (type !== MSG.dataRow) return super.frame(line, type, buffer, start, end)
    if (this.error !== undefined) return
    this.rows.take(buffer, start + HEADER_BYTES, line.shard)
    if (this.rows.refusal !== undefined) {
      this.error = this.rows.refusal
      line.session.cancel()
    } else if (this.returns) {
      const row = withoutCells(buffer, start, end, this.own)
      super.frame(line, type, row, 0, row.length)
    }
  }
}

const COUNT_BYTES = 2
const LENGTH_BYTES = 4

/** A DataRow without its first cells. */
function withoutCells(buffer: Buffer, start: number, end: number, cells: number): Buffer {
  const body = start + HEADER_BYTES
  let at = body + COUNT_BYTES
  for (let i = 0; i < cells; i++) at += LENGTH_BYTES + Math.max(0, buffer.readInt32BE(at))
  return dataRowOfCells(buffer.readInt16BE(body) - cells, [buffer.subarray(at, end)])
}

const INSUFFICIENT_PRIVILEGE = '42501'

/** Places are those of another text; and who writes has to read what became of it, and to write it elsewhere. */
function needingRights(error: unknown): unknown {
  if (!(error instanceof PgError)) return error
  const fields = { ...error.fields, position: undefined }
  // What code lacks is told with a context.
  if (error.code === INSUFFICIENT_PRIVILEGE && error.fields.where === undefined)
    fields.hint ??=
      'The table has triggers: its rows are read when they have been written, and written to the other copies with all ' +
      'their columns. That takes SELECT, and INSERT or UPDATE, on all columns.'
  return new PgError(fields, { cause: error })
}

const keyChanged = ({ input: { table } }: HomeFirstStep) => ({
  id: 'trigger' as const,
  what: `a trigger of reference table "${table}" that changes the primary key of a row which is there is not supported`,
  hint: 'Rows are told by it on the other copies. DELETE the row, and INSERT it with the new key.',
})
