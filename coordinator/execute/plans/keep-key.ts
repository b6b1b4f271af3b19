import type { ForwardPlan } from '../../../sql/plan/plan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { slotOf } from '../route.ts'

/** What an UPDATE gives to the rows of one key is the same key, or another of the same shard: they stay where they are. */
export async function keepsShard(
  ctx: ExecContext,
  exec: Execution,
  { route }: ForwardPlan,
  { table, value }: NonNullable<ForwardPlan['setsKey']>,
): Promise<boolean> {
  const key = table.key!
  const [where] = route.kind === 'keys' ? (route.restrictions[0]?.values ?? []) : []
  const at = where === undefined ? undefined : await slotOf(ctx, key.type, where, exec)
  // Nothing is found by a key that nothing can equal.
  if (at !== undefined && at < 0) return true
  const to = await slotOf(ctx, key.type, value, exec, { typmod: key.typmod ?? -1 })
  if (at === undefined || to < 0) return false
  const { slots } = await ctx.catalog()
  return slots[at] === slots[to]
}
