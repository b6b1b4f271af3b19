import type { ExplainStmt } from '@pgsql/types'
import { as } from '../../parse/ast.ts'
import type { Plan } from '../plan.ts'
import { planQuery } from './inner.ts'
import { optionFlag, optionText } from './options.ts'
import { common, NO_EFFECTS } from './plans.ts'
import type { Scope } from './scope.ts'
import { tokensOf } from './text.ts'

/** EXPLAIN goes where its statement would go; with ANALYZE it does what that does. */
export function planExplain(scope: Scope, stmt: ExplainStmt): Plan {
  // Of a cursor its query is explained.
  const { query } = stmt
  const isCursor = query !== undefined && 'DeclareCursorStmt' in query
  const inner = planQuery(scope, isCursor ? query.DeclareCursorStmt.query : query)
  if (inner.kind === 'refused') return inner
  if (inner.kind === 'prepared') {
    const { answer: _, ...executed } = inner
    return { ...executed, tag: 'EXPLAIN', returnsRows: true }
  }
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
      reach: analyze ? inner.reach : undefined,
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

/** EXPLAIN with its options, as the client wrote them, up to the statement. */
export function explainWords(text: string): string {
  const tokens = tokensOf(text)
  let last = 0
  while (BARE_OPTIONS.has(tokens[last + 1]?.word ?? '')) last++
  // A query may stand in parentheses as options do; no option has the name of what begins one.
  const hasList = last === 0 && tokens[1]?.word === '(' && !BEGINS_QUERY.has(tokens[2]?.word ?? '')
  if (hasList) last = tokens.findIndex(({ word }) => word === ')')
  return text.slice(0, tokens[last]?.end ?? 0)
}
const BARE_OPTIONS: ReadonlySet<string> = new Set(['ANALYZE', 'ANALYSE', 'VERBOSE'])
const BEGINS_QUERY: ReadonlySet<string> = new Set(['(', 'SELECT', 'WITH', 'VALUES', 'TABLE'])
