import { weftError } from '../../errors/catalog.ts'
import { openSnapshot } from '../execute/open-snapshot.ts'
import type { TransactionModes } from '../execute/transaction.ts'
import type { ClientSession } from './client-session.ts'

/** A session's turn to hold backends on several shards, and the snapshot that its transaction is to have throughout. */
export class Admission {
  private readonly session: ClientSession
  private abandonWait: ((error: Error) => void) | undefined
  private refusal: Error | undefined

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
    await this.takeTicket()
    return () => {
      const { tx, node } = this.session
      if (!tx.hasTicket) return
      tx.hasTicket = false
      node.tickets.release()
    }
  }

  private async takeTicket(): Promise<void> {
    const { tx, node } = this.session
    try {
      await node.tickets.acquire((abandon) => (this.abandonWait = abandon))
    } finally {
      this.abandonWait = undefined
    }
    tx.hasTicket = true
  }
}
