import { relationsOf } from '../../parse/ast.ts'
import type { ParsedStatement } from '../../parse/parse.ts'
import type { Analysis } from '../../place/analyze.ts'
import { unlikeBecause } from '../../tree/traits.ts'
import type { Plan, PlanContext } from '../plan.ts'
import { withReach } from '../reach.ts'
import { orFirst } from './plan-first.ts'

/**
 * A query over what a WITH query returns that writes a reference table with triggers, and over nothing else: that is run
 * first, by itself. What its triggers do nobody sees then, and they see nothing of the query. `plan`: it is refused so far.
 */
export function orFiredFirst(plan: Plan, a: Analysis, stmt: ParsedStatement, ctx: PlanContext): Plan {
  const [target, ...more] = a.targets
  if (more.length > 0 || target?.nested !== true || ctx.around !== undefined) return plan
  if (target.relation?.kind !== 'reference' || unlikeBecause(a.traits) !== undefined) return plan
  const names = new Set(relationsOf(stmt.node).map(({ schemaname, relname }) => `${schemaname} ${relname}`))
  const first = orFirst(plan, a, stmt, ctx)
  const step = first.kind === 'forward' && first.onSeveral.kind === 'run-first' ? first.onSeveral : undefined
  if (step?.writes === undefined || step.readsMore) return plan
  const { isSeen, reads, changes } = step.writes
  // Tables that nobody knows of are catalogs; the query's own names are left.
  const isAlone = !isSeen && reads.length + changes.length === 0 && names.size <= 2 && a.locals.length === 0
  return isAlone ? withReach(first, a, stmt.text) : plan
}
