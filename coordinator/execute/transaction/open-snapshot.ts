import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { BEGUN } from '../../../sql/plan/begun-text.ts'
import type { ExecContext } from '../context.ts'
import { onShardsUnderCut } from '../shards/on-shards.ts'
import { type Collected, Collector } from '../shards/replies.ts'
import { ownPayload, sendPayload } from '../shards/send.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { endOn } from './end-transaction.ts'
import { becomesSafe, patienceMs, wantsSafeSnapshot } from './safe-snapshot.ts'

/** Anything that takes a snapshot. */
const LOOK = ownPayload('SELECT 1', [])
/**
 * The same for a transaction that holds locks already, so that it cannot be begun again when a cut comes to nothing: of a
 * COPY neither Parse nor Bind takes the snapshot, which then is that of its execution.
 */
const LOOK_ONCE = ownPayload(`COPY (SELECT ${BEGUN}) TO STDOUT`, [])

/**
 * Opens the running transaction on every shard, all of them with their snapshot of one cut: REPEATABLE READ and
 * SERIALIZABLE then see one state of the whole cluster (docs/decisions/0003-transaction-snapshots.md). Which shards it
 * will need nobody can tell yet, and later the moment is gone.
 */
export async function openSnapshot(ctx: ExecContext): Promise<void> {
  const { tx } = ctx
  const isToBeSafe = wantsSafeSnapshot(ctx)
  // Under the hold nobody could end what a DEFERRABLE one waits for.
  tx.modes = { ...tx.modes, isolation: tx.isolation }
  tx.waitsItself = true
  tx.takesSnapshot = true
  try {
    for (let attempt = 0; ; attempt++) {
      await beginAnew(ctx)
      const lines = reachable(ctx)
      await onShardsUnderCut(ctx, lines, (line) => look(ctx, line))
      const isGood = !isToBeSafe || (await becomesSafe(ctx, lines, patienceMs(attempt)))
      for (const line of lines) line.touched = line.wrote
      tx.hasSnapshot = isGood
      if (isGood) return
    }
  } finally {
    tx.takesSnapshot = false
  }
}

/** A shard that is away has no snapshot to give: the transaction goes without it, and cannot come to it later. */
function reachable(ctx: ExecContext): ShardLine[] {
  const { links } = ctx.node
  const up = links.filter(({ isUp }) => isUp)
  return (up.length > 0 ? up : links).map(({ shard }) => ctx.line(shard))
}

/**
 * LOCK TABLE as the first statement: in Postgres the lock comes before the snapshot, so that what is locked is seen as
 * it is. The shard joins without a snapshot, and gets it with the others.
 */
export async function lockBeforeSnapshot(ctx: ExecContext, lock: () => Promise<void>): Promise<void> {
  const { tx } = ctx
  if (wantsSafeSnapshot(ctx)) throw weftError('not_supported', LOCK_BEFORE_SAFE)
  tx.modes = { ...tx.modes, isolation: tx.isolation }
  tx.waitsItself = true
  tx.takesSnapshot = true
  try {
    await lock()
  } finally {
    tx.takesSnapshot = false
  }
}

const LOCK_BEFORE_SAFE: Refused = {
  id: 'isolation_level',
  what: 'LOCK TABLE as the first statement of a SERIALIZABLE READ ONLY DEFERRABLE transaction',
  hint: 'Lock after the first query, or leave out DEFERRABLE.',
}

/** SET and SHOW came before, on a shard that has no snapshot yet (what was set holds on); or another try was made. */
async function beginAnew(ctx: ExecContext): Promise<void> {
  const { tx } = ctx
  for (const line of [...tx.joined]) {
    if (line.wrote) continue
    await endOn(ctx, line, 'ROLLBACK')
    tx.forget(line)
  }
}

function look(ctx: ExecContext, line: ShardLine): Promise<Collected> {
  const collector = new Collector()
  if (line.joined) sendPayload(ctx, line, LOOK_ONCE, { writes: false, begins: true }, collector)
  else sendPayload(ctx, line, LOOK, { writes: false }, collector)
  return collector.ended
}
