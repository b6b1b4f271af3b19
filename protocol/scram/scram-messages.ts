/** The attribute lists that SCRAM's messages are: `r=...,s=...,i=...`, each attribute in its fixed place. */
import { PgError } from '../../errors/pg-error.ts'

export const SCRAM_SHA_256 = 'SCRAM-SHA-256'
/** With channel binding. */
export const SCRAM_SHA_256_PLUS = 'SCRAM-SHA-256-PLUS'
/** The one channel binding type that Postgres knows. */
export const TLS_SERVER_END_POINT = 'tls-server-end-point'

export function malformedScram(detail: string): PgError {
  return new PgError({ severity: 'FATAL', code: '08P01', message: 'malformed SCRAM message', detail })
}

export function scramUnsupported(message: string): PgError {
  return new PgError({ severity: 'FATAL', code: '0A000', message })
}

/** Takes attribute by attribute off the front of a message. */
export class ScramReader {
  #rest: string

  constructor(message: string) {
    if (message === '') throw malformedScram('The message is empty.')
    if (message.includes('\0')) throw malformedScram('Message length does not match input length.')
    this.#rest = message
  }

  get atEnd(): boolean {
    return this.#rest === ''
  }

  /** The value of the attribute `name`, which must come next. */
  value(name: string): string {
    if (!this.#rest.startsWith(`${name}=`)) {
      throw malformedScram(`Expected attribute "${name}" but found "${this.#rest.slice(0, 1)}".`)
    }
    return this.#upToComma().slice(2)
  }

  /** Whether the attribute `name` comes next. */
  has(name: string): boolean {
    return this.#rest.startsWith(`${name}=`)
  }

  /** The next part, whatever it is. */
  part(): string {
    return this.#upToComma()
  }

  /** Everything not read yet. */
  get rest(): string {
    return this.#rest
  }

  finish(): void {
    if (this.#rest !== '') throw malformedScram('Garbage found at the end of the message.')
  }

  #upToComma(): string {
    const comma = this.#rest.indexOf(',')
    const part = comma < 0 ? this.#rest : this.#rest.slice(0, comma)
    this.#rest = comma < 0 ? '' : this.#rest.slice(comma + 1)
    return part
  }
}

/** Printable ASCII without comma (RFC 5802, `printable`). */
export function isPrintable(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(text)
}

/** Base64 without leniency: Node's own decoder skips whatever it doesn't understand. */
export function strictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** The `c=` value: GS2 header and channel binding data, base64. */
export function channelBindingValue(gs2Header: string, data: Buffer | undefined): string {
  const header = Buffer.from(gs2Header)
  return (data === undefined ? header : Buffer.concat([header, data])).toString('base64')
}
