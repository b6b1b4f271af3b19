import type * as Pg from '@pgsql/types'
import { as, at, type Node } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import type { InsertPlaces } from '../insert-places.ts'
import { nextToken, type TextToken } from '../text-scan.ts'

/** What can follow a list of output columns. */
const AFTER: ReadonlySet<string> = new Set([
  ...['INTO', 'FROM', 'WHERE', 'GROUP', 'HAVING', 'WINDOW', 'UNION', 'INTERSECT', 'EXCEPT', 'ORDER', 'LIMIT'],
  ...['OFFSET', 'FETCH', 'FOR', 'ON', 'RETURNING', ';'],
])

/**
 * Where the lists of output columns end in the query of an INSERT … SELECT, one for each arm of a set operation. Empty when
 * that cannot be told: a column more, put there, is seen by the parser in every arm, or the places are no good.
 */
export function endsOfTargets(
  text: string,
  { source }: InsertPlaces,
  node: Pg.InsertStmt,
): readonly number[] {
  const select = as(node.selectStmt, 'SelectStmt')
  const arms = select === undefined ? [] : armsOf(select)
  const ends = arms.map(({ targetList }) => endOf(text, targetList?.at(-1)))
  if (ends.length === 0 || ends.some((end) => end <= source)) return []
  return isSeen(
    text,
    ends,
    arms.map(({ targetList }) => targetList?.length ?? 0),
  )
    ? ends
    : []
}

function armsOf(select: Pg.SelectStmt): readonly Pg.SelectStmt[] {
  if (select.larg === undefined || select.rarg === undefined) return [select]
  return [...armsOf(select.larg), ...armsOf(select.rarg)]
}

function endOf(text: string, last: Node | undefined): number {
  const target = as(last, 'ResTarget')
  if (target === undefined) return -1
  let depth = 0
  let before: TextToken | undefined
  for (let t = nextToken(text, at(target)); t; t = nextToken(text, t.end)) {
    if (t.word === '(' || t.word === '[') depth++
    if (t.word === ')' || t.word === ']') depth--
    if (depth < 0 || (depth === 0 && AFTER.has(t.word) && !isOfExpression(t, before))) break
    before = t
  }
  return before?.end ?? -1
}

/** `AS order`, `t.from`, `IS DISTINCT FROM`, `WITHIN GROUP`. */
function isOfExpression({ word }: TextToken, before: TextToken | undefined): boolean {
  const ahead = before?.word ?? ''
  if (ahead === 'AS' || ahead === '.') return true
  return (word === 'FROM' && ahead === 'DISTINCT') || (word === 'GROUP' && ahead === 'WITHIN')
}

const MARK = 'weft_time_mark'

function isSeen(text: string, ends: readonly number[], widths: readonly number[]): boolean {
  let marked = text
  for (const end of [...ends].sort((a, b) => b - a))
    marked = `${marked.slice(0, end)}, ${MARK}${marked.slice(end)}`
  try {
    const insert = insertIn(parseStatements(marked)[0]?.node)
    const arms = insert?.selectStmt === undefined ? [] : armsOf(as(insert.selectStmt, 'SelectStmt') ?? {})
    return arms.length === widths.length && arms.every((arm, i) => isMarked(arm.targetList, widths[i]!))
  } catch {
    return false
  }
}

function insertIn(node: Node | undefined): Pg.InsertStmt | undefined {
  return as(as(node, 'ExplainStmt')?.query ?? node, 'InsertStmt')
}

function isMarked(targets: readonly Node[] | undefined, width: number): boolean {
  const field = as(as(as(targets?.at(-1), 'ResTarget')?.val, 'ColumnRef')?.fields?.[0], 'String')
  return targets?.length === width + 1 && field?.sval === MARK
}
