import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { connectLink, type LinkOptions, type MuxLink } from '../../coordinator/links/mux-link.ts'
import type { AgentLink, LinkEvents } from '../../protocol/agent-link.ts'
import type { MuxLog } from '../../protocol/transport/limits.ts'
import { MuxServer, type MuxServerOptions } from '../../shard-agent/server/mux-server.ts'
import { HlcClock } from '../../txn/hlc.ts'

/** Lines that were logged, as `level: message why`. */
export class TestLog implements MuxLog {
  readonly lines: string[] = []
  private note(level: string, fields: object, message: string): void {
    const { why } = fields as { why?: string }
    this.lines.push(`${level}: ${message}${why === undefined ? '' : `: ${why}`}`)
  }
  debug(): void {}
  info(fields: object, message: string): void {
    this.note('info', fields, message)
  }
  warn(fields: object, message: string): void {
    this.note('warn', fields, message)
  }
  error(fields: object, message: string): void {
    this.note('error', fields, message)
  }
}

export const testClock = (aheadMs = 0): HlcClock =>
  new HlcClock({ wallMs: () => Date.now() + aheadMs, maxOffsetMs: 500 })

/** A TCP proxy that can cut connections, or go silent. */
export class FaultProxy {
  /** Bytes that went through, to the server and back. */
  readonly bytes = { up: 0, down: 0 }
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private readonly pairs: [Socket, Socket][] = []
  private silent = false

  private constructor(port: () => number) {
    this.server = createServer((near) => {
      const far = connect({ host: '127.0.0.1', port: port(), noDelay: true })
      this.pairs.push([near, far])
      for (const [from, to, way] of [
        [near, far, 'up'],
        [far, near, 'down'],
      ] as const) {
        this.sockets.add(from)
        from.setNoDelay(true)
        from.on('data', (chunk: Buffer) => {
          if (this.silent) return
          this.bytes[way] += chunk.length
          if (!to.write(chunk)) from.pause()
        })
        to.on('drain', () => from.resume())
        from.on('error', () => {})
        from.on('close', () => {
          this.sockets.delete(from)
          if (!this.silent) to.destroy()
        })
      }
    })
  }

  static async start(port: () => number): Promise<FaultProxy> {
    const proxy = new FaultProxy(port)
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** Resets what is connected; new connections get through. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy()
  }

  /** Everything sent from now on is swallowed, ends of connections too. */
  partition(): void {
    this.silent = true
  }

  heal(): void {
    this.silent = false
    this.cut()
  }

  /** Stops taking what the server sends. */
  stallDown(): void {
    for (const [, far] of this.pairs) far.pause()
  }

  unstallDown(): void {
    for (const [, far] of this.pairs) far.resume()
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
    this.cut()
    await closed
  }
}

export class LinkRecorder implements LinkEvents {
  readonly events: string[] = []
  mapVersion(_shard: number, version: number): void {
    this.events.push(`map ${version}`)
  }
  quota(_shard: number, max: number): void {
    this.events.push(`quota ${max}`)
  }
  up(): void {
    this.events.push('up')
  }
  down(_shard: number, why: string): void {
    this.events.push(`down: ${why}`)
  }
}

export const SHARD = 0

/** A server in front of `connect`, and links to it by way of a proxy. */
export class MuxWorld {
  readonly log = new TestLog()
  server!: MuxServer
  proxy!: FaultProxy
  private readonly links: AgentLink[] = []
  private readonly options: Partial<MuxServerOptions>

  private constructor(options: Partial<MuxServerOptions>) {
    this.options = options
  }

  static async start(
    options: Partial<MuxServerOptions> & Pick<MuxServerOptions, 'connect'>,
  ): Promise<MuxWorld> {
    const world = new MuxWorld(options)
    await world.listen(0)
    world.proxy = await FaultProxy.start(() => world.server.port)
    return world
  }

  async listen(port: number): Promise<void> {
    this.server = new MuxServer({
      host: '127.0.0.1',
      port,
      cluster: 'test',
      shard: SHARD,
      clock: testClock(),
      log: this.log,
      connect: () => {
        throw new Error('not given')
      },
      ...this.options,
    })
    await this.server.listen()
  }

  link(options: Partial<LinkOptions> = {}): MuxLink {
    const link = connectLink({
      shard: SHARD,
      host: '127.0.0.1',
      port: this.proxy.port,
      cluster: 'test',
      coordinatorId: 'c1',
      clock: testClock(),
      log: this.log,
      ...options,
    })
    this.links.push(link)
    return link as MuxLink
  }

  /** A link that is up. */
  async linkUp(options: Partial<LinkOptions> = {}): Promise<MuxLink> {
    const link = this.link(options)
    await isUp(link)
    return link
  }

  async stop(): Promise<void> {
    for (const link of this.links) await link.close()
    await this.proxy.close()
    await this.server.close()
  }
}

export function isUp(link: AgentLink): Promise<void> {
  return new Promise((resolve) => {
    link.subscribe({ mapVersion() {}, quota() {}, down() {}, up: () => resolve() })
  })
}
