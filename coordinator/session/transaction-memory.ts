import type { Transaction } from '../execute/transaction/transaction.ts'
import type { MemoryAccount } from '../memory/memory-budget.ts'

const NOTIFICATION_BYTES = 64

/** What an open transaction makes a session keep: savepoints and the like for shards that join late, NOTIFYs. */
export class TransactionMemory {
  private readonly account: MemoryAccount
  private readonly notifications: readonly string[]
  private counted = 0
  private notificationBytes = 0

  constructor(account: MemoryAccount, notifications: readonly string[]) {
    this.account = account
    this.notifications = notifications
  }

  /** After a statement of it. Throws 53200: the transaction has failed then, and its end gives everything back. */
  review(tx: Transaction): void {
    this.count()
    const bytes = tx.replayBytes + this.notificationBytes
    if (bytes !== this.account.bytes) this.account.set(bytes)
  }

  private count(): void {
    const { notifications } = this
    if (notifications.length < this.counted) {
      this.counted = 0
      this.notificationBytes = 0
    }
    for (; this.counted < notifications.length; this.counted++)
      this.notificationBytes += NOTIFICATION_BYTES + notifications[this.counted]!.length
  }
}
