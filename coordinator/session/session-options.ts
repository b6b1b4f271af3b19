import type { Socket } from 'node:net'
import type { BackendIdentity } from '../../protocol/agent-link.ts'
import { NO_CUSTOM_USE } from '../../sql/code/custom-settings.ts'
import type { BoundNames, CoordinatorNode, SessionState } from '../execute/context.ts'
import type { Planner } from '../execute/plans/planner.ts'
import { DrawnValues } from '../execute/transaction/drawn-values.ts'

/** What the listener knows of a client that has authenticated. */
export interface SessionOptions {
  readonly node: CoordinatorNode
  readonly planner: Planner
  readonly socket: Socket
  readonly sessionId: number
  readonly user: string
  readonly database: string
  readonly parameters: ReadonlyMap<string, string>
  readonly scram?: { readonly clientKey: Buffer; readonly serverKey: Buffer }
  readonly pid: number
  readonly secret: Buffer
  /** Bytes that came with the startup exchange. */
  readonly remainder: Buffer
  readonly onClosed: () => void
}

/** As whom it logs in to the shards. */
export function identityOf({ user, scram }: SessionOptions): BackendIdentity {
  return { kind: 'client', user, ...(scram === undefined ? {} : { scram }) }
}

export function initialState({ user, database }: SessionOptions, bound: BoundNames): SessionState {
  return {
    user,
    database,
    kept: new Set(),
    leaving: 0,
    cursorsLeave: 0,
    cursorsReach: undefined,
    sequences: 0,
    cursorSequences: 0,
    drawn: new DrawnValues(),
    compiles: false,
    custom: undefined,
    latch: undefined,
    cursorsCustom: NO_CUSTOM_USE,
    maySetNames: new Set(),
    seeded: false,
    lasting: false,
    tempTables: new Set(),
    tempCode: [],
    cursors: new Map(),
    bound,
    portalsMade: 0,
    copyOpened: false,
    notifications: [],
    trace: undefined,
  }
}
