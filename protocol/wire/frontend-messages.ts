/** Messages a client sends: builders (values to bytes) and the decoders that the coordinator needs. */
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import {
  allocMessage,
  BodyReader,
  bytesMessage,
  copyBytes,
  cstringBytes,
  cstringMessage,
  emptyMessage,
  HEADER_BYTES,
  malformed,
  textBytes,
  writeCString,
  writeText,
} from './bytes.ts'
import { MSG } from './frames.ts'

// Messages that never differ are shared; nobody may write into them.
export const SYNC = emptyMessage(MSG.sync)
export const FLUSH = emptyMessage(MSG.flush)
export const TERMINATE = emptyMessage(MSG.terminate)

// Connection start

/** Protocol version of a startup packet, or one of the request codes that take its place. */
export const STARTUP = {
  version3: 3 << 16,
  cancelRequest: 80877102,
  sslRequest: 80877103,
  gssEncRequest: 80877104,
} as const

/** What Postgres answers to SSLRequest: yes or no, one byte without a frame. */
export const SSL_YES = Buffer.from('S')
export const SSL_NO = Buffer.from('N')

/** `parameters` in order: user, database, and whatever else. */
export function startup(
  parameters: Readonly<Record<string, string>>,
  version: number = STARTUP.version3,
): Buffer {
  let bytes = 9
  const entries = Object.entries(parameters)
  for (const [name, value] of entries) bytes += cstringBytes(name) + cstringBytes(value)
  const out = Buffer.allocUnsafe(bytes)
  let at = out.writeInt32BE(version, out.writeInt32BE(bytes, 0))
  for (const [name, value] of entries) at = writeCString(out, value, writeCString(out, name, at))
  out[at] = 0
  return out
}

/** The name-value pairs of a startup packet whose version was read already; a repeated name counts as its last. */
export function parseStartupParameters(buffer: Buffer, bodyStart: number, end: number): Map<string, string> {
  const reader = new BodyReader(buffer, bodyStart, end)
  const parameters = new Map<string, string>()
  try {
    for (let name = reader.cstring(); name !== ''; name = reader.cstring())
      parameters.set(name, reader.cstring())
    reader.finish()
  } catch (error) {
    const what = 'invalid startup packet layout: expected terminator as last byte'
    throw weftError('protocol_violation', { what }, error)
  }
  return parameters
}

function requestPacket(code: number, data: Buffer): Buffer {
  const out = Buffer.allocUnsafe(8 + data.length)
  out.writeInt32BE(code, out.writeInt32BE(out.length, 0))
  data.copy(out, 8)
  return out
}

export const SSL_REQUEST = requestPacket(STARTUP.sslRequest, Buffer.alloc(0))
export const GSS_ENC_REQUEST = requestPacket(STARTUP.gssEncRequest, Buffer.alloc(0))

export function cancelRequest(pid: number, secret: Buffer): Buffer {
  const data = Buffer.allocUnsafe(4 + secret.length)
  secret.copy(data, data.writeInt32BE(pid, 0))
  return requestPacket(STARTUP.cancelRequest, data)
}

/** PasswordMessage: cleartext. */
export function password(text: string): Buffer {
  return cstringMessage(MSG.password, text)
}

export function saslInitialResponse(mechanism: string, data: string): Buffer {
  const dataBytes = Buffer.byteLength(data)
  const out = allocMessage(MSG.password, cstringBytes(mechanism) + 4 + dataBytes)
  out.write(data, out.writeInt32BE(dataBytes, writeCString(out, mechanism, HEADER_BYTES)))
  return out
}

export function saslResponse(data: string): Buffer {
  return bytesMessage(MSG.password, Buffer.from(data))
}

/** `data` is null when the client left its first message out. */
export interface SaslInitialResponse {
  readonly mechanism: string
  readonly data: string | null
}

export function parseSaslInitialResponse(
  buffer: Buffer,
  bodyStart: number,
  end: number,
): SaslInitialResponse {
  const reader = new BodyReader(buffer, bodyStart, end)
  const mechanism = reader.cstring()
  const length = reader.int32()
  if (length === -1) {
    reader.finish()
    return { mechanism, data: null }
  }
  const start = reader.skip(length)
  reader.finish()
  return { mechanism, data: buffer.toString('utf8', start, end) }
}

// Simple query

export function query(sql: string | Buffer): Buffer {
  const out = allocMessage(MSG.query, textBytes(sql))
  writeText(out, sql, HEADER_BYTES)
  return out
}

/** Where the text of a Query is: `buffer[sqlStart, sqlEnd)`, its NUL not included. */
export function parseQuery(
  buffer: Buffer,
  bodyStart: number,
  end: number,
): { readonly sqlStart: number; readonly sqlEnd: number } {
  const reader = new BodyReader(buffer, bodyStart, end)
  const sqlEnd = reader.skipCString()
  reader.finish()
  return { sqlStart: bodyStart, sqlEnd }
}

// Extended query: Parse

/** `paramTypes`: OIDs, 0 for "infer". */
export function parse(name: string, sql: string | Buffer, paramTypes: readonly number[] = []): Buffer {
  const out = allocMessage(MSG.parse, cstringBytes(name) + textBytes(sql) + 2 + paramTypes.length * 4)
  let at = writeText(out, sql, writeCString(out, name, HEADER_BYTES))
  at = out.writeUInt16BE(paramTypes.length, at)
  for (const oid of paramTypes) at = out.writeUInt32BE(oid, at)
  return out
}

export interface ParseMessage {
  readonly buffer: Buffer
  readonly name: string
  /** The text is `buffer[sqlStart, sqlEnd)`, its NUL not included. */
  readonly sqlStart: number
  readonly sqlEnd: number
  readonly paramTypes: readonly number[]
  readonly end: number
}

export function parseParse(buffer: Buffer, bodyStart: number, end: number): ParseMessage {
  const reader = new BodyReader(buffer, bodyStart, end)
  const name = reader.cstring()
  const sqlStart = reader.offset
  const sqlEnd = reader.skipCString()
  const n = reader.count(4)
  const paramTypes: number[] = []
  for (let i = 0; i < n; i++) paramTypes.push(reader.uint32())
  reader.finish()
  return { buffer, name, sqlStart, sqlEnd, paramTypes, end }
}

/** The same Parse for another statement name; text and types are copied as they are. */
export function rewriteParseName(message: ParseMessage, name: string): Buffer {
  const out = allocMessage(MSG.parse, cstringBytes(name) + message.end - message.sqlStart)
  message.buffer.copy(out, writeCString(out, name, HEADER_BYTES), message.sqlStart, message.end)
  return out
}

// Extended query: Bind

export interface BindParts {
  readonly portal?: string
  readonly statement?: string
  /** 0 text, 1 binary; none: all text, one: for all. */
  readonly paramFormats?: readonly number[]
  readonly params?: readonly (Buffer | string | null)[]
  readonly resultFormats?: readonly number[]
}

const NONE: readonly never[] = []

export function bind(parts: BindParts): Buffer {
  const { portal = '', statement = '', paramFormats = NONE, params = NONE, resultFormats = NONE } = parts
  let bytes = cstringBytes(portal) + cstringBytes(statement) + 6
  bytes += (paramFormats.length + resultFormats.length) * 2
  for (const param of params) bytes += 4 + (param === null ? 0 : Buffer.byteLength(param))
  const out = allocMessage(MSG.bind, bytes)
  let at = writeCString(out, statement, writeCString(out, portal, HEADER_BYTES))
  at = writeInt16List(out, paramFormats, at)
  at = out.writeUInt16BE(params.length, at)
  for (const param of params) at = writeParam(out, param, at)
  writeInt16List(out, resultFormats, at)
  return out
}

function writeParam(out: Buffer, param: Buffer | string | null, at: number): number {
  if (param === null) return out.writeInt32BE(-1, at)
  const length = typeof param === 'string' ? out.write(param, at + 4) : param.copy(out, at + 4)
  return out.writeInt32BE(length, at) + length
}

function writeInt16List(out: Buffer, values: readonly number[], at: number): number {
  at = out.writeUInt16BE(values.length, at)
  for (const value of values) at = out.writeInt16BE(value, at)
  return at
}

export interface BindMessage {
  readonly buffer: Buffer
  readonly portal: string
  readonly statement: string
  /** Offset after the NUL of the statement name: from here on the message is the same under any names. */
  readonly restStart: number
  readonly paramFormats: readonly number[]
  /** Parameter i is `buffer[paramStarts[i], paramStarts[i] + paramLengths[i])`; length -1: NULL. */
  readonly paramStarts: readonly number[]
  readonly paramLengths: readonly number[]
  readonly resultFormats: readonly number[]
  readonly end: number
}

export function parseBind(buffer: Buffer, bodyStart: number, end: number): BindMessage {
  const reader = new BodyReader(buffer, bodyStart, end)
  const portal = reader.cstring()
  const statement = reader.cstring()
  const restStart = reader.offset
  const paramFormats = reader.int16List()
  const n = reader.count(4)
  if (paramFormats.length > 1 && paramFormats.length !== n) {
    throw malformed(`bind message has ${paramFormats.length} parameter formats but ${n} parameters`)
  }
  const paramStarts: number[] = []
  const paramLengths: number[] = []
  for (let i = 0; i < n; i++) {
    const length = reader.int32()
    paramLengths.push(length)
    paramStarts.push(length === -1 ? reader.offset : reader.skip(length))
  }
  const resultFormats = reader.int16List()
  reader.finish()
  checkFormats(paramFormats)
  checkFormats(resultFormats)
  return { buffer, portal, statement, restStart, paramFormats, paramStarts, paramLengths, resultFormats, end }
}

function checkFormats(formats: readonly number[]): void {
  for (const format of formats) {
    if (format !== 0 && format !== 1) {
      throw new PgError({ code: '22023', message: `unsupported format code: ${format}` })
    }
  }
}

/** Format of parameter `i`: 0 text, 1 binary. */
export function paramFormat(message: BindMessage, i: number): number {
  const formats = message.paramFormats
  return (formats.length === 1 ? formats[0] : formats[i]) ?? 0
}

/** View of parameter `i`; null for NULL. */
export function paramValue(message: BindMessage, i: number): Buffer | null {
  const length = message.paramLengths[i]!
  const start = message.paramStarts[i]!
  return length === -1 ? null : message.buffer.subarray(start, start + length)
}

/** Of a statement without parameters. */
export const NOTHING_BOUND: BindMessage = parseBind(Buffer.alloc(8), 0, 8)

/** A Bind of the same parameters, with `more` as text after them, for rows in these formats. */
export function rebound(
  message: BindMessage,
  parts: { readonly more?: readonly string[] } & Pick<BindParts, 'portal' | 'resultFormats'>,
): BindMessage {
  const { more = [], ...others } = parts
  const numbers = message.paramLengths.map((_, i) => i)
  const made = bind({
    ...others,
    params: [...numbers.map((i) => paramValue(message, i)), ...more],
    paramFormats: [...numbers.map((i) => paramFormat(message, i)), ...more.map(() => 0)],
  })
  return parseBind(made, HEADER_BYTES, made.length)
}

/** The same Bind for another statement (and portal) name; formats and parameters are copied as they are. */
export function rewriteBindStatement(
  message: BindMessage,
  statement: string,
  portal = message.portal,
): Buffer {
  const { buffer, restStart, end } = message
  const out = allocMessage(MSG.bind, cstringBytes(portal) + cstringBytes(statement) + end - restStart)
  const at = writeCString(out, statement, writeCString(out, portal, HEADER_BYTES))
  copyBytes(out, at, buffer, restStart, end)
  return out
}

// Extended query: Describe, Close, Execute

/** `S` a prepared statement, `P` a portal. */
export type Target = 'S' | 'P'

export function describe(target: Target, name: string): Buffer {
  return targetMessage(MSG.describe, target, name)
}

export function close(target: Target, name: string): Buffer {
  return targetMessage(MSG.close, target, name)
}

function targetMessage(type: number, target: Target, name: string): Buffer {
  const out = allocMessage(type, 1 + cstringBytes(name))
  writeCString(out, name, out.writeUInt8(target === 'S' ? 0x53 : 0x50, HEADER_BYTES))
  return out
}

export interface TargetMessage {
  readonly target: Target
  readonly name: string
}

export function parseDescribe(buffer: Buffer, bodyStart: number, end: number): TargetMessage {
  return parseTarget('DESCRIBE', buffer, bodyStart, end)
}

export function parseClose(buffer: Buffer, bodyStart: number, end: number): TargetMessage {
  return parseTarget('CLOSE', buffer, bodyStart, end)
}

function parseTarget(what: string, buffer: Buffer, bodyStart: number, end: number): TargetMessage {
  const reader = new BodyReader(buffer, bodyStart, end)
  const subtype = reader.byte()
  const name = reader.cstring()
  reader.finish()
  if (subtype !== 0x53 && subtype !== 0x50) throw malformed(`invalid ${what} message subtype ${subtype}`)
  return { target: subtype === 0x53 ? 'S' : 'P', name }
}

/** `maxRows` 0: all of them. */
export function execute(portal = '', maxRows = 0): Buffer {
  const out = allocMessage(MSG.execute, cstringBytes(portal) + 4)
  out.writeInt32BE(maxRows, writeCString(out, portal, HEADER_BYTES))
  return out
}

export function parseExecute(
  buffer: Buffer,
  bodyStart: number,
  end: number,
): { readonly portal: string; readonly maxRows: number } {
  const reader = new BodyReader(buffer, bodyStart, end)
  const message = { portal: reader.cstring(), maxRows: reader.int32() }
  reader.finish()
  return message
}

// COPY: CopyData and CopyDone are the same in both directions

export { COPY_DONE, copyData } from './backend-messages.ts'

export function copyFail(reason: string): Buffer {
  return cstringMessage(MSG.copyFail, reason)
}
