import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import type { WireConnection } from '../wire/connection.ts'

export interface CancelTarget {
  readonly host: string
  readonly port: number
  readonly ssl: boolean | ConnectionOptions
  readonly processId: number
  readonly secretKey: number
}

/** Sends a cancel request. Ends when the server has closed that connection: it has taken note by then, or is not there. */
export function sendCancel(target: CancelTarget, timeoutMs: number): Promise<void> {
  const { host, port, ssl, processId, secretKey } = target
  return new Promise((done) => {
    const connection = new pg.Connection(ssl === false ? {} : { ssl }) as unknown as WireConnection
    const timer = setTimeout(() => connection.stream.destroy(), timeoutMs)
    const end = (): void => {
      clearTimeout(timer)
      done()
    }
    connection.once('error', () => connection.stream.destroy())
    connection.on('error', () => undefined)
    connection.once('end', end)
    const send = (): void => connection.cancel(processId, secretKey)
    connection.once('connect', () => (ssl === false ? send() : connection.requestSsl()))
    connection.once('sslconnect', send)
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
    else connection.connect(port, host)
  })
}
