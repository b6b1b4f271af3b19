import type { AggregatePlan } from '../../sql/plan/plan.ts'
import type { ExecContext, Execution } from './context.ts'
import { settleAll } from './forward.ts'
import { type Collected, Collector, ForwardState, RowForwarder, tagWithCount } from './replies.ts'
import { preferredShard } from './route.ts'
import { failedLeaves, ownPayload, queryShard, sendPayload, sendRewritten, settle } from './send.ts'

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
  await ctx.admit()
  const partials = await collectPartials(ctx, exec, plan, shards)
  const { sql, params } = await combineStatement(ctx, plan, partials)
  const line = ctx.line(preferredShard(ctx))
  const forwarder = new RowForwarder(ctx.out, new ForwardState(exec.wantsRowDescription))
  sendPayload(ctx, line, ownPayload(sql, params, exec.bind?.resultFormats), { writes: false }, forwarder)
  const end = settle(ctx, line, await failedLeaves(ctx, line, forwarder.ended))
  ctx.out.hold(tagWithCount(end.tag, end.count))
}

async function collectPartials(
  ctx: ExecContext,
  exec: Execution,
  plan: AggregatePlan,
  shards: readonly number[],
): Promise<readonly Collected[]> {
  const runs = shards.map((shard) => {
    const line = ctx.line(shard)
    const collector = new Collector()
    sendRewritten(ctx, line, exec, plan.partialSql, plan.partialParams, collector, [])
    return { line, ended: failedLeaves(ctx, line, collector.ended) }
  })
  const ends = await settleAll(runs.map((run) => run.ended))
  return ends.map((end, i) => settle(ctx, runs[i]!.line, end))
}

async function combineStatement(
  ctx: ExecContext,
  plan: AggregatePlan,
  partials: readonly Collected[],
): Promise<{ sql: string; params: (string | null)[] }> {
  const types = await typeNames(ctx, partials[0]!)
  const params: (string | null)[] = []
  const rows = partials.flatMap((partial) =>
    partial.rows.map((row) => {
      const values = row.map((value, i) => {
        params.push(value?.toString('utf8') ?? null)
        return `$${params.length}::${types[i]}`
      })
      return `(${values.join(', ')})`
    }),
  )
  return { sql: plan.combineSql.replaceAll('__WEFT_PARTIALS__', () => `(VALUES ${rows.join(', ')})`), params }
}

async function typeNames(ctx: ExecContext, partial: Collected): Promise<readonly string[]> {
  const oids = partial.columns.map((column) => column.typeOid)
  if (oids.every((oid) => TYPE_NAMES[oid] !== undefined)) return oids.map((oid) => TYPE_NAMES[oid]!)
  const line = ctx.line(preferredShard(ctx))
  const sql = `SELECT format_type(o, NULL) FROM unnest('{${oids.join(',')}}'::oid[]) WITH ORDINALITY AS t(o, n) ORDER BY n`
  const answer = await queryShard(ctx, line, sql, [], { writes: false })
  return answer.rows.map((row) => row[0]!.toString('utf8'))
}
