import { PgError } from '../../../errors/pg-error.ts'
import { SEQUENCES } from '../../../protocol/agent-link.ts'
import { type ColumnDescription, parseParameterDescription } from '../../../protocol/wire/backend-messages.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { describe, parse, SYNC } from '../../../protocol/wire/frontend-messages.ts'
import type { KeyType } from '../../../sql/catalog.ts'
import { storedType } from '../../../sql/hash/stored-type.ts'
import { renumberParams } from '../../../sql/plan/edited-text.ts'
import type { InsertPlan } from '../../../sql/plan/plan.ts'
import { copiedQuery } from '../../../sql/plan/utility/copy.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { drawBeside } from '../sequences/draw-beside.ts'
import { Collector } from '../shards/replies.ts'
import { queryShard, sendPayload, sendRewritten, settled } from '../shards/send.ts'
import type { ShardLine } from '../shards/shard-line.ts'

/**
 * Lets Postgres judge the client's own statement: the casts of what is run in its place accept more than an
 * INSERT does, and columns too many would not be seen.
 */
export async function judgeOnHome(ctx: ExecContext, exec: Execution): Promise<void> {
  await ctx.admit()
  const line = ctx.line(HOME)
  const collector = new Collector()
  const payload = Buffer.concat([parse('', judgedText(exec), line.typesHere(exec.paramTypes)), SYNC])
  sendPayload(ctx, line, payload, { writes: false }, collector)
  await settled(ctx, line, collector.ended)
}

/** Of a COPY its query, at its place in the client's text, as if all around it were white space. */
export function judgedText({ text, asked = text, plan }: Execution): string {
  if (plan.tag !== 'COPY' || plan.kind !== 'forward') return asked
  const { start, end } = copiedQuery(asked)
  return asked.slice(0, start).replace(/\S/gu, ' ') + asked.slice(start, end)
}

/** As home describes the columns of a text, after it has judged it. */
export async function columnsOf(
  ctx: ExecContext,
  text: string,
  paramTypes: readonly number[],
): Promise<readonly ColumnDescription[]> {
  return (await describedAtHome(ctx, text, paramTypes)).columns
}

/** What home says of a text, after it has judged it: the types of its parameters, and its columns. */
export async function describedAtHome(
  ctx: ExecContext,
  text: string,
  paramTypes: readonly number[],
): Promise<{ readonly paramTypes: readonly number[]; readonly columns: readonly ColumnDescription[] }> {
  const line = ctx.line(HOME)
  const consumer = new Described()
  const payload = Buffer.concat([parse('', text, paramTypes), describe('S', ''), SYNC])
  sendPayload(ctx, line, payload, { writes: false, looks: false }, consumer)
  const { columns } = await settled(ctx, line, consumer.ended)
  return { columns, paramTypes: consumer.paramTypes }
}

class Described extends Collector {
  paramTypes: readonly number[] = []

  protected override frame(line: ShardLine, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === MSG.parameterDescription) this.paramTypes = parseParameterDescription(buffer, start + 5, end)
    super.frame(line, type, buffer, start, end)
  }
}

const READ_ONLY = '25006'

type Texts = readonly (string | null)[]

/**
 * Defaults that only the home shard can give (its sequences are the cluster's): one row of texts per inserted row. A
 * value that a row gives itself is not drawn.
 */
export async function evaluateFills(
  ctx: ExecContext,
  fill: readonly Pick<InsertPlan['fill'][number], 'expression' | 'appended'>[],
  rows: readonly { readonly defaults: readonly { readonly fill: number }[] }[],
  tag = 'INSERT',
): Promise<readonly Texts[]> {
  if (fill.length === 0) return []
  const expressions = fill.map((f) => f.expression)
  const lists = fill.map((f, i) => {
    const wanted = rows.map((row) => f.appended || row.defaults.some((d) => d.fill === i))
    return wanted.every((is) => is) ? undefined : `'{${wanted.join(',')}}'::bool[]`
  })
  const beside = lists.every((list) => list === undefined)
    ? await drawBeside(ctx, expressions, rows.length)
    : undefined
  if (beside !== undefined) return beside
  await ctx.admit()
  const columns = fill.map((f, i) => {
    const text = `(${f.expression})::text`
    return lists[i] === undefined ? text : `CASE WHEN (${lists[i]})[weft_row] THEN ${text} END`
  })
  const { drawn } = ctx.state
  const sequences = drawn.maskFor(expressions)
  const isKnown = sequences === SEQUENCES.uses
  const asked = isKnown ? [...columns, ...drawn.oidsOf(expressions)] : columns
  const sql = `SELECT ${asked.join(', ')} FROM generate_series(1, ${rows.length}) AS weft_row`
  const drawing = queryShard(ctx, ctx.line(HOME), sql, [], { writes: true, sequences })
  const answer = await drawing.catch((error: unknown) => {
    throw asOf(tag, error)
  })
  const texts = answer.rows.map((row) => row.map((value) => value?.toString('utf8') ?? null))
  if (isKnown) drawn.note(expressions, texts)
  return texts
}

/** What may not write is refused as a whole, before it draws. */
function asOf(tag: string, error: unknown): unknown {
  if (!(error instanceof PgError) || error.code !== READ_ONLY) return error
  const message = `cannot execute ${tag} in a read-only transaction`
  return new PgError({ ...error.fields, message }, { cause: error })
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
  await judgeOnHome(ctx, exec)
  const type = storedType(keyType, undefined)
  const columns = wanted.map((expression) => `((${expression})::${type})::text`).join(', ')
  const { sql, params } = renumberParams(`SELECT ${columns}`)
  const line = ctx.line(HOME)
  const collector = new Collector()
  sendRewritten(ctx, line, exec, sql, params, collector, [])
  const end = await settled(ctx, line, collector.ended)
  const texts = end.rows[0]!.map((value) => value?.toString('utf8') ?? null)
  let next = 0
  return expressions.map((expression) => (expression === undefined ? undefined : texts[next++]!))
}
