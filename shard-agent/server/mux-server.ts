/** The TCP side of an agent: accepts coordinators and puts their frames through the links that the agent gives them. */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import type { AgentLink } from '../../protocol/agent-link.ts'
import {
  type MuxClock,
  type MuxLimits,
  type MuxLog,
  type MuxTls,
  muxDefaults,
} from '../../protocol/transport/limits.ts'
import { socketErrorText } from '../../protocol/transport/socket-error.ts'
import { PayloadBudget } from './payload-budget.ts'
import { ServerLink } from './server-link.ts'

export interface MuxServerOptions {
  readonly host: string
  /** 0: any free one, see `port`. */
  readonly port: number
  readonly cluster: string
  readonly shard: number
  /** Absent: in the clear, and whoever reaches the port is taken for a coordinator. */
  readonly tls?: MuxTls
  readonly connect: (coordinatorId: string) => AgentLink
  readonly clock: MuxClock
  readonly log: MuxLog
  readonly limits?: Partial<MuxLimits>
  /** Of statements under way, all coordinators' together. Absent: a share of the machine's memory. */
  readonly payloadBytesMax?: number
}

const CLOSE_GRACE_MS = 500

export class MuxServer {
  private readonly options: MuxServerOptions
  private readonly limits: MuxLimits
  private readonly server: Server
  private readonly links = new Set<ServerLink>()
  private readonly payloads: PayloadBudget
  /** Sockets, those too that are no link yet. */
  private readonly sockets = new Set<Socket>()

  constructor(options: MuxServerOptions) {
    this.options = options
    this.limits = { ...muxDefaults, ...options.limits }
    this.payloads = new PayloadBudget(options.payloadBytesMax)
    this.server = this.createServer()
    this.server.maxConnections = this.limits.connectionsMax
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
    })
  }

  /** Rejects when the address cannot be had. */
  listen(): Promise<void> {
    const { server } = this
    const { host, port } = this.options
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, host, () => {
        server.off('error', reject)
        server.on('error', (error) => this.options.log.warn({ err: error }, 'mux: listening failed'))
        resolve()
      })
    })
  }

  /** Bytes of statements under way. */
  get payloadBytes(): number {
    return this.payloads.used
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Closes every link, which rolls back what its sessions had open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    for (const link of [...this.links]) link.close(weftError('shutting_down', {}))
    // Those that are no link yet have no reason to leave, and a peer that hangs must not keep us.
    const timer = setTimeout(() => {
      for (const socket of this.sockets) socket.destroy()
    }, CLOSE_GRACE_MS)
    await closed
    clearTimeout(timer)
  }

  private createServer(): Server {
    const { tls, log } = this.options
    const handshakeTimeout = this.limits.helloTimeoutMs
    if (tls === undefined) return createServer((socket) => this.accept(socket))
    const { ca, cert, key } = tls
    const required = { requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' } as const
    const server = createTlsServer({ ca, cert, key, handshakeTimeout, ...required }, (socket) =>
      this.accept(socket),
    )
    server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      // Absent, or the code of what is wrong with the certificate.
      const { authorizationError } = socket as { authorizationError?: unknown }
      const why = authorizationError ? String(authorizationError) : socketErrorText(error)
      log.warn({ shard: this.options.shard, from: socket.remoteAddress, why }, 'mux: TLS refused')
    })
    return server
  }

  private accept(socket: Socket): void {
    const { cluster, shard, connect, clock, log } = this.options
    const link = new ServerLink(socket, {
      ...{ cluster, shard, connect, clock, log },
      limits: this.limits,
      payloads: this.payloads,
      greeted: () => this.retireOlder(link),
      closed: () => this.links.delete(link),
    })
    this.links.add(link)
  }

  /** A coordinator that comes again has given up its last connection, also when this side does not know yet. */
  private retireOlder(link: ServerLink): void {
    for (const other of [...this.links]) {
      if (other === link || other.coordinatorId !== link.coordinatorId) continue
      other.close(replaced(link.coordinatorId))
    }
  }
}

function replaced(coordinatorId: string): PgError {
  return weftError('protocol_violation', {
    what: `mux: coordinator ${coordinatorId} has connected again; are there two with this id?`,
  })
}
