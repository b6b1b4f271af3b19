/** Frames about one session. */
import type { PgError } from '../../errors/pg-error.ts'
import type { BackendIdentity, ExecRequest, Settings, StatementRef } from '../agent-link.ts'
import type { ReceivedDefinitions } from './definitions.ts'
import { KIND, muxViolation } from './frame-kinds.ts'
import { type FrameWriter, textBytesMax } from './frame-writer.ts'
import { errorBytes, errorOf, type FrameBody } from './values.ts'

const SCRAM_KEY_BYTES = 32
const IDENTITY = { internal: 0, client: 1, clientWithKeys: 2 } as const

/** `session` names it in frames, and may differ from link to link; `knownAs` is its id on every link. */
export function writeOpen(
  out: FrameWriter,
  session: number,
  knownAs: number,
  identity: BackendIdentity,
): void {
  if (identity.kind === 'internal') {
    out.begin(KIND.open, session, 5).u32(knownAs).u8(IDENTITY.internal).end()
    return
  }
  const { user, scram } = identity
  out.begin(KIND.open, session, 5 + textBytesMax(user) + 2 * SCRAM_KEY_BYTES).u32(knownAs)
  out.u8(scram === undefined ? IDENTITY.client : IDENTITY.clientWithKeys).text(user)
  if (scram !== undefined) out.raw(scram.clientKey).raw(scram.serverKey)
  out.end()
}

export function readOpen(body: FrameBody): {
  readonly knownAs: number
  readonly identity: BackendIdentity
} {
  return { knownAs: body.uint32(), identity: readIdentity(body) }
}

function readIdentity(body: FrameBody): BackendIdentity {
  const kind = body.byte()
  if (kind > IDENTITY.clientWithKeys) throw muxViolation(`an identity of kind ${kind}`)
  if (kind === IDENTITY.internal) {
    body.finish()
    return { kind: 'internal' }
  }
  const user = body.text()
  const scram = kind === IDENTITY.clientWithKeys ? { clientKey: key(body), serverKey: key(body) } : undefined
  body.finish()
  return { kind: 'client', user, ...(scram === undefined ? {} : { scram }) }
}

function key(body: FrameBody): Buffer {
  const start = body.skip(SCRAM_KEY_BYTES)
  return Buffer.from(body.buffer.subarray(start, start + SCRAM_KEY_BYTES))
}

const EXEC_FIXED_BYTES = 23
const ACCESS = ['read', 'write', 'commit'] as const
const ACCESS_MASK = 3
const PIN = 4
const TAINTS = 8
const CUT_STATEMENT = 16
const CUT_TRANSACTION = 32
const SEEN = 64
const OWN_UNSEEN = 128
const FLAGS_MAX = 255
/** In the second byte, above the mask of what is left out. */
const COMMITS = [undefined, 'apart', 'within'] as const
const SWALLOW_BITS = 3
const SWALLOW_MASK = 7
/** In the second byte too, above all that. */
const UNSETTLES = 32
const AS_IT_IS = 64
/** A byte for sequences follows. */
const WITH_SEQUENCES = 128
/** In place of the number of `begin`'s statements: there are none, and this is what `within` says. */
const WITHIN = 0xffff
const NOT_WITHIN = 0xfffe

/** Everything of an exec frame's body but its payload. */
export function execHeadBytesMax(request: ExecRequest): number {
  let bytes = EXEC_FIXED_BYTES + (request.needs?.length ?? 0) * 4
  for (const sql of request.begin ?? []) bytes += textBytesMax(sql)
  return bytes
}

/** `settings` and `needs` are handles that were defined on this link. */
export function writeExec(
  out: FrameWriter,
  session: number,
  request: ExecRequest,
  settings: number,
  needs: readonly number[],
): void {
  const { begin, payload, seen } = request
  out.begin(KIND.exec, session, execHeadBytesMax(request))
  out.u8(flagsOf(request)).u8(moreOf(request))
  out.u32(request.mapVersion).u32(settings).u16(beginsOf(request)).u16(needs.length)
  if (begin !== undefined) for (const sql of begin) out.text(sql)
  for (const handle of needs) out.u32(handle)
  if (seen !== undefined) out.u64(seen)
  if (request.sequences) out.u8(request.sequences)
  out.endWith(payload)
}

function flagsOf({ access, pin, taints, cut, seen, ownUnseen }: ExecRequest): number {
  let flags = access === 'read' ? 0 : access === 'write' ? 1 : 2
  if (pin) flags |= PIN
  if (taints) flags |= TAINTS
  if (cut !== undefined) flags |= CUT_FLAGS[cut]
  if (seen !== undefined) flags |= ownUnseen ? SEEN | OWN_UNSEEN : SEEN
  return flags
}

function beginsOf({ begin, within }: ExecRequest): number {
  const count = begin?.length ?? 0
  if (count > 0 || within === undefined) return count
  return within ? WITHIN : NOT_WITHIN
}

function moreOf({ swallow, commits, unsettles, asItIs, sequences }: ExecRequest): number {
  const code = (unsettles === true ? UNSETTLES : 0) | (asItIs === true ? AS_IT_IS : 0)
  return swallow | (COMMITS.indexOf(commits) << SWALLOW_BITS) | code | (sequences ? WITH_SEQUENCES : 0)
}

const CUT_FLAGS = {
  statement: CUT_STATEMENT,
  transaction: CUT_TRANSACTION,
  execution: CUT_STATEMENT | CUT_TRANSACTION,
} as const

function cutOf(flags: number): ExecRequest['cut'] {
  const isStatement = (flags & CUT_STATEMENT) !== 0
  if ((flags & CUT_TRANSACTION) !== 0) return isStatement ? 'execution' : 'transaction'
  return isStatement ? 'statement' : undefined
}

const NO_BEGIN: readonly string[] = []
const NO_NEEDS: readonly StatementRef[] = []

export function readExec(body: FrameBody, definitions: ReceivedDefinitions): ExecRequest {
  const flags = body.byte()
  const last = body.byte()
  const more = last & ~(UNSETTLES | AS_IT_IS | WITH_SEQUENCES)
  const swallow = more & SWALLOW_MASK
  const access = ACCESS[flags & ACCESS_MASK]
  if (access === undefined || flags > FLAGS_MAX || more >> SWALLOW_BITS >= COMMITS.length) {
    throw muxViolation('an exec with unknown flags')
  }
  // Signed: ANY_MAP_VERSION is -1.
  const mapVersion = body.uint32() | 0
  const settings: Settings = definitions.settings(body.uint32())
  const begins = body.uint16()
  const within = begins >= NOT_WITHIN ? begins === WITHIN : undefined
  const beginCount = within === undefined ? begins : 0
  const needsCount = body.uint16()
  const begin = beginCount === 0 ? NO_BEGIN : texts(body, beginCount)
  const needs = needsCount === 0 ? NO_NEEDS : statements(body, needsCount, definitions)
  const pin = (flags & PIN) !== 0
  const taints = (flags & TAINTS) !== 0
  const cut = cutOf(flags)
  const seen = flags & SEEN ? body.u64() : undefined
  const ownUnseen = flags & OWN_UNSEEN ? true : undefined
  const unsettles = last & UNSETTLES ? true : undefined
  const asItIs = last & AS_IT_IS ? true : undefined
  const sequences = last & WITH_SEQUENCES ? body.byte() : undefined
  const payload = body.rest()
  const fixed = { access, commits: COMMITS[more >> SWALLOW_BITS], pin, taints, swallow, cut, seen, ownUnseen }
  return { mapVersion, settings, begin, within, needs, payload, unsettles, asItIs, sequences, ...fixed }
}

function texts(body: FrameBody, count: number): string[] {
  const list: string[] = []
  for (let i = 0; i < count; i++) list.push(body.text())
  return list
}

function statements(
  body: FrameBody,
  count: number,
  definitions: ReceivedDefinitions,
): readonly StatementRef[] {
  if (count === 1) return definitions.oneStatement(body.uint32())
  const list: StatementRef[] = []
  for (let i = 0; i < count; i++) list.push(...definitions.oneStatement(body.uint32()))
  return list
}

/** Kinds that carry bytes and nothing else. */
export function writeBytes(
  out: FrameWriter,
  kind: typeof KIND.copyData | typeof KIND.data | typeof KIND.async,
  session: number,
  bytes: Buffer,
): void {
  out.begin(kind, session, 0).endWith(bytes)
}

/** Kinds without a body. */
export function writeSignal(
  out: FrameWriter,
  kind:
    | typeof KIND.cancel
    | typeof KIND.pause
    | typeof KIND.resume
    | typeof KIND.close
    | typeof KIND.giveBack
    | typeof KIND.released
    | typeof KIND.ready,
  session: number,
): void {
  out.begin(kind, session, 0).end()
}

// How an exec ends. `holds`: the session has a backend now.

export function writeDataEnd(
  out: FrameWriter,
  session: number,
  ready: number,
  holds: boolean,
  bytes: Buffer,
): void {
  out
    .begin(KIND.dataEnd, session, 2)
    .u8(ready)
    .u8(holds ? 1 : 0)
    .endWith(bytes)
}

const STATUS_BYTES = new Set([...'ITE'].map((status) => status.charCodeAt(0)))

/** The bytes are what is left in the body. */
export function readDataEnd(body: FrameBody): { readonly ready: number; readonly holds: boolean } {
  const ready = body.byte()
  if (!STATUS_BYTES.has(ready)) throw muxViolation(`a transaction status ${ready}`)
  return { ready, holds: body.flag() }
}

export function writeFailed(
  out: FrameWriter,
  session: number,
  error: PgError,
  sent: boolean,
  holds: boolean,
): void {
  out
    .begin(KIND.failed, session, 2)
    .u8(sent ? 1 : 0)
    .u8(holds ? 1 : 0)
    .endWith(errorBytes(error))
}

export function readFailed(body: FrameBody): {
  readonly sent: boolean
  readonly holds: boolean
  readonly error: PgError
} {
  return { sent: body.flag(), holds: body.flag(), error: errorOf(body) }
}

export function writeCredit(out: FrameWriter, session: number, bytes: number): void {
  out.begin(KIND.credit, session, 4).u32(bytes).end()
}

export function readCredit(body: FrameBody): number {
  const bytes = body.uint32()
  body.finish()
  return bytes
}

// Requests with an answer

export type SessionRequest = typeof KIND.rollbackPrepared | typeof KIND.reset | typeof KIND.rollBack

export function writeRequest(
  out: FrameWriter,
  kind: SessionRequest,
  session: number,
  requestId: number,
  gid: string,
): void {
  out
    .begin(kind, session, 4 + textBytesMax(gid))
    .u32(requestId)
    .text(gid)
    .end()
}

export function readRequest(body: FrameBody): { readonly requestId: number; readonly gid: string } {
  const request = { requestId: body.uint32(), gid: body.text() }
  body.finish()
  return request
}

export function writeDone(out: FrameWriter, session: number, requestId: number, holds: boolean): void {
  out
    .begin(KIND.done, session, 5)
    .u32(requestId)
    .u8(holds ? 1 : 0)
    .end()
}

export function readDone(body: FrameBody): { readonly requestId: number; readonly holds: boolean } {
  const reply = { requestId: body.uint32(), holds: body.flag() }
  body.finish()
  return reply
}

/** Session 0 for a control request. */
export function writeRefused(
  out: FrameWriter,
  session: number,
  requestId: number,
  holds: boolean,
  error: PgError,
): void {
  out
    .begin(KIND.refused, session, 5)
    .u32(requestId)
    .u8(holds ? 1 : 0)
    .endWith(errorBytes(error))
}

export function readRefused(body: FrameBody): {
  readonly requestId: number
  readonly holds: boolean
  readonly error: PgError
} {
  return { requestId: body.uint32(), holds: body.flag(), error: errorOf(body) }
}
