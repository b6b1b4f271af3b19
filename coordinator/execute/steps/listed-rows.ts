import { commandComplete, rowDescription } from '../../../protocol/wire/backend-messages.ts'
import { type ListedRows, withListed } from '../../../sql/plan/first/first-step.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import type { ExecContext, Execution } from '../context.ts'
import { needsCut } from '../shards/on-shards.ts'
import { columnsOf, instead, runInstead, textsInstead } from './instead.ts'
import { inFormats } from './lock-gathered.ts'

/** Whether an INSERT … SELECT is run so where it could take a snapshot, too. */
export function needsListing(ctx: ExecContext, listed: ListedRows): boolean {
  const isOfBlock = ctx.tx.isOpen && ctx.tx.undecided === undefined
  return !listed.readsMore && needsCut(ctx) && (isOfBlock || listed.alwaysLists === true)
}

/**
 * Runs an INSERT … SELECT as one of VALUES (docs/decisions/0067-inserts-of-listed-rows.md): its rows, and what the
 * subqueries of ON CONFLICT and RETURNING give, are read in one statement, of one state.
 */
export async function runListed(ctx: ExecContext, exec: Execution, listed: ListedRows): Promise<void> {
  const asked = exec.asked ?? exec.text
  // What is wrong with the client's text is told as if it had run as it is.
  const { paramTypes, columns: origins } = await describedAtHome(ctx, asked, exec.paramTypes)
  const typed: Execution = { ...exec, paramTypes, asked, origins }
  const columns = await columnsOf(ctx, { ...listed, computes: true }, paramTypes)
  const account = ctx.memory.account('rows of a query that is run first')
  try {
    const rows = await textsInstead(ctx, typed, listed.sql, new KeptRows(account))
    if (rows.length > 0)
      return await instead(ctx, typed, withListed(listed, { columns, rows }, quoteText), true)
    await runInstead(ctx, typed, listed.none)
    if (exec.wantsRowDescription && exec.plan.returnsRows)
      ctx.out.push(rowDescription(inFormats(origins, exec.bind?.resultFormats ?? [])))
    ctx.out.hold(commandComplete('INSERT 0 0'))
  } finally {
    account.set(0)
  }
}
