import { weftError } from '../../errors/catalog.ts'
import type { CursorPlan } from '../../sql/plan/plan.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { runOnOne } from './forward.ts'
import { resolveShards } from './route.ts'

/** DECLARE, FETCH, MOVE and CLOSE: they follow the shard the cursor was opened on. */
export async function runCursor(ctx: ExecContext, exec: Execution, plan: CursorPlan): Promise<void> {
  const { cursors } = ctx.state
  switch (plan.verb) {
    case 'declare': {
      const [shard, ...more] = await resolveShards(ctx, plan.route ?? { kind: 'home' }, exec)
      if (more.length > 0) throw weftError('not_supported', SEVERAL)
      if (plan.hold === true && shard !== HOME) throw weftError('not_supported', HELD)
      await runOnOne(ctx, exec, shard!)
      cursors.set(plan.name, shard!)
      return
    }
    case 'fetch':
      return runOnOne(ctx, exec, cursors.get(plan.name) ?? HOME)
    case 'close':
      await runOnOne(ctx, exec, cursors.get(plan.name) ?? HOME)
      cursors.delete(plan.name)
      return
    case 'close-all': {
      const shards = new Set(cursors.values())
      shards.delete(HOME)
      for (const shard of shards) await runOnOne(ctx, exec, shard)
      ctx.out.dropHeld()
      await runOnOne(ctx, exec, HOME)
      cursors.clear()
    }
  }
}

const SEVERAL = {
  what: 'a cursor over several shards is not supported yet',
  hint: 'Restrict the shard key to one value, or read the rows without a cursor.',
}

const HELD = {
  what: 'a WITH HOLD cursor is only supported on the home shard (local and reference tables)',
  hint: 'Use a cursor without WITH HOLD inside a transaction.',
}
