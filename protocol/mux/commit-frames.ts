/** Frames about a session's part in a transaction over several shards. */
import type { PrepareOptions, PrepareReply, Timestamp } from '../agent-link.ts'
import { KIND, muxViolation } from './frame-kinds.ts'
import { type FrameWriter, textBytesMax } from './frame-writer.ts'
import type { FrameBody } from './values.ts'

const PROBE = 1
const LAST = 2
const FOLLOWS = 4
const MOVES = 8

export function writePrepare(
  out: FrameWriter,
  session: number,
  requestId: number,
  gid: string,
  options: PrepareOptions,
): void {
  const { probe = false, last = false, follows = false, moves = false } = options
  out.begin(KIND.prepare, session, 5 + textBytesMax(gid))
  out
    .u32(requestId)
    .u8((probe ? PROBE : 0) | (last ? LAST : 0) | (follows ? FOLLOWS : 0) | (moves ? MOVES : 0))
    .text(gid)
    .end()
}

export function readPrepare(body: FrameBody): {
  readonly requestId: number
  readonly options: Required<PrepareOptions>
  readonly gid: string
} {
  const requestId = body.uint32()
  const mask = body.byte()
  if (mask > (PROBE | LAST | FOLLOWS | MOVES)) throw muxViolation(`prepare options ${mask}`)
  const gid = body.text()
  body.finish()
  const has = (bit: number) => (mask & bit) > 0
  const options = { probe: has(PROBE), last: has(LAST), follows: has(FOLLOWS), moves: has(MOVES) }
  return { requestId, options, gid }
}

export function writeCommitLast(
  out: FrameWriter,
  session: number,
  requestId: number,
  gid: string,
  commitTs: Timestamp,
  sql: string,
): void {
  out.begin(KIND.commitLast, session, 12 + textBytesMax(gid) + textBytesMax(sql))
  out.u32(requestId).u64(commitTs).text(gid).text(sql).end()
}

export function readCommitLast(body: FrameBody): {
  readonly requestId: number
  readonly commitTs: Timestamp
  readonly gid: string
  readonly sql: string
} {
  const request = { requestId: body.uint32(), commitTs: body.u64(), gid: body.text(), sql: body.text() }
  body.finish()
  return request
}

export function writeTimestampFixed(
  out: FrameWriter,
  session: number,
  gid: string,
  commitTs: Timestamp,
): void {
  out.begin(KIND.timestampFixed, session, 8 + textBytesMax(gid))
  out.u64(commitTs).text(gid).end()
}

export function readTimestampFixed(body: FrameBody): { readonly commitTs: Timestamp; readonly gid: string } {
  const fixed = { commitTs: body.u64(), gid: body.text() }
  body.finish()
  return fixed
}

export function writeCommitPrepared(
  out: FrameWriter,
  session: number,
  requestId: number,
  gid: string,
  commitTs: Timestamp,
): void {
  out.begin(KIND.commitPrepared, session, 12 + textBytesMax(gid))
  out.u32(requestId).u64(commitTs).text(gid).end()
}

export function readCommitPrepared(body: FrameBody): {
  readonly requestId: number
  readonly commitTs: Timestamp
  readonly gid: string
} {
  const request = { requestId: body.uint32(), commitTs: body.u64(), gid: body.text() }
  body.finish()
  return request
}

export function writePrepared(
  out: FrameWriter,
  session: number,
  requestId: number,
  holds: boolean,
  { prepareTs, xid = '' }: PrepareReply,
): void {
  out
    .begin(KIND.prepared, session, 13 + textBytesMax(xid))
    .u32(requestId)
    .u8(holds ? 1 : 0)
    .u64(prepareTs)
    .text(xid)
    .end()
}

export function readPrepared(body: FrameBody): {
  readonly requestId: number
  readonly holds: boolean
  readonly reply: PrepareReply
} {
  const requestId = body.uint32()
  const holds = body.flag()
  const prepareTs = body.u64()
  const xid = body.text()
  body.finish()
  return { requestId, holds, reply: xid === '' ? { prepareTs } : { prepareTs, xid } }
}
