import type { PgError } from '../../../errors/pg-error.ts'
import type { Catalog, Column, Relation } from '../../catalog.ts'
import {
  as,
  columnNode,
  hasSubqueries,
  type MergeStmt,
  type MergeWhenClause,
  type Node,
  walk,
  whenClauses,
} from '../../parse/ast.ts'
import type { Analysis } from '../../place/analyze.ts'
import { printedExpression } from '../../print/printed.ts'
import type { Space } from '../../tree/block.ts'
import type { WriteTarget } from '../../tree/builder.ts'
import { insertColumns } from '../../tree/modify.ts'
import { traitsOf } from '../../tree/traits.ts'
import { placeError, unsupported } from '../routing.ts'
import { hasUnstableDefault } from '../writes.ts'
import type { MergeDraws } from './gather-plan.ts'
import type { TableItem } from './inputs.ts'
import { expressionNode, selectNode } from './made-nodes.ts'
import { isSteady, numbered, ROW_NUMBER, sourceName, valueName, withoutAdded } from './merge-source.ts'
import { castNode, readIn } from './new-values.ts'
import { overGathered, withGathered } from './over-gathered.ts'

/** A column of rows that a MERGE inserts, of which the value cannot be left to the shards. */
export interface OpenColumn {
  readonly column: Column
  readonly expression: string
  /** What it is computed of, where the source's row is a part of that. */
  readonly value?: Node
}

export interface OpenColumns {
  readonly columns: readonly OpenColumn[]
  /** Of each clause, by their numbers. */
  readonly byClause: readonly (readonly number[])[]
}

/**
 * Left to a default: a sequence, what differs from copy to copy, and a key, which says where the row belongs. Written: a
 * key, and what copies get, that comes out anew each time.
 */
export function openColumns(merge: MergeStmt, relation: Relation, catalog: Catalog): OpenColumns | undefined {
  const columns: OpenColumn[] = []
  const byClause = whenClauses(merge).map((clause) => {
    if (clause.commandType !== 'CMD_INSERT') return []
    return openOf(clause, relation, catalog).map((open) => {
      const known = columns.findIndex(
        (one) => one.column === open.column && one.expression === open.expression,
      )
      return known >= 0 ? known : columns.push(open) - 1
    })
  })
  return columns.length === 0 ? undefined : { columns, byClause }
}

function openOf(clause: MergeWhenClause, relation: Relation, catalog: Catalog): readonly OpenColumn[] {
  const given = givenColumns(clause, relation)
  const onCopies = relation.kind === 'reference'
  return relation.columns.flatMap((column) => {
    const value = clause.values?.[given.indexOf(column.name)]
    const isKey = column.name === relation.key?.column
    if (value !== undefined && !isDefault(value)) {
      if (clause.targetList !== undefined && isPart(clause.targetList[given.indexOf(column.name)])) return []
      const open = drawnValue(value, { isKey, onCopies }, catalog)
      return open === undefined ? [] : [{ column, ...open }]
    }
    const isOpen = onCopies
      ? hasUnstableDefault(column, catalog)
      : column.usesSequence || (isKey && column.default !== undefined)
    return isOpen && !column.generated ? [{ column, expression: column.default ?? 'NULL' }] : []
  })
}

const isPart = (node: Node | undefined): boolean => as(node, 'ResTarget')?.indirection !== undefined

/** What comes out anew each time where that counts, or comes from home's sequences. */
function drawnValue(
  value: Node,
  { isKey, onCopies }: { readonly isKey: boolean; readonly onCopies: boolean },
  catalog: Catalog,
): Omit<OpenColumn, 'column'> | undefined {
  const { user, server, systemColumn, time, random, home } = traitsOf(value, catalog)
  const isOpen = home !== undefined || ((isKey || onCopies) && (time ?? random) !== undefined)
  if (!isOpen || (user ?? server ?? systemColumn) !== undefined || hasSubqueries(value)) return undefined
  let isAlone = true
  walk(value, (kind) => {
    if (kind === 'ColumnRef' || kind === 'ParamRef') isAlone = false
  })
  const expression = printedExpression(value)
  if (expression === undefined) return undefined
  return isAlone ? { expression } : { expression, value }
}

/** Why a MERGE cannot run where its rows are: values of rows that it inserts draw on home, and nothing else does. */
export function drawnInMerge(
  a: Analysis,
  { relation, verb, nested, node }: WriteTarget,
): PgError | undefined {
  const error = verb === 'MERGE' && !nested && relation?.kind === 'sharded' ? placeError(a) : undefined
  if (error === undefined) return undefined
  const rest = structuredClone(node as MergeStmt)
  for (const clause of whenClauses(rest)) {
    const parts = (clause.targetList ?? []).map(isPart)
    const values = clause.values?.filter(
      (value, i) => parts[i] || drawnValue(value, { isKey: false, onCopies: false }, a.catalog) === undefined,
    )
    if (values !== undefined) clause.values = values
  }
  return traitsOf(rest, a.catalog).home === undefined ? error : undefined
}

/** Columns that an INSERT clause gives values. */
export function givenColumns(
  { targetList, values = [] }: MergeWhenClause,
  relation: Relation,
): readonly string[] {
  return insertColumns(relation, targetList ? { cols: targetList } : {}, values.length) ?? []
}

const isDefault = (node: Node | undefined): boolean => as(node, 'SetToDefault') !== undefined

/** Why the shards cannot run it as it is. */
export function mergeError(catalog: Catalog, { relation, node }: WriteTarget): PgError | undefined {
  const open = relation && openColumns(node as MergeStmt, relation, catalog)?.columns[0]
  if (open === undefined) return undefined
  const { column } = open
  const why = column.usesSequence ? 'draws from a sequence' : 'differs from place to place'
  return unsupported(
    column.usesSequence ? 'sequence_default' : 'unstable_default',
    `the default of "${column.name}" of "${relation!.name}" in this MERGE is not supported: it ${why}`,
    `Give "${column.name}" a value.`,
  )
}

/** The statement whose INSERTs take such values from its source, which has none yet. */
export interface Drawing {
  readonly merge: MergeStmt
  readonly open: OpenColumns
  readonly source: Node
  /** Of what is computed of the source's rows, by the columns' numbers. */
  readonly values: readonly (Node | undefined)[]
  /** Only there it can be computed. */
  readonly atHome: boolean
}

/** Undefined: what is added to the source would be seen, or its rows have no certain order. */
export function drawingOf(
  merge: MergeStmt,
  relation: Relation,
  open: OpenColumns,
  { space, catalog }: { readonly space: Space | undefined; readonly catalog: Catalog },
): Drawing | undefined {
  const source = merge.sourceRelation!
  const name = sourceName(source)
  const range = merge.relation!
  if (name === undefined || space === undefined || !isSteady(source)) return undefined
  // Where clauses are about rows that the source does not join, its row is NULL.
  const mayBeNull = whenClauses(merge).some(
    ({ matchKind }) => matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE',
  )
  const rows = mayBeNull ? 'unknown' : 'made'
  const names = { source: name, target: range.alias?.aliasname ?? range.relname ?? '', rows } as const
  const { returningClause } = merge
  const exprs = withoutAdded(returningClause?.exprs, space, names)
  const clauses = whenClauses(merge).map((clause, i) => {
    const values = withoutAdded(clause.values, space, names)
    const filled =
      values && filledClause({ ...clause, ...(clause.values && { values }) }, relation, open, i, name)
    return filled && ({ MergeWhenClause: filled } as Node)
  })
  const values = open.columns.map(({ value }) => value && withoutAdded([value], space, names))
  const isKnown = open.columns.every(({ value }, i) => value === undefined || values[i]?.length === 1)
  if (exprs === undefined || clauses.includes(undefined) || !isKnown) return undefined
  return {
    merge: {
      ...merge,
      mergeWhenClauses: clauses as Node[],
      ...(returningClause && { returningClause: { ...returningClause, exprs } }),
    },
    open,
    source,
    values: values.map((one) => one?.[0]),
    atHome: open.columns.some(({ value }) => traitsOf(value, catalog).home !== undefined),
  }
}

function filledClause(
  clause: MergeWhenClause,
  relation: Relation,
  { columns, byClause }: OpenColumns,
  at: number,
  source: string,
): MergeWhenClause | undefined {
  const own = byClause[at]!
  if (own.length === 0) return clause
  if (clause.override === 'OVERRIDING_USER_VALUE') return undefined
  const given = givenColumns(clause, relation)
  const names = [...given]
  const values = [...(clause.values ?? [])]
  for (const number of own) {
    const { name, type } = columns[number]!.column
    const value = castNode(columnNode(source, valueName(number)), type)
    const index = names.indexOf(name)
    if (index >= 0) values[index] = value
    else {
      names.push(name)
      values.push(value)
    }
  }
  const isAlways = own.some((number) => columns[number]!.column.identity === 'always')
  // A list of the client's may name parts of columns.
  const targetList = names.map((name, i) => clause.targetList?.[i] ?? ({ ResTarget: { name } } as Node))
  return { ...clause, targetList, values, ...(isAlways && { override: 'OVERRIDING_SYSTEM_VALUE' as const }) }
}

/** Which rows of the source a MERGE inserts, in their order, and by which clause. `known`: it joins a row somewhere. */
export function drawsOf(
  merge: MergeStmt,
  { open, source, values }: Drawing,
  known: Node,
  items: readonly TableItem[],
): MergeDraws | undefined {
  const clauses = whenClauses(merge)
  const args = clauses.flatMap(({ matchKind, commandType, condition }, i) => {
    if (matchKind !== 'MERGE_WHEN_NOT_MATCHED_BY_TARGET') return []
    const result = expressionNode(commandType === 'CMD_INSERT' ? String(i) : 'NULL')
    return [{ CaseWhen: { expr: condition ?? expressionNode('true'), result } }]
  })
  const clause = { CaseExpr: { args } } as unknown as Node
  const select = selectNode(`SELECT ${ROW_NUMBER}, c FROM s WHERE NOT a ORDER BY 1`)
  as(select.targetList![1], 'ResTarget')!.val = clause
  select.targetList!.push(
    ...values.flatMap((value, n) => (value ? [computedOf(value, n, open, clause)] : [])),
  )
  select.fromClause = [numbered(source)]
  as(select.whereClause, 'BoolExpr')!.args = [known]
  const read = readIn(select, items)
  const over = overGathered(withGathered({ SelectStmt: select } as Node, read), read)
  if (over === undefined) return undefined
  const computeInputs = read.map((item) => items.indexOf(item))
  const columns = open.columns.map(({ column, expression, value }) => ({
    column: column.name,
    typeOid: column.typeOid,
    expression,
    ...(value && { isComputed: true as const }),
  }))
  return { compute: over.sql, computeParams: over.params, computeInputs, columns, byClause: open.byClause }
}

/** Where the row is inserted by a clause that has it, as text. */
function computedOf(value: Node, n: number, { columns, byClause }: OpenColumns, clause: Node): Node {
  const numbers = byClause.flatMap((own, i) => (own.includes(n) ? [i] : []))
  const node = expressionNode(`CASE WHEN a IN (${numbers.join(', ')}) THEN CAST(v AS pg_catalog.text) END`)
  const when = as(as(node, 'CaseExpr')!.args![0], 'CaseWhen')!
  as(when.expr, 'A_Expr')!.lexpr = clause
  as(when.result, 'TypeCast')!.arg = castNode(value, columns[n]!.column.type)
  return { ResTarget: { val: node } } as Node
}
