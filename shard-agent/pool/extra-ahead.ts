import type { ExecRequest } from '../../protocol/agent-link.ts'
import { STATUS } from '../../protocol/wire/frames.ts'
import { DISCARD_PLANS, type KeptPlans } from './kept-plans.ts'
import type { Drawer, SequenceSeat } from './sequence-seat.ts'

interface Host {
  readonly plans: KeptPlans
  readonly seat: SequenceSeat
  readonly status: number
}

/** What goes ahead of a request inside an open transaction, for which there is no prelude; undefined: nothing. */
export function extraAhead(
  { plans, seat, status }: Host,
  drawer: Drawer,
  request: ExecRequest,
): readonly string[] | undefined {
  if (status !== STATUS.inTransaction) return undefined
  const ofSequences = request.sequences ? seat.ahead(drawer, request) : undefined
  if (plans.fit(request)) return ofSequences
  // Settings have changed in the open transaction.
  plans.madeFor(request)
  return [DISCARD_PLANS, ...(ofSequences ?? [])]
}
