/** Looks into an ErrorResponse without decoding it. PURE. */

const HEADER_BYTES = 5
const FIELD_SEVERITY = 0x56 // V, never localized
const FIELD_CODE = 0x43 // C
const FIELD_ROUTINE = 0x52 // R
const LETTER_F = 0x46
const LETTER_P = 0x50

/** FATAL or PANIC: the backend is going away. */
export function isFatal(chunk: Buffer, start: number, end: number): boolean {
  const at = fieldAt(chunk, start, end, FIELD_SEVERITY)
  return at > 0 && (chunk[at] === LETTER_F || chunk[at] === LETTER_P)
}

/** The SQLSTATE. */
export function errorCode(chunk: Buffer, start: number, end: number): string {
  const at = fieldAt(chunk, start, end, FIELD_CODE)
  return at > 0 ? chunk.toString('latin1', at, at + 5) : ''
}

/** A statement that was prepared under a schema that has changed since returns other columns now. */
export function isOutdatedPlan(chunk: Buffer, start: number, end: number): boolean {
  const at = fieldAt(chunk, start, end, FIELD_ROUTINE)
  return at > 0 && chunk.toString('latin1', at, chunk.indexOf(0, at)) === 'RevalidateCachedQuery'
}

function fieldAt(chunk: Buffer, start: number, end: number, field: number): number {
  let at = start + HEADER_BYTES
  while (at < end && chunk[at] !== 0) {
    if (chunk[at] === field) return at + 1
    at = chunk.indexOf(0, at) + 1
    if (at === 0) return -1
  }
  return -1
}
