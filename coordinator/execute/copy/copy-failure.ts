import { PgError } from '../../../errors/pg-error.ts'
import { lineIn } from './copy-lines.ts'

/** What ends a COPY wherever its rows are: connections, transactions, resources, who cancels it. */
const NOT_OF_ROWS = /^(08|25|40|53|55|57|58|F0|XX)/

/** Another row may come before the one that this is about. */
export const isOfRows = (error: unknown): boolean =>
  error instanceof PgError && !NOT_OF_ROWS.test(error.fields.code)

/** The line of the client's data that an error is about. */
export function errorLine(error: unknown): number | undefined {
  return error instanceof PgError ? lineIn(error.fields.where) : undefined
}

/**
 * What one Postgres would have said, which takes rows in their order; what is of no row comes when all are there. With none
 * of rows the first.
 */
export function firstError(errors: readonly unknown[]): unknown {
  const ofRows = errors.filter((error) => isOfRows(error) && errorLine(error) !== undefined)
  return ofRows.sort((a, b) => errorLine(a)! - errorLine(b)!)[0] ?? errors[0]
}
