import { CHECKS } from '../check/checks.ts'
import type { Check } from '../check/verdict.ts'

/** The checker of a workload has its name. */
export function checkOf(workload: string): Check {
  const checks: Readonly<Record<string, Check>> = CHECKS
  const check = checks[workload]
  if (check === undefined) throw new Error(`there is no checker for ${workload}`)
  return check
}
