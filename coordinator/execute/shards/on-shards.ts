import { weftError } from '../../../errors/catalog.ts'
import type { Timestamp } from '../../../protocol/agent-link.ts'
import { readsConsistently } from '../../settings/consistent-reads.ts'
import type { ExecContext } from '../context.ts'
import { CutWait } from './cut-wait.ts'
import type { ExecEnd } from './replies.ts'
import { failedLeaves, settle } from './send.ts'
import { settleAll } from './settle-all.ts'
import type { ShardLine } from './shard-line.ts'

/**
 * Whether a statement over several shards is to be given one snapshot of them: its transaction has none throughout.
 * `toCopies`: it writes to the copies of a reference table, which come out alike whatever the user wants of reads.
 */
export function needsCut(ctx: ExecContext, toCopies = false): boolean {
  return (toCopies || readsConsistently(ctx.settings)) && !ctx.hasTransactionSnapshots
}

/** Waits for its turn to hold backends on several shards; call the answer when it holds none any more. */
async function turn(ctx: ExecContext): Promise<() => void> {
  if (ctx.tx.isOpen) {
    await ctx.admit()
    return () => {}
  }
  return ctx.admitStatement()
}

/**
 * Runs a statement that reads several shards, on all of them at once: under one cut (DESIGN 5), unless its transaction
 * has its snapshot already or the user wants none (`needsCut`). So does one that writes, if it tells when it has begun.
 * `send` begins the exec on one line, and gives its end.
 */
export async function readOnShards<T extends ExecEnd>(
  ctx: ExecContext,
  shards: readonly number[],
  send: (line: ShardLine, i: number) => Promise<T>,
  toCopies = false,
): Promise<readonly T[]> {
  if (!ctx.tx.isOpen && ctx.hasTransactionSnapshots) await ctx.needTransaction()
  if (!needsCut(ctx, toCopies)) {
    await ctx.admit()
    return onShards(ctx, shards, send)
  }
  const leave = await turn(ctx)
  try {
    return await onShardsUnderCut(
      ctx,
      shards.map((shard) => ctx.line(shard)),
      send,
    )
  } finally {
    leave()
  }
}

/** Runs one exec on each of several shards. Rejects with the first shard's error, when all have ended. */
export async function onShards<T extends ExecEnd>(
  ctx: ExecContext,
  shards: readonly number[],
  send: (line: ShardLine, i: number) => Promise<T>,
): Promise<readonly T[]> {
  const lines = shards.map((shard) => ctx.line(shard))
  return ended(ctx, lines, lines.map(begun(send)), undefined)
}

/** The same; every statement gets its snapshot from one cut. */
export async function onShardsUnderCut<T extends ExecEnd>(
  ctx: ExecContext,
  lines: readonly ShardLine[],
  send: (line: ShardLine, i: number) => Promise<T>,
): Promise<readonly T[]> {
  const wait = new CutWait(ctx, lines)
  const ends = await ended(ctx, lines, lines.map(begun(send, wait)), wait)
  if (lines[0]!.request.access === 'write') await mustHaveMissedNothing(lines, wait.ts)
  return ends
}

/**
 * Who waited for a row that went to another shard meanwhile finds none where it was, and has a snapshot of the other shard
 * in which it is not there yet. One Postgres goes on with the row as it is by then.
 */
export async function mustHaveMissedNothing(lines: readonly ShardLine[], cutTs: Timestamp): Promise<void> {
  const later = lines.filter((line) => line.appliedTs > cutTs)
  if (later.length === 0) return
  const moved = await settleAll(later.map((line) => line.movedTs()))
  if (moved.some((ts) => ts > cutTs)) throw weftError('rows_moved', {})
}

/** A line on which nothing could be sent is one that failed: the others, which have begun, are waited for, or called off. */
function begun<T extends ExecEnd>(
  send: (line: ShardLine, i: number) => Promise<T>,
  wait?: CutWait,
): (line: ShardLine, i: number) => Promise<T> {
  return async (line, i) => {
    try {
      return await send(line, i)
    } catch (error) {
      if (wait !== undefined && line.cutWait === wait) wait.ended(line)
      throw error
    }
  }
}

/** Nothing may still run when the statement is over: waits for all, then picks the error that is the client's. */
async function ended<T extends ExecEnd>(
  ctx: ExecContext,
  lines: readonly ShardLine[],
  runs: readonly Promise<T>[],
  wait: CutWait | undefined,
): Promise<readonly T[]> {
  const results = await Promise.allSettled(runs.map((run, i) => failedLeaves(ctx, lines[i]!, run)))
  const errors = results.map((result, i) => errorOf(ctx, lines[i]!, result))
  // The others were called off because of it.
  const [culprit] = errors.filter((_, i) => lines[i] === wait?.culprit)
  const error = culprit ?? wait?.error ?? errors.find((e) => e !== undefined)
  if (error !== undefined) throw error
  return results.map((result) => (result as PromiseFulfilledResult<T>).value)
}

function errorOf<T extends ExecEnd>(
  ctx: ExecContext,
  line: ShardLine,
  result: PromiseSettledResult<T>,
): unknown {
  if (result.status === 'rejected') return result.reason
  try {
    settle(ctx, line, result.value)
    return undefined
  } catch (error) {
    return error
  }
}
