/**
 * Walks what a backend sends, message header by message header, and passes it on in pieces as large as they came.
 *
 * What happens to a message is a table lookup by its type byte: `PASS` is forwarded unseen (rows: nothing of them is
 * read but type and length), `EXAMINE` is handed to the driver whole, which keeps it in the stream or leaves it out,
 * `DROP` is left out unseen. The driver may swap the table at any message. Bytes are handed out as views; only a
 * header or an examined message that straddles two chunks is copied.
 *
 * PURE: no sockets here.
 */
import { InvariantError } from '../../errors/pg-error.ts'
import { MSG } from '../../protocol/wire/frames.ts'

export const PASS = 0
export const EXAMINE = 1
export const DROP = 2

export type RuleTable = Uint8Array

const HEADER_BYTES = 5
/** An examined message of more than this many bytes passes unseen: nothing of ours is that large. */
const EXAMINED_BYTES_MAX = 8 * 1024 * 1024
const NOTHING = Buffer.alloc(0)

/** What becomes of an examined message: false leaves it out, a Buffer takes its place. */
export type Kept = boolean | Buffer

export interface ScanDriver {
  /** Bytes to pass on: whole messages, or parts of messages that `PASS`. */
  forward(chunk: Buffer): void
  /** An examined message, `chunk[start, end)` with its header. */
  message(type: number, chunk: Buffer, start: number, end: number): Kept
  /** ReadyForQuery, with the bytes not yet forwarded before it: `chunk[from, end)`. */
  ready(chunk: Buffer, from: number, end: number, status: number): void
}

/** Builds a table: the listed types get `rule`, all others `otherwise`. ReadyForQuery is always seen. */
export function ruleTable(otherwise: number, rules: Readonly<Record<string, number>>): RuleTable {
  const table = new Uint8Array(256).fill(otherwise)
  for (const [type, rule] of Object.entries(rules)) table[type.charCodeAt(0)] = rule
  return table
}

export class ReplyScanner {
  /** Rules for the messages from here on. */
  table: RuleTable
  private readonly driver: ScanDriver
  /** Bytes of the current message that are still to come. */
  private left = 0
  private dropping = false
  /** Start of a message that has to be complete before it is judged. */
  private held: Buffer = NOTHING

  constructor(driver: ScanDriver, table: RuleTable) {
    this.driver = driver
    this.table = table
  }

  push(chunk: Buffer): void {
    if (this.held.length > 0) {
      chunk = Buffer.concat([this.held, chunk])
      this.held = NOTHING
    }
    const length = chunk.length
    let at = 0
    let from = 0
    if (this.left > 0) {
      at = Math.min(this.left, length)
      this.left -= at
      if (this.dropping) from = at
    }
    while (at < length) {
      if (length - at < HEADER_BYTES) {
        this.hold(chunk, from, at)
        return
      }
      const type = chunk[at]!
      const end = at + 1 + messageLength(chunk, at + 1)
      if (type === MSG.readyForQuery) {
        if (end > length) {
          this.hold(chunk, from, at)
          return
        }
        this.driver.ready(chunk, from, end, chunk[at + HEADER_BYTES]!)
        at = end
        from = end
        continue
      }
      const rule = this.table[type]!
      if (rule === PASS) {
        at = end
        continue
      }
      if (rule === EXAMINE && end > length && end - at <= EXAMINED_BYTES_MAX) {
        this.hold(chunk, from, at)
        return
      }
      const keep = rule === EXAMINE && (end > length || this.driver.message(type, chunk, at, end))
      if (keep !== true) {
        if (at > from) this.driver.forward(chunk.subarray(from, at))
        if (keep !== false) this.driver.forward(keep)
        from = end
        this.dropping = end > length
      }
      at = end
    }
    if (at > length) {
      this.left = at - length
      this.dropping = from > length
    }
    if (from < length) this.driver.forward(from === 0 ? chunk : chunk.subarray(from))
  }

  private hold(chunk: Buffer, from: number, at: number): void {
    // Before the driver is called: it may destroy the connection, but it never pushes.
    this.held = chunk.subarray(at)
    if (at > from) this.driver.forward(chunk.subarray(from, at))
  }
}

function messageLength(chunk: Buffer, at: number): number {
  const length = (chunk[at]! << 24) | (chunk[at + 1]! << 16) | (chunk[at + 2]! << 8) | chunk[at + 3]!
  if (length < 4) throw new InvariantError(`the shard sent a message of length ${length}`)
  return length
}
