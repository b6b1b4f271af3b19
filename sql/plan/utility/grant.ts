import type { CommentStmt, GrantStmt, SecLabelStmt } from '@pgsql/types'
import { as } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { atPlace, placeOfObject, tableOf } from './objects.ts'
import { ddl, ddlWhereItExists } from './plans.ts'
import { isViewOverNothing, nameOf, placeOf, type Scope } from './scope.ts'
import { firstItem, withoutHome } from './tables.ts'
import { listItems, tokensOf } from './text.ts'

/** GRANT and REVOKE on objects. */
export function planGrant(scope: Scope, stmt: GrantStmt): Plan {
  const tag = stmt.is_grant === true ? 'GRANT' : 'REVOKE'
  if (stmt.targtype !== 'ACL_TARGET_OBJECT') return ddl(tag, 'all')
  if (stmt.objtype === 'OBJECT_TABLE') return grantOnTables(scope, tag, stmt)
  return atPlace(scope, tag, placeOfObject(scope, stmt.objtype, undefined))
}

function grantOnTables(scope: Scope, tag: string, stmt: GrantStmt): Plan {
  const names = (stmt.objects ?? []).map((node) => nameOf(as(node, 'RangeVar')))
  if (names.every((name) => isViewOverNothing(scope, name))) return ddlWhereItExists(scope, tag)
  const places = names.map((name) => placeOf(scope, name))
  if (places.every((place) => place === 'home')) return ddl(tag, 'home')
  if (places.every((place) => place === 'all')) return ddl(tag, 'all')
  const { text } = scope.stmt
  const tokens = tokensOf(text)
  const items = listItems(tokens, firstItem(tokens, stmt.objects), ['TO', 'FROM'])
  return ddl(tag, 'all', { othersSql: withoutHome(text, places, items) })
}

export function planComment(scope: Scope, stmt: CommentStmt): Plan {
  const type = stmt.objtype
  return atPlace(scope, 'COMMENT', placeOfObject(scope, type, tableOf(type, undefined, stmt.object)))
}

export function planSecurityLabel(scope: Scope, stmt: SecLabelStmt): Plan {
  const type = stmt.objtype
  return atPlace(scope, 'SECURITY LABEL', placeOfObject(scope, type, tableOf(type, undefined, stmt.object)))
}
