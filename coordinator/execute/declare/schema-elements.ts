import type { DdlPlan } from '../../../sql/plan/plan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { quoteNames } from '../quote.ts'
import { setLocally } from '../settings/setting.ts'
import { runInstead } from '../steps/instead.ts'

/**
 * Runs the elements of CREATE SCHEMA one by one, in its transaction. As in Postgres they find the schema first, and belong
 * to its owner. When one fails the settings stay: the transaction has failed with it, and takes them back.
 */
export async function runElements(
  ctx: ExecContext,
  exec: Execution,
  { schema, role, sqls }: NonNullable<DdlPlan['elements']>,
): Promise<void> {
  const path = ctx.settings.get('search_path') ?? null
  const before = ctx.settings.get('role') ?? null
  await setLocally(ctx, 'search_path', quoteNames([schema, ...ctx.searchPath()]))
  if (role !== undefined) await setLocally(ctx, 'role', role)
  for (const sql of sqls) await runInstead(ctx, exec, sql)
  if (role !== undefined) await setLocally(ctx, 'role', before)
  await setLocally(ctx, 'search_path', path)
}
