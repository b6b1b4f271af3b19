/**
 * A statement that asks for custom settings on a backend that its session has already, and others had before: what they had
 * there is '' where the session must find nothing. Names that it has not had become, where they read as '', a name that
 * nobody has (docs/decisions/0024-custom-settings.md). PURE.
 */
import { ASKED_SETTING, UNSET } from '../code/custom-settings.ts'
import type { Plan, SessionPidsPlan } from './plan.ts'
import { replacedPlan } from './replaced-plan.ts'
import { itemsIn, nextName, nextToken, quoteText } from './text-scan.ts'

/** `had`: by the session. Undefined: there is no call to be seen. */
export function askedPlan(plan: Plan, text: string, had: readonly string[]): SessionPidsPlan | undefined {
  const places = placesIn(text, had)
  if (places.length === 0) return undefined
  return replacedPlan(plan, places)
}

function placesIn(text: string, had: readonly string[]): SessionPidsPlan['places'] {
  const places: SessionPidsPlan['places'][number][] = []
  for (let t = nextName(text, 0); t; t = nextName(text, t.end)) {
    const open = t.word === 'CURRENT_SETTING' ? nextToken(text, t.end) : undefined
    const name = open?.word === '(' ? itemsIn(text, open.start)[0] : undefined
    if (name === undefined) continue
    const head = nameAsked(text.slice(name.start, name.end), had)
    places.push({ ...name, head, known: undefined, tail: '' })
    t = { ...t, end: name.end }
  }
  return places
}

/** A call, so that what is written there is evaluated once (sql/install/schema.ts). */
function nameAsked(name: string, had: readonly string[]): string {
  const own = quoteText(`{${had.map((each) => JSON.stringify(each)).join(',')}}`)
  return `weft.${ASKED_SETTING}(${name}, ${own}, '${UNSET}')`
}
