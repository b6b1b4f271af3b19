import { weftError } from '../../../errors/catalog.ts'
import type { FirstStep, MovedInConflict } from '../../../sql/plan/first/first-step.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import type { ExecContext, Execution } from '../context.ts'
import { tagWithCount } from '../shards/replies.ts'
import { countIn, countInstead, instead } from './instead.ts'
import { mustBeMovable } from './movable.ts'

/**
 * INSERT … ON CONFLICT DO UPDATE that sets the shard key, of one row (docs/decisions/0060-what-conflicts-draw.md). The row
 * is inserted, or the one that is in its way is locked; that is then changed by an UPDATE.
 */
export async function runMovedInConflict(
  ctx: ExecContext,
  exec: Execution,
  { sql, rest }: FirstStep,
  moves: MovedInConflict,
): Promise<void> {
  await ctx.needTransaction()
  await ctx.admit()
  // What is wrong with the client's text is told as if it had run as it is.
  const asked = exec.asked ?? exec.text
  const { paramTypes, columns: origins } = await describedAtHome(ctx, asked, exec.paramTypes)
  await mustBeMovable(ctx, moves)
  const typed: Execution = { ...exec, paramTypes, asked, origins }
  ctx.state.trace?.doing('Inserts the row, or locks the one in its way')
  await instead(ctx, typed, rest, true)
  const inserted = ctx.out.takeHeld()
  if (inserted !== undefined && countIn(inserted) > 0) return ctx.out.hold(inserted)
  ctx.state.trace?.doing('Changes the row that is in the way')
  await instead(ctx, { ...typed, wantsRowDescription: false }, sql, true)
  const count = countIn(ctx.out.takeHeld())
  // Whatever it is that hides the row, it is locked for nothing.
  if (count === 0 && (await countInstead(ctx, typed, moves.isThere)) === 0)
    throw weftError('rows_changed', { verb: 'INSERT' })
  ctx.out.hold(tagWithCount('INSERT 0 0', count))
}
