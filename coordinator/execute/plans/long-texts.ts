import type { NodeKind } from '../../../sql/parse/ast.ts'
import type { Plan } from '../../../sql/plan/plan.ts'
import type { PlanScope } from './planner.ts'

/** From this length on a text is parsed and planned by somebody else: it would hold up everybody on this thread. */
export const LONG_TEXT_LENGTH = 16 * 1024

export interface LongTexts {
  canPlan(scope: PlanScope): boolean
  /** Where the statements of a text are, in UTF-16 offsets. Rejects with what is wrong with its syntax. */
  split(
    text: string,
  ): Promise<readonly { readonly kind: NodeKind; readonly start: number; readonly end: number }[]>
  /** Of a text of one statement. */
  plan(text: string, scope: PlanScope, paramTypes: readonly number[]): Promise<Plan>
}

/** There is nobody to do it: it has to be done here. */
export class NoThread extends Error {
  override readonly name = 'NoThread'

  constructor(cause?: unknown) {
    super('no thread plans long texts', { cause })
  }
}
