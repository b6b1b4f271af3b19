/** One socket to Postgres, plain or TLS, read without the stream machinery where possible. */
import { connect as connectSocket, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { PgError } from '../../errors/pg-error.ts'
import { SSL_REQUEST } from '../../protocol/wire/frontend-messages.ts'
import { isUnixSocket, type PostgresAddress, unixSocketPath } from './address.ts'

export interface ChannelReceiver {
  received(chunk: Buffer): void
  /** The last call. */
  closed(why: string): void
  /** What `write` refused to take lightly has left. */
  drained(): void
}

const SLAB_BYTES = 64 * 1024
/** A read gets at least this much room. */
const SLAB_REST_BYTES_MIN = 16 * 1024
const SSL_YES_BYTE = 0x53

/**
 * Reads go into slabs that replies share until they are full, instead of 64 KiB of their own for every read. A slab
 * is never written twice, so the views handed out stay valid.
 */
class Slab {
  private bytes = Buffer.allocUnsafeSlow(SLAB_BYTES)
  private at = 0

  /** The room left. */
  readonly room = (): Buffer => {
    if (SLAB_BYTES - this.at < SLAB_REST_BYTES_MIN) {
      this.bytes = Buffer.allocUnsafeSlow(SLAB_BYTES)
      this.at = 0
    }
    return this.bytes.subarray(this.at)
  }

  take(count: number): Buffer {
    const taken = this.bytes.subarray(this.at, this.at + count)
    this.at += count
    return taken
  }
}

export class Channel {
  /** Replaced when the connection is handed from its start-up to its backend. */
  receiver: ChannelReceiver
  private socket: Socket
  private error = ''
  private isClosed = false

  private constructor(socket: Socket, receiver: ChannelReceiver) {
    this.socket = socket
    this.receiver = receiver
  }

  /** Begins to connect; failures arrive as `closed`, also those of TLS. `onOpen` when bytes can be sent. */
  static open(address: PostgresAddress, receiver: ChannelReceiver, onOpen: () => void): Channel {
    const slab = new Slab()
    const socket = connectSocket({
      ...(isUnixSocket(address)
        ? { path: unixSocketPath(address) }
        : { host: address.host, port: address.port }),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
      onread: {
        buffer: slab.room,
        callback: (count: number): boolean => {
          channel.receiver.received(slab.take(count))
          return true
        },
      },
    })
    const channel = new Channel(socket, receiver)
    channel.watch(socket)
    socket.once('connect', onOpen)
    return channel
  }

  /**
   * A connection that begins with SSLRequest. Read by `data` events: TLS hands out its bytes that way. `required`
   * refuses a server that answers no.
   */
  static openTls(address: PostgresAddress, receiver: ChannelReceiver, onOpen: () => void): Channel {
    const plain = connectSocket({ host: address.host, port: address.port, noDelay: true, keepAlive: true })
    const channel = new Channel(plain, receiver)
    channel.watch(plain)
    plain.once('connect', () => plain.write(SSL_REQUEST))
    plain.once('data', (answer: Buffer) => {
      plain.pause()
      if (answer.length !== 1) channel.destroy('the server answered SSLRequest with more than one byte')
      else if (answer[0] === SSL_YES_BYTE) channel.upgrade(plain, address, onOpen)
      else if (address.sslMode !== 'prefer') channel.destroy('the server does not support SSL')
      else {
        channel.readEvents(plain)
        onOpen()
      }
    })
    return channel
  }

  /** False: there is a backlog, wait for `drained`. */
  write(bytes: Buffer): boolean {
    return this.socket.write(bytes)
  }

  writeAll(parts: readonly Buffer[]): void {
    this.socket.cork()
    for (const part of parts) this.socket.write(part)
    this.socket.uncork()
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Sends what is pending, then closes. */
  end(lastBytes: Buffer): void {
    this.socket.end(lastBytes)
    // The server closes its side at once; one that doesn't must not keep ours.
    this.socket.setTimeout(1_000, () => this.socket.destroy())
    this.socket.resume()
  }

  /** `closed` follows. */
  destroy(why: string): void {
    this.error ||= why
    this.socket.destroy()
  }

  private watch(socket: Socket): void {
    socket.on('error', (error) => {
      this.error ||= error.message || ((error as NodeJS.ErrnoException).code ?? 'connection failed')
    })
    socket.on('close', () => this.onClose())
    socket.on('drain', () => this.receiver.drained())
  }

  private onClose(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.receiver.closed(this.error || 'the server closed the connection')
  }

  private readEvents(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => this.receiver.received(chunk))
    socket.resume()
  }

  private upgrade(plain: Socket, address: PostgresAddress, onOpen: () => void): void {
    const secure = connectTls({ ...tlsOptions(address), socket: plain })
    this.socket = secure
    this.watch(secure)
    this.readEvents(secure)
    secure.once('secureConnect', onOpen)
  }
}

function tlsOptions(address: PostgresAddress): ConnectionOptions {
  const verify = address.sslMode === 'verify-ca' || address.sslMode === 'verify-full'
  return {
    servername: /^[\d.]+$|:/.test(address.host) ? '' : address.host,
    host: address.host,
    rejectUnauthorized: verify || address.sslCa !== undefined,
    ...(address.sslCa === undefined ? {} : { ca: address.sslCa }),
    ...(address.sslMode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
  }
}

/** Whether a connection to `address` begins with SSLRequest. */
export function wantsTls(address: PostgresAddress): boolean {
  return !isUnixSocket(address) && address.sslMode !== 'disable' && address.sslMode !== 'allow'
}

/** An SQLSTATE for what `closed` said while a connection was being made. */
export function connectionError(shard: number, where: string, why: string): PgError {
  return new PgError({
    code: '08006',
    message: `shard ${shard} cannot be reached at ${where}: ${why}`,
    hint: 'Check that this Postgres runs and accepts connections.',
  })
}
