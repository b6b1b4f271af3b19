import type { FirstStep } from './first/first-step.ts'
import type { GatherStep } from './gather/gather-plan.ts'
import type { PlanCommon, Route } from './plan.ts'

/** DECLARE … CURSOR, FETCH, MOVE, CLOSE: they follow the shard where the cursor was opened. */
export interface CursorPlan extends PlanCommon {
  readonly kind: 'cursor'
  readonly verb: 'declare' | 'fetch' | 'close' | 'close-all'
  readonly name: string
  /** DECLARE only. */
  readonly route?: Route
  readonly hold?: boolean
  /** Over several shards each has one over its own rows, which are read one after the other. */
  readonly streams?: boolean
  readonly binary?: boolean
  /** Its query is gathered for; the cursor is on the home shard. WITH HOLD: where `route` is another shard. */
  readonly gather?: GatherStep
  /** Its query locks rows: it is run first. */
  readonly first?: FirstStep
  /** FETCH and MOVE. */
  readonly step?: FetchStep
}

export interface FetchStep {
  readonly direction: 'forward' | 'backward' | 'absolute' | 'relative'
  /** Infinity: all. */
  readonly count: number
}
