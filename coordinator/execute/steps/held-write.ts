import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import {
  type GivenColumn,
  type GivenRow,
  type HeldWrite,
  withGiven,
} from '../../../sql/plan/first/first-step.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import type { ExecContext, Execution } from '../context.ts'
import { needsCut } from '../shards/on-shards.ts'
import { columnsOf, instead, textsInstead } from './instead.ts'
import { mayNotLock, readOnlyError } from './locked-places.ts'
import { mustHold, type Rows, readRows } from './read-ahead.ts'

const ROUNDS_MAX = 100

/**
 * Whether a statement of a transaction without a snapshot can be run so. One by itself takes a snapshot instead, but where
 * it has to do without: then its transaction is begun here.
 */
export async function canHold(ctx: ExecContext, held: HeldWrite | undefined): Promise<boolean> {
  const { tx } = ctx
  const isOfBlock = tx.isOpen && tx.undecided === undefined
  if (held === undefined || !needsCut(ctx) || !(isOfBlock || held.alwaysHolds)) return false
  const { locksByUpdate } = held
  if (locksByUpdate !== undefined && (await mayNotLock(ctx, { locksByUpdate }))) return false
  tx.undecided = undefined
  await ctx.needTransaction()
  return true
}

/**
 * Runs a write in a READ COMMITTED transaction as of one state (docs/decisions/0061-writes-of-held-rows.md): what it reads,
 * and the keys of the rows that it means, are read under one cut. Are all of those locked, nothing about them has changed
 * since and nothing can: it is run for them, over what was read. Otherwise they are locked, and all is read again.
 */
export async function runHeld(
  ctx: ExecContext,
  exec: Execution,
  held: HeldWrite,
  collates: boolean,
): Promise<void> {
  const texts = [...held.reads, ...Array.from({ length: held.keys }, () => held.key)]
  const columns: (readonly GivenColumn[])[] = []
  for (const sql of texts) columns.push(await columnsOf(ctx, { sql, collates }, exec.paramTypes))
  const put = (text: string, rows: Rows): string =>
    withGiven(
      text,
      { columns: [], rows: [] },
      quoteText,
      columns.map((names, i) => ({ columns: names, rows: rows[i] ?? [] })),
    )
  await mustHold(ctx, put(held.sql, []), exec.paramTypes)
  const keys = { columns: columns.at(-1)!, rows: [] }
  const lock = (rows: readonly GivenRow[]): string =>
    withGiven(held.lock, keys, quoteText, [{ ...keys, rows }])
  const read = (account: MemoryAccount): Promise<Rows> => readRows(ctx, exec, held, columns, account)
  const account = ctx.memory.account('rows that are read before others are written')
  const wasHolding = ctx.tx.holdsRows
  try {
    const rows = await readHeld(ctx, exec, held, () => read(account), lock)
    ctx.tx.holdsRows = true
    await instead(ctx, exec, put(held.sql, rows), true)
  } finally {
    ctx.tx.holdsRows = wasHolding
    account.set(0)
  }
}

async function readHeld(
  ctx: ExecContext,
  exec: Execution,
  { keys }: HeldWrite,
  read: () => Promise<Rows>,
  lock: (rows: readonly GivenRow[]) => string,
): Promise<Rows> {
  const have = new Set<string>()
  const account = ctx.memory.account('keys of rows that are locked')
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const rows = await read()
      const missing = rows
        .slice(-keys)
        .flat()
        .filter((row) => !have.has(keyOf(row)))
      if (missing.length === 0) return rows
      for (const row of await textsInstead(ctx, exec, lock(missing), new KeptRows(account)))
        have.add(keyOf(row))
    }
  } catch (error) {
    throw error instanceof PgError ? readOnlyError(exec, error) : error
  } finally {
    account.set(0)
  }
  throw weftError('rows_changed', { verb: exec.plan.tag })
}

const keyOf = (row: GivenRow): string => JSON.stringify(row)
