import type { OnConflictClause } from '@pgsql/types'
import { PgError } from '../../../errors/pg-error.ts'
import type { Relation } from '../../catalog.ts'
import {
  as,
  type ColumnRef,
  columnNode,
  hasSubqueries,
  type InsertStmt,
  type Node,
  relationsOf,
  strings,
} from '../../parse/ast.ts'
import { replaceNodes } from '../../parse/replace-nodes.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printed } from '../../print/printed.ts'
import { insertColumns } from '../../tree/modify.ts'
import { traitsOf, unstableBecause } from '../../tree/traits.ts'
import { isGatheredName } from '../gather/gather-plan.ts'
import { expressionNode, selectNode } from '../gather/made-nodes.ts'
import { castNode } from '../gather/new-values.ts'
import { allOf } from '../gather/plan-gather.ts'
import { withOneSource } from '../gather/plan-modify-gathered.ts'
import type { Plan } from '../plan.ts'
import { isPlainRows } from '../plan-insert.ts'
import { commonFields } from '../routing.ts'
import type { FirstStep } from './first-step.ts'
import { hasFirst } from './plan-first.ts'

/**
 * The plan of an INSERT of one row that sets the shard key where it is in conflict. It is run with `DO UPDATE … WHERE
 * false` first: that inserts the row, or locks the one that is in its way, whoever inserts in the meantime. Is there
 * one, an UPDATE changes it then, and moves it.
 */
export function orMovedInConflict(plan: Plan, a: Analysis, text: string): Plan {
  const isAsked = plan.kind === 'refused' && plan.error instanceof PgError
  if (!isAsked || plan.error.fields.routine !== 'conflict_key_change') return plan
  const onSeveral = hasFirst(a) || isGatheredName(text) ? undefined : planMoved(a)
  if (onSeveral === undefined) return plan
  const { node } = a.targets.find((t) => !t.nested)!
  const common = commonFields(a, 'INSERT', (node as InsertStmt).returningClause !== undefined)
  const generic = common.generic && a.literalCount === 0
  return { ...common, generic, kind: 'forward', route: { kind: 'all' }, onSeveral }
}

function planMoved(a: Analysis): FirstStep | undefined {
  const { relation, node } = a.targets.find((t) => !t.nested)!
  const { withClause, returningClause, ...insert } = structuredClone(node as InsertStmt)
  if (relation?.key === undefined || relation.rowSecurity || relation.through !== undefined) return undefined
  if (a.targets.length > 1 || withClause !== undefined) return undefined
  const values = valuesOf(insert, relation, a)
  const conflict = insert.onConflictClause && withOneSource(insert.onConflictClause)
  const names = conflict && arbiterColumns(conflict)
  if (values === undefined || names === undefined) return undefined
  if (!names.every((name) => values.has(name)) || !isSettable(conflict!, relation)) return undefined
  const alias = insert.relation!.alias?.aliasname ?? insert.relation!.relname!
  if (alias === 'excluded' || !withoutExcluded(conflict!, values)) return undefined
  const isSame = names.map((name) =>
    isEqual(columnNode(alias, name), values.get(name)!, name === relation.key!.column),
  )
  const returning = returningClause && { returningClause }
  const update = {
    relation: insert.relation!,
    targetList: conflict!.targetList!,
    whereClause: allOf([...isSame, ...(conflict!.whereClause ? [conflict!.whereClause] : [])]),
    ...returning,
  }
  const select = selectNode('SELECT FROM t')
  const found = {
    ...select,
    fromClause: [{ RangeVar: insert.relation! } as Node],
    whereClause: allOf(isSame),
  }
  const locking = { ...insert, onConflictClause: lockingClause(conflict!, relation, alias), ...returning }
  const texts = [{ UpdateStmt: update }, { InsertStmt: locking }, { SelectStmt: found }].map((statement) =>
    printed(statement as Node),
  )
  const [sql, rest, isThere] = texts
  if (sql === undefined || rest === undefined || isThere === undefined) return undefined
  const sets = conflict!.targetList!.map((item) => as(item, 'ResTarget')!.name!)
  const moves = { table: relation, sets, withChildren: false, isThere }
  return { kind: 'run-first', sql, rest, readsMore: false, collates: false, moves }
}

/** What the row is given; undefined: that is more than one, or not the same when it is computed again. */
function valuesOf(
  insert: InsertStmt,
  relation: Relation,
  a: Analysis,
): ReadonlyMap<string, Node> | undefined {
  const source = as(insert.selectStmt, 'SelectStmt')
  if (!isPlainRows(source) || source!.valuesLists!.length !== 1) return undefined
  const row = as(source!.valuesLists![0], 'List')?.items ?? []
  const traits = traitsOf(row, a.catalog)
  const isOpen = (unstableBecause(traits) ?? traits.timeLiteral) !== undefined || traits.writes
  const hasParts = (insert.cols ?? []).some((col) => as(col, 'ResTarget')?.indirection !== undefined)
  const names = insertColumns(relation, insert, row.length)
  const isIgnored = insert.override === 'OVERRIDING_USER_VALUE'
  if (isOpen || hasParts || isIgnored || names === undefined || hasSubqueries(row as unknown as Node))
    return undefined
  const values = new Map<string, Node>()
  for (const [i, item] of row.entries()) {
    const column = relation.columns.find(({ name }) => name === names[i])
    if (column === undefined || as(item, 'SetToDefault') !== undefined) continue
    values.set(column.name, castNode(item, column.declared ?? column.type))
  }
  return values
}

/** Of `ON CONFLICT (a, b)`; undefined: it says more. */
function arbiterColumns({ infer }: OnConflictClause): readonly string[] | undefined {
  if (infer?.indexElems === undefined || infer.whereClause !== undefined) return undefined
  const elements = infer.indexElems.map((node) => as(node, 'IndexElem')!)
  const isPlain = elements.every(({ name, collation, opclass }) => name && !collation && !opclass)
  return isPlain ? elements.map(({ name }) => name!) : undefined
}

/** Columns that only DEFAULT may be said of are to be left alone; of others Postgres says what is wrong. */
function isSettable({ targetList = [] }: OnConflictClause, relation: Relation): boolean {
  return targetList.every((item) => {
    const { name, val } = as(item, 'ResTarget')!
    const column = relation.columns.find((one) => one.name === name)
    return as(val, 'SetToDefault') === undefined || (column?.identity !== 'always' && !column?.generated)
  })
}

/** With the row's values in the place of EXCLUDED. In place; false: it names what is not given. */
function withoutExcluded(conflict: OnConflictClause, values: ReadonlyMap<string, Node>): boolean {
  const isHidden =
    relationsOf(conflict).some(({ relname }) => relname === 'excluded') ||
    JSON.stringify(conflict).includes('"aliasname":"excluded"')
  let isKnown = !isHidden
  replaceNodes(conflict, (node) => {
    const fields = (as(node, 'ColumnRef') as ColumnRef | undefined)?.fields ?? []
    const [table, name, ...more] = strings(fields)
    if (table !== 'excluded') return undefined
    const value = name === undefined || more.length > 0 ? undefined : values.get(name)
    isKnown &&= value !== undefined
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
function lockingClause(
  { targetList = [], ...conflict }: OnConflictClause,
  { key }: Relation,
  alias: string,
): OnConflictClause {
  const names = new Set(targetList.map((item) => as(item, 'ResTarget')!.name!))
  const set = [...names].map((name) => {
    const val = name === key!.column ? columnNode(alias, name) : expressionNode('NULL')
    return { ResTarget: { name, val } } as Node
  })
  return { ...conflict, targetList: set, whereClause: expressionNode('false') }
}
