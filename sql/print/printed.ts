import { Deparser } from 'pgsql-deparser'
import { backslashesSpelt } from '../lex/backslashes.ts'
import { columnNode, type Node, type SelectStmt, walk } from '../parse/ast.ts'
import { OFFSET_FIELDS, parseStatements } from '../parse/parse.ts'
import { CarefulDeparser } from './careful-deparser.ts'

/**
 * The statement that a syntax tree stands for, as text. It is parsed again and compared with the tree, so that a construct
 * which the printer gets wrong is never run; undefined then, or when the printer does not know it.
 */
export function printed(node: Node): string | undefined {
  return printedBy(Deparser, node) ?? printedBy(CarefulDeparser, node)
}

function printedBy(Printer: typeof Deparser, node: Node): string | undefined {
  try {
    const { tree, ties } = printable(node)
    // The tree is what libpg-query made, or of its shape.
    const parsed = { version: 0, stmts: [{ stmt: tree }] } as unknown as ConstructorParameters<
      typeof Printer
    >[0]
    const bare = new Printer(parsed).deparseQuery()
    const text = ties.reduce(
      (sql, count, i) => sql.replace(`LIMIT ${tiesName(i)}`, () => fetchOf(count)),
      bare.replace(FIRST_GROUP, 'GROUP BY DISTINCT '),
    )
    const again = parseStatements(text)
    return again.length === 1 && isSame(again[0]!.node, node) ? backslashesSpelt(text) : undefined
  } catch {
    return undefined
  }
}

const tiesName = (n: number): string => `__weft_ties_${n}__`

const DISTINCT_GROUPS = '__weft_distinct_groups__'
const FIRST_GROUP = new RegExp(`GROUP BY\\s+${DISTINCT_GROUPS},\\s*`, 'g')

/**
 * What the printer does not know as what it knows: `FETCH … WITH TIES` as LIMIT of a name, with what the counts are, and
 * `GROUP BY DISTINCT` as one more group.
 */
function printable(node: Node): { readonly tree: Node; readonly ties: readonly string[] } {
  const ties: string[] = []
  if (!/"LIMIT_OPTION_WITH_TIES"|"groupDistinct"|"MultiAssignRef"/.test(JSON.stringify(node)))
    return { tree: node, ties }
  // A copy: the printer sorts the columns of assignments to several.
  const tree = structuredClone(node)
  walk(tree, (kind, body) => {
    if (kind !== 'SelectStmt') return
    const select = body as SelectStmt
    if (select.groupDistinct)
      select.groupClause = [columnNode(DISTINCT_GROUPS), ...(select.groupClause ?? [])]
    if (select.limitOption !== 'LIMIT_OPTION_WITH_TIES') return
    const name = tiesName(ties.length)
    ties.push(countText(select.limitCount!))
    select.limitOption = 'LIMIT_OPTION_COUNT'
    select.limitCount = columnNode(name)
  })
  return { tree, ties }
}

/** Of a constant or an expression, as FETCH takes it. */
function countText(count: Node): string {
  const text = printedExpression(count)
  if (text === undefined) throw new Error('a count that cannot be printed')
  return text
}

/** The same for an expression. */
export function printedExpression(val: Node): string | undefined {
  const select: SelectStmt = {
    targetList: [{ ResTarget: { val } }],
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  }
  return printed({ SelectStmt: select })?.replace(/^\s*SELECT\s+/i, '')
}

const fetchOf = (count: string): string => `FETCH FIRST (${count}) ROWS WITH TIES`

/** Equal but for places in the text. */
export function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false
    return a.every((item, i) => isSame(item, b[i]))
  }
  const keys = new Set([...Object.keys(a), ...Object.keys(b)])
  for (const key of keys) {
    if (OFFSET_FIELDS.has(key) || key === 'stmt_len') continue
    if (!isSame((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])) return false
  }
  return true
}
