/**
 * The server's side of SCRAM-SHA-256 (RFC 5802, 7677), with the messages and errors of Postgres' auth-scram.c.
 * Pure: the nonce is given, bytes go in and out as strings.
 *
 *     client-first ──first()──► server-first ; client-final ──final()──► server-final or a refusal
 */
import { timingSafeEqual } from 'node:crypto'
import { invariant, PgError } from '../../errors/pg-error.ts'
import {
  channelBindingValue,
  isPrintable,
  malformedScram,
  SCRAM_SHA_256_PLUS,
  ScramReader,
  scramUnsupported,
  strictBase64,
  TLS_SERVER_END_POINT,
} from './scram-messages.ts'
import { hmac, KEY_BYTES, type ScramKeys, type ScramVerifier, sha256, xor } from './verifier.ts'

export interface ScramServerOptions {
  readonly verifier: ScramVerifier
  /** The exchange runs to its end and is refused then, whatever the proof: no such user, no password, expired. */
  readonly doomed: boolean
  readonly mechanism: string
  /** Hash of the server's certificate when this connection can bind to it, which means PLUS was offered. */
  readonly serverEndPoint?: Buffer | undefined
  /** Printable, unguessable, new for each exchange. */
  readonly nonce: string
}

export type ScramResult =
  | { readonly kind: 'accepted'; readonly serverFinal: string; readonly keys: ScramKeys }
  | { readonly kind: 'refused' }

export class ScramServer {
  readonly #options: ScramServerOptions
  #gs2Header = ''
  #usesBinding = false
  #nonce = ''
  /** client-first-bare and server-first, joined: the beginning of AuthMessage. */
  #transcript = ''

  constructor(options: ScramServerOptions) {
    this.#options = options
  }

  /** Takes client-first, answers server-first. */
  first(message: string): string {
    const reader = new ScramReader(message)
    const flag = reader.part()
    this.#usesBinding = this.#checkBindingFlag(flag)
    if (reader.has('a')) {
      throw scramUnsupported('client uses authorization identity, but it is not supported')
    }
    if (reader.part() !== '') throw malformedScram('Unexpected attribute in client-first-message.')
    this.#gs2Header = `${flag},,`
    const bare = reader.rest
    if (reader.has('m')) throw scramUnsupported('client requires an unsupported SCRAM extension')
    // The user name is not looked at: the one of the startup packet counts.
    reader.value('n')
    const clientNonce = reader.value('r')
    if (!isPrintable(clientNonce)) {
      throw new PgError({
        severity: 'FATAL',
        code: '08P01',
        message: 'non-printable characters in SCRAM nonce',
      })
    }
    const { verifier, nonce } = this.#options
    this.#nonce = clientNonce + nonce
    const serverFirst = `r=${this.#nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`
    this.#transcript = `${bare},${serverFirst}`
    return serverFirst
  }

  /** Takes client-final. A malformed message throws; a wrong password is a result. */
  final(message: string): ScramResult {
    invariant(this.#nonce !== '', 'client-final before client-first')
    const reader = new ScramReader(message)
    const binding = reader.value('c')
    const nonce = reader.value('r')
    const withoutProof = message.slice(0, message.lastIndexOf(',p='))
    // Extensions may stand before the proof; the proof is last.
    while (!reader.atEnd && !reader.has('p')) reader.part()
    const proof = strictBase64(reader.value('p'))
    reader.finish()
    if (proof?.length !== KEY_BYTES) throw malformedScram('Malformed proof in client-final-message.')
    this.#checkBinding(binding)
    if (nonce !== this.#nonce) throw invalidResponse('Nonce does not match.')
    return this.#checkProof(proof, `${this.#transcript},${withoutProof}`)
  }

  #checkProof(proof: Buffer, authMessage: string): ScramResult {
    const { verifier, doomed } = this.#options
    const clientKey = xor(proof, hmac(verifier.storedKey, authMessage))
    const matches = timingSafeEqual(sha256(clientKey), verifier.storedKey)
    const signature = hmac(verifier.serverKey, authMessage)
    if (!matches || doomed) return { kind: 'refused' }
    const keys = { clientKey, serverKey: verifier.serverKey }
    return { kind: 'accepted', serverFinal: `v=${signature.toString('base64')}`, keys }
  }

  /** Whether the client binds; refuses flags that don't fit the mechanism or tell of a downgrade. */
  #checkBindingFlag(flag: string): boolean {
    const { mechanism, serverEndPoint } = this.#options
    const plus = mechanism === SCRAM_SHA_256_PLUS
    if (flag === 'n' || flag === 'y') {
      if (plus) throw malformedScram(PLUS_WITHOUT_DATA)
      if (flag === 'y' && serverEndPoint !== undefined) throw downgraded()
      return false
    }
    if (!flag.startsWith('p=')) throw malformedScram('Unexpected channel-binding flag.')
    if (!plus) throw malformedScram(DATA_WITHOUT_PLUS)
    const type = flag.slice(2)
    if (type !== TLS_SERVER_END_POINT) {
      const message = `unsupported SCRAM channel-binding type "${type.slice(0, 64)}"`
      throw new PgError({ severity: 'FATAL', code: '08P01', message })
    }
    return true
  }

  #checkBinding(value: string): void {
    const data = this.#usesBinding ? this.#options.serverEndPoint : undefined
    if (value === channelBindingValue(this.#gs2Header, data)) return
    if (!this.#usesBinding)
      throw malformedScram('Unexpected channel-binding attribute in client-final-message.')
    throw new PgError({ severity: 'FATAL', code: '28000', message: 'SCRAM channel binding check failed' })
  }
}

const PLUS_WITHOUT_DATA =
  'The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data.'
const DATA_WITHOUT_PLUS =
  'The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes channel binding data.'

function downgraded(): PgError {
  return new PgError({
    severity: 'FATAL',
    code: '28000',
    message: 'SCRAM channel binding negotiation error',
    detail:
      'The client supports SCRAM channel binding but thinks the server does not.  ' +
      'However, this server does support channel binding.',
  })
}

function invalidResponse(detail: string): PgError {
  return new PgError({ severity: 'FATAL', code: '08P01', message: 'invalid SCRAM response', detail })
}
