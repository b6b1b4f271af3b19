/** The beginning of a connection: encryption requests, TLS, then a startup packet or a cancel request. */
import type { SecureContext } from 'node:tls'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import { negotiateProtocolVersion } from '../../protocol/wire/backend-messages.ts'
import { StartupReader } from '../../protocol/wire/frames.ts'
import { parseStartupParameters, SSL_NO, SSL_YES, STARTUP } from '../../protocol/wire/frontend-messages.ts'
import { ALPN_PROTOCOL, type ClientConnection, ConnectionGone } from './client-connection.ts'

/** First byte of a TLS record of type handshake. No startup packet is long enough to begin with it. */
const TLS_HANDSHAKE = 0x16
const CANCEL_SECRET_BYTES_MAX = 256

export interface StartupOptions {
  readonly startupBytesMax: number
  /** Undefined: TLS isn't configured. */
  readonly secureContext: SecureContext | undefined
}

export interface StartupRequest {
  readonly kind: 'startup'
  readonly user: string
  readonly database: string
  /** Everything the packet said, `user` and `database` included; `_pq_.` options are left out. */
  readonly parameters: ReadonlyMap<string, string>
  /** Bytes that followed the packet. */
  readonly remainder: Buffer
}

export interface CancelRequest {
  readonly kind: 'cancel'
  readonly pid: number
  readonly secret: Buffer
}

/** Reads up to the packet that says what the client wants. Throws a PgError for what can't be served. */
export async function readStartup(
  connection: ClientConnection,
  options: StartupOptions,
): Promise<StartupRequest | CancelRequest> {
  const reader = await openReader(connection, options)
  let sslAsked = connection.isTls
  let gssAsked = false
  for (;;) {
    while (!hasNext(reader)) reader.push(await connection.read())
    if (reader.code === STARTUP.sslRequest && !sslAsked) {
      sslAsked = true
      await answerSslRequest(connection, reader, options.secureContext)
    } else if (reader.code === STARTUP.gssEncRequest && !gssAsked) {
      gssAsked = true
      connection.write(SSL_NO)
    } else if (reader.code === STARTUP.cancelRequest) return cancelRequest(reader)
    else return startupRequest(connection, reader)
  }
}

/**
 * What begins with no packet's length is not the protocol, or is that of a client which ends before it has begun: as with
 * Postgres, it gets no answer.
 */
function hasNext(reader: StartupReader): boolean {
  try {
    return reader.next()
  } catch (error) {
    throw error instanceof PgError ? new ConnectionGone(error.message) : error
  }
}

/** A reader that has the first bytes, after TLS when they are a TLS handshake ("direct" TLS, without SSLRequest). */
async function openReader(connection: ClientConnection, options: StartupOptions): Promise<StartupReader> {
  const reader = new StartupReader(options)
  const first = await connection.read()
  if (first[0] !== TLS_HANDSHAKE) {
    reader.push(first)
    return reader
  }
  // Without TLS there is nothing to say that such a client could read.
  if (options.secureContext === undefined) throw new ConnectionGone('TLS is not configured')
  await connection.startTls(options.secureContext, first)
  if (connection.alpnProtocol !== ALPN_PROTOCOL) {
    throw weftError('protocol_violation', {
      what: 'received direct SSL connection request without ALPN protocol negotiation extension',
    })
  }
  return reader
}

async function answerSslRequest(
  connection: ClientConnection,
  reader: StartupReader,
  secureContext: SecureContext | undefined,
): Promise<void> {
  if (secureContext === undefined) {
    connection.write(SSL_NO)
    return
  }
  // Bytes that came before the handshake were not encrypted, and whoever put them there would have them obeyed
  // as if they were (CVE-2021-23222).
  if (reader.pendingBytes > 0) {
    throw new PgError({
      severity: 'FATAL',
      code: '08P01',
      message: 'received unencrypted data after SSL request',
      detail:
        'This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.',
    })
  }
  connection.write(SSL_YES)
  await connection.startTls(secureContext)
}

function cancelRequest(reader: StartupReader): CancelRequest {
  const { buffer, bodyStart, end } = reader
  const secretBytes = end - bodyStart - 4
  if (secretBytes < 1 || secretBytes > CANCEL_SECRET_BYTES_MAX) {
    throw new ConnectionGone('invalid length of cancel request packet')
  }
  return { kind: 'cancel', pid: buffer.readInt32BE(bodyStart), secret: buffer.subarray(bodyStart + 4, end) }
}

function startupRequest(connection: ClientConnection, reader: StartupReader): StartupRequest {
  const version = reader.code
  checkVersion(version)
  const all = parseStartupParameters(reader.buffer, reader.bodyStart, reader.end)
  const parameters = new Map([...all].filter(([name]) => !name.startsWith('_pq_.')))
  if (version > STARTUP.version3 || parameters.size < all.size) {
    const unknown = [...all.keys()].filter((name) => name.startsWith('_pq_.'))
    connection.write(negotiateProtocolVersion(STARTUP.version3, unknown))
  }
  const user = parameters.get('user') ?? ''
  if (user === '') throw fatal('28000', 'no PostgreSQL user name specified in startup packet')
  if (wantsReplication(parameters.get('replication'))) {
    const what = 'replication connections are not supported: connect to the shards themselves'
    throw new PgError({
      ...weftError('not_supported', { id: 'replication', what }).fields,
      severity: 'FATAL',
    })
  }
  const database = parameters.get('database') || user
  return { kind: 'startup', user, database, parameters, remainder: reader.takeRemainder() }
}

function checkVersion(version: number): void {
  const major = version >>> 16
  if (major === 3) return
  throw fatal(
    '0A000',
    `unsupported frontend protocol ${major}.${version & 0xffff}: server supports 3.0 to 3.0`,
  )
}

/** `database` or a true boolean, as Postgres reads them. */
function wantsReplication(value: string | undefined): boolean {
  return value !== undefined && !/^(f|fa|fal|fals|false|n|no|of|off|0)$/i.test(value)
}

function fatal(code: string, message: string): PgError {
  return new PgError({ severity: 'FATAL', code, message })
}
