import { type GivenColumn, type ReadFirstStep, withGiven } from '../../../sql/plan/first/first-step.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import type { ExecContext, Execution } from '../context.ts'
import { columnsOf, instead } from './instead.ts'
import { mustHold, type Rows, readRows } from './read-ahead.ts'

/** Reads what the values of an INSERT are made of, all of one moment, and inserts the rows then. */
export async function runReadFirst(ctx: ExecContext, exec: Execution, step: ReadFirstStep): Promise<void> {
  await ctx.needTransaction()
  await ctx.admit()
  // What is wrong with the client's text is told as if it had run as it is.
  const asked = exec.asked ?? exec.text
  const { paramTypes, columns: origins } = await describedAtHome(ctx, asked, exec.paramTypes)
  const typed: Execution = { ...exec, paramTypes, asked, origins }
  const columns: (readonly GivenColumn[])[] = []
  for (const sql of step.reads)
    columns.push(await columnsOf(ctx, { sql, collates: step.collates }, paramTypes))
  const put = (read: Rows): string => {
    const ahead = columns.map((names, i) => ({ columns: names, rows: read[i] ?? [] }))
    return withGiven(step.rest, { columns: [], rows: [] }, quoteText, ahead)
  }
  await mustHold(ctx, put([]), paramTypes)
  const account = ctx.memory.account('rows that are read before others are written')
  try {
    await instead(ctx, typed, put(await readRows(ctx, typed, step.reads, columns, account)), true)
  } finally {
    account.set(0)
  }
}
