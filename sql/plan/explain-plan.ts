import type { Plan, PlanCommon } from './plan.ts'

export interface ExplainPlan extends PlanCommon {
  readonly kind: 'explain'
  /** The plan of the explained statement. */
  readonly inner: Plan
  readonly analyze: boolean
  readonly format: string
  readonly options: readonly ExplainOption[]
  /** How long things take is told: of each step, and in all. */
  readonly showsTimes: boolean
  readonly showsSums: boolean
}

export interface ExplainOption {
  readonly name: string
  readonly value?: string
}
