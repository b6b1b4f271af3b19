import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { type ExecContext, HOME } from '../context.ts'
import { schemaChanged } from '../declare/schema-changed.ts'
import { queryShard, simpleQuery, unknownIfSent } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { fireDeferred } from './deferred-triggers.ts'
import { fenceMap, unfenceMap } from './map-change.ts'
import { CANCELED } from './victim.ts'

const READ_XID = 'SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL'

/**
 * Commits the session's transaction on every shard that takes part, and leaves the session without one. A rejection
 * is the client's answer to COMMIT; the transaction is over then too.
 */
export async function commitTransaction(ctx: ExecContext): Promise<void> {
  const { tx } = ctx
  if (tx.failed) {
    await rollbackTransaction(ctx)
    throw weftError('in_failed_transaction', {})
  }
  tx.beginsToEnd()
  const { defaultsChanged, ranDdl } = tx
  let version: number | undefined
  try {
    await fireDeferred(ctx)
    await sendNotifications(ctx)
    if (tx.mapChanged) version = await commitMapChange(ctx)
    else await commitShards(ctx)
  } catch (error) {
    await rollbackRemaining(ctx)
    finish(ctx, 'rollback')
    throw error
  } finally {
    if (defaultsChanged) await renewBackends(ctx)
    if (ranDdl) await schemaChanged(ctx)
  }
  finish(ctx, 'commit')
  // Agents refuse what is planned on the map before it, so a node that cannot read the new one learns of it then.
  if (version !== undefined) await afterwards(ctx, 'the catalog was not read', reload(ctx, version))
  await afterwards(ctx, 'notifications were not sent', sendLateNotifications(ctx))
}

const reload = (ctx: ExecContext, version: number): Promise<unknown> => ctx.node.catalogs.reload(version)

/** What follows a commit cannot undo it: whatever becomes of that, the client is told that it has committed. */
async function afterwards(ctx: ExecContext, failure: string, work: Promise<unknown>): Promise<void> {
  await work.catch((err: unknown) => ctx.node.log.warn({ err }, `after a commit: ${failure}`))
}

/** New sessions are to begin with the new defaults, on every shard. An agent that is away starts its backends anew. */
async function renewBackends(ctx: ExecContext): Promise<void> {
  await Promise.allSettled(ctx.node.links.map((link) => link.control({ kind: 'renew' })))
}

/** Ends the transaction everywhere without a trace. Never rejects: what cannot be reached rolls back by itself. */
export async function rollbackTransaction(ctx: ExecContext): Promise<void> {
  ctx.state.notifications.length = 0
  ctx.tx.beginsToEnd()
  await rollbackRemaining(ctx)
  finish(ctx, 'rollback')
}

/**
 * After an error, in a transaction block without savepoints: as in Postgres nothing of it is left, and no lock, long
 * before the client says ROLLBACK. Never rejects.
 */
export async function abortShards(ctx: ExecContext, lines: readonly ShardLine[]): Promise<void> {
  await Promise.allSettled(
    lines.map(async (line) => {
      await endOn(ctx, line, 'ROLLBACK')
      ctx.tx.leave(line)
    }),
  )
}

function finish(ctx: ExecContext, how: 'commit' | 'rollback'): void {
  if (how === 'commit') ctx.settings.commit()
  else ctx.settings.rollback()
  if (ctx.tx.ranDdl) ctx.node.schema.epoch++
  ctx.tx.end()
  if (ctx.tx.hasTicket) {
    ctx.tx.hasTicket = false
    ctx.node.tickets.release()
  }
}

async function rollbackRemaining(ctx: ExecContext): Promise<void> {
  const lines = ctx.tx.joined.filter((line) => line.joined && !line.active && line.session.holdsBackend)
  await Promise.allSettled(lines.map((line) => endOn(ctx, line, 'ROLLBACK')))
}

/** The version of the map from then on. */
async function commitMapChange(ctx: ExecContext): Promise<number> {
  const fence = await fenceMap(ctx)
  let committed = false
  try {
    await commitShards(ctx)
    committed = true
  } finally {
    await unfenceMap(ctx, fence, committed)
  }
  return fence.version
}

async function commitShards(ctx: ExecContext): Promise<void> {
  const { tx } = ctx
  const lines = tx.hasSnapshot ? tx.joined.filter((line) => line.touched) : [...tx.joined]
  // Only the snapshot was opened there.
  const idle = tx.joined.filter((line) => !lines.includes(line))
  const left = Promise.allSettled(idle.map((line) => endOn(ctx, line, 'ROLLBACK')))
  try {
    await commitTouched(ctx, lines)
  } finally {
    await left
  }
}

async function commitTouched(ctx: ExecContext, lines: readonly ShardLine[]): Promise<void> {
  if (lines.length === 0) return
  if (lines.length === 1) return endOn(ctx, lines[0]!, 'COMMIT')
  if (ctx.tx.modes.isolation === 'serializable') return commitSerializable(ctx, lines)
  let writers = lines.filter((line) => line.wrote)
  let readers = lines.filter((line) => !line.wrote)
  if (writers.length < 2) {
    const written = await settleAll(readers.map((line) => hasXid(ctx, line)))
    writers = writers.concat(readers.filter((_, i) => written[i]))
    readers = readers.filter((_, i) => !written[i])
  }
  if (writers.length > 1) return commitAcross(ctx, writers, readers)
  await endReaders(ctx, readers)
  for (const line of writers) await endOn(ctx, line, 'COMMIT')
}

/**
 * Nothing was written there: what becomes of these commits is seen by nobody. But where a cursor WITH HOLD was declared
 * its rows are kept now, by its query, which may fail: then nothing is to be committed.
 */
async function endReaders(ctx: ExecContext, readers: readonly ShardLine[]): Promise<void> {
  const ends = await Promise.allSettled(readers.map((line) => endOn(ctx, line, 'COMMIT')))
  const keep = new Set([...ctx.state.cursors.values()].flatMap(({ holds, lines }) => (holds ? lines : [])))
  for (const [i, end] of ends.entries()) {
    if (end.status === 'rejected' && keep.has(readers[i]!)) throw end.reason
  }
}

/**
 * One that wrote anything takes part on every shard that it so much as read: the probe must show there (DESIGN 6). One
 * that only read has to hear what each shard has to say against it.
 */
async function commitSerializable(ctx: ExecContext, lines: readonly ShardLine[]): Promise<void> {
  let wrote = lines.some((line) => line.wrote)
  if (!wrote) wrote = (await settleAll(lines.map((line) => hasXid(ctx, line)))).includes(true)
  if (wrote) return commitAcross(ctx, lines, [], true)
  await settleAll(lines.map((line) => endOn(ctx, line, 'COMMIT')))
}

/** A shard that only read, as far as the plans could tell: a function or trigger may have written all the same. */
async function hasXid(ctx: ExecContext, line: ShardLine): Promise<boolean> {
  const answer = await queryShard(ctx, line, READ_XID, [], { writes: false })
  return answer.rows[0]?.[0]?.toString() === 't'
}

async function commitAcross(
  ctx: ExecContext,
  writers: readonly ShardLine[],
  readers: readonly ShardLine[],
  probe = false,
): Promise<void> {
  const { tx, node, tracing } = ctx
  let isEarly = false
  tx.committing = [...writers, ...readers]
  const result = await node.commits.commit({
    probe,
    mayBeLast: tx.isolation === 'read committed' && tx.modes.readOnly !== true,
    seen: ctx.causal.token,
    moves: tx.movesRows,
    allPrepared: () => {
      isEarly = leavesEarly(ctx)
    },
    ...(tracing && { phaseEnded: tracing.phaseEnded.bind(tracing) }),
    participants: writers.map((line) => ({ shard: line.shard, session: line.session })),
    readers: readers.map((line) => ({
      shard: line.shard,
      session: line.session,
      release: async () => {
        if (await hasXid(ctx, line)) return true
        await endOn(ctx, line, 'COMMIT')
        return false
      },
    })),
  })
  if (isEarly) node.tickets.earlyEnded()
  tx.committing = []
  for (const line of [...writers, ...readers]) line.joined = false
  if (result.outcome === 'committed') {
    // A shard may not have carried it out yet: who comes from here waits for it there.
    ctx.causal.adopt(result.commitTs)
    return
  }
  throw result.error.code === CANCELED ? (tx.victim ?? result.error) : result.error
}

/** What is prepared everywhere needs no backend: if it holds none, the next transaction has its turn. */
function leavesEarly({ tx, node }: ExecContext): boolean {
  if (!tx.hasTicket || tx.joined.some((line) => line.session.holdsBackend)) return false
  if (!node.tickets.releaseEarly()) return false
  tx.hasTicket = false
  return true
}

/** COMMIT or ROLLBACK on one shard. */
export async function endOn(ctx: ExecContext, line: ShardLine, verb: 'COMMIT' | 'ROLLBACK'): Promise<void> {
  const options = { writes: false, taints: ctx.tx.tainted }
  const ended = simpleQuery(ctx, line, verb, options, verb)
  const end = await (verb === 'COMMIT' && line.wrote ? unknownIfSent(ended) : ended)
  line.joined = false
  // What deferred triggers have to say.
  if (verb === 'COMMIT') for (const aside of end.asides) if (isNotice(aside)) ctx.out.aside(aside)
  if (end.error !== undefined) throw end.error
  if (verb === 'COMMIT' && end.tag === 'ROLLBACK') {
    throw new PgError({ code: '40000', message: `shard ${line.shard} rolled the transaction back` })
  }
}

const isNotice = (aside: Buffer): boolean => aside[0] === MSG.noticeResponse

/** NOTIFY commits with the home shard's part when that is the only one; PREPARE TRANSACTION refuses it otherwise. */
async function sendNotifications(ctx: ExecContext): Promise<void> {
  const { notifications } = ctx.state
  if (notifications.length === 0 || ctx.tx.joined.length > 1) return
  if (ctx.tx.joined.length === 1 && ctx.tx.joined[0]!.shard !== HOME) return
  const line = ctx.line(HOME)
  for (const sql of notifications.splice(0)) {
    const end = await simpleQuery(ctx, line, sql, { writes: true })
    if (end.error !== undefined) throw end.error
  }
}

/** After a commit over several shards: the decision stands, now the listeners may hear of it. */
async function sendLateNotifications(ctx: ExecContext): Promise<void> {
  const pending = ctx.state.notifications.splice(0)
  if (pending.length === 0) return
  const { error } = await simpleQuery(ctx, ctx.line(HOME), pending.join(';'), { writes: true })
  if (error !== undefined) throw error
}
