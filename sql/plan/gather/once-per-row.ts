import { EFFECT } from '../../code/effects.ts'
import { type DeleteStmt, type Node, type UpdateStmt, walk } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { traitsOf, unstableBecause } from '../../tree/traits.ts'
import { ofStatement } from '../of-statement.ts'

/** Whether an UPDATE or DELETE that runs in several steps computes once what comes out anew each time. */

type Statement = UpdateStmt & DeleteStmt

/**
 * What comes out anew each time is computed once for each row: in conditions when the rows are found, in SET and RETURNING
 * where the row is, but not in a subquery there, which Postgres runs once for all rows, and not where rows move, which
 * computes it twice.
 */
export function isOncePerRow(
  { traits, catalog }: Analysis,
  { targetList, returningClause, ...rest }: Statement,
  moves: boolean,
): boolean {
  if (traits.writes) return false
  if (unstableBecause(traits, false) === undefined) return true
  const { user, home, server, systemColumn, viewBegins } = traits
  if (moves || (user ?? home ?? server ?? systemColumn ?? viewBegins) !== undefined) return false
  const parts = [twiceOf(rest), subqueriesOf([targetList, returningClause])]
  return unstableBecause(traitsOf(parts, catalog), false) === undefined
}

export function subqueriesOf(part: unknown): readonly Node[] {
  const subqueries: Node[] = []
  walk(part, (kind, body) => {
    if (kind === 'SubLink') subqueries.push({ SubLink: body } as Node)
  })
  return subqueries
}

/** Of what finds the rows that which is evaluated again where they are written: conditions that join nothing are not. */
export function twiceOf({ whereClause, ...rest }: Omit<Statement, 'targetList' | 'returningClause'>) {
  return joinsOthers(rest) ? { ...rest, whereClause } : rest
}

export const joinsOthers = ({
  fromClause,
  usingClause,
}: Pick<Statement, 'fromClause' | 'usingClause'>): boolean => (fromClause ?? usingClause) !== undefined

/** What they are set to is computed once for each row, on home. */
export function isOnceForCopies({ traits, catalog }: Analysis, { targetList, ...rest }: Statement): boolean {
  const isKnown = (traits.user ?? traits.server ?? traits.systemColumn ?? traits.viewBegins) === undefined
  const joins = (rest.usingClause ?? rest.returningClause) !== undefined
  const others = traitsOf([twiceOf(rest)], catalog)
  if (unstableBecause(others, false) !== undefined || others.writes) return false
  return isKnown && !(joins && others.unlike !== undefined)
}

/** All but SET, which is computed once on home: more than once, or where the rows are. */
export function isKnownBeside(
  { catalog, traits }: Analysis,
  text: string,
  { targetList: _, returningClause, ...rest }: Statement,
): boolean {
  if ((traits.systemColumn ?? traits.viewBegins) !== undefined) return false
  if (traits.user !== undefined && (ofStatement(catalog, text) & EFFECT.dynamic) !== 0) return false
  const { home, user, server, writes } = traitsOf([rest, returningClause], catalog)
  if ((home ?? user ?? server) !== undefined || writes) return false
  const parts = [twiceOf(rest), subqueriesOf(returningClause)]
  return unstableBecause(traitsOf(parts, catalog), false) === undefined
}
