import type { Column, Relation } from '../../catalog.ts'
import { slotExpression } from '../../hash/slot-expression.ts'
import { columnNode, type Node, type RangeVar, type SelectStmt } from '../../parse/ast.ts'
import { castType } from '../cast-type.ts'
import { gatheredName, type MovePlan, ownName } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { expressionNode, selectNode } from './made-nodes.ts'
import { CARRIED, carriedName, carriedReturning } from './move-returning.ts'
import { type Found, readIn } from './new-values.ts'
import { overGathered, withGathered } from './over-gathered.ts'

/** Of columns that make a new row, by their numbers. */
export const newName = (i: number): string => ownName(`new_${i}`)
export const SLOT = ownName('slot')

/** New values that come with the old row. Their lengths are looked at when they are assigned. */
export const newColumns = (columns: readonly Column[]): Column[] =>
  columns.map(({ declared: _, ...column }, i) => ({ ...column, name: newName(i) }))

function told(name: string, type: string, typeOid: number): Column {
  return { name: ownName(name), type, typeOid, notNull: true, usesSequence: false, generated: false }
}

/** What comes with an old row: the slot of its new key, whether there are others, and its place. */
export const TOLD: readonly Column[] = [
  told('slot', 'integer', 23),
  told('unsure', 'boolean', 16),
  ...['oid', 'tid', 'xmin'].map((name) => told(name, 'text', 25)),
  told('shard', 'integer', 23),
]

/**
 * Inserts rows that moved, of old rows that come as arrays after what is gathered, and returns what is to be had of those
 * and of FROM, too: new rows are computed once more, of the same, or come with them. It is a MERGE that joins nothing, whose
 * RETURNING may name its source. Undefined: what RETURNING names is not known well enough.
 */
export function carriedInsertOf(
  { statement, others, meant, isComputed }: Found,
  columns: readonly Column[],
  computed: readonly Node[],
): Pick<MovePlan, 'insert' | 'insertParams' | 'insertInputs'> | undefined {
  const { relation, whereClause, withClause, returningClause } = statement
  const fromClause = isComputed ? [] : (statement.fromClause ?? [])
  const values = isComputed ? columns.map((_, i) => columnNode(meant.alias, newName(i))) : computed
  const table = meant.relation
  const returned = carriedReturning(returningClause!, { relation: relation!, table, from: fromClause })
  // Its own row would have what comes with it.
  if (returned === undefined || meant.isRow) return undefined
  const outputs = [
    ...values.map((val, i) => [newName(i), val] as const),
    ...returned.carried.map((val, i) => [carriedName(i), val] as const),
    ...TOLD.map(({ name }) => [name, columnNode(meant.alias, name)] as const),
  ]
  const select = {
    targetList: outputs.map(([name, val]) => ({ ResTarget: { name, val } }) as Node),
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
    ...(fromClause.length > 0 && whereClause && { whereClause }),
    ...(withClause && { withClause }),
  } as SelectStmt
  const read = readIn([select, fromClause], others)
  const own = oldItem(meant, read.length, isComputed ? newColumns(columns) : [])
  select.fromClause = [{ RangeVar: own.range } as Node, ...fromClause]
  const source = fromClause.length > 0 ? oneOfEach(select, table, columns) : select
  const insert = mergeOf(relation!, source, columns, returned.exprs)
  const over = overGathered(withGathered(insert, read), [...read, own])
  const insertInputs = read.map((item) => others.indexOf(item))
  return over && { insert: over.sql, insertParams: over.params, insertInputs }
}

/** The target's rows as they were. */
function oldItem(meant: TableItem, input: number, beside: readonly Column[]): TableItem {
  const range: RangeVar = {
    relname: gatheredName(input),
    inh: true,
    relpersistence: 'p',
    alias: { aliasname: meant.alias },
  }
  return { ...meant, range, columns: [...meant.relation.columns, ...beside, ...TOLD] }
}

/** Of several rows that join it any may be taken whose key belongs where the row has come to. */
function oneOfEach(rows: SelectStmt, { key, columns }: Relation, inserted: readonly Column[]): SelectStmt {
  const { declared, type } = columns[key!.index]!
  const value = newName(inserted.findIndex(({ name }) => name === key!.column))
  const slot = slotExpression(key!.type, `CAST(${value} AS ${declared ?? castType(type)})`)
  const places = TOLD.slice(2).map(({ name }) => name)
  const select = selectNode(
    `SELECT DISTINCT ON (${places.join(', ')}) * FROM a WHERE ${slot} IS NOT DISTINCT FROM ${SLOT}`,
  )
  const subquery = { SelectStmt: rows } as Node
  select.fromClause = [{ RangeSubselect: { subquery, alias: { aliasname: ownName('rows') } } } as Node]
  return select
}

function mergeOf(
  relation: RangeVar,
  source: SelectStmt,
  columns: readonly Column[],
  exprs: readonly Node[],
): Node {
  const clause = {
    matchKind: 'MERGE_WHEN_NOT_MATCHED_BY_TARGET',
    commandType: 'CMD_INSERT',
    override: 'OVERRIDING_SYSTEM_VALUE',
    targetList: columns.map(({ name }) => ({ ResTarget: { name } }) as Node),
    values: columns.map((_, i) => columnNode(CARRIED, newName(i))),
  }
  const subquery = { SelectStmt: source } as Node
  const merge = {
    relation: { ...relation, inh: true },
    sourceRelation: { RangeSubselect: { subquery, alias: { aliasname: CARRIED } } } as Node,
    joinCondition: expressionNode('false'),
    mergeWhenClauses: [{ MergeWhenClause: clause } as Node],
    returningClause: { exprs },
  }
  return { MergeStmt: merge } as Node
}
