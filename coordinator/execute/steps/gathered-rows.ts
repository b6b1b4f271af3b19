import { weftError } from '../../../errors/catalog.ts'
import type { PgError } from '../../../errors/pg-error.ts'
import type { Refused } from '../../../errors/refusals/refusals.ts'
import { type GatherInput, UNSAFE_ROW } from '../../../sql/plan/gather/gather-plan.ts'
import type { MemoryAccount } from '../../memory/memory-budget.ts'

const CELL_BYTES = 4
const FIRST_BYTES = 4096

/** Rows of a statement's inputs as they come from the shards, kept as the arrays that they are sent on as. */
export class GatheredRows {
  /** Why no more is taken. */
  refusal: PgError | undefined
  private readonly inputs: readonly GatherInput[]
  private readonly columns: readonly (readonly ArrayParam[])[]
  private readonly account: MemoryAccount
  private readonly bytesMax: number
  private readonly beside: number

  /** `bytesMax`: what `weft.max_gathered` allows, of which others have `beside`. */
  constructor(inputs: readonly GatherInput[], account: MemoryAccount, bytesMax: number, beside = 0) {
    this.beside = beside
    this.inputs = inputs
    this.account = account
    this.bytesMax = bytesMax
    this.columns = inputs.map((input) => input.columns.map(({ elementOid }) => new ArrayParam(elementOid)))
  }

  get bytes(): number {
    return this.account.bytes
  }

  /** A DataRow's body; `shard`: where it came from. */
  take(buffer: Buffer, bodyStart: number, shard: number): void {
    if (this.refusal !== undefined) return
    const numberAt = bodyStart + 2 + CELL_BYTES
    const input = buffer.readInt32BE(numberAt)
    if (input === UNSAFE_ROW) {
      this.refusal = weftError('not_supported', UNSAFE)
      return
    }
    let at = numberAt + 4
    let grown = 0
    let next = 0
    const columns = this.columns[input]!
    const { slots, tellsShard } = this.inputs[input]!
    for (const [i, column] of columns.entries()) {
      if (tellsShard === true && i === columns.length - 1) {
        grown += column.push(shardCell(shard), 0, SHARD_CELL.length)
        break
      }
      // Those between are NULL.
      at += (slots[i]! - next) * CELL_BYTES
      next = slots[i]! + 1
      const end = at + CELL_BYTES + Math.max(0, buffer.readInt32BE(at))
      grown += column.push(buffer, at, end)
      at = end
    }
    if (grown > 0) this.pay(grown, input)
  }

  private pay(bytes: number, input: number): void {
    this.refusal = this.account.offer(bytes)
    if (this.account.bytes + this.beside > this.bytesMax)
      this.refusal = weftError('gathers_too_much', {
        table: this.inputs[input]!.table,
        key: this.inputs[input]!.key,
        max: this.bytesMax,
      })
  }

  /** Array parameters, in binary, of all columns of some inputs; by default of all. */
  params(from = 0, to = this.columns.length): Buffer[] {
    return this.columns.slice(from, to).flatMap((columns) => columns.map((column) => column.value()))
  }

  /** The same as string constants of SQL, of columns that came as text. */
  texts(): Buffer[] {
    return this.columns.flatMap((columns) => columns.map((column) => column.literal()))
  }

  /** They are not needed any more. */
  release(): void {
    this.account.set(0)
  }
}

const SHARD_CELL = Buffer.alloc(2 * CELL_BYTES)
SHARD_CELL.writeInt32BE(CELL_BYTES, 0)

/** Until the next one is made. */
function shardCell(shard: number): Buffer {
  SHARD_CELL.writeInt32BE(shard, CELL_BYTES)
  return SHARD_CELL
}

export const UNSAFE: Refused = {
  id: 'inexact_text',
  what:
    'gathering an array, a domain or a type of your own from several shards, ' +
    'with settings by which its text may lose something, is not supported',
  hint: "SET extra_float_digits = 1, DateStyle = 'ISO' and IntervalStyle = 'postgres'.",
}

const HEADER_BYTES = 20

/** A one-dimensional array in Postgres' binary form, whose elements look just as a DataRow's cells do. */
class ArrayParam {
  private readonly elementOid: number
  private data = Buffer.allocUnsafeSlow(0)
  private used = HEADER_BYTES
  private count = 0
  private hasNull = false

  constructor(elementOid: number) {
    this.elementOid = elementOid
  }

  /** Adds a cell; answers how many bytes more than before are kept for it. */
  push(buffer: Buffer, start: number, end: number): number {
    const before = this.data.length
    const needed = this.used + end - start
    if (needed > before) this.grow(Math.max(needed, before * 2, FIRST_BYTES))
    buffer.copy(this.data, this.used, start, end)
    this.used = needed
    this.count++
    if (end - start === CELL_BYTES && buffer.readInt32BE(start) < 0) this.hasNull = true
    return this.data.length - before
  }

  private grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(bytes)
    this.data.copy(larger, 0, 0, this.used)
    this.data = larger
  }

  value(): Buffer {
    const isEmpty = this.count === 0
    const bytes = isEmpty ? Buffer.alloc(12) : this.data.subarray(0, this.used)
    bytes.writeInt32BE(isEmpty ? 0 : 1, 0)
    bytes.writeInt32BE(this.hasNull ? 1 : 0, 4)
    bytes.writeUInt32BE(this.elementOid, 8)
    if (isEmpty) return bytes
    bytes.writeInt32BE(this.count, 12)
    bytes.writeInt32BE(1, 16)
    return bytes
  }

  /** `E'{"a","b\\\\c",NULL}'`: quoted for the array's form, and that for SQL's. */
  literal(): Buffer {
    const parts: Buffer[] = [Buffer.from("E'{")]
    for (let at = HEADER_BYTES; at < this.used; ) {
      const length = this.data.readInt32BE(at)
      at += CELL_BYTES
      if (parts.length > 1) parts.push(COMMA)
      parts.push(length < 0 ? NULL : quotedElement(this.data.subarray(at, at + length)))
      at += Math.max(0, length)
    }
    parts.push(Buffer.from("}'"))
    return Buffer.concat(parts)
  }
}

const COMMA = Buffer.from(',')
const NULL = Buffer.from('NULL')

function quotedElement(text: Buffer): Buffer {
  const isPlain = !text.includes(BACKSLASH) && !text.includes(QUOTE) && !text.includes(DOUBLE_QUOTE)
  if (isPlain) return Buffer.concat([Buffer.from('"'), text, Buffer.from('"')])
  const inArray = text.toString('utf8').replace(/[\\"]/g, '\\$&')
  return Buffer.from(`"${inArray.replaceAll('\\', '\\\\').replaceAll("'", "''")}"`)
}

const BACKSLASH = 0x5c
const QUOTE = 0x27
const DOUBLE_QUOTE = 0x22
