import { aliasFollows } from '../own-in-catalogs.ts'
import { nextToken, quoteName, type TextToken } from '../text-scan.ts'
import type { ViewPlace } from './gather-plan.ts'
import type { NamedView } from './sources.ts'

/** Where a view's query takes the place of its name; undefined where the text is not a plain FROM item. */
export function placeOfView(text: string, { range, definition }: NamedView): ViewPlace | undefined {
  const start = range.location ?? 0
  const name = nameAt(text, start)
  const next = name && nextToken(text, name.end)
  if (name === undefined || next?.word === '*' || range.inh !== true || isOfTable(text, start))
    return undefined
  const alias = aliasFollows(next) ? '' : ` AS ${quoteName(range.relname ?? '')}`
  return { start, end: name.end, text: `(${definition.replace(/;\s*$/, '')})${alias}` }
}

/** The last part of the name that begins there. */
function nameAt(text: string, start: number): TextToken | undefined {
  let name = nextToken(text, start)
  for (
    let dot = name && nextToken(text, name.end);
    dot?.word === '.';
    dot = name && nextToken(text, name.end)
  ) {
    name = nextToken(text, dot.end)
  }
  return name
}

/** `TABLE v` is a query by itself. */
function isOfTable(text: string, start: number): boolean {
  let last: TextToken | undefined
  for (let t = nextToken(text, 0); t !== undefined && t.start < start; t = nextToken(text, t.end)) last = t
  return last?.word === 'TABLE'
}
