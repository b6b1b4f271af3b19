import type { Catalog } from '../catalog.ts'
import { customUseIn, NO_CUSTOM_USE } from '../code/custom-settings.ts'
import { EFFECT, type Effects, effectsOfText, NO_EFFECTS, STATE_EFFECTS } from '../code/effects.ts'
import type { Reach } from '../code/overreach.ts'
import { ofStatement } from './of-statement.ts'
import type { Plan } from './plan.ts'
import { mayReach, REACHES_NOTHING, reachFrom } from './reach.ts'
import { ownTableError } from './row-code.ts'
import { withSequences } from './with-sequences.ts'

/** They run nothing, or say by themselves what they leave. */
const BY_THEMSELVES: ReadonlySet<Plan['kind']> = new Set(['transaction', 'setting', 'refused', 'empty'])

/**
 * The plan with what the code may leave that the statement runs without calling it: triggers, defaults, policies,
 * operators, functions of views. Whatever its text names counts.
 */
export function withCode(written: Plan, text: string, catalog: Catalog): Plan {
  if (written.kind === 'prepared')
    return withSequences(withCustom(written, text, catalog, NO_EFFECTS), text, NO_EFFECTS)
  if (BY_THEMSELVES.has(written.kind)) return written
  const all = ofStatement(catalog, text)
  const plan = withCustom(withCompiled(written, (all & EFFECT.compiles) !== 0), text, catalog, all)
  return withSequences(plan.tag === 'DO' ? plan : withState(plan, text, catalog, all), text, all)
}

function withState(plan: Plan, text: string, catalog: Catalog, all: Effects): Plan {
  const reach =
    plan.reach ?? (mayReach(catalog, all, plan.commits) ? reachWhere(plan, text, catalog) : undefined)
  const leaves = plan.effects.leaves | (all & STATE_EFFECTS) | calledIn(plan, text)
  const left = leaves === plan.effects.leaves ? plan : withEffects(plan, leaves)
  const known =
    left.kind === 'ddl' && (isPartOfCode(all, text) || isDrawer(plan, all))
      ? { ...left, changesMap: true }
      : left
  return reach === undefined ? known : { ...known, reach }
}

/** On the home shard, by statements that are not analyzed. */
const RUNS_CODE: ReadonlySet<string> = new Set([
  'CALL',
  'REFRESH MATERIALIZED VIEW',
  'COPY',
  'TRUNCATE TABLE',
])

/** Of statements that are not analyzed; those that have a query inside go by that. */
function reachWhere(plan: Plan, text: string, catalog: Catalog): Reach | undefined {
  if (plan.kind === 'copy') {
    const { table } = plan
    if (plan.direction === 'in') {
      const error = ownTableError(catalog, [{ relation: table, verb: 'INSERT' }])
      if (error !== undefined) throw error
    }
    return reachFrom(catalog, text, table.kind === 'sharded' ? [table] : [], table.kind === 'reference')
  }
  if (plan.kind === 'ddl' && plan.truncated !== undefined) {
    const isOf = (kind: string) => plan.truncated!.filter((table) => table.kind === kind)
    return reachFrom(catalog, text, isOf('sharded'), isOf('reference').length > 0)
  }
  return RUNS_CODE.has(plan.tag) ? REACHES_NOTHING : undefined
}

function withCompiled<P extends Plan>(plan: P, compiles: boolean): P {
  return compiles ? { ...plan, effects: { ...plan.effects, compiles } } : plan
}

/** Statements that say names of settings outside of calls, and hold for no other text. */
const SAYS_NAMES: ReadonlySet<string> = new Set(['SHOW', 'DO'])

/** Names in literals are told when it runs: plans hold for texts with other ones. */
function withCustom(plan: Plan, text: string, catalog: Catalog, all: Effects): Plan {
  const isSaid = SAYS_NAMES.has(plan.tag) || plan.kind === 'ddl'
  const inText =
    /current_setting|set_config|pg_settings_get_flags/i.test(text) ||
    (isSaid && customUseIn(text) !== NO_CUSTOM_USE)
  const inCode = (all & EFFECT.names) !== 0 ? catalog.code?.customUseOf(text) : undefined
  if (!inText && (inCode === undefined || inCode === NO_CUSTOM_USE)) return plan
  return { ...plan, effects: { ...plan.effects, custom: { ...(inCode ?? NO_CUSTOM_USE), inText } } }
}

function withEffects<P extends Plan>(plan: P, leaves: Effects): P {
  return { ...plan, effects: { ...plan.effects, taintsBackend: leaves !== NO_EFFECTS, leaves } }
}

const COUNTS: Effects = STATE_EFFECTS | EFFECT.reaches | EFFECT.defines | EFFECT.backends | EFFECT.compiles

/**
 * What is defined by code that leaves or reaches something, speaks of backends, or is compiled by the search path, does so
 * too, and the names of settings count: the catalog is read again.
 */
function isPartOfCode(effects: Effects, text: string): boolean {
  const all = effects | (effectsOfText('query', text) & EFFECT.backends)
  if ((all & COUNTS) !== NO_EFFECTS) return true
  return /current_setting/i.test(text) && customUseIn(text).asks.length > 0
}

/** From now on rows of its table may draw. */
const isDrawer = ({ tag }: Plan, effects: Effects): boolean =>
  tag === 'CREATE TRIGGER' && (effects & EFFECT.advances) !== NO_EFFECTS

const UNWALKED: ReadonlySet<Plan['kind']> = new Set(['ddl', 'materialize', 'copy', 'explain'])

/** Of statements whose syntax tree nobody walks: what they call of Postgres' own. */
function calledIn(plan: Plan, text: string): Effects {
  return !UNWALKED.has(plan.kind) ? NO_EFFECTS : effectsOfText('query', text) & STATE_EFFECTS
}
