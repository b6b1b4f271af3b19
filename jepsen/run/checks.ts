import type { Check } from '../check/verdict.ts'

/** The checker of each workload. */
const checks: Readonly<Record<string, Check>> = {}

export function checkOf(workload: string): Check {
  return checks[workload] ?? unchecked
}

const unchecked: Check = () => ({
  ...{ valid: 'unknown', anomalies: [], allowed: [], counts: {} },
  notes: ['there is no checker for it'],
})
