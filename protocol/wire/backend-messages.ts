/** Messages a server sends: builders (values to bytes) and the decoders that the coordinator needs. */
import type { PgErrorFields } from '../../errors/pg-error.ts'
import {
  allocMessage,
  BodyReader,
  bytesMessage,
  cstringBytes,
  cstringMessage,
  emptyMessage,
  HEADER_BYTES,
  textBytes,
  writeCString,
  writeText,
} from './bytes.ts'
import { MSG, STATUS } from './frames.ts'

// Messages that never differ are shared; nobody may write into them.
export const PARSE_COMPLETE = emptyMessage(MSG.parseComplete)
export const BIND_COMPLETE = emptyMessage(MSG.bindComplete)
export const CLOSE_COMPLETE = emptyMessage(MSG.closeComplete)
export const NO_DATA = emptyMessage(MSG.noData)
export const PORTAL_SUSPENDED = emptyMessage(MSG.portalSuspended)
export const EMPTY_QUERY_RESPONSE = emptyMessage(MSG.emptyQueryResponse)
export const COPY_DONE = emptyMessage(MSG.copyDone)
export const READY_IDLE = bytesMessage(MSG.readyForQuery, Buffer.of(STATUS.idle))
export const READY_IN_TRANSACTION = bytesMessage(MSG.readyForQuery, Buffer.of(STATUS.inTransaction))
export const READY_FAILED = bytesMessage(MSG.readyForQuery, Buffer.of(STATUS.failed))

/** The shared ReadyForQuery for a status byte of `STATUS`. */
export function readyForQuery(status: number): Buffer {
  if (status === STATUS.idle) return READY_IDLE
  return status === STATUS.inTransaction ? READY_IN_TRANSACTION : READY_FAILED
}

// Authentication

/** Request codes inside the Authentication message. */
export const AUTH = {
  ok: 0,
  cleartextPassword: 3,
  md5Password: 5,
  sasl: 10,
  saslContinue: 11,
  saslFinal: 12,
} as const

function authentication(code: number, data: Buffer): Buffer {
  const out = allocMessage(MSG.authentication, 4 + data.length)
  out.writeInt32BE(code, HEADER_BYTES)
  data.copy(out, HEADER_BYTES + 4)
  return out
}

export const AUTHENTICATION_OK = authentication(AUTH.ok, Buffer.alloc(0))

export function authenticationSasl(mechanisms: readonly string[]): Buffer {
  return authentication(AUTH.sasl, Buffer.from(`${mechanisms.map((m) => `${m}\0`).join('')}\0`))
}

export function authenticationSaslContinue(data: string): Buffer {
  return authentication(AUTH.saslContinue, Buffer.from(data))
}

export function authenticationSaslFinal(data: string): Buffer {
  return authentication(AUTH.saslFinal, Buffer.from(data))
}

/** `secret` has four bytes: protocol 3.0. */
export function backendKeyData(pid: number, secret: Buffer): Buffer {
  const out = allocMessage(MSG.backendKeyData, 4 + secret.length)
  out.writeInt32BE(pid, HEADER_BYTES)
  secret.copy(out, HEADER_BYTES + 4)
  return out
}

/** Answers a client that asked for a newer minor version than 3.0 or for `_pq_.` options, all of them unknown here. */
export function negotiateProtocolVersion(version: number, unknownOptions: readonly string[]): Buffer {
  const options = unknownOptions.map((o) => `${o}\0`).join('')
  const out = allocMessage(MSG.negotiateProtocolVersion, 8 + Buffer.byteLength(options))
  out.writeInt32BE(version, HEADER_BYTES)
  out.writeInt32BE(unknownOptions.length, HEADER_BYTES + 4)
  out.write(options, HEADER_BYTES + 8)
  return out
}

export function parameterStatus(name: string, value: string): Buffer {
  const out = allocMessage(MSG.parameterStatus, cstringBytes(name) + cstringBytes(value))
  writeCString(out, value, writeCString(out, name, HEADER_BYTES))
  return out
}

// Errors and notices

/** Every field of an ErrorResponse or NoticeResponse, also those that `PgErrorFields` has no name for. */
export interface WireErrorFields extends PgErrorFields {
  /** Field V: the severity, never localized. */
  readonly severityRaw?: string | undefined
  readonly internalPosition?: string | undefined
  readonly internalQuery?: string | undefined
  readonly file?: string | undefined
  readonly line?: string | undefined
  readonly routine?: string | undefined
  /** Fields of a later protocol, by type byte. */
  readonly others?: readonly (readonly [number, string])[]
}

/** Field type byte and name, in the order in which Postgres sends them. */
const ERROR_FIELDS: readonly (readonly [number, keyof WireErrorFields])[] = [
  [0x53, 'severity'], // S
  [0x56, 'severityRaw'], // V
  [0x43, 'code'], // C
  [0x4d, 'message'], // M
  [0x44, 'detail'], // D
  [0x48, 'hint'], // H
  [0x50, 'position'], // P
  [0x70, 'internalPosition'], // p
  [0x71, 'internalQuery'], // q
  [0x57, 'where'], // W
  [0x73, 'schema'], // s
  [0x74, 'table'], // t
  [0x63, 'column'], // c
  [0x64, 'dataType'], // d
  [0x6e, 'constraint'], // n
  [0x46, 'file'], // F
  [0x4c, 'line'], // L
  [0x52, 'routine'], // R
]
const ERROR_FIELD_NAMES = new Map(ERROR_FIELDS)

export function errorResponse(fields: WireErrorFields): Buffer {
  return errorOrNotice(MSG.errorResponse, fields, 'ERROR')
}

export function noticeResponse(fields: WireErrorFields): Buffer {
  return errorOrNotice(MSG.noticeResponse, fields, 'NOTICE')
}

function errorOrNotice(type: number, fields: WireErrorFields, defaultSeverity: string): Buffer {
  const severity = fields.severity ?? defaultSeverity
  const complete: WireErrorFields = { ...fields, severity, severityRaw: fields.severityRaw ?? severity }
  let body = ''
  for (const [code, name] of ERROR_FIELDS) {
    const value = complete[name]
    if (value !== undefined) body += errorField(code, String(value))
  }
  for (const [code, value] of fields.others ?? []) body += errorField(code, value)
  return cstringListMessage(type, body)
}

/** A text of ours may quote what a client sent, NUL bytes included: left out, they would end the field early. */
function errorField(code: number, value: string): string {
  return `${String.fromCharCode(code)}${value.replaceAll('\0', '')}\0`
}

function cstringListMessage(type: number, body: string): Buffer {
  const out = allocMessage(type, Buffer.byteLength(body) + 1)
  out[HEADER_BYTES + out.write(body, HEADER_BYTES)] = 0
  return out
}

/** The fields of an ErrorResponse or NoticeResponse; `errorResponse` of them gives the same message again. */
export function parseErrorFields(buffer: Buffer, bodyStart: number, end: number): WireErrorFields {
  const reader = new BodyReader(buffer, bodyStart, end)
  const fields: Record<string, string | number> = {}
  const others: (readonly [number, string])[] = []
  for (let code = reader.byte(); code !== 0; code = reader.byte()) {
    const value = reader.cstring()
    const name = ERROR_FIELD_NAMES.get(code)
    if (name === undefined) others.push([code, value])
    else fields[name] = name === 'position' ? Number(value) : value
  }
  reader.finish()
  const found = { ...fields, code: String(fields.code ?? 'XX000'), message: String(fields.message ?? '') }
  return others.length === 0 ? found : { ...found, others }
}

// Results

export function commandComplete(tag: string): Buffer {
  return cstringMessage(MSG.commandComplete, tag)
}

export interface CommandTag {
  /** The whole tag: `INSERT 0 5`. */
  readonly text: string
  /** Without its numbers: `INSERT`, `CREATE TABLE`. */
  readonly tag: string
  /** Rows, or null when the command counts none. */
  readonly count: number | null
}

export function parseCommandTag(buffer: Buffer, bodyStart: number, end: number): CommandTag {
  const reader = new BodyReader(buffer, bodyStart, end)
  const text = reader.cstring()
  reader.finish()
  const match = /^(.*?)(?: \d+)? (\d+)$/.exec(text)
  return match ? { text, tag: match[1]!, count: Number(match[2]) } : { text, tag: text, count: null }
}

export interface ColumnDescription {
  readonly name: string
  /** 0 when the column isn't one of a table. */
  readonly tableOid: number
  readonly attnum: number
  readonly typeOid: number
  readonly typlen: number
  readonly typmod: number
  /** 0 text, 1 binary; 0 when not known yet (answer to Describe of a statement). */
  readonly format: number
}

/** Everything of a column's description but its name. */
const COLUMN_FIXED_BYTES = 18

export function rowDescription(columns: readonly ColumnDescription[]): Buffer {
  let bytes = 2
  for (const column of columns) bytes += cstringBytes(column.name) + COLUMN_FIXED_BYTES
  const out = allocMessage(MSG.rowDescription, bytes)
  let at = out.writeUInt16BE(columns.length, HEADER_BYTES)
  for (const column of columns) {
    at = writeCString(out, column.name, at)
    at = out.writeUInt32BE(column.tableOid, at)
    at = out.writeInt16BE(column.attnum, at)
    at = out.writeUInt32BE(column.typeOid, at)
    at = out.writeInt16BE(column.typlen, at)
    at = out.writeInt32BE(column.typmod, at)
    at = out.writeInt16BE(column.format, at)
  }
  return out
}

export function parseRowDescription(buffer: Buffer, bodyStart: number, end: number): ColumnDescription[] {
  const reader = new BodyReader(buffer, bodyStart, end)
  const n = reader.count(COLUMN_FIXED_BYTES + 1)
  const columns: ColumnDescription[] = []
  for (let i = 0; i < n; i++) {
    columns.push({
      name: reader.cstring(),
      tableOid: reader.uint32(),
      attnum: reader.int16(),
      typeOid: reader.uint32(),
      typlen: reader.int16(),
      typmod: reader.int32(),
      format: reader.int16(),
    })
  }
  reader.finish()
  return columns
}

export function dataRow(values: readonly (Buffer | string | null)[]): Buffer {
  let bytes = 2
  for (const value of values) bytes += 4 + (value === null ? 0 : Buffer.byteLength(value))
  const out = allocMessage(MSG.dataRow, bytes)
  let at = out.writeUInt16BE(values.length, HEADER_BYTES)
  for (const value of values) {
    if (value === null) at = out.writeInt32BE(-1, at)
    else {
      const length = typeof value === 'string' ? out.write(value, at + 4) : value.copy(out, at + 4)
      at = out.writeInt32BE(length, at) + length
    }
  }
  return out
}

/** Of so many values that are cells already, each behind its length, in one piece or in several. */
export function dataRowOfCells(count: number, pieces: readonly Buffer[]): Buffer {
  const bytes = pieces.reduce((sum, { length }) => sum + length, 2)
  const out = allocMessage(MSG.dataRow, bytes)
  let at = out.writeUInt16BE(count, HEADER_BYTES)
  for (const piece of pieces) at += piece.copy(out, at)
  return out
}

/** Views of the column values, null for NULL. */
export function parseDataRow(buffer: Buffer, bodyStart: number, end: number): (Buffer | null)[] {
  const reader = new BodyReader(buffer, bodyStart, end)
  const n = reader.count(4)
  const values: (Buffer | null)[] = []
  for (let i = 0; i < n; i++) {
    const length = reader.int32()
    if (length === -1) values.push(null)
    else {
      const start = reader.skip(length)
      values.push(buffer.subarray(start, start + length))
    }
  }
  reader.finish()
  return values
}

export function parameterDescription(typeOids: readonly number[]): Buffer {
  const out = allocMessage(MSG.parameterDescription, 2 + typeOids.length * 4)
  let at = out.writeUInt16BE(typeOids.length & 0xffff, HEADER_BYTES)
  for (const oid of typeOids) at = out.writeUInt32BE(oid, at)
  return out
}

/** Statements may have more parameters than the field that counts them can say. */
export function parseParameterDescription(buffer: Buffer, bodyStart: number, end: number): number[] {
  const reader = new BodyReader(buffer, bodyStart, end)
  const n = reader.uint16() + 0x10000 * ((end - bodyStart - 2) >>> 18)
  const oids: number[] = []
  for (let i = 0; i < n; i++) oids.push(reader.uint32())
  reader.finish()
  return oids
}

export function parseParameterStatus(
  buffer: Buffer,
  bodyStart: number,
  end: number,
): { readonly name: string; readonly value: string } {
  const reader = new BodyReader(buffer, bodyStart, end)
  const status = { name: reader.cstring(), value: reader.cstring() }
  reader.finish()
  return status
}

// COPY and notifications

export interface CopyFormat {
  /** 0 text, 1 binary. */
  readonly format: number
  readonly columnFormats: readonly number[]
}

export function copyInResponse(copy: CopyFormat): Buffer {
  return copyResponse(MSG.copyInResponse, copy)
}

export function copyOutResponse(copy: CopyFormat): Buffer {
  return copyResponse(MSG.copyOutResponse, copy)
}

function copyResponse(type: number, copy: CopyFormat): Buffer {
  const out = allocMessage(type, 3 + copy.columnFormats.length * 2)
  let at = out.writeUInt8(copy.format, HEADER_BYTES)
  at = out.writeUInt16BE(copy.columnFormats.length, at)
  for (const format of copy.columnFormats) at = out.writeInt16BE(format, at)
  return out
}

/** CopyInResponse, CopyOutResponse. */
export function parseCopyResponse(buffer: Buffer, bodyStart: number, end: number): CopyFormat {
  const reader = new BodyReader(buffer, bodyStart, end)
  const copy = { format: reader.byte(), columnFormats: reader.int16List() }
  reader.finish()
  return copy
}

export function copyData(bytes: Buffer | string): Buffer {
  return bytesMessage(MSG.copyData, typeof bytes === 'string' ? Buffer.from(bytes) : bytes)
}

export function notificationResponse(pid: number, channel: string, payload: string): Buffer {
  const out = allocMessage(MSG.notificationResponse, 4 + textBytes(channel) + textBytes(payload))
  writeText(out, payload, writeText(out, channel, out.writeInt32BE(pid, HEADER_BYTES)))
  return out
}
