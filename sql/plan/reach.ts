import { type Catalog, type Relation, underlying } from '../catalog.ts'
import { EFFECT, type Effects } from '../code/effects.ts'
import type { Reach } from '../code/overreach.ts'
import type { Analysis } from '../place/analyze.ts'
import { isGathered } from './gather/gather-plan.ts'
import { ofStatement } from './of-statement.ts'
import type { Plan, PlanCommon } from './plan.ts'
import { refused } from './routing.ts'
import { keptTables, movedTableError, operatorError, ownTableError } from './row-code.ts'

/** Of a statement on local tables, or none: its code runs on the home shard, which has a part of every sharded table. */
export const REACHES_NOTHING: Reach = { tables: [], onCopies: false }

/**
 * Whether code may do what the statement does not say, where that can go wrong. Dynamic SQL of code that commits in its
 * midst, which nobody can look at, is not supposed to where all tables are local.
 */
export function mayReach(catalog: Catalog, effects: Effects, commits?: PlanCommon['commits']): boolean {
  if (catalog.shardCount === 1) return false
  const { reaches, defines, dynamic } = EFFECT
  const isSure = (effects & dynamic) === 0 || commits !== 'within'
  if (catalog.distributed.length === 0) return (effects & defines) !== 0 && isSure
  return (effects & (reaches | defines)) !== 0
}

/** The plan with what is to be looked at after it has run. */
export function withReach(plan: Plan, a: Analysis, text: string): Plan {
  if (plan.kind === 'refused') return plan
  const effects = ofStatement(a.catalog, text)
  const reaches = mayReach(a.catalog, effects)
  if (!reaches && !mayDraw(a, effects)) return plan
  const moved = reaches && movesRows(plan) ? shardedOf(a) : []
  const error =
    ownTableError(a.catalog, a.targets) ??
    movedTableError(a.catalog, text, moved) ??
    (reaches ? operatorError(a.catalog, text, shardedOf(a)) : undefined)
  return error ? refused(a, plan.tag, error) : { ...plan, reach: withTarget(reachOf(a, text), plan, a, text) }
}

function movesRows(plan: Plan): boolean {
  if (plan.kind !== 'forward') return plan.kind === 'insert-select'
  return isGathered(plan.onSeveral) || /^gather-(?:modify|lock)$/.test(plan.onSeveral.kind)
}

function shardedOf({ occurrences }: Analysis): readonly Relation[] {
  return occurrences.map(({ relation }) => underlying(relation)).filter(({ kind }) => kind === 'sharded')
}

/** Triggers draw where their rows are. */
function mayDraw({ catalog, targets }: Analysis, effects: Effects): boolean {
  if (catalog.shardCount === 1 || (effects & EFFECT.advances) === 0) return false
  return targets.some(({ relation }) => relation?.kind === 'sharded')
}

/** Run as they are, or refused where they come out as more. */
const AS_WRITTEN: ReadonlySet<string> = new Set(['sum', 'concat', 'refuse'])

/** Its target, where neither its text nor Weft in its place reads that. */
function withTarget(reach: Reach, plan: Plan, a: Analysis, text: string): Reach {
  const [target, ...more] = a.targets
  const isForward =
    plan.kind === 'forward' && plan.setsKey === undefined && AS_WRITTEN.has(plan.onSeveral.kind)
  const isPlain = plan.kind === 'insert' || isForward
  if (!isPlain || target?.relation?.kind !== 'sharded' || more.length > 0) return reach
  const { relation, verb, node } = target
  const found = a.occurrences.filter(({ column }) => column !== undefined).length
  if (found > (verb === 'INSERT' ? 0 : 1) || keptTables(a.catalog, text).includes(underlying(relation)))
    return reach
  const upserts = verb === 'MERGE' || 'onConflictClause' in node
  const changes = upserts || verb === 'UPDATE'
  return {
    ...reach,
    target: { table: tableName(underlying(relation)), changes, removes: upserts || verb === 'DELETE' },
  }
}

function reachOf(a: Analysis, text: string): Reach {
  const relations = [
    ...a.occurrences.map(({ relation }) => relation),
    ...a.targets.flatMap(({ relation }) => (relation?.kind === 'sharded' ? [relation] : [])),
  ]
  const onCopies = a.targets.some(({ relation, nested }) => !nested && relation?.kind === 'reference')
  const reach = reachFrom(a.catalog, text, relations, onCopies)
  return { ...reach, onlyRead: onlyRead(a, text, reach.tables) }
}

/** Of sharded tables, those that it names to read them. */
function onlyRead({ catalog, occurrences, targets }: Analysis, text: string, tables: readonly string[]) {
  const written = new Set([
    ...targets.flatMap(({ relation }) => (relation ? [tableName(underlying(relation))] : [])),
    ...keptTables(catalog, text).map(tableName),
  ])
  const read = new Set(
    occurrences.flatMap(({ relation: { kind }, relation }) =>
      kind === 'reference' ? [] : [tableName(underlying(relation))],
    ),
  )
  return tables.filter((table) => read.has(table) && !written.has(table))
}

/** `own`: the sharded tables that the statement names. Code that runs with their rows may reach others by the same key. */
export function reachFrom(
  catalog: Catalog,
  text: string,
  own: readonly Relation[],
  onCopies: boolean,
): Reach {
  const kept = own.length === 0 ? [] : keptTables(catalog, text)
  return { tables: [...new Set([...own.map(underlying), ...kept].map(tableName))], onCopies }
}

export const tableName = ({ schema, name }: Pick<Relation, 'schema' | 'name'>): string => `${schema}.${name}`
