/**
 * The constraint that Weft keeps on sharded tables (`install/slot-guard.ts`) and its trigger on reference tables that have
 * others (`install/noted-changes.ts`) are nobody else's business: what describes tables or copies their schema reads the
 * catalogs without them. PURE.
 */
import { NOTING_TRIGGER } from '../install/noted-changes.ts'
import { SLOT_GUARD } from '../install/slot-guard.ts'
import { edited, joined } from './edited-text.ts'
import { nextName, nextToken, quoteName, type TextToken } from './text-scan.ts'

const constraint = `constraint_name <> '${SLOT_GUARD}'`
/** Relations that list constraints or triggers, by schema: which of their rows are others'. */
const LISTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  PG_CATALOG: { PG_CONSTRAINT: `conname <> '${SLOT_GUARD}'`, PG_TRIGGER: `tgname <> '${NOTING_TRIGGER}'` },
  INFORMATION_SCHEMA: {
    CHECK_CONSTRAINTS: constraint,
    TABLE_CONSTRAINTS: constraint,
    CONSTRAINT_COLUMN_USAGE: constraint,
    CONSTRAINT_TABLE_USAGE: constraint,
    TRIGGERS: `trigger_name <> '${NOTING_TRIGGER}'`,
  },
}
const MENTIONED = /pg_constraint|pg_trigger|information_schema/i
/**
 * Names of its own, or what a subquery does not have; and pg_dump, which compares the number with `relchecks`: a restore
 * leaves the constraint out.
 */
const BEYOND =
  /\b(?:pg_constraint|pg_trigger)\s+as\s*(?:not\s+)?(?:materialized\s*)?\(|\b(?:ctid|xmin|xmax|cmin|cmax)\b|\bsrc\(tbloid\)[\s\S]*\bpg_constraint\b/i

/** Of a relation that lists constraints or triggers: which of its rows are the client's business. */
export function listedCondition(schema: string, name: string, alias: string): string | undefined {
  const condition = LISTS[schema.toUpperCase()]?.[name.toUpperCase()]
  return condition && `${quoteName(alias)}.${condition}`
}

/** The text with the lists without them; undefined: it reads none. */
export function withoutOwnParts(text: string): string | undefined {
  if (!MENTIONED.test(text) || BEYOND.test(text)) return undefined
  const edits = [...lists(text)]
  return edits.length === 0 ? undefined : joined(text, edited(text, 0, text.length, edits)).sql
}

function* lists(text: string) {
  const columns = /\btableoid\b/i.test(text) ? 'tableoid, *' : '*'
  const before: TextToken[] = []
  for (let t = nextName(text, 0); t; t = nextName(text, t.end)) {
    const place = listAt(text, t, before)
    if (place !== undefined) {
      const { start, name, condition } = place
      const list = `(SELECT ${columns} FROM ${name} WHERE ${condition})`
      yield { start, end: t.end, text: `${list}${place.alias}` }
    }
    before.push(t)
    if (before.length > 3) before.shift()
  }
}

function listAt(text: string, token: TextToken, before: readonly TextToken[]) {
  const isQualified = before.at(-1)?.word === '.'
  const schema = isQualified ? (before.at(-2)?.word ?? '') : 'PG_CATALOG'
  const condition = LISTS[schema]?.[token.word]
  const ahead = before.at(isQualified ? -3 : -1)?.word ?? ''
  const next = nextToken(text, token.end)
  if (condition === undefined || !['FROM', 'JOIN', ','].includes(ahead) || next?.word === '.')
    return undefined
  const name = token.word.toLowerCase()
  return {
    start: isQualified ? before.at(-2)!.start : token.start,
    name: `${schema.toLowerCase()}.${name}`,
    condition,
    alias: aliasFollows(next) ? '' : ` AS ${name}`,
  }
}

const NO_ALIAS =
  /^(?:WHERE|GROUP|ORDER|HAVING|LIMIT|OFFSET|FETCH|FOR|UNION|INTERSECT|EXCEPT|WINDOW|JOIN|INNER|LEFT|RIGHT|FULL|CROSS|NATURAL|ON|USING|RETURNING|SET|TABLESAMPLE)$/

/** After a relation's name. */
export function aliasFollows(next: TextToken | undefined): boolean {
  if (next === undefined) return false
  return next.word === '' || (/^\w+$/.test(next.word) && !NO_ALIAS.test(next.word))
}
