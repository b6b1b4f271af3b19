import { weftError } from '../../errors/catalog.ts'
import { openSnapshot } from '../execute/transaction/open-snapshot.ts'
import type { TxnTickets } from '../execute/transaction/tickets.ts'
import type { TransactionModes } from '../execute/transaction/transaction.ts'
import type { ClientSession } from './client-session.ts'

/** A session's turn to hold backends on several shards, and the snapshot that its transaction is to have throughout. */
export class Admission {
  private readonly session: ClientSession
  private abandonWait: ((error: Error) => void) | undefined
  private refusal: Error | undefined
  private hasStatementTicket = false

  constructor(session: ClientSession) {
    this.session = session
  }

  /** A new message: what was cancelled before is over. */
  begin(): void {
    this.refusal = undefined
  }

  cancelled(error: Error = weftError('query_canceled', {})): void {
    this.refusal = error
    this.abandonWait?.(error)
  }

  async needTransaction(modes?: TransactionModes): Promise<void> {
    const { tx, settings } = this.session
    if (tx.kind === 'none') {
      tx.begin('implicit', modes)
      settings.begin()
    }
    await this.admit()
  }

  async admit(looks = true): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal
    const { session } = this
    const { tx } = session
    if (!tx.isOpen) return
    if (!tx.hasTicket) await this.takeTicket()
    if (!looks || tx.hasSnapshot || tx.takesSnapshot) return
    if (session.hasTransactionSnapshots) await openSnapshot(session)
  }

  async admitStatement(): Promise<() => void> {
    if (this.refusal !== undefined) throw this.refusal
    if (this.session.node.statementTickets.max > 0) await this.takeStatementTicket()
    else await this.takeTicket()
    return () => this.leave()
  }

  /** Whatever becomes of the work, nobody waits for it then. */
  async untilCancelled<T>(work: Promise<T>): Promise<T> {
    if (this.refusal !== undefined) throw this.refusal
    try {
      return await Promise.race([work, new Promise<never>((_, reject) => (this.abandonWait = reject))])
    } finally {
      this.abandonWait = undefined
    }
  }

  private async takeTicket(): Promise<void> {
    const { tx, node } = this.session
    await this.waitFor(node.tickets)
    tx.hasTicket = true
  }

  private async takeStatementTicket(): Promise<void> {
    await this.waitFor(this.session.node.statementTickets)
    this.hasStatementTicket = true
  }

  private async waitFor(tickets: TxnTickets): Promise<void> {
    try {
      await tickets.acquire((abandon) => (this.abandonWait = abandon))
    } finally {
      this.abandonWait = undefined
    }
  }

  /** Gives back what the session has, also when its client has gone. */
  leave(): void {
    const { tx, node } = this.session
    if (tx.hasTicket) node.tickets.release()
    tx.hasTicket = false
    if (this.hasStatementTicket) node.statementTickets.release()
    this.hasStatementTicket = false
  }
}
