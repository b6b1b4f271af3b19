import type { OnConflictClause } from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  columnNode,
  type InsertStmt,
  type Node,
  relationsOf,
  strings,
} from '../../parse/ast.ts'
import { replaceNodes } from '../../parse/replace-nodes.ts'
import { printed } from '../../print/printed.ts'
import { expressionNode, selectNode } from '../gather/made-nodes.ts'
import { assignedValue, castNode } from '../gather/new-values.ts'
import { allOf } from '../gather/plan-gather.ts'

/** The texts that an INSERT … ON CONFLICT DO UPDATE is run by, where that changes the shard key. */

export interface Conflict {
  readonly insert: InsertStmt
  /** Its ON CONFLICT without EXCLUDED, with a source of its own for each column. */
  readonly conflict: OnConflictClause
  readonly relation: Relation
  /** Of the table. */
  readonly alias: string
  /** What conflicts are about. */
  readonly names: readonly string[]
}

export interface ConflictTexts {
  readonly sql: string
  readonly rest: string
  readonly found: string
  readonly becomes?: string
  readonly check?: string
  readonly none?: string
  readonly constraint?: string
}

/** `values`: what each column is given. */
export function conflictTexts(parts: Conflict, values: ReadonlyMap<string, Node>): ConflictTexts | undefined {
  const { insert, conflict, relation, alias, names } = parts
  const isSame = names.map((name) =>
    isEqual(columnNode(alias, name), values.get(name)!, name === relation.key!.column),
  )
  const whereClause = allOf([...isSame, ...(conflict.whereClause ? [conflict.whereClause] : [])])
  const { relation: range, returningClause } = insert
  const returning = returningClause && { returningClause }
  const update = { relation: range!, targetList: conflict.targetList!, whereClause, ...returning }
  const locking = { ...insert, onConflictClause: lockingClause(conflict, relation, alias) }
  const [sql, rest] = [printed({ UpdateStmt: update } as Node), printed({ InsertStmt: locking } as Node)]
  const found = rowText(
    parts,
    names.map((name) => columnNode(alias, name)),
    allOf(isSame),
  )
  const becomes = rowText(parts, becomeOf(parts), whereClause)
  const check = relation.rowSecurity === undefined ? undefined : checkText(parts)
  const isChecked = relation.rowSecurity === undefined || check !== undefined
  if (sql === undefined || rest === undefined || found === undefined || !isChecked) return undefined
  const constraint = conflict.infer?.conname
  const row = as(as(insert.selectStmt, 'SelectStmt')!.valuesLists![0], 'List')!.items!
  const none = printed({ InsertStmt: { ...locking, selectStmt: noneOf(row) } } as Node)
  return {
    sql,
    rest,
    found,
    ...(becomes !== undefined && { becomes }),
    ...(check !== undefined && { check }),
    ...(none !== undefined && { none }),
    ...(constraint !== undefined && { constraint }),
  }
}

/** Of `ON CONFLICT (a, b)`, or of the primary key by its name; undefined: it says more. */
export function arbiterColumns(
  { infer }: OnConflictClause,
  { primaryKey }: Relation,
): readonly string[] | undefined {
  if (infer?.conname !== undefined) return primaryKey
  if (infer?.indexElems === undefined || infer.whereClause !== undefined) return undefined
  const elements = infer.indexElems.map((node) => as(node, 'IndexElem')!)
  const isPlain = elements.every(({ name, collation, opclass }) => name && !collation && !opclass)
  return isPlain ? elements.map(({ name }) => name!) : undefined
}

/** Columns that only DEFAULT may be said of are to be left alone; of others Postgres says what is wrong. */
export function isSettable({ targetList = [] }: OnConflictClause, relation: Relation): boolean {
  return targetList.every((item) => {
    const { name, val } = as(item, 'ResTarget')!
    const column = relation.columns.find((one) => one.name === name)
    return as(val, 'SetToDefault') === undefined || (column?.identity !== 'always' && !column?.generated)
  })
}

/** With the row's values in the place of EXCLUDED. In place; false: it names what is not given, or not as it would be. */
export function withoutExcluded(
  conflict: OnConflictClause,
  values: ReadonlyMap<string, Node>,
  { columns }: Relation,
): boolean {
  const isHidden =
    relationsOf(conflict).some(({ relname }) => relname === 'excluded') ||
    JSON.stringify(conflict).includes('"aliasname":"excluded"')
  let isKnown = !isHidden
  replaceNodes(conflict, (node) => {
    const fields = (as(node, 'ColumnRef') as ColumnRef | undefined)?.fields ?? []
    const [table, name, ...more] = strings(fields)
    if (table !== 'excluded') return undefined
    const value = name === undefined || more.length > 0 ? undefined : values.get(name)
    isKnown &&= value !== undefined && columns.find((one) => one.name === name)?.collation === undefined
    return value ?? node
  })
  return isKnown
}

function isEqual(column: Node, value: Node, isKey: boolean): Node {
  const node = expressionNode(isKey ? 'a = b' : 'a IS NOT DISTINCT FROM b')
  const equal = as(node, 'A_Expr')!
  equal.lexpr = column
  equal.rexpr = value
  return node
}

/** It changes nothing; who may not change it is told so. */
export function lockingClause(
  { targetList = [], ...conflict }: OnConflictClause,
  { key }: Relation,
  alias: string,
): OnConflictClause {
  const names = new Set(targetList.map((item) => as(item, 'ResTarget')!.name!))
  const set = [...names].map((name) => {
    const val = name === key?.column ? columnNode(alias, name) : expressionNode('NULL')
    return { ResTarget: { name, val } } as Node
  })
  return { ...conflict, targetList: set, whereClause: expressionNode('false') }
}

/** A query of no rows. */
export function noneOf(row: readonly Node[]): Node {
  const select = as(expressionNode('(SELECT FROM t WHERE false)'), 'SubLink')!.subselect!
  const targetList = row.map((val) => ({ ResTarget: { val } }) as Node)
  const { fromClause: _, ...none } = { ...as(select, 'SelectStmt')!, targetList }
  return { SelectStmt: none } as Node
}

/** Changes the row to what it is, if it is to be changed: so it fails where policies forbid that. */
function checkText({ insert, relation, conflict, alias }: Conflict): string | undefined {
  const name = relation.key!.column
  const targetList = [{ ResTarget: { name, val: columnNode(alias, name) } } as Node]
  const { returningClause: _, ...plain } = insert
  return printed({ InsertStmt: { ...plain, onConflictClause: { ...conflict, targetList } } } as Node)
}

/** What conflicts are about, as the row in conflict gets it; undefined: that cannot be computed. */
function becomeOf({ conflict, relation, alias, names }: Conflict): readonly Node[] | undefined {
  const made = names.map((name) => {
    const items = conflict.targetList!.map((item) => as(item, 'ResTarget')!)
    const item = items.find((one) => one.name === name)
    if (item === undefined) return columnNode(alias, name)
    const column = relation.columns.find((one) => one.name === name)!
    const value = item.indirection === undefined ? assignedValue(item.val!, column) : undefined
    return value && castNode(value, column.declared ?? column.type)
  })
  return made.includes(undefined) ? undefined : (made as Node[])
}

function rowText(
  { insert }: Conflict,
  columns: readonly Node[] | undefined,
  whereClause: Node,
): string | undefined {
  if (columns === undefined) return undefined
  const select = {
    ...selectNode('SELECT FROM t'),
    targetList: columns.map((val) => ({ ResTarget: { val } }) as Node),
    fromClause: [{ RangeVar: insert.relation! } as Node],
    whereClause,
  }
  return printed({ SelectStmt: select } as Node)
}
