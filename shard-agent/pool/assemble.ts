/** Builds what is sent ahead of a payload, and takes a payload apart. PURE. */
import { invariant } from '../../errors/pg-error.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import { bind, describe, execute, FLUSH, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'

const SYNC_BYTES = 5
const BEGIN_CACHE_MAX = 500
/** BEGIN, SAVEPOINT and short SETs are the same again and again. */
const CACHED_SQL_MAX = 200

/** Replies to one `begin` statement: ParseComplete, BindComplete, CommandComplete. */
export const BEGIN_REPLIES = 3

const unnamedBindAndExecute = Buffer.concat([bind({}), execute()])
const begins = new Map<string, Buffer>()

/** Parse, Bind and Execute of one statement, without Sync. */
export function beginMessages(sql: string): Buffer {
  let messages = begins.get(sql)
  if (messages === undefined) {
    messages = Buffer.concat([parse('', sql), unnamedBindAndExecute])
    if (sql.length > CACHED_SQL_MAX) return messages
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
  return [withoutSync(payload), FLUSH]
}

export const withoutSync = (payload: Buffer): Buffer => payload.subarray(0, payload.length - SYNC_BYTES)

const HEADER_BYTES = 5
const DOLLAR = 0x24
const OPTIMIZABLE =
  /^(?:\s|\(|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:insert|update|delete|merge|with|select|values|table)\b/i
const HEAD_BYTES = 1024
const unnamedRest = Buffer.concat([bind({}), describe('P', ''), execute(), SYNC])

/** Whether a simple Query is surely one statement that may be sent as messages of the extended protocol. */
export function isConvertible(payload: Buffer): boolean {
  // In a Query a `$1` is an error, in Parse a parameter.
  if (payload.indexOf(DOLLAR, HEADER_BYTES) >= 0) return false
  return OPTIMIZABLE.test(payload.toString('latin1', HEADER_BYTES, HEADER_BYTES + HEAD_BYTES))
}

/** Brings the same answers but for ParseComplete, BindComplete and NoData. */
export function asExtended(payload: Buffer): Buffer {
  return Buffer.concat([parse('', payload.subarray(HEADER_BYTES, payload.length - 1)), unnamedRest])
}

/** An extended-protocol payload, taken apart at its one Bind. */
export interface AtBind {
  /** Parse, or nothing. */
  readonly before: Buffer
  /** A Close right ahead of the Bind, or nothing: see ExecRequest.cut. */
  readonly close: Buffer
  readonly bind: Buffer
  /** Describe, Execute, Sync. */
  readonly after: Buffer
  readonly portal: string
  /** Whose portal the Bind makes. */
  readonly statement: string
}

export function splitAtBind(payload: Buffer): AtBind {
  let at = 0
  let closeAt = -1
  while (payload[at] !== MSG.bind) {
    invariant(at + HEADER_BYTES <= payload.length, 'an exec for a cut without a Bind')
    if (payload[at] === MSG.close) closeAt = at
    at += 1 + payload.readInt32BE(at + 1)
  }
  const end = at + 1 + payload.readInt32BE(at + 1)
  const nameAt = payload.indexOf(0, at + HEADER_BYTES) + 1
  return {
    before: payload.subarray(0, closeAt < 0 ? at : closeAt),
    close: payload.subarray(closeAt < 0 ? at : closeAt, at),
    bind: payload.subarray(at, end),
    after: payload.subarray(end),
    portal: payload.toString('utf8', at + HEADER_BYTES, nameAt - 1),
    statement: payload.toString('utf8', nameAt, payload.indexOf(0, nameAt)),
  }
}
