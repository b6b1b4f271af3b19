import type { PgError } from '../../errors/pg-error.ts'
import type { ShardLine } from '../execute/shards/shard-line.ts'

/** A session's lines to the shards, each opened when it is first used. */
export class ShardLines {
  private readonly open: (shard: number) => ShardLine
  private readonly lines: (ShardLine | undefined)[]

  constructor(shardCount: number, open: (shard: number) => ShardLine) {
    this.lines = new Array(shardCount)
    this.open = open
  }

  get(shard: number): ShardLine {
    const known = this.lines[shard]
    if (known !== undefined) return known
    const line = this.open(shard)
    this.lines[shard] = line
    return line
  }

  /** 0 unless a statement waits on several shards for its snapshot; else a number that changes when it goes on. */
  waitingForCut(): number {
    let waiting = 0
    let execs = 0
    for (const line of this.lines) {
      if (line?.cutWait === undefined) continue
      waiting++
      execs += line.execs
    }
    return waiting < 2 ? 0 : execs
  }

  /** Of each shard, how often something was asked of it. */
  get execs(): readonly number[] {
    return this.lines.map((line) => line?.execs ?? 0)
  }

  /** Cancels what runs. */
  cancel(): void {
    for (const line of this.lines) if (line?.active) line.session.cancel()
  }

  /** Cancels what runs, `error` is the answer; false: nothing does. */
  endAsVictim(error: PgError): boolean {
    const running = this.lines.filter((line) => line?.active)
    for (const line of running) line?.endAsVictim(error)
    return running.length > 0
  }

  close(): void {
    for (const line of this.lines) {
      line?.abandon()
      line?.session.close()
    }
  }
}
