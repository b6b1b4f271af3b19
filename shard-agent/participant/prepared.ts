/** The transactions that coordinators have prepared here through this agent, and those it has seen committed. */

const APPLIED_MAX = 20_000

export class PreparedTransactions {
  private readonly prepared = new Set<string>()
  /** Committed here, oldest first: a repeated COMMIT PREPARED of these is known to have been carried out. */
  private applied = new Set<string>()
  private appliedBefore = new Set<string>()

  get count(): number {
    return this.prepared.size
  }

  add(gid: string): void {
    this.prepared.add(gid)
  }

  committed(gid: string): void {
    this.prepared.delete(gid)
    if (this.applied.size >= APPLIED_MAX / 2) {
      this.appliedBefore = this.applied
      this.applied = new Set()
    }
    this.applied.add(gid)
  }

  rolledBack(gid: string): void {
    this.prepared.delete(gid)
  }

  /** Somebody else settled it, or will. */
  forget(gid: string): void {
    this.prepared.delete(gid)
  }

  wasCommitted(gid: string): boolean {
    return this.applied.has(gid) || this.appliedBefore.has(gid)
  }
}
