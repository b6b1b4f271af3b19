import { createHash, timingSafeEqual } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { AdminError } from './admin-error.ts'
import { actorOf, type CertificateRule } from './client-certificate.ts'

export type AdminRole = 'viewer' | 'admin'

export interface AdminToken {
  /** Of who has it, for the audit. */
  readonly name: string
  readonly role: AdminRole
  readonly token: string
}

/** Who makes a request. */
export interface Actor {
  readonly name: string
  readonly role: AdminRole
}

export interface GuardOptions {
  readonly tokens: readonly AdminToken[]
  /** Who needs none: what the connection has verified is told by the first rule that fits. */
  readonly certificates?: readonly CertificateRule[] | undefined
  /** Nobody else can reach it: without tokens, everybody who can is its admin. */
  readonly isLoopback: boolean
  readonly nowMs?: () => number
}

/** Wrong tokens from one address in a minute, before it is told to wait. */
const FAILURES_MAX = 10
const FAILURES_MS = 60_000
const ADDRESSES_MAX = 10_000

function isOfOtherSite({ headers: { origin, host }, protocol }: FastifyRequest): boolean {
  return origin !== undefined && origin !== `${protocol}://${host}`
}

const otherSite = (): AdminError =>
  new AdminError(403, 'this request comes from another site', 'Set a token to use the API from elsewhere.')

const LOCAL: Actor = { name: 'local', role: 'admin' }
const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest()

const tokenIn = ({ headers: { authorization = '' } }: FastifyRequest): string | undefined =>
  /^Bearer (\S+)$/i.exec(authorization)?.[1]

/** Decides who a request is from, and what they may do. */
export class Guard {
  private readonly tokens: readonly { readonly actor: Actor; readonly digest: Buffer }[]
  private readonly certificates: readonly CertificateRule[]
  private readonly isOpen: boolean
  private readonly nowMs: () => number
  private readonly failures = new Map<string, { count: number; untilMs: number }>()

  constructor({ tokens, certificates = [], isLoopback, nowMs = () => performance.now() }: GuardOptions) {
    this.tokens = tokens.map(({ name, role, token }) => ({ actor: { name, role }, digest: digestOf(token) }))
    this.certificates = certificates
    this.isOpen = isLoopback && tokens.length === 0 && certificates.length === 0
    this.nowMs = nowMs
  }

  /** Whether one has to log in. */
  get hasTokens(): boolean {
    return !this.isOpen
  }

  /** Throws an AdminError for who may not. */
  admit(request: FastifyRequest, needed: AdminRole): Actor {
    const actor = this.isOpen ? this.local(request) : (this.certified(request) ?? this.holder(request))
    if (needed === 'admin' && actor.role !== 'admin')
      throw new AdminError(
        403,
        `${actor.name} is a viewer, and may change nothing`,
        'Use a token, or a certificate, with the role admin.',
      )
    return actor
  }

  /** Whose limit of requests counts: who has a token that holds. Undefined: one of those without, from this address. */
  tokenOf(request: FastifyRequest): string | undefined {
    // Else the limit's headers would tell which token is right, to who has tried too many.
    return this.waitMs(request.ip) > 0 ? undefined : this.found(tokenIn(request) ?? '')?.name
  }

  /** To what everybody could see before there were tokens. */
  admitToStatus(request: FastifyRequest): void {
    if (this.tokens.length + this.certificates.length > 0) this.admit(request, 'viewer')
  }

  /** A page from elsewhere, in a browser on this machine, must not act on the cluster. */
  private local(request: FastifyRequest): Actor {
    const host = request.hostname.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
    const isOurs = host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
    if (!isOurs || isOfOtherSite(request)) throw otherSite()
    return LOCAL
  }

  /** By the certificate of its connection; a browser shows it whatever site asks it to. */
  private certified(request: FastifyRequest): Actor | undefined {
    const socket = request.raw.socket as Partial<TLSSocket>
    if (this.certificates.length === 0 || socket.authorized !== true) return undefined
    const actor = actorOf(socket.getPeerCertificate!(), this.certificates)
    if (actor !== undefined && isOfOtherSite(request)) throw otherSite()
    return actor
  }

  private holder(request: FastifyRequest): Actor {
    const waitMs = this.waitMs(request.ip)
    if (waitMs > 0)
      throw new AdminError(429, 'too many wrong tokens', 'Wait a minute.', Math.ceil(waitMs / 1000))
    const token = tokenIn(request)
    if (token === undefined)
      throw new AdminError(
        401,
        'no token',
        'Send the header Authorization: Bearer <token> (weft --token, WEFT_ADMIN_TOKEN).',
      )
    const actor = this.found(token)
    if (actor !== undefined) return actor
    this.fail(request.ip)
    throw new AdminError(401, 'the token is wrong', 'See admin.tokens in the configuration of the node.')
  }

  private found(token: string): Actor | undefined {
    const digest = digestOf(token)
    // All of them are compared, so the time tells nothing.
    const [found] = this.tokens.filter((one) => timingSafeEqual(one.digest, digest))
    return found?.actor
  }

  /** How long an address has to wait that has sent too many wrong tokens; 0: it has not. */
  private waitMs(address: string): number {
    const failed = this.failures.get(address)
    if (failed === undefined || failed.count < FAILURES_MAX) return 0
    return Math.max(0, failed.untilMs - this.nowMs())
  }

  private fail(address: string): void {
    const now = this.nowMs()
    const failed = this.failures.get(address)
    if (failed !== undefined && failed.untilMs > now) {
      failed.count++
      return
    }
    if (this.failures.size >= ADDRESSES_MAX) this.failures.clear()
    this.failures.set(address, { count: 1, untilMs: now + FAILURES_MS })
  }
}
