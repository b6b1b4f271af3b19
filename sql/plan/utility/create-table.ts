import type { ColumnDef, CreateForeignTableStmt, CreateStmt } from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { dropSlotGuard } from '../../install/slot-guard.ts'
import { as, type Node } from '../../parse/ast.ts'
import type { DdlPlan, Declaration, Plan } from '../plan.ts'
import { checkConstraints, columnConstraints, type Placed, tableConstraint } from './constraints.ts'
import { planCreateHeir, refuseInheritance } from './inheritance.ts'
import { splitName } from './names.ts'
import { bringsOwnConstraint, constraintsFrom, withoutOwnConstraint } from './own-constraint.ts'
import { distributedParentOf, planCreatePartition } from './partitions.ts'
import { ddl, forwardHome, PINS, pgError, unsupported } from './plans.ts'
import { type Name, nameMatters, nameOf, printed, resolveDistributed, type Scope } from './scope.ts'
import { type Distribution, distributionOf, hasOurs, withoutOurs } from './table-options.ts'
import { quoteName } from './text.ts'

const TAG = 'CREATE TABLE'

type Sharded = Extract<Distribution, { kind: 'sharded' }>

/** CREATE TABLE: local unless WITH says otherwise. */
export function planCreateTable(scope: Scope, stmt: CreateStmt): Plan {
  const distribution = distributionOf(stmt.options)
  if (isTemporaryTable(stmt)) {
    refuseInheritance(scope, stmt)
    if (hasOurs(stmt.options))
      throw unsupported('table_kind', 'a temporary table cannot be sharded or a reference table')
    const tidySql = tidyOf(scope, stmt, { ...nameOf(stmt.relation), schema: 'pg_temp' })
    if (tidySql !== undefined) return ddl(TAG, 'home', { tidySql }, { effects: PINS })
    return forwardHome(TAG, { effects: PINS })
  }
  const parent = distributedParentOf(scope, stmt)
  if (parent !== undefined) return planCreatePartition(scope, stmt, parent, constraintsOf(stmt))
  const heir = planCreateHeir(scope, stmt, distribution, constraintsOf(stmt), withoutWeftsWords)
  if (heir !== undefined) return heir
  if (distribution === undefined) return createLocal(scope, stmt)
  refuseShapes(stmt, distribution)
  return distribution.kind === 'reference'
    ? createReference(scope, stmt)
    : createSharded(scope, stmt, distribution)
}

export function planCreateForeignTable(scope: Scope, stmt: CreateForeignTableStmt): Plan {
  const base = stmt.base ?? {}
  refuseInheritance(scope, base)
  return ddl('CREATE FOREIGN TABLE', 'home', { changesMap: nameMatters(scope, nameOf(base.relation)) })
}

function isTemporaryTable(stmt: CreateStmt): boolean {
  return stmt.relation?.relpersistence === 't' || stmt.relation?.schemaname?.startsWith('pg_temp') === true
}

function refuseShapes(stmt: CreateStmt, distribution: Distribution): void {
  const kind = distribution.kind
  if (stmt.partbound !== undefined || (stmt.inhRelations?.length ?? 0) > 0) {
    throw unsupported(
      'partition_unlike',
      `a ${kind} table cannot be a partition of a local table, or inherit from another table`,
      kind === 'sharded'
        ? 'Shard the partitioned table itself: its partitions are sharded as it is.'
        : undefined,
    )
  }
}

function createLocal(scope: Scope, stmt: CreateStmt): Plan {
  const name = nameOf(stmt.relation)
  checkConstraints(scope, { name, kind: 'local' }, constraintsOf(stmt))
  const changesMap = nameMatters(scope, name)
  const tidySql = tidyOf(scope, stmt, name)
  const tidy = tidySql === undefined ? {} : { tidySql }
  // `reference = false` alone is Weft's word too.
  if (hasOurs(stmt.options) || bringsOwnConstraint(stmt)) {
    return ddl(TAG, 'home', { changesMap, homeSql: withoutWeftsWords(scope.stmt.text, stmt), ...tidy })
  }
  return ddl(TAG, 'home', { changesMap, ...tidy })
}

/** Without storage parameters and the constraint of Weft's own; the latter stands before the former. */
function withoutWeftsWords(text: string, stmt: CreateStmt): string {
  const plain = hasOurs(stmt.options) ? withoutOurs(text, stmt.options) : text
  return bringsOwnConstraint(stmt) ? withoutOwnConstraint(plain, stmt) : plain
}

/** LIKE of a sharded table copies the constraint of Weft's own: dropped from the new table, if it is one. */
function tidyOf(scope: Scope, stmt: CreateStmt, name: Name): string | undefined {
  const copies = constraintsFrom(stmt).some(
    (node) => resolveDistributed(scope, nameOf(as(node, 'RangeVar')))?.kind === 'sharded',
  )
  if (!copies || resolveDistributed(scope, name) !== undefined) return undefined
  const parts = name.schema === undefined ? [name.name] : [name.schema, name.name]
  return dropSlotGuard(parts.map(quoteName).join('.'))
}

function createReference(scope: Scope, stmt: CreateStmt): Plan {
  const name = nameOf(stmt.relation)
  checkConstraints(scope, { name, kind: 'reference' }, constraintsOf(stmt))
  return declared(scope, stmt, declareReference(name, stmt.if_not_exists))
}

export function declareReference(name: Name, ifNotExists = false): Declaration {
  return { kind: 'reference', ...named(name), ...(ifNotExists ? { ifNotExists } : {}) }
}

function createSharded(scope: Scope, stmt: CreateStmt, distribution: Sharded): Plan {
  const { keyColumn } = distribution
  const name = nameOf(stmt.relation)
  checkKeyColumn(stmt, name, keyColumn)
  const constraints = constraintsOf(stmt)
  // Without a word about it, a table that refers to a sharded one goes where that is: nothing else would work.
  const partner = colocationPartner(scope, distribution) ?? shardedParent(scope, distribution, constraints)
  const colocation = partner?.colocation
  checkConstraints(scope, { name, kind: 'sharded', key: keyColumn, colocation }, constraints)
  return declared(scope, stmt, declareSharded(name, distribution, partner, stmt.if_not_exists))
}

export function declareSharded(
  name: Name,
  { keyColumn, colocateWith }: Sharded,
  partner: Relation | undefined,
  ifNotExists = false,
): Declaration {
  const group =
    partner === undefined ? colocateWith : `${quoteName(partner.schema)}.${quoteName(partner.name)}`
  return {
    kind: 'sharded',
    ...named(name),
    keyColumn,
    ...(group === undefined ? {} : { colocateWith: group }),
    ...(ifNotExists ? { ifNotExists } : {}),
  }
}

/** The table is made on the home shard; declaring it makes it on the others. */
function declared(scope: Scope, stmt: CreateStmt, declare: Declaration): DdlPlan {
  const homeSql = withoutWeftsWords(scope.stmt.text, stmt)
  return ddl(TAG, 'home', { changesMap: true, homeSql, declare })
}

/** The sharded table whose group colocate_with names. */
export function colocationPartner(scope: Scope, { colocateWith }: Sharded): Relation | undefined {
  if (colocateWith === undefined || colocateWith === 'none') return undefined
  const table = resolveDistributed(scope, splitName(colocateWith))
  if (table?.kind === 'sharded') return table
  throw pgError('42P01', `cannot colocate with ${colocateWith}: there is no sharded table of that name`)
}

function shardedParent(
  scope: Scope,
  { colocateWith }: Sharded,
  constraints: readonly Placed[],
): Relation | undefined {
  if (colocateWith === 'none') return undefined
  for (const { constraint } of constraints) {
    if (constraint.contype !== 'CONSTR_FOREIGN') continue
    const other = resolveDistributed(scope, nameOf(constraint.pktable))
    if (other?.kind === 'sharded') return other
  }
  return undefined
}

/** As far as the text tells: LIKE and OF bring columns that only Postgres knows. */
function checkKeyColumn(stmt: CreateStmt, name: Name, keyColumn: string): void {
  const elements = stmt.tableElts ?? []
  const column = columnsOf(elements).find((c) => c.colname === keyColumn)
  const open = stmt.ofTypename !== undefined || elements.some((node) => 'TableLikeClause' in node)
  if (column === undefined && !open) {
    throw pgError(
      '42703',
      `column "${keyColumn}" does not exist`,
      `shard_key must name a column of table "${printed(name)}"; upper and lower case count.`,
    )
  }
  const generated = columnConstraints(column).some(
    ({ constraint }) => constraint.contype === 'CONSTR_GENERATED',
  )
  if (generated) throw unsupported('key_type', `generated column "${keyColumn}" cannot be a shard key`)
}

function constraintsOf(stmt: CreateStmt): Placed[] {
  return (stmt.tableElts ?? []).flatMap((node) => [
    ...columnConstraints(as(node, 'ColumnDef')),
    ...tableConstraint(node),
  ])
}

function columnsOf(elements: readonly Node[]): ColumnDef[] {
  return elements.flatMap((node) => as(node, 'ColumnDef') ?? [])
}

function named({ schema, name }: Name): { schema?: string; table: string } {
  return schema === undefined ? { table: name } : { schema, table: name }
}
