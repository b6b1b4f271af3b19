import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { Lexed } from '../../sql/lex/lexed.ts'
import type { Plan } from '../../sql/plan/plan.ts'
import { RelationLocked } from '../catalog/locked-relations.ts'
import type { CoordinatorNode, Execution } from '../execute/context.ts'
import { StatementKeys } from '../execute/plans/key-slots.ts'

/** Postgres saw one statement of a longer text: its error positions count from there. */
export function moved(error: unknown, text: string, start: number): unknown {
  if (start === 0 || !(error instanceof PgError) || error.fields.position === undefined) return error
  const characters = [...text.slice(0, start)].length
  return new PgError({ ...error.fields, position: error.fields.position + characters }, { cause: error })
}

/** What the client is told of whatever went wrong. */
export function worded(log: CoordinatorNode['log'], error: unknown): PgError {
  if (error instanceof PgError) return error
  if (error instanceof RelationLocked) return error.asPgError()
  // Planning walks the syntax tree by recursion.
  if (error instanceof RangeError) return weftError('statement_too_complex', {}, error)
  log.error({ err: error }, 'internal error in a session')
  return weftError('internal', { what: error instanceof Error ? error.message : String(error) }, error)
}

/** One statement of the simple protocol. */
export function simpleExecution(
  plan: Plan,
  text: string,
  frame: Buffer,
  sql: Buffer,
  lexed: Lexed,
): Execution {
  return {
    plan,
    text,
    frame,
    bind: undefined,
    paramTypes: [],
    ref: undefined,
    keys: new StatementKeys().ofText(sql, lexed),
    wantsRowDescription: true,
    maxRows: 0,
  }
}

/** What is allowed in a failed transaction. */
export function endsFailure(plan: Plan): boolean {
  if (plan.kind === 'empty') return true
  return plan.kind === 'transaction' && ['commit', 'rollback', 'rollback-to'].includes(plan.verb)
}

/** What ends the whole transaction without a commit. */
export function rollsBack(plan: Plan, failed: boolean): boolean {
  return plan.kind === 'transaction' && (plan.verb === 'rollback' || (plan.verb === 'commit' && failed))
}

/** What begins or ends a transaction needs none around it; SET TRANSACTION is about the one that is. */
export function bringsItsOwn(plan: Plan): boolean {
  return plan.kind === 'transaction' && plan.verb !== 'set-characteristics'
}

/** In a pipeline VACUUM may come first; among several statements of one text Postgres refuses it. */
export function isOutside({ plan, bind }: Execution): boolean {
  return (plan.outsideTransaction && bind !== undefined) || plan.kind === 'empty'
}
