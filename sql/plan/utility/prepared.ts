import type { DeallocateStmt, ExecuteStmt, PrepareStmt } from '@pgsql/types'
import type { Plan, PreparedPlan } from '../plan.ts'
import { common } from './plans.ts'
import type { Scope } from './scope.ts'
import { findWord, listItems, type Range, type Token, tokenAt, tokensOf } from './text.ts'

/** PREPARE name (types) AS statement: Weft keeps the text and plans it at EXECUTE. */
export function planPrepare(scope: Scope, stmt: PrepareStmt): Plan {
  const { text } = scope.stmt
  const tokens = tokensOf(text)
  // PREPARE name [(types)] AS: the name may itself be AS only when quoted.
  const as = findWord(tokens, ['AS'], 2)
  const types = stmt.argtypes === undefined ? [] : listItems(tokens, 3)
  return {
    ...common('PREPARE', { generic: false }),
    kind: 'prepared',
    verb: 'prepare',
    name: stmt.name ?? '',
    sql: text.slice(tokens[as + 1]!.start),
    types: textsOf(text, types),
  }
}

/** EXECUTE name (expressions). */
export function planExecute(scope: Scope, stmt: ExecuteStmt): Plan {
  const { text } = scope.stmt
  const args = stmt.params === undefined ? [] : listItems(tokensOf(text), 3)
  return execution(stmt, textsOf(text, args))
}

function execution({ name = '' }: ExecuteStmt, args: readonly string[]): PreparedPlan {
  const plan = common('EXECUTE', { generic: false, returnsRows: true })
  return { ...plan, kind: 'prepared', verb: 'execute', name, args }
}

/** EXPLAIN EXECUTE …, CREATE TABLE … AS EXECUTE …: EXECUTE is the first word at its level that can be one. */
export function planExecuteInside(scope: Scope, stmt: ExecuteStmt): PreparedPlan {
  const { text } = scope.stmt
  const tokens = tokensOf(text)
  const at = executeToken(tokens)
  const args = stmt.params === undefined ? [] : listItems(tokens, at + 3)
  const last = args.length === 0 ? tokens[at + 1]! : tokens[tokenAt(tokens, args.at(-1)!.end)]!
  const around = { before: text.slice(0, tokens[at]!.start), after: text.slice(last.end) }
  return { ...execution(stmt, textsOf(text, args)), around }
}

/** Any name may be EXECUTE, but none stands behind AS or an option of EXPLAIN and has a name behind it. */
function executeToken(tokens: readonly Token[]): number {
  const isBefore = new Set(['AS', 'EXPLAIN', 'ANALYZE', 'ANALYSE', 'VERBOSE', ')'])
  return tokens.findIndex(({ word }, i) => word === 'EXECUTE' && isBefore.has(tokens[i - 1]?.word ?? ''))
}

function textsOf(text: string, ranges: readonly Range[]): string[] {
  return ranges.map((r) => text.slice(r.start, r.end))
}

export function planDeallocate(stmt: DeallocateStmt): Plan {
  const all = stmt.isall === true || stmt.name === undefined
  return {
    ...common(all ? 'DEALLOCATE ALL' : 'DEALLOCATE'),
    kind: 'prepared',
    verb: all ? 'deallocate-all' : 'deallocate',
    name: stmt.name ?? '',
  }
}
