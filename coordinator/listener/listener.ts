/**
 * Accepts clients and sees them through startup, TLS and authentication; what comes after AuthenticationOk is the
 * session's. Everything a peer that isn't logged in can make us keep or wait for is bounded.
 */
import { randomBytes } from 'node:crypto'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createSecureContext, type SecureContext } from 'node:tls'
import { weftError } from '../../errors/catalog.ts'
import { PgError } from '../../errors/pg-error.ts'
import type { ScramKeys } from '../../protocol/scram/verifier.ts'
import { AUTHENTICATION_OK, errorResponse } from '../../protocol/wire/backend-messages.ts'
import { type AuthRule, AuthRules, plainAddress } from './auth-rules.ts'
import { authenticate, type RoleLogin } from './authenticate.ts'
import { CancelKeys } from './cancel-keys.ts'
import { ClientConnection, ConnectionGone } from './client-connection.ts'
import type { ListenerLog } from './listener-log.ts'
import { serverEndPoint } from './server-end-point.ts'
import { type CancelRequest, readStartup, type StartupRequest } from './startup-packet.ts'

export interface ListenerLimits {
  readonly sessionsMax: number
  /** From accept to AuthenticationOk; 60,000 as in Postgres (authentication_timeout). */
  readonly startupTimeoutMs: number
  /** 10,000 in Postgres. */
  readonly startupBytesMax: number
}

export interface TlsFiles {
  /** PEM. */
  readonly cert: string | Buffer
  readonly key: string | Buffer
}

/** A client that is logged in. */
export interface SessionContext {
  /** Paused, AuthenticationOk written: attach `data`, then `resume()`. Has an `error` handler; `close` always comes. */
  readonly socket: Socket
  readonly user: string
  readonly database: string
  /** All of the startup packet. */
  readonly parameters: ReadonlyMap<string, string>
  /** After a SCRAM login: enough to log in to a shard that stores the same verifier. */
  readonly scram?: ScramKeys
  readonly pid: number
  readonly secret: Buffer
  /** Sets what a CancelRequest for this session does; the key is void once the socket is closed. */
  onCancel(handler: () => void): void
  /** Bytes read beyond the startup exchange: the session's first input. */
  readonly remainder: Buffer
  readonly tls: boolean
  readonly address: string
}

export interface ListenerOptions {
  readonly host: string
  /** 0: any free one, see `port`. */
  readonly port: number
  readonly tls?: TlsFiles | undefined
  readonly limits: ListenerLimits
  readonly authRules: readonly AuthRule[]
  readonly lookupVerifier: (user: string) => Promise<RoleLogin>
  readonly onSession: (context: SessionContext) => void
  /** A cancel request whose key isn't of this node. */
  readonly cancel?: (pid: number, secret: Buffer) => void
  readonly log: ListenerLog
  readonly now?: () => number
  /** Keeps the salts of unknown users the same over restarts and nodes; random when left out. */
  readonly mockSecret?: Buffer
}

/** Connections that are no sessions (yet): cancel requests get through even when all sessions are taken. */
const SPARE_CONNECTIONS = 64
/** A peer that vanished without a word is noticed after this and some probes. */
const KEEP_ALIVE_DELAY_MS = 60_000

export class Listener {
  readonly cancelKeys = new CancelKeys()
  readonly #options: ListenerOptions
  readonly #rules: AuthRules
  readonly #mockSecret: Buffer
  readonly #server: Server
  readonly #connections = new Set<Socket>()
  /** Those whose handshake isn't over. */
  readonly #handshakes = new Set<ClientConnection>()
  #sessions = 0
  #draining = false
  #secureContext: SecureContext | undefined
  #serverEndPoint: Buffer | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#rules = new AuthRules(options.authRules)
    this.#mockSecret = options.mockSecret ?? randomBytes(32)
    this.setTls(options.tls)
    this.#server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS },
      (socket) => this.#accept(socket),
    )
  }

  /** New connections use these files; undefined turns TLS off. */
  setTls(tls: TlsFiles | undefined): void {
    this.#secureContext = tls && createSecureContext({ cert: tls.cert, key: tls.key })
    this.#serverEndPoint = tls && serverEndPoint(tls.cert)
  }

  /** Rejects with Node's error (EADDRINUSE, say) when the address can't be had. */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(this.#options.port, this.#options.host, () => {
        this.#server.off('error', reject)
        this.#server.on('error', (err) => this.#options.log.warn({ err }, 'cannot accept a connection'))
        resolve()
      })
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Sessions, those still authenticating included. */
  get sessions(): number {
    return this.#sessions
  }

  /** Accepts no more; who isn't logged in yet is told to go elsewhere. Sessions go on. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#server.close()
    for (const connection of this.#handshakes) this.#refuse(connection, weftError('shutting_down', {}))
  }

  /** Drains and cuts off whoever is left; all sockets are closed when it resolves. */
  async close(): Promise<void> {
    this.drain()
    const closing = [...this.#connections].map((socket) => {
      const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
      socket.destroy()
      return closed
    })
    await Promise.all(closing)
  }

  #accept(socket: Socket): void {
    // Whatever goes wrong on a socket ends in 'close'; without a handler it would end the process.
    socket.on('error', (err) => this.#options.log.debug({ err }, 'client connection failed'))
    const connectionsMax = 2 * this.#options.limits.sessionsMax + SPARE_CONNECTIONS
    if (this.#draining || this.#connections.size >= connectionsMax) {
      socket.destroy()
      return
    }
    this.#connections.add(socket)
    socket.once('close', () => this.#connections.delete(socket))
    void this.#handshake(socket)
  }

  /** Never rejects. */
  async #handshake(socket: Socket): Promise<void> {
    const connection = new ClientConnection(socket)
    this.#handshakes.add(connection)
    const timer = setTimeout(() => this.#timedOut(connection), this.#options.limits.startupTimeoutMs)
    try {
      const request = await readStartup(connection, {
        startupBytesMax: this.#options.limits.startupBytesMax,
        secureContext: this.#secureContext,
      })
      if (request.kind === 'cancel') this.#cancel(connection, request)
      else await this.#login(connection, socket, request)
    } catch (error) {
      this.#failed(connection, error)
    } finally {
      clearTimeout(timer)
      this.#handshakes.delete(connection)
    }
  }

  async #login(connection: ClientConnection, rawSocket: Socket, request: StartupRequest): Promise<void> {
    const { user, database, parameters } = request
    if (rawSocket.destroyed) throw new ConnectionGone('client is gone')
    this.#takeSlot(rawSocket)
    const address = plainAddress(rawSocket.remoteAddress ?? '')
    const tls = connection.isTls
    const result = await authenticate(connection, request.remainder, {
      user,
      method: this.#rules.methodFor({ address, user, database, tls }),
      lookupVerifier: this.#options.lookupVerifier,
      serverEndPoint: tls ? this.#serverEndPoint : undefined,
      mockSecret: this.#mockSecret,
      nowMs: (this.#options.now ?? Date.now)(),
    })
    // Refused while the role was looked up: drained, or timed out.
    if (!connection.isOpen || rawSocket.destroyed) throw new ConnectionGone('client is gone')
    connection.write(AUTHENTICATION_OK)
    const { socket } = connection
    const key = this.#cancelKey(rawSocket)
    this.#options.onSession({ socket, user, database, parameters, ...result, ...key, tls, address })
  }

  #cancelKey(rawSocket: Socket): Pick<SessionContext, 'pid' | 'secret' | 'onCancel'> {
    let onCancel: (() => void) | undefined
    const { pid, secret, release } = this.cancelKeys.create(() => onCancel?.())
    rawSocket.once('close', release)
    return {
      pid,
      secret,
      onCancel: (handler) => {
        onCancel = handler
      },
    }
  }

  /** Counts a session until its socket is closed. */
  #takeSlot(rawSocket: Socket): void {
    if (this.#sessions >= this.#options.limits.sessionsMax) {
      throw new PgError({ severity: 'FATAL', code: '53300', message: 'sorry, too many clients already' })
    }
    this.#sessions++
    rawSocket.once('close', () => this.#sessions--)
  }

  /** The client is told nothing, whatever became of its request. */
  #cancel(connection: ClientConnection, { pid, secret }: CancelRequest): void {
    if (!this.cancelKeys.cancel(pid, secret)) this.#options.cancel?.(pid, secret)
    connection.close()
  }

  #failed(connection: ClientConnection, error: unknown): void {
    const address = connection.socket.remoteAddress
    if (error instanceof ConnectionGone) {
      this.#options.log.debug(
        { address, why: error.message },
        'client connection ended before it was logged in',
      )
      connection.close()
    } else if (error instanceof PgError) {
      this.#options.log.info({ address, code: error.code, why: error.message }, 'client refused')
      this.#refuse(connection, error)
    } else {
      this.#options.log.warn({ address, err: error }, 'client connection failed')
      this.#refuse(connection, weftError('internal', { what: 'the login failed' }, error))
    }
  }

  #timedOut(connection: ClientConnection): void {
    const message = 'canceling authentication due to timeout'
    this.#refuse(connection, new PgError({ code: '57014', message }))
  }

  #refuse(connection: ClientConnection, error: PgError): void {
    connection.close(errorResponse({ ...error.fields, severity: 'FATAL' }))
  }
}
