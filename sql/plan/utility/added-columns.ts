import type { AlterTableCmd, ColumnDef, Constraint } from '@pgsql/types'
import { type Relation, rowKey } from '../../catalog.ts'
import { as, strings } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import { type Traits, traitsOf, unlikeBecause } from '../../tree/traits.ts'
import { columnConstraints } from './constraints.ts'
import type { Scope } from './scope.ts'

/** New columns of ALTER TABLE, whose values for the rows that there are differ from shard to shard. */

const SERIALS = new Set(['serial', 'serial2', 'serial4', 'serial8', 'smallserial', 'bigserial'])

/** Those that get other values when each shard has computed its own. */
export function addedColumns(scope: Scope, table: Relation, commands: readonly AlterTableCmd[]): string[] {
  return commands.flatMap((command) => {
    const name = as(command.def, 'ColumnDef')?.colname ?? ''
    // IF NOT EXISTS: nothing is done.
    const isThere = command.missing_ok === true && table.columns.some((column) => column.name === name)
    return command.subtype === 'AT_AddColumn' && !isThere && differs(scope, table, command) ? [name] : []
  })
}

/** It draws from a sequence of its own, or comes out anew on each copy; and what it comes to can be told. */
export function differs(scope: Scope, table: Relation, command: AlterTableCmd): boolean {
  const column = as(command.def, 'ColumnDef')
  const isReference = table.kind === 'reference'
  if (isReference && (rowKey(table) === undefined || table.rowSecurity !== undefined)) return false
  if (isSerial(column)) return isReference || !cycles(column)
  return isReference && comesOutAnew(scope, column)
}

export const typeOf = (column: ColumnDef | undefined): string => strings(column?.typeName?.names).at(-1) ?? ''

export function isSerial(column: ColumnDef | undefined): boolean {
  return SERIALS.has(typeOf(column)) || identityOf(column) !== undefined
}

const constraintsOf = (column: ColumnDef | undefined): Constraint[] =>
  columnConstraints(column).map(({ constraint }) => constraint)

const identityOf = (column: ColumnDef | undefined): Constraint | undefined =>
  constraintsOf(column).find(({ contype }) => contype === 'CONSTR_IDENTITY')

/** Its numbers would not go on evenly. */
function cycles(column: ColumnDef | undefined): boolean {
  return (identityOf(column)?.options ?? []).some((node) => as(node, 'DefElem')?.defname === 'cycle')
}

export const defaultsOf = (column: ColumnDef | undefined): Constraint[] =>
  constraintsOf(column).filter(({ contype }) => contype === 'CONSTR_DEFAULT')

/** A time that its own default tells is one for all (sql/plan/times); that of a domain is not. */
function comesOutAnew({ catalog }: Scope, column: ColumnDef | undefined): boolean {
  const own = defaultsOf(column)
  if (own.length > 0) return own.some(({ raw_expr }) => isAnew(traitsOf(raw_expr, catalog)))
  const ofDomain = catalog.domainDefaults?.get(typeOf(column))
  if (ofDomain === undefined) return false
  const traits = traitsOf(parseStatements(`SELECT ${ofDomain}`)[0]?.node, catalog)
  return isAnew(traits) || (isTold(traits) && traits.begins !== undefined)
}

/** Home can say what it is. */
const isTold = ({ home, user }: Traits): boolean => (home ?? user) === undefined

const isAnew = (traits: Traits): boolean => isTold(traits) && unlikeBecause(traits) !== undefined
