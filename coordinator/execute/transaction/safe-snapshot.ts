/**
 * SERIALIZABLE READ ONLY DEFERRABLE: a snapshot with which the transaction neither fails nor makes others fail.
 *
 * Postgres waits for one before it gives the transaction its first. Over several shards the snapshots have to be those of
 * one cut, under whose hold nothing could end that they wait for; so they are taken first, and looked at afterwards. A
 * read-only transaction becomes safe on a shard when those that could write there at the time of its snapshot have ended
 * without a conflict that matters: then Postgres drops its predicate locks, and that shows. Otherwise it never does, and
 * another cut is tried.
 *
 * What is safe on every shard is so for all: a transaction over several shards that wrote has the probe's conflict
 * (DESIGN 6), so it never commits after one that overwrote what it had read, and that is the only kind of writer
 * that can make a snapshot unsafe. One that worked on one shard is that shard's business.
 */
import { isOn } from '../../../sql/plan/utility/refuse-setting.ts'
import type { ExecContext } from '../context.ts'
import { queryShard } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import type { ShardLine } from '../shards/shard-line.ts'

/** Reading any table makes Postgres look whether the locks are still needed, or takes the first; then they are counted. */
const IS_SAFE = `SELECT CASE WHEN (SELECT pg_catalog.count(*) FROM weft.installed) IS NOT NULL
  THEN NOT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND mode = 'SIReadLock') END`

/** The probe itself, which can write, is there for another second or two (docs/decisions/0004-prepared-probe.md). */
const PATIENCE_MS_MIN = 4_000
const PATIENCE_MS_MAX = 60_000
const LOOK_AGAIN_MS = 50

/** Whether the running transaction is to wait for a snapshot that is safe. */
export function wantsSafeSnapshot({ tx, settings }: ExecContext): boolean {
  if (tx.isolation !== 'serializable') return false
  const { readOnly, deferrable } = tx.modes
  const byDefault = (name: string): boolean => isOn(settings.get(name) ?? 'off')
  return (
    (deferrable ?? byDefault('default_transaction_deferrable')) &&
    (readOnly ?? byDefault('default_transaction_read_only'))
  )
}

/** How long the snapshot of the n-th try (from 0) is waited for: as in Postgres it may take long, and several. */
export function patienceMs(attempt: number): number {
  return Math.min(PATIENCE_MS_MAX, PATIENCE_MS_MIN * 2 ** Math.min(attempt, 10))
}

/** Waits until the snapshots, just taken, are safe on all shards; false: they have not become so. */
export async function becomesSafe(
  ctx: ExecContext,
  lines: readonly ShardLine[],
  withinMs: number,
): Promise<boolean> {
  const untilMs = performance.now() + withinMs
  let unsafe = lines
  for (;;) {
    const safe = await settleAll(unsafe.map((line) => isSafe(ctx, line)))
    unsafe = unsafe.filter((_, i) => !safe[i])
    if (unsafe.length === 0) return true
    if (performance.now() > untilMs) return false
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS))
    // Told to end meanwhile: by its client, or by a limit of time.
    await ctx.admit(false)
  }
}

async function isSafe(ctx: ExecContext, line: ShardLine): Promise<boolean> {
  const { rows } = await queryShard(ctx, line, IS_SAFE, [], { writes: false })
  return rows[0]?.[0]?.toString() === 't'
}
