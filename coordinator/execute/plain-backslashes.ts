import { weftError } from '../../errors/catalog.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import { backslashStrings } from '../../sql/lex/backslashes.ts'

const HEADER_BYTES = 5
const BACKSLASH = 0x5c

export const PLAIN_BACKSLASH = weftError('not_supported', {
  what: 'this statement with standard_conforming_strings = off',
  hint: 'Something that it uses (a default, a definition) has a string with a backslash. SET standard_conforming_strings = on for it.',
})

/**
 * Whether a text in these messages means something else under `standard_conforming_strings = off`: clients' own were written
 * anew (session/written-strings.ts), so it is one of Weft's, and is not to be run then.
 */
export function hasPlainBackslash(messages: Buffer): boolean {
  if (!messages.includes(BACKSLASH)) return false
  for (let at = 0; at + HEADER_BYTES <= messages.length; ) {
    const end = at + 1 + messages.readInt32BE(at + 1)
    const body = messages.subarray(at + HEADER_BYTES, end)
    const sql = sqlIn(messages[at]!, body)
    if (sql !== undefined && backslashStrings(sql, false).strings.length > 0) return true
    at = end
  }
  return false
}

function sqlIn(type: number, body: Buffer): Buffer | undefined {
  if (type === MSG.query) return body.subarray(0, -1)
  if (type !== MSG.parse) return undefined
  const start = body.indexOf(0) + 1
  return body.subarray(start, body.indexOf(0, start))
}
