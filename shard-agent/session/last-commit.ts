import type { PrepareReply, Timestamp } from '../../protocol/agent-link.ts'
import type { LastTransaction, TwoPhase } from '../participant/two-phase.ts'
import type { Backend } from '../pool/backend.ts'

/** A session's transaction whose own commit is to be the decision on all its participants, if it has one. */
export class LastCommit {
  private readonly twoPhase: TwoPhase
  private transaction: LastTransaction | undefined

  constructor(twoPhase: TwoPhase) {
    this.twoPhase = twoPhase
  }

  is(gid: string): boolean {
    return this.transaction?.gid === gid
  }

  /** Undefined: its commit cannot be the decision. */
  async prepare(backend: Backend, gid: string, moves: boolean): Promise<PrepareReply | undefined> {
    const reply = await this.twoPhase.prepareLast(backend, gid, moves)
    if (reply !== undefined) this.transaction = { gid, xid: reply.xid }
    return reply
  }

  async commit(backend: Backend, commitTs: Timestamp, sql: string): Promise<void> {
    try {
      await this.twoPhase.commitLast(backend, this.transaction!, commitTs, sql)
    } catch (error) {
      await this.twoPhase.rollback(backend)
      throw error
    } finally {
      this.ends(backend.isDead)
    }
  }

  async rollback(backend: Backend): Promise<void> {
    try {
      await this.twoPhase.rollback(backend)
    } finally {
      this.ends(false)
    }
  }

  /** `lost`: it may be committing at this moment. */
  ends(lost: boolean): void {
    const { transaction } = this
    if (transaction === undefined) return
    this.transaction = undefined
    if (lost) void this.twoPhase.lastLost(transaction)
    else this.twoPhase.lastOver(transaction)
  }
}
