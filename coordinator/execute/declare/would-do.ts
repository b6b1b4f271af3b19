import { type ExecContext, HOME } from '../context.ts'
import { endOfWrite, simpleQuery } from '../shards/send.ts'

const DONE = 'WEFT1'
const TAKE_BACK = `DO $weft$BEGIN RAISE EXCEPTION 'done' USING ERRCODE = '${DONE}'; END$weft$`

/** Runs a statement on the home shard, outside a transaction, and takes it back; says and rejects what it would. */
export async function wouldDo(ctx: ExecContext, sql: string): Promise<void> {
  await ctx.admit()
  const line = ctx.line(HOME)
  // One message is one transaction; the end of the text may be a comment.
  const run = simpleQuery(ctx, line, `${sql}\n;${TAKE_BACK}`, { writes: false, looks: false })
  const { error, asides } = await endOfWrite(ctx, line, run)
  for (const aside of asides) ctx.out.aside(aside)
  if (error !== undefined && error.code !== DONE) throw error
}
