import type { ColumnDescription } from '../../../protocol/wire/backend-messages.ts'
import { close, execute, SYNC } from '../../../protocol/wire/frontend-messages.ts'
import type { ExecContext, Execution } from '../context.ts'
import type { CutWait } from '../shards/cut-wait.ts'
import { mustHaveMissedNothing, readOnShards } from '../shards/on-shards.ts'
import { ForwardState, RowForwarder, tagWithCount } from '../shards/replies.ts'
import { queryShard, sendAsWritten, sendPayload, settled } from '../shards/send.ts'
import type { ShardLine } from '../shards/shard-line.ts'
import { passed, STARTING } from './fetch-walk.ts'
import type { KeptRows } from './kept-rows.ts'

/**
 * A portal that backends have, under its name: of a Bind whose rows are taken in parts, or later, or of a cursor. To
 * Postgres they are the same. Over several shards its rows are those of the first, then those of the next.
 */
export class OpenPortal {
  readonly name: string
  /** That of `SessionState.portalsMade` when it was made. */
  readonly made: number
  /** A cursor WITH HOLD outlives its transaction. */
  readonly holds: boolean
  /** Its rows, when no backend has the portal. */
  readonly kept: KeptRows | undefined
  lines: readonly ShardLine[]
  /** Of which tables' columns its own are, when its backend has them from elsewhere. */
  origins: readonly ColumnDescription[] | undefined
  /** Its statement as the client wrote it, when its backend has another one. */
  written: string | undefined
  /** FETCH gives its rows in binary, where nobody says otherwise. */
  isBinary = false
  /** Whose rows come next. */
  at = 0
  /** Of one over several shards that locks its rows: that of its snapshot, if it has one. */
  cut: CutWait | undefined
  /** Over several shards. */
  readonly position = { ...STARTING }

  constructor(
    name: string,
    made: number,
    {
      lines = [],
      holds = false,
      kept,
    }: { lines?: readonly ShardLine[]; holds?: boolean; kept?: KeptRows } = {},
  ) {
    this.name = name
    this.made = made
    this.lines = lines
    this.holds = holds
    this.kept = kept
  }

  /** One backend has it, with a text of Weft's in place of what was `written`. */
  isOn(line: ShardLine, written: string, origins?: readonly ColumnDescription[]): void {
    this.lines = [line]
    this.written = written
    this.origins = origins
  }

  get isOpen(): boolean {
    return this.lines.length > 0
  }

  get isOnSeveral(): boolean {
    return this.lines.length > 1
  }
}

/** Binds a SELECT on several shards, under one snapshot, as far as its transaction has none. No rows yet. */
export async function bindOnSeveral(
  ctx: ExecContext,
  exec: Execution,
  portal: OpenPortal,
  shards: readonly number[],
): Promise<void> {
  await ctx.needTransaction()
  const opening = { ...exec, portal, bindsOnly: true }
  const state = new ForwardState(false)
  await readOnShards(ctx, shards, (line) => {
    const consumer = new RowForwarder(ctx.out, state)
    sendAsWritten(ctx, line, opening, consumer)
    return consumer.ended
  })
  // The answer to the client's Bind: under a cut the agents leave out Postgres' own.
  ctx.out.releaseOwed()
  portal.lines = shards.map((shard) => ctx.line(shard))
}

/** The next rows of a portal: `exec.maxRows` of them, or all that are left. */
export async function fetchRows(ctx: ExecContext, exec: Execution, portal: OpenPortal): Promise<void> {
  const { maxRows, plan } = exec
  ctx.out.kept = undefined
  await ctx.admit()
  for (let count = 0; ; portal.at++) {
    const line = portal.lines[portal.at]!
    const forwarder = new RowForwarder(ctx.out, new ForwardState(true))
    const asked = maxRows === 0 ? Number.POSITIVE_INFINITY : maxRows - count
    const payload = Buffer.concat([execute(portal.name, maxRows === 0 ? 0 : asked), SYNC])
    sendPayload(ctx, line, payload, { writes: plan.access === 'write' }, forwarder)
    const end = await settled(ctx, line, forwarder.ended)
    const given = forwarder.suspended ? asked : (end.count ?? 0)
    const isLast = portal.at === portal.lines.length - 1
    passed(portal.position, given, isLast ? asked : given)
    count += given
    if (!forwarder.suspended && !isLast) continue
    if (portal.cut !== undefined) await mustHaveMissedNothing(portal.lines, portal.cut.ts)
    if (forwarder.suspended) return
    return ctx.out.hold(tagWithCount(end.tag, end.count === null ? null : count))
  }
}

/** Closes it on the backends that still have it. */
export async function closeOnShards(
  ctx: ExecContext,
  name: string,
  lines: readonly ShardLine[],
): Promise<void> {
  const payload = Buffer.concat([close('P', name), SYNC])
  for (const line of lines) {
    if (!line.session.holdsBackend) continue
    const forwarder = new RowForwarder(ctx.out, new ForwardState(false))
    sendPayload(ctx, line, payload, { writes: false, looks: false }, forwarder)
    await settled(ctx, line, forwarder.ended)
  }
}

/** Backends of the session in which code may have opened a cursor that nobody here has heard of. */
export function linesWithCursors({ tx, state }: ExecContext): readonly ShardLine[] {
  const kept = [...state.kept].filter((line) => !line.joined && line.session.holdsBackend)
  return [...tx.joined, ...kept]
}

/** A cursor by its name: functions open them too. */
export async function findCursor(ctx: ExecContext, name: string): Promise<OpenPortal | undefined> {
  const known = ctx.state.cursors.get(name)
  if (known !== undefined || ctx.tx.failed) return known
  for (const line of linesWithCursors(ctx)) {
    const found = await queryShard(ctx, line, HAS_CURSOR, [name], { writes: false, looks: false })
    if (found.rows.length > 0) return new OpenPortal(name, 0, { lines: [line] })
  }
  return undefined
}

const HAS_CURSOR = 'SELECT 1 FROM pg_catalog.pg_cursors WHERE name = $1'
