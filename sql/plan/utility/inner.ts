import { invariant } from '../../../errors/pg-error.ts'
import { kindOf, type Node } from '../../parse/ast.ts'
import type { Around } from '../gather/gather-plan.ts'
import type { Plan } from '../plan.ts'
import { planExecuteInside } from './prepared.ts'
import type { Scope } from './scope.ts'

/**
 * Plans the statement inside this one. It keeps the whole text, so that literals and ranges in its plan are those of
 * the text that is executed. With `around`: see GatherContext.
 */
export function planQuery(scope: Scope, node: Node | undefined, around?: Around): Plan {
  invariant(node !== undefined, 'a statement without a query')
  if ('ExecuteStmt' in node) return planExecuteInside(scope, node.ExecuteStmt)
  return scope.planInner({ ...scope.stmt, kind: kindOf(node), node }, around)
}
