/** Makes a link's connection, greets the agent, and begins again when it breaks. */
import { connect as connectSocket, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { weftError } from '../../errors/catalog.ts'
import type { PgError } from '../../errors/pg-error.ts'
import { HELLO_BYTES_MAX, KIND, muxViolation } from '../../protocol/mux/frame-kinds.ts'
import { bodyOf, helloMismatch, readHello, writeHello } from '../../protocol/mux/link-frames.ts'
import type { MuxLimits } from '../../protocol/transport/limits.ts'
import { type ConnectionOwner, MuxConnection } from '../../protocol/transport/mux-connection.ts'
import { socketErrorText } from '../../protocol/transport/socket-error.ts'
import type { LinkOptions } from './mux-link.ts'

const AGAIN_MS_MIN = 100
const AGAIN_MS_MAX = 2_000

/** What is done with the connection. */
export interface DialerHost {
  connected(connection: MuxConnection): void
  disconnected(why: string): void
  frame(kind: number, session: number, chunk: Buffer, start: number, end: number): void
}

export class Dialer {
  private readonly options: LinkOptions & { readonly limits: MuxLimits }
  private readonly host: DialerHost
  private attempt: Attempt | undefined
  private timer: NodeJS.Timeout | undefined
  private againMs = AGAIN_MS_MIN
  private lastWhy = ''
  private isClosed = false

  constructor(options: LinkOptions & { readonly limits: MuxLimits }, host: DialerHost) {
    this.options = options
    this.host = host
  }

  start(): void {
    this.attempt = new Attempt(this.options, this.host, (why, wasConnectedMs) =>
      this.ended(why, wasConnectedMs),
    )
  }

  /** Resolves when the socket is closed. */
  async close(): Promise<void> {
    this.isClosed = true
    clearTimeout(this.timer)
    await this.attempt?.close(weftError('shutting_down', {}))
  }

  private ended(why: string, wasConnectedMs: number | undefined): void {
    this.attempt = undefined
    this.logEnd(why, wasConnectedMs !== undefined)
    this.host.disconnected(why)
    if (this.isClosed) return
    // One that is refused or dropped again at once is not asked ten times a second.
    const lasted = wasConnectedMs !== undefined && wasConnectedMs > AGAIN_MS_MAX
    this.againMs = lasted ? AGAIN_MS_MIN : this.againMs
    this.timer = setTimeout(() => this.start(), this.againMs)
    this.againMs = Math.min(this.againMs * 2, AGAIN_MS_MAX)
  }

  private logEnd(why: string, wasConnected: boolean): void {
    if (this.isClosed) return
    const { log, shard, host, port } = this.options
    const isNews = wasConnected || why !== this.lastWhy
    this.lastWhy = why
    const fields = { shard, agent: `${host}:${port}`, why }
    if (isNews) log.warn(fields, wasConnected ? 'mux: agent lost' : 'mux: agent not reached')
    else log.debug(fields, 'mux: agent not reached')
  }
}

/** One connection, from connecting to its end. */
class Attempt implements ConnectionOwner {
  private readonly options: LinkOptions & { readonly limits: MuxLimits }
  private readonly host: DialerHost
  private readonly onEnd: (why: string, wasConnectedMs: number | undefined) => void
  private readonly socket: Socket
  private readonly timer: NodeJS.Timeout
  private readonly socketClosed: Promise<void>
  private connection: MuxConnection | undefined
  private greetedAtMs: number | undefined
  private isOver = false
  private socketError = ''

  constructor(
    options: LinkOptions & { readonly limits: MuxLimits },
    host: DialerHost,
    onEnd: (why: string, wasConnectedMs: number | undefined) => void,
  ) {
    this.options = options
    this.host = host
    this.onEnd = onEnd
    const { helloTimeoutMs } = options.limits
    this.socket = openSocket(options, () => this.opened())
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.socketError ||= socketErrorText(error)
    })
    this.socketClosed = new Promise((resolve) => {
      this.socket.on('close', () => {
        this.over(this.socketError || 'the agent closed the connection')
        resolve()
      })
    })
    this.timer = setTimeout(() => this.giveUp(`no answer within ${helloTimeoutMs} ms`), helloTimeoutMs)
  }

  async close(error: PgError): Promise<void> {
    if (this.connection === undefined) this.giveUp(error.message)
    else this.connection.close(error)
    await this.socketClosed
  }

  private opened(): void {
    if (this.isOver) return
    const { clock, limits, cluster, shard, coordinatorId } = this.options
    const firstFrameBytesMax = HELLO_BYTES_MAX
    this.connection = new MuxConnection(this.socket, { clock, limits, owner: this, firstFrameBytesMax })
    writeHello(this.connection.writer(), { cluster, shard, coordinatorId })
  }

  frame(kind: number, session: number, chunk: Buffer, start: number, end: number): void {
    if (this.greetedAtMs !== undefined) {
      this.host.frame(kind, session, chunk, start, end)
      return
    }
    if (kind !== KIND.hello) throw muxViolation('the first frame is no hello')
    const mismatch = helloMismatch(readHello(bodyOf(chunk, start, end)), this.options)
    if (mismatch !== undefined) throw muxViolation(`the agent is refused: ${mismatch}`)
    clearTimeout(this.timer)
    this.greetedAtMs = performance.now()
    const connection = this.connection!
    connection.allowFrames()
    const { log, shard, host, port } = this.options
    log.info({ shard, agent: `${host}:${port}` }, 'mux: agent connected')
    this.host.connected(connection)
  }

  /** What is sent to the agent is bounded by its sessions, each with one exec and one window of COPY bytes. */
  drained(): void {}

  closed(why: string, error: PgError | undefined): void {
    if (error?.cause !== undefined) {
      const { log, shard } = this.options
      log.error({ shard, why, err: error.cause }, 'mux: agent dropped because of a bug')
    }
    // Refused by the other side of TLS: the socket's own error says more than its end.
    const said = error === undefined && this.socketError !== '' ? this.socketError : why
    const isSilent = error === undefined && this.socketError === '' && this.greetedAtMs === undefined
    // As it does, without a word, when it does not accept our certificate.
    this.over(isSilent ? `${said} before any greeting; its log says why` : said)
  }

  private giveUp(why: string): void {
    this.socketError ||= why
    if (this.connection !== undefined) this.connection.destroy(why)
    else {
      this.socket.destroy()
      this.over(why)
    }
  }

  private over(why: string): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.timer)
    const { greetedAtMs } = this
    this.onEnd(why, greetedAtMs === undefined ? undefined : performance.now() - greetedAtMs)
  }
}

function openSocket(options: LinkOptions, onOpen: () => void): Socket {
  const { host, port, tls } = options
  if (tls === undefined) return connectSocket({ host, port, noDelay: true }, onOpen)
  const { ca, cert, key } = tls
  return connectTls({ host, port, ca, cert, key, minVersion: 'TLSv1.3' }, onOpen)
}
