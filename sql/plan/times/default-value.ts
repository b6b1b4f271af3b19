import type { Catalog, Column } from '../../catalog.ts'
import { as } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import { mayTellTime } from '../../tree/time-calls.ts'
import { traitsOf, unlikeBecause } from '../../tree/traits.ts'
import { callPlaces } from './call-places.ts'
import { partsOf, type TimePart } from './text-place.ts'

const SELECT = 'SELECT '

/**
 * A column's default as a statement can say it with a time put in; undefined when it tells none, or calls more than that: it
 * is then left to whoever fills it in else.
 */
export function timedDefault(column: Column, catalog: Catalog): readonly TimePart[] | undefined {
  const { default: expression, generated, usesSequence } = column
  if (expression === undefined || generated || usesSequence || !mayTellTime(expression)) return undefined
  const sql = SELECT + expression
  const [parsed] = parseStatements(sql)
  const traits = traitsOf(parsed?.node, catalog)
  if (traits.begins === undefined || unlikeBecause(traits) !== undefined) return undefined
  // Not as an output column, which would keep its label.
  const target = as(as(parsed?.node, 'SelectStmt')?.targetList?.[0], 'ResTarget')
  const places = callPlaces(target?.val, sql, catalog)
  return partsOf(expression, places, SELECT.length)
}
