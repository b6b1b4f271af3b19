/** Frames about the link itself. */
import type { PgError } from '../../errors/pg-error.ts'
import type {
  ControlReply,
  ControlRequest,
  CustomNames,
  News,
  Settings,
  SignalVerb,
  StatementRef,
  Timestamp,
} from '../agent-link.ts'
import { KIND, MUX_VERSION, muxViolation } from './frame-kinds.ts'
import { type FrameWriter, textBytesMax } from './frame-writer.ts'
import { errorBytes, errorOf, FrameBody, jsonBytes } from './values.ts'

/** Tells our frames from whatever else may talk to this port. */
const MAGIC = 0x57454654

export interface Hello {
  readonly version: number
  readonly cluster: string
  readonly shard: number
  /** Of the coordinator; the agent's answer repeats it. */
  readonly coordinatorId: string
}

export function writeHello(out: FrameWriter, hello: Omit<Hello, 'version'>, version = MUX_VERSION): void {
  const { cluster, shard, coordinatorId } = hello
  out.begin(KIND.hello, 0, 10 + textBytesMax(cluster) + textBytesMax(coordinatorId))
  out.u32(MAGIC).u16(version).u32(shard).text(cluster).text(coordinatorId).end()
}

export function readHello(body: FrameBody): Hello {
  if (body.uint32() !== MAGIC) throw muxViolation('the peer is no Weft node')
  const version = body.uint16()
  // What follows may look different in another version.
  if (version !== MUX_VERSION) return { version, cluster: '', shard: 0, coordinatorId: '' }
  const shard = body.uint32()
  const hello = { version, shard, cluster: body.text(), coordinatorId: body.text() }
  body.finish()
  return hello
}

/** Why a peer that greets like this is no peer for us; undefined: it is. */
export function helloMismatch(
  theirs: Hello,
  ours: Omit<Hello, 'version' | 'coordinatorId'>,
): string | undefined {
  if (theirs.version !== MUX_VERSION) {
    return `it speaks version ${theirs.version} of the mux protocol, this node version ${MUX_VERSION}`
  }
  if (theirs.cluster !== ours.cluster) {
    return `it belongs to cluster "${theirs.cluster}", this node to "${ours.cluster}"`
  }
  if (theirs.shard !== ours.shard)
    return `it is about shard ${theirs.shard}, this node about shard ${ours.shard}`
  return undefined
}

export function writeGoodbye(out: FrameWriter, error: PgError): void {
  out.begin(KIND.goodbye, 0, 0).endWith(errorBytes(error))
}

export function readGoodbye(body: FrameBody): PgError {
  return errorOf(body)
}

export function writePing(out: FrameWriter): void {
  out.begin(KIND.ping, 0, 0).end()
}

export type LinkEvent =
  | { readonly kind: 'mapVersion'; readonly version: number }
  | { readonly kind: 'quota'; readonly transactionsMax: number }
  | { readonly kind: 'up' }
  | { readonly kind: 'down'; readonly why: string }
  | {
      readonly kind: 'signal'
      readonly pid: number
      readonly verb: SignalVerb
      readonly secret?: string | undefined
    }
  | { readonly kind: 'abortsLeft'; readonly txnIds: readonly string[] }
  /** `id`: of the request `heard`. */
  | { readonly kind: 'news'; readonly id: number; readonly what: News }

export function writeEvent(out: FrameWriter, event: LinkEvent): void {
  out.begin(KIND.event, 0, 0).endWith(jsonBytes(event))
}

export function readEvent(body: FrameBody): LinkEvent {
  const { kind, version, transactionsMax, why, pid, verb, secret, id, what, txnIds } = body.json()
  if (kind === 'mapVersion' && typeof version === 'number') return { kind, version }
  if (kind === 'quota' && typeof transactionsMax === 'number') return { kind, transactionsMax }
  if (kind === 'up') return { kind }
  if (kind === 'news' && typeof id === 'number' && (what === 'schema' || what === 'sequences'))
    return { kind, id, what }
  if (kind === 'abortsLeft' && isTexts(txnIds)) return { kind, txnIds }
  if (kind === 'down' && typeof why === 'string') return { kind, why }
  if (kind === 'signal' && typeof pid === 'number' && (verb === 'cancel' || verb === 'terminate')) {
    return { kind, pid, verb, ...(typeof secret === 'string' ? { secret } : {}) }
  }
  throw muxViolation(`an event "${String(kind)}" that is not understood`)
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

export function writeApplied(out: FrameWriter, ts: Timestamp): void {
  out.begin(KIND.applied, 0, 8).u64(ts).end()
}

export function readApplied(body: FrameBody): Timestamp {
  const ts = body.u64()
  body.finish()
  return ts
}

export function writeControl(out: FrameWriter, requestId: number, request: ControlRequest): void {
  out.begin(KIND.control, 0, 4).u32(requestId).endWith(jsonBytes(request))
}

export function readControl(body: FrameBody): {
  readonly requestId: number
  readonly request: ControlRequest
} {
  const requestId = body.uint32()
  return { requestId, request: withKind<ControlRequest>(body) }
}

export function writeAnswer(out: FrameWriter, requestId: number, reply: ControlReply): void {
  out.begin(KIND.answer, 0, 4).u32(requestId).endWith(jsonBytes(reply))
}

export function readAnswer(body: FrameBody): { readonly requestId: number; readonly reply: ControlReply } {
  const requestId = body.uint32()
  return { requestId, reply: withKind<ControlReply>(body) }
}

/** Both ends are of one protocol version: the fields that go with a kind are taken as they come. */
function withKind<T extends { readonly kind: string }>(body: FrameBody): T {
  const value = body.json()
  if (typeof value.kind !== 'string') throw muxViolation('a request or reply without kind')
  return value as unknown as T
}

// Definitions: what execs refer to by a number, told once

const WITH_CODE_PATH = 1
const WITH_NAMES = 2
const SPOILS = 4

export function writeSettingsDefine(out: FrameWriter, handle: number, settings: Settings): void {
  const { meaning = settings.sql, codePath = '', custom } = settings
  const names = custom === undefined ? [] : [custom.own, custom.asks, custom.sets].map(joined)
  const texts = [codePath, ...names, meaning]
  out
    .begin(
      KIND.settingsDefine,
      0,
      texts.reduce((bytes, text) => bytes + textBytesMax(text), 5),
    )
    .u32(handle)
    .u8(flagsOf(settings))
  for (const text of texts) out.text(text)
  out.endWith(Buffer.from(settings.sql))
}

function flagsOf({ codePath, custom, spoils }: Settings): number {
  const names = custom === undefined ? 0 : WITH_NAMES
  return (codePath === undefined ? 0 : WITH_CODE_PATH) | names | (spoils === true ? SPOILS : 0)
}

export function readSettingsDefine(body: FrameBody): Settings {
  const id = body.uint32()
  const flags = body.byte()
  const codePath = body.text()
  const custom = (flags & WITH_NAMES) === 0 ? undefined : readNames(body)
  const fixed = { id, meaning: body.text(), sql: body.rest().toString() }
  const path = (flags & WITH_CODE_PATH) === 0 ? {} : { codePath }
  const spoils = (flags & SPOILS) === 0 ? {} : { spoils: true }
  return { ...fixed, ...path, ...(custom === undefined ? {} : { custom }), ...spoils }
}

function readNames(body: FrameBody): CustomNames {
  return { own: parted(body.text()), asks: parted(body.text()), sets: parted(body.text()) }
}

const joined = (names: readonly string[]): string => names.join('\0')
const parted = (names: string): readonly string[] => (names === '' ? [] : names.split('\0'))

export function writeStatementDefine(out: FrameWriter, handle: number, statement: StatementRef): void {
  const { name, parse } = statement
  out
    .begin(KIND.statementDefine, 0, 4 + textBytesMax(name))
    .u32(handle)
    .text(name)
    .endWith(parse)
}

/** The body of a statement's definition is at most this long. */
export function statementBytesMax(name: string, parse: Buffer): number {
  return 4 + textBytesMax(name) + parse.length
}

export function readStatementDefine(body: FrameBody): {
  readonly handle: number
  readonly ref: StatementRef
} {
  const handle = body.uint32()
  const name = body.text()
  // A copy: this one is kept, and must not keep all that came with it.
  return { handle, ref: { name, parse: Buffer.from(body.rest()) } }
}

export function writeForget(
  out: FrameWriter,
  kind: typeof KIND.settingsForget | typeof KIND.statementForget,
  handle: number,
): void {
  out.begin(kind, 0, 4).u32(handle).end()
}

export function readForget(body: FrameBody): number {
  const handle = body.uint32()
  body.finish()
  return handle
}

export function bodyOf(chunk: Buffer, start: number, end: number): FrameBody {
  return new FrameBody(chunk, start, end)
}
