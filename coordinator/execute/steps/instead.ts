import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { type ColumnDescription, parseDataRow } from '../../../protocol/wire/backend-messages.ts'
import { rebound } from '../../../protocol/wire/frontend-messages.ts'
import type { FirstStep, GivenColumn, GivenRow } from '../../../sql/plan/first/first-step.ts'
import { SAFE_SETTINGS } from '../../../sql/plan/gather/plan-gather.ts'
import { replacedPlan } from '../../../sql/plan/replaced-plan.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { queryShard } from '../shards/send.ts'

/** Texts that are run in the place of the client's. */

/** What rows of a text are, as constants of a statement that they are put into. */
export async function columnsOf(
  ctx: ExecContext,
  { sql, collates, computes }: Pick<FirstStep, 'sql' | 'collates' | 'computes'>,
  paramTypes: readonly number[],
): Promise<readonly GivenColumn[]> {
  const { columns } = await describedAtHome(ctx, sql, paramTypes).catch((error: unknown) => {
    if (!(error instanceof PgError)) throw error
    throw weftError('not_supported', computes ? CORRELATED_IN_INSERT : CORRELATED, error)
  })
  if (columns.length === 0) return []
  const types = await typesOf(ctx, columns, { collates, travels: true })
  return columns.map(({ name }, i) => ({ name, ...types[i]! }))
}

/** As a statement of its own it names what it does not have. */
const CORRELATED: Refused = {
  id: 'run_first',
  what:
    'a query that locks or writes, or has a LIMIT in what a write joins, and names columns of a query around it, over several ' +
    'shards is not supported',
  hint: 'Run it first, and pass its rows.',
}

const CORRELATED_IN_INSERT: Refused = {
  id: 'insert_select_tail',
  what:
    'a subquery in ON CONFLICT or RETURNING of an INSERT that names columns of its table, over several shards, ' +
    'is not supported',
  hint: 'Read what it needs in a statement of its own, in the same transaction.',
}

const COLLATED: Refused = {
  id: 'run_first',
  what:
    'a query that locks or writes, and computes texts where columns have collations of their own, over several shards ' +
    'is not supported',
  hint: 'Run it first, and pass its rows.',
}

/** Types whose values are read as they were printed: no floats, timestamptz, intervals, types of users. */
const EXACT_TEXTS: ReadonlySet<number> = new Set([
  16, 17, 19, 20, 21, 23, 25, 26, 114, 142, 650, 774, 829, 869, 1042, 1043, 1082, 1083, 1114, 1266, 1560,
  1562, 1700, 2950, 3802,
])

const INEXACT: Refused = {
  id: 'inexact_text',
  what:
    'a query that is run first, and gives floating-point numbers, times, intervals or values of other types of whose ' +
    'texts something may be lost by the settings, is not supported',
  hint: "SET extra_float_digits = 1, DateStyle = 'ISO' and IntervalStyle = 'postgres'.",
}

/** A column that is a table's has its collation; of what is computed only Postgres knows. */
const TYPES = `
SELECT pg_catalog.format_type(c.type, c.typmod),
  CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN a.attcollation::pg_catalog.regcollation::pg_catalog.text END,
  c.rel = 0 AND t.typcollation <> 0,
  NOT (${SAFE_SETTINGS})
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[]),
  pg_catalog.unnest($3::pg_catalog.oid[]), pg_catalog.unnest($4::pg_catalog.int2[])) WITH ORDINALITY AS c (type, typmod, rel, attnum, n)
JOIN pg_catalog.pg_type t ON t.oid = c.type
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.rel AND a.attnum = c.attnum
ORDER BY c.n`

async function typesOf(
  ctx: ExecContext,
  columns: readonly Pick<ColumnDescription, 'typeOid' | 'typmod' | 'tableOid' | 'attnum'>[],
  { collates, travels }: { readonly collates: boolean; readonly travels: boolean },
): Promise<readonly Omit<GivenColumn, 'name'>[]> {
  const list = (of: (column: (typeof columns)[number]) => number) => `{${columns.map(of).join(',')}}`
  const params = [
    list((c) => c.typeOid),
    list((c) => c.typmod),
    list((c) => c.tableOid),
    list((c) => c.attnum),
  ]
  const { rows } = await queryShard(ctx, ctx.line(HOME), TYPES, params, { writes: false, looks: false })
  if (collates && rows.some(([, , isUnsure]) => isUnsure!.toString('utf8') === 't'))
    throw weftError('not_supported', COLLATED)
  const isUnsafe = travels && rows[0]?.[3]?.toString('utf8') === 't'
  if (isUnsafe && !columns.every(({ typeOid }) => EXACT_TEXTS.has(typeOid)))
    throw weftError('not_supported', INEXACT)
  return rows.map(([type, collation]) => ({
    type: type!.toString('utf8'),
    ...(collation == null ? {} : { collation: collation.toString('utf8') }),
  }))
}

/** Runs a text in place of the client's. Places in it are none of the client's text. */
export async function instead(
  ctx: ExecContext,
  exec: Execution,
  text: string,
  keepsColumns: boolean,
): Promise<void> {
  const place = { start: 0, end: exec.text.length, head: text, known: undefined, tail: '' }
  const plan = { ...replacedPlan(exec.plan, [place]), ...(keepsColumns && { keepsColumns: true as const }) }
  try {
    await ctx.runPrepared({ ...exec, plan }, plan)
  } catch (error) {
    if (!(error instanceof PgError) || error.fields.position === undefined) throw error
    throw new PgError({ ...error.fields, position: undefined }, { cause: error })
  }
}

const HEADER_BYTES = 5

/** Nothing of it is said to the client. */
export function withoutPortal(exec: Execution): Execution {
  return {
    ...exec,
    wantsRowDescription: false,
    maxRows: 0,
    portal: undefined,
    asked: undefined,
    origins: undefined,
  }
}

/** All rows of a text that is run in place of the client's. */
export async function rowsInstead(
  ctx: ExecContext,
  exec: Execution,
  text: string,
  kept: KeptRows,
): Promise<readonly (readonly (Buffer | null)[])[]> {
  await ctx.out.unheard(kept, () => instead(ctx, withoutPortal(exec), text, false))
  if (kept.failure !== undefined) throw kept.failure
  return kept.take(0).rows.map((row) => parseDataRow(row, HEADER_BYTES, row.length))
}

/** How many rows a text counts that is run in place of the client's. */
export async function countInstead(ctx: ExecContext, exec: Execution, text: string): Promise<number> {
  return countIn(await saidInstead(ctx, exec, text))
}

/** Of a CommandComplete. */
export const countIn = (complete: Buffer | undefined): number =>
  Number(/(\d+)\0$/.exec(complete?.toString('latin1') ?? '')?.[1] ?? 0)

/** Runs a text in the client's transaction; nothing of it is said. */
export async function runInstead(ctx: ExecContext, exec: Execution, text: string): Promise<void> {
  await saidInstead(ctx, exec, text)
}

async function saidInstead(ctx: ExecContext, exec: Execution, text: string): Promise<Buffer | undefined> {
  const account = ctx.memory.account('no rows')
  let said: Buffer | undefined
  await ctx.out.unheard(new KeptRows(account), async () => {
    await instead(ctx, withoutPortal(exec), text, false)
    said = ctx.out.takeHeld()
  })
  return said
}

/** Types of parameters, by their names. */
export async function typesNamed(ctx: ExecContext, oids: readonly number[]): Promise<readonly GivenColumn[]> {
  const columns = oids.map((typeOid) => ({ typeOid, typmod: -1, tableOid: 0, attnum: 0 }))
  const types = await typesOf(ctx, columns, { collates: false, travels: false })
  return types.map((type) => ({ name: '', ...type }))
}

/** All rows of a statement, as texts. */
export async function textsInstead(
  ctx: ExecContext,
  exec: Execution,
  sql: string,
  kept: KeptRows,
): Promise<readonly GivenRow[]> {
  const { bind } = exec
  const rows = await rowsInstead(ctx, { ...exec, bind: bind && rebound(bind, {}) }, sql, kept)
  return rows.map((row) => row.map((cell) => cell?.toString('utf8') ?? null))
}
