import type { Plan } from '../../sql/plan/plan.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { NOT_ONE, routeNow } from './route.ts'

/**
 * Whether a statement's times are to be the coordinator's. One by itself on one shard has one time there, and is left as the
 * client wrote it.
 */
export function needsOneTime(ctx: ExecContext, exec: Execution): boolean {
  return ctx.tx.isOpen || !isOnOneShard(ctx, exec, exec.plan)
}

function isOnOneShard(ctx: ExecContext, exec: Execution, plan: Plan): boolean {
  if (plan.kind === 'explain') return isOnOneShard(ctx, exec, plan.inner)
  if (plan.kind !== 'forward') return false
  return routeNow(plan.route, exec.keys, ctx.node.catalogs.current, HOME) !== NOT_ONE
}
