import { randomUUID } from 'node:crypto'
import { weftError } from '../../errors/catalog.ts'
import { ANY_MAP_VERSION } from '../../protocol/agent-link.ts'
import { type ExecContext, HOME } from './context.ts'
import { queryShard } from './send.ts'

/**
 * What runs from here on does not depend on the map: Weft's own looks and commits, or the rest of a statement whose first
 * part holds the locks that keep its objects as they were planned. Agents never refuse it as stale.
 */
export function needsNoMap(ctx: ExecContext): void {
  ctx.planVersion = ANY_MAP_VERSION
}

/** A change of the shard map on its way to its commit. */
export interface MapFence {
  readonly token: string
  readonly version: number
}

/**
 * Raises the map version inside the transaction, then waits at every agent until nothing planned on the old map runs.
 * Raising locks the version row: changes of the map queue up here, one at a time.
 */
export async function fenceMap(ctx: ExecContext): Promise<MapFence> {
  const home = ctx.line(HOME)
  const answer = await queryShard(ctx, home, 'SELECT weft.bump_map_version()', [], { writes: true })
  const version = Number(answer.rows[0]?.[0]?.toString())
  const fence = { token: randomUUID(), version }
  const { links, limits } = ctx.node
  const results = await Promise.allSettled(
    links.map((link) =>
      link.control({
        kind: 'fence',
        token: fence.token,
        version,
        sessions: ctx.tx.joined.filter((line) => line.shard === link.shard).map(() => ctx.sessionId),
        timeoutMs: limits.fenceTimeoutMs,
      }),
    ),
  )
  const failed = results.findIndex((r) => r.status === 'rejected')
  if (failed < 0) return fence
  await unfenceMap(ctx, fence, false)
  const reason = (results[failed] as PromiseRejectedResult).reason as Error
  throw weftError(
    'shard_unreachable',
    { shard: failed, why: `it could not be fenced: ${reason.message}` },
    reason,
  )
}

/** Lets statements go on: refused as stale when the change was committed. An agent that is away learns it later. */
export async function unfenceMap(ctx: ExecContext, fence: MapFence, committed: boolean): Promise<void> {
  const request = { kind: 'unfence', token: fence.token, committed } as const
  await Promise.allSettled(ctx.node.links.map((link) => link.control(request)))
}
