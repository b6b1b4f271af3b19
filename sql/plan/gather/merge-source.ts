import type { RangeFunction } from '@pgsql/types'
import { as, type ColumnRef, columnNode, type Node, type SelectStmt, strings, walk } from '../../parse/ast.ts'
import { replaceNodes } from '../../parse/replace-nodes.ts'
import type { Space } from '../../tree/block.ts'
import { columnLabel } from '../../tree/label.ts'
import { GIVEN_ALIAS, GIVEN_ROWS } from '../first/first-step.ts'
import { ownName } from './gather-plan.ts'
import { selectNode } from './made-nodes.ts'

/** The source of a MERGE, whose rows are the same on every server. */

/** Number of a row of it, and values that go with it. */
export const ROW_NUMBER = ownName('row')
export const valueName = (i: number): string => ownName(`value_${i}`)

/** Constants, or one function: its rows come in one order, whatever a server's planner makes of it. */
export function isSteady(source: Node | undefined): boolean {
  if (source === undefined) return false
  if (as(source, 'RangeFunction') !== undefined) return true
  if (as(source, 'RangeVar')?.relname === GIVEN_ROWS) return true
  const select = as(as(source, 'RangeSubselect')?.subquery, 'SelectStmt')
  return select !== undefined && isSteadySelect(select)
}

/** Nothing in it has to be run: rows of constants, or what was run first. */
export function isConstant(source: Node): boolean {
  let calls = 0
  walk(source, (kind, body) => {
    if (kind === 'FuncCall' || kind === 'SQLValueFunction') calls++
    const alias = kind === 'RangeFunction' ? (body as RangeFunction).alias?.aliasname : undefined
    return alias !== GIVEN_ALIAS
  })
  return calls === 0 && isSteady(source)
}

function isSteadySelect(select: SelectStmt): boolean {
  const { fromClause = [], valuesLists, larg, groupClause, distinctClause, havingClause } = select
  const { sortClause, windowClause, withClause, lockingClause } = select
  if (larg ?? groupClause ?? distinctClause ?? havingClause) return false
  if (sortClause ?? windowClause ?? withClause ?? lockingClause) return false
  if (valuesLists !== undefined || fromClause.length === 0) return true
  return fromClause.length === 1 && isSteady(fromClause[0])
}

/** By which the statement names it; undefined: it is a join. */
export function sourceName(source: Node | undefined): string | undefined {
  return (as(source, 'RangeSubselect') ?? as(source, 'RangeFunction'))?.alias?.aliasname
}

/** With the number of each row as one column more. */
export function numbered(source: Node, alias = sourceName(source)!): Node {
  const select = selectNode(`SELECT *, pg_catalog.row_number() OVER () AS ${ROW_NUMBER}`)
  return aliased({ ...select, fromClause: [source] }, alias)
}

const MARK = ownName('drawn_')
const MARKS = new RegExp(`${MARK}(\\d+)\\(\\)`, 'g')

/** The text of a statement over `withValues`: parameters from `at` on are the row numbers, and the values of each column. */
export function withParams(sql: string, at: number): string {
  return sql.replace(
    MARKS,
    (_, n: string) => `CAST($${at + Number(n)} AS ${n === '0' ? 'bigint[]' : 'text[]'})`,
  )
}

/** With values of `columns` more, as arrays that stand for parameters. */
export function withValues(source: Node, columns: number): Node {
  const [rows, values] = [ownName('numbered'), ownName('values')]
  const names = Array.from({ length: columns }, (_, i) => valueName(i))
  const arrays = ['', ...names].map((_, i) => `pg_catalog.unnest(${MARK}${i}())`)
  const from = `ROWS FROM (${arrays.join(', ')}) AS ${values} (${[ROW_NUMBER, ...names].join(', ')})`
  const outputs = [`${rows}.*`, ...names.map((name) => `${values}.${name}`)]
  const select = selectNode(
    `SELECT ${outputs.join(', ')} FROM a LEFT JOIN ${from} ON ${values}.${ROW_NUMBER} = ${rows}.${ROW_NUMBER}`,
  )
  const join = as(select.fromClause![0], 'JoinExpr')!
  join.larg = numbered(source, rows)
  return aliased(select, sourceName(source)!)
}

const aliased = (select: SelectStmt, aliasname: string): Node =>
  ({ RangeSubselect: { subquery: { SelectStmt: select }, alias: { aliasname } } }) as Node

interface SourceNames {
  readonly source: string
  readonly target: string
  /** Its row as a value stays, is made of the columns that there were, or cannot be told. */
  readonly rows: 'kept' | 'made' | 'unknown'
}

/**
 * Outputs that do not show what was added to it: `*` becomes the columns that there were. Undefined: those are not known, or
 * its rows are values.
 */
export function withoutAdded(
  list: readonly Node[] | undefined,
  space: Space,
  names: SourceNames,
): Node[] | undefined {
  const nodes: Node[] = []
  for (const node of list ?? []) {
    const shown = shownColumns(node, space, names)
    if (shown === undefined) return undefined
    nodes.push(...shown)
  }
  return nodes
}

function shownColumns(node: Node, { tables }: Space, names: SourceNames): Node[] | undefined {
  const target = as(node, 'ResTarget')
  const ref = as(target === undefined ? node : target.val, 'ColumnRef')
  const made = (fields: Node[]): Node => {
    const val = { ColumnRef: { fields } } as Node
    return target === undefined ? val : ({ ResTarget: { val } } as Node)
  }
  const named = (name: string): Node => ({ String: { sval: name } }) as Node
  const star = ref?.fields?.at(-1)
  if (as(star, 'A_Star') === undefined) {
    if (names.rows === 'kept' || !hasRow(node, tables, names.source)) return [node]
    const shown = names.rows === 'made' ? withRow(node, tables, names.source) : undefined
    return shown === undefined || hasRow(shown, tables, names.source) ? undefined : [shown]
  }
  const owner = as(ref?.fields?.at(-2), 'String')?.sval
  if (owner !== undefined && owner !== names.source) return [node]
  const source = tables.find(({ alias }) => alias === names.source)
  if (source === undefined || source.open) return undefined
  const own = source.columns.map(({ name }) => made([named(names.source), named(name)]))
  return owner === undefined ? [...own, made([named(names.target), star!])] : own
}

/** With a row of the columns that there were, where the source's row is a value. */
function withRow(node: Node, tables: Space['tables'], name: string): Node | undefined {
  const source = tables.find(({ alias }) => alias === name)
  if (source === undefined || source.open) return undefined
  const copy = structuredClone({ node })
  let isKnown = true
  const target = as(copy.node, 'ResTarget')
  if (target !== undefined) target.name = columnLabel(target)
  replaceNodes(copy, (inner) => {
    // It has names of its own.
    if (as(inner, 'SubLink') !== undefined) return inner
    const part = as(inner, 'A_Indirection')
    if (part === undefined) return isRowOf(inner, name) ? rowNode(source.columns, name) : undefined
    if (!isRowOf(part.arg, name)) return undefined
    const [column, ...more] = strings(part.indirection)
    if (column === undefined || more.length > 0 || part.indirection!.length > 1) isKnown = false
    return columnNode(name, column ?? '')
  })
  return isKnown ? copy.node : undefined
}

function isRowOf(node: Node | undefined, name: string): boolean {
  const { fields = [] } = as(node, 'ColumnRef') ?? {}
  return fields.length === 1 && as(fields[0], 'String')?.sval === name
}

const ROW = ownName('row_of_source')

function rowNode(columns: readonly { readonly name: string }[], source: string): Node {
  const select = selectNode(`SELECT ${ROW} FROM (SELECT) AS ${ROW}`)
  as(as(select.fromClause![0], 'RangeSubselect')!.subquery, 'SelectStmt')!.targetList = columns.map(
    ({ name }) => ({ ResTarget: { name, val: columnNode(source, name) } }) as Node,
  )
  return { SubLink: { subLinkType: 'EXPR_SUBLINK', subselect: { SelectStmt: select } } } as Node
}

/** A row of the source as a value would have what was added, too. */
function hasRow(node: Node, tables: Space['tables'], source: string): boolean {
  const isColumn = tables.some(({ columns }) => columns.some(({ name }) => name === source))
  let found = false
  walk(node, (kind, body) => {
    if (kind !== 'ColumnRef') return
    const { fields = [] } = body as ColumnRef
    const [owner] = strings(fields)
    const isStar = as(fields.at(-1), 'A_Star') !== undefined
    if (isStar ? owner === source : fields.length === 1 && owner === source && !isColumn) found = true
  })
  return found
}
