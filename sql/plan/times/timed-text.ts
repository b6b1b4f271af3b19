import type { Lexed } from '../../lex/lexed.ts'
import type { Clock } from '../../tree/time-calls.ts'
import { joined, type Piece } from '../edited-text.ts'
import type { TimePlace } from '../plan.ts'

export interface TimedText {
  readonly sql: string
  /** Where in the text as it was an error's position is. */
  positionBefore(position: number): number
}

/** A text, as it was lexed, with its times; `say`: how one is said. */
export function timedText(
  text: string,
  sql: Buffer,
  lexed: Lexed,
  places: readonly TimePlace[],
  say: (clock: Clock) => string,
): TimedText {
  const pieces: Piece[] = []
  let at = 0
  let from = 0
  for (const { literal, skip, length, parts } of places) {
    const start = (literal < 0 ? 0 : lexed.ends[literal]!) + skip
    const kept = sql.toString('utf8', at, start)
    pieces.push({ text: kept, from, isNew: false })
    from += kept.length
    const said = parts.map((part) => (typeof part === 'string' ? part : say(part.clock)))
    pieces.push({ text: said.join(''), from, isNew: true })
    at = start + length
    from += sql.toString('utf8', start, at).length
  }
  pieces.push({ text: sql.toString('utf8', at), from, isNew: false })
  return joined(text, pieces)
}
