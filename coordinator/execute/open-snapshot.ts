import type { ExecContext } from './context.ts'
import { endOn } from './end-transaction.ts'
import { onShardsUnderCut } from './on-shards.ts'
import { type Collected, Collector } from './replies.ts'
import { becomesSafe, patienceMs, wantsSafeSnapshot } from './safe-snapshot.ts'
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
  const isToBeSafe = wantsSafeSnapshot(ctx)
  // Under the hold nobody could end what a DEFERRABLE one waits for.
  tx.modes = { ...tx.modes, isolation: tx.isolation, deferrable: false }
  tx.takesSnapshot = true
  try {
    for (let attempt = 0; ; attempt++) {
      await beginAnew(ctx)
      const lines = ctx.node.links.map(({ shard }) => ctx.line(shard))
      await onShardsUnderCut(ctx, lines, (line) => look(ctx, line))
      const isGood = !isToBeSafe || (await becomesSafe(ctx, lines, patienceMs(attempt)))
      for (const line of lines) line.touched = false
      tx.hasSnapshot = isGood
      if (isGood) return
    }
  } finally {
    tx.takesSnapshot = false
  }
}

/** SET and SHOW came before, on a shard that has no snapshot yet (what was set holds on); or another try was made. */
async function beginAnew(ctx: ExecContext): Promise<void> {
  const { tx } = ctx
  for (const line of [...tx.joined]) {
    await endOn(ctx, line, 'ROLLBACK')
    tx.forget(line)
  }
}

function look(ctx: ExecContext, line: ShardLine): Promise<Collected> {
  const collector = new Collector()
  sendPayload(ctx, line, LOOK, { writes: false }, collector)
  return collector.ended
}
