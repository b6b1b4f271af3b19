import type { PgError } from '../../../errors/pg-error.ts'
import type { Analysis } from '../../analyze/analyze.ts'
import type { WriteTarget } from '../../analyze/builder.ts'
import { unstableBecause } from '../../analyze/traits.ts'
import { as, type Node, relationsOf, type SelectStmt, walk } from '../../parse/ast.ts'
import type { PlanContext } from '../plan.ts'
import { keyHint, notYet, scatterObstacle, unsupported } from '../routing.ts'
import { throughView } from '../writes.ts'
import { mentioned } from './inputs.ts'
import { hasNoPlace } from './sources.ts'

/**
 * Why a SELECT that the shards cannot answer each for itself could not be gathered either: of what a user could write
 * otherwise, the first that is found. Undefined: it is said well enough by what keeps the shards from it.
 */
export function whyNotGathered(a: Analysis, ctx: PlanContext): PgError | undefined {
  if (scatterObstacle(a) !== undefined) return undefined
  if (a.traits.locksRows) return notYet('row_lock', 'FOR UPDATE or FOR SHARE in this query', LOCK_HINT)
  return unreadable(a, a.block.node, ctx)
}

const LOCK_HINT =
  'Lock rows of tables that FROM names itself, by a SELECT without functions of your own, volatile ones and ctid.'

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
  const row = wholeRow(a, statement, ctx)
  if (row !== undefined)
    return notYet('whole_row', `a whole row of "${row}" as a value`, 'Name its columns, or use to_json().')
  const strange = relationsOf(statement).find((range) => hasNoPlace(a, range, ctx))
  if (strange === undefined) return undefined
  return unsupported(
    'unread_relation',
    `"${strange.relname}" cannot be read beside rows of several shards`,
    'Read it in a statement of its own. Of a view write the query in its place, or have it security_invoker = true.',
  )
}

/** A table's name where a column's would be, and none of its columns has it. */
function wholeRow(a: Analysis, statement: object, ctx: PlanContext): string | undefined {
  const names = new Set(mentioned(statement as SelectStmt).alone.values())
  let found: string | undefined
  walk(statement, (kind, body) => {
    const range = kind === 'RangeVar' ? as({ RangeVar: body } as Node, 'RangeVar') : undefined
    const name = range?.alias?.aliasname ?? range?.relname
    if (name === undefined || !names.has(name)) return
    const relation = a.catalog.resolve(range?.schemaname, range?.relname ?? '', ctx.searchPath)
    if (relation !== undefined && !relation.columns.some((column) => column.name === name)) found ??= name
  })
  return found
}
