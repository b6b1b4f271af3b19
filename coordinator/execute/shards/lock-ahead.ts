import { describe, parse, SYNC } from '../../../protocol/wire/frontend-messages.ts'
import type { ExecContext } from '../context.ts'
import { onShards } from './on-shards.ts'
import { Collector } from './replies.ts'
import { sendPayload } from './send.ts'

/**
 * Locks the tables of a query on several shards, in the running transaction, without running it. COPY locks them only
 * as it runs, and while commits are held for it nothing is to be waited for.
 */
export async function lockAhead(
  ctx: ExecContext,
  shards: readonly number[],
  query: string,
  types: readonly number[] = [],
): Promise<void> {
  const payload = Buffer.concat([parse('', query, types), describe('S', ''), SYNC])
  await onShards(ctx, shards, (line) => {
    const collector = new Collector()
    sendPayload(ctx, line, payload, { writes: false }, collector)
    return collector.ended
  })
}
