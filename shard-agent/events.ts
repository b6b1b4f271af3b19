import { EventEmitter } from 'node:events'
import type { CommitKind } from './gate/gate-types.ts'

/** What happens on an agent that others may want to hear of: metrics, other parts of it. */
export interface AgentEvents {
  /** A first cut becomes active, or none is any more. */
  cut: [{ readonly isActive: boolean }]
  /** A commit that had to wait at the gate was let in. */
  commitHeld: [{ readonly kind: CommitKind; readonly heldMs: number }]
  /** A session that found no connection has one now, or was refused. */
  poolWaited: [{ readonly waitedMs: number; readonly result: 'served' | 'refused' }]
  /** Recovery has settled what a coordinator left. */
  recovered: [{ readonly gid: string; readonly how: 'commit' | 'abort' }]
}

export type AgentBus = EventEmitter<AgentEvents>

export const agentBus = (): AgentBus => new EventEmitter()
