/** Builds what is sent ahead of a payload, and takes a payload apart. PURE. */
import { MSG } from '../../protocol/wire/frames.ts'
import { bind, execute, FLUSH, parse } from '../../protocol/wire/frontend-messages.ts'

const SYNC_BYTES = 5
const BEGIN_CACHE_MAX = 500

/** Replies to one `begin` statement: ParseComplete, BindComplete, CommandComplete. */
export const BEGIN_REPLIES = 3

const unnamedBindAndExecute = Buffer.concat([bind({}), execute()])
const begins = new Map<string, Buffer>()

/** Parse, Bind and Execute of one statement, without Sync. */
export function beginMessages(sql: string): Buffer {
  let messages = begins.get(sql)
  if (messages === undefined) {
    messages = Buffer.concat([parse('', sql), unnamedBindAndExecute])
    if (begins.size >= BEGIN_CACHE_MAX) begins.clear()
    begins.set(sql, messages)
  }
  return messages
}

export function isSimpleQuery(payload: Buffer): boolean {
  return payload[0] === MSG.query
}

/** How many Execute messages an extended-protocol payload has. */
export function countExecutes(payload: Buffer): number {
  let count = 0
  for (let at = 0; at + SYNC_BYTES <= payload.length; at += 1 + payload.readInt32BE(at + 1)) {
    if (payload[at] === MSG.execute) count++
  }
  return count
}

/** The payload with its final Sync replaced by a Flush. */
export function withFlushForSync(payload: Buffer): Buffer[] {
  return [payload.subarray(0, payload.length - SYNC_BYTES), FLUSH]
}
