import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import {
  type FirstStep,
  type GivenColumn,
  itemsOf,
  type MovedInConflict,
  withItems,
} from '../../../sql/plan/first/first-step.ts'
import { quoteText } from '../../../sql/plan/text-scan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'
import { describedAtHome } from '../answers/evaluate.ts'
import { KeptRows } from '../answers/kept-rows.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { quoteTable } from '../quote.ts'
import { tagWithCount } from '../shards/replies.ts'
import { queryShard } from '../shards/send.ts'
import { columnsOf, countIn, countInstead, instead, textsInstead } from './instead.ts'
import { mustBeMovable } from './movable.ts'

/**
 * INSERT … ON CONFLICT DO UPDATE that sets the shard key (docs/decisions/0060-what-conflicts-draw.md,
 * docs/decisions/0066-rows-in-conflict-that-move.md). Row by row, as in Postgres: it is inserted, or the one that is in
 * its way is locked; that is then changed by an UPDATE.
 */
export async function runMovedInConflict(
  ctx: ExecContext,
  exec: Execution,
  step: FirstStep,
  moves: MovedInConflict,
): Promise<void> {
  await ctx.needTransaction()
  await ctx.admit()
  // What is wrong with the client's text is told as if it had run as it is.
  const asked = exec.asked ?? exec.text
  const { paramTypes, columns: origins } = await describedAtHome(ctx, asked, exec.paramTypes)
  await mustBeMovable(ctx, moves)
  await mustBePrimary(ctx, moves)
  const typed: Execution = { ...exec, paramTypes, asked, origins }
  const accounts = ['rows of a query that are inserted one by one', 'keys of rows that are written']
  const [given, keys] = accounts.map((name) => ctx.memory.account(name)) as [MemoryAccount, MemoryAccount]
  try {
    const { rows, columns } = await rowsOf(ctx, typed, moves, given)
    const changes = new RowsInConflict(ctx, typed, step, moves, keys)
    await changes.all(rows)
    // Columns and rights are told all the same.
    if (rows.length === 0)
      await instead(ctx, typed, withItems(moves.none!, itemsOf({ columns, rows: [] }, [], quoteText)), true)
    ctx.out.dropHeld()
    ctx.out.hold(tagWithCount('INSERT 0 0', changes.count))
  } finally {
    given.set(0)
    keys.set(0)
  }
}

interface Rows {
  readonly rows: readonly (readonly string[])[]
  readonly columns: readonly GivenColumn[]
}

async function rowsOf(
  ctx: ExecContext,
  exec: Execution,
  { rows }: MovedInConflict,
  account: MemoryAccount,
): Promise<Rows> {
  if (typeof rows !== 'string') return { rows, columns: [] }
  ctx.state.trace?.doing('Reads the rows')
  const described = await columnsOf(ctx, { sql: rows, collates: false }, exec.paramTypes)
  // They get those of the table's columns.
  const columns = described.map(({ collation: _, ...column }) => column)
  const texts = await textsInstead(ctx, exec, rows, new KeptRows(account))
  return { rows: texts.map((row) => itemsOf({ columns, rows: [] }, row, quoteText)), columns }
}

/** Rows of one statement, one after the other. */
class RowsInConflict {
  count = 0
  private readonly ctx: ExecContext
  private exec: Execution
  private readonly step: FirstStep
  private readonly moves: MovedInConflict
  private readonly account: MemoryAccount
  /** What the statement has written, by what conflicts are about. */
  private readonly written = new Set<string>()
  private isReferred = false

  constructor(
    ctx: ExecContext,
    exec: Execution,
    step: FirstStep,
    moves: MovedInConflict,
    account: MemoryAccount,
  ) {
    this.ctx = ctx
    this.exec = exec
    this.step = step
    this.moves = moves
    this.account = account
  }

  async all(rows: readonly (readonly string[])[]): Promise<void> {
    const [first] = rows
    if (first === undefined) return
    if (this.moves.becomes === undefined) return this.alone(first)
    // Values of it are told apart by their texts.
    const sql = withItems(this.moves.found, first)
    await columnsOf(this.ctx, { sql, collates: false }, this.exec.paramTypes)
    this.isReferred = await isReferred(this.ctx, this.moves)
    try {
      for (const items of rows) await this.oneOf(items)
    } catch (error) {
      const isEarly = error instanceof PgError && error.fields.code === '23503' && this.isReferred
      // Postgres would look at the end of the statement only.
      throw isEarly ? weftError('not_supported', REFERRED, error) : error
    }
  }

  /** The only row of its statement. */
  private async alone(items: readonly string[]): Promise<void> {
    if ((await this.inserts(items)) || !(await this.mayChange(items))) return
    if ((await this.changes(items)) > 0) return
    // Whatever it is that hides the row, it is locked for nothing.
    if (this.moves.check !== undefined || (await this.texts(this.moves.found, items)).length === 0)
      throw changed()
  }

  private async oneOf(items: readonly string[]): Promise<void> {
    const { found, becomes, check } = this.moves
    const isInserted = await this.inserts(items)
    const [key] = await this.texts(found, items)
    // Policies hide no row that the statement has written.
    if (key === undefined && (isInserted || check === undefined)) throw changed()
    if (isInserted) return this.note(key!)
    if (key !== undefined && this.written.has(key)) throw twice()
    if (!(await this.mayChange(items))) return
    const [other] = await this.texts(becomes!, items)
    if (other === undefined && check === undefined) return
    if (other === undefined || (await this.changes(items)) === 0) throw changed()
    this.note(other)
  }

  private note(key: string): void {
    this.account.add(KEY_BYTES + 2 * key.length)
    this.written.add(key)
  }

  private async inserts(items: readonly string[]): Promise<boolean> {
    this.ctx.state.trace?.doing('Inserts the row, or locks the one in its way')
    return (await this.counted(withItems(this.step.rest, items))) > 0
  }

  private async changes(items: readonly string[]): Promise<number> {
    this.ctx.state.trace?.doing('Changes the row that is in the way')
    return this.counted(withItems(this.step.sql, items))
  }

  /** False: it is not to be changed. Without policies that is told by the change itself. */
  private async mayChange(items: readonly string[]): Promise<boolean> {
    const { check } = this.moves
    if (check === undefined) return true
    return (await countInstead(this.ctx, this.exec, withItems(check, items))) > 0
  }

  private async counted(text: string): Promise<number> {
    await instead(this.ctx, this.exec, text, true)
    this.exec = { ...this.exec, wantsRowDescription: false }
    const count = countIn(this.ctx.out.takeHeld())
    this.count += count
    return count
  }

  private async texts(text: string, items: readonly string[]): Promise<readonly string[]> {
    const account = this.ctx.memory.account('a row in conflict')
    try {
      const rows = await textsInstead(this.ctx, this.exec, withItems(text, items), new KeptRows(account))
      return rows.map((row) => JSON.stringify(row))
    } finally {
      account.set(0)
    }
  }
}

const KEY_BYTES = 64

const changed = (): PgError => weftError('rows_changed', { verb: 'INSERT' })

const twice = (): PgError =>
  new PgError({
    code: '21000',
    message: 'ON CONFLICT DO UPDATE command cannot affect row a second time',
    hint: 'Ensure that no rows proposed for insertion within the same command have duplicate constrained values.',
  })

const REFERRED: Refused = {
  id: 'conflict_key_change',
  what:
    'an INSERT … ON CONFLICT DO UPDATE of several rows that sets the shard key is not supported where a foreign key refers ' +
    'to the table and does not hold after each of them',
  hint: 'Insert the rows one by one, in one transaction, with the constraint DEFERRED.',
}

const OF_OTHER: Refused = {
  id: 'conflict_key_change',
  what: 'ON CONFLICT ON CONSTRAINT … DO UPDATE that sets the shard key is supported for primary keys only',
  hint: 'Name the columns: ON CONFLICT (…).',
}

const UNLOOKED = { writes: false, looks: false }

async function mustBePrimary(ctx: ExecContext, moves: MovedInConflict): Promise<void> {
  if (moves.constraint === undefined) return
  const sql =
    'SELECT FROM pg_catalog.pg_constraint WHERE conrelid = pg_catalog.to_regclass($1) AND conname = $2 ' +
    "AND contype = 'p'"
  const { rows } = await queryShard(
    ctx,
    ctx.line(HOME),
    sql,
    [quoteTable(moves.table), moves.constraint],
    UNLOOKED,
  )
  if (rows.length === 0) throw weftError('not_supported', OF_OTHER)
}

async function isReferred(ctx: ExecContext, moves: MovedInConflict): Promise<boolean> {
  const sql =
    "SELECT FROM pg_catalog.pg_constraint WHERE contype = 'f' AND confrelid IN " +
    '(SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)) UNION SELECT pg_catalog.to_regclass($1)) LIMIT 1'
  const { rows } = await queryShard(ctx, ctx.line(HOME), sql, [quoteTable(moves.table)], UNLOOKED)
  return rows.length > 0
}
