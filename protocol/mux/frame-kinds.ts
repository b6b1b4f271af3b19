/**
 * Frames between coordinator and shard agent. PURE, as everything in this directory.
 *
 *   u32 length of what follows | u32 session | u8 kind | u64 HLC timestamp | body
 *
 * Numbers are big-endian. Frames about the link itself carry session 0 and are known by their kind alone.
 */
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'

export const MUX_VERSION = 11

export const LENGTH_BYTES = 4
/** Length word included. */
export const FRAME_HEADER_BYTES = 17
export const KIND_AT = 8
export const STAMP_AT = 9

export const KIND = {
  // Both ways, about the link
  hello: 1,
  /** Why the sender closes; the last frame. */
  goodbye: 2,
  /** Sent when there was nothing else to send for a while: the peer hears that we live. */
  ping: 3,

  // Coordinator to agent, about the link
  control: 10,
  settingsDefine: 11,
  settingsForget: 12,
  statementDefine: 13,
  statementForget: 14,

  // Coordinator to agent, about a session
  open: 20,
  exec: 21,
  copyData: 22,
  cancel: 23,
  pause: 24,
  resume: 25,
  prepare: 26,
  commitPrepared: 27,
  rollbackPrepared: 28,
  reset: 29,
  close: 30,
  giveBack: 31,
  commitLast: 34,
  timestampFixed: 35,
  rollBack: 36,

  // Agent to coordinator
  event: 40,
  /** Answer to `control`. */
  answer: 41,
  /** The highest timestamp of a cross-shard commit on the shard: ahead of replies that may show it. */
  applied: 42,
  /** An exec is ready for its cut. */
  ready: 45,
  /** The backend that a session held has died while nothing ran. */
  released: 49,
  data: 50,
  /** The last bytes of an exec's reply. */
  dataEnd: 51,
  failed: 52,
  async: 53,
  /** COPY bytes that the backend took. */
  credit: 54,
  prepared: 55,
  done: 56,
  /** A prepare, commit, rollback, reset or control request failed. */
  refused: 57,
} as const

export type FrameKind = (typeof KIND)[keyof typeof KIND]

const KINDS_MAX = 64
const known = new Uint8Array(KINDS_MAX)
for (const kind of Object.values(KIND)) known[kind] = 1

export function isKnownKind(kind: number): boolean {
  return known[kind] === 1
}

const streamed = new Uint8Array(256)
for (const kind of [KIND.data, KIND.copyData]) streamed[kind] = 1

/** About a session that is open. */
export function isOfSession(kind: number): boolean {
  return kind > KIND.open && kind < KIND.event
}

/** Bytes whose chunking means nothing: a frame that comes in parts is handed out in parts. */
export function isStreamed(kind: number): boolean {
  return streamed[kind] === 1
}

/** COPY bytes of one session under way to the agent and not yet taken by its backend. */
export const COPY_WINDOW_BYTES = 256 * 1024
/** The agent gives credit back in steps of at least this; below half of the window, so that nobody waits for ever. */
export const COPY_CREDIT_BYTES = 64 * 1024

/** Settings and prepared statements that a link remembers. */
export const SETTINGS_MAX = 1_000
export const SETTINGS_BYTES_MAX = 16 * 1024 * 1024
export const STATEMENTS_MAX = 10_000
export const STATEMENT_BYTES_MAX = 64 * 1024 * 1024

/** Until a peer has said who it is, it is not listened to for longer than this. */
export const HELLO_BYTES_MAX = 4_096

/** The peer does not keep to this protocol: the link is closed. */
export function muxViolation(what: string): PgError {
  return weftError('protocol_violation', { what: `mux: ${what}` })
}
