import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { MSG } from '../../protocol/wire/frames.ts'

export const FUNCTION_CALL = weftError('not_supported', {
  id: 'function_call',
  what: 'the fast-path function call protocol is supported for large objects only',
  hint: 'Call the function with SELECT.',
})

/** Postgres hangs up too: nobody can tell where the data ends. */
export const STRAY_IN_COPY = weftError('protocol_violation', {
  what: 'terminating connection because protocol synchronization was lost',
})

/** What a client may send while COPY FROM STDIN reads. */
export const COPY_MESSAGES: ReadonlySet<number> = new Set([
  ...[MSG.copyData, MSG.copyDone, MSG.copyFail],
  ...[MSG.flush, MSG.sync],
])

export function isCopyData(type: number): boolean {
  return type === MSG.copyData || type === MSG.copyDone || type === MSG.copyFail
}

/** Every error that a client may be shown; others are programmers' errors. */
export function asPgError(error: unknown): PgError {
  return error instanceof PgError ? error : weftError('internal', { what: String(error) }, error)
}
