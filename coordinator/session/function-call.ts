/**
 * FunctionCall messages, by which libpq (`lo_import()`, psql's \lo_ commands) and pgjdbc work with large objects. Those are
 * on the home shard: the call runs there as a SELECT of it, in the session's transaction.
 */
import { weftError } from '../../errors/catalog.ts'
import { ANY_MAP_VERSION } from '../../protocol/agent-link.ts'
import { BodyReader, HEADER_BYTES } from '../../protocol/wire/bytes.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import { bind, describe, execute, parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { HOME } from '../execute/context.ts'
import { Collector } from '../execute/shards/replies.ts'
import { endOfWrite, sendPayload, settle } from '../execute/shards/send.ts'
import { FUNCTION_CALL } from './client-messages.ts'
import type { ClientSession } from './client-session.ts'

const INT4 = 23
const INT8 = 20
const OID = 26
const BYTEA = 17

/** By their numbers, which are the same on every server: name, types of the arguments. */
const LARGE_OBJECTS: ReadonlyMap<number, readonly [name: string, ...types: number[]]> = new Map([
  [952, ['lo_open', OID, INT4]],
  [953, ['lo_close', INT4]],
  [954, ['loread', INT4, INT4]],
  [955, ['lowrite', INT4, BYTEA]],
  [956, ['lo_lseek', INT4, INT4, INT4]],
  [3170, ['lo_lseek64', INT4, INT8, INT4]],
  [957, ['lo_creat', INT4]],
  [715, ['lo_create', OID]],
  [958, ['lo_tell', INT4]],
  [3171, ['lo_tell64', INT4]],
  [1004, ['lo_truncate', INT4, INT4]],
  [3172, ['lo_truncate64', INT4, INT8]],
  [964, ['lo_unlink', OID]],
])

interface FunctionCall {
  readonly oid: number
  readonly formats: readonly number[]
  readonly args: readonly (Buffer | null)[]
  readonly resultFormat: number
}

function parseFunctionCall(frame: Buffer): FunctionCall {
  const reader = new BodyReader(frame, HEADER_BYTES, frame.length)
  const oid = reader.uint32()
  const formats = reader.int16List()
  const args = Array.from({ length: reader.count(4) }, () => {
    const length = reader.int32()
    if (length === -1) return null
    const start = reader.skip(length)
    return frame.subarray(start, start + length)
  })
  const resultFormat = reader.int16()
  reader.finish()
  return { oid, formats, args, resultFormat }
}

/** Answers it, but for ReadyForQuery; rejects with the client's error. */
export async function runFunctionCall(session: ClientSession, frame: Buffer): Promise<void> {
  const { oid, formats, args, resultFormat } = parseFunctionCall(frame)
  if (session.tx.failed) throw weftError('in_failed_transaction', {})
  const [name, ...types] = LARGE_OBJECTS.get(oid) ?? []
  if (name === undefined) throw FUNCTION_CALL
  if (types.length !== args.length) {
    const what = `function call message contains ${args.length} arguments but function requires ${types.length}`
    throw weftError('protocol_violation', { what })
  }
  await session.admit()
  session.planVersion = ANY_MAP_VERSION
  const line = session.line(HOME)
  const payload = Buffer.concat([
    parse('', `SELECT pg_catalog.${name}(${types.map((_, i) => `$${i + 1}`).join(', ')})`, types),
    bind({ params: args, paramFormats: formats, resultFormats: [resultFormat] }),
    describe('P', ''),
    execute('', 0),
    SYNC,
  ])
  const collector = new Collector()
  sendPayload(session, line, payload, { writes: true }, collector)
  const { rows, asides } = settle(session, line, await endOfWrite(session, line, collector.ended))
  for (const aside of asides) session.out.aside(aside)
  session.out.push(functionCallResponse(rows[0]?.[0] ?? null))
}

function functionCallResponse(value: Buffer | null): Buffer {
  const out = Buffer.alloc(HEADER_BYTES + 4)
  out[0] = MSG.functionCallResponse
  out.writeInt32BE(8 + (value?.length ?? 0), 1)
  out.writeInt32BE(value?.length ?? -1, HEADER_BYTES)
  return value === null ? out : Buffer.concat([out, value])
}
