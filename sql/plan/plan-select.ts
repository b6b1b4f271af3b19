import type * as Pg from '@pgsql/types'
import type { PgError } from '../../errors/pg-error.ts'
import { qualified, type SelectStmt, walk } from '../parse/ast.ts'
import type { Analysis } from '../place/analyze.ts'
import { isHomeFunction } from '../tree/functions.ts'
import { planAggregate } from './aggregate.ts'
import { isGathered } from './gather/gather-plan.ts'
import { planGather } from './gather/plan-gather.ts'
import { planLock } from './gather/plan-lock.ts'
import { planSpread } from './gather/plan-spread.ts'
import { whyNotGathered } from './gather/why-not.ts'
import type { ForwardPlan, KeyRestriction, Plan, PlanContext, Route } from './plan.ts'
import {
  becauseOf,
  commonFields,
  forwardTo,
  isSingle,
  keyHint,
  keysRoute,
  mixError,
  NEVER_SEVERAL,
  notYet,
  paramsToDescribe,
  placeError,
  referredLock,
  refused,
  restrictionsOf,
  scatterError,
  unsupported,
} from './routing.ts'
import { nestedError } from './writes.ts'

type OnSeveral = ForwardPlan['onSeveral']

/** SELECT, VALUES and TABLE. */
export function planSelect(a: Analysis, text: string, ctx: PlanContext): Plan {
  const common = commonFields(a, 'SELECT', true)
  const error = placeError(a) ?? nestedError(a)
  if (error && callsAtHome(a)) return planApart(a, text, ctx, error, () => error)
  if (error) return refused(a, 'SELECT', error)
  const copyLocked = lockError(a)
  if (copyLocked) return planApart(a, text, ctx, copyLocked, () => copyLocked)
  const mixed = mixError(a)
  const isSource = ctx.around !== undefined && a.occurrences.length > 0
  if (mixed || isSource) return planApart(a, text, ctx, mixed ?? sourceError(a))
  if (a.occurrences.length === 0) {
    const plan = forwardTo(common, { kind: canRunAnywhere(a) ? 'any' : 'home' })
    return locksCopies(a) ? { ...plan, locksCopies: true } : plan
  }
  const restrictions = restrictionsOf(a.occurrences)
  const described = { ...common, paramsToDescribe: paramsToDescribe(a, ctx) }
  const { onSeveral, ...why } = severally(a, text, restrictions, ctx)
  if (!restrictions) {
    if (onSeveral.kind === 'refuse') return refused(a, 'SELECT', onSeveral.error)
    const plan: ForwardPlan = { ...common, kind: 'forward', route: { kind: 'all' }, onSeveral, ...why }
    return withGeneric(a, plan)
  }
  // The shards of all keys together can answer it, unless it is refused.
  const route: Route =
    onSeveral.kind === 'refuse' ? keysRoute(a, restrictions) : { kind: 'keys', restrictions }
  return withGeneric(a, { ...described, kind: 'forward', route, onSeveral, ...why })
}

/** What it calls of the home shard's can be called there, over rows that were gathered. */
function callsAtHome({ traits, block }: Analysis): boolean {
  let isEach = traits.home !== undefined
  walk(block.node, (kind, body) => {
    const { name } = kind === 'FuncCall' ? qualified((body as Pg.FuncCall).funcname) : { name: '' }
    if (isHomeFunction(name) && !IN_PLACE.test(name)) isEach = false
  })
  return isEach
}

const IN_PLACE = /^(?:nextval|currval|lastval|setval|lo_\w+|pg_(?:try_)?advisory_xact_lock(?:_shared)?)$/

/** Only reference tables, and nothing that is somewhere in particular. */
function canRunAnywhere(a: Analysis): boolean {
  const { traits } = a
  if (a.references.length === 0 || a.locals.length > 0) return false
  if (traits.writes || traits.locksRows || traits.modifies || traits.currentOf !== undefined) return false
  return (traits.user ?? traits.home ?? traits.server ?? traits.systemColumn) === undefined
}

/**
 * Home's copy is the one on which row locks of a reference table meet; a query that runs where sharded rows are would
 * lock another. Which rows SKIP LOCKED has skipped there, the other copies cannot tell.
 */
function lockError(a: Analysis): PgError | undefined {
  const table = a.lockedReferences[0]
  if (table === undefined || a.catalog.shardCount === 1) return undefined
  const referred = referredLock(a)
  if (referred !== undefined && a.traits.skipsLocked) {
    return unsupported(
      'reference_row_lock',
      `FOR UPDATE SKIP LOCKED on reference table "${referred.name}" is not supported: sharded table ` +
        `"${referred.referredBy}" refers to it, and checks its rows on every shard`,
      'Lock the rows FOR NO KEY UPDATE SKIP LOCKED, or leave SKIP LOCKED out.',
    )
  }
  const sharded = a.occurrences[0]?.relation
  if (sharded === undefined) return undefined
  return unsupported(
    'reference_row_lock',
    `locking rows of reference table "${table.name}" in a query on sharded table "${sharded.name}" is not supported: ` +
      'one copy only would be locked',
    `Lock them by a SELECT … FOR UPDATE on "${table.name}" alone, in the same transaction; ` +
      'FOR UPDATE OF … says which tables of a join are locked.',
  )
}

/** The same rows are to be locked on every copy. Whoever writes to them, or locks them, meets the lock on home's. */
function locksCopies(a: Analysis): boolean {
  const { user, home, random, writes } = a.traits
  if (referredLock(a) === undefined || a.locals.length > 0 || writes) return false
  return (user ?? home ?? random) === undefined
}

function severally(
  a: Analysis,
  text: string,
  restrictions: readonly KeyRestriction[] | undefined,
  ctx: PlanContext,
): Pick<ForwardPlan, 'onSeveral' | 'because'> {
  const { status } = a.solved
  // Making a plan, or an error, that nobody will need costs more than the rest.
  if (restrictions && isSingle(restrictions)) {
    if (restrictions.length === 1)
      return { onSeveral: status.kind === 'part' ? { kind: 'concat' } : NEVER_SEVERAL }
    if (ctx.outside === undefined) return { onSeveral: { kind: 'gather-outside', relations: [] } }
  }
  if (ctx.pushdown === false) {
    const general = gatherStep(a, text, ctx)
    if (general !== undefined) return { onSeveral: general, because: 'weft.pushdown is off' }
  }
  const pushed = pushedDown(a, text)
  if (pushed.kind !== 'refuse') {
    // Each shard would leave out rows of its own.
    const general = a.traits.skips.length > 0 ? gatherStep(a, text, ctx) : undefined
    return general === undefined ? { onSeveral: pushed } : { onSeveral: general, because: 'OFFSET' }
  }
  const general = gatherStep(a, text, ctx)
  if (general !== undefined) return { onSeveral: general, ...becauseOf(pushed.error) }
  return { onSeveral: { kind: 'refuse', error: whyNotGathered(a, ctx) ?? pushed.error } }
}

/** Of a query in another statement its text is not all. */
function gatherStep(a: Analysis, text: string, ctx: PlanContext): OnSeveral | undefined {
  const select = a.block.node as SelectStmt
  if (ctx.around === undefined && select.lockingClause) return planLock(a, select, text, ctx)
  return ctx.around === undefined ? planSpread(a, text, ctx) : planGather(a, text, ctx)
}

/** Sharded rows that are needed on the home shard: no shard can run it as it is, not even one alone. */
function planApart(
  a: Analysis,
  text: string,
  ctx: PlanContext,
  error: PgError,
  refusal: () => PgError = () => whyNotGathered(a, ctx) ?? error,
): Plan {
  const onSeveral = gatherStep(a, text, ctx)
  if (onSeveral === undefined) return refused(a, 'SELECT', refusal())
  const common = { ...commonFields(a, 'SELECT', true), paramsToDescribe: paramsToDescribe(a, ctx) }
  const why = becauseOf(error)
  const plan = withGeneric(a, { ...common, kind: 'forward', route: { kind: 'all' }, onSeveral, ...why })
  // It locks copies of reference tables at home.
  const { locksHome: _, ...effects } = plan.effects
  return onSeveral.kind === 'gather-lock' ? { ...plan, effects } : plan
}

function sourceError(a: Analysis): PgError {
  return (
    scatterError(a, a.solved.status) ??
    notYet('several_shards', 'this query in another statement', keyHint(a))
  )
}

/** By what every shard can answer for its own rows. */
function pushedDown(a: Analysis, text: string): OnSeveral {
  const { status, rows } = a.solved
  if (a.block.shape.aggregate !== undefined && status.kind === 'bad' && rows.kind === 'part') {
    const obstacle = scatterError(a, rows)
    if (obstacle) return { kind: 'refuse', error: obstacle }
    const aggregated = planAggregate(a, text)
    if (aggregated.kind === 'plan') return { kind: 'aggregate', aggregate: aggregated.plan }
    return { kind: 'refuse', error: notYet('several_shards', aggregated.what, keyHint(a)) }
  }
  const error = scatterError(a, status)
  return error ? { kind: 'refuse', error } : { kind: 'concat' }
}

/** The texts of these plans hold the statement's literals; what OFFSET says decides what several shards can do. */
function withGeneric(a: Analysis, plan: ForwardPlan): ForwardPlan {
  const { skips } = a.traits
  const { kind } = plan.onSeveral
  const asksParts = plan.onSeveral.kind === 'gather-outside' && plan.onSeveral.parts !== undefined
  const isMade = kind === 'aggregate' || kind === 'gather' || kind === 'gather-lock' || asksParts
  const isOfText = isMade && a.literalCount > 0
  const generic = plan.generic && !isOfText
  const skipsOnce = isGathered(plan.onSeveral) || kind === 'gather-views' || kind === 'gather-lock'
  return skips.length === 0 || skipsOnce ? { ...plan, generic } : { ...plan, generic, skips }
}
