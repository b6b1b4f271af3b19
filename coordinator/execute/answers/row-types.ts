import type { ColumnDescription } from '../../../protocol/wire/backend-messages.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import { FIRST_USER_OID } from '../../../sql/catalog.ts'

/** What a line's shard calls types and relations, in the home shard's numbers. */
export interface LineNumbers {
  of(shard: number): ReadonlyMap<number, number> | undefined
  /** The other way round: by the home shard's number. */
  there(shard: number): ReadonlyMap<number, number> | undefined
  missed(): void
}

const HEADER_BYTES = 5

/** Puts the home shard's numbers into a whole RowDescription at `start`, in place. */
export function translateRowDescription(
  buffer: Buffer,
  start: number,
  numbers: ReadonlyMap<number, number>,
  missed: () => void,
): void {
  const count = buffer.readInt16BE(start + HEADER_BYTES)
  let at = start + HEADER_BYTES + 2
  for (let i = 0; i < count; i++) {
    at = buffer.indexOf(0, at) + 1
    translate(buffer, at, numbers, missed)
    translate(buffer, at + 6, numbers, missed)
    at += 18
  }
}

/** What a Bind asked for: the formats of all columns, of each, or none for text. In place. */
export function setFormats(buffer: Buffer, start: number, formats: readonly number[]): void {
  if (formats.length === 0) return
  const count = buffer.readInt16BE(start + HEADER_BYTES)
  let at = start + HEADER_BYTES + 2
  for (let i = 0; i < count; i++) {
    at = buffer.indexOf(0, at) + 1
    buffer.writeInt16BE(formats[formats.length === 1 ? 0 : i] ?? 0, at + 16)
    at += 18
  }
}

/** Says of a result's columns which tables' they are, where the backend that has it no longer knows. In place. */
export function setOrigins(buffer: Buffer, start: number, origins: readonly ColumnDescription[]): void {
  let at = start + HEADER_BYTES + 2
  for (const { tableOid, attnum } of origins) {
    at = buffer.indexOf(0, at) + 1
    buffer.writeUInt32BE(tableOid, at)
    buffer.writeInt16BE(attnum, at + 4)
    at += 18
  }
}

function translate(
  buffer: Buffer,
  at: number,
  numbers: ReadonlyMap<number, number>,
  missed: () => void,
): void {
  const oid = buffer.readUInt32BE(at)
  if (oid < FIRST_USER_OID) return
  const home = numbers.get(oid)
  if (home === undefined) missed()
  else buffer.writeUInt32BE(home, at)
}

/** Messages that come ahead of a RowDescription; after any other there is none. */
const AHEAD: ReadonlySet<number> = new Set([
  MSG.parseComplete,
  MSG.bindComplete,
  MSG.closeComplete,
  MSG.noticeResponse,
  MSG.parameterStatus,
])

/** Translates the RowDescription of one exec in chunks that are cut anywhere; one that is cut is held until it is whole. */
export class RowTypesStream {
  private numbers: ReadonlyMap<number, number> | undefined
  private missed: () => void = () => {}
  private held: Buffer | undefined

  /** An exec begins. `numbers`: undefined when there is nothing to translate. */
  begin(numbers: ReadonlyMap<number, number> | undefined, missed: () => void): void {
    this.numbers = numbers
    this.missed = missed
    this.held = undefined
  }

  /** What to pass on of it; empty while a message is held. `isLast`: no more will come. */
  pass(chunk: Buffer, isLast: boolean): Buffer {
    const { numbers } = this
    if (numbers === undefined) return chunk
    const buffer = this.held === undefined ? chunk : Buffer.concat([this.held, chunk])
    this.held = undefined
    let at = 0
    while (at + HEADER_BYTES <= buffer.length) {
      const type = buffer[at]!
      const end = at + 1 + buffer.readInt32BE(at + 1)
      if (type !== MSG.rowDescription && !AHEAD.has(type)) return this.over(buffer)
      if (end > buffer.length) break
      if (type === MSG.rowDescription) {
        translateRowDescription(buffer, at, numbers, this.missed)
        return this.over(buffer)
      }
      at = end
    }
    if (isLast || at === buffer.length) return buffer
    this.held = buffer.subarray(at)
    return buffer.subarray(0, at)
  }

  private over(buffer: Buffer): Buffer {
    this.numbers = undefined
    return buffer
  }
}
