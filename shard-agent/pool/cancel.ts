import { connect } from 'node:net'
import { cancelRequest } from '../../protocol/wire/frontend-messages.ts'
import { isUnixSocket, type PostgresAddress, unixSocketPath } from './address.ts'

const CANCEL_TIMEOUT_MS = 5_000

/** The cancel requests for one backend that Postgres has not finished with. */
export class Cancels {
  private readonly address: PostgresAddress
  private readonly pid: number
  private readonly secret: Buffer
  private count = 0
  private waiters: (() => void)[] = []

  constructor(address: PostgresAddress, pid: number, secret: Buffer) {
    this.address = address
    this.pid = pid
    this.secret = secret
  }

  get pending(): boolean {
    return this.count > 0
  }

  send(): void {
    this.count++
    sendCancel(this.address, this.pid, this.secret, () => {
      this.count--
      if (this.count > 0) return
      const waiting = this.waiters
      this.waiters = []
      for (const resolve of waiting) resolve()
    })
  }

  /** Called once none is pending. */
  whenDone(callback: () => void): void {
    this.waiters.push(callback)
  }

  async done(): Promise<void> {
    while (this.count > 0) await new Promise<void>((resolve) => this.whenDone(resolve))
  }
}

/**
 * Sends a cancel request; `done` when Postgres has closed the connection: by then the signal was sent, or never will
 * be. Without TLS, as libpq did for decades: it carries no more than the key of one statement.
 */
function sendCancel(address: PostgresAddress, pid: number, secret: Buffer, done: () => void): void {
  const socket = connect(
    isUnixSocket(address) ? { path: unixSocketPath(address) } : { host: address.host, port: address.port },
  )
  socket.setTimeout(CANCEL_TIMEOUT_MS, () => socket.destroy())
  socket.on('connect', () => socket.write(cancelRequest(pid, secret)))
  socket.on('error', () => {
    // 'close' follows; a cancel that couldn't be sent cancels nothing, as in libpq.
  })
  socket.on('close', done)
  socket.resume()
}
