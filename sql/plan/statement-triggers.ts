/**
 * Triggers for whole statements, and with transition tables, of sharded tables: one fires once for a statement, and sees all
 * its rows. So it does where the statement runs on one shard as it is; what would run on several, or in several steps, is
 * refused (docs/decisions/0069-statement-triggers.md). PURE.
 */
import type { PgError } from '../../errors/pg-error.ts'
import { type Catalog, underlying } from '../catalog.ts'
import type { Analysis } from '../place/analyze.ts'
import type { WriteTarget } from '../tree/builder.ts'
import type { Plan } from './plan.ts'
import { refused } from './routing.ts'
import { unsupported } from './utility/plans.ts'

/** As in pg_trigger.tgtype. */
export const FIRES = { insert: 4, delete: 8, update: 16, truncate: 32 } as const
const ALL_ROWS = FIRES.insert | FIRES.delete | FIRES.update

export function eventsOf({ verb, node }: WriteTarget): number {
  if (verb === 'UPDATE') return FIRES.update
  if (verb === 'DELETE') return FIRES.delete
  if (verb === 'MERGE') return ALL_ROWS
  const conflict = 'onConflictClause' in node ? node.onConflictClause : undefined
  return conflict?.action === 'ONCONFLICT_UPDATE' ? FIRES.insert | FIRES.update : FIRES.insert
}

export const isUpsert = (target: WriteTarget): boolean =>
  target.verb === 'INSERT' && (eventsOf(target) & FIRES.update) !== 0

/** The plan, which runs on one shard as it is, or not at all, where such a trigger fires. */
export function firingOnce(plan: Plan, a: Analysis): Plan {
  if (a.catalog.shardCount === 1 || plan.kind === 'refused') return plan
  const target = a.targets.find((each) => (statementEvents(each) & eventsOf(each)) !== 0)
  if (target === undefined) return plan
  const relation = underlying(target.relation!)
  const error = statementTrigger(target.verb, relation.name)
  if (relation.kind === 'sharded' && plan.kind === 'forward') {
    if (plan.route.kind === 'all') return refused(a, plan.tag, error)
    return { ...plan, onSeveral: { kind: 'refuse', error } }
  }
  if (relation.kind === 'sharded' && plan.kind === 'insert') return { ...plan, onOneShard: error }
  return refused(a, plan.tag, error)
}

const statementEvents = ({ relation }: WriteTarget): number =>
  (relation && underlying(relation).statementTriggers) ?? 0

/** COPY and TRUNCATE are about all shards. */
export function refuseStatementTriggers(
  { shardCount }: Pick<Catalog, 'shardCount'>,
  tag: string,
  tables: readonly ({ readonly name: string; readonly statementTriggers?: number } | undefined)[],
): void {
  const event = tag === 'COPY' ? FIRES.insert : FIRES.truncate
  if (shardCount === 1) return
  for (const table of tables)
    if (((table?.statementTriggers ?? 0) & event) !== 0) throw statementTrigger(tag, table!.name)
}

export function statementTrigger(tag: string, table: string): PgError {
  return unsupported(
    'statement_trigger',
    `${tag} of rows of table "${table}" on several shards is not supported: a trigger for whole statements would fire on each`,
    'Name one shard key, in constants or parameters; or use FOR EACH ROW, without transition tables.',
  )
}
