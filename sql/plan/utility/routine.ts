import type { AlterFunctionStmt, CreateFunctionStmt, TypeName } from '@pgsql/types'
import { as, qualified, strings } from '../../parse/ast.ts'
import { parseStatements } from '../../parse/parse.ts'
import type { Plan } from '../plan.ts'
import { findOption, optionText } from './options.ts'
import { ddl, ddlWhereItExists } from './plans.ts'
import { placeOf, resolve, type Scope, usesOf } from './scope.ts'
import { withoutBodyCheck } from './wrap.ts'

/**
 * Functions and procedures are on every shard, unless they are made of something that only the home shard has: the row
 * type of a local table, or a parsed body (BEGIN ATOMIC) about one.
 */
export function planCreateFunction(scope: Scope, stmt: CreateFunctionStmt): Plan {
  const tag = stmt.is_procedure === true ? 'CREATE PROCEDURE' : 'CREATE FUNCTION'
  const changesMap = true
  if (typesOf(stmt).some((type) => isLocalRowType(scope, type))) return ddl(tag, 'home', { changesMap })
  if (stmt.sql_body !== undefined) {
    const uses = usesOf(scope, stmt.sql_body)
    return ddl(tag, uses.local.length > 0 || uses.temporary.length > 0 ? 'home' : 'all', { changesMap })
  }
  if (!sqlBodyIsLocal(scope, stmt)) return ddl(tag, 'all', { changesMap })
  return ddl(tag, 'all', { changesMap, othersSql: withoutBodyCheck(scope.stmt.text) })
}

export function planAlterFunction(scope: Scope, stmt: AlterFunctionStmt): Plan {
  const tag = stmt.objtype === 'OBJECT_PROCEDURE' ? 'ALTER PROCEDURE' : 'ALTER FUNCTION'
  return ddlWhereItExists(scope, tag)
}

function typesOf(stmt: CreateFunctionStmt): TypeName[] {
  const parameters = (stmt.parameters ?? []).flatMap((node) => as(node, 'FunctionParameter')?.argType ?? [])
  return stmt.returnType === undefined ? parameters : [...parameters, stmt.returnType]
}

function isLocalRowType(scope: Scope, type: TypeName): boolean {
  // `t.c%TYPE` has the table before the column.
  const name = qualified(type.pct_type === true ? type.names?.slice(0, -1) : type.names)
  return resolve(scope, name) !== undefined && placeOf(scope, name) === 'home'
}

/** Postgres checks the body of a function in SQL when it is made: tables that a shard lacks would be an error. */
function sqlBodyIsLocal(scope: Scope, stmt: CreateFunctionStmt): boolean {
  const language = findOption(stmt.options, 'language')
  if (language === undefined || optionText(language)?.toLowerCase() !== 'sql') return false
  const body = strings(as(findOption(stmt.options, 'as')?.arg, 'List')?.items)[0] ?? ''
  try {
    return parseStatements(body).some((s) => usesOf(scope, s.node).local.length > 0)
  } catch {
    // Not SQL after all: the home shard says so.
    return false
  }
}
