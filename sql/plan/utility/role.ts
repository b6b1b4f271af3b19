import type { AlterRoleSetStmt, AlterRoleStmt, CreateRoleStmt } from '@pgsql/types'
import { as, type Node } from '../../parse/ast.ts'
import type { DdlPlan, Plan } from '../plan.ts'
import { atPlace } from './objects.ts'
import { findOption } from './options.ts'
import { ddl } from './plans.ts'
import type { Scope } from './scope.ts'
import { refusedDefault, VALUE_MATTERS } from './setting.ts'
import { tokensOf } from './text.ts'

/** Roles are the same on every shard, with one and the same password verifier. */
export function planCreateRole(scope: Scope, stmt: CreateRoleStmt): Plan {
  return ddl('CREATE ROLE', 'all', passwordOf(scope, stmt.options))
}

export function planAlterRole(scope: Scope, stmt: AlterRoleStmt): Plan {
  return ddl('ALTER ROLE', 'all', passwordOf(scope, stmt.options))
}

/** ALTER ROLE … [IN DATABASE …] SET …. */
export function planAlterRoleSet(scope: Scope, stmt: AlterRoleSetStmt): Plan {
  const refused = refusedDefault('ALTER ROLE', stmt.setstmt)
  if (refused !== undefined) return refused
  const place = stmt.database === undefined ? 'all' : 'database'
  return atPlace(scope, 'ALTER ROLE', place, false, VALUE_MATTERS)
}

function passwordOf(
  scope: Scope,
  options: readonly Node[] | undefined,
): { password?: NonNullable<DdlPlan['password']> } {
  const option = findOption(options, 'password')
  const value = as(option?.arg, 'String')?.sval
  if (option === undefined || value === undefined) return {}
  // From the word PASSWORD (or ENCRYPTED) on, the first string is it.
  const tokens = tokensOf(scope.stmt.text)
  const literal = tokens.find((t) => t.start >= (option.location ?? 0) && t.isString)
  return literal === undefined ? {} : { password: { start: literal.start, end: literal.end, value } }
}
