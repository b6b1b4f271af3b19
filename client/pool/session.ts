import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import { Closed, ConnectionLost } from '../errors/errors.ts'
import { fromPg } from '../errors/from-postgres.ts'
import type { Settled } from '../options.ts'
import type { WireConnection } from '../wire/connection.ts'
import type { Exchange } from '../wire/exchange.ts'
import { sendCancel } from './cancel.ts'
import { type Limits, Watch } from './watch.ts'

/** For a server to close a connection that says goodbye. */
const GOODBYE_MS = 1_000

/** One connection to one server. Requests wait for each other. */
export class Session {
  readonly #client: pg.Client
  readonly #options: Settled
  #isOpen = true
  #last: Promise<unknown> = Promise.resolve()
  #isCopying = false
  /** A cancel request may come too late for what it was for: nobody else gets this connection. */
  #isSpent = false
  /** The highest causal token that it was given. */
  causalFloor = 0n
  onEnd: () => void = () => undefined

  private constructor(client: pg.Client, options: Settled) {
    this.#client = client
    this.#options = options
    client.on('error', () => this.#ended())
    client.on('end', () => this.#ended())
  }

  /** @throws ConnectionLost, DatabaseError. */
  static async open(url: string, options: Settled): Promise<Session> {
    const { ssl, connectTimeoutMs, applicationName } = options
    const client = new pg.Client({
      connectionString: await withPassword(url, options.password),
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      application_name: applicationName,
      ...(ssl === undefined ? {} : { ssl }),
      ...startupOptions(options.settings),
    })
    // One that fails tells so twice.
    client.on('error', () => undefined)
    try {
      await client.connect()
    } catch (error) {
      throw fromPg(error)
    }
    return new Session(client, options)
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether the next one may have it: no transaction is open, no cancel request under way. */
  get isClean(): boolean {
    return this.#isOpen && !this.#isSpent && this.status === 'I'
  }

  /** Outside of a transaction, in one, or in one that has failed. */
  get status(): 'I' | 'T' | 'E' {
    return this.#client.getTransactionStatus() ?? 'I'
  }

  /**
   * Sends it when those before have ended.
   *
   * @throws ConnectionLost: what became of it is for the caller to judge, who knows what it was.
   */
  run<T>(exchange: Exchange<T>, limits: Limits): Promise<T> {
    // To wait for it would be for ever when it is the source of the COPY that asks.
    if (this.#isCopying) return Promise.reject(new Closed('a COPY has the connection: wait for its end'))
    const turn = this.#last.then(() => this.#runNow(exchange, limits))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #runNow<T>(exchange: Exchange<T>, limits: Limits): Promise<T> {
    if (!this.#isOpen) throw new ConnectionLost('the connection was lost before', { sent: false })
    const watch = this.#watch(exchange, limits)
    try {
      this.#isCopying = exchange.isCopy
      this.#client.query(exchange as unknown as pg.Submittable)
      return await exchange.done
    } catch (error) {
      throw watch.explain(fromPg(error, exchange.text))
    } finally {
      this.#isCopying = false
      if (watch.isStopped) this.#isSpent = true
      await watch.end()
    }
  }

  #watch(exchange: Pick<Exchange<void>, 'interrupt'>, limits: Limits): Watch {
    const cancel = (): Promise<void> => {
      exchange.interrupt(this.#connection)
      return this.#cancel()
    }
    return new Watch({ cancel, destroy: () => this.destroy() }, limits, this.#options.cancelGraceMs)
  }

  get #connection(): WireConnection {
    return (this.#client as unknown as { connection: WireConnection }).connection
  }

  #cancel(): Promise<void> {
    const { host, port, processID, secretKey, ssl } = this.#client as unknown as CancelKey
    const { remoteAddress } = this.#connection.stream
    // A name may stand for several servers, and only this one knows the key. TLS needs the name.
    const address = ssl || host.startsWith('/') ? host : (remoteAddress ?? host)
    const key = { processId: processID, secretKey }
    return sendCancel({ host: address, port, ssl, ...key }, this.#options.cancelGraceMs)
  }

  #ended(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.onEnd()
  }

  /** Ends what runs now, which somebody reads no further. */
  async cancel(): Promise<void> {
    this.#isSpent = true
    await this.#cancel()
  }

  /** Drops the connection at once. */
  destroy(): void {
    this.#connection.stream.destroy()
    this.#ended()
  }

  /** Says goodbye, and does not wait for a server that does not listen. */
  async close(): Promise<void> {
    if (!this.#isOpen) return
    this.#ended()
    const timer = setTimeout(() => this.#connection.stream.destroy(), GOODBYE_MS)
    await this.#client.end().catch(() => undefined)
    clearTimeout(timer)
  }
}

interface CancelKey {
  readonly host: string
  readonly port: number
  readonly processID: number
  readonly secretKey: number
  readonly ssl: boolean | ConnectionOptions
}

/** In the URL, since what a URL says goes before all else. */
async function withPassword(url: string, password: Settled['password']): Promise<string> {
  if (password === undefined) return url
  const written = new URL(url)
  written.password = encodeURIComponent(typeof password === 'function' ? await password() : password)
  return written.href
}

/** As `PGOPTIONS` says them: `-c name=value`, with spaces and backslashes escaped. */
function startupOptions(settings: Readonly<Record<string, string>>): { options?: string } {
  const words = Object.entries(settings).map(([name, value]) => {
    if (!/^[\w.]+$/.test(name)) throw new TypeError(`settings: ${name} is no name of a setting`)
    return `-c ${name}=${value.replace(/[\\\s]/g, '\\$&')}`
  })
  return words.length === 0 ? {} : { options: words.join(' ') }
}
