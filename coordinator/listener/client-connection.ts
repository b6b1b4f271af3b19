/** A client's socket during the handshake: chunks are asked for one at a time, everything in between waits in the kernel. */
import type { Socket } from 'node:net'
import { type SecureContext, TLSSocket } from 'node:tls'

/** The peer went away, or was made to: nothing is left to say to it. */
export class ConnectionGone extends Error {
  override readonly name = 'ConnectionGone'
}

/** What a TLS client must name when it names protocols at all. */
export const ALPN_PROTOCOL = 'postgresql'

/** How long a peer that was told goodbye may take to read it. */
const LINGER_MS = 1000

/** Says `lastWords`, then closes; a peer that neither reads nor closes is cut off. */
export function closeGently(socket: Socket, lastWords?: Buffer, lingerMs: number = LINGER_MS): void {
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  if (lastWords === undefined) socket.end()
  else socket.end(lastWords)
  // Destroying a socket with unread bytes resets the connection, and the peer may lose the last words by that.
  socket.resume()
}

export class ClientConnection {
  /** The raw socket, or the TLS one around it. */
  socket: Socket
  #closing = false
  /** Ends the wait that is going on. */
  #giveUp: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
  }

  get isTls(): boolean {
    return this.socket instanceof TLSSocket
  }

  write(bytes: Buffer): void {
    if (!this.#closing) this.socket.write(bytes)
  }

  /** Whether something can still be said. */
  get isOpen(): boolean {
    return !this.#closing && this.socket.writable
  }

  /** Ends the connection after `lastWords`; whoever waits for the client gets `ConnectionGone`. */
  close(lastWords?: Buffer): void {
    if (this.#closing) return
    this.#closing = true
    this.#giveUp?.()
    closeGently(this.socket, lastWords)
  }

  /** The next chunk; rejects with `ConnectionGone`. The socket is paused whenever nobody waits here. */
  read(): Promise<Buffer> {
    return this.#wait<Buffer>('data')
  }

  /** Puts TLS around the socket and waits for the end of its handshake. `received` is what TLS should see first. */
  async startTls(secureContext: SecureContext, received?: Buffer): Promise<void> {
    if (received !== undefined) this.socket.unshift(received)
    const tls = new TLSSocket(this.socket, { isServer: true, secureContext, ALPNProtocols: [ALPN_PROTOCOL] })
    // Failed handshakes end in 'close', which is what is waited for; the error itself is the client's business.
    tls.on('error', () => tls.destroy())
    this.socket = tls
    await this.#wait('secure')
    tls.pause()
  }

  get alpnProtocol(): string | undefined {
    return this.socket instanceof TLSSocket && this.socket.alpnProtocol ? this.socket.alpnProtocol : undefined
  }

  #wait<T>(event: 'data' | 'secure'): Promise<T> {
    const socket = this.socket
    return new Promise((resolve, reject) => {
      const stop = () => {
        this.#giveUp = undefined
        socket.off(event, found).off('end', gone).off('close', gone)
        if (event === 'data') socket.pause()
      }
      const found = (value: T) => {
        stop()
        resolve(value)
      }
      const gone = () => {
        stop()
        reject(new ConnectionGone('client is gone'))
      }
      if (this.#closing || socket.destroyed || socket.readableEnded) return gone()
      this.#giveUp = gone
      socket.on(event, found).on('end', gone).on('close', gone)
      if (event === 'data') socket.resume()
    })
  }
}
