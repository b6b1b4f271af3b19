import { connect } from 'node:net'
import { cancelRequest } from '../../protocol/wire/frontend-messages.ts'
import { isUnixSocket, type PostgresAddress, unixSocketPath } from './address.ts'

const CANCEL_TIMEOUT_MS = 5_000

/**
 * Sends a cancel request; `done` when Postgres has closed the connection: by then the signal was sent, or never will
 * be. Without TLS, as libpq did for decades: it carries no more than the key of one statement.
 */
export function sendCancel(address: PostgresAddress, pid: number, secret: Buffer, done: () => void): void {
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
