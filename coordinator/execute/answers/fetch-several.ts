import { commandComplete } from '../../../protocol/wire/backend-messages.ts'
import type { CursorPlan, FetchStep } from '../../../sql/plan/plan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { quoteName } from '../quote.ts'
import { mustHaveMissedNothing } from '../shards/on-shards.ts'
import { ForwardState, RowForwarder } from '../shards/replies.ts'
import { sendRewritten, settled } from '../shards/send.ts'
import { type Rows, walk } from './fetch-walk.ts'
import type { OpenPortal } from './open-portal.ts'

/**
 * FETCH and MOVE of a cursor over several shards, whose rows are those of the first, then those of the next: all shards
 * ahead of the one that it stands on are at their end, all behind it at their start. Where a shard does not go back it
 * says so, as Postgres does.
 */
export async function fetchOnSeveral(
  ctx: ExecContext,
  exec: Execution,
  plan: CursorPlan,
  step: FetchStep,
  cursor: OpenPortal,
): Promise<void> {
  await ctx.admit()
  const rows = new RowsInTurn(ctx, exec, cursor)
  const count = await walk(cursor.position, rows, step, plan.tag === 'FETCH')
  if (cursor.cut !== undefined) await mustHaveMissedNothing(cursor.lines, cursor.cut.ts)
  ctx.out.hold(commandComplete(`${plan.tag} ${count}`))
}

class RowsInTurn implements Rows {
  private readonly ctx: ExecContext
  private readonly exec: Execution
  private readonly cursor: OpenPortal
  private readonly state: ForwardState

  constructor(ctx: ExecContext, exec: Execution, cursor: OpenPortal) {
    this.ctx = ctx
    this.exec = exec
    this.cursor = cursor
    this.state = new ForwardState(exec.wantsRowDescription)
    this.state.describesLate = true
  }

  async forward(count: number, speaks: boolean): Promise<number> {
    const { cursor } = this
    for (let found = 0; ; cursor.at++) {
      found += await this.run('FORWARD', count - found, speaks)
      if (found >= count || cursor.at === cursor.lines.length - 1) return found
    }
  }

  async backward(count: number, speaks: boolean): Promise<number> {
    const { cursor } = this
    for (let found = 0; ; cursor.at--) {
      found += await this.run('BACKWARD', count - found, speaks)
      if (found >= count || cursor.at === 0) return found
    }
  }

  async rewind(): Promise<void> {
    const { cursor } = this
    for (; ; cursor.at--) {
      await this.send('MOVE ABSOLUTE 0', false)
      if (cursor.at === 0) return
    }
  }

  private async run(direction: 'FORWARD' | 'BACKWARD', count: number, speaks: boolean): Promise<number> {
    if (count === 0 && !speaks) return 0
    const much = count === Number.POSITIVE_INFINITY ? 'ALL' : count
    return this.send(`${speaks ? 'FETCH' : 'MOVE'} ${direction} ${much}`, speaks)
  }

  private async send(words: string, speaks: boolean): Promise<number> {
    const { ctx, exec, cursor } = this
    const line = cursor.lines[cursor.at]!
    const forwarder = new RowForwarder(ctx.out, this.state, speaks)
    const formats = exec.bind?.resultFormats ?? (cursor.isBinary ? BINARY : [])
    sendRewritten(ctx, line, exec, `${words} FROM ${quoteName(cursor.name)}`, [], forwarder, formats)
    return (await settled(ctx, line, forwarder.ended)).count ?? 0
  }
}

const BINARY = [1]
