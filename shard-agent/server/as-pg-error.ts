import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'

/** What a rejected promise of the agent's says, as an error that can be told to a coordinator. */
export function asPgError(error: unknown): PgError {
  if (error instanceof PgError) return error
  return weftError('internal', { what: error instanceof Error ? error.message : String(error) }, error)
}
