/** From nothing to a logged-in connection: socket, TLS, authentication, the agent's mark. */
import { createHash, randomBytes } from 'node:crypto'
import { PgError } from '../../errors/pg-error.ts'
import type { BackendIdentity } from '../../protocol/agent-link.ts'
import { ScramClient, type ScramCredentials } from '../../protocol/scram/scram-client.ts'
import { AUTH, parseErrorFields, parseParameterStatus } from '../../protocol/wire/backend-messages.ts'
import { MSG } from '../../protocol/wire/frames.ts'
import {
  password,
  query,
  saslInitialResponse,
  saslResponse,
  startup,
} from '../../protocol/wire/frontend-messages.ts'
import { describeAddress, type PostgresAddress } from './address.ts'
import { Channel, type ChannelReceiver, connectionError, wantsTls } from './channel.ts'
import { EXAMINE, ReplyScanner, ruleTable, type ScanDriver } from './reply-scanner.ts'

const HEADER_BYTES = 5
const EXAMINE_ALL = ruleTable(EXAMINE, {})
const SASL_MECHANISM = 'SCRAM-SHA-256'

export interface LoginOptions {
  readonly shard: number
  readonly address: PostgresAddress
  readonly identity: BackendIdentity
  readonly timeoutMs: number
  /** Run once logged in: what tells this agent's connections from other people's. '' for none. */
  readonly markSql: string
}

/** A connection that is ready for its first statement. */
export interface Login {
  readonly channel: Channel
  readonly pid: number
  readonly secret: Buffer
  readonly parameters: Map<string, string>
}

/** Rejects with a PgError: Postgres' own refusal, or 08006 when there is no connection to be had. */
export function logIn(options: LoginOptions): Promise<Login> {
  return new Promise((resolve, reject) => new LoginAttempt(options, resolve, reject).start())
}

class LoginAttempt implements ChannelReceiver, ScanDriver {
  private readonly options: LoginOptions
  private readonly user: string
  private readonly resolve: (login: Login) => void
  private readonly reject: (error: PgError) => void
  private readonly scanner = new ReplyScanner(this, EXAMINE_ALL)
  private readonly parameters = new Map<string, string>()
  private channel!: Channel
  private timer: NodeJS.Timeout | undefined
  private scram: ScramClient | undefined
  private pid = 0
  private secret = Buffer.alloc(0)
  private isMarking = false
  private isOver = false

  constructor(options: LoginOptions, resolve: (login: Login) => void, reject: (error: PgError) => void) {
    this.options = options
    this.user = options.identity.kind === 'client' ? options.identity.user : options.address.user
    this.resolve = resolve
    this.reject = reject
  }

  start(): void {
    const { address, timeoutMs } = this.options
    const open = wantsTls(address) ? Channel.openTls : Channel.open
    this.channel = open(address, this, () => this.channel.write(this.startupPacket()))
    this.timer = setTimeout(() => this.channel.destroy(`no answer within ${timeoutMs} ms`), timeoutMs)
  }

  private startupPacket(): Buffer {
    const { address, identity } = this.options
    // A client's own name for itself is among its settings, and none is its default.
    const named = identity.kind === 'client' ? {} : { application_name: 'weft' }
    // Whatever the server or the role has by default: by these Weft reads texts (sql/lex), and the session's own come later.
    const read = { client_encoding: 'UTF8', standard_conforming_strings: 'on' }
    return startup({ user: this.user, database: address.database, ...read, ...named })
  }

  received(chunk: Buffer): void {
    try {
      this.scanner.push(chunk)
    } catch (error) {
      if (error instanceof PgError) this.fail(error)
      else this.channel.destroy(error instanceof Error ? error.message : String(error))
    }
  }

  closed(why: string): void {
    this.fail(connectionError(this.options.shard, describeAddress(this.options.address), why))
  }

  drained(): void {}

  forward(): void {}

  message(type: number, chunk: Buffer, start: number, end: number): boolean {
    const body = start + HEADER_BYTES
    if (type === MSG.authentication) this.authenticate(chunk.readInt32BE(body), chunk, body + 4, end)
    else if (type === MSG.errorResponse) this.fail(new PgError(parseErrorFields(chunk, body, end)))
    else if (type === MSG.parameterStatus) {
      const { name, value } = parseParameterStatus(chunk, body, end)
      this.parameters.set(name, value)
    } else if (type === MSG.backendKeyData) {
      this.pid = chunk.readInt32BE(body)
      this.secret = Buffer.from(chunk.subarray(body + 4, end))
    }
    return false
  }

  ready(): void {
    if (this.isOver) return
    if (!this.isMarking && this.options.markSql !== '') {
      this.isMarking = true
      this.channel.write(query(this.options.markSql))
      return
    }
    this.isOver = true
    clearTimeout(this.timer)
    this.resolve({
      channel: this.channel,
      pid: this.pid,
      secret: this.secret,
      parameters: this.parameters,
    })
  }

  private authenticate(code: number, chunk: Buffer, from: number, end: number): void {
    switch (code) {
      case AUTH.ok:
        return
      case AUTH.cleartextPassword:
        this.channel.write(password(this.password()))
        return
      case AUTH.md5Password:
        this.channel.write(password(md5Password(this.user, this.password(), chunk.subarray(from, from + 4))))
        return
      case AUTH.sasl:
        this.scram = new ScramClient({ credentials: this.credentials(), nonce: scramNonce() })
        this.channel.write(saslInitialResponse(SASL_MECHANISM, this.scram.first()))
        return
      case AUTH.saslContinue:
        this.channel.write(saslResponse(this.scram!.final(chunk.toString('utf8', from, end))))
        return
      case AUTH.saslFinal:
        this.scram!.verify(chunk.toString('utf8', from, end))
        return
      default:
        throw this.refusal(`it asks for authentication method ${code}, which Weft does not know`)
    }
  }

  private credentials(): ScramCredentials {
    const { identity, address } = this.options
    // Servers that were set up one by one have different salts for the same role, and the client's keys are good for
    // the home shard's: the agent's own role logs in with the password that the agent has for this very server.
    const isOwnRole = this.user === address.user && address.password !== undefined
    if (!isOwnRole && identity.kind === 'client' && identity.scram !== undefined) return identity.scram
    return { password: this.password() }
  }

  private password(): string {
    const { address } = this.options
    if (this.user === address.user && address.password !== undefined) return address.password
    throw this.refusal(`it asks for the password of "${this.user}", which this agent does not have`)
  }

  private refusal(why: string): PgError {
    const { shard, address } = this.options
    return new PgError({
      code: '28000',
      message: `shard ${shard} (${describeAddress(address)}) refused the login of "${this.user}": ${why}`,
    })
  }

  private fail(error: PgError): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.timer)
    this.channel.destroy(error.message)
    this.reject(error)
  }
}

function scramNonce(): string {
  return randomBytes(18).toString('base64')
}

function md5Password(user: string, secret: string, salt: Buffer): string {
  const inner = createHash('md5').update(secret).update(user).digest('hex')
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`
}
