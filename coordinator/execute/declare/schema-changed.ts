import type { DdlPlan } from '../../../sql/plan/plan.ts'
import { type ExecContext, HOME } from '../context.ts'

/** After these every statement returns what it returned before, and names mean what they meant. */
const KEEP_COLUMNS: ReadonlySet<string> = new Set([
  ...['ANALYZE', 'CLUSTER', 'COMMENT', 'GRANT', 'REINDEX', 'REVOKE', 'VACUUM'],
  ...['ALTER INDEX', 'CREATE INDEX', 'DROP INDEX', 'ALTER ROLE', 'CREATE ROLE'],
  ...['CREATE PUBLICATION', 'CREATE STATISTICS', 'CREATE TRIGGER'],
])

/** Whether what is prepared, and what clients were told of it, may be out of date after it. */
export function mayChangeColumns(plan: DdlPlan): boolean {
  return !KEEP_COLUMNS.has(plan.tag)
}

/**
 * What is prepared is prepared anew: here from now on, by other coordinators when this resolves. One that does not hear of
 * it, its link being down, learns it from the first backend whose plan no longer fits.
 */
export async function schemaChanged(ctx: ExecContext): Promise<void> {
  const { node } = ctx
  node.schema.epoch++
  await node.links[HOME]!.control({ kind: 'news', what: 'schema' }).catch(() => {})
}
