import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import {
  type Ahead,
  type FirstStep,
  type FirstWrite,
  inOneOrder,
  withGiven,
} from '../../../sql/plan/first/first-step.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import { describedAtHome, evaluateFills } from '../answers/evaluate.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { textArray } from '../quote.ts'
import { needsCut } from '../shards/on-shards.ts'
import { queryShard } from '../shards/send.ts'
import { runMovedInConflict } from './conflict-moves.ts'
import { canHold, runHeld } from './held-write.ts'
import { columnsOf, instead, textsInstead } from './instead.ts'
import { needsListing, runListed } from './listed-rows.ts'
import { runAhead } from './read-ahead.ts'

/**
 * Runs a query of the statement that locks or writes, and then the statement with its rows in its place
 * (docs/decisions/0034-rows-locked-where-they-are.md).
 */
export async function runFirst(ctx: ExecContext, exec: Execution, step: FirstStep): Promise<void> {
  if (step.draws !== undefined) return runDrawn(ctx, exec, step, step.draws)
  if (step.moves !== undefined) return runMovedInConflict(ctx, exec, step, step.moves)
  const { listed } = step
  if (listed !== undefined && (step.isListed || needsListing(ctx, listed))) {
    const refusal = (error: unknown) => afterJudging(ctx, exec, error)
    await beginWith(ctx, listed.readsMore, TWO_STATES_OF_INSERT).catch(refusal)
    return runListed(ctx, exec, listed)
  }
  const locks = locksAhead(ctx, step)
  const held = (await canHold(ctx, step.held)) ? step.held : undefined
  if (held !== undefined) await ctx.admit()
  else await begin(ctx, step, locks).catch((refusal: unknown) => afterJudging(ctx, exec, refusal))
  // What is wrong with the client's text is told as if it had run as it is.
  const { paramTypes, columns: origins } = await describedAtHome(
    ctx,
    exec.asked ?? exec.text,
    exec.paramTypes,
  )
  const typed: Execution = { ...exec, paramTypes, asked: exec.asked ?? exec.text, origins }
  if (held !== undefined) return runHeld(ctx, typed, held, step.collates)
  const ahead = await aheadOf(ctx, step, locks)
  if (ahead !== undefined) return runAhead(ctx, typed, ahead, { locks, collates: step.collates })
  const columns = await columnsOf(ctx, step, paramTypes)
  const account = ctx.memory.account('rows of a query that is run first')
  try {
    const texts = await textsInstead(ctx, typed, step.sql, new KeptRows(account))
    const rows = step.inNoOrder ? inOneOrder(texts) : texts
    await instead(ctx, typed, withGiven(step.rest, { columns, rows }, quoteText), true)
  } finally {
    account.set(0)
  }
}

/** Values are drawn as those of defaults are, then the statement is run with them. */
async function runDrawn(
  ctx: ExecContext,
  exec: Execution,
  { rest }: FirstStep,
  { expressions, rows }: NonNullable<FirstStep['draws']>,
): Promise<void> {
  await ctx.admit()
  const asked = exec.asked ?? exec.text
  const { paramTypes, columns: origins } = await describedAtHome(ctx, asked, exec.paramTypes)
  const fill = expressions.map((expression) => ({ expression, appended: true }))
  const values = await evaluateFills(ctx, fill, Array(rows).fill({ defaults: [] }))
  const columns = fill.map(() => ({ name: '', type: rows > 1 ? 'bigint[]' : 'bigint' }))
  const row = fill.map((_, i) => (rows > 1 ? textArray(values.map((one) => one[i]!)) : values[0]![i]!))
  const typed: Execution = { ...exec, paramTypes, asked, origins }
  await instead(ctx, typed, withGiven(rest, { columns, rows: [row] }, quoteText), true)
}

/** What is wrong with the client's text comes before what cannot be done with it. */
async function afterJudging(ctx: ExecContext, exec: Execution, refusal: unknown): Promise<never> {
  if (ctx.tx.isOpen && !ctx.tx.failed) {
    await ctx.admit()
    await describedAtHome(ctx, exec.asked ?? exec.text, exec.paramTypes)
  }
  throw refusal
}

/** What writes by itself, of no table's state, follows a read of any moment. */
const isAfterReads = ({ writes, readsMore, ahead }: FirstStep): boolean =>
  readsMore && writes?.isBlind === true && ahead !== undefined

/** In a transaction without a snapshot rows that are locked are those that are read beside others afterwards. */
const locksAhead = (ctx: ExecContext, step: FirstStep): boolean =>
  step.ahead?.isLast === true ||
  (step.readsMore &&
    !isAfterReads(step) &&
    step.ahead?.locked !== undefined &&
    ctx.tx.isOpen &&
    needsCut(ctx))

/** Both see one state: where they read more than what has been locked or written, the transaction has to have one. */
async function begin(ctx: ExecContext, step: FirstStep, locks: boolean): Promise<void> {
  const { readsMore, bySource, isSource, isLimited, computes } = step
  // Its rows are not locked.
  if (isLimited) return beginWith(ctx, true, LIMITED)
  const isOfSource =
    bySource === true || (isSource === true && (!ctx.tx.isOpen || ctx.tx.undecided !== undefined))
  const needsOne = (readsMore && !isAfterReads(step) && !locks) || isOfSource
  await beginWith(ctx, needsOne, bySource ? BY_SOURCE : computes ? TWO_STATES_OF_INSERT : TWO_STATES)
}

const LIMITED: Refused = {
  id: 'limited_write',
  what:
    'an UPDATE or DELETE that joins a query with LIMIT, over several shards is not supported in a READ COMMITTED ' +
    'transaction where its rows cannot be locked by a primary key',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ, or lock the rows of that query (FOR SHARE).',
}

/** In Postgres all parts of a statement see what was there before it. Undefined: they do so one after the other. */
async function aheadOf(ctx: ExecContext, step: FirstStep, locks: boolean): Promise<Ahead | undefined> {
  const { writes, ahead } = step
  if (writes === undefined) return undefined
  if (await isLinked(ctx, writes, writes.changes)) throw weftError('not_supported', SEEN)
  const isApart = !writes.isSeen && !isAfterReads(step) && !locks
  if (isApart && !(await isLinked(ctx, writes, writes.reads))) return undefined
  if (ahead === undefined) throw weftError('not_supported', SEEN)
  return ahead
}

/**
 * Begins a transaction, where it needs one with one snapshot throughout; `refusal`: of the one that is open, unless that is
 * the statement's own, and may still get one.
 */
export async function beginWith(ctx: ExecContext, needsSnapshot: boolean, refusal: Refused): Promise<void> {
  const { tx } = ctx
  const { undecided } = tx
  const lacksOne = needsSnapshot && needsCut(ctx)
  if (lacksOne && tx.isOpen && undecided === undefined) throw weftError('not_supported', refusal)
  tx.undecided = undefined
  if (lacksOne && undecided !== undefined) await undecided()
  else await ctx.needTransaction(lacksOne ? { isolation: 'repeatable read' } : undefined)
  if (lacksOne) tx.givenSnapshot = true
  await ctx.admit()
}

export const BY_SOURCE: Refused = {
  id: 'merge',
  what:
    'MERGE with WHEN NOT MATCHED BY SOURCE over several shards is not supported in a READ COMMITTED transaction where its ' +
    'rows cannot be locked by a primary key',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ.',
}

const TWO_STATES: Refused = {
  id: 'with_write',
  what:
    'a query that locks or writes, in a statement that reads other tables too, over several shards is not supported ' +
    'in a READ COMMITTED transaction',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ, or run that query first and pass its rows.',
}

const TWO_STATES_OF_INSERT: Refused = {
  id: 'insert_select_tail',
  what:
    'an INSERT with a subquery in ON CONFLICT or RETURNING over several shards, beside other tables that it reads, ' +
    'is not supported in a READ COMMITTED transaction',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ, or run the subquery first and pass its result.',
}

/** What is written there could be seen, or be noticed, in one of the others. */
async function isLinked(
  ctx: ExecContext,
  { verb, table, columns }: FirstWrite,
  others: readonly string[],
): Promise<boolean> {
  if (others.length === 0) return false
  const verbs = verb === 'INSERT' && columns !== undefined ? ['INSERT', 'UPDATE'] : [verb]
  const params = [
    table,
    textArray(others),
    textArray(verbs),
    columns === undefined ? null : textArray(columns),
  ]
  const { rows } = await queryShard(ctx, ctx.line(HOME), LINKED, params, { writes: false, looks: false })
  return rows[0]![0]!.toString('utf8') === 't'
}

const SEEN: Refused = {
  id: 'with_write',
  what: 'a data-modifying WITH query whose effects the rest of the statement could see, over several shards is not supported',
  hint: 'Run it as a statement of its own, in the same transaction.',
}

/**
 * Views, inheritance and foreign keys between others and a table that is written first, or those that its foreign keys
 * write to; by column where it is updated.
 */
const LINKED = `
WITH RECURSIVE o AS (SELECT pg_catalog.to_regclass(n) AS oid FROM pg_catalog.unnest($2::pg_catalog.text[]) AS n),
  w (oid, verb, columns) AS (SELECT pg_catalog.to_regclass($1)::pg_catalog.oid, v, CASE v WHEN 'UPDATE' THEN $4::pg_catalog.text[] END
      FROM pg_catalog.unnest($3::pg_catalog.text[]) AS v
    UNION SELECT k.conrelid, CASE WHEN w.verb = 'DELETE' AND k.confdeltype <> 'c' THEN 'UPDATE' ELSE w.verb END,
      NULL::pg_catalog.text[]
    FROM w JOIN pg_catalog.pg_constraint k ON k.contype = 'f' AND k.confrelid = w.oid
      AND (w.verb IN ('DELETE', 'MERGE') AND k.confdeltype NOT IN ('a', 'r')
        OR w.verb IN ('UPDATE', 'MERGE') AND k.confupdtype NOT IN ('a', 'r') AND ${sets('confrelid', 'confkey')})),
  t AS (SELECT oid FROM w EXCEPT SELECT pg_catalog.to_regclass($1))
SELECT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN o ON c.oid = o.oid WHERE c.relkind IN ('v', 'm', 'f'))
  OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r JOIN w ON r.ev_class = w.oid)
  OR EXISTS (SELECT FROM t JOIN o USING (oid))
  OR EXISTS (SELECT FROM pg_catalog.pg_inherits i, w, o WHERE (i.inhrelid, i.inhparent) IN ((w.oid, o.oid), (o.oid, w.oid)))
  OR EXISTS (SELECT FROM w, o WHERE w.oid <> o.oid AND (w.oid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(o.oid))
    OR o.oid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(w.oid))))
  OR EXISTS (SELECT FROM pg_catalog.pg_constraint k JOIN w ON k.confrelid = w.oid JOIN o ON k.conrelid = o.oid
    WHERE k.contype = 'f' AND w.verb <> 'INSERT' AND ${sets('confrelid', 'confkey')})
  OR EXISTS (SELECT FROM pg_catalog.pg_constraint k JOIN w ON k.conrelid = w.oid JOIN o ON k.confrelid = o.oid
    WHERE k.contype = 'f' AND w.verb <> 'DELETE' AND ${sets('conrelid', 'conkey')})`

/** Whether what is set is a part of a foreign key. */
function sets(table: string, key: string): string {
  return `(w.columns IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = k.${table} AND a.attnum = ANY (k.${key}) AND a.attname = ANY (w.columns)))`
}
