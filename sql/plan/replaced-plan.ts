import type { Plan, SessionPidsPlan } from './plan.ts'

/** The plan of a statement in whose text something is put before it is planned; `plan`: as written, for what it does. */
export function replacedPlan(plan: Plan, places: SessionPidsPlan['places']): SessionPidsPlan {
  const { tag, access, effects, returnsRows, paramCount, paramsToDescribe, outsideTransaction } = plan
  const common = { tag, access, effects, returnsRows, paramCount, paramsToDescribe, outsideTransaction }
  return { ...common, commits: plan.commits, generic: false, kind: 'session-pids', places }
}
