import type { AlterTableCmd, CreateStmt, PartitionBoundSpec } from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { as } from '../../parse/ast.ts'
import { traitsOf, unlikeOnShards } from '../../tree/traits.ts'
import type { Plan } from '../plan.ts'
import { checkConstraints, type Placed, type Target } from './constraints.ts'
import { ddl, unsupported } from './plans.ts'
import {
  isTemporary,
  type Name,
  nameOf,
  printed,
  quoted,
  resolve,
  resolveDistributed,
  type Scope,
} from './scope.ts'
import { hasOurs } from './table-options.ts'
import { quoteLiteral } from './text.ts'

/**
 * Partitions of sharded and reference tables: every shard has the whole tree, and each partition is a table of its parent's
 * kind, by the same key, colocated with it (docs/decisions/0042-partitions-are-sharded-tables.md).
 */

/** The sharded or reference table that a new one is to be a partition of. */
export function distributedParentOf(scope: Scope, stmt: CreateStmt): Relation | undefined {
  if (stmt.partbound === undefined) return undefined
  return resolveDistributed(scope, nameOf(as(stmt.inhRelations?.[0], 'RangeVar')))
}

/** What a part of the table is, for the checks of its constraints. */
export function partOf(parent: Relation, name: Name): Target {
  if (parent.kind !== 'sharded') return { name, kind: 'reference' }
  return { name, kind: 'sharded', key: parent.key!.column, colocation: parent.colocation }
}

/** Every shard has their rows where it has those of the other. */
export function isAlike(table: Relation | undefined, other: Relation): boolean {
  return (
    table?.kind === other.kind &&
    table.colocation === other.colocation &&
    table.key?.column === other.key?.column
  )
}

export function refuseUnlogged(stmt: CreateStmt, { kind }: Relation): void {
  if (stmt.relation?.relpersistence !== 'u') return
  throw unsupported(
    'table_kind',
    `a ${kind} table cannot be unlogged: a crash would empty it on one shard only`,
  )
}

export function planCreatePartition(
  scope: Scope,
  stmt: CreateStmt,
  parent: Relation,
  constraints: readonly Placed[],
): Plan {
  const tag = 'CREATE TABLE'
  const name = nameOf(stmt.relation)
  if (hasOurs(stmt.options)) {
    throw unsupported(
      'partition_unlike',
      `shard_key, colocate_with and reference are not supported for a partition ("${printed(name)}")`,
      `Leave them out: it is ${parent.kind === 'sharded' ? 'sharded' : 'copied'} as "${parent.name}" is.`,
    )
  }
  refuseUnlogged(stmt, parent)
  checkBound(scope, parent, stmt.partbound)
  checkConstraints(scope, partOf(parent, name), constraints)
  const there = stmt.if_not_exists === true ? resolve(scope, name) : undefined
  // Every shard would skip it, but the others do not have that one.
  if (there !== undefined && there.kind !== parent.kind) return ddl(tag, 'home')
  return ddl(tag, 'all', {
    changesMap: true,
    tidySql: declarePartitions(stmt.if_not_exists ? name : undefined),
  })
}

/** `made`: one that must have come out as a partition, where the statement skips what is there. */
export function declarePartitions(made: Name | undefined): string {
  const found = made === undefined ? 'NULL' : `pg_catalog.to_regclass(${quoteLiteral(quoted(made))})`
  return `SELECT weft.declare_partitions(${found})`
}

/** Each shard computes it for itself. */
function checkBound(scope: Scope, { kind }: Relation, bound: PartitionBoundSpec | undefined): void {
  const traits = traitsOf(bound, scope.catalog)
  const unlike = traits.home ?? unlikeOnShards(traits) ?? traits.timeLiteral
  if (unlike === undefined) return
  throw unsupported(
    'partition_bounds',
    `a partition of a ${kind} table with ${unlike} in its bounds is not supported: each shard would compute its own`,
    'Write the bounds as constants.',
  )
}

/** ATTACH and DETACH PARTITION of a sharded or reference table. */
export function checkPartitionCommand(scope: Scope, parent: Relation, command: AlterTableCmd): void {
  const change = as(command.def, 'PartitionCmd')
  if (command.subtype === 'AT_DetachPartition') {
    if (change?.concurrent === true)
      throw unsupported('detach_concurrently', oneByOne(parent), 'Leave CONCURRENTLY out.')
    return
  }
  if (command.subtype !== 'AT_AttachPartition') return
  checkBound(scope, parent, change?.bound)
  checkAttached(scope, parent, nameOf(change?.name))
}

const oneByOne = ({ kind }: Relation): string =>
  `DETACH PARTITION CONCURRENTLY from a ${kind} table is not supported: it is several transactions, ` +
  'and meanwhile some shards would show the rows and others not'

/** A table that the catalog does not know Postgres refuses: it is not there, or lacks the constraint of Weft's own. */
function checkAttached(scope: Scope, parent: Relation, name: Name): void {
  const table = resolve(scope, name)
  if (table === undefined && !isTemporary(scope, name)) return
  if (isAlike(table, parent)) return
  if (parent.kind === 'reference') {
    throw unsupported(
      'partition_unlike',
      `table "${printed(name)}" cannot be a partition of reference table "${parent.name}": it must be a reference table`,
      `SELECT create_reference_table('${printed(name)}').`,
    )
  }
  throw unsupported(
    'partition_unlike',
    `table "${printed(name)}" cannot be a partition of sharded table "${parent.name}": ` +
      `it must be sharded by "${parent.key?.column}", and colocated with it`,
    `SELECT create_distributed_table('${printed(name)}', '${parent.key?.column}', colocate_with => '${parent.schema}.${parent.name}').`,
  )
}
