import type { StatementRef } from '../../../protocol/agent-link.ts'
import { MSG } from '../../../protocol/wire/frames.ts'
import {
  type BindMessage,
  bind,
  execute,
  type ParseMessage,
  paramFormat,
  paramValue,
  parse,
  parseBind,
  parseParse,
  SYNC,
} from '../../../protocol/wire/frontend-messages.ts'

/** A statement that was sent to a shard, as far as it takes to have it explained. */
export interface Sent {
  readonly sql: string
  /** Messages that explain it, by EXPLAIN with its options; undefined: there is no plan of it, or too much to send again. */
  explaining(words: string): Buffer | undefined
}

const HEADER_BYTES = 5

/** What is run by messages to a shard; undefined: nothing, or no statement about rows. */
export function sentText(payload: Buffer, needs: readonly StatementRef[] | undefined): Sent | undefined {
  let parsed = needs === undefined ? undefined : parsedBy(needs[0]!.parse, 0, needs[0]!.parse.length)
  let bound: BindMessage | undefined
  for (let at = 0; at < payload.length; ) {
    const end = at + 1 + payload.readInt32BE(at + 1)
    const type = payload[at]
    if (type === MSG.query) return simple(payload.toString('utf8', at + HEADER_BYTES, end - 1))
    if (type === MSG.parse) parsed = parsedBy(payload, at, end)
    if (type === MSG.bind) bound = parseBind(payload, at + HEADER_BYTES, end)
    if (type === MSG.execute && parsed !== undefined && bound !== undefined) return extended(parsed, bound)
    at = end
  }
  return undefined
}

const parsedBy = (buffer: Buffer, at: number, end: number): ParseMessage =>
  parseParse(buffer, at + HEADER_BYTES, end)

const OF_ROWS = /^\s*(?:\(|(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE|COPY|DECLARE|FETCH)\b)/i
const PLANNED = /^\s*(?:\(|(?:SELECT|INSERT|UPDATE|DELETE|MERGE|WITH|VALUES|TABLE|DECLARE)\b)/i

function simple(sql: string): Sent | undefined {
  if (!OF_ROWS.test(sql)) return undefined
  return {
    sql,
    explaining: (words) => (PLANNED.test(sql) ? messages(`${words} ${sql}`, [], NOTHING) : undefined),
  }
}

const NOTHING = { params: [], paramFormats: [] }

/** Of what is sent along with it so much is kept. */
const KEPT_BYTES_MAX = 64 * 1024

function extended(
  { buffer, sqlStart, sqlEnd, paramTypes }: ParseMessage,
  bound: BindMessage,
): Sent | undefined {
  const sql = buffer.toString('utf8', sqlStart, sqlEnd)
  if (!OF_ROWS.test(sql)) return undefined
  const formats = bound.paramLengths.map((_, i) => paramFormat(bound, i))
  const params = formats.map((format, i) => shortened(paramValue(bound, i), format))
  const bytes = params.reduce((sum, value) => sum + (value?.length ?? 0), sql.length)
  const isPlanned = PLANNED.test(sql) && bytes <= KEPT_BYTES_MAX
  const explaining = (words: string): Buffer | undefined =>
    isPlanned ? messages(`${words} ${sql}`, paramTypes, { params, paramFormats: formats }) : undefined
  return { sql, explaining }
}

function messages(
  sql: string,
  types: readonly number[],
  { params, paramFormats }: { params: readonly (Buffer | null)[]; paramFormats: readonly number[] },
): Buffer {
  return Buffer.concat([parse('', sql, types), bind({ params, paramFormats }), execute('', 0), SYNC])
}

const SHORT_BYTES = 256
const ARRAY_HEAD_BYTES = 12

/** Arrays of rows stand for none: Postgres does not look at how many there are. */
function shortened(value: Buffer | null, format: number): Buffer | null {
  if (value === null || value.length <= SHORT_BYTES) return value && Buffer.from(value)
  if (format === 0) return value[0] === BRACE ? Buffer.from('{}') : Buffer.from(value)
  const isArray = value.readInt32BE(0) === 1 && value.readUInt32BE(4) <= 1
  if (!isArray) return Buffer.from(value)
  const none = Buffer.from(value.subarray(0, ARRAY_HEAD_BYTES))
  none.writeInt32BE(0, 0)
  none.writeInt32BE(0, 4)
  return none
}

const BRACE = 0x7b
