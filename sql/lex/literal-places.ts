import type { Lexed } from './lexed.ts'
import { lexedOf } from './scan.ts'
import { offsetMap } from './split.ts'

/** Start and end of a literal, UTF-16 offsets in the text. */
export interface LiteralPlace {
  readonly start: number
  readonly end: number
}

/** The lexer's literals in UTF-16 offsets of the text, as the planner wants them. */
export function literalPlaces(text: string, lexed: Lexed = lexedOf(Buffer.from(text))): LiteralPlace[] {
  const map = offsetMap(text)
  const places: LiteralPlace[] = []
  for (let i = 0; i < lexed.literalCount; i++) {
    places.push({ start: map.toUtf16(lexed.starts[i]!), end: map.toUtf16(lexed.ends[i]!) })
  }
  return places
}
