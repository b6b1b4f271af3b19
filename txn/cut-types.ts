import type { Timestamp } from '../protocol/agent-link.ts'

/** What the cut machine (cut-machine.ts) is told, and asks for. */

export interface CutLimits {
  /** How long agents hold commits for a cut that nobody releases. Doubled after each failure, up to the maximum. */
  readonly leaseMs: number
  readonly leaseMsMax: number
  /** Of the lease only so much counts here: clocks may run at slightly different speeds. */
  readonly leaseShare: number
  /** After a failure; doubled with each, and spread by chance. */
  readonly pauseMsMin: number
  readonly pauseMsMax: number
  /** After a cut that writers have met the next one begins when they have had as long as it took, at most this. */
  readonly betweenMsMax: number
  /** How far S lies ahead of the clock: fewer cuts turn out to be behind. */
  readonly aheadMs: number
}

export const cutDefaults: CutLimits = {
  leaseMs: 100,
  leaseMsMax: 1_000,
  leaseShare: 0.9,
  pauseMsMin: 1,
  pauseMsMax: 100,
  betweenMsMax: 5,
  aheadMs: 1,
}

/** The moment of an event: the coordinator's monotonic clock, its HLC, and chance from [0, 1). */
export interface CutNow {
  readonly ms: number
  readonly ts: Timestamp
  readonly chance: number
}

export interface CutReader {
  readonly id: number
  readonly shards: readonly number[]
  /** The cut must lie above this. */
  readonly above: Timestamp
  /** Until when it waits. */
  readonly deadlineMs: number
}

export interface CutReply {
  readonly result: 'taken' | 'behind' | 'busy' | 'expired'
  readonly highest?: Timestamp
  /** For so long it would not be taken (`busy`), or the next one not (`taken`). */
  readonly afterMs?: number
  readonly why?: string
}

export type CutEffect =
  | {
      readonly kind: 'cut'
      readonly shard: number
      /** All that are asked. */
      readonly among: readonly number[]
      readonly id: number
      readonly ts: Timestamp
      readonly leaseMs: number
      /** Those that read this shard. */
      readonly readers: readonly number[]
    }
  | { readonly kind: 'release'; readonly shard: number; readonly id: number; readonly go: boolean }
  /** These have their cut. */
  | { readonly kind: 'taken'; readonly readers: readonly number[]; readonly ts: Timestamp }
  /** This one does not get any: the shard is `lost`, or its time is over. */
  | {
      readonly kind: 'failed'
      readonly reader: number
      readonly how: 'lost' | 'too-late'
      readonly shard: number | undefined
      readonly why: string
    }

/** Gids on a shard of what a cut does not wait for. */
export interface LeftOutOfCut {
  /** They do not commit at or below its timestamp. */
  outside(shard: number): readonly string[]
  /** They may, but no shard was told so, and all of theirs are in the cut. */
  untold(shard: number): readonly string[]
}
