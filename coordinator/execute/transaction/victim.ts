import type { PgError } from '../../../errors/pg-error.ts'
import { errorResponse, parseErrorFields } from '../../../protocol/wire/backend-messages.ts'
import { MSG } from '../../../protocol/wire/frames.ts'

const HEADER_BYTES = 5
export const CANCELED = '57014'

/**
 * The end of an exec's replies with `error` in place of Postgres' answer to a cancel request; as it is when there is
 * no such answer. `tail` may begin in the midst of a message, and ends with ReadyForQuery.
 */
export function withoutCancel(tail: Buffer, error: PgError): Buffer {
  for (let at = tail.indexOf(MSG.errorResponse); at >= 0; at = tail.indexOf(MSG.errorResponse, at + 1)) {
    if (!beginsMessage(tail, at)) continue
    const end = at + 1 + tail.readInt32BE(at + 1)
    if (parseErrorFields(tail, at + HEADER_BYTES, end).code !== CANCELED) return tail
    return Buffer.concat([tail.subarray(0, at), errorResponse(error.fields), tail.subarray(end)])
  }
  return tail
}

/** Whether from here whole messages follow, up to a ReadyForQuery at the very end. */
function beginsMessage(tail: Buffer, start: number): boolean {
  for (let at = start; at + HEADER_BYTES <= tail.length; ) {
    const length = tail.readInt32BE(at + 1)
    if (length < 4) return false
    const isReady = tail[at] === MSG.readyForQuery && length === HEADER_BYTES
    at += 1 + length
    if (at === tail.length) return isReady
  }
  return false
}
