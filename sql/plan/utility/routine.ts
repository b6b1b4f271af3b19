import type { AlterFunctionStmt, CreateFunctionStmt } from '@pgsql/types'
import { strings } from '../../parse/ast.ts'
import { mayName, wordsOf } from '../../words.ts'
import type { Plan } from '../plan.ts'
import { ddl, ddlWhereItExists, forwardHome, PINS } from './plans.ts'
import type { Scope } from './scope.ts'
import { bodyUnchecked, whereItCanBe } from './wrap.ts'

/**
 * Functions and procedures are on every shard, as statements, defaults, triggers and policies of sharded tables may call
 * them. Where one is made of something that only the home shard has (the type of a local table's row or column, a parsed
 * body about one) it is on the home shard only; bodies that are text may name what a shard lacks.
 */
export function planCreateFunction(scope: Scope, stmt: CreateFunctionStmt): Plan {
  const tag = stmt.is_procedure === true ? 'CREATE PROCEDURE' : 'CREATE FUNCTION'
  const [schema] = strings(stmt.funcname)
  if (schema?.startsWith('pg_temp') === true) return forwardHome(tag, { effects: PINS })
  const { text } = scope.stmt
  const fields = { changesMap: true, othersSql: whereItCanBe(text) }
  return ddl(tag, 'all', namesTemporary(scope) ? { ...fields, uncheckedSql: bodyUnchecked(text) } : fields)
}

/** Postgres' look into the body would touch the table, and what has done that cannot be prepared. */
function namesTemporary({ ctx, stmt }: Scope): boolean {
  if (ctx.tempTables.size === 0) return false
  const words = wordsOf(stmt.text)
  return [...ctx.tempTables].some((name) => mayName(stmt.text, words, name))
}

export function planAlterFunction(scope: Scope, stmt: AlterFunctionStmt): Plan {
  const tag = stmt.objtype === 'OBJECT_PROCEDURE' ? 'ALTER PROCEDURE' : 'ALTER FUNCTION'
  return ddlWhereItExists(scope, tag)
}
