import type { MemoryAccount } from '../../memory/memory-budget.ts'

const ROW_BYTES = 64
const MAX_BYTES = 1 << 20

/**
 * The first rows of a statement that is run again, unseen, when others change what it changes: who has heard none of them
 * need not hear of that.
 */
export class DelayedRows {
  private readonly rows: Buffer[] = []
  private readonly account: MemoryAccount
  private bytes = 0

  constructor(account: MemoryAccount) {
    this.account = account
  }

  /** False: there are too many. */
  add(row: Buffer): boolean {
    const bytes = ROW_BYTES + row.length
    if (this.bytes + bytes > MAX_BYTES || this.account.offer(bytes) !== undefined) return false
    this.bytes += bytes
    this.rows.push(Buffer.from(row))
    return true
  }

  take(): readonly Buffer[] {
    this.account.sub(this.bytes)
    this.bytes = 0
    return this.rows.splice(0)
  }
}
