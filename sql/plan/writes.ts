import type * as Pg from '@pgsql/types'
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { Catalog, Column, Relation } from '../catalog.ts'
import {
  as,
  assignedItem,
  columnName,
  conjuncts,
  kindOf,
  type Node,
  strings,
  whenClauses,
} from '../parse/ast.ts'
import { parseStatements } from '../parse/parse.ts'
import type { Analysis } from '../place/analyze.ts'
import { EMPTY_SPACE, type Scope } from '../tree/block.ts'
import type { WriteTarget } from '../tree/builder.ts'
import { constantOf } from '../tree/constants.ts'
import { acceptsCasts } from '../tree/facts.ts'
import { insertColumns } from '../tree/modify.ts'
import { traitsOf, unlikeOnShards } from '../tree/traits.ts'
import type { KeyValue } from './plan.ts'
import { TABLE_ITSELF, unsupported } from './routing.ts'
import { timedDefault } from './times/default-value.ts'

/** What a write may not do to a sharded or reference table, wherever it runs. */

const NO_SCOPE: Scope = { space: EMPTY_SPACE, parent: undefined, ctes: new Map(), inView: false }

/** Writes in WITH queries: those of sharded tables run where all the rest does; others have no place for it. */
export function nestedError(a: Analysis): PgError | undefined {
  for (const target of a.targets) {
    if (!target.nested) continue
    const error = targetError(a, target) ?? nestedTargetError(target)
    if (error) return error
  }
  return undefined
}

function nestedTargetError(target: WriteTarget): PgError | undefined {
  const { relation } = target
  if (relation?.kind === 'reference') {
    return unsupported(
      'with_write',
      `writing reference table "${relation.name}" in a WITH query is not supported`,
      'Write it in a statement of its own, in the same transaction.',
    )
  }
  if (relation?.kind !== 'sharded' || target.verb !== 'INSERT') return undefined
  // Of a query whose columns are not known it may be any.
  const omitted = omittedColumns(relation, target.node as Pg.InsertStmt) ?? relation.columns
  const column = omitted.find(({ usesSequence }) => usesSequence)?.name
  if (column === undefined) return undefined
  return unsupported(
    'sequence_default',
    `the default of "${column}" of "${relation.name}" in a WITH query is not supported: it draws from a sequence`,
    `Give "${column}" a value, for example from SELECT nextval(…) before.`,
  )
}

/** Of writes at any level. `isSeen`: what it sets the key to, and defaults, are looked at elsewhere. */
export function targetError(a: Analysis, target: WriteTarget, isSeen = false): PgError | undefined {
  const { relation, verb } = target
  if (!relation) return undefined
  if (relation.kind === 'view') return target.overDistributed ? throughView(target) : undefined
  if (relation.through !== undefined && verb === 'INSERT' && !isWhole(relation, a.catalog))
    return throughView(target)
  return isSeen ? undefined : (keyUpdateError(target) ?? defaultError(a.catalog, target))
}

/** Of what Postgres would refuse too, or what is not known well enough. */
export function throughView({ relation, verb }: WriteTarget): PgError {
  return unsupported(
    'write_through_view',
    `${verb} through view "${relation?.name}" of a sharded or reference table is not supported here`,
    TABLE_ITSELF,
  )
}

/** Rows that are inserted through the view have their key from it, and no default that Weft would have to see to. */
function isWhole({ kind, key, through }: Relation, catalog: Catalog): boolean {
  if (key !== undefined && key.index < 0) return false
  return !through!.hidden.some(
    (column) =>
      column.usesSequence ||
      timedDefault(column, catalog) !== undefined ||
      (kind === 'reference' && hasUnstableDefault(column, catalog)),
  )
}

/** Lists of SET assignments, those of ON CONFLICT and MERGE among them. */
function assignments(target: WriteTarget): readonly Pg.ResTarget[] {
  const { verb, node } = target
  if (verb === 'UPDATE') return targets((node as Pg.UpdateStmt).targetList)
  if (verb === 'INSERT') return targets((node as Pg.InsertStmt).onConflictClause?.targetList)
  if (verb === 'DELETE') return []
  return whenClauses(node as Pg.MergeStmt).flatMap(({ commandType, targetList }) =>
    commandType === 'CMD_UPDATE' ? targets(targetList) : [],
  )
}

function targets(list: readonly Node[] | undefined): Pg.ResTarget[] {
  return (list ?? []).map((node) => as(node, 'ResTarget')!)
}

/**
 * `SET k = k`, and `SET k = EXCLUDED.k` of an upsert: every unique index of a sharded table has the key in it, so the row
 * in conflict has the same.
 */
function keepsKey({ verb, node }: WriteTarget, column: string, val: Node | undefined): boolean {
  const parts = columnName(assignedItem(val))
  const alias = node.relation?.alias?.aliasname ?? node.relation?.relname
  if (verb === 'MERGE' && isJoined(node as Pg.MergeStmt, [alias!, column], parts)) return true
  if (parts?.at(-1) !== column || parts.length > 2) return false
  if (parts.length === 1) return verb === 'UPDATE' && !(node as Pg.UpdateStmt).fromClause
  return parts[0] === alias || (verb === 'INSERT' && parts[0] === 'excluded')
}

/** `ON t.k = s.k` of a MERGE that says `SET k = s.k`. */
function isJoined(
  { joinCondition }: Pg.MergeStmt,
  key: readonly string[],
  parts: readonly string[] | undefined,
): boolean {
  const written = (names: readonly string[] | undefined): string => JSON.stringify(names)
  return conjuncts(joinCondition).some((condition) => {
    const equal = as(condition, 'A_Expr')
    if (equal?.kind !== 'AEXPR_OP' || strings(equal.name).join('.') !== '=') return false
    const sides = [equal.lexpr, equal.rexpr].map((side) => written(columnName(side)))
    return parts?.length === 2 && sides.includes(written(key)) && sides.includes(written(parts))
  })
}

/** The constant to which an UPDATE sets the shard key. */
export function keySetTo(a: Analysis, target: WriteTarget): KeyValue | undefined {
  const key = target.relation?.key
  if (target.verb !== 'UPDATE' || target.nested || key === undefined) return undefined
  const [assignment, ...more] = assignments(target).filter((t) => t.name === key.column)
  const item = more.length > 0 || assignment?.indirection ? undefined : assignedItem(assignment?.val)
  const value = item && constantOf(item, NO_SCOPE, a.literals)
  return value && acceptsCasts(key.type, { values: [value], direct: undefined }) ? value.value : undefined
}

/** It gives rows of a sharded table another key, perhaps. */
function setsKey(target: WriteTarget): boolean {
  const column = target.relation?.key?.column
  if (column === undefined) return false
  return assignments(target).some((t) => t.name === column && !keepsKey(target, column, t.val))
}

/** An UPDATE or MERGE that is all of its statement, and may have its rows belong to other shards. */
export function movesRows(target: WriteTarget): boolean {
  return (target.verb === 'UPDATE' || target.verb === 'MERGE') && !target.nested && setsKey(target)
}

/** … where the target is the row that its source joins. */
export function movesUnjoined({ node, relation }: WriteTarget): boolean {
  return whenClauses(node as Pg.MergeStmt).some(
    ({ matchKind, targetList }) =>
      matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE' &&
      targets(targetList).some(({ name }) => name === relation?.key?.column),
  )
}

function keyUpdateError(target: WriteTarget): PgError | undefined {
  return setsKey(target) ? keyUpdate(target) : undefined
}

const KEY_CHANGES = {
  INSERT: 'conflict_key_change',
  UPDATE: 'key_change',
  DELETE: 'key_change',
  MERGE: 'merge_key_change',
} as const

export function keyUpdate({ relation, verb }: WriteTarget): PgError {
  return unsupported(
    KEY_CHANGES[verb],
    `cannot update "${relation?.key?.column}": it is the shard key of table "${relation?.name}"`,
    'Delete the row and insert it with the new key, in one transaction.',
  )
}

/** SET x = DEFAULT runs on the shards: a sequence there repeats values, and copies must not come out differently. */
export function defaultError(catalog: Catalog, target: WriteTarget): PgError | undefined {
  const { relation } = target
  if (!relation) return undefined
  for (const assignment of assignments(target)) {
    if (!assignment.val || kindOf(assignment.val) !== 'SetToDefault') continue
    const column = relation.columns.find((c) => c.name === assignment.name)
    const unsafe =
      column?.usesSequence || (relation.kind === 'reference' && column && hasUnstableDefault(column, catalog))
    if (unsafe) {
      return unsupported(
        'unstable_default',
        `SET "${assignment.name}" = DEFAULT on "${relation.name}" is not supported: the default differs from shard to shard`,
        'Give it a value.',
      )
    }
  }
  return undefined
}

/** The default can come out differently on every copy of a reference table. */
export function hasUnstableDefault(column: Column, catalog: Catalog): boolean {
  if (column.usesSequence) return true
  if (column.default === undefined || column.generated) return false
  const tree = parseStatements(`SELECT ${column.default}`)
  return unlikeOnShards(traitsOf(tree[0]?.node, catalog)) !== undefined
}

/** Columns that an INSERT leaves to their defaults, or says DEFAULT for; undefined when that cannot be told. */
export function omittedColumns(relation: Relation, node: Pg.InsertStmt): readonly Column[] | undefined {
  const select = as(node.selectStmt, 'SelectStmt')
  const rows = select?.valuesLists?.map((row) => as(row, 'List')?.items ?? [])
  const width = rows?.[0]?.length ?? (node.selectStmt ? undefined : 0)
  const given = insertColumns(relation, node, width)
  if (!given) return undefined
  const defaulted = new Set<string>()
  if (node.override === 'OVERRIDING_USER_VALUE')
    for (const { name, identity } of relation.columns) if (identity !== undefined) defaulted.add(name)
  for (const row of rows ?? []) {
    for (const [i, item] of row.entries()) if (kindOf(item) === 'SetToDefault') defaulted.add(given[i] ?? '')
  }
  return relation.columns.filter((c) => !c.generated && (!given.includes(c.name) || defaulted.has(c.name)))
}

export function keyNull(relation: Relation): PgError {
  return weftError('key_null', { table: relation.name, column: relation.key?.column ?? '' })
}

/** Its own constraint says so of a row without a key, wherever that is sent. */
export const hasNotNullKey = ({ columns, key }: Relation): boolean =>
  columns[key?.index ?? -1]?.notNull === true
