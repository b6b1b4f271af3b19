import { errorResponse, parseErrorFields } from '../../protocol/wire/backend-messages.ts'
import { SLOT_GUARD } from '../../sql/install/slot-guard.ts'

const HEADER_BYTES = 5
const CHECK_VIOLATION = '23514'

/**
 * An ErrorResponse `chunk[start, end)` of Weft's own constraint says in Weft's words what happened; undefined: another
 * error. The code stays what a handler in a function (`EXCEPTION WHEN check_violation`) sees on the shard.
 */
export function slotGuardError(code: string, chunk: Buffer, start: number, end: number): Buffer | undefined {
  if (code !== CHECK_VIOLATION) return undefined
  const fields = parseErrorFields(chunk, start + HEADER_BYTES, end)
  if (fields.constraint !== SLOT_GUARD) return undefined
  return errorResponse({
    ...fields,
    message: `row of sharded table "${fields.table}" does not belong to the shard that it was written on`,
    hint:
      'A trigger, a function or a column default gave it another shard key than the statement was routed by, ' +
      'or wrote to a table with another key. Give the row its final key in the statement, and write each table by its own key.',
  })
}
