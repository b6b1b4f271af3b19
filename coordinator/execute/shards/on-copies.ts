import { randomInt } from 'node:crypto'
import { begunBehind } from '../../../sql/plan/begun-text.ts'
import { type ExecContext, HOME, shardsBesideHome } from '../context.ts'
import { needsNoMap } from '../transaction/map-change.ts'
import { onShards, readOnShards } from './on-shards.ts'
import type { ExecEnd } from './replies.ts'
import { settleAll } from './settle-all.ts'
import type { ShardLine } from './shard-line.ts'

type Send<T> = (line: ShardLine, i: number) => Promise<T>

/**
 * Writes to the copies of a reference table: on home's first, where they meet all others that want its rows, and on the
 * others when that is through. So who waits for a row waits on home's copy, and rows are locked in one order on all of
 * them (docs/decisions/0026-copies-in-turn.md). `latch`: they all run under one cut; undefined: they need none.
 */
export async function onCopies<T extends ExecEnd>(
  ctx: ExecContext,
  latch: Latch | undefined,
  send: Send<T>,
): Promise<readonly T[]> {
  const others = shardsBesideHome(ctx.node.shardCount)
  if (latch === undefined) {
    const home = await onShards(ctx, [HOME], send)
    // A table's lock on home keeps it as it was planned.
    needsNoMap(ctx)
    return [...home, ...(await onShards(ctx, others, (line, i) => send(line, i + 1)))]
  }
  ctx.state.latch = latch
  try {
    await latch.shut()
    const inTurn: Send<T> = (line, i) => (i === 0 ? latch.goOnAfter(send(line, i)) : send(line, i))
    return await readOnShards(ctx, [HOME, ...others], inTurn, true)
  } finally {
    await latch.open()
    ctx.state.latch = undefined
  }
}

const KEY_MIN = 2 ** 16
const KEY_MAX = 2 ** 31

/**
 * Keeps a statement back on every shard but home, after it has begun there: it has the snapshot of its cut, and has asked
 * for no row.
 */
export class Latch {
  private readonly ctx: ExecContext
  private readonly key = randomInt(KEY_MIN, KEY_MAX)
  private opening: Promise<void> | undefined

  constructor(ctx: ExecContext) {
    this.ctx = ctx
  }

  /** By which the statement tells that it has begun, in place of the one on home. */
  get condition(): string {
    return begunBehind(this.key)
  }

  async shut(): Promise<void> {
    await settleAll(this.tell(true))
  }

  /** A shard that is not there has no latch either. */
  open(): Promise<void> {
    this.opening ??= Promise.allSettled(this.tell(false)).then(() => {})
    return this.opening
  }

  /** `home` is how it ends there; after a failure the others are not to run. */
  async goOnAfter<T extends ExecEnd>(home: Promise<T>): Promise<T> {
    let isGood = false
    try {
      const end = await home
      isGood = end.error === undefined
      return end
    } finally {
      if (!isGood) this.callOff()
      void this.open()
    }
  }

  private callOff(): void {
    for (const line of this.lines()) if (line.active) line.session.cancel()
  }

  private lines(): ShardLine[] {
    return shardsBesideHome(this.ctx.node.shardCount).map((shard) => this.ctx.line(shard))
  }

  private tell(shut: boolean): Promise<unknown>[] {
    const { links, shardCount } = this.ctx.node
    return shardsBesideHome(shardCount).map((shard) =>
      links[shard]!.control({ kind: 'latch', key: this.key, shut }),
    )
  }
}
