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
