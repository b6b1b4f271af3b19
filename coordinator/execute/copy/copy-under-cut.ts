import type { CopyPlan } from '../../../sql/plan/plan.ts'
import type { ExecContext } from '../context.ts'
import { lockAhead } from '../shards/lock-ahead.ts'
import { onShardsUnderCut } from '../shards/on-shards.ts'
import { ownPayload, sendPayload } from '../shards/send.ts'
import { CopyOutConsumer } from '../shards/session-runner.ts'
import type { CopyFromShards } from './copy-out.ts'
import { copyColumns, copyTable } from './copy-statement.ts'

/** COPY TO on several shards, all of them as of one cut: it begins on all at once, and they speak in turn. */
export function copyUnderCut(ctx: ExecContext, plan: CopyPlan): CopyFromShards {
  return async (sqls, onData) => {
    const shards = sqls.map((_, shard) => shard)
    await lockAhead(ctx, shards, `SELECT ${copyColumns(plan)} FROM ${copyTable(plan)}`)
    const turns = new Turns(shards.length)
    const lines = shards.map((shard) => ctx.line(shard))
    const ends = await onShardsUnderCut(ctx, lines, (line, shard) => {
      const copy = new CopyOutConsumer((data) => turns.in(shard, () => onData(shard, data)))
      sendPayload(ctx, line, ownPayload(sqls[shard]!, []), { writes: false, begins: true }, copy)
      copy.ended.then(
        (end) => turns.over(shard, end.error !== undefined),
        () => turns.over(shard, true),
      )
      return copy.ended
    })
    return ends.map(({ tag }) => tag)
  }
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
