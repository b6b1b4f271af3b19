/**
 * Writes in place of which a rule of a sharded or reference table has nothing done (`DO INSTEAD NOTHING`, the only rules
 * that such tables may have). Postgres drops the statement before it looks at a row, or says why it cannot: one shard can.
 * PURE.
 */
import { underlying } from '../catalog.ts'
import type { Analysis } from '../place/analyze.ts'
import type { WriteTarget } from '../tree/builder.ts'
import type { Plan } from './plan.ts'
import { commonFields, forwardTo } from './routing.ts'
import { eventsOf, FIRES } from './statement-triggers.ts'

/** Undefined: no rule has a say. */
export function ignoredWrite(a: Analysis, tag: string): Plan | undefined {
  if (a.catalog.shardCount === 1 || !a.targets.some(isRuled)) return undefined
  const returnsRows = a.targets.some(({ nested, node }) => !nested && node.returningClause !== undefined)
  return { ...forwardTo(commonFields(a, tag, returnsRows), { kind: 'home' }), doesNothing: true }
}

/** MERGE, and ON CONFLICT, are errors with any rule that they could come to. */
function isRuled(target: WriteTarget): boolean {
  const { ignores = 0, ruled = 0 } = (target.relation && underlying(target.relation)) ?? {}
  if (target.verb === 'MERGE') return ruled !== 0
  const upserts = 'onConflictClause' in target.node && target.node.onConflictClause !== undefined
  return upserts ? (ruled & (FIRES.insert | FIRES.update)) !== 0 : (ignores & eventsOf(target)) !== 0
}
