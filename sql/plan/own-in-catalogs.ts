/**
 * The constraint that Weft keeps on sharded tables (`install/slot-guard.ts`) is nobody else's business: what describes
 * tables or copies their schema reads the catalogs without it. PURE.
 */
import { SLOT_GUARD } from '../install/slot-guard.ts'
import { edited, joined } from './edited-text.ts'
import { nextName, nextToken, quoteName, type TextToken } from './text-scan.ts'

/** Relations that list constraints, by schema: the column with the constraint's name. */
const LISTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  PG_CATALOG: { PG_CONSTRAINT: 'conname' },
  INFORMATION_SCHEMA: {
    CHECK_CONSTRAINTS: 'constraint_name',
    TABLE_CONSTRAINTS: 'constraint_name',
    CONSTRAINT_COLUMN_USAGE: 'constraint_name',
    CONSTRAINT_TABLE_USAGE: 'constraint_name',
  },
}
const MENTIONED = /pg_constraint|information_schema/i
/**
 * Names of its own, or what a subquery does not have; and pg_dump, which compares the number with `relchecks`: a restore
 * leaves the constraint out.
 */
const BEYOND =
  /\bpg_constraint\s+as\s*(?:not\s+)?(?:materialized\s*)?\(|\b(?:ctid|xmin|xmax|cmin|cmax)\b|\bsrc\(tbloid\)/i

/** Of a relation that lists constraints: which of its rows are the client's business. */
export function listedCondition(schema: string, name: string, alias: string): string | undefined {
  const column = LISTS[schema.toUpperCase()]?.[name.toUpperCase()]
  return column && `${quoteName(alias)}.${column} <> '${SLOT_GUARD}'`
}

/** The text with the lists without it; undefined: it reads none. */
export function withoutOwnConstraints(text: string): string | undefined {
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
      const { start, name, column } = place
      const list = `(SELECT ${columns} FROM ${name} WHERE ${column} <> '${SLOT_GUARD}')`
      yield { start, end: t.end, text: `${list}${place.alias}` }
    }
    before.push(t)
    if (before.length > 3) before.shift()
  }
}

function listAt(text: string, token: TextToken, before: readonly TextToken[]) {
  const isQualified = before.at(-1)?.word === '.'
  const schema = isQualified ? (before.at(-2)?.word ?? '') : 'PG_CATALOG'
  const column = LISTS[schema]?.[token.word]
  const ahead = before.at(isQualified ? -3 : -1)?.word ?? ''
  const next = nextToken(text, token.end)
  if (column === undefined || !['FROM', 'JOIN', ','].includes(ahead) || next?.word === '.') return undefined
  const name = token.word.toLowerCase()
  return {
    start: isQualified ? before.at(-2)!.start : token.start,
    name: `${schema.toLowerCase()}.${name}`,
    column,
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
