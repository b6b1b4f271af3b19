import type { AlterFunctionStmt, CreateFunctionStmt } from '@pgsql/types'
import { strings } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { ddl, ddlWhereItExists, forwardHome, PINS } from './plans.ts'
import type { Scope } from './scope.ts'
import { whereItCanBe } from './wrap.ts'

/**
 * Functions and procedures are on every shard, as statements, defaults, triggers and policies of sharded tables may call
 * them. Where one is made of something that only the home shard has (the type of a local table's row or column, a parsed
 * body about one) it is on the home shard only; bodies that are text may name what a shard lacks.
 */
export function planCreateFunction(scope: Scope, stmt: CreateFunctionStmt): Plan {
  const tag = stmt.is_procedure === true ? 'CREATE PROCEDURE' : 'CREATE FUNCTION'
  const [schema] = strings(stmt.funcname)
  if (schema?.startsWith('pg_temp') === true) return forwardHome(tag, { effects: PINS })
  return ddl(tag, 'all', { changesMap: true, othersSql: whereItCanBe(scope.stmt.text) })
}

export function planAlterFunction(scope: Scope, stmt: AlterFunctionStmt): Plan {
  const tag = stmt.objtype === 'OBJECT_PROCEDURE' ? 'ALTER PROCEDURE' : 'ALTER FUNCTION'
  return ddlWhereItExists(scope, tag)
}
