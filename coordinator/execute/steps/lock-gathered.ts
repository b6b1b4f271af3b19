import { weftError } from '../../../errors/catalog.ts'
import {
  type ColumnDescription,
  commandComplete,
  rowDescription,
} from '../../../protocol/wire/backend-messages.ts'
import { type LockStep, withExtra } from '../../../sql/plan/gather/gather-plan.ts'
import { columnsOf } from '../answers/evaluate.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { Collector } from '../shards/replies.ts'
import { allParams, sendRewritten, settled } from '../shards/send.ts'
import { type FoundRow, findRows } from './found-rows.ts'
import { asReading, finishShard, withGathered } from './gather.ts'
import { ROUNDS_MAX } from './modify-gathered.ts'
import { RowLocks } from './row-locks.ts'

/** Rows beside those that are asked for, which may be wanted when others have locked some of these. */
const EXTRA_ROWS = 16
/** How much more are looked at each time that they were not enough. */
const EXTRA_GROWS = 4

/**
 * SELECT … FOR UPDATE and its kin over what is gathered (docs/decisions/0034-rows-locked-where-they-are.md): its rows are
 * locked where they are, just as many as it gives, and if one has changed since it was gathered all is looked at again.
 */
export async function runLockGathered(
  ctx: ExecContext,
  exec: Execution,
  step: LockStep,
  shards: readonly number[],
): Promise<void> {
  await ctx.needTransaction()
  await ctx.admit()
  // What is wrong with the client's text is told as if it had run as it is.
  const columns = await columnsOf(ctx, exec.asked ?? exec.text, exec.paramTypes)
  if (step.lock.isJudged) await judgePlan(ctx, exec)
  const formats = exec.bind?.resultFormats ?? []
  await withLockedRows(ctx, exec, step, { shards, formats }, async (rows) => {
    if (exec.wantsRowDescription) ctx.out.push(rowDescription(inFormats(columns, formats)))
    for (const { message } of rows) {
      ctx.out.push(message)
      if (!ctx.out.hasRoom()) await ctx.out.room()
    }
    ctx.out.hold(commandComplete(`SELECT ${rows.length}`))
  })
}

/** Postgres plans the client's own text, and has its say. */
async function judgePlan(ctx: ExecContext, exec: Execution): Promise<void> {
  const line = ctx.line(HOME)
  const collector = new Collector()
  const params = allParams(exec.plan)
  sendRewritten(ctx, line, asReading(exec), `EXPLAIN ${exec.asked ?? exec.text}`, params, collector, [])
  await settled(ctx, line, collector.ended)
}

/** As the client wants to have them. */
export function inFormats(
  columns: readonly ColumnDescription[],
  formats: readonly number[],
): readonly ColumnDescription[] {
  return columns.map((column, i) => ({ ...column, format: formats[formats.length === 1 ? 0 : i] ?? 0 }))
}

interface Run {
  readonly shards: readonly number[]
  readonly formats: readonly number[]
}

/** Hands on the query's rows, locked. */
export async function withLockedRows<T>(
  ctx: ExecContext,
  exec: Execution,
  step: LockStep,
  { shards, formats }: Run,
  use: (rows: readonly FoundRow[]) => Promise<T>,
): Promise<T> {
  const account = ctx.memory.account('locked rows')
  const locks = new RowLocks(ctx, step.lock, finishShard(ctx, step.gather))
  const { tables } = step.lock
  let extra = tables.some(({ skips }) => skips) ? EXTRA_ROWS : 0
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      account.set(0)
      const gather = withExtra(step.gather, extra)
      const found = await withGathered(ctx, exec, gather, shards, (rows) =>
        findRows(ctx, exec, { gather, formats, tables: tables.length, account }, rows),
      )
      const { wanted, skipped } = boundsOf(found)
      const taken = await locks.take(found, wanted)
      const areAll = found.length < wanted + extra
      if (taken !== undefined && (taken.length >= wanted || areAll)) {
        await locks.mayLock()
        return await use(taken.slice(skipped))
      }
      extra = locks.excluded + EXTRA_ROWS * EXTRA_GROWS ** round
    }
  } finally {
    account.set(0)
  }
  throw weftError('rows_changed', { verb: exec.plan.tag })
}

/** What LIMIT and OFFSET came to. */
function boundsOf([row]: readonly FoundRow[]): { readonly wanted: number; readonly skipped: number } {
  const skipped = Number(row?.offset ?? 0)
  return { wanted: row?.limit == null ? Number.POSITIVE_INFINITY : Number(row.limit) + skipped, skipped }
}
