/** A Listener with a canned session behind it: every Query is answered with one row that says who asks. */
import { connect, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import pg from 'pg'
import { expect } from 'vitest'
import type { AuthRule } from '../../coordinator/listener/auth-rules.ts'
import type { RoleLogin } from '../../coordinator/listener/authenticate.ts'
import { Listener, type ListenerOptions, type SessionContext } from '../../coordinator/listener/listener.ts'
import { buildVerifier } from '../../protocol/scram/verifier.ts'
import {
  backendKeyData,
  commandComplete,
  dataRow,
  errorResponse,
  parameterStatus,
  parseErrorFields,
  READY_IDLE,
  rowDescription,
  type WireErrorFields,
} from '../../protocol/wire/backend-messages.ts'
import { FrameReader, MSG } from '../../protocol/wire/frames.ts'
import { SSL_REQUEST } from '../../protocol/wire/frontend-messages.ts'
import { testTls } from '../helpers/test-tls.ts'

const salt = Buffer.from('0123456789abcdef')
const iterations = 4096

export const verifiers = {
  ann: buildVerifier('ann-secret', salt, iterations),
  'Bö b': buildVerifier('gehe\u00adim ü', salt, iterations),
  expired: buildVerifier('expired', salt, iterations),
  locked: buildVerifier('locked', salt, iterations),
} as const

async function lookupVerifier(user: string): Promise<RoleLogin> {
  const verifier = (verifiers as Readonly<Record<string, string>>)[user]
  if (verifier === undefined && user !== 'passwordless') return { exists: false, canLogin: true }
  const validUntil = user === 'expired' ? new Date(1000) : undefined
  return { exists: true, verifier, canLogin: user !== 'locked', validUntil }
}

export interface Harness {
  readonly listener: Listener
  readonly port: number
  readonly sessions: SessionContext[]
  /** What the listener logged. */
  readonly logged: string[]
}

export const scram: AuthRule[] = [{ from: ['all'], method: 'scram-sha-256' }]
export const trust: AuthRule[] = [{ from: ['127.0.0.1/32'], method: 'trust' }]

export async function startListener(
  options: Partial<ListenerOptions> & { withTls?: boolean } = {},
): Promise<Harness> {
  const sessions: SessionContext[] = []
  const logged: string[] = []
  const { withTls = false, ...more } = options
  const log = (fields: object, message: string) => logged.push(`${message} ${JSON.stringify(fields)}`)
  const listener = new Listener({
    host: '127.0.0.1',
    port: 0,
    tls: withTls ? testTls : undefined,
    limits: { sessionsMax: 100, startupTimeoutMs: 60_000, startupBytesMax: 10_000 },
    authRules: trust,
    lookupVerifier,
    onSession: (context) => {
      sessions.push(context)
      serve(context)
    },
    log: { debug: log, info: log, warn: log },
    ...more,
  })
  await listener.listen()
  return { listener, port: listener.port, sessions, logged }
}

function serve(context: SessionContext): void {
  const { socket, pid, secret } = context
  const reader = new FrameReader({ frameBytesMax: 1 << 20 })
  socket.write(
    Buffer.concat([parameterStatus('server_version', '18.0'), backendKeyData(pid, secret), READY_IDLE]),
  )
  context.onCancel(() => {
    const error = errorResponse({ code: '57014', message: 'canceling statement due to user request' })
    socket.write(Buffer.concat([error, READY_IDLE]))
  })
  const pump = () => {
    while (reader.next()) {
      if (reader.type === MSG.terminate) socket.end()
      else if (reader.type === MSG.query)
        answer(context, reader.buffer.toString('utf8', reader.bodyStart, reader.end - 1))
    }
  }
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk)
    pump()
  })
  reader.push(context.remainder)
  pump()
  socket.resume()
}

/** `wait` answers nothing until it is cancelled. */
function answer({ socket, user, database, tls }: SessionContext, sql: string): void {
  if (sql === 'wait') return
  const text = { tableOid: 0, attnum: 0, typeOid: 25, typlen: -1, typmod: -1, format: 0 }
  const columns = ['user', 'database', 'tls', 'sql'].map((name) => ({ name, ...text }))
  const row = dataRow([user, database, String(tls), sql])
  socket.write(Buffer.concat([rowDescription(columns), row, commandComplete('SELECT 1'), READY_IDLE]))
}

export interface Message {
  readonly type: string
  readonly body: Buffer
}

/** A raw client: sends bytes, collects messages until the server closes or `until` is seen. */
export class RawClient {
  readonly socket: Socket
  readonly messages: Message[] = []
  readonly #reader = new FrameReader({ frameBytesMax: 1 << 20 })
  readonly closed: Promise<void>
  #wake: () => void = () => undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      this.#reader.push(chunk)
      while (this.#reader.next()) {
        const { buffer, bodyStart, end, type } = this.#reader
        this.messages.push({ type: String.fromCharCode(type), body: buffer.subarray(bodyStart, end) })
      }
      this.#wake()
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', () => {
        resolve()
        this.#wake()
      })
    })
  }

  static connect(port: number): RawClient {
    return new RawClient(connect(port, '127.0.0.1'))
  }

  send(bytes: Buffer): this {
    this.socket.write(bytes)
    return this
  }

  /** The first message of that type that hasn't been taken yet; undefined when the server closed without it. */
  async take(type: string): Promise<Buffer | undefined> {
    for (;;) {
      const at = this.messages.findIndex((message) => message.type === type)
      if (at >= 0) return this.messages.splice(at, 1)[0]!.body
      if (this.socket.destroyed) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  /** The error that ended the connection. */
  async lastError(): Promise<WireErrorFields | undefined> {
    const body = await this.take('E')
    await this.closed
    return body && parseErrorFields(body, 0, body.length)
  }
}

/** SSLRequest answered with S, then TLS. */
export async function connectTls(port: number): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1')
  socket.write(SSL_REQUEST)
  const reply = await new Promise<Buffer>((resolve) => socket.once('data', resolve))
  if (reply.toString() !== 'S') throw new Error(`SSLRequest was answered with ${reply}`)
  return new RawClient(tlsConnect({ socket, ca: testTls.cert, host: 'localhost' }))
}

/** TLS from the first byte. */
export function connectDirectTls(port: number, alpn: string[] | undefined): RawClient {
  const protocols = alpn === undefined ? {} : { ALPNProtocols: alpn }
  return new RawClient(
    tlsConnect({ port, host: '127.0.0.1', ca: testTls.cert, servername: 'localhost', ...protocols }),
  )
}

/** Starts listeners for tests; `closeAll` closes them and sees that nothing is left. */
export function listeners() {
  const started: Harness[] = []
  const start = async (options?: Parameters<typeof startListener>[0]): Promise<Harness> => {
    const harness = await startListener(options)
    started.push(harness)
    return harness
  }
  const closeAll = async (): Promise<void> => {
    for (const { listener } of started.splice(0)) {
      await listener.close()
      expect(listener.sessions).toBe(0)
      expect(listener.cancelKeys.size).toBe(0)
    }
  }
  return { start, closeAll }
}

/** For node-postgres: trusts the test certificate. */
export const ssl = { ca: testTls.cert, servername: 'localhost' }

/** Logs in with node-postgres and asks one question; the row, or the SQLSTATE. */
export async function ask(port: number, config: pg.ClientConfig): Promise<unknown> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'ann', database: 'shop', ...config })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return (await client.query('who')).rows[0]
  } catch (error) {
    return (error as { code?: string }).code ?? error
  } finally {
    await client.end().catch(() => undefined)
  }
}
