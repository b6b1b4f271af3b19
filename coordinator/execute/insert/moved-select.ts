import type { ExecContext, Execution } from '../context.ts'
import { lockAhead } from '../shards/lock-ahead.ts'
import { needsCut, onShards, readOnShards } from '../shards/on-shards.ts'
import { Collector } from '../shards/replies.ts'
import { queryShard, sendRewritten } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import type { ShardLine } from '../shards/shard-line.ts'

/** Rows of each shard in memory at a time. */
const ROUND_ROWS = 1000
const CURSOR = 'weft_moved'
const READS = { writes: false }

export interface Select {
  readonly sql: string
  /** Parameters of the client's statement that it has, in its own order. */
  readonly params: readonly number[]
}

export interface Receiver {
  add(row: readonly (string | null)[]): Promise<void>
  /** Writes what it has been given: nothing is under way on any shard when it is done. */
  settle(): Promise<void>
}

/**
 * A query of several shards whose rows are written to any of them: cursors, all of one snapshot, that read on while rows
 * are written in turn on the same connections. They see nothing of that, as the query of an INSERT does not.
 */
export async function moveSelected(
  ctx: ExecContext,
  exec: Execution,
  shards: readonly number[],
  { sql, params }: Select,
  receiver: Receiver,
): Promise<void> {
  await lockAhead(
    ctx,
    shards,
    sql,
    params.map((n) => exec.paramTypes[n - 1] ?? 0),
  )
  const underCut = needsCut(ctx)
  const declare = (line: ShardLine) => {
    const collector = new Collector()
    sendRewritten(
      ctx,
      line,
      exec,
      `DECLARE ${CURSOR} NO SCROLL CURSOR FOR ${sql}`,
      params,
      collector,
      [],
      underCut,
    )
    return collector.ended
  }
  await (underCut ? readOnShards(ctx, shards, declare) : onShards(ctx, shards, declare))
  const lines = shards.map((shard) => ctx.line(shard))
  for (let open = lines; open.length > 0; ) open = await round(ctx, open, receiver)
  await settleAll(lines.map((line) => queryShard(ctx, line, `CLOSE ${CURSOR}`, [], READS)))
}

/** The lines that have more. */
async function round(ctx: ExecContext, open: readonly ShardLine[], receiver: Receiver): Promise<ShardLine[]> {
  const fetches = open.map((line) => queryShard(ctx, line, `FETCH ${ROUND_ROWS} FROM ${CURSOR}`, [], READS))
  const fetched = await settleAll(fetches)
  for (const { rows } of fetched) {
    for (const row of rows) await receiver.add(row.map((value) => value?.toString('utf8') ?? null))
  }
  await receiver.settle()
  return open.filter((_, i) => fetched[i]!.rows.length === ROUND_ROWS)
}
