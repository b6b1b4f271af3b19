import { weftError } from '../../../errors/catalog.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { type Ahead, type FirstStep, type FirstWrite, withGiven } from '../../../sql/plan/first/first-step.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { textArray } from '../quote.ts'
import { needsCut } from '../shards/on-shards.ts'
import { queryShard } from '../shards/send.ts'
import { columnsOf, instead, textsInstead } from './instead.ts'
import { runAhead } from './read-ahead.ts'

/**
 * Runs a query of the statement that locks or writes, and then the statement with its rows in its place
 * (docs/decisions/0034-rows-locked-where-they-are.md).
 */
export async function runFirst(ctx: ExecContext, exec: Execution, step: FirstStep): Promise<void> {
  const locks = locksAhead(ctx, step)
  await begin(ctx, step, locks)
  // What is wrong with the client's text is told as if it had run as it is.
  const { paramTypes, columns: origins } = await describedAtHome(
    ctx,
    exec.asked ?? exec.text,
    exec.paramTypes,
  )
  const typed: Execution = { ...exec, paramTypes, asked: exec.asked ?? exec.text, origins }
  const ahead = await aheadOf(ctx, step, locks)
  if (ahead !== undefined) return runAhead(ctx, typed, ahead, { locks, collates: step.collates })
  const columns = await columnsOf(ctx, step, paramTypes)
  const account = ctx.memory.account('rows of a query that is run first')
  try {
    const rows = await textsInstead(ctx, typed, step.sql, new KeptRows(account))
    await instead(ctx, typed, withGiven(step.rest, { columns, rows }, quoteText), true)
  } finally {
    account.set(0)
  }
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
  const isOfSource = bySource === true || (isSource === true && !ctx.tx.isOpen)
  const needsOne = (readsMore && !isAfterReads(step) && !locks) || isOfSource
  await beginWith(ctx, needsOne, bySource ? BY_SOURCE : computes ? TWO_STATES_OF_INSERT : TWO_STATES)
}

const LIMITED: Refused = {
  id: 'limited_write',
  what:
    'an UPDATE or DELETE that joins a query with LIMIT, over several shards is not supported in a READ COMMITTED ' +
    'transaction',
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
  const params = [table, textArray(others), verb, columns === undefined ? null : textArray(columns)]
  const { rows } = await queryShard(ctx, ctx.line(HOME), LINKED, params, { writes: false, looks: false })
  return rows[0]![0]!.toString('utf8') === 't'
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
