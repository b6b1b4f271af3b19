import { type ExecContext, HOME, shardsBesideHome } from '../context.ts'
import { SessionRunner } from '../shards/session-runner.ts'
import { settleAll } from '../shards/settle-all.ts'

/**
 * Runs a statement that changes reference tables on home's copy, with the triggers that are there, and does to the other
 * copies what has become of its rows (docs/decisions/0068-triggers-of-copies.md). Whoever changes such a row has had home's
 * first, so none waits for it elsewhere.
 */
export async function runNoted(ctx: ExecContext, work: () => Promise<void>): Promise<void> {
  await ctx.needTransaction()
  await work()
  const runner = new SessionRunner(ctx)
  for (;;) {
    const { rows } = await runner.query(HOME, 'SELECT weft.take_changes()', [], 'write')
    const changes = rows[0]?.[0]
    if (changes == null) return
    await settleAll(
      shardsBesideHome(ctx.node.shardCount).map((shard) =>
        runner.query(shard, 'SELECT weft.repeat_changes($1)', [changes], 'write'),
      ),
    )
  }
}
