import type { Clock } from '../../tree/time-calls.ts'
import type { TimePlace } from '../plan.ts'

export type TimePart = TimePlace['parts'][number]

/** A place in a statement's text, UTF-16, and what comes there. */
export interface TextPlace {
  readonly start: number
  readonly end: number
  readonly parts: readonly TimePart[]
}

export const timeOf = (clock: Clock): TimePart => ({ clock })

/** The text with what comes into its places, all of which lie within it; `from`: where in theirs it begins. */
export function partsOf(text: string, places: readonly TextPlace[], from: number): TimePart[] {
  const parts: TimePart[] = []
  let at = 0
  for (const place of inOrder(places)) {
    parts.push(text.slice(at, place.start - from), ...place.parts)
    at = place.end - from
  }
  return [...parts, text.slice(at)]
}

/** At the same place in the order given. */
export function inOrder(places: readonly TextPlace[]): TextPlace[] {
  return [...places].sort((a, b) => a.start - b.start)
}
