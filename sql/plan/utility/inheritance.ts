import type { AlterTableCmd, CreateStmt } from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { inheritGuard } from '../../install/slot-guard.ts'
import { as } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { isSerial } from './added-columns.ts'
import { checkConstraints, type Placed } from './constraints.ts'
import { declarePartitions, isAlike, partOf, refuseUnlogged } from './partitions.ts'
import { ddl, unsupported } from './plans.ts'
import { nameOf, printed, quoted, resolve, resolveDistributed, type Scope } from './scope.ts'
import type { Distribution } from './table-options.ts'

/**
 * INHERITS: what inherits from sharded tables is a sharded table of its own, as a partition is: by their key, colocated with
 * them; what inherits from reference tables is a reference table. Every shard has all of the tree
 * (docs/decisions/0042-partitions-are-sharded-tables.md).
 */

/** Rows of the new table would be rows of its parent, past Weft. */
export function refuseInheritance(scope: Scope, stmt: CreateStmt): void {
  for (const node of stmt.inhRelations ?? []) {
    const parent = resolveDistributed(scope, nameOf(as(node, 'RangeVar')))
    if (parent !== undefined) throw unlike(parent)
  }
}

function unlike(parent: Relation) {
  const isSharded = parent.kind === 'sharded'
  return unsupported(
    'inherits',
    `a table that inherits from ${parent.kind} table "${parent.name}", and is not ${isSharded ? 'sharded' : 'copied'} as that is, ` +
      'is not supported',
    `All that it inherits from must be ${isSharded ? `sharded by "${parent.key?.column}", and colocated` : 'reference tables'}.`,
  )
}

/** A new table that inherits from sharded or reference ones, and so is one; undefined: it does not. */
export function planCreateHeir(
  scope: Scope,
  stmt: CreateStmt,
  distribution: Distribution | undefined,
  constraints: readonly Placed[],
  withoutWeftsWords: (text: string, stmt: CreateStmt) => string,
): Plan | undefined {
  const parents = (stmt.inhRelations ?? []).map((node) => nameOf(as(node, 'RangeVar')))
  const first = parents.map((name) => resolveDistributed(scope, name)).find((r) => r !== undefined)
  if (first === undefined) return undefined
  const areAlike = parents.every((name) => isAlike(resolve(scope, name), first))
  if (!areAlike || stmt.partbound !== undefined || !saysTheSame(distribution, first)) throw unlike(first)
  checkColumns(stmt, first)
  const name = nameOf(stmt.relation)
  checkConstraints(scope, partOf(first, name), constraints)
  const there = stmt.if_not_exists === true ? resolve(scope, name) : undefined
  if (there !== undefined && there.kind !== first.kind) return ddl('CREATE TABLE', 'home')
  const sql = withoutWeftsWords(scope.stmt.text, stmt)
  const tidySql = declarePartitions(stmt.if_not_exists === true ? name : undefined)
  const ready = first.kind === 'sharded' ? { readySql: inheritGuard(parents.map(quoted)) } : {}
  return ddl('CREATE TABLE', 'all', { changesMap: true, homeSql: sql, othersSql: sql, ...ready, tidySql })
}

/** As in a dump. The group is that of the parents, whatever it is called. */
function saysTheSame(distribution: Distribution | undefined, parent: Relation): boolean {
  if (distribution === undefined || distribution.kind !== 'sharded')
    return distribution === undefined || parent.kind === 'reference'
  return distribution.keyColumn === parent.key?.column
}

/** The statement runs on every shard, and sequences are home's alone. */
function checkColumns(stmt: CreateStmt, parent: Relation): void {
  refuseUnlogged(stmt, parent)
  for (const node of stmt.tableElts ?? []) {
    const column = as(node, 'ColumnDef')
    if (!isSerial(column)) continue
    throw unsupported(
      'sequence_default',
      `a column that draws from a sequence ("${column?.colname}") in a table that inherits from ${parent.kind} table ` +
        `"${parent.name}" is not supported`,
      'Every shard would number its rows by itself. Have the column in the parent, or SET DEFAULT nextval(…) afterwards.',
    )
  }
}

/** INHERIT and NO INHERIT of a distributed table. */
export function checkInherit(scope: Scope, table: Relation, command: AlterTableCmd): void {
  const name = nameOf(as(command.def, 'RangeVar'))
  const parent = resolve(scope, name)
  if (command.subtype === 'AT_DropInherit' || isAlike(table, parent ?? table)) return
  throw unsupported(
    'inherits',
    `inheritance between ${table.kind} table "${table.name}" and "${printed(name)}" is not supported`,
    `Both must be ${table.kind === 'sharded' ? `sharded by "${table.key?.column}", and colocated` : 'reference tables'}.`,
  )
}
