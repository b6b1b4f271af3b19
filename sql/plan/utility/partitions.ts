import type { AlterTableCmd, CreateStmt, PartitionBoundSpec } from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { as } from '../../parse/ast.ts'
import { traitsOf, unlikeOnShards } from '../../tree/traits.ts'
import type { Plan } from '../plan.ts'
import { checkConstraints, type Placed } from './constraints.ts'
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
 * Partitions of sharded tables: every shard has the whole tree, and each partition is a sharded table of its own, by the
 * parent's key, colocated with it (docs/decisions/0042-partitions-are-sharded-tables.md).
 */

/** The sharded table that a new one is to be a partition of. */
export function shardedParentOf(scope: Scope, stmt: CreateStmt): Relation | undefined {
  if (stmt.partbound === undefined) return undefined
  const parent = resolveDistributed(scope, nameOf(as(stmt.inhRelations?.[0], 'RangeVar')))
  return parent?.kind === 'sharded' ? parent : undefined
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
      `Leave them out: it is sharded as "${parent.name}" is.`,
    )
  }
  if (stmt.relation?.relpersistence === 'u') {
    throw unsupported(
      'table_kind',
      `a sharded table cannot be unlogged: a crash would empty it on one shard only`,
    )
  }
  checkBound(scope, stmt.partbound)
  const target = { name, kind: 'sharded', key: parent.key!.column, colocation: parent.colocation } as const
  checkConstraints(scope, target, constraints)
  const there = stmt.if_not_exists === true ? resolve(scope, name) : undefined
  // Every shard would skip it, but the others do not have that one.
  if (there !== undefined && there.kind !== 'sharded') return ddl(tag, 'home')
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
function checkBound(scope: Scope, bound: PartitionBoundSpec | undefined): void {
  const traits = traitsOf(bound, scope.catalog)
  const unlike = traits.home ?? unlikeOnShards(traits) ?? traits.timeLiteral
  if (unlike === undefined) return
  throw unsupported(
    'partition_bounds',
    `a partition of a sharded table with ${unlike} in its bounds is not supported: each shard would compute its own`,
    'Write the bounds as constants.',
  )
}

/** ATTACH and DETACH PARTITION of a sharded table. */
export function checkPartitionCommand(scope: Scope, parent: Relation, command: AlterTableCmd): void {
  const change = as(command.def, 'PartitionCmd')
  if (command.subtype === 'AT_DetachPartition') {
    if (change?.concurrent === true)
      throw unsupported('detach_concurrently', ONE_BY_ONE, 'Leave CONCURRENTLY out.')
    return
  }
  if (command.subtype !== 'AT_AttachPartition') return
  checkBound(scope, change?.bound)
  checkAttached(scope, parent, nameOf(change?.name))
}

const ONE_BY_ONE =
  'DETACH PARTITION CONCURRENTLY from a sharded table is not supported: it is several transactions, ' +
  'and meanwhile some shards would show the rows and others not'

/** A table that the catalog does not know Postgres refuses: it is not there, or lacks the constraint of Weft's own. */
function checkAttached(scope: Scope, parent: Relation, name: Name): void {
  const table = resolve(scope, name)
  if (table === undefined && !isTemporary(scope, name)) return
  const isAlike =
    table?.kind === 'sharded' &&
    table.colocation === parent.colocation &&
    table.key?.column === parent.key?.column
  if (isAlike) return
  throw unsupported(
    'partition_unlike',
    `table "${printed(name)}" cannot be a partition of sharded table "${parent.name}": ` +
      `it must be sharded by "${parent.key?.column}", and colocated with it`,
    `SELECT create_distributed_table('${printed(name)}', '${parent.key?.column}', colocate_with => '${parent.schema}.${parent.name}').`,
  )
}
