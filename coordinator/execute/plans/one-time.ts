import { lexedOf } from '../../../sql/lex/scan.ts'
import type { Plan, TimePlace } from '../../../sql/plan/plan.ts'
import { mayHaveTimeWords, withTimeWords } from '../../../sql/plan/times/time-words.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { NOT_ONE, routeNow } from '../route.ts'

/**
 * Whether a statement's times are to be the coordinator's. One by itself on one shard has one time there, and is left as the
 * client wrote it.
 */
export function needsOneTime(ctx: ExecContext, exec: Execution): boolean {
  return ctx.tx.isOpen || !isOnOneShard(ctx, exec, exec.plan)
}

/** Where it tells times, in calls and in words. One shard by itself reads words as its own time. */
export function timesOf(ctx: ExecContext, exec: Execution): readonly TimePlace[] | undefined {
  const { times, timeWords } = exec.plan
  if (timeWords === undefined || !mayHaveTimeWords(exec.text) || isOnOneShard(ctx, exec, exec.plan))
    return times
  const sql = Buffer.from(exec.text)
  const all = withTimeWords(times ?? [], timeWords, sql, lexedOf(sql))
  return all.length === 0 ? undefined : all
}

function isOnOneShard(ctx: ExecContext, exec: Execution, plan: Plan): boolean {
  if (plan.kind === 'explain') return isOnOneShard(ctx, exec, plan.inner)
  if (plan.kind !== 'forward') return false
  return routeNow(plan.route, exec.keys, ctx.node.catalogs.current, HOME) !== NOT_ONE
}
