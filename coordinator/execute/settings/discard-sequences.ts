import { SEQUENCES } from '../../../protocol/agent-link.ts'
import type { ExecContext } from '../context.ts'
import { settle, simpleQuery } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import type { ShardLine } from '../shards/shard-line.ts'

/** Whatever the session has drawn from sequences, wherever, is forgotten. */
export async function discardSequences(ctx: ExecContext): Promise<void> {
  const { drawn } = ctx.state
  const options = { writes: false, looks: false, sequences: SEQUENCES.forgets }
  const discard = async (line: ShardLine) =>
    settle(ctx, line, await simpleQuery(ctx, line, 'DISCARD SEQUENCES', options))
  await settleAll([...drawn.lines].map(discard))
  drawn.forget()
  ctx.node.draws.forget()
}
