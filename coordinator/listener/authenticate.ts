/** Decides whether a client is who it says, by trust or by SCRAM-SHA-256, with Postgres' own errors. */
import { randomBytes } from 'node:crypto'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { SCRAM_SHA_256, SCRAM_SHA_256_PLUS } from '../../protocol/scram/scram-messages.ts'
import { ScramServer } from '../../protocol/scram/scram-server.ts'
import { mockVerifier, parseVerifier, type ScramKeys } from '../../protocol/scram/verifier.ts'
import {
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from '../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../protocol/wire/frames.ts'
import { parseSaslInitialResponse } from '../../protocol/wire/frontend-messages.ts'
import type { ClientConnection } from './client-connection.ts'

/** Postgres' PG_MAX_SASL_MESSAGE_LENGTH is 1024; the mechanism's name comes on top. */
const SASL_BYTES_MAX = 2048
/** As long as Postgres' own (SCRAM_RAW_NONCE_LEN). */
const NONCE_BYTES = 18

export interface RoleLogin {
  readonly exists: boolean
  /** `rolpassword`; anything but a SCRAM verifier counts as none. */
  readonly verifier?: string | undefined
  readonly canLogin: boolean
  readonly validUntil?: Date | undefined
}

export interface AuthOptions {
  readonly user: string
  readonly method: 'trust' | 'scram-sha-256'
  readonly lookupVerifier: (user: string) => Promise<RoleLogin>
  /** Certificate hash for channel binding; undefined without TLS. */
  readonly serverEndPoint: Buffer | undefined
  readonly mockSecret: Buffer
  readonly nowMs: number
}

export interface AuthResult {
  /** After SCRAM: enough to log in to the shards as this role. */
  readonly scram?: ScramKeys
  readonly remainder: Buffer
}

/** Sends everything up to, but not including, AuthenticationOk. `received` is what came after the startup packet. */
export async function authenticate(
  connection: ClientConnection,
  received: Buffer,
  options: AuthOptions,
): Promise<AuthResult> {
  const role = await options.lookupVerifier(options.user)
  if (options.method === 'trust') {
    if (!role.exists) throw fatal('28000', `role "${options.user}" does not exist`)
    checkMayLogin(role, options.user)
    return { remainder: received }
  }
  const reader = new FrameReader({ frameBytesMax: SASL_BYTES_MAX })
  reader.push(received)
  const scram = await scramExchange(connection, reader, role, options)
  checkMayLogin(role, options.user)
  return { scram, remainder: reader.takeRemainder() }
}

async function scramExchange(
  connection: ClientConnection,
  reader: FrameReader,
  role: RoleLogin,
  options: AuthOptions,
): Promise<ScramKeys> {
  const { user, serverEndPoint, mockSecret } = options
  const offered = serverEndPoint === undefined ? [SCRAM_SHA_256] : [SCRAM_SHA_256_PLUS, SCRAM_SHA_256]
  connection.write(authenticationSasl(offered))
  await readSaslMessage(connection, reader)
  const initial = parseSaslInitialResponse(reader.buffer, reader.bodyStart, reader.end)
  if (!offered.includes(initial.mechanism)) {
    const what = 'client selected an invalid SASL authentication mechanism'
    throw weftError('protocol_violation', { what })
  }
  const known = parseVerifier(role.verifier ?? '')
  const server = new ScramServer({
    verifier: known ?? mockVerifier(user, mockSecret),
    // Why a login fails is nobody's business: it all looks like a wrong password.
    doomed: known === undefined || !role.exists || isExpired(role, options.nowMs),
    mechanism: initial.mechanism,
    serverEndPoint,
    nonce: randomBytes(NONCE_BYTES).toString('base64'),
  })
  connection.write(authenticationSaslContinue(server.first(initial.data ?? '')))
  await readSaslMessage(connection, reader)
  const result = server.final(reader.buffer.toString('utf8', reader.bodyStart, reader.end))
  if (result.kind === 'refused') throw fatal('28P01', `password authentication failed for user "${user}"`)
  connection.write(authenticationSaslFinal(result.serverFinal))
  return result.keys
}

async function readSaslMessage(connection: ClientConnection, reader: FrameReader): Promise<void> {
  while (!reader.next()) reader.push(await connection.read())
  if (reader.type === MSG.password) return
  const what = `expected SASL response, got message type ${reader.type}`
  throw weftError('protocol_violation', { what })
}

function isExpired(role: RoleLogin, nowMs: number): boolean {
  return role.validUntil !== undefined && role.validUntil.getTime() < nowMs
}

function checkMayLogin(role: RoleLogin, user: string): void {
  if (!role.canLogin) throw fatal('28000', `role "${user}" is not permitted to log in`)
}

function fatal(code: string, message: string): PgError {
  return new PgError({ severity: 'FATAL', code, message })
}
