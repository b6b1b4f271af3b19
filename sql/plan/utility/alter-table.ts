import type { AlterTableCmd, AlterTableMoveAllStmt, AlterTableStmt } from '@pgsql/types'
import type { Relation } from '../../catalog.ts'
import { inheritGuard } from '../../install/slot-guard.ts'
import { as } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import { type Traits, traitsOf, unlikeBecause } from '../../tree/traits.ts'
import type { Plan } from '../plan.ts'
import { addedColumns, defaultsOf, differs, isSerial, typeOf } from './added-columns.ts'
import { checkConstraints, columnConstraints, type Target, tableConstraint } from './constraints.ts'
import { checkInherit } from './inheritance.ts'
import { atPlace, placeOfRelation } from './objects.ts'
import { refuseOwnConstraint } from './own-constraint.ts'
import { checkPartitionCommand } from './partitions.ts'
import { ddl, ddlWhereItExists, unsupported } from './plans.ts'
import { type Name, nameOf, quoted, resolve, resolveDistributed, type Scope } from './scope.ts'
import { hasOurs } from './table-options.ts'
import { quoteLiteral, tokensOf, withIfExists } from './text.ts'

/** ALTER TABLE, and ALTER INDEX, SEQUENCE, VIEW, … as far as they are the same statement. */
export function planAlterTable(scope: Scope, stmt: AlterTableStmt): Plan {
  const name = nameOf(stmt.relation)
  switch (stmt.objtype) {
    case 'OBJECT_INDEX':
      // There is no IF EXISTS for it.
      if (commandsOf(stmt).some((c) => c.subtype === 'AT_AttachPartition'))
        return ddl('ALTER INDEX', 'all', { othersOnlyWith: quoted(name) })
      return onOthersIfExists(scope, 'ALTER INDEX', stmt.missing_ok)
    case 'OBJECT_SEQUENCE':
      return onOthersIfExists(scope, 'ALTER SEQUENCE', stmt.missing_ok)
    case 'OBJECT_TYPE': {
      const cascading = commandsOf(stmt).filter(({ behavior }) => behavior === 'DROP_CASCADE')
      const altered = cascading.filter(({ subtype }) => subtype === 'AT_AlterColumnType')
      const names = altered.map((command) => quoteLiteral(command.name ?? '')).join(', ')
      const type = quoteLiteral(quoted(name))
      return ddlWhereItExists(scope, 'ALTER TYPE', {
        changesMap: cascading.length > 0,
        ...(altered.length > 0 && {
          readySql: `SELECT weft.check_attributes(pg_catalog.to_regtype(${type}), ARRAY[${names}])`,
        }),
      })
    }
    case 'OBJECT_VIEW':
      return atPlace(scope, 'ALTER VIEW', placeOfRelation(scope, name), true)
    case 'OBJECT_MATVIEW':
      return ddl('ALTER MATERIALIZED VIEW', 'home')
    case 'OBJECT_FOREIGN_TABLE':
      return ddl('ALTER FOREIGN TABLE', 'home')
    default:
      return planTable(scope, stmt)
  }
}

/** An object that the other shards may lack; `ALTER INDEX name`: IF EXISTS goes before the third word. */
export function onOthersIfExists(scope: Scope, tag: string, missingOk: boolean | undefined): Plan {
  const { text } = scope.stmt
  if (missingOk === true) return ddl(tag, 'all', { othersSql: text })
  const third = tokensOf(text)[2]
  return ddl(tag, 'all', { othersSql: withIfExists(text, third?.start ?? text.length) })
}

export function planMoveAll(stmt: AlterTableMoveAllStmt): Plan {
  // Materialized views and local tables are on the home shard; the others move what they have.
  return ddl(stmt.objtype === 'OBJECT_INDEX' ? 'ALTER INDEX' : 'ALTER TABLE', 'all')
}

function commandsOf(stmt: AlterTableStmt): AlterTableCmd[] {
  return (stmt.cmds ?? []).flatMap((node) => as(node, 'AlterTableCmd') ?? [])
}

function planTable(scope: Scope, stmt: AlterTableStmt): Plan {
  const name = nameOf(stmt.relation)
  const commands = commandsOf(stmt)
  for (const command of commands) {
    if (command.subtype === 'AT_SetRelOptions' && hasOurs(as(command.def, 'List')?.items))
      throw useFunctions()
    refuseOwnConstraint(command)
  }
  const relation = resolve(scope, name)
  if (relation?.kind === 'sharded' || relation?.kind === 'reference') {
    const target: Target = {
      name,
      kind: relation.kind,
      ...(relation.key === undefined ? {} : { key: relation.key.column, colocation: relation.colocation }),
    }
    for (const command of commands) checkDistributed(scope, relation, target, command)
    const columns = addedColumns(scope, relation, commands)
    const readySql = readyFor(relation, name, commands.flatMap(joinedBy))
    if (relation.kind === 'reference' && commands.some(switchesTrigger)) {
      if (!commands.every(switchesTrigger)) throw severalAtOnce(relation)
      return ddl('ALTER TABLE', 'home', { changesMap: true })
    }
    return ddl('ALTER TABLE', 'all', {
      changesMap: true,
      ...(readySql && { readySql }),
      ...(columns.length > 0 && { added: { table: relation, columns } }),
    })
  }
  for (const command of commands) checkLocal(scope, { name, kind: 'local' }, command)
  const outsideTransaction = commands.some(
    (c) => c.subtype === 'AT_DetachPartition' && as(c.def, 'PartitionCmd')?.concurrent === true,
  )
  const isView = relation?.kind === 'view'
  // It waits for old snapshots, so it is not to be waited for by those that are to be taken.
  const overrides = outsideTransaction ? { outsideTransaction, maintenance: true } : {}
  return atPlace(scope, 'ALTER TABLE', placeOfRelation(scope, name), isView, overrides)
}

/** One, by its name: those of a reference table are on home only. ALL and USER are there, on other shards too. */
const switchesTrigger = ({ subtype }: AlterTableCmd): boolean =>
  /^AT_(?:EnableTrig|EnableAlwaysTrig|EnableReplicaTrig|DisableTrig)$/.test(subtype ?? '')

function severalAtOnce({ name }: Relation) {
  return unsupported(
    'trigger',
    `turning triggers of reference table "${name}" on or off beside other changes is not supported`,
    'They are on the home shard only. Use a statement of its own for them.',
  )
}

/** Before these are joined to a tree that the table is, or is to be, of. */
function readyFor({ kind }: Relation, name: Name, joined: readonly Name[]): string | undefined {
  if (joined.length === 0) return undefined
  if (kind === 'sharded') return inheritGuard([name, ...joined].map(quoted))
  const checks = joined.map(
    (other) => `weft.check_copied(pg_catalog.to_regclass(${quoteLiteral(quoted(other))}))`,
  )
  return `SELECT ${checks.join(', ')}`
}

/** The table that is attached, or inherited from. */
function joinedBy({ subtype, def }: AlterTableCmd): Name[] {
  if (subtype === 'AT_AddInherit') return [nameOf(as(def, 'RangeVar'))]
  return subtype === 'AT_AttachPartition' ? [nameOf(as(def, 'PartitionCmd')?.name)] : []
}

function useFunctions() {
  return unsupported(
    'altered_declaration',
    'ALTER TABLE … SET (shard_key, colocate_with, reference) is not supported',
    'Use SELECT create_distributed_table(…), create_reference_table(…) or undistribute_table(…).',
  )
}

function checkDistributed(scope: Scope, table: Relation, target: Target, command: AlterTableCmd): void {
  const isKey = command.name !== undefined && command.name === target.key
  switch (command.subtype) {
    case 'AT_DropColumn':
      if (isKey) throw keyStays(target, 'dropped')
      break
    case 'AT_AlterColumnType':
      if (isKey) throw keyStays(target, 'given another type')
      checkComputed(scope, table, as(command.def, 'ColumnDef')?.raw_default, 'ALTER COLUMN TYPE … USING')
      break
    case 'AT_SetExpression':
      if (isKey) throw keyStays(target, 'made a generated column')
      break
    case 'AT_AddConstraint':
      checkConstraints(scope, target, tableConstraint(command.def))
      break
    case 'AT_AddColumn': {
      const column = as(command.def, 'ColumnDef')
      checkConstraints(scope, target, columnConstraints(column))
      checkNewColumn(scope, table, command)
      break
    }
    case 'AT_AttachPartition':
    case 'AT_DetachPartition':
      return checkPartitionCommand(scope, table, command)
    case 'AT_AddInherit':
    case 'AT_DropInherit':
      return checkInherit(scope, table, command)
  }
}

function keyStays(target: Target, what: string) {
  return unsupported(
    'key_altered',
    `shard key "${target.key}" cannot be ${what}`,
    `Use SELECT undistribute_table('${target.name.name}') first, and declare the table again afterwards.`,
  )
}

/** Existing rows get the default's value, which every shard computes for itself. */
function checkNewColumn(scope: Scope, table: Relation, command: AlterTableCmd): void {
  const column = as(command.def, 'ColumnDef')
  if (differs(scope, table, command)) return
  if (isSerial(column)) throw drawsFromSequence(table)
  const own = defaultsOf(column)
  for (const { raw_expr } of own) checkComputed(scope, table, raw_expr, 'ADD COLUMN … DEFAULT')
  const type = typeOf(column)
  const ofDomain = own.length > 0 ? undefined : scope.catalog.domainDefaults?.get(type)
  if (ofDomain !== undefined) checkDomainDefault(scope, table, type, ofDomain)
}

/**
 * An expression that every shard computes for the rows it has. The time that it tells is one (sql/plan/times); the copies of
 * a reference table must not differ otherwise either.
 */
function checkComputed(scope: Scope, table: Relation, expression: unknown, where: string): void {
  const traits = traitsOf(expression, scope.catalog)
  if (traits.home !== undefined) throw drawsFromSequence(table)
  const unstable = unlikeIn(table, traits)
  if (unstable === undefined) return
  throw unsupported(
    'unstable_default',
    `${where} with ${unstable} on reference table "${table.name}" is not supported: its copies would differ`,
    'Add the column without the default, then SET DEFAULT and UPDATE the existing rows to a constant.',
  )
}

const unlikeIn = ({ kind }: Relation, traits: Traits): string | undefined =>
  kind === 'reference' ? unlikeBecause(traits) : undefined

/** Nothing in the statement can be told the time. */
function checkDomainDefault(scope: Scope, table: Relation, domain: string, expression: string): void {
  const traits = traitsOf(parseStatements(`SELECT ${expression}`)[0]?.node, scope.catalog)
  if (traits.home !== undefined) throw drawsFromSequence(table)
  const unstable = unlikeIn(table, traits) ?? traits.begins
  if (unstable === undefined) return
  throw unsupported(
    'unstable_default',
    `adding a column of domain "${domain}" to ${table.kind} table "${table.name}" is not supported: ` +
      `each shard would evaluate its default with ${unstable} by itself`,
    table.kind === 'sharded'
      ? `Say the default: ADD COLUMN … DEFAULT ${expression}.`
      : 'Add the column with DEFAULT NULL, DROP DEFAULT, and UPDATE the existing rows to a constant.',
  )
}

function drawsFromSequence(table: Relation) {
  return unsupported(
    'sequence_default',
    `adding a column that draws from a sequence to ${table.kind} table "${table.name}" is not supported`,
    'Every shard would number its rows by itself. Add the column without a default, fill it, then SET DEFAULT.',
  )
}

/** A local table must not take in rows of a sharded one, nor refer to them. */
function checkLocal(scope: Scope, target: Target, command: AlterTableCmd): void {
  switch (command.subtype) {
    case 'AT_AddConstraint':
      checkConstraints(scope, target, tableConstraint(command.def))
      break
    case 'AT_AddColumn':
      checkConstraints(scope, target, columnConstraints(as(command.def, 'ColumnDef')))
      break
    case 'AT_AttachPartition':
    case 'AT_AddInherit': {
      const range = as(command.def, 'PartitionCmd')?.name ?? as(command.def, 'RangeVar')
      const other = resolveDistributed(scope, nameOf(range))
      if (other === undefined) break
      throw unsupported(
        'partition_unlike',
        `${other.kind} table "${other.name}" cannot be a partition of a local table, or inherit from another table`,
      )
    }
  }
}
