import type { PendingCut } from '../../cuts/cut-driver.ts'
import type { ExecContext } from '../context.ts'
import type { ShardLine } from './shard-line.ts'

/**
 * One statement's way to its cut: its execs get ready on all their shards, the cut is taken, they run. When one of them
 * ends before, or there is no cut to be had, the others are called off.
 */
export class CutWait {
  /** That of the cut, when it was taken. */
  ts = 0n
  /** Why there was no cut. */
  error: Error | undefined
  /** The line whose exec ended before its time. */
  culprit: ShardLine | undefined
  private readonly ctx: ExecContext
  private readonly above: bigint
  private readonly lines: readonly ShardLine[]
  private readonly notReady: Set<ShardLine>
  private pending: PendingCut | undefined

  constructor(ctx: ExecContext, lines: readonly ShardLine[]) {
    this.ctx = ctx
    this.above = ctx.causal.token
    this.lines = lines
    this.notReady = new Set(lines)
    for (const line of lines) line.cutWait = this
  }

  ready(line: ShardLine): void {
    this.notReady.delete(line)
    if (this.notReady.size > 0 || this.pending !== undefined || this.culprit !== undefined) return
    const shards = this.lines.map(({ shard }) => shard)
    const { node, sessionId, tracing } = this.ctx
    const pending = node.cuts.join({ sessionId, shards, above: this.above })
    this.pending = pending
    tracing?.timed('cut', () => pending.taken)
    pending.taken.then(
      (ts) => {
        this.ts = ts
        this.over()
      },
      (error: Error) => {
        this.error = error
        this.callOff()
      },
    )
  }

  /** An exec ended that had not been told to run. */
  ended(line: ShardLine): void {
    if (this.culprit !== undefined || this.error !== undefined) return
    this.culprit = line
    this.pending?.leave()
    this.callOff()
  }

  private callOff(): void {
    this.over()
    for (const line of this.lines) if (line.active) line.session.cancel()
  }

  private over(): void {
    for (const line of this.lines) if (line.cutWait === this) line.cutWait = undefined
  }
}
