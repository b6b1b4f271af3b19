/**
 * The client's side of SCRAM-SHA-256 (RFC 5802, 7677): first(), final(server-first), verify(server-final).
 * Pure: the nonce is given. It logs in with a password, or with the keys that a client's own login to Weft revealed.
 */
import { timingSafeEqual } from 'node:crypto'
import { invariant, PgError } from '../../errors/pg-error.ts'
import {
  channelBindingValue,
  isPrintable,
  malformedScram,
  ScramReader,
  strictBase64,
  TLS_SERVER_END_POINT,
} from './scram-messages.ts'
import { deriveKeys, hmac, type ScramKeys, sha256, xor } from './verifier.ts'

/** A server that asks for more would keep this process busy for seconds. */
const ITERATIONS_MAX = 1_000_000

export type ScramCredentials = { readonly password: string } | ScramKeys

export interface ScramClientOptions {
  readonly credentials: ScramCredentials
  /** Printable, unguessable, new for each exchange. */
  readonly nonce: string
  /** Hash of the server's certificate: given, the mechanism is SCRAM-SHA-256-PLUS. */
  readonly serverEndPoint?: Buffer
}

export class ScramClient {
  readonly #options: ScramClientOptions
  readonly #gs2Header: string
  readonly #bare: string
  #serverSignature: Buffer | undefined

  constructor(options: ScramClientOptions) {
    this.#options = options
    this.#gs2Header = options.serverEndPoint === undefined ? 'n,,' : `p=${TLS_SERVER_END_POINT},,`
    // Postgres takes the user from the startup packet and ignores this one; libpq leaves it empty too.
    this.#bare = `n=,r=${options.nonce}`
  }

  /** client-first. */
  first(): string {
    return this.#gs2Header + this.#bare
  }

  /** Takes server-first, answers client-final. */
  final(serverFirst: string): string {
    const { nonce: ownNonce, serverEndPoint } = this.#options
    const reader = new ScramReader(serverFirst)
    const nonce = reader.value('r')
    const salt = strictBase64(reader.value('s'))
    const iterations = Number(reader.value('i'))
    reader.finish()
    if (!nonce.startsWith(ownNonce) || nonce === ownNonce || !isPrintable(nonce)) {
      throw malformedScram('Nonce does not match.')
    }
    if (salt === undefined || salt.length === 0) throw malformedScram('Invalid salt.')
    if (!Number.isInteger(iterations) || iterations < 1 || iterations > ITERATIONS_MAX) {
      throw malformedScram('Invalid iteration count.')
    }
    const keys = this.#keys(salt, iterations)
    const withoutProof = `c=${channelBindingValue(this.#gs2Header, serverEndPoint)},r=${nonce}`
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`
    this.#serverSignature = hmac(keys.serverKey, authMessage)
    const proof = xor(keys.clientKey, hmac(sha256(keys.clientKey), authMessage))
    return `${withoutProof},p=${proof.toString('base64')}`
  }

  /** Takes server-final; throws unless the server knows the keys as well. */
  verify(serverFinal: string): void {
    invariant(this.#serverSignature !== undefined, 'server-final before server-first')
    const reader = new ScramReader(serverFinal)
    if (reader.has('e'))
      throw refusedByServer(`error received from server in SCRAM exchange: ${reader.value('e')}`)
    const signature = strictBase64(reader.value('v'))
    const same =
      signature?.length === this.#serverSignature.length && timingSafeEqual(signature, this.#serverSignature)
    if (!same) throw refusedByServer('incorrect server signature')
  }

  #keys(salt: Buffer, iterations: number): ScramKeys {
    const { credentials } = this.#options
    return 'password' in credentials ? deriveKeys(credentials.password, salt, iterations) : credentials
  }
}

function refusedByServer(message: string): PgError {
  return new PgError({ severity: 'FATAL', code: '28000', message })
}
