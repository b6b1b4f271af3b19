import type {
  AlterPolicyStmt,
  CreatePolicyStmt,
  CreateStatsStmt,
  CreateTrigStmt,
  IndexStmt,
  RuleStmt,
} from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { as } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { readByKey } from '../policy-code.ts'
import { checkUnique } from './constraints.ts'
import { atPlace, placeOfRelation } from './objects.ts'
import { ddl, unsupported } from './plans.ts'
import { nameOf, placeOf, printed, resolve, resolveDistributed, type Scope, usesOf } from './scope.ts'

/** Indexes, triggers, rules, policies, statistics: where their table is. */

export function planCreateIndex(scope: Scope, stmt: IndexStmt): Plan {
  const name = nameOf(stmt.relation)
  const table = resolveDistributed(scope, name)
  if (stmt.unique === true && table?.key !== undefined) {
    const columns = (stmt.indexParams ?? []).flatMap((node) => as(node, 'IndexElem')?.name ?? [])
    checkUnique({ name, kind: 'sharded', key: table.key.column }, columns)
  }
  const overrides = { outsideTransaction: stmt.concurrent === true, maintenance: true }
  return ddl('CREATE INDEX', placeOf(scope, name), {}, overrides)
}

/** On a sharded table each shard fires it for the rows it has, on a reference table home does. */
export function planCreateTrigger(scope: Scope, stmt: CreateTrigStmt): Plan {
  const name = nameOf(stmt.relation)
  const table = resolveDistributed(scope, name)
  if (table?.kind === 'reference') return triggerOfCopies(table, stmt)
  const seesRows = stmt.row !== true || stmt.transitionRels !== undefined
  if (table !== undefined) return ddl('CREATE TRIGGER', 'all', { changesMap: seesRows })
  const onView = resolve(scope, name)?.kind === 'view' ? usesOf(scope, stmt.relation).sharded[0] : undefined
  if (onView !== undefined) {
    throw unsupported(
      'trigger',
      `triggers on a view over sharded table "${onView.name}" are not supported (view "${printed(name)}")`,
      'Write to the table itself.',
    )
  }
  return atPlace(scope, 'CREATE TRIGGER', placeOfRelation(scope, name))
}

/** docs/decisions/0080-triggers-of-copies-at-home.md */
function triggerOfCopies({ name, root }: Relation, { deferrable }: CreateTrigStmt): Plan {
  if (deferrable === true)
    throw unsupported(
      'trigger',
      `a deferrable trigger on reference table "${name}" is not supported`,
      'It would run at COMMIT, when the copies have been written. Leave DEFERRABLE out.',
    )
  if (root !== undefined)
    throw unsupported(
      'trigger',
      `triggers on reference table "${name}", which is partitioned or part of a tree, are not supported`,
      'Rows of the whole are told by no key of one table. Use a table by itself.',
    )
  return ddl('CREATE TRIGGER', 'home', { changesMap: true })
}

/** Weft plans the statement it sees, not what a rule makes of it: that may be nothing. */
export function planCreateRule(scope: Scope, stmt: RuleStmt): Plan {
  const name = nameOf(stmt.relation)
  const table = resolveDistributed(scope, name)
  if (table !== undefined && doesNothing(stmt)) return ddl('CREATE RULE', 'all', { changesMap: true })
  if (table !== undefined || touchesSharded(scope, stmt)) {
    throw unsupported(
      'rule',
      `rules on or about sharded and reference tables other than DO INSTEAD NOTHING are not supported (rule "${stmt.rulename}" on "${printed(name)}")`,
      'Write what the rule does into the statements that need it.',
    )
  }
  return atPlace(scope, 'CREATE RULE', placeOfRelation(scope, name), resolve(scope, name)?.kind === 'view')
}

const doesNothing = ({ instead, actions = [], whereClause, event }: RuleStmt): boolean =>
  instead === true && actions.length === 0 && whereClause === undefined && event !== 'CMD_SELECT'

function touchesSharded(scope: Scope, stmt: RuleStmt): boolean {
  const uses = usesOf(scope, [stmt.relation, stmt.actions, stmt.whereClause])
  return uses.sharded.length > 0 || uses.reference.length > 0
}

export function planPolicy(scope: Scope, tag: string, stmt: CreatePolicyStmt | AlterPolicyStmt): Plan {
  const name = nameOf(stmt.table)
  const uses = usesOf(scope, [stmt.qual, stmt.with_check])
  const table = resolveDistributed(scope, name)
  const [sharded] = uses.sharded
  const isKept = [stmt.qual, stmt.with_check].every(
    (condition) =>
      condition === undefined ||
      usesOf(scope, condition).sharded.length === 0 ||
      (table?.kind === 'sharded' && readByKey(scope.catalog, scope.ctx, table, condition) !== undefined),
  )
  if (sharded !== undefined && !isKept) {
    throw unsupported(
      'policy_reads_table',
      `a policy that reads sharded table "${sharded.name}" otherwise than by the key of its row is not supported`,
      table?.kind === 'sharded'
        ? `A shard has only its own part of it. Compare its key with "${table.key?.column}" of "${table.name}", or use a reference table.`
        : 'A shard has only its own part of it. Use a reference table.',
    )
  }
  const local = uses.local[0]
  if (table !== undefined && local !== undefined) {
    throw unsupported(
      'policy_reads_table',
      `a policy on ${table.kind} table "${table.name}" that reads local table "${printed(local)}" is not supported`,
      'The other shards do not have it. Make it a reference table first.',
    )
  }
  // How rows are found under policies hangs on which commands they are for.
  return ddl(tag, placeOf(scope, name), { changesMap: table !== undefined })
}

export function planCreateStatistics(scope: Scope, stmt: CreateStatsStmt): Plan {
  const [first] = stmt.relations ?? []
  return ddl('CREATE STATISTICS', placeOf(scope, nameOf(as(first, 'RangeVar'))))
}
