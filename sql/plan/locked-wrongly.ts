import { type Node, type SelectStmt, walk } from '../parse/ast.ts'
import type { Analysis } from '../place/analyze.ts'
import type { Shape } from '../tree/block.ts'
import { shapeOf } from '../tree/shape.ts'
import type { Plan } from './plan.ts'
import { commonFields, forwardTo } from './routing.ts'

/** Row locks of groups, sets and the like: any Postgres says what is wrong, before it runs anything. */
export function lockedWrongly(a: Analysis, statement: Node): Plan | undefined {
  if (!a.traits.locksRows || a.traits.user !== undefined) return undefined
  let isWrong = false
  walk(statement, (kind, body) => {
    const select = kind === 'SelectStmt' ? (body as SelectStmt) : undefined
    if (select?.lockingClause !== undefined && locksNoRows(shapeOf(select), select === a.block.node))
      isWrong = true
  })
  return isWrong ? forwardTo(commonFields(a, 'SELECT', true), { kind: 'home' }) : undefined
}

/** As in CheckSelectLocking of Postgres' analyze.c. The aggregate of a subquery may be one of the query around it. */
function locksNoRows(shape: Shape, isTop: boolean): boolean {
  const { setOperation, distinct, group, having, aggregate, window, setReturning } = shape
  if (isTop && aggregate !== undefined) return true
  return (setOperation ?? distinct ?? group ?? having ?? window ?? setReturning) !== undefined
}
