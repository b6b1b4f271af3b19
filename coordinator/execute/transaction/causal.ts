import type { Timestamp } from '../../../protocol/agent-link.ts'
import { readsConsistently, type SettingsInForce } from '../../settings/consistent-reads.ts'

/** Not seen on a shard, but told: holds for all of them. */
const NO_SHARD = -1

/**
 * What a session has seen of cross-shard commits, so that it never goes back in time (DESIGN 6): the highest commit
 * timestamp applied on the shards that it has read. A shard that is asked later waits for what is prepared there at or
 * below it. What was seen on that very shard is no reason to wait: there it is as it was.
 */
export class Causal {
  private readonly tx: { readonly hasSnapshot: boolean }
  private readonly commits: { readonly undecidedAreUnseen: boolean }
  private readonly settings: SettingsInForce
  private highest: Timestamp = 0n
  private shard = NO_SHARD
  /** The highest seen on any other shard than `shard`. */
  private second: Timestamp = 0n
  private wasTold = false

  constructor(
    tx: { readonly hasSnapshot: boolean },
    commits: { readonly undecidedAreUnseen: boolean },
    settings: SettingsInForce,
  ) {
    this.tx = tx
    this.commits = commits
    this.settings = settings
  }

  saw(shard: number, ts: Timestamp): void {
    if (shard === this.shard) {
      if (ts > this.highest) this.highest = ts
    } else if (ts > this.highest) {
      this.second = this.highest
      this.highest = ts
      this.shard = shard
    } else if (ts > this.second) this.second = ts
  }

  /** Committed by the session itself. */
  adopt(ts: Timestamp): void {
    this.saw(NO_SHARD, ts)
  }

  /**
   * From another session, perhaps of another coordinator. That one may have seen what recovery carried out of this
   * coordinator's transactions on a shard that has noticed the loss of its connection, before this coordinator has, and
   * before the log has answered it: from now on the session waits for them too.
   */
  told(ts: Timestamp): void {
    this.wasTold = true
    this.saw(NO_SHARD, ts)
  }

  /** What `shard` has to have settled before it answers; undefined: nothing. */
  before(shard: number): Timestamp | undefined {
    // A snapshot is what it is.
    if (this.tx.hasSnapshot) return undefined
    const ts = shard === this.shard ? this.second : this.highest
    // Who gave up consistent reads waits for nothing in doubt; what is seen still counts when they are on again.
    return ts !== 0n && readsConsistently(this.settings) ? ts : undefined
  }

  /** See `ExecRequest`. */
  get ownUnseen(): boolean {
    return !this.wasTold && this.commits.undecidedAreUnseen
  }

  get token(): Timestamp {
    return this.highest
  }
}
