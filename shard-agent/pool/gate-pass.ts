import type { Gate, GateWaiter } from '../gate/gate.ts'
import type { CommitKind } from '../gate/gate-types.ts'

/** A backend's place at the gate: at most one commit of it waits there, or is in flight. */
export class GatePass implements GateWaiter {
  kind: CommitKind = 'local'
  ts: bigint | undefined
  private readonly gate: Gate
  private readonly onAdmitted: () => void
  private isInFlight = false
  private isWaiting = false

  constructor(gate: Gate, onAdmitted: () => void) {
    this.gate = gate
    this.onAdmitted = onAdmitted
  }

  /** `seen`: by its session, on other shards. True: in flight. False: it waits, and is told when it is. */
  enter(kind: CommitKind, seen: bigint | undefined): boolean {
    this.kind = kind
    this.ts = seen
    if (this.gate.tryEnter(kind, seen)) {
      this.isInFlight = true
      return true
    }
    this.isWaiting = true
    this.gate.wait(this)
    return false
  }

  /** A statement sent whole, which commits when it has run. */
  get holdsStatement(): boolean {
    return this.isInFlight && this.kind === 'statement'
  }

  admitted(): void {
    this.isWaiting = false
    this.isInFlight = true
    this.onAdmitted()
  }

  /** It is over, or does not want to wait any longer. */
  end(): void {
    if (this.isInFlight) {
      this.isInFlight = false
      this.gate.leave(this.kind)
    } else if (this.isWaiting) {
      this.isWaiting = false
      this.gate.forget(this)
    }
  }
}
