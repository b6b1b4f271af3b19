/** Byte-level helpers shared by the message builders and decoders of this directory. */
import { PgError } from '../../errors/pg-error.ts'

/** Type byte and length word. The length counts itself but not the type byte. */
export const HEADER_BYTES = 5

/** Allocates a message of `bodyBytes` with its header written; the body starts at `HEADER_BYTES`. */
export function allocMessage(type: number, bodyBytes: number): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + bodyBytes)
  out[0] = type
  const length = bodyBytes + 4
  out[1] = length >>> 24
  out[2] = length >>> 16
  out[3] = length >>> 8
  out[4] = length
  return out
}

export function emptyMessage(type: number): Buffer {
  return allocMessage(type, 0)
}

// Calling into C++ (indexOf, toString, write, copy) costs more than a loop over a few bytes, and names of statements
// and portals are short: the helpers below do those here.
const SHORT_TEXT = 24
const SHORT_READ = 12
const SHORT_COPY = 48

/** Bytes of `text` with its terminating NUL. */
export function cstringBytes(text: string): number {
  if (isShortAscii(text)) return text.length + 1
  // A NUL inside would end the string early and turn the rest into other fields of the message.
  if (text.includes('\0')) throw nulInString()
  return Buffer.byteLength(text) + 1
}

/** Writes `text` and its NUL, answers the offset after it. Callers sized it with `cstringBytes`. */
export function writeCString(out: Buffer, text: string, offset: number): number {
  if (isShortAscii(text)) {
    for (let i = 0; i < text.length; i++) out[offset++] = text.charCodeAt(i)
    out[offset] = 0
    return offset + 1
  }
  const end = offset + out.write(text, offset)
  out[end] = 0
  return end + 1
}

function isShortAscii(text: string): boolean {
  if (text.length > SHORT_TEXT) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0 || code > 0x7f) return false
  }
  return true
}

/** Copies `from[start, end)` to `out` at `offset`, answers the offset after it. */
export function copyBytes(out: Buffer, offset: number, from: Buffer, start: number, end: number): number {
  if (end - start > SHORT_COPY) return offset + from.copy(out, offset, start, end)
  while (start < end) out[offset++] = from[start++]!
  return offset
}

/** As `cstringBytes` and `writeCString`, for a text that may already be bytes (without NUL). */
export function textBytes(text: string | Buffer): number {
  return typeof text === 'string' ? cstringBytes(text) : text.length + 1
}

export function writeText(out: Buffer, text: string | Buffer, offset: number): number {
  if (typeof text === 'string') return writeCString(out, text, offset)
  const end = offset + text.copy(out, offset)
  out[end] = 0
  return end + 1
}

/** A message that is one C string. */
export function cstringMessage(type: number, text: string): Buffer {
  const out = allocMessage(type, cstringBytes(text))
  writeCString(out, text, HEADER_BYTES)
  return out
}

/** A message whose body is `bytes`. */
export function bytesMessage(type: number, bytes: Buffer): Buffer {
  const out = allocMessage(type, bytes.length)
  bytes.copy(out, HEADER_BYTES)
  return out
}

/**
 * The body of a message is malformed, but its frame is whole: Postgres raises an ERROR and goes on with the next
 * message (after skipping to Sync). Only broken framing is FATAL.
 */
export function malformed(message: string): PgError {
  return new PgError({ severity: 'ERROR', code: '08P01', message })
}

function nulInString(): PgError {
  return new PgError({ code: '22021', message: 'invalid byte sequence for encoding "UTF8": 0x00' })
}

/** Reads a message body left to right; never past `end`. The texts are those of Postgres' pqformat.c. */
export class BodyReader {
  readonly buffer: Buffer
  readonly end: number
  offset: number

  constructor(buffer: Buffer, bodyStart: number, end: number) {
    this.buffer = buffer
    this.offset = bodyStart
    this.end = end
  }

  byte(): number {
    if (this.offset >= this.end) throw malformed('no data left in message')
    return this.buffer[this.offset++]!
  }

  int16(): number {
    this.need(2)
    const value = (this.buffer[this.offset]! << 24) | (this.buffer[this.offset + 1]! << 16)
    this.offset += 2
    return value >> 16
  }

  uint16(): number {
    this.need(2)
    const value = (this.buffer[this.offset]! << 8) | this.buffer[this.offset + 1]!
    this.offset += 2
    return value
  }

  int32(): number {
    this.need(4)
    const value = this.buffer.readInt32BE(this.offset)
    this.offset += 4
    return value
  }

  uint32(): number {
    this.need(4)
    const value = this.buffer.readUInt32BE(this.offset)
    this.offset += 4
    return value
  }

  /** Steps over `length` bytes, answers where they start. */
  skip(length: number): number {
    if (length < 0) throw malformed('insufficient data left in message')
    this.need(length)
    const start = this.offset
    this.offset += length
    return start
  }

  /** Steps over a C string, answers the offset of its NUL. */
  skipCString(): number {
    const nul = this.buffer.indexOf(0, this.offset)
    if (nul < 0 || nul >= this.end) throw malformed('invalid string in message')
    this.offset = nul + 1
    return nul
  }

  cstring(): string {
    const start = this.offset
    const limit = Math.min(this.end, start + SHORT_READ)
    let text = ''
    for (let at = start; at < limit; at++) {
      const byte = this.buffer[at]!
      if (byte === 0) {
        this.offset = at + 1
        return text
      }
      if (byte > 0x7f) break
      text += String.fromCharCode(byte)
    }
    return this.buffer.toString('utf8', start, this.skipCString())
  }

  /** A 16-bit count of items of at least `itemBytes` each, refused before anything is allocated for them. */
  count(itemBytes: number): number {
    const n = this.uint16()
    this.need(n * itemBytes)
    return n
  }

  /** A 16-bit count followed by as many 16-bit values. */
  int16List(): number[] {
    const n = this.count(2)
    const values: number[] = []
    for (let i = 0; i < n; i++) values.push(this.int16())
    return values
  }

  finish(): void {
    if (this.offset !== this.end) throw malformed('invalid message format')
  }

  private need(bytes: number): void {
    if (bytes > this.end - this.offset) throw malformed('insufficient data left in message')
  }
}
