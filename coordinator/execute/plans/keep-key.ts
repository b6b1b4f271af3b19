import { weftError } from '../../../errors/catalog.ts'
import type { ForwardPlan } from '../../../sql/plan/plan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { slotOf } from '../route.ts'

/** What an UPDATE gives to the rows of one key is the same key, or one of the same slot: they stay where they belong. */
export async function mustKeepKey(
  ctx: ExecContext,
  exec: Execution,
  { route }: ForwardPlan,
  { table, value }: NonNullable<ForwardPlan['setsKey']>,
): Promise<void> {
  const key = table.key!
  const [where] = route.kind === 'keys' ? (route.restrictions[0]?.values ?? []) : []
  const at = where === undefined ? undefined : await slotOf(ctx, key.type, where, exec)
  // Nothing is found by a key that nothing can equal.
  if (at !== undefined && at < 0) return
  const to = await slotOf(ctx, key.type, value, exec, { typmod: key.typmod ?? -1 })
  if (at !== to) throw weftError('key_update', { table: table.name, column: key.column })
}
