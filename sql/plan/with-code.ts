import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { Catalog } from '../catalog.ts'
import { customUseIn, NO_CUSTOM_USE } from '../code/custom-settings.ts'
import { EFFECT, type Effects, effectsOfText, NO_EFFECTS, STATE_EFFECTS } from '../code/effects.ts'
import type { Reach } from '../code/overreach.ts'
import type { NodeKind } from '../parse/ast.ts'
import type { ParsedStatement } from '../parse/parse.ts'
import { ofStatement } from './of-statement.ts'
import type { Plan } from './plan.ts'
import { mayReach, REACHES_NOTHING, reachFrom, tableName } from './reach.ts'
import { ownTableError } from './row-code.ts'
import { effectsOfDefinition, reachOfDefinition, runsNone } from './runs-code.ts'
import { refused } from './utility/plans.ts'
import { withSequences } from './with-sequences.ts'

/** They run nothing, or say by themselves what they leave. */
const BY_THEMSELVES: ReadonlySet<Plan['kind']> = new Set(['transaction', 'setting', 'refused', 'empty'])

/**
 * The plan with what the code may leave that the statement runs without calling it: triggers, defaults, policies,
 * operators, functions of views. Whatever its text names counts.
 */
export function withCode(written: Plan, stmt: ParsedStatement, catalog: Catalog): Plan {
  const { text } = stmt
  if (written.kind === 'prepared')
    return withSequences(withCustom(written, text, catalog, NO_EFFECTS), text, NO_EFFECTS)
  if (BY_THEMSELVES.has(written.kind)) return written
  const all = ofStatement(catalog, text)
  const plan = withCustom(withCompiled(written, (all & EFFECT.compiles) !== 0), text, catalog, all)
  return withSequences(plan.tag === 'DO' ? plan : withState(plan, stmt, catalog, all), text, all)
}

function withState(plan: Plan, stmt: ParsedStatement, catalog: Catalog, all: Effects): Plan {
  const { text } = stmt
  const reach = plan.reach ?? reachWhere(plan, stmt, catalog, all)
  if (reach?.defines !== undefined && plan.outsideTransaction) return refused(plan.tag, unseen(plan.tag))
  const leaves = plan.effects.leaves | (all & STATE_EFFECTS) | calledIn(plan, text)
  const left = leaves === plan.effects.leaves ? plan : withEffects(plan, leaves)
  const known =
    left.kind === 'ddl' && (isPartOfCode(all, text) || isDrawer(plan, all))
      ? { ...left, changesMap: true }
      : left
  return reach === undefined ? known : { ...known, reach }
}

function unseen(tag: string): PgError {
  return weftError('not_supported', {
    id: 'code_reaches_shards',
    what:
      `${tag} of what runs code that may name any sharded or reference table is not supported: ` +
      'it allows no look at what that did',
    hint:
      'Without EXECUTE, and without the names of such tables, its code is known. ' +
      'CREATE INDEX need not be CONCURRENTLY.',
  })
}

/** As queries do, on the home shard. */
const AS_QUERIES: ReadonlySet<NodeKind> = new Set([
  'CallStmt',
  'RefreshMatViewStmt',
  'CopyStmt',
  'TruncateStmt',
])

/** Of statements that are not analyzed; those that have a query inside go by that. */
function reachWhere(plan: Plan, stmt: ParsedStatement, catalog: Catalog, all: Effects): Reach | undefined {
  const { text } = stmt
  if (runsNone(stmt.kind)) return undefined
  if (!AS_QUERIES.has(stmt.kind)) {
    const effects = effectsOfDefinition(catalog, stmt)
    return mayReach(catalog, effects, plan.commits) ? reachOfDefinition(catalog, stmt) : undefined
  }
  if (!mayReach(catalog, all, plan.commits)) return undefined
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
    const reach = reachFrom(catalog, text, isOf('sharded'), isOf('reference').length > 0)
    if (!reach.onCopies) return reach
    // Triggers are on home: what they write is not on other copies. Where CASCADE leads is not known here.
    const references = plan.cascades ? catalog.distributed : isOf('reference')
    return { ...reach, copied: { tables: references.map(tableName), how: 'emptied' } }
  }
  return REACHES_NOTHING
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
