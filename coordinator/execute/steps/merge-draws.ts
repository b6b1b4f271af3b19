import type { GatherPlan, MergeDraws } from '../../../sql/plan/gather/gather-plan.ts'
import { FORMAT } from '../../../sql/plan/gather/transport.ts'
import { evaluateFills } from '../answers/evaluate.ts'
import { RowStream } from '../answers/row-stream.ts'
import type { ExecContext, Execution } from '../context.ts'
import { requireExactDraws } from '../insert/exact-texts.ts'
import { textArray } from '../quote.ts'
import { rewrittenPayload, sendPayload, settled } from '../shards/send.ts'
import { inputsOf } from './change-copies.ts'
import { finishShard } from './gather.ts'
import type { GatheredRows } from './gathered-rows.ts'

interface Row {
  readonly number: string
  readonly defaults: readonly { readonly fill: number }[]
  /** What was computed of the source's row. */
  readonly computed: readonly (string | null)[]
}

const ROW_BYTES = 128

/**
 * Values that a MERGE leaves to defaults which only the home shard can give: for each row that it inserts, in the order of
 * its source, as an INSERT draws them. Parameters of the statement: numbers of rows, and what each column gets, as arrays.
 */
export async function drawnValues(
  ctx: ExecContext,
  exec: Execution,
  gather: GatherPlan,
  draws: MergeDraws,
  gathered: GatheredRows,
): Promise<readonly string[]> {
  await requireExactDraws(ctx, draws)
  const account = ctx.memory.account('rows that a MERGE inserts')
  try {
    const rows = await insertedRows(ctx, exec, gather, draws, gathered, () => account.add(ROW_BYTES))
    const fill = drawnOf(draws).map(({ expression }) => ({ expression, appended: false }))
    const values = rows.length === 0 ? [] : await evaluateFills(ctx, fill, rows, exec.plan.tag)
    const arrays = draws.columns.map((column) => {
      const sort = draws.columns.filter(({ isComputed }) => isComputed === column.isComputed)
      const at = sort.indexOf(column)
      return textArray(rows.map((row, i) => (column.isComputed ? row.computed[at] : values[i]?.[at]) ?? null))
    })
    return [`{${rows.map(({ number }) => number).join(',')}}`, ...arrays]
  } finally {
    account.set(0)
  }
}

/** Those that are no part of the query. */
const drawnOf = ({ columns }: MergeDraws): MergeDraws['columns'] =>
  columns.filter(({ isComputed }) => isComputed !== true)

async function insertedRows(
  ctx: ExecContext,
  exec: Execution,
  gather: GatherPlan,
  draws: MergeDraws,
  gathered: GatheredRows,
  pay: () => void,
): Promise<readonly Row[]> {
  ctx.state.trace?.doing('Finds the rows that are inserted')
  const { compute, computeParams, computeInputs, byClause, columns } = draws
  const drawn = drawnOf(draws)
  const line = ctx.line(finishShard(ctx, gather))
  const rows: Row[] = []
  const stream = new RowStream(async ([number, clause, ...computed]) => {
    const own = byClause[Number(clause ?? -1)] ?? []
    if (own.length === 0) return
    pay()
    const fills = own.map((n) => drawn.indexOf(columns[n]!)).filter((fill) => fill >= 0)
    rows.push({ number: number!, defaults: fills.map((fill) => ({ fill })), computed })
  })
  const values = inputsOf(gathered, computeInputs)
  const formats = values.map(() => FORMAT.binary)
  const beside = { values, formats, resultFormats: [], describes: false }
  const payload = rewrittenPayload(line, exec, compute, computeParams, beside)
  sendPayload(ctx, line, payload, { writes: false }, stream)
  await settled(ctx, line, stream.ended)
  return rows
}
