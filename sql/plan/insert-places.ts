import type { InsertStmt } from '../parse/ast.ts'
import { at } from '../parse/ast.ts'
import type { InsertPlan } from './plan.ts'
import { closing, endOfQuery, findKeyword, itemsIn, nextToken, type TextToken } from './text-scan.ts'

interface Range {
  readonly start: number
  readonly end: number
}

/** Where the parts of an INSERT's text are. */
export interface InsertPlaces {
  /** After the table's name and alias. */
  readonly nameEnd: number
  /** The `(` and `)` of the column list, -1 when there is none. */
  readonly columnsOpen: number
  readonly columnsClose: number
  /** The first token of VALUES, SELECT, WITH, DEFAULT or `(`, after OVERRIDING. */
  readonly source: number
  /** Where OVERRIDING would be said. */
  readonly overridingAt: number
}

export function insertPlaces(text: string, node: InsertStmt): InsertPlaces {
  let t = nextToken(text, at(node.relation ?? {}))!
  let following = nextToken(text, t.end)
  // Quoted or not, whatever follows a dot or AS is a name.
  while (following && (following.word === '.' || following.word === 'AS' || following.word === '&')) {
    t = nextToken(text, following.end)!
    following = nextToken(text, t.end)
  }
  const nameEnd = t.end
  const columnsOpen = node.cols && following ? following.start : -1
  let columnsClose = -1
  if (node.cols && following) {
    const end = closing(text, following.start)
    columnsClose = end - 1
    following = nextToken(text, end)
  }
  const overridingAt = following?.start ?? text.length
  if (following?.word === 'OVERRIDING') following = skip(text, following, 3)
  return { nameEnd, columnsOpen, columnsClose, source: following?.start ?? text.length, overridingAt }
}

function skip(text: string, from: TextToken, count: number): TextToken | undefined {
  let t: TextToken | undefined = from
  for (let i = 0; i < count && t; i++) t = nextToken(text, t.end)
  return t
}

export interface RowPlace extends Range {
  readonly items: readonly Range[]
}

/** The rows after the keyword VALUES at `source`. */
export function rowPlaces(text: string, source: number): RowPlace[] {
  const rows: RowPlace[] = []
  let t = nextToken(text, source)
  while (t) {
    const open = nextToken(text, t.end)
    if (open?.word !== '(') break
    const items = itemsIn(text, open.start)
    const end = closing(text, open.start)
    rows.push({ start: open.start, end, items })
    t = nextToken(text, end)
    if (t?.word !== ',') break
  }
  return rows
}

export function columnListOf(places: InsertPlaces, columns: readonly string[]): InsertPlan['columnList'] {
  if (places.columnsClose >= 0) return { kind: 'explicit', closeAt: places.columnsClose }
  return { kind: 'implicit', at: places.nameEnd, columns }
}

/** The query of an INSERT … SELECT, with the statement's own WITH clause in front, and what follows it. */
export function selectPlaces(
  text: string,
  node: InsertStmt,
  source: number,
): { selectSql: string; tailSql: string } {
  const end = endOfQuery(text, source)
  const returning = node.returningClause ? findKeyword(text, source, ['RETURNING'])?.start : undefined
  const conflict = node.onConflictClause ? at(node.onConflictClause) : undefined
  const tail = Math.min(end, returning ?? end, conflict ?? end)
  const select = text.slice(source, tail).trim()
  const tailSql = text.slice(tail, end)
  if (!node.withClause) return { selectSql: select, tailSql }
  const withStart = at(node.withClause)
  const insert = findKeyword(text, withStart, ['INSERT'])?.start ?? withStart
  return { selectSql: `${text.slice(withStart, insert)}(${select})`, tailSql }
}
