import type { ExecContext } from '../context.ts'
import { runReaching } from '../declare/reach.ts'
import { settle, simpleQuery } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'

const FIRE = 'SET CONSTRAINTS ALL IMMEDIATE'

/**
 * Fires the triggers that were deferred to the end of the transaction, if what they run may reach what no statement names:
 * then there is a look at what they have done, ahead of the COMMIT. Else the COMMIT fires them.
 */
export async function fireDeferred(ctx: ExecContext): Promise<void> {
  if (ctx.tx.deferred === undefined) return
  await reachingDeferred(ctx, 'COMMIT', async () => {
    const lines = ctx.tx.joined.filter((line) => line.touched)
    const fire = async (line: (typeof lines)[number]) => {
      const end = await simpleQuery(ctx, line, FIRE, { writes: false, taints: true })
      for (const aside of end.asides) ctx.out.aside(aside)
      settle(ctx, line, end)
    }
    await settleAll(lines.map(fire))
  })
}

/** For what fires them in the midst of it. */
export async function reachingDeferred(
  ctx: ExecContext,
  tag: string,
  work: () => Promise<void>,
): Promise<void> {
  const { deferred } = ctx.tx
  return deferred === undefined ? work() : runReaching(ctx, { tag }, deferred, work)
}
