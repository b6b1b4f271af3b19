import { randomUUID } from 'node:crypto'
import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import { ANY_MAP_VERSION, type ControlRequest } from '../../../protocol/agent-link.ts'
import { type ExecContext, HOME } from '../context.ts'
import { queryShard } from '../shards/send.ts'

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

/** How long newcomers are held for older statements to end. */
const HOLD_MS = 300
const NOT_ENDED = '55P03'

/**
 * Raises the map version inside the transaction, then waits at every agent until nothing planned on the old map runs.
 * Raising locks the version row: changes of the map queue up here, one at a time. For what runs long is waited with every
 * agent open; only when that has ended are newcomers held again. If it does not end, the change fails, and nobody else.
 */
export async function fenceMap(ctx: ExecContext): Promise<MapFence> {
  const home = ctx.line(HOME)
  const answer = await queryShard(ctx, home, 'SELECT weft.bump_map_version()', [], { writes: true })
  const version = Number(answer.rows[0]?.[0]?.toString())
  const fence = { token: randomUUID(), version }
  const timeoutMs = ctx.node.limits.fenceTimeoutMs
  const giveUpAt = performance.now() + timeoutMs
  for (;;) {
    const why = await atEveryAgent(ctx, { ...fence, kind: 'fence', timeoutMs, holdMs: HOLD_MS })
    if (why === undefined) return fence
    await unfenceMap(ctx, fence, false)
    const leftMs = Math.max(giveUpAt - performance.now(), 0)
    if (why.code !== NOT_ENDED || leftMs === 0) throw why
    const stuck = await atEveryAgent(ctx, { kind: 'drain', version, timeoutMs: leftMs })
    if (stuck !== undefined) throw stuck
  }
}

type Unnamed<T> = T extends unknown ? Omit<T, 'sessions'> : never
type FenceRequest = Unnamed<Extract<ControlRequest, { kind: 'fence' | 'drain' }>>

/** Answers why an agent did not do it, in the client's words. */
async function atEveryAgent(ctx: ExecContext, request: FenceRequest): Promise<PgError | undefined> {
  const { links } = ctx.node
  const sessionsOn = (shard: number) =>
    ctx.tx.joined.filter((line) => line.shard === shard).map(() => ctx.sessionId)
  const results = await Promise.allSettled(
    links.map((link) => link.control({ ...request, sessions: sessionsOn(link.shard) })),
  )
  const reasons = results.map((result) =>
    result.status === 'rejected' ? (result.reason as Error) : undefined,
  )
  const away = reasons.findIndex((reason) => reason !== undefined && !isNotEnded(reason))
  if (away < 0) return reasons.find(isNotEnded)
  const why = `it could not be fenced: ${reasons[away]!.message}`
  return weftError('shard_unreachable', { shard: links[away]!.shard, why }, reasons[away])
}

function isNotEnded(error: Error | undefined): error is PgError {
  return error instanceof PgError && error.code === NOT_ENDED
}

/** Lets statements go on: refused as stale when the change was committed. An agent that is away learns it later. */
export async function unfenceMap(ctx: ExecContext, fence: MapFence, committed: boolean): Promise<void> {
  const request = { kind: 'unfence', token: fence.token, committed } as const
  await Promise.allSettled(ctx.node.links.map((link) => link.control(request)))
}
