import type { ExplainStmt } from '@pgsql/types'
import { as } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { planQuery } from './inner.ts'
import { optionFlag, optionText } from './options.ts'
import { common, NO_EFFECTS } from './plans.ts'
import type { Scope } from './scope.ts'

/** EXPLAIN goes where its statement would go; with ANALYZE it does what that does. */
export function planExplain(scope: Scope, stmt: ExplainStmt): Plan {
  const inner = planQuery(scope, stmt.query)
  if (inner.kind === 'refused') return inner
  if (inner.kind === 'prepared') return { ...inner, tag: 'EXPLAIN', returnsRows: true }
  let analyze = false
  let format = 'text'
  for (const node of stmt.options ?? []) {
    const option = as(node, 'DefElem')
    if (option?.defname === 'analyze') analyze = optionFlag(option) ?? true
    if (option?.defname === 'format') format = (optionText(option) ?? 'text').toLowerCase()
  }
  return {
    ...common('EXPLAIN', {
      access: analyze ? inner.access : 'read',
      effects: analyze ? inner.effects : NO_EFFECTS,
      returnsRows: true,
      paramCount: inner.paramCount,
      paramsToDescribe: inner.paramsToDescribe,
      // FORMAT 'json' is a literal.
      generic: inner.generic && (stmt.options?.length ?? 0) === 0,
      outsideTransaction: analyze && inner.outsideTransaction,
    }),
    kind: 'explain',
    inner,
    analyze,
    format,
  }
}
