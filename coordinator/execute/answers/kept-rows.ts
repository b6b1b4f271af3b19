import type { PgError } from '../../../errors/pg-error.ts'
import { parseCommandTag } from '../../../protocol/wire/backend-messages.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'

const ROW_BYTES = 64
const HEADER_BYTES = 5

/**
 * Rows of a result that no one backend has, for a client that takes them in parts: of several shards' RETURNING, of what
 * the coordinator says itself. As in Postgres the statement has run to its end when the first are given.
 */
export class KeptRows {
  private rows: Buffer[] = []
  private given = 0
  private tag = ''
  private counts = false
  private readonly account: MemoryAccount
  private bytes = 0
  /** There was no memory for them. */
  failure: PgError | undefined

  constructor(account: MemoryAccount) {
    this.account = account
  }

  /** Called from where nobody could be told: `failure` says what there is to tell. */
  add(row: Buffer): void {
    if (this.failure !== undefined) return
    const bytes = ROW_BYTES + row.length
    this.failure = this.account.offer(bytes)
    if (this.failure !== undefined) return
    this.bytes += bytes
    this.rows.push(Buffer.from(row))
  }

  /** `complete`: the CommandComplete of the whole result. */
  end(complete: Buffer): void {
    const { text, count } = parseCommandTag(complete, HEADER_BYTES, complete.length)
    this.tag = text
    this.counts = count !== null
  }

  /** The next `maxRows`, or all for 0; with the tag and the count of these when they are the last. */
  take(maxRows: number): {
    readonly rows: readonly Buffer[]
    readonly end?: readonly [string, number | null]
  } {
    const rows = this.rows.slice(this.given, maxRows === 0 ? undefined : this.given + maxRows)
    this.given += rows.length
    if (maxRows > 0 && rows.length === maxRows) return { rows }
    return { rows, end: [this.tag, this.counts ? rows.length : null] }
  }

  clear(): void {
    this.account.sub(this.bytes)
    this.bytes = 0
    this.rows = []
    this.given = 0
    this.failure = undefined
  }
}
