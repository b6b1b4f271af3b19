import type { Timestamp } from '../../protocol/agent-link.ts'

/** Commits by which rows came to another shard, as far as whoever waited for one of them has to know. */
export class MovedRows {
  /** The highest timestamp of such a commit that was let in. */
  highest: Timestamp = 0n
  /** Transactions prepared by this agent: whether they moved rows. */
  private readonly transactions = new Map<string, boolean>()

  prepared(gid: string, moves: boolean): void {
    this.transactions.set(gid, moves)
  }

  /** What another process has prepared may have moved some. */
  commits(gid: string, commitTs: Timestamp): void {
    if (this.transactions.get(gid) !== false && commitTs > this.highest) this.highest = commitTs
    this.transactions.delete(gid)
  }

  over(gid: string): void {
    this.transactions.delete(gid)
  }
}
