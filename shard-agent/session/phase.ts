/** What a session's line to its shard is doing. */
export const PHASE = {
  idle: 0,
  /** By a fence. */
  held: 1,
  /** Waits for a backend. */
  queued: 2,
  running: 3,
  /** PREPARE TRANSACTION runs. */
  preparing: 4,
  /** COMMIT PREPARED or ROLLBACK PREPARED runs. */
  concluding: 5,
  /** An exec was refused, the sink hears of it in a moment. */
  refused: 6,
  /** Waits for prepared transactions that its session must not miss. */
  unsettled: 7,
  /** A commit of a SERIALIZABLE transaction may have to wait (serializable-guard.ts). */
  guarded: 8,
} as const

/** Its exec has not come to a backend yet. */
export const WAITING: ReadonlySet<number> = new Set([PHASE.held, PHASE.queued, PHASE.unsettled])
/** A command of the agent's own runs on its backend. */
export const COMMANDING: ReadonlySet<number> = new Set([PHASE.guarded, PHASE.preparing, PHASE.concluding])
