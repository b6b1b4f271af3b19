import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import {
  type Ahead,
  type GivenColumn,
  type GivenRow,
  type LockedAhead,
  withGiven,
} from '../../../sql/plan/first/first-step.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import type { ExecContext, Execution } from '../context.ts'
import { columnsOf, instead, textsInstead } from './instead.ts'

/**
 * Runs a statement whose WITH query writes what the rest of it reads: all that this reads is read first, of one moment, then
 * the WITH query is run, and the rest over the rows of both (docs/decisions/0055-reads-ahead-of-writes.md). `locks`: no
 * snapshot shows what the WITH query finds, too.
 */
export async function runAhead(ctx: ExecContext, exec: Execution, ahead: Ahead, how: How): Promise<void> {
  const locked = how.locks ? ahead.locked : undefined
  const texts = [...ahead.reads, ...(locked?.reads ?? [])]
  const described = (sql: string) => columnsOf(ctx, { sql, collates: how.collates }, exec.paramTypes)
  const written = await described(ahead.sql)
  const columns: (readonly GivenColumn[])[] = []
  for (const sql of texts) columns.push(await described(sql))
  const own = written.length - ahead.keys
  const put = (text: string, read: Rows, rows: readonly GivenRow[]): string => {
    const before = columns.map((names, i) => ({ columns: names, rows: read[i] ?? [] }))
    const first = { columns: written.slice(0, own), rows: rows.map((row) => row.slice(0, own)) }
    const keys = { columns: written.slice(own), rows: rows.map((row) => row.slice(own)) }
    return withGiven(text, first, quoteText, before, keys)
  }
  const sql = locked?.sql ?? ahead.sql
  for (const text of [ahead.rest, sql]) await mustHold(ctx, put(text, [], []), exec.paramTypes)
  const accounts = ['rows that are read before others are written', 'rows of a query that is run first']
  const [before, first] = accounts.map((name) => ctx.memory.account(name)) as [MemoryAccount, MemoryAccount]
  try {
    const read = await readLocked(ctx, exec, locked, () =>
      readRows(ctx, exec, { arms: texts }, columns, before),
    )
    const write = (): Promise<readonly GivenRow[]> =>
      textsInstead(ctx, exec, put(sql, read, []), new KeptRows(first))
    await instead(ctx, exec, put(ahead.rest, read, ahead.isLast ? [] : await write()), true)
    if (ahead.isLast) await write()
  } finally {
    before.set(0)
    first.set(0)
  }
}

export interface How {
  readonly locks: boolean
  /** Texts may have other collations than their types'. */
  readonly collates: boolean
}

/** By number of what was read. */
export type Rows = readonly (readonly GivenRow[])[]

const ROUNDS_MAX = 100

/** Reads when the rows that are meant are locked, again where others are meant by then. */
async function readLocked(
  ctx: ExecContext,
  exec: Execution,
  locked: LockedAhead | undefined,
  read: () => Promise<Rows>,
): Promise<Rows> {
  if (locked === undefined) return read()
  const have = new Set<string>()
  const account = ctx.memory.account('keys of rows that are locked')
  try {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (const row of await textsInstead(ctx, exec, locked.lock, new KeptRows(account)))
        have.add(keyOf(row))
      const rows = await read()
      if (rows.at(-1)!.every((row) => have.has(keyOf(row)))) return rows
    }
  } finally {
    account.set(0)
  }
  throw weftError('rows_changed', { verb: exec.plan.tag })
}

const keyOf = (row: GivenRow): string => JSON.stringify(row)

/** The client's text is right: so what is wrong with the rest is that rows are no table. */
export async function mustHold(ctx: ExecContext, rest: string, paramTypes: readonly number[]): Promise<void> {
  try {
    await describedAtHome(ctx, rest, paramTypes)
  } catch (error) {
    throw error instanceof PgError ? weftError('not_supported', NO_TABLE, error) : error
  }
}

const NO_TABLE: Refused = {
  id: 'with_write',
  what: 'a data-modifying WITH query beside what is said of tables only, over several shards is not supported',
  hint: 'Run it as a statement of its own, in the same transaction.',
}

interface Reads {
  /** WITH queries that the texts name. */
  readonly once?: string
  readonly arms: readonly string[]
}

/** Of several texts, as of one moment: in one statement, each row with the number of its text. */
export async function readRows(
  ctx: ExecContext,
  exec: Execution,
  { once = '', arms: texts }: Reads,
  columns: readonly (readonly GivenColumn[])[],
  account: MemoryAccount,
): Promise<Rows> {
  if (texts.length === 0) return []
  account.set(0)
  const kept = new KeptRows(account)
  if (texts.length === 1) return [await textsInstead(ctx, exec, once + texts[0]!, kept)]
  const width = Math.max(...columns.map(({ length }) => length))
  const arms = texts.map((sql, i) => armOf(sql, i, columns[i]!.length, width))
  const rows = await textsInstead(ctx, exec, once + arms.join(' UNION ALL '), kept)
  return texts.map((_, i) =>
    rows.filter(([number]) => number === String(i)).map((row) => row.slice(1, 1 + columns[i]!.length)),
  )
}

/** Values as a type's output says them, which is not always its cast to text. */
function armOf(sql: string, number: number, count: number, width: number): string {
  const names = Array.from({ length: count }, (_, i) => `c${i}`)
  const texts = Array.from({ length: width }, (_, i) =>
    i < count
      ? `CASE WHEN pg_catalog.num_nulls(r.c${i}) = 0 THEN pg_catalog.concat(r.c${i}) END`
      : 'NULL::text',
  )
  const alias = count === 0 ? 'r' : `r (${names.join(', ')})`
  return `SELECT ${[number, ...texts].join(', ')} FROM (${sql}) AS ${alias}`
}
