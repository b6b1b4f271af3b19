/** Byte-level helpers shared by the message builders and decoders of this directory. */
import { PgError } from '../../errors/pg-error.ts'

/** Type byte and length word. The length counts itself but not the type byte. */
export const HEADER_BYTES = 5

/** Allocates a message of `bodyBytes` with its header written; the body starts at `HEADER_BYTES`. */
export function allocMessage(type: number, bodyBytes: number): Buffer {
  const out = Buffer.allocUnsafe(HEADER_BYTES + bodyBytes)
  out[0] = type
  out.writeInt32BE(bodyBytes + 4, 1)
  return out
}

export function emptyMessage(type: number): Buffer {
  return allocMessage(type, 0)
}

/** Bytes of `text` with its terminating NUL. */
export function cstringBytes(text: string): number {
  // A NUL inside would end the string early and turn the rest into other fields of the message.
  if (text.includes('\0')) throw nulInString()
  return Buffer.byteLength(text) + 1
}

/** Writes `text` and its NUL, answers the offset after it. Callers sized it with `cstringBytes`. */
export function writeCString(out: Buffer, text: string, offset: number): number {
  const end = offset + out.write(text, offset)
  out[end] = 0
  return end + 1
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
    const value = this.buffer.readInt16BE(this.offset)
    this.offset += 2
    return value
  }

  uint16(): number {
    this.need(2)
    const value = this.buffer.readUInt16BE(this.offset)
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
