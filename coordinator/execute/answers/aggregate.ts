import { bind, describe, execute, parse, SYNC } from '../../../protocol/wire/frontend-messages.ts'
import type { AggregatePlan } from '../../../sql/plan/plan.ts'
import type { ExecContext, Execution } from '../context.ts'
import { preferredShard } from '../route.ts'
import { readOnShards } from '../shards/on-shards.ts'
import { type Collected, Collector, ForwardState, RowForwarder, tagWithCount } from '../shards/replies.ts'
import { queryShard, sendPayload, sendRewritten, settled } from '../shards/send.ts'

/** Type names of the partial values Weft's aggregates give; others are asked for. */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  16: 'boolean',
  17: 'bytea',
  20: 'bigint',
  21: 'smallint',
  23: 'integer',
  25: 'text',
  700: 'real',
  701: 'double precision',
  1042: 'bpchar',
  1043: 'character varying',
  1082: 'date',
  1083: 'time without time zone',
  1114: 'timestamp without time zone',
  1184: 'timestamp with time zone',
  1186: 'interval',
  1700: 'numeric',
  2950: 'uuid',
}

/**
 * count/sum/min/max/avg over several shards: each shard gives one row of partial values, and Postgres itself combines
 * them, so that types, scales, collations and NULLs come out exactly as on one server.
 */
export async function runAggregate(
  ctx: ExecContext,
  exec: Execution,
  plan: AggregatePlan,
  shards: readonly number[],
): Promise<void> {
  const payload = await combinePayload(ctx, exec, plan, shards)
  const line = ctx.line(preferredShard(ctx))
  const { portal } = exec
  const forwarder = new RowForwarder(ctx.out, new ForwardState(exec.wantsRowDescription))
  sendPayload(ctx, line, payload, { writes: false }, forwarder)
  const end = await settled(ctx, line, forwarder.ended)
  if (portal === undefined) return ctx.out.hold(tagWithCount(end.tag, end.count))
  portal.isOn(line, exec.asked ?? exec.text)
}

/**
 * Partial values travel in binary: their text says what the session's settings let it say (extra_float_digits, time
 * zones in a DateStyle). Types that are not built in have numbers of their own on each server, inside arrays and rows
 * too: those are asked for once more, as text.
 */
async function combinePayload(
  ctx: ExecContext,
  exec: Execution,
  plan: AggregatePlan,
  shards: readonly number[],
): Promise<Buffer> {
  const binary = await collectPartials(ctx, exec, plan, shards, [1])
  const known = binary[0]!.columns.map((column) => TYPE_NAMES[column.typeOid])
  const types = known.filter((name) => name !== undefined)
  if (types.length === known.length) return combineStatement(exec, plan, binary, types, [1])
  const partials = await collectPartials(ctx, exec, plan, shards, [])
  return combineStatement(exec, plan, partials, await typeNames(ctx, shards[0]!, partials[0]!), [])
}

async function collectPartials(
  ctx: ExecContext,
  exec: Execution,
  plan: AggregatePlan,
  shards: readonly number[],
  formats: readonly number[],
): Promise<readonly Collected[]> {
  return readOnShards(ctx, shards, (line) => {
    const collector = new Collector()
    sendRewritten(ctx, line, exec, plan.partialSql, plan.partialParams, collector, formats)
    return collector.ended
  })
}

function combineStatement(
  exec: Execution,
  plan: AggregatePlan,
  partials: readonly Collected[],
  types: readonly string[],
  paramFormats: readonly number[],
): Buffer {
  const params: (Buffer | null)[] = []
  const rows = partials.flatMap((partial) =>
    partial.rows.map((row) => {
      const values = row.map((value, i) => {
        params.push(value)
        return `$${params.length}::${types[i]}`
      })
      return `(${values.join(', ')})`
    }),
  )
  const nothing = `(${types.map((type) => `NULL::${type}`).join(', ')})`
  const portal = exec.portal?.name ?? ''
  const values = rows.length > 0 ? rows.join(', ') : nothing
  const combined = plan.combineSql.replaceAll('__WEFT_PARTIALS__', () => `(VALUES ${values})`)
  // LIMIT or OFFSET left every shard without its one row.
  const sql = rows.length > 0 ? combined : `${combined} LIMIT 0`
  return Buffer.concat([
    parse('', sql),
    bind({ portal, params, paramFormats, resultFormats: exec.bind?.resultFormats ?? [] }),
    ...(exec.portal === undefined ? [describe('P', ''), execute('', 0)] : []),
    SYNC,
  ])
}

/** With -1 for its modifier a type's name does not mean one character (`character`) or one bit. */
async function typeNames(ctx: ExecContext, shard: number, partial: Collected): Promise<readonly string[]> {
  const oids = partial.columns.map((column) => column.typeOid)
  const sql = `SELECT pg_catalog.format_type(o, -1) FROM pg_catalog.unnest('{${oids.join(',')}}'::pg_catalog.oid[]) WITH ORDINALITY AS t(o, n) ORDER BY n`
  // Types of users have the number that this shard gave them.
  const answer = await queryShard(ctx, ctx.line(shard), sql, [], { writes: false })
  return answer.rows.map((row) => row[0]!.toString('utf8'))
}
