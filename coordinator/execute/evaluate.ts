import type { KeyType } from '../../sql/catalog.ts'
import { renumberParams } from '../../sql/plan/insert-text.ts'
import { type ExecContext, type Execution, HOME } from './context.ts'
import { Collector } from './replies.ts'
import { failedLeaves, queryShard, sendRewritten, settle } from './send.ts'

type Texts = readonly (string | null)[]

/** Defaults that only the home shard can give (its sequences are the cluster's): one row of texts per inserted row. */
export async function evaluateFills(
  ctx: ExecContext,
  fill: readonly { readonly expression: string }[],
  rowCount: number,
): Promise<readonly Texts[]> {
  if (fill.length === 0) return []
  await ctx.admit()
  const columns = fill.map((f) => `(${f.expression})::text`).join(', ')
  const sql = `SELECT ${columns} FROM generate_series(1, ${rowCount})`
  const answer = await queryShard(ctx, ctx.line(HOME), sql, [], { writes: true })
  return answer.rows.map((row) => row.map((value) => value?.toString('utf8') ?? null))
}

/**
 * Key expressions of an INSERT's rows, evaluated once by Postgres: what decides the shard is what is stored.
 * `undefined` for rows whose key is no expression.
 */
export async function evaluateExpressions(
  ctx: ExecContext,
  exec: Execution,
  keyType: KeyType,
  expressions: readonly (string | undefined)[],
): Promise<readonly (string | null | undefined)[]> {
  const wanted = expressions.filter((expression) => expression !== undefined)
  if (wanted.length === 0) return expressions.map(() => undefined)
  await ctx.admit()
  const columns = wanted.map((expression) => `((${expression})::${keyType})::text`).join(', ')
  const { sql, params } = renumberParams(`SELECT ${columns}`)
  const line = ctx.line(HOME)
  const collector = new Collector()
  sendRewritten(ctx, line, exec, sql, params, collector, [])
  const end = settle(ctx, line, await failedLeaves(ctx, line, collector.ended))
  const texts = end.rows[0]!.map((value) => value?.toString('utf8') ?? null)
  let next = 0
  return expressions.map((expression) => (expression === undefined ? undefined : texts[next++]!))
}
