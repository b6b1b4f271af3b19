import { randomBytes } from 'node:crypto'
import { SLOT_GUARD } from '../../../sql/install/slot-guard.ts'
import { BEGUN } from '../../../sql/plan/begun-text.ts'
import { type ExecContext, HOME, shardsBesideHome } from '../context.ts'
import { copiesUnderCut } from '../copy/copy-under-cut.ts'
import { bringRows, type MovedTable, type RowsElsewhere, textCopy } from '../declare/move-rows.ts'
import { quoteName, quoteNames } from '../quote.ts'
import { withPortableSettings } from '../settings/portable-settings.ts'
import { needsCut } from '../shards/on-shards.ts'
import { endOfWrite, settle, simpleQuery } from '../shards/send.ts'
import { SessionRunner } from '../shards/session-runner.ts'
import { lockBeforeSnapshot } from '../transaction/open-snapshot.ts'
import type { LentFacts, LentTable } from './lend-facts.ts'

/**
 * Home is lent the rows of the other shards: each sharded table has a child there, in which they are, for the time of one
 * statement and in its transaction, so that nobody else ever sees it (docs/decisions/0051-materialized-views.md).
 */

/** A child inherits no constraint that its rows would break. Only for a moment is the table locked against readers. */
export async function letInherit(ctx: ExecContext, { tables }: LentFacts): Promise<void> {
  for (const table of tables) {
    if (table.guard === undefined) continue
    const { definition, isValid } = table.guard
    // In a block the lock is there until its end, however it is checked.
    const checksLater = isValid && !ctx.tx.isOpen
    const suffix = isValid && !checksLater ? '' : ' NOT VALID'
    const add = `ADD CONSTRAINT ${SLOT_GUARD} ${definition} NO INHERIT${suffix}`
    await run(ctx, `ALTER TABLE ONLY ${table.qualified} DROP CONSTRAINT ${SLOT_GUARD}, ${add}`)
    if (checksLater) await run(ctx, `ALTER TABLE ONLY ${table.qualified} VALIDATE CONSTRAINT ${SLOT_GUARD}`)
  }
}

async function run(ctx: ExecContext, sql: string): Promise<void> {
  const line = ctx.line(HOME)
  const options = { writes: true, commits: 'apart' } as const
  settle(ctx, line, await endOfWrite(ctx, line, simpleQuery(ctx, line, sql, options)))
}

/**
 * Begins a transaction in which home's part of the tables is of the state in which the other shards' is read: it has one
 * snapshot, or nobody else can write to them: with what else the query reads on home, they are as they are when it runs.
 * What was lent to another goes first.
 */
export async function beginToLend(
  ctx: ExecContext,
  { tables }: LentFacts,
  readsOne: boolean,
): Promise<LentState> {
  const runner = new SessionRunner(ctx)
  const names = tables.map(({ qualified }) => `ONLY ${qualified}`).join(', ')
  const lock = async (shard: number, mode: string): Promise<void> => {
    await runner.query(shard, `LOCK TABLE ${names} IN ${mode} MODE`, [], shard === HOME ? 'write' : 'read')
  }
  if (!ctx.tx.isOpen && (needsCut(ctx) || ctx.hasTransactionSnapshots)) {
    const modes = needsCut(ctx) ? ({ isolation: 'repeatable read' } as const) : undefined
    await lockBeforeSnapshot(ctx, async () => {
      await ctx.needTransaction(modes)
      await lock(HOME, 'SHARE UPDATE EXCLUSIVE')
    })
    await ctx.admit()
    return 'kept'
  }
  await ctx.needTransaction()
  const isKept = !needsCut(ctx)
  await lock(HOME, isKept ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE ROW EXCLUSIVE')
  if (isKept) return 'kept'
  if (readsOne) return 'cut'
  for (const shard of others(ctx)) await lock(shard, 'SHARE')
  return 'kept'
}

/**
 * `kept`: whatever is read later, by whomever, is of the state that the transaction has. `cut`: only on home is the table
 * locked, and what the others have is to be read in one statement.
 */
type LentState = 'kept' | 'cut'

const others = (ctx: ExecContext): number[] => shardsBesideHome(ctx.node.shardCount)

/** Runs `work` while home has the rows. When it fails, its transaction has, and with it goes all that was made here. */
export async function withLentRows<T>(
  ctx: ExecContext,
  { tables, encoding }: LentFacts,
  state: LentState,
  work: () => Promise<T>,
): Promise<T> {
  const runner = new SessionRunner(ctx)
  const children: string[] = []
  await withPortableSettings(runner, async () => {
    for (const table of tables) {
      const child = childOf(table)
      children.push(child)
      await runner.query(HOME, `CREATE UNLOGGED TABLE ${child} () INHERITS (${table.qualified})`, [], 'write')
      const moved = { name: table.qualified, columns: table.columns, encoding }
      await bringRows(runner, moved, child, state === 'cut' ? underCut(ctx, moved) : oneByOne(ctx, moved))
      await runner.query(HOME, `ANALYZE ${child}`, [], 'write')
    }
  })
  const done = await work()
  await runner.query(HOME, `DROP TABLE ${children.join(', ')}`, [], 'write')
  return done
}

const childOf = ({ schema }: LentTable): string =>
  `${quoteName(schema)}.${quoteName(`weft_rows_${randomBytes(8).toString('hex')}`)}`

/** In a transaction that sees one state whenever it reads. */
function oneByOne(ctx: ExecContext, table: MovedTable): RowsElsewhere {
  return async (take) => {
    const tags: string[] = []
    const sql = `COPY (${queryOf(table)}) TO STDOUT WITH ${textCopy(table)}`
    for (const shard of others(ctx)) tags.push((await new SessionRunner(ctx).copyOut(shard, sql, take)).tag)
    return tags
  }
}

function underCut(ctx: ExecContext, table: MovedTable): RowsElsewhere {
  const sql = `COPY (${queryOf(table)} WHERE ${BEGUN}) TO STDOUT WITH ${textCopy(table)}`
  const shards = others(ctx)
  const sqls = shards.map(() => sql)
  return (take) => copiesUnderCut(ctx, queryOf(table), shards, sqls, (_, row) => take(row))
}

const queryOf = ({ name, columns }: MovedTable): string => `SELECT ${quoteNames(columns)} FROM ONLY ${name}`
