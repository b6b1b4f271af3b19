import type { ListStep } from '../../../sql/plan/gather/gather-plan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { describedColumns } from '../described-columns.ts'
import { quoteNames } from '../quote.ts'
import { instead } from './instead.ts'

/** Runs an INSERT with the list of columns that it leaves out. */
export async function runListed(ctx: ExecContext, exec: Execution, step: ListStep): Promise<void> {
  if (!ctx.tx.isOpen && ctx.hasTransactionSnapshots) await ctx.needTransaction()
  await ctx.admit()
  const { query, at, names } = step
  const columns = await describedColumns(ctx, exec, query)
  const list = ` (${quoteNames(names.slice(0, columns.length))}) `
  await instead(ctx, exec, exec.text.slice(0, at) + list + exec.text.slice(at), true)
}
