/**
 * A text that the parser does not take. libpg-query tells message and position; HINT and DETAIL, and what differs between
 * versions of Postgres, are known to Postgres: the home shard is given the text to parse, which never runs any of it.
 */
import type { PgError } from '../../errors/pg-error.ts'
import { ANY_MAP_VERSION } from '../../protocol/agent-link.ts'
import { parse, SYNC } from '../../protocol/wire/frontend-messages.ts'
import { ParserError } from '../../sql/parse/parse.ts'
import { HOME } from '../execute/context.ts'
import { Collector } from '../execute/shards/replies.ts'
import { sendPayload } from '../execute/shards/send.ts'
import type { ClientSession } from './client-session.ts'

/** Of a longer one nobody wants to see where it is wrong twice. */
const TEXT_LENGTH_MAX = 1 << 20

/** Any other error, and one that Postgres does not see, as it is. */
export async function asPostgresTells(session: ClientSession, error: unknown): Promise<unknown> {
  if (!(error instanceof ParserError) || error.text.length > TEXT_LENGTH_MAX) return error
  const told = await postgresOf(session, error.text).catch(() => undefined)
  return told !== undefined && isSame(told, error) ? told : error
}

async function postgresOf(session: ClientSession, text: string): Promise<PgError | undefined> {
  const collector = new Collector()
  session.planVersion = ANY_MAP_VERSION
  const payload = Buffer.concat([parse('', text), SYNC])
  sendPayload(session, session.line(HOME), payload, { writes: false, joins: false, looks: false }, collector)
  return (await collector.ended).error
}

/** Not what Postgres says of a text that its version takes: that there are several statements, or no such table. */
function isSame(told: PgError, { fields }: ParserError): boolean {
  if (told.message === fields.message) return true
  return (
    told.code === fields.code && told.fields.position === fields.position && fields.position !== undefined
  )
}
