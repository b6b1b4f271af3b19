import { PgError } from '../../errors/pg-error.ts'
import { parseErrorFields } from '../../protocol/wire/backend-messages.ts'

const HEADER_BYTES = 5

/** The FATAL ErrorResponse with which a backend ends. A server that goes away does not say which one it is. */
export function fatalError(chunk: Buffer, start: number, end: number, shard: number): PgError {
  const fields = parseErrorFields(chunk, start + HEADER_BYTES, end)
  const isServers = fields.code.startsWith('57P') && fields.detail === undefined
  return new PgError(isServers ? { ...fields, detail: `It was a connection to shard ${shard}.` } : fields)
}
