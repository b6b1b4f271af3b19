import { weftError } from '../../../errors/catalog.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { backslashesSpeltIn, backslashStrings } from '../../../sql/lex/backslashes.ts'

const HEADER_BYTES = 5
const BACKSLASH = 0x5c

export const PLAIN_BACKSLASH = weftError('not_supported', {
  id: 'plain_backslash',
  what: 'this statement with standard_conforming_strings = off',
  hint: 'Something that it uses (a default, a definition) has a string with a backslash. SET standard_conforming_strings = on for it.',
})

/**
 * Whether a text in these messages means something else under `standard_conforming_strings = off`: clients' own were written
 * anew (session/written-strings.ts), and Weft's by `conforming`.
 */
export function hasPlainBackslash(messages: Buffer): boolean {
  if (!messages.includes(BACKSLASH)) return false
  return [...messagesIn(messages)].some(
    ({ sql }) => sql !== undefined && backslashStrings(sql, false).strings.length > 0,
  )
}

/** Messages of Weft's own, in which backslashes are nothing special, for a backend that would read them otherwise. */
export function conforming(messages: Buffer): Buffer {
  if (!messages.includes(BACKSLASH)) return messages
  const anew = [...messagesIn(messages)].map(({ frame, sql, start }) => {
    if (sql === undefined) return frame
    const { sql: spelt } = backslashesSpeltIn(sql)
    const parts = [frame.subarray(0, start), spelt, frame.subarray(start + sql.length)]
    const message = Buffer.concat(parts)
    message.writeInt32BE(message.length - 1, 1)
    return message
  })
  return Buffer.concat(anew)
}

interface Message {
  readonly frame: Buffer
  /** The text that it brings, and where in the frame. */
  readonly sql: Buffer | undefined
  readonly start: number
}

function* messagesIn(messages: Buffer): Generator<Message> {
  for (let at = 0; at + HEADER_BYTES <= messages.length; ) {
    const frame = messages.subarray(at, at + 1 + messages.readInt32BE(at + 1))
    const start = frame[0] === MSG.parse ? frame.indexOf(0, HEADER_BYTES) + 1 : HEADER_BYTES
    const has = frame[0] === MSG.query || frame[0] === MSG.parse
    yield { frame, start, sql: has ? frame.subarray(start, frame.indexOf(0, start)) : undefined }
    at += frame.length
  }
}
