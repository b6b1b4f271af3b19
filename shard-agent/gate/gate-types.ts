/** What the gate machine (gate-machine.ts) is told and asks for. */

/**
 * `local`: the Sync of an autocommit write, or a COMMIT: over in the time of one flush. `statement`: a statement that
 * commits by itself and was sent whole; it may wait for row locks. `decided`: COMMIT PREPARED.
 */
export type CommitKind = 'local' | 'statement' | 'decided'

export interface GateLimits {
  /** A gate held for so long without a break takes no further cut. */
  readonly heldMsMax: number
  /** After a hold that a commit has met it stays open for as long as it was held, within these. */
  readonly openMsMin: number
  readonly openMsMax: number
  /** The part of its lease that a cut may wait for what must be settled before anything is held. */
  readonly settleShare: number
}

export const gateDefaults: GateLimits = { heldMsMax: 20, openMsMin: 1, openMsMax: 10, settleShare: 0.5 }

/** One cut, as one agent sees it. */
export interface ActiveCut {
  /** The coordinator's link. */
  readonly owner: string
  /** Rises from cut to cut of one owner. */
  readonly id: number
  readonly ts: bigint
  /** Gids of transactions that do not commit at or below `ts`: the cut does not wait for them. */
  readonly outside: ReadonlySet<string>
  /**
   * Gids of transactions that have taken effect on no shard, and that its coordinator keeps so until the cut is over: not
   * waited for either, and held whatever their timestamp.
   */
  readonly untold: ReadonlySet<string>
  readonly sinceMs: number
  readonly deadlineMs: number
  /**
   * `settling`: local commits still go on; those decided above `ts` wait. `draining`: nothing enters, what is in
   * flight ends. `snapshot`: the native snapshot is being taken. `held`: it was, and `taken` was answered. `starting`: it
   * was released, and statements that take their snapshot as they begin have not all begun.
   */
  readonly phase: 'settling' | 'draining' | 'snapshot' | 'held' | 'starting'
}

/** What the driver is to do; the cut it is about as it was then. */
export type GateEffect =
  /** Answer that a commit above `ts` has been applied, or is under way: the cut stays active and wants a higher one. */
  | { readonly kind: 'behind'; readonly cut: ActiveCut; readonly highest: bigint }
  /** Answer that there will be no cut now; it is not active any more. */
  | { readonly kind: 'busy'; readonly cut: ActiveCut; readonly afterMs: number; readonly why: string }
  /** Take the native snapshots of the cut, then call `snapshotTaken` with it. */
  | { readonly kind: 'snapshot'; readonly cut: ActiveCut }
  /** `afterMs`: for how long it will stay open then. */
  | { readonly kind: 'taken'; readonly cut: ActiveCut; readonly afterMs: number }
  /** Its lease ended, or it came too late; it is not active any more. */
  | { readonly kind: 'expired'; readonly cut: ActiveCut }
