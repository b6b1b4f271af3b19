import { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import type { ModifyPlan, ModifyStep } from '../../../sql/plan/gather/gather-plan.ts'
import { type ExecContext, type Execution, HOME } from '../context.ts'
import { needsCut } from '../shards/on-shards.ts'
import { queryShard } from '../shards/send.ts'
import { settleAll } from '../shards/settle-all.ts'
import { Places } from './places.ts'

/** What a statement has locked of what it has found. */
export class Locks {
  private readonly ctx: ExecContext
  private readonly exec: Execution
  private readonly step: ModifyStep
  private readonly locked = new Places()
  private readonly isUnlocked: boolean
  /** Policies of UPDATE hide them: Postgres would not change them either. */
  readonly hidden = new Places()

  constructor(ctx: ExecContext, exec: Execution, step: ModifyStep, isUnlocked: boolean) {
    this.isUnlocked = isUnlocked
    this.ctx = ctx
    this.exec = exec
    this.step = step
  }

  get count(): number {
    return this.locked.count + this.hidden.count
  }

  /**
   * True: all that is not hidden is as it was found, and stays so. Shard after shard, and no further than where a row has
   * changed: so all who lock do it in one order, and none waits for who waits for it.
   */
  async take(found: Places): Promise<boolean> {
    const { ctx, locked, hidden, step } = this
    const missing = found.without(hidden).without(locked)
    for (const shard of this.isUnlocked ? [] : missing.shards) {
      const asked = missing.on(shard)
      locked.addAll(await lock(ctx, this.exec, step, asked))
      const missed = asked.without(locked)
      if (missed.count === 0) continue
      const there = await placesBy(ctx, step.modify.look, missed, false)
      // Where one has changed none was locked, hidden or not.
      if (missed.without(there).count > 0) return false
      hidden.addAll(there)
    }
    return true
  }
}

/** Those that could be locked. */
async function lock(
  ctx: ExecContext,
  exec: Execution,
  { modify }: ModifyStep,
  asked: Places,
): Promise<Places> {
  try {
    return await placesBy(ctx, modify.lock, asked, true)
  } catch (error) {
    throw error instanceof PgError ? readOnlyError(exec, error) : error
  }
}

const READ_ONLY = '25006'
/** What locks rows for a statement is no statement of the client's. */
export const readOnlyError = ({ plan }: Execution, error: PgError): PgError =>
  error.code === READ_ONLY
    ? new PgError({ code: READ_ONLY, message: `cannot execute ${plan.tag} in a read-only transaction` })
    : error

/** Runs a text on the shards of places, which gives those that it has found. */
export async function placesBy(
  ctx: ExecContext,
  sql: string,
  asked: Places,
  writes: boolean,
  shards: readonly number[] = asked.shards,
): Promise<Places> {
  ctx.state.trace?.doing(writes ? 'Locks rows' : 'Looks at rows again')
  const found = new Places()
  const one = async (shard: number): Promise<void> => {
    const { rows } = await queryShard(ctx, ctx.line(shard), sql, asked.arrays(shard), { writes })
    for (const [oid, tid, xmin] of rows)
      found.add({ shard, oid: String(oid), tid: String(tid), xmin: String(xmin) })
  }
  await settleAll(shards.map(one))
  return found
}

/** FOR UPDATE takes the right to UPDATE, and is under its policies; a DELETE's own rights and policies may be others. */
export async function mayNotLock(
  ctx: ExecContext,
  { unlocked, locksByUpdate }: Pick<ModifyPlan, 'unlocked' | 'locksByUpdate'>,
): Promise<boolean> {
  if (unlocked === true) return true
  if (locksByUpdate === undefined || !(needsCut(ctx) || ctx.tx.givenSnapshot)) return false
  await ctx.admit()
  const { rows } = await queryShard(ctx, ctx.line(HOME), MAY_UPDATE, [String(locksByUpdate)], {
    writes: false,
    looks: false,
  })
  // Of a table that is gone, and of a temporary one, there is nothing to say.
  return rows[0]?.[0]?.toString('utf8') === 'f'
}

const MAY_UPDATE = `SELECT pg_catalog.has_any_column_privilege($1::pg_catalog.oid, 'UPDATE')`

export const BY_RIGHTS: Refused = {
  id: 'row_security',
  what:
    'a DELETE whose rows are found by gathering, with policies that differ by command or without the right to UPDATE, is not ' +
    'supported in a READ COMMITTED transaction',
  hint: 'BEGIN ISOLATION LEVEL REPEATABLE READ.',
}
