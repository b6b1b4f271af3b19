/**
 * The state of a shard's gate. PURE.
 *
 * In flight is a commit (the Sync of an autocommit write, a COMMIT, a COMMIT PREPARED) that was sent and has not
 * finished. An open gate lets everything in. A held one makes local commits wait, and decided ones whose timestamp
 * lies above the hold; this is what a cut (one consistent state of several shards) will be taken under.
 */
import { invariant } from '../../errors/pg-error.ts'

export type CommitKind = 'local' | 'decided'

export class GateMachine {
  /** Highest commit timestamp that the hold lets in; undefined: the gate is open. */
  private heldAbove: bigint | undefined
  private count = 0

  get inFlight(): number {
    return this.count
  }

  get isOpen(): boolean {
    return this.heldAbove === undefined
  }

  /** Whether this commit may go now; if so it is in flight until `leave`. */
  tryEnter(kind: CommitKind, commitTs?: bigint): boolean {
    if (this.heldAbove !== undefined) {
      if (kind === 'local' || commitTs === undefined || commitTs > this.heldAbove) return false
    }
    this.count++
    return true
  }

  leave(): void {
    invariant(this.count > 0, 'left the gate without being in flight')
    this.count--
  }

  hold(above: bigint): void {
    this.heldAbove = above
  }

  release(): void {
    this.heldAbove = undefined
  }
}
