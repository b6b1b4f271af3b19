import type * as Pg from '@pgsql/types'
import type { Column, Relation } from '../../catalog.ts'
import { hashExpression, slotExpression } from '../../hash/slot-expression.ts'
import {
  as,
  columnName,
  columnNode,
  type Node,
  type RangeVar,
  type UpdateStmt,
  walk,
} from '../../parse/ast.ts'
import { castType } from '../cast-type.ts'
import { quoteName } from '../text-scan.ts'
import { hasUnstableDefault } from '../writes.ts'
import { type GatherInput, gatheredName, type MovePlan, ownName } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { expressionNode } from './made-nodes.ts'
import { carriedInsertOf, newColumns, newName, SLOT, TOLD } from './move-carried.ts'
import { assignedValue, castNode, type Found, numbersOf, ofPlaces, readIn } from './new-values.ts'
import { overGathered, withGathered } from './over-gathered.ts'
import { isAt, xminOf } from './places.ts'
import { sourceOf, unsafeArm } from './plan-gather.ts'
import { FORMAT, type Transport, transportOf } from './transport.ts'

/**
 * What an UPDATE of the shard key does with rows whose new key belongs to another shard: new rows are computed where the
 * old ones are, those are deleted, and the new ones inserted where they belong. Undefined: not exactly what UPDATE does.
 */
export function moveOf(move: Found): MovePlan | undefined {
  const { statement, meant } = move
  const { relation } = meant
  const columns = relation.columns.filter(({ generated }) => !generated)
  const values = newValues(statement, relation, columns)
  if (values === undefined) return undefined
  const { fromClause: _, ...alone } = statement
  const asked = move.isComputed ? alone : statement
  const carries = !returnsNewOnly(asked, relation, move.isMerge)
  const compute = computeOf(move, columns, values, carries ? relation.columns : columns)
  const insert = carries ? carriedInsertOf(move, columns, values) : insertOf(move, columns)
  if (compute === undefined || insert === undefined) return undefined
  return {
    table: relation,
    ...compute,
    ...insert,
    delete: `DELETE FROM ${sourceOf(meant)} WHERE ${isAt(meant, 1)}`,
    sets: (statement.targetList ?? []).map((node) => as(node, 'ResTarget')!.name!),
    withChildren: meant.range.inh === true,
    ...(move.isMerge && { isMerge: true }),
  }
}

/** Of each column of a new row; undefined: a part of a column is set, or what it gets differs from time to time. */
function newValues(
  { targetList = [], relation: range }: UpdateStmt,
  relation: Relation,
  columns: readonly Column[],
): readonly Node[] | undefined {
  const set = new Map<string, Node>()
  for (const node of targetList) {
    const { name, val, indirection } = as(node, 'ResTarget')!
    const value =
      indirection === undefined
        ? assignedValue(
            val!,
            relation.columns.find((c) => c.name === name),
          )
        : undefined
    if (value === undefined) return undefined
    set.set(name!, value)
  }
  const alias = range!.alias?.aliasname ?? range!.relname!
  return columns.map(({ name, type }) => {
    const value = set.get(name)
    return value === undefined ? columnNode(alias, name) : castNode(value, type)
  })
}

/** What RETURNING names is a column of the new row, which is all that the INSERT of it knows. A MERGE may say what it is. */
export function returnsNewOnly(
  { returningClause, fromClause, relation }: UpdateStmt,
  table: Relation,
  isMerge = false,
): boolean {
  if (returningClause === undefined) return true
  if (returningClause.options !== undefined || isMerge) return false
  const own = relation!.alias?.aliasname ?? relation!.relname!
  const others = new Set(own === 'old' ? [] : ['old'])
  walk(fromClause, (_, body) => {
    const { alias, relname } = body as RangeVar
    const name = alias?.aliasname ?? relname
    if (name !== undefined) others.add(name)
  })
  let isNew = true
  walk(returningClause.exprs, (kind, body) => {
    if (kind !== 'ColumnRef') return
    const { fields } = body as Pg.ColumnRef
    const names = columnName({ ColumnRef: body } as Node)
    const [first] = fields ?? []
    const qualifier = (fields?.length ?? 0) > 1 ? as(fields!.at(-2), 'String')?.sval : undefined
    if (qualifier !== undefined) {
      if (others.has(qualifier)) isNew = false
    } else if (fromClause !== undefined) {
      const isStar = as(first, 'A_Star') !== undefined
      if (isStar || !table.columns.some(({ name }) => name === names?.[0])) isNew = false
    } else if (names?.[0] !== undefined && others.has(names[0])) isNew = false
  })
  return isNew
}

const PLACE = ['oid', 'tid', 'xmin'].map(ownName)
const [OLD_KEY, WAS, IS] = ['old_key', 'was', 'is'].map(ownName)
const IS_UNSURE = ownName('unsure')

/**
 * Of several rows that join it Postgres takes the one that it finds first, too. Where the key of another belongs may not be
 * the same; a MERGE may not have others.
 */
function oneOfSeveral(rows: string, isMerge = false): string {
  const [oid, tid] = PLACE
  const slot = `COALESCE(${SLOT}, -1)`
  const isUnsure = isMerge
    ? 'pg_catalog.count(*) OVER w > 1'
    : `pg_catalog.min(${slot}) OVER w <> pg_catalog.max(${slot}) OVER w`
  return (
    `SELECT DISTINCT ON (${oid}, ${tid}) *, ${isUnsure} AS ${IS_UNSURE} ` +
    `FROM (${rows}) AS r WINDOW w AS (PARTITION BY ${oid}, ${tid})`
  )
}

/**
 * The new rows of places, each with the slot of its key, and the place of the old one. `sent`: what is inserted is made of
 * these, the new columns, or of all old ones.
 */
function computeOf(
  asked: Found,
  columns: readonly Column[],
  values: readonly Node[],
  sent: readonly Column[],
): Pick<MovePlan, 'compute' | 'computeParams' | 'computeInputs' | 'formats' | 'input' | 'cells'> | undefined {
  const { statement, meant } = asked
  const { relation, fromClause } = statement
  const name = quoteName(relation!.alias?.aliasname ?? relation!.relname!)
  const key = meant.relation.key!
  const oldKey = `${name}.${quoteName(key.column)}`
  const places = [`${name}.tableoid`, `${name}.ctid`, xminOf(name), oldKey].map(expressionNode)
  const names = columns.map((_, i) => newName(i))
  const isOld = sent !== columns
  const old = isOld ? sent.map((column) => columnNode(meant.alias, column.name)) : []
  const oldNames = old.map((_, i) => ownName(`old_${i}`))
  const outputNames = [...names, ...oldNames, ...PLACE, OLD_KEY]
  const targetList = [...values, ...old, ...places].map(
    (val, i) => ({ ResTarget: { val, name: outputNames[i] } }) as Node,
  )
  const over = ofPlaces(asked, targetList)
  if (over === undefined) return undefined
  // What was computed once is not computed where the row goes.
  const alsoNew = isOld && asked.isComputed === true
  const { declared, type } = meant.relation.columns[key.index]!
  const keyName = names[columns.findIndex((column) => column.name === key.column)]!
  const value = `CAST(${keyName} AS ${declared ?? castType(type)})`
  const slot = `CAST(${slotExpression(key.type, value)} AS pg_catalog.int4) AS ${SLOT}`
  const hashes = `${hashExpression(key.type, OLD_KEY!)} AS ${WAS}, ${hashExpression(key.type, value)} AS ${IS}`
  const withSlots = `SELECT *, ${slot}, ${hashes} FROM (${over.sql}) AS r`
  const found =
    fromClause === undefined
      ? `SELECT *, false AS ${IS_UNSURE} FROM (${withSlots}) AS r`
      : oneOfSeveral(withSlots, asked.isMerge)
  const own = isOld ? [...oldNames, ...(alsoNew ? names : [])] : names
  const outputs = [...own, SLOT, IS_UNSURE, ...PLACE, WAS, IS].join(', ')
  const told = alsoNew ? [...sent, ...newColumns(columns)] : sent
  const transports = told.map((column) => transportOf(column))
  const { text, binary } = FORMAT
  const unsafe = unsafeArm(told, Array(7).fill('NULL'))
  return {
    compute: `SELECT 0, ${outputs} FROM (${found}) AS s${unsafe}`,
    computeParams: over.params,
    computeInputs: over.inputs,
    formats: [binary, ...transports.map(({ format }) => format), binary, binary, ...Array(5).fill(text)],
    input: isOld ? oldRows(meant.relation, told, transports) : newRows(meant.relation, columns, transports),
    cells: told.length,
  }
}

function newRows(
  { name }: Relation,
  columns: readonly Column[],
  transports: readonly Transport[],
): GatherInput {
  const names = columns.map((column) => column.name)
  return { table: name, columns: transports, slots: columns.map((_, i) => i), names }
}

/** With the slot of the new key, and the place of each, which tells it from others. */
function oldRows(
  { name }: Relation,
  columns: readonly Column[],
  transports: readonly Transport[],
): GatherInput {
  const all = [...transports, ...TOLD.map((column) => transportOf(column))]
  return {
    table: name,
    columns: all,
    slots: all.map((_, i) => i),
    names: [...columns, ...TOLD].map((column) => column.name),
    tellsShard: true,
  }
}

/** Of new rows that come as arrays, after those of the others. */
function insertOf(
  { statement, others, meant }: Found,
  columns: readonly Column[],
): Pick<MovePlan, 'insert' | 'insertParams' | 'insertInputs'> | undefined {
  const { relation, returningClause, withClause } = statement
  const read = readIn([returningClause, withClause], others)
  const alias = ownName('moved')
  const range: RangeVar = {
    relname: gatheredName(read.length),
    inh: true,
    relpersistence: 'p',
    alias: { aliasname: alias },
  }
  // Their lengths are looked at when they are assigned.
  const { isRow: _, ...rows } = meant
  const own: TableItem = {
    ...rows,
    range,
    alias,
    columns: columns.map(({ declared: __, ...column }) => column),
  }
  const select = {
    targetList: columns.map(({ name }) => ({ ResTarget: { val: columnNode(alias, name) } }) as Node),
    fromClause: [{ RangeVar: range } as Node],
    limitOption: 'LIMIT_OPTION_DEFAULT',
    op: 'SETOP_NONE',
  }
  const insert = {
    relation: { ...relation!, inh: true },
    cols: columns.map(({ name }) => ({ ResTarget: { name } }) as Node),
    selectStmt: { SelectStmt: select },
    override: 'OVERRIDING_SYSTEM_VALUE',
    ...(returningClause && { returningClause }),
    ...(withClause && { withClause }),
  }
  const node = withGathered({ InsertStmt: insert } as Node, read)
  const over = overGathered(node, [...read, own])
  const insertInputs = numbersOf(read, others)
  return over && { insert: over.sql, insertParams: over.params, insertInputs }
}

/** Defaults that come out anew each time: what is computed where a row is, and what it is set to there, would differ. */
export function setsUnstableDefault(
  { targetList = [] }: UpdateStmt,
  relation: Relation,
  catalog: Parameters<typeof hasUnstableDefault>[1],
): boolean {
  return targetList.some((node) => {
    const { name, val } = as(node, 'ResTarget')!
    const column = relation.columns.find((one) => one.name === name)
    return (
      as(val, 'SetToDefault') !== undefined && column !== undefined && hasUnstableDefault(column, catalog)
    )
  })
}
