import type { Node } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { WriteTarget } from '../../tree/builder.ts'
import type { PlanContext } from '../plan.ts'
import { hasUnreadWords, writtenTable } from '../times/time-words.ts'

const KINDS = { UPDATE: 'UpdateStmt', DELETE: 'DeleteStmt', MERGE: 'MergeStmt' } as const

/**
 * A literal like 'now' would be each shard's own time. Those that are known to be times are the coordinator's by the time it
 * runs (sql/plan/times/time-words.ts), and those that are known to be none stay what they are.
 */
export function readsTimes({ traits, catalog }: Analysis, target: WriteTarget, ctx: PlanContext): boolean {
  if (traits.timeLiteral === undefined) return false
  const kind = KINDS[target.verb as keyof typeof KINDS]
  return hasUnreadWords({ [kind]: target.node } as Node, (range) => writtenTable(range, catalog, ctx))
}
