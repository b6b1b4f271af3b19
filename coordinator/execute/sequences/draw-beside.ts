import { SEQUENCES } from '../../../protocol/agent-link.ts'
import type { TextRow } from '../../catalog/internal-connection.ts'
import { sequenceBlockOf } from '../../settings/several-shards.ts'
import { type ExecContext, HOME } from '../context.ts'
import { DRAWS } from '../transaction/drawn-values.ts'

/**
 * Values of defaults that draw from sequences and do nothing else, beside the session's transaction; as `DrawnValues` notes
 * them. Undefined: the session is to draw by itself.
 */
export async function drawBeside(
  ctx: ExecContext,
  expressions: readonly string[],
  rows: number,
): Promise<readonly TextRow[] | undefined> {
  const sequences = expressions.flatMap((expression) => {
    const name = DRAWS.exec(expression)?.[1]
    return name === undefined ? [] : [{ name, isIdentity: expression.startsWith('weft.') }]
  })
  if (sequences.length < expressions.length || mustDrawItself(ctx, expressions)) return undefined
  const who = { identity: ctx.identity, settings: ctx.settings.identity() }
  const drawn = ctx.node.draws.draw(who, sequences, rows, sequenceBlockOf(ctx.settings))
  // Whatever the reason, the session hears it from Postgres when it draws by itself.
  const texts = drawn instanceof Promise ? await ctx.untilCancelled(drawn.catch(() => undefined)) : drawn
  if (texts !== undefined) ctx.state.drawn.note(expressions, texts)
  return texts
}

/**
 * What the session has drawn is in a backend of its own; or its transaction may have made or changed the sequence, which
 * nobody else sees then, or has to wait for. One that may not write is to draw nothing.
 */
function mustDrawItself({ tx, state }: ExecContext, expressions: readonly string[]): boolean {
  if (state.drawn.maskFor(expressions) !== SEQUENCES.uses) return true
  if (tx.isOpen && tx.modes.readOnly === true) return true
  return (
    tx.isOpen && (tx.ranDdl || tx.mapChanged || tx.joined.some(({ shard, wrote }) => shard === HOME && wrote))
  )
}
