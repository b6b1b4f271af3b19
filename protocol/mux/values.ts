/** Values inside frame bodies. */
import { PgError, type PgErrorFields } from '../../errors/pg-error.ts'
import { BodyReader } from '../wire/bytes.ts'
import { muxViolation } from './frame-kinds.ts'

export type JsonObject = { readonly [name: string]: unknown }

/** Reads a frame's body; never past its end. */
export class FrameBody extends BodyReader {
  u64(): bigint {
    return (BigInt(this.uint32()) << 32n) | BigInt(this.uint32())
  }

  text(): string {
    const length = this.uint32()
    const start = this.skip(length)
    return this.buffer.toString('utf8', start, start + length)
  }

  flag(): boolean {
    const byte = this.byte()
    if (byte > 1) throw muxViolation('a flag that is neither 0 nor 1')
    return byte === 1
  }

  /** Everything not read yet. */
  rest(): Buffer {
    const { buffer, offset, end } = this
    this.offset = end
    return offset === 0 && end === buffer.length ? buffer : buffer.subarray(offset, end)
  }

  /** The rest as an object. */
  json(): JsonObject {
    let value: unknown
    try {
      value = JSON.parse(this.rest().toString())
    } catch {
      throw muxViolation('a body that is not JSON')
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw muxViolation('a body that is no object')
    }
    return value as JsonObject
  }
}

export function jsonBytes(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** Every field goes along by name, those too that Postgres may add one day. */
export function errorBytes(error: PgError): Buffer {
  return jsonBytes(error.fields)
}

/** The error that is the rest of `body`. */
export function errorOf(body: FrameBody): PgError {
  const fields = body.json()
  if (typeof fields.code !== 'string' || typeof fields.message !== 'string') {
    throw muxViolation('an error without code or message')
  }
  return new PgError(fields as unknown as PgErrorFields)
}
