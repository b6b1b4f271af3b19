import { PgError } from '../../errors/pg-error.ts'
import type { EmptyPlan, Plan } from '../../sql/plan/plan.ts'
import type { PlanScope, Statement } from '../execute/plans/planner.ts'
import type { ClientSession } from './client-session.ts'
import type { Prepared } from './prepared.ts'

/** A prepared statement's plan under a scope; parses when the cache has none. A promise: it is a long text. */
export function planned(session: ClientSession, statement: Prepared, scope: PlanScope): Plan | Promise<Plan> {
  const { planner, node, tracing } = session
  statement.refresh(scope, node.schema.epoch)
  const known = statement.planUnder(scope, planner)
  if (known !== undefined) return known
  const make = () => parsedAndPlanned(session, statement, scope)
  return tracing === undefined ? make() : tracing.timed('plan', make)
}

function parsedAndPlanned(
  session: ClientSession,
  statement: Prepared,
  scope: PlanScope,
): Plan | Promise<Plan> {
  const statements = session.planner.statements(statement.text)
  if (statements instanceof Promise) return statements.then((all) => planOf(session, statement, scope, all))
  return planOf(session, statement, scope, statements)
}

function planOf(
  { planner }: ClientSession,
  statement: Prepared,
  scope: PlanScope,
  [first, ...more]: readonly Statement[],
): Plan | Promise<Plan> {
  if (more.length > 0) {
    throw new PgError({ code: '42601', message: 'cannot insert multiple commands into a prepared statement' })
  }
  const keep = (plan: Plan): Plan => {
    statement.keepPlan(scope, plan)
    return plan
  }
  if (first === undefined) return keep(EMPTY)
  const made = planner.planned(scope, first, statement.plannedTypes, statement.sql)
  return made instanceof Promise ? made.then(({ plan }) => keep(plan)) : keep(made.plan)
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
