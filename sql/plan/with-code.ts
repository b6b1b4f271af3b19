import type { Catalog } from '../catalog.ts'
import { settingNamesIn } from '../code/code-graph.ts'
import { EFFECT, type Effects, effectsOfText, NO_EFFECTS, STATE_EFFECTS } from '../code/effects.ts'
import type { Plan } from './plan.ts'

/** They run nothing, or say by themselves what they leave. */
const BY_THEMSELVES: ReadonlySet<Plan['kind']> = new Set([
  'transaction',
  'setting',
  'prepared',
  'refused',
  'empty',
])

/**
 * The plan with what the code may leave that the statement runs without calling it: triggers, defaults, policies,
 * operators, functions of views. Whatever its text names counts.
 */
export function withCode(plan: Plan, text: string, catalog: Catalog): Plan {
  if (BY_THEMSELVES.has(plan.kind) || plan.tag === 'DO') return plan
  const named = (catalog.code?.ofStatement(text) ?? NO_EFFECTS) & STATE_EFFECTS
  const leaves = plan.effects.leaves | named | calledIn(plan, text)
  if (plan.kind === 'ddl' && (named !== NO_EFFECTS || isOfCode(text, catalog)))
    return { ...withEffects(plan, leaves), changesMap: true }
  return leaves === plan.effects.leaves ? plan : withEffects(plan, leaves)
}

function withEffects<P extends Plan>(plan: P, leaves: Effects): P {
  return { ...plan, effects: { ...plan.effects, taintsBackend: leaves !== NO_EFFECTS, leaves } }
}

/**
 * What is defined by code that leaves something does so too, by code that speaks of backends as well, and the names of
 * settings count: the catalog is read again.
 */
function isOfCode(text: string, catalog: Catalog): boolean {
  const all = effectsOfText('query', text) | (catalog.code?.ofStatement(text) ?? NO_EFFECTS)
  if ((all & EFFECT.backends) !== 0) return true
  return /current_setting/i.test(text) && settingNamesIn(text).length > 0
}

/** Of statements whose syntax tree nobody walks: what they call of Postgres' own. */
function calledIn(plan: Plan, text: string): Effects {
  const isWalked = plan.kind !== 'ddl' && plan.kind !== 'copy' && plan.kind !== 'explain'
  return isWalked ? NO_EFFECTS : effectsOfText('query', text) & STATE_EFFECTS
}
