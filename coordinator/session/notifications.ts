import { MSG } from '../../protocol/wire/frames.ts'
import type { ClientOutput } from '../execute/answers/client-output.ts'
import type { Transaction } from '../execute/transaction/transaction.ts'
import type { MemoryAccount } from '../memory/memory-budget.ts'

/** What belongs to no statement, on its way to the client: it gets it between transactions. */
export class Notifications {
  private readonly out: ClientOutput
  private readonly tx: Transaction
  private readonly account: MemoryAccount

  constructor(out: ClientOutput, tx: Transaction, account: MemoryAccount) {
    this.out = out
    this.tx = tx
    this.account = account
  }

  /**
   * Throws 53200: they cannot be left out, and nobody else can keep them for the session. Parameters that several backends
   * tell at the end of a transaction are told once.
   */
  came(chunk: Buffer): void {
    if (chunk[0] === MSG.parameterStatus) this.out.aside(chunk)
    else this.account.set(this.out.later(chunk))
  }

  /** To be called when no statement runs. */
  release(): void {
    if (this.out.hasWaiting) {
      if (this.tx.isOpen) return
      this.out.releaseWaiting()
      this.out.flush()
    }
    if (this.account.bytes > 0) this.account.set(0)
  }
}
