import { PgError } from '../../../errors/pg-error.ts'
import type { Column, Relation } from '../../catalog.ts'
import { as, hasSubqueries, type InsertStmt, type Node } from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printed, printedExpression } from '../../print/printed.ts'
import { wholeColumns } from '../../tree/modify.ts'
import { traitsOf, unlikeOnShards, unstableBecause } from '../../tree/traits.ts'
import { isGatheredName } from '../gather/gather-plan.ts'
import { expressionNode } from '../gather/made-nodes.ts'
import { castNode } from '../gather/new-values.ts'
import { withOneSource } from '../gather/plan-modify-gathered.ts'
import type { Plan } from '../plan.ts'
import { isPlainRows } from '../plan-insert.ts'
import { commonFields, forwardTo } from '../routing.ts'
import {
  arbiterColumns,
  type Conflict,
  conflictTexts,
  isSettable,
  withoutExcluded,
} from './conflict-texts.ts'
import { computedMark, type FirstStep, type MovedInConflict } from './first-step.ts'
import { typeConstants } from './listed-rows.ts'
import { hasFirst } from './plan-first.ts'

/**
 * The plan of an INSERT that sets the shard key where a row is in conflict. Row by row, in order, it is run with `DO UPDATE
 * … WHERE false` first: that inserts the row, or locks the one that is in its way, whoever inserts in the meantime. Is
 * there one, an UPDATE changes it then, and moves it.
 */
export function orMovedInConflict(plan: Plan, a: Analysis, text: string): Plan {
  const isAsked = plan.kind === 'refused' && plan.error instanceof PgError
  if (!isAsked || plan.error.fields.routine !== 'conflict_key_change') return plan
  const { node } = a.targets.find((t) => !t.nested)!
  // What is missing Postgres says.
  if ((node as InsertStmt).onConflictClause?.infer === undefined)
    return forwardTo(commonFields(a, 'INSERT', false), { kind: 'home' })
  const onSeveral = hasFirst(a) || isGatheredName(text) ? undefined : planMoved(a)
  if (onSeveral === undefined) return plan
  const common = commonFields(a, 'INSERT', (node as InsertStmt).returningClause !== undefined)
  const generic = common.generic && a.literalCount === 0
  return { ...common, generic, kind: 'forward', route: { kind: 'all' }, onSeveral }
}

function planMoved(a: Analysis): FirstStep | undefined {
  const { relation, node } = a.targets.find((t) => !t.nested)!
  const insert = structuredClone(node as InsertStmt)
  if (relation?.key === undefined || relation.through !== undefined) return undefined
  if (relation.rowSecurity === 'by command' || a.targets.length > 1) return undefined
  const conflict = insert.onConflictClause && withOneSource(insert.onConflictClause)
  const names = conflict && arbiterColumns(conflict, relation)
  if (names === undefined || !isSettable(conflict!, relation)) return undefined
  const given = givenRows(insert, relation, a)
  if (given === undefined || !names.every((name) => given.values.has(name))) return undefined
  const alias = insert.relation!.alias?.aliasname ?? insert.relation!.relname!
  if (alias === 'excluded' || !withoutExcluded(conflict!, given.values, relation)) return undefined
  const onConflictClause = insert.onConflictClause!
  const parts: Conflict = {
    insert: { ...insert, onConflictClause },
    conflict: conflict!,
    relation,
    alias,
    names,
  }
  const texts = conflictTexts(parts, given.values)
  const isAlone = typeof given.rows !== 'string' && given.rows.length === 1
  if (texts === undefined || (!isAlone && !isSteady(parts, a))) return undefined
  const { sql, rest, becomes, none, ...asked } = texts
  const isQuery = typeof given.rows === 'string'
  if ((!isAlone && becomes === undefined) || (isQuery && none === undefined)) return undefined
  const moves: MovedInConflict = {
    table: relation,
    sets: conflict!.targetList!.map((item) => as(item, 'ResTarget')!.name!),
    withChildren: false,
    rows: given.rows,
    ...asked,
    ...(!isAlone && becomes !== undefined && { becomes }),
    ...(isQuery && none !== undefined && { none }),
  }
  return { kind: 'run-first', sql, rest, readsMore: false, collates: false, moves }
}

/** Of several rows each is computed in a statement of its own: all of these are to see the same. */
function isSteady({ insert, conflict, names }: Conflict, { catalog }: Analysis): boolean {
  const tail = [conflict, insert.returningClause] as unknown as Node
  if (hasSubqueries(tail) || traitsOf(tail, catalog).user !== undefined) return false
  const set = conflict.targetList!.filter((item) => names.includes(as(item, 'ResTarget')!.name!))
  const traits = traitsOf([set, conflict.whereClause], catalog)
  const isDefault = set.some((item) => as(as(item, 'ResTarget')!.val, 'SetToDefault') !== undefined)
  return !isDefault && unstableBecause(traits, false) === undefined && traits.timeLiteral === undefined
}

interface GivenRows {
  readonly rows: MovedInConflict['rows']
  /** What columns are given: marks, of their types. */
  readonly values: ReadonlyMap<string, Node>
}

/** In place: the INSERT has marks in the place of its rows. Undefined: they are not the same when computed again. */
function givenRows(insert: InsertStmt, relation: Relation, a: Analysis): GivenRows | undefined {
  const source = as(insert.selectStmt, 'SelectStmt')
  if (source === undefined) return undefined
  const lists = isPlainRows(source)
    ? source.valuesLists!.map((row) => as(row, 'List')?.items ?? [])
    : undefined
  const width = lists?.[0]?.length ?? insert.cols?.length ?? a.block.arms[0]?.outputs?.length
  const columns = wholeColumns(relation, insert, width)
  if (columns === undefined) return undefined
  const rows = lists === undefined ? queryOf(insert, columns) : textsOf(insert, lists, a)
  if (rows === undefined) return undefined
  const marks = columns.map((_, i) => computedMark(i))
  const values = new Map<string, Node>()
  for (const [i, column] of columns.entries()) {
    const isDefault = lists?.some((row) => as(row[i], 'SetToDefault') !== undefined)
    if (!isDefault) values.set(column.name, castNode(marks[i]!, column.declared ?? column.type))
  }
  for (const column of relation.columns) {
    const value = columns.includes(column) ? undefined : steadyDefault(column, a)
    if (value !== undefined) values.set(column.name, value)
  }
  const list = { List: { items: marks } } as Node
  insert.selectStmt = {
    SelectStmt: { valuesLists: [list], limitOption: 'LIMIT_OPTION_DEFAULT', op: 'SETOP_NONE' },
  }
  return { rows, values }
}

/** What a column gets that is not given. Undefined: only the INSERT knows. */
function steadyDefault(column: Column, { catalog }: Analysis): Node | undefined {
  const { generated, identity, base, declared = column.type } = column
  // A domain has defaults, too.
  if (generated || identity !== undefined || base !== undefined) return undefined
  const value = expressionNode(column.default ?? 'NULL')
  const traits = traitsOf(value, catalog)
  if (column.usesSequence || (unlikeOnShards(traits) ?? traits.timeLiteral) !== undefined) return undefined
  return castNode(value, declared)
}

function textsOf(
  { withClause }: InsertStmt,
  lists: readonly (readonly Node[])[],
  { catalog }: Analysis,
): string[][] | undefined {
  const traits = traitsOf(lists, catalog)
  const isOpen = (unstableBecause(traits) ?? traits.timeLiteral) !== undefined || traits.writes
  if (isOpen || withClause !== undefined || hasSubqueries(lists as unknown as Node)) return undefined
  const rows = lists.map((row) =>
    row.map((item) => {
      if (as(item, 'SetToDefault') !== undefined) return 'DEFAULT'
      const text = printedExpression(item)
      return text === undefined ? undefined : `(${text})`
    }),
  )
  return rows.some((row) => row.includes(undefined)) ? undefined : (rows as string[][])
}

function queryOf(insert: InsertStmt, columns: readonly Column[]): string | undefined {
  const { withClause } = insert
  const source = as(insert.selectStmt, 'SelectStmt')!
  if (withClause !== undefined && source.withClause !== undefined) return undefined
  typeConstants(source, columns)
  delete insert.withClause
  return printed({ SelectStmt: { ...source, ...(withClause && { withClause }) } } as Node)
}
