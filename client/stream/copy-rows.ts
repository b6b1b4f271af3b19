import { encodeValue } from '../sql/encode.ts'
import type { Value } from '../sql/fragment.ts'

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** Pieces of about this many characters are sent. */
const PIECE_LENGTH = 32 * 1024

/**
 * Rows in the text format of COPY, which is its default, for `copyIn`.
 *
 * @throws TypeError for `undefined` and what else has no meaning in SQL.
 * @example await db.copyIn(sql`COPY orders (id, note) FROM STDIN`, copyRows([[1, 'a'], [2, null]]))
 */
export async function* copyRows(
  rows: AsyncIterable<readonly Value[]> | Iterable<readonly Value[]>,
): AsyncGenerator<string> {
  let piece = ''
  for await (const row of rows) {
    piece += `${row.map(field).join('\t')}\n`
    if (piece.length < PIECE_LENGTH) continue
    yield piece
    piece = ''
  }
  if (piece !== '') yield piece
}

function field(value: Value): string {
  if (value === undefined) throw new TypeError('a value of a row is undefined: pass null')
  const encoded = encodeValue(value)
  if (encoded === null) return '\\N'
  if (typeof encoded !== 'string') return `\\\\x${encoded.toString('hex')}`
  return encoded.replace(/[\\\n\r\t]/g, (character) => ESCAPES[character]!)
}
