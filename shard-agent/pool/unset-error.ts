import { errorResponse, parseErrorFields } from '../../protocol/wire/backend-messages.ts'
import { UNSET } from '../../sql/code/custom-settings.ts'

const HEADER_BYTES = 5
const UNDEFINED_OBJECT = '42704'

/** An ErrorResponse `chunk[start, end)` with a name that stands for another is about that one; undefined: another error. */
export function unsetError(code: string, chunk: Buffer, start: number, end: number): Buffer | undefined {
  if (code !== UNDEFINED_OBJECT) return undefined
  const fields = parseErrorFields(chunk, start + HEADER_BYTES, end)
  if (!fields.message.includes(UNSET)) return undefined
  return errorResponse({ ...fields, message: fields.message.replace(UNSET, '') })
}
