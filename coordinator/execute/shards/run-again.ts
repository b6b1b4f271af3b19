import { weftError } from '../../../errors/catalog.ts'
import { PgError } from '../../../errors/pg-error.ts'
import { isRefusalId } from '../../../errors/refusals/refusals.ts'
import { ExecFailed } from './replies.ts'

/**
 * What an agent refuses, or ends unseen, so that it is run once more: planned on an old shard map, or sent whole when a
 * cut had to wait for it. Such errors reach a client only when a part of the answer already has.
 */
const STALE_MAP = weftError('stale_map', { have: 0, need: 0 }).message
const RUN_AGAIN = weftError('run_again', {}).message
const OLD_PLAN = weftError('plan_outdated', {}).fields.routine
const LAPSED: ReadonlySet<string> = new Set([
  weftError('cut_lapsed', { shard: 0 }).message,
  weftError('rows_moved', {}).message,
  weftError('view_replaced', {}).message,
])

export function isStaleMap(error: unknown): boolean {
  return error instanceof PgError && error.code === '40001' && error.message === STALE_MAP
}

/**
 * It lost its cut before it had begun somewhere, or rows changed their shard while it ran: run from the beginning of its
 * transaction, it goes through.
 */
export function hasLapsed(error: unknown): boolean {
  return error instanceof PgError && error.code === '40001' && LAPSED.has(error.message)
}

const IN_USE: ReadonlySet<string> = new Set(
  ['update', 'delete'].map((verb) => `could not serialize access due to concurrent ${verb}`),
)

/** A row was changed by others after the snapshot was taken, which in one Postgres would not have been kept. */
export function hasOldSnapshot(error: unknown): boolean {
  return error instanceof PgError && error.code === '40001' && IN_USE.has(error.message)
}

function isInTheWay(error: unknown): boolean {
  return error instanceof PgError && error.code === '40001' && error.message === RUN_AGAIN
}

/** Whether it may go through when it is run again; `sent`: Postgres may have run some of it for good. */
export function mayRunAgain(error: PgError, sent: boolean): boolean {
  return !sent && (isStaleMap(error) || isInTheWay(error) || hasOldPlan(error))
}

/** Nothing of it ran, and with a newer shard map it may go through. */
export function mayPlanAgain(error: unknown): boolean {
  return error instanceof ExecFailed && !error.sent && isStaleMap(error)
}

/** No server has said so, but a plan, which another shard map might have made otherwise. */
export function isOwnRefusal(error: unknown): boolean {
  if (!(error instanceof PgError) || error instanceof ExecFailed) return false
  const { code, routine } = error.fields
  // Postgres always says which function of its own it was.
  return routine === undefined ? code.startsWith('42') : isRefusalId(routine)
}

/** What was prepared for it has other columns now; the next time it is prepared anew. */
export function hasOldPlan(error: unknown): boolean {
  return error instanceof PgError && error.code === '0A000' && error.fields.routine === OLD_PLAN
}

/** Nothing of it is left, and as it is it goes through next time. */
export function mayRunAsItIs(error: unknown): boolean {
  return error instanceof ExecFailed && !error.sent && isInTheWay(error)
}
