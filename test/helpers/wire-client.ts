import { connect, type Socket } from 'node:net'
import { startup, TERMINATE } from '../../protocol/wire/frontend-messages.ts'
import { type BackendMessage, decodeMessage } from './wire-decode.ts'

export interface WireAddress {
  readonly host: string
  readonly port: number
  readonly user?: string
  readonly database?: string
  readonly parameters?: Readonly<Record<string, string>>
}

/** A guard against hanging. */
const WAIT_MS = 50_000

/** A client of nothing but bytes: sends what it is told, collects what comes back, decoded for people. */
export class WireClient {
  private readonly socket: Socket
  private unread: Buffer = Buffer.alloc(0)
  private pending: BackendMessage[] = []
  private wake: () => void = () => {}
  closed = false
  /** Of BackendKeyData. */
  key: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk) => this.received(chunk))
    socket.on('error', () => {})
    socket.on('close', () => {
      this.closed = true
      this.wake()
    })
  }

  /** Connects without a word. */
  static async open(address: { host: string; port: number }): Promise<WireClient> {
    const socket = connect({ host: address.host, port: address.port, noDelay: true })
    await new Promise<void>((done, fail) => socket.once('connect', done).once('error', fail))
    return new WireClient(socket)
  }

  /** Connects and logs in (trust). */
  static async connect(address: WireAddress): Promise<WireClient> {
    const client = await WireClient.open(address)
    const { user = 'postgres', database = 'postgres', parameters = {} } = address
    client.write(startup({ user, database, ...parameters }))
    await client.until('ReadyForQuery')
    return client
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes)
  }

  /** In pieces of `size` bytes, each a write of its own. */
  async writePieces(bytes: Buffer, size: number): Promise<void> {
    for (let at = 0; at < bytes.length; at += size) {
      this.socket.write(bytes.subarray(at, at + size))
      await new Promise((done) => setImmediate(done))
    }
  }

  /**
   * Messages up to the `count`-th one named `name`; `closed` waits for the end of the connection. Ends early at an
   * ErrorResponse when something else than ReadyForQuery is awaited: it will not come any more.
   */
  async until(name: string, count = 1): Promise<BackendMessage[]> {
    const taken: BackendMessage[] = []
    let left = count
    const deadline = Date.now() + WAIT_MS
    for (;;) {
      while (this.pending.length > 0) {
        const message = this.pending.shift()!
        taken.push(message)
        if (message.name === name && --left === 0) return taken
        const givesUp = name !== 'ReadyForQuery' && name !== 'closed'
        if (givesUp && message.name === 'ErrorResponse') return taken
      }
      if (this.closed) return [...taken, { name: 'closed', text: 'closed' }]
      await this.more(deadline, name, taken)
    }
  }

  private async more(deadline: number, name: string, taken: readonly BackendMessage[]): Promise<void> {
    const so = taken.map((message) => message.text).join('\n')
    await new Promise<void>((done, fail) => {
      const late = () => fail(new Error(`no ${name} within ${WAIT_MS} ms; so far:\n${so}`))
      const timer = setTimeout(late, Math.max(0, deadline - Date.now()))
      this.wake = () => {
        clearTimeout(timer)
        done()
      }
      if (this.pending.length > 0 || this.closed) this.wake()
    })
  }

  private received(chunk: Buffer): void {
    this.unread = this.unread.length === 0 ? chunk : Buffer.concat([this.unread, chunk])
    let at = 0
    while (at + 5 <= this.unread.length) {
      const end = at + 1 + this.unread.readInt32BE(at + 1)
      if (end > this.unread.length) break
      const body = this.unread.subarray(at + 5, end)
      const message = decodeMessage(this.unread[at]!, body)
      if (message.name === 'BackendKeyData') this.key = Buffer.from(body)
      this.pending.push(message)
      at = end
    }
    this.unread = this.unread.subarray(at)
    this.wake()
  }

  /** Of the messages that have come and that nobody has taken. */
  names(): readonly string[] {
    return this.pending.map(({ name }) => name)
  }

  /** Reads nothing any more. */
  pause(): void {
    this.socket.pause()
  }

  /** What the server has not taken yet, and the system between has no room for. */
  get unsentBytes(): number {
    return this.socket.writableLength
  }

  /** Says goodbye. */
  end(): void {
    if (!this.closed) this.socket.end(TERMINATE)
  }

  /** Hangs up. */
  destroy(): void {
    this.socket.destroy()
  }
}
