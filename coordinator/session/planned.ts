import { PgError } from '../../errors/pg-error.ts'
import type { EmptyPlan, Plan } from '../../sql/plan/plan.ts'
import type { PlanScope } from '../execute/planner.ts'
import type { ClientSession } from './client-session.ts'
import type { Prepared } from './prepared.ts'

/** A prepared statement's plan under a scope; parses when the cache has none. */
export function planned(session: ClientSession, statement: Prepared, scope: PlanScope): Plan {
  const { planner, node } = session
  statement.refresh(scope, node.schema.epoch)
  const known = statement.planUnder(scope, planner)
  if (known !== undefined) return known
  const [first, ...more] = planner.parse(statement.text)
  if (more.length > 0) {
    throw new PgError({ code: '42601', message: 'cannot insert multiple commands into a prepared statement' })
  }
  const plan =
    first === undefined ? EMPTY : planner.plan(scope, first, statement.plannedTypes, statement.sql).plan
  statement.keepPlan(scope, plan)
  return plan
}

const EMPTY: EmptyPlan = {
  kind: 'empty',
  tag: '',
  access: 'read',
  effects: { pins: false, mayUnpin: false, taintsBackend: false, leaves: 0, sequences: 0 },
  returnsRows: false,
  paramCount: 0,
  generic: true,
  paramsToDescribe: [],
  outsideTransaction: false,
}
