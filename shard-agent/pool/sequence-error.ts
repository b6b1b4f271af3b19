import { weftError } from '../../errors/catalog.ts'
import { type ExecRequest, SEQUENCES } from '../../protocol/agent-link.ts'
import { errorResponse, parseErrorFields } from '../../protocol/wire/backend-messages.ts'
import { errorCode } from './error-scan.ts'
import type { Drawer } from './sequence-seat.ts'

const HEADER_BYTES = 5
const NOT_READY = '55000'
const NOT_DRAWN = 'is not yet defined in this session'

/**
 * An ErrorResponse `chunk[start, end)` of code that asked this backend for what the session has drawn elsewhere is no
 * answer: Weft says why; undefined: another error.
 */
export function sequenceError(
  { kept }: Drawer,
  { sequences = 0 }: ExecRequest,
  chunk: Buffer,
  start: number,
  end: number,
): Buffer | undefined {
  const isElsewhere = kept !== undefined || (sequences & SEQUENCES.drawnElsewhere) !== 0
  if ((sequences & SEQUENCES.readsInCode) === 0 || !isElsewhere) return undefined
  if (errorCode(chunk, start, end) !== NOT_READY) return undefined
  const { message, where } = parseErrorFields(chunk, start + HEADER_BYTES, end)
  if (!message.endsWith(NOT_DRAWN)) return undefined
  return errorResponse({ ...ELSEWHERE.fields, where })
}

const ELSEWHERE = weftError('not_supported', {
  id: 'currval_elsewhere',
  what: 'lastval() and currval() in functions, of what the session drew on another connection',
  hint: 'Call them in the statement and pass the result, or draw in the same function or transaction.',
})
