import type * as Pg from '@pgsql/types'
import type { Column } from '../../catalog.ts'
import { as, type Node, relationsOf, type UpdateStmt } from '../../parse/ast.ts'
import { castType } from '../cast-type.ts'
import { OWN_INPUT, type PartText } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { expressionNode, selectNode } from './made-nodes.ts'
import { overGathered, withGathered } from './over-gathered.ts'
import { isAt } from './places.ts'

/** What an UPDATE gives rows that were found, computed where they are. */

export interface Found {
  /** With a source of its own for each column. */
  readonly statement: UpdateStmt
  /** Which rows: joins, and a mark where places come. */
  readonly whereClause: Node
  /** The mark. */
  readonly here: string
  /** What is gathered beside the target. */
  readonly others: readonly TableItem[]
  readonly meant: TableItem
  /** What it sets is in one of the others. */
  readonly isComputed?: true
  /** It stands for a MERGE, of which every row may be changed once. */
  readonly isMerge?: true
}

/** Where the values of what is gathered come from: numbers of inputs. */
export interface OverInputs extends PartText {
  readonly inputs: readonly number[]
}

/** A query of rows at places; its parameters: some of the client's, the columns of some inputs, the places. */
export function ofPlaces(
  { statement, whereClause, here, others, meant }: Found,
  targetList: Node[],
): OverInputs | undefined {
  const { relation, fromClause, withClause } = statement
  const select = {
    targetList,
    fromClause: [{ RangeVar: relation! } as Node, ...(fromClause ?? [])],
    whereClause,
    ...(withClause && { withClause }),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  }
  const read = readIn(select, others)
  const over = overGathered(withGathered({ SelectStmt: select } as Node, read), read)
  if (over === undefined) return undefined
  const arrays = read.reduce((count, item) => count + item.columns.length, 0)
  const sql = over.sql.replace(here, () => isAt(meant, over.params.length + arrays + 1))
  return { sql, params: over.params, inputs: numbersOf(read, others) }
}

/** Of what is gathered a text takes only what it names: nothing would tell the types of other parameters. */
export function readIn(part: unknown, others: readonly TableItem[]): readonly TableItem[] {
  const ranges = new Set(relationsOf(part))
  return others.filter(({ range }) => ranges.has(range))
}

/** Of inputs. */
export function numbersOf(read: readonly TableItem[], others: readonly TableItem[]): readonly number[] {
  return read.map((item) => (item.isOwn ? OWN_INPUT : others.indexOf(item)))
}

/** What `SET a[n] = …` computes its places of. */
export function subscriptsOf(targetList: readonly Node[] = []): Node[] {
  const places = targetList.flatMap((node) => as(node, 'ResTarget')?.indirection ?? [])
  return places.flatMap((node) => {
    const { lidx, uidx } = as(node, 'A_Indices') ?? {}
    return [lidx ?? [], uidx ?? []].flat()
  })
}

/** Undefined: what it gets cannot be computed. `atHome`: where sequences are drawn from. */
export function assignedValue(val: Node, column: Column | undefined, atHome = false): Node | undefined {
  if (as(val, 'SetToDefault') !== undefined) {
    const isOpen = column?.usesSequence ? atHome && column.identity !== 'always' : true
    return isOpen ? expressionNode(column?.default ?? 'NULL') : undefined
  }
  const assigned = as(val, 'MultiAssignRef')
  return assigned === undefined ? val : partOf(assigned)
}

/** `SET (a, b) = (…)` gives one column of a row. */
function partOf({ source, colno }: Pg.MultiAssignRef): Node | undefined {
  const row = as(source, 'RowExpr')
  if (row !== undefined) return row.args?.[colno! - 1]
  const query = as(source, 'SubLink')?.subselect
  const count = as(query, 'SelectStmt')?.targetList?.length ?? 0
  if (query === undefined || count === 0) return undefined
  const names = Array.from({ length: count }, (_, i) => `c${i + 1}`)
  const select = selectNode(`SELECT c${colno} FROM (SELECT 1) AS weft_row (${names.join(', ')})`)
  as(select.fromClause![0], 'RangeSubselect')!.subquery = query
  return { SubLink: { subLinkType: 'EXPR_SUBLINK', subselect: { SelectStmt: select } } } as Node
}

/** To the type alone: lengths are the business of the INSERT, which assigns. */
export function castNode(arg: Node, type: string): Node {
  const cast = as(expressionNode(`CAST(NULL AS ${castType(type)})`), 'TypeCast')!
  return { TypeCast: { ...cast, arg } } as Node
}
