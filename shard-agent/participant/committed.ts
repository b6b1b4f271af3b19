/** The transactions that this agent has seen committed: what is prepared now, the gate knows. */

const APPLIED_MAX = 20_000

export class CommittedTransactions {
  /** Committed here, oldest first: a repeated COMMIT PREPARED of these is known to have been carried out. */
  private applied = new Set<string>()
  private appliedBefore = new Set<string>()

  committed(gid: string): void {
    if (this.applied.size >= APPLIED_MAX / 2) {
      this.appliedBefore = this.applied
      this.applied = new Set()
    }
    this.applied.add(gid)
  }

  wasCommitted(gid: string): boolean {
    return this.applied.has(gid) || this.appliedBefore.has(gid)
  }
}
