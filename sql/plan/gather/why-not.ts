import type { PgError } from '../../../errors/pg-error.ts'
import { relationsOf, type SelectStmt } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import type { WriteTarget } from '../../tree/builder.ts'
import { unstableBecause } from '../../tree/traits.ts'
import type { PlanContext } from '../plan.ts'
import { keyHint, notYet, scatterObstacle, unsupported } from '../routing.ts'
import { throughView } from '../writes.ts'
import { hasNoPlace } from './sources.ts'
import { namesSchemas } from './twins.ts'

/**
 * Why a SELECT that the shards cannot answer each for itself could not be gathered either: of what a user could write
 * otherwise, the first that is found. Undefined: it is said well enough by what keeps the shards from it.
 */
export function whyNotGathered(a: Analysis, ctx: PlanContext): PgError | undefined {
  if (scatterObstacle(a) !== undefined) return undefined
  if (a.traits.locksRows) return notYet('row_lock', 'FOR UPDATE or FOR SHARE in this query', LOCK_HINT)
  return unreadable(a, a.block.node, ctx)
}

const LOCK_HINT = 'Lock the rows by a SELECT of the tables themselves, without functions of your own.'

/** The same of UPDATE and DELETE. */
export function whyNotFound(a: Analysis, target: WriteTarget, ctx: PlanContext): PgError | undefined {
  if (target.relation?.through !== undefined) return throughView(target)
  if (scatterObstacle(a) !== undefined) return undefined
  const { verb, node } = target
  const { fromClause, usingClause, withClause } = node as { [clause: string]: unknown }
  if (JSON.stringify([fromClause, usingClause, withClause]).includes('"limitCount"'))
    return notYet(
      'limited_write',
      `LIMIT in what this ${verb} joins`,
      'Put those rows into a temporary table first.',
    )
  const unstable = unstableBecause(a.traits, false)
  if (unstable !== undefined)
    return notYet('volatile_write', `${unstable} in this ${verb}`, 'Call it first, and pass the result.')
  return target.relation?.rowSecurity
    ? notYet('row_security', `this ${verb} of a table with row level security`, keyHint(a))
    : unreadable(a, node, ctx)
}

function unreadable(a: Analysis, statement: object, ctx: PlanContext): PgError | undefined {
  if (a.traits.sample)
    return notYet('sample', 'TABLESAMPLE by this percentage', 'Say the percentage as a constant.')
  const relations = relationsOf(statement)
  const strange = relations.find((range) => hasNoPlace(a, range, ctx))
  if (strange === undefined) {
    const names = relations.map(({ relname }) => relname)
    return new Set(names).size < names.length && namesSchemas(statement as SelectStmt)
      ? notYet(
          'same_names',
          'columns with their schemas, of tables of one name',
          'Give the tables other names, by AS.',
        )
      : undefined
  }
  return unsupported(
    'unread_relation',
    `"${strange.relname}" cannot be read beside rows of several shards`,
    'Read it in a statement of its own. Of a view write the query in its place, or have it security_invoker = true.',
  )
}
