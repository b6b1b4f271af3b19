import type { Analysis } from '../analyze/analyze.ts'
import { planAggregate } from './aggregate.ts'
import type { ForwardPlan, KeyRestriction, Plan, PlanContext } from './plan.ts'
import {
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
  refused,
  restrictionsOf,
  scatterError,
} from './routing.ts'
import { nestedError } from './writes.ts'

type OnSeveral = ForwardPlan['onSeveral']

/** SELECT, VALUES and TABLE. */
export function planSelect(a: Analysis, text: string, ctx: PlanContext): Plan {
  const common = commonFields(a, 'SELECT', true)
  const error = mixError(a) ?? placeError(a) ?? nestedError(a)
  if (error) return refused(a, 'SELECT', error)
  if (a.occurrences.length === 0) return forwardTo(common, { kind: canRunAnywhere(a) ? 'any' : 'home' })
  const restrictions = restrictionsOf(a.occurrences)
  const described = { ...common, paramsToDescribe: paramsToDescribe(a, ctx) }
  const onSeveral = severally(a, text, restrictions)
  if (!restrictions) {
    if (onSeveral.kind === 'refuse') return refused(a, 'SELECT', onSeveral.error)
    const plan: ForwardPlan = { ...common, kind: 'forward', route: { kind: 'all' }, onSeveral }
    return withGeneric(a, plan)
  }
  const plan: ForwardPlan = {
    ...described,
    kind: 'forward',
    route: keysRoute(a, restrictions),
    onSeveral,
  }
  return withGeneric(a, plan)
}

/** Only reference tables, and nothing that is somewhere in particular. */
function canRunAnywhere(a: Analysis): boolean {
  const { traits } = a
  if (a.references.length === 0 || a.locals.length > 0) return false
  if (traits.writes || traits.locksRows || traits.modifies || traits.currentOf) return false
  return (traits.user ?? traits.home ?? traits.server ?? traits.systemColumn) === undefined
}

function severally(
  a: Analysis,
  text: string,
  restrictions: readonly KeyRestriction[] | undefined,
): OnSeveral {
  const { status, rows } = a.solved
  // Making an error that nobody will see costs more than the rest.
  if (restrictions && isSingle(restrictions))
    return status.kind === 'part' ? { kind: 'concat' } : NEVER_SEVERAL
  if (a.block.shape.aggregate !== undefined && status.kind === 'bad' && rows.kind === 'part') {
    const obstacle = scatterError(a, rows)
    if (obstacle) return { kind: 'refuse', error: obstacle }
    const aggregated = planAggregate(a, text)
    if (aggregated.kind === 'plan') return { kind: 'aggregate', aggregate: aggregated.plan }
    return { kind: 'refuse', error: notYet(aggregated.what, keyHint(a)) }
  }
  const error = scatterError(a, status)
  return error ? { kind: 'refuse', error } : { kind: 'concat' }
}

/** The texts of an aggregate plan hold the statement's literals; what OFFSET says decides what several shards can do. */
function withGeneric(a: Analysis, plan: ForwardPlan): ForwardPlan {
  const { skips } = a.traits
  const isOfText = plan.onSeveral.kind === 'aggregate' && a.literalCount > 0
  const generic = plan.generic && !isOfText
  return skips.length === 0 ? { ...plan, generic } : { ...plan, generic, skips }
}
