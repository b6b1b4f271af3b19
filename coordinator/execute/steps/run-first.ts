import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { type ColumnDescription, parseDataRow } from '../../../protocol/wire/backend-messages.ts'
import { rebound } from '../../../protocol/wire/frontend-messages.ts'
import {
  type FirstStep,
  type FirstWrite,
  type GivenColumn,
  type GivenRow,
  withGiven,
} from '../../../sql/plan/first/first-step.ts'
import { replacedPlan } from '../../../sql/plan/replaced-plan.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { requireExactRows } from '../insert/exact-texts.ts'
import { textArray } from '../quote.ts'
import { needsCut } from '../shards/on-shards.ts'
import { queryShard } from '../shards/send.ts'

/**
 * Runs a query of the statement that locks or writes, and then the statement with its rows in its place
 * (docs/decisions/0034-rows-locked-where-they-are.md).
 */
export async function runFirst(ctx: ExecContext, exec: Execution, step: FirstStep): Promise<void> {
  await begin(ctx, step)
  // What is wrong with the client's text is told as if it had run as it is.
  const { paramTypes, columns: origins } = await describedAtHome(
    ctx,
    exec.asked ?? exec.text,
    exec.paramTypes,
  )
  if (step.writes !== undefined && step.writes.others.length > 0) await mustBeUnseen(ctx, step.writes)
  const typed: Execution = { ...exec, paramTypes, asked: exec.asked ?? exec.text, origins }
  const columns = await columnsOfFirst(ctx, step, paramTypes)
  const account = ctx.memory.account('rows of a query that is run first')
  try {
    const rows = await rowsOf(ctx, typed, step.sql, new KeptRows(account))
    await instead(ctx, typed, withGiven(step.rest, columns, rows, quoteText), true)
  } finally {
    account.set(0)
  }
}

/** Both see one state: where they read more than what has been locked or written, the transaction has to have one. */
async function begin(ctx: ExecContext, step: FirstStep): Promise<void> {
  const { readsMore, bySource, isSource, isLimited } = step
  // Its rows are not locked.
  if (isLimited) return beginWith(ctx, true, LIMITED)
  const needsOne = readsMore || bySource === true || (isSource === true && !ctx.tx.isOpen)
  await beginWith(ctx, needsOne, bySource ? BY_SOURCE : TWO_STATES)
}

const LIMITED: Refused = {
  id: 'limited_write',
  what:
    'an UPDATE or DELETE that joins a query with LIMIT, over several shards is not supported in a READ COMMITTED ' +
    'transaction',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ, or lock the rows of that query (FOR SHARE).',
}

/** Begins a transaction, where it needs one with one snapshot throughout; `refusal`: of the one that is open. */
export async function beginWith(ctx: ExecContext, needsSnapshot: boolean, refusal: Refused): Promise<void> {
  const lacksOne = needsSnapshot && needsCut(ctx)
  if (lacksOne && ctx.tx.isOpen) throw weftError('not_supported', refusal)
  await ctx.needTransaction(lacksOne ? { isolation: 'repeatable read' } : undefined)
  if (lacksOne) ctx.tx.givenSnapshot = true
  await ctx.admit()
}

export const BY_SOURCE: Refused = {
  id: 'merge',
  what: 'MERGE with WHEN NOT MATCHED BY SOURCE over several shards is not supported in a READ COMMITTED transaction',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ.',
}

const TWO_STATES: Refused = {
  id: 'with_write',
  what:
    'a query that locks or writes, in a statement that reads other tables too, over several shards is not supported ' +
    'in a READ COMMITTED transaction',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ, or run that query first and pass its rows.',
}

export async function columnsOfFirst(
  ctx: ExecContext,
  { sql, collates }: FirstStep,
  paramTypes: readonly number[],
): Promise<readonly GivenColumn[]> {
  const { columns } = await describedAtHome(ctx, sql, paramTypes).catch((error: unknown) => {
    throw error instanceof PgError ? weftError('not_supported', CORRELATED, error) : error
  })
  if (columns.length === 0) return []
  await requireExactRows(ctx, columns)
  const types = await typesOf(ctx, columns, collates)
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

const COLLATED: Refused = {
  id: 'run_first',
  what:
    'a query that locks or writes, and computes texts where columns have collations of their own, over several shards ' +
    'is not supported',
  hint: 'Run it first, and pass its rows.',
}

/** A column that is a table's has its collation; of what is computed only Postgres knows. */
const TYPES = `
SELECT pg_catalog.format_type(c.type, c.typmod),
  CASE WHEN a.attcollation NOT IN (0, t.typcollation) THEN a.attcollation::pg_catalog.regcollation::pg_catalog.text END,
  c.rel = 0 AND t.typcollation <> 0
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.int4[]),
  pg_catalog.unnest($3::pg_catalog.oid[]), pg_catalog.unnest($4::pg_catalog.int2[])) WITH ORDINALITY AS c (type, typmod, rel, attnum, n)
JOIN pg_catalog.pg_type t ON t.oid = c.type
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.rel AND a.attnum = c.attnum
ORDER BY c.n`

async function typesOf(
  ctx: ExecContext,
  columns: readonly ColumnDescription[],
  collates: boolean,
): Promise<readonly Omit<GivenColumn, 'name'>[]> {
  const list = (of: (column: ColumnDescription) => number) => `{${columns.map(of).join(',')}}`
  const params = [
    list((c) => c.typeOid),
    list((c) => c.typmod),
    list((c) => c.tableOid),
    list((c) => c.attnum),
  ]
  const { rows } = await queryShard(ctx, ctx.line(HOME), TYPES, params, { writes: false, looks: false })
  if (collates && rows.some(([, , isUnsure]) => isUnsure!.toString('utf8') === 't'))
    throw weftError('not_supported', COLLATED)
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

/** All rows of a statement, as texts. */
async function rowsOf(
  ctx: ExecContext,
  exec: Execution,
  sql: string,
  kept: KeptRows,
): Promise<readonly GivenRow[]> {
  const { bind } = exec
  const rows = await rowsInstead(ctx, { ...exec, bind: bind && rebound(bind, {}) }, sql, kept)
  return rows.map((row) => row.map((cell) => cell?.toString('utf8') ?? null))
}

/** In Postgres all parts of a statement see what was there before it. */
async function mustBeUnseen(ctx: ExecContext, { verb, table, columns, others }: FirstWrite): Promise<void> {
  const params = [table, textArray(others), verb, columns === undefined ? null : textArray(columns)]
  const { rows } = await queryShard(ctx, ctx.line(HOME), LINKED, params, { writes: false, looks: false })
  if (rows[0]![0]!.toString('utf8') === 't') throw weftError('not_supported', SEEN)
}

const SEEN: Refused = {
  id: 'with_write',
  what: 'a data-modifying WITH query whose effects the rest of the statement could see, over several shards is not supported',
  hint: 'Run it as a statement of its own, in the same transaction.',
}

/** Views, inheritance and foreign keys between a table that is written first and others; by column where it is updated. */
const LINKED = `
WITH w AS (SELECT pg_catalog.to_regclass($1) AS oid),
  o AS (SELECT pg_catalog.to_regclass(n) AS oid FROM pg_catalog.unnest($2::pg_catalog.text[]) AS n),
  k AS (SELECT c.*, c.confrelid = w.oid AS is_target, c.conrelid = w.oid AS is_source,
      CASE $3 WHEN 'UPDATE' THEN EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attname = ANY ($4::pg_catalog.text[])
        AND (a.attrelid = c.confrelid AND c.confrelid = w.oid AND a.attnum = ANY (c.confkey)
          OR a.attrelid = c.conrelid AND c.conrelid = w.oid AND a.attnum = ANY (c.conkey)))
      ELSE true END AS is_about
    FROM pg_catalog.pg_constraint c, w WHERE c.contype = 'f' AND w.oid IN (c.conrelid, c.confrelid))
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN o ON c.oid = o.oid WHERE c.relkind IN ('v', 'm', 'f'))
  OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r JOIN w ON r.ev_class = w.oid)
  OR EXISTS (SELECT FROM pg_catalog.pg_inherits i, w, o WHERE (i.inhrelid, i.inhparent) IN ((w.oid, o.oid), (o.oid, w.oid)))
  OR EXISTS (SELECT FROM w, o WHERE w.oid <> o.oid AND (w.oid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(o.oid))
    OR o.oid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(w.oid))))
  OR EXISTS (SELECT FROM k WHERE is_about AND is_target AND $3 <> 'INSERT'
    AND (conrelid IN (SELECT oid FROM o) OR confdeltype NOT IN ('a', 'r') AND $3 <> 'UPDATE'
      OR confupdtype NOT IN ('a', 'r') AND $3 <> 'DELETE'))
  OR EXISTS (SELECT FROM k WHERE is_about AND is_source AND $3 <> 'DELETE' AND confrelid IN (SELECT oid FROM o))`
