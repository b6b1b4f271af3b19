import type { CopyPlan } from '../../../sql/plan/copy-plan.ts'
import type { ExecContext } from '../context.ts'
import { lockAhead } from '../shards/lock-ahead.ts'
import { onShardsUnderCut } from '../shards/on-shards.ts'
import { ownPayload, sendPayload } from '../shards/send.ts'
import { CopyOutConsumer } from '../shards/session-runner.ts'
import type { CopyFromShards } from './copy-out.ts'
import { copyColumns, copyTable } from './copy-statement.ts'

/** COPY TO on several shards, all of them as of one cut: it begins on all at once, and they speak in turn. */
export function copyUnderCut(ctx: ExecContext, plan: CopyPlan): CopyFromShards {
  return (sqls, onData) => {
    const shards = sqls.map((_, shard) => shard)
    return copiesUnderCut(ctx, `SELECT ${copyColumns(plan)} FROM ${copyTable(plan)}`, shards, sqls, onData)
  }
}

/** The same of some shards, of which each has its text. `query`: what is copied, for its locks. */
export async function copiesUnderCut(
  ctx: ExecContext,
  query: string,
  shards: readonly number[],
  sqls: readonly string[],
  onData: (shard: number, data: Buffer) => void | Promise<void>,
): Promise<readonly string[]> {
  await lockAhead(ctx, shards, query)
  const turns = new Turns(shards.length)
  const lines = shards.map((shard) => ctx.line(shard))
  const ends = await onShardsUnderCut(ctx, lines, (line, i) => {
    const copy = new CopyOutConsumer((data) => turns.in(i, () => onData(line.shard, data)))
    sendPayload(ctx, line, ownPayload(sqls[i]!, []), { writes: false, begins: true }, copy)
    copy.ended.then(
      (end) => turns.over(i, end.error !== undefined),
      () => turns.over(i, true),
    )
    return copy.ended
  })
  return ends.map(({ tag }) => tag)
}

/** One after the other, in order; after an error nobody speaks any more. */
class Turns {
  private readonly isOver: boolean[]
  private readonly waiting: (() => void)[] = []
  private turn = 0
  private hasFailed = false

  constructor(count: number) {
    this.isOver = Array.from({ length: count }, () => false)
  }

  in(place: number, say: () => void | Promise<void>): void | Promise<void> {
    if (this.hasFailed) return
    if (place === this.turn) return say()
    return new Promise<void>((resolve) => {
      this.waiting[place] = resolve
    }).then(() => (this.hasFailed ? undefined : say()))
  }

  over(place: number, failed: boolean): void {
    this.hasFailed ||= failed
    this.isOver[place] = true
    while (this.isOver[this.turn] === true) this.turn++
    if (this.hasFailed) for (const resolve of this.waiting) resolve?.()
    else this.waiting[this.turn]?.()
  }
}
