import { weftError } from '../../errors/catalog.ts'
import type { ExecContext } from './context.ts'
import { onShardsUnderCut } from './on-shards.ts'
import { type Collected, Collector } from './replies.ts'
import { ownPayload, sendPayload } from './send.ts'
import type { ShardLine } from './shard-line.ts'

/** Anything that takes a snapshot. */
const LOOK = ownPayload('SELECT 1', [])

/**
 * Opens the running transaction on every shard, all of them with their snapshot of one cut: REPEATABLE READ and
 * SERIALIZABLE then see one state of the whole cluster (docs/decisions/0003-transaction-snapshots.md). Which shards it
 * will need nobody can tell yet, and later the moment is gone.
 */
export async function openSnapshot(ctx: ExecContext): Promise<void> {
  const { tx } = ctx
  if (tx.joined.length > 0) throw weftError('not_supported', TOO_LATE)
  tx.takesSnapshot = true
  // Under the hold nobody could end what a DEFERRABLE one waits for; without it 40001 is possible, as for all others.
  tx.modes = { isolation: ctx.isolation.current, ...tx.modes, deferrable: false }
  try {
    const lines = ctx.node.links.map(({ shard }) => ctx.line(shard))
    await onShardsUnderCut(ctx, lines, (line) => look(ctx, line))
    for (const line of lines) line.touched = false
    tx.hasSnapshot = true
  } finally {
    tx.takesSnapshot = false
  }
}

const TOO_LATE = {
  what: 'a snapshot of all shards after one shard has taken part in the transaction',
  hint: 'Begin the transaction with its isolation level.',
}

function look(ctx: ExecContext, line: ShardLine): Promise<Collected> {
  const collector = new Collector()
  sendPayload(ctx, line, LOOK, { writes: false }, collector)
  return collector.ended
}
